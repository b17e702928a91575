"""Notebook 01: the part of the workspace, and of the actions there, that a real dataset covers."""

import math
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.results.real_data import CELL, CORNER, SHAPE, Coverage, load_coverage

MOST = 10  # samples that may be asked for


class Shares(NamedTuple):
    """What is covered, as fractions."""

    cells: float  # of the cells of the box, entered at least once
    pairs: float  # of (entered cell, direction) pairs, with at least k samples
    even: float  # of the same pairs, had the steps been thrown on them one by one and evenly
    directions: np.ndarray  # [X, Y]   mean number of directions with at least k samples, out of 8


class Numbers(NamedTuple):
    k: int
    steps: int  # logged
    shares: Shares
    curve: np.ndarray  # [MOST, 2]   share of pairs with at least 1, 2, ... samples: logged, even
    paths: np.ndarray  # [2, 200, 3]   two trajectories [m]


def shares(logs: Coverage, k: int) -> Shares:
    """Counted, not estimated: fractions of 2 cm cells and of the 8 directions in each."""
    entered = logs.counts.sum(-1) > 0  # [X, Y, Z]
    enough = logs.counts >= k  # [X, Y, Z, 8]
    column = np.maximum(entered.sum(-1), 1)
    return Shares(
        float(entered.mean()),
        float(enough[entered].mean()),
        evenly(int(logs.counts.sum()) / (8 * int(entered.sum())), k),
        np.where(entered, enough.sum(-1), 0).sum(-1) / column,
    )


def evenly(mean: float, k: int) -> float:
    """The share of pairs with at least k samples when each step falls on a pair by chance.

    The samples of a pair then follow a Poisson distribution of that `mean`.
    """
    return 1 - sum(math.exp(-mean) * mean**i / math.factorial(i) for i in range(k))


def compute(k: int) -> Numbers:
    """What the committed extract covers with at least k samples."""
    logs = load_coverage()
    every = [shares(logs, least) for least in range(1, MOST + 1)]
    curve = np.array([(each.pairs, each.even) for each in every])
    return Numbers(k, int(logs.counts.sum()), every[k - 1], curve, logs.paths)


THIN: tuple[dict[str, Any], ...] = tuple(
    plots.reference(series) | {"linewidth": 1.0} for series in (0, 1)
)
LOGGED = plots.EXACT | {"marker": "o", "markersize": 4}


def layout(figure: Figure) -> tuple[Axes, ...]:
    top = figure.add_axes((0.08, 0.14, 0.55, 0.528))  # 0.72 m by 0.38 m, so metres are equal
    pairs = figure.add_axes((0.73, 0.14, 0.25, 0.528))
    plots.label(top, "y, across the table [m]", "x, away from the robot [m]", "seen from above")
    plots.label(pairs, "samples that are enough k", "pairs with k samples [%]", "")
    top.set_xlim(CORNER[1], CORNER[1] + CELL * SHAPE[1])
    top.set_ylim(CORNER[0], CORNER[0] + CELL * SHAPE[0])
    pairs.set_xlim(0.5, MOST + 0.5)
    pairs.set_ylim(0.0, 100.0)
    pairs.set_xticks([1, 5, 10])
    pairs.set_yticks([0, 50, 100])
    entries = {"counted": LOGGED, "as many steps, spread evenly": plots.reference(4)}
    plots.key(pairs, entries, loc=(-0.2, 1.03))
    shade = {"color": "0.55", "marker": "s", "markersize": 9, "linestyle": "none"}
    entries = {
        "darker: more directions with enough samples": shade,
        "one logged trajectory": plots.reference(0),
        "another": plots.reference(1),
    }
    plots.key(top, entries, loc=(0.28, 1.03))
    return top, pairs


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    (top, pairs), found = axes, numbers.shares
    extent = (*top.get_xlim(), *top.get_ylim())
    top.imshow(
        found.directions, extent=extent, origin="lower", aspect="auto", cmap="Greys", vmin=0, vmax=8
    )
    for path, style in zip(numbers.paths, THIN, strict=True):
        top.plot(path[:, 1], path[:, 0], **style)
    samples = np.arange(1, MOST + 1)
    pairs.plot(samples, 100 * numbers.curve[:, 1], **plots.reference(4))
    pairs.plot(samples, 100 * numbers.curve[:, 0], **LOGGED)
    pairs.vlines(numbers.k, 0.0, 100.0, color=plots.BLACK, linestyle=":", linewidth=1.0)
    top.text(
        0.0,
        1.36,
        f"{found.pairs:.0%} of (entered cell, direction) pairs have {numbers.k} "
        f"sample{'s' * (numbers.k > 1)}; spread evenly: {_percent(found.even)}",
        transform=top.transAxes,
        fontsize=12,
    )


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else f"{share:.2%}"


def describe(numbers: Numbers) -> str:
    found = numbers.shares
    return (
        f"The hand entered {found.cells:.0%} of the 2 cm cells of its box in "
        f"{numbers.steps:,} steps; of the pairs of an entered cell and one of 8 "
        f"directions {found.pairs:.0%} have at least {numbers.k} "
        f"sample{'s' * (numbers.k > 1)}, and {_percent(found.even)} would if as many steps were "
        "spread over them evenly; two logged paths are drawn over the map."
    )


def table(numbers: Numbers) -> Table:
    rows = [(k, float(a), float(b)) for k, (a, b) in enumerate(numbers.curve, start=1)]
    return ("samples that are enough", "share of pairs, counted", "spread evenly"), rows


CUBE_PATHS = Explorer(
    name="cube_paths",
    notebook="01",
    title="What can a fixed dataset tell you?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(Slider("k", "samples that are enough k", 1, MOST, 1, 1),),
    describe=describe,
    table=table,
    named={"Five": {"k": 5}, "Ten": {"k": 10}},
)
