"""Notebook 10: models of one and of many steps, unrolled along real chunks of held-out logs."""

from functools import partial
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import t as student

from chunkrl import plots
from chunkrl.course.controls import Choice, Table
from chunkrl.course.explorer import Explorer
from chunkrl.errors import ConfigError
from chunkrl.measure.drift import STEPS
from chunkrl.results.model_drift import Rows, stored

STILL = 0  # the chunk under which the error of predicting no motion is stored
QUANTITIES = {
    "mse": "mean squared error [normalised units]",
    "hand_cm": "error of the hand's position [cm]",
    "cube_cm": "error of the cube's position [cm]",
}
NOTHING = {"color": plots.BLACK, "linestyle": ":", "linewidth": 1.2}


class Numbers(NamedTuple):
    quantity: str
    still: np.ndarray  # [K, 3]   step, error, 0
    curves: dict[int, np.ndarray]  # steps per call -> [K, 3]   step, mean over seeds, half width
    seeds: dict[int, int]  # steps per call -> models trained


def curve(rows: Rows, chunk: int, quantity: str = "mse") -> np.ndarray:
    """Step, mean over seeds, half width of its 95% interval (Student's t).  -> [K, 3]

    One seed has no interval: its half width is 0.
    """
    mine = [row for row in rows if row["chunk"] == chunk]
    if not mine:
        raise ConfigError(f"there is no measurement of chunks of {chunk}")
    found = []
    for step in sorted({row["step"] for row in mine}):
        values = np.array([row[quantity] for row in mine if row["step"] == step])
        half = 0.0
        if len(values) > 1:
            spread = values.std(ddof=1) / np.sqrt(len(values))
            half = float(student.ppf(0.975, len(values) - 1)) * spread
        found.append((step, values.mean(), half))
    return np.array(found)


def chunks_of(rows: Rows) -> list[int]:
    """The chunk lengths that were trained."""
    return sorted({int(row["chunk"]) for row in rows} - {STILL})


def compute(rows: Rows, quantity: str) -> Numbers:
    """The curves of all chunk lengths that `rows` hold."""
    lengths = chunks_of(rows)
    return Numbers(
        quantity,
        curve(rows, STILL, quantity),
        {chunk: curve(rows, chunk, quantity) for chunk in lengths},
        {chunk: len({row["seed"] for row in rows if row["chunk"] == chunk}) for chunk in lengths},
    )


def layout(rows: Rows, figure: Figure) -> tuple[Axes, ...]:
    steps = "environment steps imagined, fed the true actions"
    panel = plots.label(figure.add_axes((0.09, 0.13, 0.66, 0.70)), steps, "")
    panel.set_xlim(0, STEPS + 4)
    panel.set_yscale("log")
    entries = {
        "1 step a call" if chunk == 1 else f"{chunk} steps a call": plots.learned(series)
        | plots.reference(series)
        for series, chunk in enumerate(chunks_of(rows))
    }
    entries["nothing moves"] = NOTHING
    panel.legend(
        handles=[Line2D([], [], **style) for style in entries.values()],
        labels=list(entries),
        loc="center left",
        bbox_to_anchor=(1.02, 0.5),
        frameon=False,
        fontsize=10,
        title="learned",
    )
    return (panel,)


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    (panel,) = axes
    still = numbers.still[1:]
    panel.plot(still[:, 0], still[:, 1], **NOTHING)
    ends = [still[:, 1]]
    for series, (chunk, found) in enumerate(numbers.curves.items()):
        step, mean, half = found[1:].T
        shown = slice(4, None, 5) if chunk == 1 else slice(None)
        low = np.minimum(half, 0.9 * mean)  # an interval that reaches zero has no end on this axis
        panel.plot(step, mean, **plots.reference(series))
        panel.errorbar(step[shown], mean[shown], (low[shown], half[shown]), **plots.learned(series))
        ends += [mean, (mean - low)[shown], (mean + half)[shown]]
    reached = np.log10(np.concatenate(ends))
    margin = 0.05 * np.ptp(reached)
    panel.set_ylim(10 ** (reached.min() - margin), 10 ** (reached.max() + margin))
    plots.side(panel, QUANTITIES[numbers.quantity])
    last = {chunk: found[-1, 1] for chunk, found in numbers.curves.items()}
    best = min(last, key=lambda chunk: last[chunk])
    unit = " cm" if numbers.quantity.endswith("cm") else ""
    first = min(last)
    plots.headline(
        panel,
        f"after {STEPS} steps off by {_short(last[first])}{unit} with calls of {first} step, "
        f"by {_short(last[best])}{unit} with {best} steps",
    )


def describe(numbers: Numbers) -> str:
    parts = []
    for chunk, found in numbers.curves.items():
        mean, half = map(_short, found[-1, 1:])
        parts.append(f"{chunk}: {mean} plus or minus {half} ({numbers.seeds[chunk]} seeds)")
    return (
        f"Learned models of a cube task, unrolled for {STEPS} steps along held-out logs: "
        f"{QUANTITIES[numbers.quantity]} at the end by steps per call: {'; '.join(parts)}. "
        f"Predicting that nothing moves is off by {_short(numbers.still[-1, 1])}."
    )


def table(numbers: Numbers) -> Table:
    header = ("steps per call", "step", QUANTITIES[numbers.quantity], "half width of 95%")
    curves = {"nothing moves": numbers.still, **numbers.curves}
    return header, [(chunk, *row) for chunk, found in curves.items() for row in found[1:]]


def _short(value: float) -> str:
    return f"{value:.2g}" if value < 100 else f"{value:.0f}"


def of(rows: Rows) -> Explorer:
    """The explorer of these measurements: one curve for each chunk length."""
    return Explorer(
        name="cube_drift",
        notebook="10",
        title="One step or a whole chunk: which model drifts less?",
        compute=partial(compute, rows),
        layout=partial(layout, rows),
        draw=draw,
        controls=(Choice("quantity", "error of", tuple(QUANTITIES), "mse"),),
        describe=describe,
        table=table,
    )


CUBE_DRIFT = of(stored())
