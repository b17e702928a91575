"""Notebook 15: how good the alpha is that so many evaluations pick, for methods tuned alike."""

from functools import cache
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Choice, Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.course.worlds import seeds as luck
from chunkrl.experiments.report import spelled
from chunkrl.results import robot_tuning

STEP = max(trial.step for trial in robot_tuning.load())
LAST = robot_tuning.rates()
METHODS = tuple(sorted({method for method, *_ in LAST}, reverse=True))
SEEDS = sorted({seed for *_, seed in LAST})
ALPHAS = sorted({alpha for _, alpha, _ in LAST})
RATES = {m: np.array([[LAST[m, a, s] for s in SEEDS] for a in ALPHAS]) for m in METHODS}  # [K, S]
SPELLED = {spelled(method): method for method in METHODS}
TRIED, TRAINED = "the agent that was tried", "its alpha, trained anew"
TOP = plots.nice_top(1.05 * max(rates.max() for rates in RATES.values()))
EACH = 50  # episodes of each alpha, at most


class Numbers(NamedTuple):
    budget: int  # episodes, of all alphas together
    method: str
    score: str
    expected: dict[str, np.ndarray]  # method -> [1 + EACH]   of what is picked, by episodes of each
    chance: np.ndarray  # [K]   that each alpha of `method` is picked at this budget
    rates: np.ndarray  # [K, S]   success of its agents

    @property
    def at(self) -> int:
        """Episodes of each alpha."""
        return self.budget // len(ALPHAS)


@cache
def chances(method: str, episodes: int) -> np.ndarray:
    """P(each alpha is picked), where the agents of one seed play so many episodes.  -> [S, K]"""
    return np.array([luck.picked(rates, episodes) for rates in RATES[method].T])


@cache
def expected(method: str, score: str) -> np.ndarray:
    """Mean success of what is picked, after 0, 1, ... episodes of each alpha.  -> [1 + EACH]"""
    rates = RATES[method].T  # [S, K]
    if score == TRAINED:  # the agents of all other seeds
        rates = (rates.sum(0) - rates) / (len(SEEDS) - 1)
    return np.array([(chances(method, b) * rates).sum(1).mean() for b in range(EACH + 1)])


def compute(budget: int, method: str, score: str) -> Numbers:
    """What tuning with `budget` episodes is worth, for every method and for the alphas of one."""
    name = SPELLED[method]
    curves = {spelled(m): expected(m, score) for m in METHODS}
    chance = chances(name, budget // len(ALPHAS)).mean(0)
    return Numbers(budget, method, score, curves, chance, RATES[name])


def layout(figure: Figure) -> tuple[Axes, ...]:
    curves = plots.label(
        figure.add_axes((0.08, 0.13, 0.45, 0.63)),
        "episodes spent on tuning a method",
        "success [%]",
        "expected of what is picked, exact",
    )
    each = plots.label(
        figure.add_axes((0.63, 0.13, 0.35, 0.63)), "alpha", "share [%]", "the alphas of one method"
    )
    curves.set_xlim(-4, len(ALPHAS) * EACH + 4)
    each.set_xlim(-0.6, len(ALPHAS) - 0.4)
    each.set_xticks(range(len(ALPHAS)), [f"{alpha:g}" for alpha in ALPHAS])
    for axes, top in ((curves, TOP), (each, 1.0)):
        axes.set_ylim(-0.03 * top, 1.4 * top)
        axes.set_yticks([0.0, top / 2, top], [f"{100 * x:g}" for x in (0.0, top / 2, top)])
    entries = {m: plots.reference(i) for i, m in enumerate(SPELLED)}
    plots.key(curves, entries, "upper right")
    marks = {"success of an agent": plots.learned(0), "chance to be picked": plots.EXACT}
    plots.key(each, marks, "upper left")
    return curves, each


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    curves, each = axes
    spent = len(ALPHAS) * np.arange(EACH + 1)
    curves.axvline(numbers.budget, ymax=0.76, color="#DDDDDD", linewidth=6.0, zorder=0)
    for series, values in enumerate(numbers.expected.values()):
        curves.plot(spent, values, **plots.reference(series))
        outline = {"markeredgecolor": plots.BLACK, "markersize": 7.0}
        curves.plot(numbers.budget, values[numbers.at], **plots.learned(series) | outline)
    places = np.arange(len(ALPHAS))
    each.bar(places, numbers.chance, 0.7, **plots.EXACT_BAR)
    series = [*SPELLED].index(numbers.method)
    shift = np.linspace(-0.12, 0.12, len(SEEDS))
    for place, rates in zip(places, numbers.rates, strict=True):
        each.plot(place + shift, rates, **plots.learned(series))
    found = ", ".join(f"{m} {values[numbers.at]:.0%}" for m, values in numbers.expected.items())
    plots.headline(curves, f"{numbers.budget} episodes of tuning: {found}")


def describe(numbers: Numbers) -> str:
    values = ", ".join(f"{m} {v[numbers.at]:.1%}" for m, v in numbers.expected.items())
    share = ", ".join(
        f"{alpha:g}: {chance:.0%} (agents {' '.join(f'{rate:.0%}' for rate in rates)})"
        for alpha, chance, rates in zip(ALPHAS, numbers.chance, numbers.rates, strict=True)
    )
    return (
        f"{numbers.budget} episodes spent on {len(ALPHAS)} alphas pick one; expected success of "
        f"{numbers.score}: {values}. Chance of each alpha of {numbers.method} to be picked: "
        f"{share}."
    )


def table(numbers: Numbers) -> Table:
    header = ("episodes", *numbers.expected)
    columns = [values.tolist() for values in numbers.expected.values()]
    return header, [*zip((len(ALPHAS) * np.arange(EACH + 1)).tolist(), *columns, strict=True)]


TUNING = Explorer(
    name="tuning",
    notebook="15",
    title="What do the papers' tables really say?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider(
            "budget", "episodes spent on tuning a method", 0, len(ALPHAS) * EACH, len(ALPHAS),
            5 * len(ALPHAS),
        ),
        Choice("method", "alphas of", tuple(SPELLED), next(iter(SPELLED))),
        Choice("score", "score of", (TRIED, TRAINED), TRIED),
    ),
    describe=describe,
    table=table,
    named={
        "An alpha by lot": {"budget": 0},
        "All you can afford": {"budget": len(ALPHAS) * EACH},
        "Trained anew": {"score": TRAINED, "budget": len(ALPHAS) * EACH},
    },
    motion="budget",
    predict_first=Predict(
        f"One agent of {next(iter(SPELLED))} was trained with each of {len(ALPHAS)} alphas from "
        f"{ALPHAS[0]:g} to {ALPHAS[-1]:g}. Each plays five episodes; the one with the most "
        "successes is kept (ties by lot). In how many of 100 episodes does the kept agent succeed, "
        "on average?",
        "episodes of 100",
        lambda numbers: 100 * float(numbers.expected[numbers.method][numbers.at]),
        digits=0,
        least=0.0,
        mark=lambda axes, value: plots.guess(axes[0], min(value / 100, 1.35 * TOP)),
    ),
)  # fmt: skip
