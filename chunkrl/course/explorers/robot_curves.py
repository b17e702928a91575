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
from chunkrl.results import robot_runs, robot_tuning
from chunkrl.statistics import difference, mean_interval

OURS = "qc_fql"
ROWS = {(row.method, row.seed, row.step): row for row in robot_runs.load_curves()}
OTHERS = tuple(dict.fromkeys(method for method, *_ in ROWS if method != OURS))
SEEDS = sorted({seed for _, seed, _ in ROWS})
STEPS = sorted({step for *_, step in ROWS})
SHOWN = {OURS: 0, **{method: 1 + i for i, method in enumerate(OTHERS)}}  # series of its marks
LOWEST = -30  # points, of the axis of differences: longer whiskers end there
FEW = 4  # seeds: up to here each has a bar for the luck of its episodes
AVERAGES = {"this evaluation": 1, "this and the two before": 3}
COUNT: np.ndarray = np.array(
    [[[ROWS[m, s, t].successes for t in STEPS] for s in SEEDS] for m in SHOWN]
)
EPISODES: np.ndarray = np.array(
    [[[ROWS[m, s, t].episodes for t in STEPS] for s in SEEDS] for m in SHOWN]
)
RATE = dict(zip(SHOWN, COUNT / EPISODES, strict=True))  # method -> [S, steps]


class Numbers(NamedTuple):
    updates: int
    begin: int  # updates from which on evaluations are averaged
    seeds: tuple[int, ...]
    curve: dict[str, np.ndarray]  # method -> [steps, 3]   mean of the seeds, and its interval
    rate: dict[str, np.ndarray]  # method -> [S]   each seed at `updates`, averaged from `begin`
    luck: dict[str, np.ndarray]  # method -> [S, 2]   Wilson's interval of its episodes
    gap: dict[str, np.ndarray]  # other method -> [3]   OURS minus it, and the interval over seeds

    @property
    def known(self) -> bool:
        """Whether seeds, of which it takes two, say how far they differ."""
        return len(self.seeds) > 1


def spread(rates: np.ndarray) -> list[float]:
    """Mean of the seeds and its 95% interval, of no width where there is but one.  -> 3 numbers"""
    mean = float(rates.mean())
    return [mean, *(mean_interval(rates) if len(rates) > 1 else (mean, mean))]


def compute(updates: int, average: str, seeds: int, first: int) -> Numbers:
    """What `seeds` seeds of every method show, counted on from number `first` and round again."""
    seen = [(SEEDS.index(first) + i) % len(SEEDS) for i in range(seeds)]
    end = STEPS.index(updates) + 1
    begin = max(end - AVERAGES[average], 0)
    earliest = max(updates - (AVERAGES[average] - 1) * (STEPS[1] - STEPS[0]), 0)
    curve, rate, luck = {}, {}, {}
    for i, method in enumerate(SHOWN):
        curve[method] = np.array([spread(r) for r in RATE[method][seen].T])
        rate[method] = RATE[method][seen, begin:end].mean(1)
        played = zip(COUNT[i, seen, begin:end], EPISODES[i, seen, begin:end], strict=True)
        luck[method] = np.array([wilson(int(k.sum()), int(n.sum())) for k, n in played])
    gap = {}
    for other in OTHERS:
        apart = rate[OURS].mean() - rate[other].mean()
        found = difference(rate[OURS], rate[other]) if seeds > 1 else (apart, apart, apart)
        gap[other] = np.array(found)
    return Numbers(updates, earliest, tuple(SEEDS[i] for i in seen), curve, rate, luck, gap)


