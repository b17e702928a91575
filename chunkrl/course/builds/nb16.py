"""Notebook 16: what a reader's collecting loop measures in the corridor, by chunk length."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.build import RINGS, YOURS, Build, compare
from chunkrl.course.worlds import wander
from chunkrl.course.worlds.collecting import Corridor, Held

LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16)
CELLS, SLIP, LONGEST, STEPS = 8, 0.1, 30, 4_000
HIGHEST = (160.0, 105.0, 62.0, 105.0)  # of the panels
TITLES = ("steps per success", "solved [%]", "steps per episode", "begins as it ended [%]")


def told(rows: np.ndarray) -> tuple[float, ...]:
    """The numbers of TITLES, out of the rows [T, 6] alone."""
    mask, terminal, after = rows[:, 3], rows[:, 4], rows[:, 5]
    solved, ended = int((after == CELLS).sum()), max(int(terminal.sum()), 1)
    carried = (rows[1:, 1] == rows[:-1, 1])[terminal[:-1] == 1]
    return (
        len(rows) / max(solved, 1),
        100 * float((mask == 0).sum()) / ended,
        len(rows) / ended,
        100 * float(carried.mean()) if len(carried) else 0.0,
    )


def run(function: Callable[..., object]) -> np.ndarray:
    """The numbers of TITLES for each chunk length.  -> [4, LENGTHS]"""
    found = []
    for h in LENGTHS:
        rows = function(Corridor(CELLS, SLIP, LONGEST, seed=h), Held(h, seed=h), STEPS)
        found.append(told(np.asarray(rows, float)))
    return np.array(found).T


def exact() -> np.ndarray:
    """The same for ever so many steps, from the law of the walk.  -> [4, LENGTHS]"""
    world, hand, found = wander.corridor(CELLS, SLIP), wander.held(CELLS + 1), []
    for h in LENGTHS:
        alive = wander.surviving(world, hand, h, LONGEST)
        steps, solved = alive[:-1].sum(), 1 - alive[-1]
        found.append((steps / solved, 100 * solved, steps, 50.0))
    return np.array(found).T


EXACT = exact()


def layout(figure: Figure) -> tuple[Axes, ...]:
    found = []
    for i, title in enumerate(TITLES):
        axes = figure.add_axes((0.06 + 0.245 * i, 0.14, 0.185, 0.62))
        plots.label(axes, "chunk length h", "", title)
        axes.set_xlim(0, LENGTHS[-1] + 1)
        axes.set_ylim(0.0, HIGHEST[i])
        found.append(axes)
    plots.key(found[2], {"exact": plots.EXACT, "library": RINGS, "yours": YOURS}, "upper right")
    return tuple(found)


def draw(axes: tuple[Axes, ...], library: np.ndarray, yours: np.ndarray | None) -> None:
    compare(axes, LENGTHS, EXACT, library, yours)
    plots.headline(axes[0], f"{STEPS:,} collected steps for each h; lines: exact")


def describe(library: np.ndarray, yours: np.ndarray | None) -> str:
    text = f"Held actions of h = {', '.join(map(str, LENGTHS))}, {STEPS:,} collected steps each"
    for i, title in enumerate(TITLES):
        text += f"; {title}: exact {_listed(EXACT[i])}, collected {_listed(library[i])}"
        if yours is not None:
            text += f", by your loop {_listed(yours[i])}"
    return text + "."


def _listed(values: np.ndarray) -> str:
    return " ".join(f"{value:.0f}" for value in values)


BUILD = Build("16.write", run, layout, draw, describe)
