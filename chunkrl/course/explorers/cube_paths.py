"""Notebook 01: the part of the workspace, and of the actions there, that a real dataset covers."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.results.real_data import CELL, CORNER, SHAPE, Coverage, load_coverage

HEIGHTS = CORNER[2] + CELL * (np.arange(SHAPE[2]) + 0.5)  # m; middles of the cells


class Shares(NamedTuple):
    """What is covered, as fractions."""

    cells: float  # of the cells of the box, entered at least once
    pairs: float  # of (entered cell, direction) pairs, with at least k samples
    by_height: np.ndarray  # [Z]   of the cells at each height
    directions: np.ndarray  # [X, Y]   mean number of directions with at least k samples, out of 8


class Numbers(NamedTuple):
    k: int
    steps: int  # logged
    shares: Shares
    paths: np.ndarray  # [2, 200, 3]   two trajectories [m]


def shares(logs: Coverage, k: int) -> Shares:
    """Counted, not estimated: fractions of 2 cm cells and of the 8 directions in each."""
    entered = logs.counts.sum(-1) > 0  # [X, Y, Z]
    enough = logs.counts >= k  # [X, Y, Z, 8]
    column = np.maximum(entered.sum(-1), 1)
    return Shares(
        float(entered.mean()),
        float(enough[entered].mean()),
        entered.mean((0, 1)),
        np.where(entered, enough.sum(-1), 0).sum(-1) / column,
    )


def compute(k: int) -> Numbers:
    """What the committed extract covers with at least k samples."""
    logs = load_coverage()
    return Numbers(k, int(logs.counts.sum()), shares(logs, k), logs.paths)


THIN: tuple[dict[str, Any], ...] = tuple(
    plots.reference(series) | {"linewidth": 1.0} for series in (0, 1)
)
BAR: dict[str, Any] = plots.EXACT_BAR | {"linewidth": 1.0}


def layout(figure: Figure) -> tuple[Axes, ...]:
    top = figure.add_axes((0.08, 0.14, 0.55, 0.528))  # 0.72 m by 0.38 m, so metres are equal
    height = figure.add_axes((0.74, 0.14, 0.22, 0.528))
    plots.label(top, "y, across the table [m]", "x, away from the robot [m]", "seen from above")
    plots.label(height, "cells entered", "height z [m]", "at each height")
    top.set_xlim(CORNER[1], CORNER[1] + CELL * SHAPE[1])
    top.set_ylim(CORNER[0], CORNER[0] + CELL * SHAPE[0])
    height.set_xlim(0.0, 1.0)
    height.set_ylim(0.0, CELL * SHAPE[2])
    height.set_xticks([0.0, 0.5, 1.0], ["0 %", "50 %", "100 %"])
    shade = {"color": "0.55", "marker": "s", "markersize": 9, "linestyle": "none"}
    entries = {
        "darker: more directions with enough samples": shade,
        "one logged trajectory": plots.reference(0),
        "another": plots.reference(1),
    }
    plots.key(top, entries, loc=(0.28, 1.03))
    return top, height


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    (top, height), found = axes, numbers.shares
    extent = (*top.get_xlim(), *top.get_ylim())
    top.imshow(
        found.directions, extent=extent, origin="lower", aspect="auto", cmap="Greys", vmin=0, vmax=8
    )
    for path, style in zip(numbers.paths, THIN, strict=True):
        top.plot(path[:, 1], path[:, 0], **style)
    height.barh(HEIGHTS, found.by_height, 0.9 * CELL, **BAR)
    top.text(
        0.0,
        1.36,
        f"{found.cells:.0%} of the cells were entered; "
        f"{found.pairs:.0%} of (cell, direction) pairs have {numbers.k} samples",
        transform=top.transAxes,
        fontsize=12,
    )


def describe(numbers: Numbers) -> str:
    found = numbers.shares
    return (
        f"The hand entered {found.cells:.0%} of the 2 cm cells of its box in "
        f"{numbers.steps:,} steps, but of the pairs of an entered cell and one of 8 "
        f"directions only {found.pairs:.0%} have at least {numbers.k} samples; "
        "two logged paths are drawn over the map."
    )


def table(numbers: Numbers) -> Table:
    found = numbers.shares
    heights = zip(HEIGHTS, found.by_height, strict=True)
    rows = [
        ("cells entered", found.cells),
        (f"pairs with at least {numbers.k} samples", found.pairs),
        *((f"cells entered at z = {z:.2f} m", share) for z, share in heights),
    ]
    return ("of", "share"), rows


CUBE_PATHS = Explorer(
    name="cube_paths",
    notebook="01",
    title="What can a fixed dataset tell you?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(Slider("k", "samples that are enough k", 1, 10, 1, 5),),
    describe=describe,
    table=table,
)
