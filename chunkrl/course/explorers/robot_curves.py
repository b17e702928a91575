"""Notebook 12: success of trained agents, as far as the seeds that you may see can tell."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Choice, Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.experiments.report import spelled
from chunkrl.play.evaluate import wilson
from chunkrl.results import robot_runs

OURS = "qc_fql"
STEPS = sorted({row.step for row in robot_runs.load_curves()})
SEEDS = sorted({row.seed for row in robot_runs.load_curves()})
METHODS = tuple(dict.fromkeys(row.method for row in robot_runs.load_curves()))
OTHERS = tuple(method for method in METHODS if method != OURS)
SHOWN = {OURS: 0, **dict.fromkeys(OTHERS, 1)}  # series of its marks


class Numbers(NamedTuple):
    other: str
    step: int
    seeds: int
    rate: dict[str, np.ndarray]  # method -> [S, steps]   success of each seed seen
    interval: dict[str, np.ndarray]  # method -> [S, steps, 2]   its 95% Wilson interval
    pooled: dict[
        str, np.ndarray
    ]  # method -> [3]   at `step`: rate, low, high of all their episodes

    @property
    def separate(self) -> bool:
        """Whether the pooled intervals do not overlap."""
        (_, low, high), (_, low_other, high_other) = (
            self.pooled[method] for method in (OURS, self.other)
        )
        return bool(low > high_other or low_other > high)


def compute(against: str, updates: int, seeds: int) -> Numbers:
    """Evaluations of the first `seeds` seeds of two methods, and their episodes taken together."""
    rate, interval, pooled = {}, {}, {}
    for method in (OURS, against):
        rows = {
            (row.seed, row.step): row for row in robot_runs.load_curves() if row.method == method
        }
        seen = [[rows[seed, step] for step in STEPS] for seed in SEEDS[:seeds]]
        rate[method] = np.array([[r.successes / r.episodes for r in line] for line in seen])
        interval[method] = np.array(
            [[wilson(r.successes, r.episodes) for r in line] for line in seen]
        )
        here = [line[STEPS.index(updates)] for line in seen]
        successes, episodes = sum(r.successes for r in here), sum(r.episodes for r in here)
        pooled[method] = np.array([successes / episodes, *wilson(successes, episodes)])
    return Numbers(against, updates, seeds, rate, interval, pooled)


def layout(figure: Figure) -> tuple[Axes, ...]:
    curves = plots.label(
        figure.add_axes((0.09, 0.13, 0.55, 0.64)),
        "updates [thousands]",
        "success rate",
        "each seed, with the luck of its episodes",
    )
    rates = plots.label(
        figure.add_axes((0.74, 0.13, 0.24, 0.64), sharey=curves), "", "", "seeds taken together"
    )
    curves.set_ylim(-0.03, 1.05)
    curves.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
    curves.set_xlim(0, 1.1 * STEPS[-1] / 1000)
    rates.set_xlim(-0.6, 1.6)
    rates.set_xticks([])
    rates.tick_params(labelleft=False)
    return curves, rates


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    curves, rates = axes
    width = 0.012 * STEPS[-1] / 1000
    for place, method in enumerate((OURS, numbers.other)):
        style = plots.learned(SHOWN[method])
        for seed in range(numbers.seeds):
            rate, band = numbers.rate[method][seed], numbers.interval[method][seed]
            x = np.array(STEPS) / 1000 + width * (2.2 * place - 1.1 + 0.6 * (seed - 1))
            error = np.abs(band.T - rate)
            line: dict[str, Any] = style | {"linestyle": "-", "linewidth": 0.6}
            curves.errorbar(x, rate, error, **line)
        rate, low, high = numbers.pooled[method]
        large: dict[str, Any] = style | {"markersize": 9}
        rates.errorbar(place, rate, [[rate - low], [high - rate]], **large)
        beyond = (high + 0.03, "bottom") if high < 0.8 else (low - 0.03, "top")
        text = f"{spelled(method)}\n{rate:.0%}"
        rates.text(place, beyond[0], text, va=beyond[1], ha="center", fontsize=10)
    curves.vlines(numbers.step / 1000, -0.03, 1.05, color=plots.BLACK, linestyle=":", linewidth=1.2)
    seeds = f"{numbers.seeds} seed{'s' * (numbers.seeds > 1)}"
    verdict = "the intervals separate" if numbers.separate else "the intervals overlap"
    plots.headline(curves, f"{numbers.step:,} updates, {seeds} of each method: {verdict}")


def describe(numbers: Numbers) -> str:
    parts = [
        f"{spelled(method)} {rate:.0%} [{low:.0%}, {high:.0%}]"
        for method, (rate, low, high) in numbers.pooled.items()
    ]
    return (
        f"After {numbers.step:,} updates, {numbers.seeds} seed{'s' * (numbers.seeds > 1)} of each "
        f"method: {' and '.join(parts)} success, 95% intervals of the episodes taken together; "
        f"they {'do not overlap' if numbers.separate else 'overlap'}."
    )


def table(numbers: Numbers) -> Table:
    header = ("method", "seed", "updates", "success", "95% from", "to")
    rows = [
        (spelled(method), SEEDS[seed], step, rate[seed, i], *numbers.interval[method][seed, i])
        for method, rate in numbers.rate.items()
        for seed in range(numbers.seeds)
        for i, step in enumerate(STEPS)
    ]
    return header, rows


ROBOT_CURVES = Explorer(
    name="robot_curves",
    notebook="12",
    title="Does it work on a robot?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Choice("against", "QC-FQL against", OTHERS, OTHERS[0]),
        Slider("updates", "updates", STEPS[0], STEPS[-1], STEPS[1] - STEPS[0], STEPS[-1]),
        Slider("seeds", "seeds that you may see", 1, len(SEEDS), 1, len(SEEDS)),
    ),
    describe=describe,
    table=table,
    predict_first=Predict(
        "FQL decides one action at a time and learns from one reward at a time. After the last "
        "stored update, in how many of 100 episodes does it put the cube in its place?",
        "episodes of 100",
        lambda numbers: 100 * float(numbers.pooled["fql"][0]),
        digits=0,
    ),
)