def layout(figure: Figure) -> tuple[Axes, ...]:
    curves = plots.label(
        figure.add_axes((0.095, 0.13, 0.36, 0.63)),
        "updates [thousands]",
        "success rate",
    )
    seeds = plots.label(
        figure.add_axes((0.49, 0.13, 0.28, 0.63), sharey=curves),
        "",
        "",
    )
    gaps = plots.label(
        figure.add_axes((0.865, 0.13, 0.12, 0.63)),
        "",
        "percentage points",
        f"{spelled(OURS)}'s lead",
    )
    curves.set_ylim(-0.03, 1.05)
    curves.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
    curves.set_xlim(0, 1.06 * STEPS[-1] / 1000)
    seeds.set_xlim(-0.7, len(SHOWN) - 0.35)
    seeds.set_xticks(range(len(SHOWN)), [spelled(m) for m in SHOWN], fontsize=9)
    seeds.tick_params(labelleft=False)
    gaps.set_ylim(LOWEST, 100)
    gaps.set_yticks([0, 25, 50, 75, 100])
    gaps.set_xlim(-0.6, len(OTHERS) - 0.4)
    gaps.set_xticks(range(len(OTHERS)), [f"over\n{spelled(m)}" for m in OTHERS], fontsize=9)
    for axes in (seeds, gaps):
        axes.tick_params(axis="x", length=0)
    tuned = {f"{spelled(m)}, alpha {robot_tuning.best(m):g}": i for m, i in SHOWN.items()}
    plots.key(curves, {name: plots.learned(i) for name, i in tuned.items()}, "upper left")
    return curves, seeds, gaps


TITLES = {  # of curves and seeds; one seed has no interval over seeds
    True: ("mean of the seeds, 95% interval", "each seed (small), mean (large)"),
    False: ("this seed alone", "bar: luck of its episodes, 95%"),
}


def beside(rates: np.ndarray) -> np.ndarray:
    """How far aside each of `rates` is drawn, so that near ones stand in a row.  [S] -> [S]"""
    found, row = np.zeros(len(rates)), np.round(rates / 0.04)
    for each in np.unique(row):
        (same,) = np.nonzero(row == each)
        found[same] = 0.11 * (np.arange(len(same)) - (len(same) - 1) / 2)
    return found


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    curves, each, gaps = axes
    x = np.array(STEPS) / 1000
    begin, end = numbers.begin / 1000, numbers.updates / 1000
    margin = 0.03 * x[-1]
    told = TITLES[numbers.known]
    for panel, title in zip((curves, each), told, strict=True):
        panel.text(0.0, 1.04, title, transform=panel.transAxes, fontsize=10)
    curves.axvspan(begin - margin, end + margin, color="#E8E8E8", zorder=0, linewidth=0)
    for place, (method, series) in enumerate(SHOWN.items()):
        style: dict[str, Any] = plots.learned(series)
        line: dict[str, Any] = style | {"linestyle": "-", "linewidth": 1.0, "elinewidth": 0.8}
        mean, low, high = np.clip(numbers.curve[method].T, 0.0, 1.0)
        aside = x + 0.009 * STEPS[-1] / 1000 * (place - 1)
        curves.errorbar(aside, mean, [mean - low, high - mean], **line)
        rate, luck = numbers.rate[method], numbers.luck[method]
        off = np.clip(np.abs(luck.T - rate), 0, 1)
        if not numbers.known:  # nothing but the seed
            alone: dict[str, Any] = style | {"elinewidth": 0.7, "markersize": 8.5}
            each.errorbar(place, rate, off, **alone)
            each.text(place + 0.17, rate[0], f"{rate[0]:.1%}", va="center", fontsize=9)
            continue
        few: dict[str, Any] = style | {"elinewidth": 0.7, "markersize": 3.5}
        each.errorbar(place - 0.28 + beside(rate), rate, off if len(rate) <= FEW else None, **few)
        mean, low, high = np.clip(spread(rate), 0.0, 1.0)
        thick: dict[str, Any] = style | {"elinewidth": 2.2, "markersize": 8.5}
        each.errorbar(place + 0.30, mean, [[mean - low], [high - mean]], **thick)
        each.text(place + 0.30, high + 0.03, f"{mean:.1%}", ha="center", fontsize=9)
    gaps.axhline(0.0, color=plots.BLACK, linewidth=0.8)
    for place, other in enumerate(OTHERS):
        gap, low, high = np.clip(100 * numbers.gap[other], LOWEST, 100)
        bold: dict[str, Any] = plots.learned(SHOWN[other]) | {"elinewidth": 2.2, "markersize": 8.5}
        gaps.errorbar(place, gap, [[gap - low], [high - gap]], **bold)
        # Above the first and below the second: side by side two long numbers touch.
        at, va = (high + 8.0, "bottom") if place == 0 else (low - 8.0, "top")
        gaps.text(place, at, f"{gap:+.1f}", fontsize=10, ha="center", va=va)
    gap, low, high = 100 * numbers.gap[OTHERS[0]]
    names = f"{spelled(OURS)} minus {spelled(OTHERS[0])}"
    known = (
        f"95% [{low:+.0f}, {high:+.0f}]" if numbers.known
        else "one seed each: no interval"
    )  # fmt: skip
    plots.headline(curves, f"{_seeds(numbers)}: {names} {gap:+.1f} points, {known}")


