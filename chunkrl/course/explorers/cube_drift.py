"""Notebook 10: models of one and of many steps, unrolled along real chunks of held-out logs."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from chunkrl import plots
from chunkrl.course.controls import Choice, Table
from chunkrl.course.explorer import Explorer
from chunkrl.errors import ConfigError
from chunkrl.measure.drift import STEPS
from chunkrl.results.model_drift import UPDATES, Rows, stored

STILL = 0  # the chunk under which the error of predicting no motion is stored
QUANTITIES = {
    "mse": "mean squared error [normalised units]",
    "hand_cm": "error of the hand's position [cm]",
    "cube_cm": "error of the cube's position [cm]",
}
DECADES = {"mse": (2e-4, 2e3), "hand_cm": (0.3, 2e3), "cube_cm": (0.1, 3e3)}  # of the axis
NOTHING: dict[str, Any] = {"color": plots.BLACK, "linestyle": ":", "linewidth": 1.2}


class Numbers(NamedTuple):
    quantity: str
    updates: int
    still: np.ndarray  # [K, 4]   step, error three times
    curves: dict[int, np.ndarray]  # steps per call -> [K, 4]   step; over seeds: mean, least, most
    seeds: dict[int, int]  # steps per call -> models trained
    series: dict[int, int]  # steps per call -> the marks it has in every picture

    @property
    def last(self) -> dict[int, float]:
        """Steps per call -> mean error at the end."""
        return {chunk: float(found[-1, 1]) for chunk, found in self.curves.items()}


def curve(rows: Rows, chunk: int, quantity: str = "mse") -> np.ndarray:
    """Step; mean, smallest and largest error over seeds.  -> [K, 4]"""
    mine = [row for row in rows if row["chunk"] == chunk]
    if not mine:
        raise ConfigError(f"there is no measurement of chunks of {chunk}")
    found = []
    for step in sorted({row["step"] for row in mine}):
        values = np.array([row[quantity] for row in mine if row["step"] == step])
        found.append((step, values.mean(), values.min(), values.max()))
    return np.array(found)


def chunks_of(rows: Rows) -> list[int]:
    """The chunk lengths that were trained."""
    return sorted({int(row["chunk"]) for row in rows} - {STILL})


def updates_of(rows: Rows) -> list[int]:
    """The numbers of updates after which models were measured."""
    return sorted({int(row["updates"]) for row in rows} - {0})


def compute(rows: Rows, quantity: str, updates: str) -> Numbers:
    """The curves of all chunk lengths that `rows` hold after so many `updates`."""
    everywhere = chunks_of(rows)
    rows = [row for row in rows if row["updates"] in (0, int(updates))]
    lengths = chunks_of(rows)
    return Numbers(
        quantity,
        int(updates),
        curve(rows, STILL, quantity),
        {chunk: curve(rows, chunk, quantity) for chunk in lengths},
        {chunk: len({row["seed"] for row in rows if row["chunk"] == chunk}) for chunk in lengths},
        {chunk: everywhere.index(chunk) for chunk in lengths},
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
        title="learned; bars: the\nsmallest and the\nlargest seed\n",
    )
    return (panel,)


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    (panel,) = axes
    still = numbers.still[1:]
    panel.plot(still[:, 0], still[:, 1], **NOTHING)
    for chunk, found in numbers.curves.items():
        series = numbers.series[chunk]
        step, mean, least, most = found[1:].T
        shown = slice(4, None, 5) if chunk == 1 else slice(None)
        panel.plot(step, mean, **plots.reference(series))
        bars = (mean - least)[shown], (most - mean)[shown]
        panel.errorbar(step[shown], mean[shown], bars, **plots.learned(series))
    panel.set_ylim(*DECADES[numbers.quantity])
    plots.side(panel, QUANTITIES[numbers.quantity])
    last = numbers.last
    best, first = min(last, key=lambda chunk: last[chunk]), min(last)
    unit = " cm" if numbers.quantity.endswith("cm") else ""
    plots.headline(
        panel,
        f"{numbers.updates:,} updates: after {STEPS} steps off by {_short(last[first])}{unit} with "
        f"calls of {first}, by {_short(last[best])}{unit} with {best} steps",
    )


def describe(numbers: Numbers) -> str:
    parts = []
    for chunk, found in numbers.curves.items():
        mean, least, most = map(_short, found[-1, 1:])
        seeds = numbers.seeds[chunk]
        several = f", {least} to {most} over {seeds} seeds" if seeds > 1 else ", one seed"
        parts.append(f"{chunk}: {mean}{several}")
    return (
        f"Learned models of a cube task after {numbers.updates} updates, unrolled for {STEPS} "
        f"steps along held-out logs: {QUANTITIES[numbers.quantity]} at the end by steps per call: "
        f"{'; '.join(parts)}. Predicting that nothing moves is off by "
        f"{_short(numbers.still[-1, 1])}."
    )


def table(numbers: Numbers) -> Table:
    header = ("steps per call", "step", QUANTITIES[numbers.quantity], "smallest", "largest seed")
    curves = {"nothing moves": numbers.still, **numbers.curves}
    return header, [(chunk, *row) for chunk, found in curves.items() for row in found[1:]]


def _short(value: float) -> str:
    return f"{value:.2g}" if value < 100 else f"{value:.0f}"


def of(rows: Rows) -> Explorer:
    """The explorer of these measurements: one curve for each chunk length."""
    amounts = tuple(str(updates) for updates in updates_of(rows))
    start = str(UPDATES) if str(UPDATES) in amounts else amounts[-1]
    return Explorer(
        name="cube_drift",
        notebook="10",
        title="One step or a whole chunk: which model drifts less?",
        compute=partial(compute, rows),
        layout=partial(layout, rows),
        draw=draw,
        controls=(
            Choice("quantity", "error of", tuple(QUANTITIES), "mse"),
            Choice("updates", "updates of each model", amounts, start),
        ),
        describe=describe,
        table=table,
        named={
            **({"Little training": {"updates": amounts[0]}} if start != amounts[0] else {}),
            **({"Much training": {"updates": amounts[-1]}} if start != amounts[-1] else {}),
            "The cube, in cm": {"quantity": "cube_cm"},
        },
    )


AMOUNTS = (3_000, UPDATES, 20_000)  # of updates, that are stored
CUBE_DRIFT = of(
    [row for row in stored() if row["updates"] == 0]
    + [row for updates in AMOUNTS for row in stored(updates) if row["updates"]]
)
