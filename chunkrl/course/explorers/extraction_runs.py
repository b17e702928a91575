"""Notebook 17: what each way to act makes of the same critics on a robot, in equal time."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Choice, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.course.explorers.robot_curves import spread
from chunkrl.course.explorers.robot_paths import apart
from chunkrl.experiments.report import spelled
from chunkrl.results import extractions
from chunkrl.results.extractions import ENTRIES, SECONDS, SEEDS, TASKS, TUNING

TRIED = range(1, 5)  # the values of a knob, by their place in its list


class Numbers(NamedTuple):
    task: str
    base: str  # the method that the others are compared with
    rate: dict[str, np.ndarray]  # method -> [S]   success of each reported seed
    gap: dict[str, np.ndarray]  # method -> [3]   minus the base's, and the interval over seeds
    tried: dict[str, dict[float, float]]  # method -> value of its knob -> success, tuning seed
    chosen: dict[str, float]  # method -> the value that was taken


def compute(task: str, base: int) -> Numbers:
    """Every seed of every method of a task, beside method number `base`, best first."""
    rate = dict(sorted(extractions.reported(task).items(), key=lambda pair: -pair[1].mean()))
    name = [*rate][base - 1]
    return Numbers(
        task,
        name,
        rate,
        {m: np.array(apart(x, rate[name])) for m, x in rate.items() if m != name},
        {entry.method: extractions.tried(task, entry.method) for entry in ENTRIES[task]},
        {entry.method: extractions.best(task, entry.method) for entry in ENTRIES[task]},
    )


def layout(figure: Figure) -> tuple[Axes, ...]:
    success = figure.add_axes((0.09, 0.15, 0.52, 0.64))
    plots.label(success, "", "", "success: each seed (small), and their mean, 95% over seeds")
    success.set_xlim(-0.6, 4.6)
    success.set_ylim(-0.03, 1.03)
    success.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
    success.set_xticks([])
    tuned = figure.add_axes((0.70, 0.15, 0.28, 0.64))
    plots.label(tuned, "value of the knob: place in its list", "", "tuning: one seed; large: taken")
    tuned.set_xlim(0.7, 4.3)
    tuned.set_xticks(TRIED)
    tuned.set_ylim(-0.03, 1.03)
    tuned.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
    return success, tuned


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    success, tuned = axes
    listed = [entry.method for entry in ENTRIES[numbers.task]]
    for place, (method, rates) in enumerate(numbers.rate.items()):
        series = listed.index(method)
        small: dict[str, Any] = plots.learned(series) | {"markersize": 4.0}
        success.plot(place - 0.25 + 0.1 * np.arange(len(rates)), rates, **small)
        mean, low, high = np.clip(spread(rates), 0.0, 1.0)
        success.errorbar(place + 0.2, mean, [[mean - low], [high - mean]], **plots.learned(series))
        text = spelled(method)
        if method in numbers.gap:
            text += "\n{:+.0f} [{:+.0f}, {:+.0f}]".format(*(100 * numbers.gap[method]))
        success.text(place, -0.05, text, ha="center", va="top", fontsize=8)
        line: dict[str, Any] = plots.learned(series) | {"markersize": 4.0, "linestyle": "-"}
        tried = numbers.tried[method]
        tuned.plot([*TRIED], [*tried.values()], linewidth=0.8, **line)
        chosen = [*tried].index(numbers.chosen[method])
        tuned.plot(TRIED[chosen], [*tried.values()][chosen], **plots.learned(series))
    plots.headline(success, headline(numbers))


def headline(numbers: Numbers) -> str:
    clear = sum(bool(low > 0 or high < 0) for _, low, high in numbers.gap.values())
    return (
        f"{spelled(numbers.base)} against four others: {clear} of {len(numbers.gap)} differences "
        "clear of their interval"
    )


def describe(numbers: Numbers) -> str:
    each = "; ".join(
        f"{spelled(m)} {x.mean():.0%} ({', '.join(f'{r:.0%}' for r in x)})"
        for m, x in numbers.rate.items()
    )
    gaps = ", ".join(
        "{} {:+.0f} [{:+.0f}, {:+.0f}]".format(spelled(m), *(100 * gap))
        for m, gap in numbers.gap.items()
    )
    return (
        f"The task with {numbers.task}, {SECONDS[numbers.task][SEEDS]} s of one core a seed: "
        f"{each}. Minus {spelled(numbers.base)}, in points (95% over seeds): {gaps}."
    )


def table(numbers: Numbers) -> Table:
    header = ("method", "what", "mean of seeds", "95% from", "to")
    rows: list[tuple] = [
        (spelled(m), "success", *map(float, spread(x))) for m, x in numbers.rate.items()
    ]
    rows += [
        (spelled(m), f"minus {spelled(numbers.base)}", *map(float, gap))
        for m, gap in numbers.gap.items()
    ]
    for entry in ENTRIES[numbers.task]:
        name, told = spelled(entry.method), f"seed {TUNING[0]}, {entry.setting}"
        tried = numbers.tried[entry.method].items()
        rows += [(name, f"{told} {value:g}", rate, "", "") for value, rate in tried]
    return header, rows


EXTRACTION_RUNS = Explorer(
    name="extraction_runs",
    notebook="17",
    title="Rejection sampling or gradient?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Choice("task", "task with", tuple(TASKS), "rewards"),
        Slider("base", "compare with number (best first)", 1, 5, 1, 1),
    ),
    describe=describe,
    table=table,
    named={"Goals": {"task": "goals"}},
)