def _seeds(numbers: Numbers) -> str:
    count = len(numbers.seeds)
    if count == len(SEEDS):
        first = numbers.seeds[0]
        return f"All {count} seeds" + (f", from number {first}" if first else "")
    if count > FEW:
        return f"{count} seeds from number {numbers.seeds[0]}"
    return f"Seed{'s' * numbers.known} {', '.join(map(str, numbers.seeds))}"


def describe(numbers: Numbers) -> str:
    rates = ", ".join(
        f"{spelled(method)} {rates.mean():.1%} ({', '.join(f'{rate:.0%}' for rate in rates)})"
        for method, rates in numbers.rate.items()
    )
    when = f"{numbers.updates:,} updates"
    if numbers.begin < numbers.updates:
        when = f"evaluations from {numbers.begin:,} to {when}, averaged"
    gaps = "; ".join(
        f"minus {spelled(other)} {100 * gap:+.1f} points"
        + f", 95% interval over seeds [{100 * low:+.0f}, {100 * high:+.0f}]" * numbers.known
        for other, (gap, low, high) in numbers.gap.items()
    )
    return (
        f"Success at {when}, mean of the seeds (each seed): {rates}. {spelled(OURS)} {gaps}"
        f"{'' if numbers.known else ', and one seed has no interval'}."
    )


def table(numbers: Numbers) -> Table:
    header = ("method", "seed", "success", "luck of episodes from", "to")
    rows = [
        (spelled(method), seed, float(rate), float(low), float(high))
        for method in SHOWN
        for seed, rate, (low, high) in zip(
            numbers.seeds, numbers.rate[method], numbers.luck[method], strict=True
        )
    ]
    rows += [
        (f"{spelled(OURS)} minus {spelled(other)}", "over seeds", *map(float, gap))
        for other, gap in numbers.gap.items()
    ]
    return header, rows


START = "this evaluation"
LAST = STEPS[-1]
GAPS = [RATE[OURS][i, -1] - RATE[OTHERS[0]][i, -1] for i in range(len(SEEDS))]

ROBOT_CURVES = Explorer(
    name="robot_curves",
    notebook="12",
    title="Does it work on a robot?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("updates", "updates", STEPS[0], LAST, STEPS[1] - STEPS[0], LAST),
        Choice("average", "each seed's success", tuple(AVERAGES), START),
        Slider("seeds", "seeds that you may see", 1, len(SEEDS), 1, len(SEEDS)),
        Slider("first", "counted from seed", SEEDS[0], SEEDS[-1], 1, SEEDS[0]),
    ),
    describe=describe,
    table=table,
    named={
        "One seed: a triumph": {"seeds": 1, "first": SEEDS[int(np.argmax(GAPS))]},
        "One seed: nothing": {"seeds": 1, "first": SEEDS[int(np.argmin(np.abs(GAPS)))]},
        "Averages": {"average": "this and the two before"},
        "Halfway": {"updates": STEPS[len(STEPS) // 2 - 1]},
    },
    motion="updates",
    predict_first=Predict(
        "FQL decides one action at a time and learns from one reward at a time. After the last "
        "stored update, in how many of 100 episodes does it put the cube in its place (mean of "
        "the seeds)?",
        "episodes of 100",
        lambda numbers: 100 * float(numbers.rate["fql"].mean()),
        digits=0,
        mark=lambda axes, value: plots.guess(axes[1], value / 100),
    ),
)
