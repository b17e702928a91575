"""Notebook 04: what n trades, the operator's later presses against the errors of bootstraps."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.statistics import mean_and_error
from chunkrl.tabular.chunks import chunked, logged, n_step
from chunkrl.tabular.mdp import MDP, optimal, policy_value
from chunkrl.tabular.propagation import entry_errors, noisy, noisy_variance
from chunkrl.tabular.worlds import World, lock

LENGTH, LONGEST = 24, 8
N = np.arange(1, LONGEST + 1)


class Numbers(NamedTuple):
    """The start of the lock without slip, right pressed throughout; all exact, by n."""

    skill: float
    sigma: float
    best: float  # V*(start)
    bias: np.ndarray  # [LONGEST]   mean of the n-step critics - V*
    variance: np.ndarray  # [LONGEST]   of n-step critics, by the errors of their backups
    chunked: np.ndarray  # [LONGEST]   variance of chunked critics, whose mean is V*

    @property
    def total(self) -> np.ndarray:
        """The mean squared error of n-step critics."""
        return self.bias**2 + self.variance


def believed(world: World, n: int) -> tuple[MDP, MDP]:
    """What data say of n presses, filed under the first of them, and under all."""
    return n_step(world.mdp, world.behaviour, n), logged(world.mdp, world.behaviour, n).mdp


def compute(skill: float, sigma: float) -> Numbers:
    """Linear solves: each backup of each cell adds an error of its own, N(0, sigma^2)."""
    world = lock(LENGTH, slip=0.0, skill=skill)
    best = optimal(world.mdp)
    bias, variance, chunks = [], [], []
    for n in N.tolist():
        step, chunk = believed(world, n)
        bias.append(policy_value(step, best.choice)[0] - best.value[0])
        variance.append(noisy_variance(step, best.choice, sigma)[0])
        chunks.append(noisy_variance(chunk, optimal(chunk).choice, sigma)[0])
    return Numbers(
        skill, sigma, float(best.value[0]), np.array(bias), np.array(variance), np.array(chunks)
    )


class Lost(NamedTuple):
    """Critics learned with the maximum, one per seed, and what acting on them costs."""

    error: np.ndarray  # [SEEDS]   what it says of the start - V*(start)
    regret: np.ndarray  # [SEEDS]   V*(start) - what its choices obtain
    choice: np.ndarray  # [SEEDS, S]   what it chooses in each cell


SEEDS = 200


def lost(world: World, n: int, sigma: float) -> tuple[Lost, Lost]:
    """SEEDS n-step critics, and as many that read all n presses and type them without looking."""
    best = optimal(world.mdp).value[0]

    def of(learned: MDP, executed: MDP) -> Lost:
        errors = entry_errors(learned, sigma, SEEDS, np.random.default_rng(0))
        critic = noisy(learned, errors)
        obtained = policy_value(executed, critic.choice)[:, 0]
        return Lost(critic.value[:, 0] - best, best - obtained, critic.choice)

    step, chunk = believed(world, n)
    return of(step, world.mdp), of(chunk, chunked(world.mdp, n))


SIGMAS = (0.3, 1.0)  # of `with_the_maximum`


def with_the_maximum() -> plots.Picture:
    """By n, how far the values of n-step critics are off, what they lose, and what chunks lose."""
    world = lock(LENGTH, slip=0.0, skill=0.9)
    best = optimal(world.mdp).value[0]
    pairs = [[lost(world, n, sigma) for n in N.tolist()] for sigma in SIGMAS]
    critics, told = [[each[0] for each in row] for row in pairs], [each[1] for each in pairs[-1]]
    # [value or choice, SIGMAS, LONGEST, mean or its error]
    found = np.array(
        [
            [[mean_and_error(each.error**2) for each in row] for row in critics],
            [[mean_and_error(each.regret) for each in row] for row in critics],
        ]
    )
    square, regret = found[..., 0]
    chunks = np.array([mean_and_error(each.regret) for each in told])  # [LONGEST, mean or error]
    least = square.argmin(1)
    series: list[dict[str, Any]] = [
        plots.estimated(i) | {"linestyle": "-", "linewidth": 0.8} for i in range(len(SIGMAS) + 1)
    ]

    def panels(figure: Figure) -> tuple[Axes, ...]:
        value = plots.label(
            figure.add_axes((0.09, 0.14, 0.39, 0.66)),
            "n [steps]",
            "squared error of the start [reward²], log",
            f"their values: mean of {SEEDS} critics, ± 2 s.e.",
        )
        value.set_yscale("log")
        value.set_ylim(0.7, 10_000.0)
        value.set_yticks((1, 10, 100, 1000), ("1", "10", "100", "1000"), fontsize=8)
        value.minorticks_off()
        choice = plots.label(
            figure.add_axes((0.59, 0.14, 0.39, 0.66)),
            "n [steps]",
            "lost: V* - what it obtains [reward]",
            "their choices: what the same critics lose",
        )
        choice.set_ylim(-2.0, 90.0)
        for axes in (value, choice):
            axes.set_xlim(0.5, LONGEST + 0.5)
            axes.set_xticks(N)
        names = [f"sigma {sigma}" for sigma in SIGMAS] + [f"chunks of n, sigma {SIGMAS[-1]}"]
        plots.key(choice, dict(zip(names, series, strict=True)), loc=(0.36, 0.40))
        return value, choice

    def each(both: tuple[Axes, ...]) -> None:
        for axes, rows in zip(both, found, strict=True):
            for shift, row, style in zip((-0.06, 0.06), rows, series[:-1], strict=True):
                axes.errorbar(N + shift, row[:, 0], 2 * row[:, 1], capsize=2, **style)
        most = best + 1 / (1 - world.mdp.discount)
        both[1].hlines(most, 0.5, LONGEST + 0.5, **plots.reference(0) | {"linestyle": ":"})
        both[1].text(LONGEST + 0.4, most + 1.0, "never arrives", ha="right", fontsize=8)
        both[1].errorbar(N, chunks[:, 0], 2 * chunks[:, 1], capsize=2, **series[-1])
        at, style = int(least[-1]), {"color": series[1]["color"], "ha": "center", "fontsize": 10}
        both[0].text(N[at], 0.6 * square[-1, at], f"{square[-1, at]:.1f}", va="top", **style)
        both[1].text(N[at], 83.0, f"{regret[-1, at]:.1f}", **style)
        never = int((critics[-1][at].regret > 75).sum())
        at_best = f"values are best at n = {N[at]}; there {never} of {SEEDS} never arrive"
        title = f"sigma {SIGMAS[-1]:.0f}: {at_best}"
        plots.headline(both[0], title)

    each_sigma = "; ".join(
        f"sigma {sigma}: squared error {', '.join(f'{x:.1f}' for x in off)}, least at "
        f"n = {N[at]}, lost {', '.join(f'{x:.1f}' for x in costs)}"
        for sigma, off, costs, at in zip(SIGMAS, square, regret, least, strict=True)
    )
    also = f"chunks of n at sigma {SIGMAS[-1]} lose {', '.join(f'{x:.1f}' for x in chunks[:, 0])}"
    alt = f"n-step critics learned with the maximum, n = 1 to {LONGEST}. {each_sigma}; {also}."
    return plots.Picture(plots.still(panels, each), alt)


FOREIGN: dict[str, Any] = plots.reference(0) | {"linewidth": 2.0}
BOOTSTRAPS: dict[str, Any] = plots.reference(1) | {"linewidth": 2.0}
TOTAL: dict[str, Any] = plots.EXACT | {"linewidth": 2.2}
CHUNKS: dict[str, Any] = plots.reference(2) | {"linewidth": 2.0}
TRUTH: dict[str, Any] = plots.EXACT | {"linewidth": 1.0}
BAR: dict[str, Any] = {"color": plots.BLACK, "linewidth": 1.4, "linestyle": "none"}


def layout(figure: Figure) -> tuple[Axes, ...]:
    value = plots.label(
        figure.add_axes((0.09, 0.14, 0.34, 0.62)),
        "n [steps]",
        "value of the start [reward]",
        "n-step critics: mean ± 1 s.d.",
    )
    square = plots.label(
        figure.add_axes((0.54, 0.14, 0.44, 0.62)),
        "n [steps]",
        "squared error of the start [reward²]",
        "one curve for each effect, and their sum",
    )
    for axes in (value, square):
        axes.set_xlim(0.5, LONGEST + 0.5)
        axes.set_xticks(N)
    entries = {
        "sum, n-step": TOTAL,
        "bias²: her later presses": FOREIGN,
        "variance: bootstraps": BOOTSTRAPS,
        "sum, chunked (no bias)": CHUNKS,
    }
    plots.key(square, entries, loc="upper right")
    return value, square


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    value, square = axes
    off = np.sqrt(numbers.variance)
    mean, at = numbers.best + numbers.bias, int(numbers.total.argmin())
    value.hlines(numbers.best, 0.5, LONGEST + 0.5, **TRUTH)
    value.text(LONGEST + 0.4, numbers.best, "V*, the truth", ha="right", va="bottom", fontsize=9)
    value.errorbar(N, mean, off, capsize=3, **BAR)
    value.hlines(mean, N - 0.3, N + 0.3, **plots.EXACT)
    reach = plots.nice_top(max(4.0, float((off - numbers.bias).max())))
    value.set_ylim(numbers.best - 1.1 * reach, numbers.best + 0.9 * reach)

    square.plot(N, numbers.bias**2, **FOREIGN)
    square.plot(N, numbers.variance, **BOOTSTRAPS)
    square.plot(N, numbers.chunked, **CHUNKS)
    square.plot(N, numbers.total, **TOTAL)
    top = plots.nice_top(max(4.0, float(numbers.total.max())))
    square.set_ylim(0.0, 1.55 * top)
    square.plot(at + 1, numbers.total[at], color=plots.BLACK, marker="o", markersize=6)
    least = f"{numbers.total[at]:.1f}"
    square.text(at + 1, numbers.total[at] + 0.09 * top, least, ha="center", fontsize=10)
    plots.headline(
        value,
        f"q = {numbers.skill:.2f}, sigma {numbers.sigma:.1f}: n-step critics err least at "
        f"n = {at + 1}, chunked ones at {int(numbers.chunked.argmin()) + 1}",
    )


def describe(numbers: Numbers) -> str:
    at = int(numbers.total.argmin())
    parts = "; ".join(
        f"n = {n}: {bias**2:.1f} + {variance:.1f} = {bias**2 + variance:.1f}, chunked {chunk:.1f}"
        for n, bias, variance, chunk in zip(
            N.tolist(), numbers.bias, numbers.variance, numbers.chunked, strict=True
        )
    )
    return (
        f"Squared error of the start of the lock, worth {numbers.best:.2f}, with data of skill "
        f"{numbers.skill:.2f} and an error of standard deviation {numbers.sigma:.1f} in each "
        f"backup, as bias squared by the logged later presses + variance by bootstraps. {parts}. "
        f"Least for n-step critics: {numbers.total[at]:.1f} at n = {at + 1}."
    )


def table(numbers: Numbers) -> Table:
    header = ("n, exact", "bias", "bias squared", "variance", "sum", "sum, chunked")
    columns = (
        numbers.bias, numbers.bias**2, numbers.variance, numbers.total, numbers.chunked,
    )  # fmt: skip
    return header, list(zip(N.tolist(), *(each.tolist() for each in columns), strict=True))


TWO_ERRORS = Explorer(
    name="two_errors",
    notebook="04",
    title="Why not simply use n-step returns?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("sigma", "error of each backup sigma [reward]", 0.2, 2.0, 0.2, 1.0),
        Slider("skill", "skill of the logging policy q", 0.5, 1.0, 0.05, 0.9),
    ),
    describe=describe,
    table=table,
    named={
        "Good critic": {"sigma": 0.4},
        "Better data": {"skill": 0.95},
        "Expert's data": {"skill": 1.0},
    },
    motion="sigma",
)
