"""Notebook 17: what ways to act by one critic of chunks did on a robot in equal core time."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Choice, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.experiments.report import spelled
from chunkrl.play.evaluate import wilson
from chunkrl.results import extractions
from chunkrl.results.extractions import ENTRIES, SEEDS, TUNING
from chunkrl.statistics import difference, mean_interval

ENTRY = {entry.method: entry for entry in ENTRIES["rewards"]}
METHODS = tuple(ENTRY)
ROWS = {
    (row.method, row.value, row.seed): row for row in extractions.load() if row.task == "rewards"
}
BEST = {method: extractions.best("rewards", method) for method in METHODS}
TRIED = {
    m: np.array([[ROWS[m, v, s].successes for s in TUNING] for v in ENTRY[m].values]).sum(1)
    / sum(ROWS[m, BEST[m], s].episodes for s in TUNING)
    for m in METHODS
}
FOUND = {m: [ROWS[m, BEST[m], s] for s in SEEDS] for m in METHODS}


class Numbers(NamedTuple):
    method: str
    seeds: int
    tried: dict[str, np.ndarray]  # method -> [4]   success of each value on the seed that tunes
    rate: dict[str, np.ndarray]  # method -> [S]   success of each reported seed
    luck: dict[str, np.ndarray]  # method -> [S, 2]   Wilson's interval of its episodes
    gap: dict[str, np.ndarray]  # other method -> [3]   `method` minus it, and interval over seeds


def compute(method: str, seeds: int) -> Numbers:
    """What the first `seeds` reported seeds of every method show."""
    rows = {m: FOUND[m][:seeds] for m in METHODS}
    rate = {m: np.array([r.successes / r.episodes for r in of]) for m, of in rows.items()}
    luck = {m: np.array([wilson(r.successes, r.episodes) for r in of]) for m, of in rows.items()}
    gap = {}
    for other in METHODS:
        apart = rate[method].mean() - rate[other].mean()
        several = seeds > 1 and other != method
        found = difference(rate[method], rate[other]) if several else (apart, apart, apart)
        gap[other] = np.array(found)
    return Numbers(method, seeds, TRIED, rate, luck, gap)


def layout(figure: Figure) -> tuple[Axes, ...]:
    tuned = plots.label(
        figure.add_axes((0.085, 0.13, 0.2, 0.63)), "value tried", "success rate", "to tune: a seed"
    )
    each = plots.label(
        figure.add_axes((0.335, 0.13, 0.34, 0.63), sharey=tuned), "", "",
        "reported seeds; bold: mean, 95% of seeds",
    )  # fmt: skip
    gaps = plots.label(figure.add_axes((0.745, 0.13, 0.24, 0.63)), "", "points", "minus the others")
    tuned.set_ylim(-0.03, 1.05)
    tuned.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
    tuned.set_xlim(-0.3, 3.3)
    tuned.set_xticks(range(4), ["1st", "2nd", "3rd", "4th"])
    each.tick_params(labelleft=False)
    gaps.set_ylim(-100, 100)
    for axes in (each, gaps):
        axes.set_xlim(-0.6, len(METHODS) - 0.4)
        axes.set_xticks(range(len(METHODS)), [spelled(m) for m in METHODS], fontsize=8)
        axes.tick_params(axis="x", length=0)
    return tuned, each, gaps


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    tuned, each, gaps = axes
    for place, method in enumerate(METHODS):
        shown = method == numbers.method
        style: dict[str, Any] = plots.learned(place)
        line = {"linestyle": "-", "linewidth": 2.0 if shown else 0.5}
        tuned.plot(np.arange(4), numbers.tried[method], **style | line)
        rate, luck = numbers.rate[method], numbers.luck[method]
        at = place + 0.15 * np.arange(len(rate)) - 0.35
        each.errorbar(at, rate, np.abs(luck.T - rate), **style | {"elinewidth": 0.7})
        thick: dict[str, Any] = style | {"elinewidth": 2.2, "markersize": 8.5}
        low, high = mean_interval(rate) if len(rate) > 1 else (rate.mean(), rate.mean())
        mean = rate.mean()
        bars = [[mean - max(low, 0.0)], [min(high, 1.0) - mean]]
        each.errorbar(place + 0.3, mean, bars, **thick)
        if not shown:
            gap, low, high = np.clip(100 * numbers.gap[method], -100, 100)
            gaps.errorbar(place, gap, [[gap - low], [high - gap]], **thick)
    gaps.axhline(0.0, color=plots.BLACK, linewidth=0.8)
    name, method = spelled(numbers.method), numbers.method
    knob = f"{ENTRY[method].setting.replace('_', ' ')} {BEST[method]:g}"
    plots.headline(
        tuned,
        f"{name}, {knob}: {numbers.rate[method].mean():.0%} of {numbers.seeds} "
        f"seed{'s' * (numbers.seeds > 1)}, {FOUND[method][0].updates:,} updates",
    )


def describe(numbers: Numbers) -> str:
    each = "; ".join(
        f"{spelled(m)} ({ENTRY[m].setting.replace('_', ' ')} {BEST[m]:g}, "
        f"{FOUND[m][0].updates:,} updates) {rate.mean():.0%} "
        f"({', '.join(f'{r:.0%}' for r in rate)})"
        for m, rate in numbers.rate.items()
    )
    gaps = ", ".join(
        f"{spelled(other)} {100 * gap:+.0f}" + f" [{100 * low:+.0f}, {100 * high:+.0f}]" * several
        for other, (gap, low, high) in numbers.gap.items()
        if other != numbers.method
        for several in [numbers.seeds > 1]
    )
    return (
        f"Success after equal core time, mean of the reported seeds (each): {each}. "
        f"{spelled(numbers.method)} minus the others, points and 95% intervals over seeds: {gaps}."
    )


def table(numbers: Numbers) -> Table:
    header = ("method", "value", "seed", "updates", "success", "luck of episodes from", "to")
    rows = [
        (spelled(m), float(v), "tuning", ENTRY[m].updates(v, TIME), float(rate), *wilson_of(m, v))
        for m in METHODS
        for v, rate in zip(ENTRY[m].values, numbers.tried[m], strict=True)
    ]
    rows += [
        (spelled(m), float(BEST[m]), str(row.seed), row.updates, float(rate), *map(float, luck))
        for m in METHODS
        for row, rate, luck in zip(FOUND[m], numbers.rate[m], numbers.luck[m], strict=False)
    ]
    return header, rows


def wilson_of(method: str, value: float) -> tuple[float, float]:
    """The interval of a tried value's episodes."""
    rows = [ROWS[method, value, seed] for seed in TUNING]
    low, high = wilson(sum(r.successes for r in rows), sum(r.episodes for r in rows))
    return float(low), float(high)


TIME = extractions.SECONDS["rewards"][TUNING]

EXTRACTION_RUNS = Explorer(
    name="extraction_runs",
    notebook="17",
    title="Rejection sampling or gradient?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Choice("method", "a method against the others", METHODS, "qc"),
        Slider("seeds", "seeds that you may see", 1, len(SEEDS), 1, len(SEEDS)),
    ),
    describe=describe,
    table=table,
    named={"One seed": {"seeds": 1}, "Adjoint matching": {"method": "qam"}},
)
