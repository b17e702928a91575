"""Notebook 09: a critic built on what the log claims for each chunk."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.build import YOURS, Build
from chunkrl.course.worlds.luck import fit
from chunkrl.tabular.bounds import learned_chunks
from chunkrl.tabular.worlds import lock

WORLD = lock(12, slip=0.2, skill=0.9)
STEPS = (1, 2, 3, 4)
EXACT = [learned_chunks(WORLD.mdp, WORLD.behaviour, h) for h in STEPS]
CLAIMED = np.array([each.claimed[0] for each in EXACT])
OBTAINED = np.array([each.obtained[0] for each in EXACT])
BEST = float(EXACT[0].best[0])
LOW, HIGH = -26.0, -8.0
OURS: dict[str, Any] = plots.estimated(0) | {"markersize": 10}


def run(function: Callable[..., float]) -> np.ndarray:
    """Claimed and obtained value of the start for each h.  -> [2, STEPS]"""
    return np.array([fit(WORLD, h, function) for h in STEPS]).T


def layout(figure: Figure) -> tuple[Axes, ...]:
    both = []
    for left, title in ((0.09, "the critic claims"), (0.58, "its best chunks obtain")):
        axes = figure.add_axes((left, 0.14, 0.38, 0.62))
        both.append(
            plots.label(axes, "chunk length h [steps]", "value of the start [reward]", title)
        )
        axes.set_xlim(0.5, STEPS[-1] + 0.5)
        axes.set_xticks(STEPS)
        axes.set_ylim(LOW, HIGH)
    entries = {
        "exact": plots.EXACT,
        "V*, exact": plots.reference(2),
        "library's claim in use": OURS,
        "yours in use": YOURS,
    }
    plots.key(both[0], entries, "lower left")
    return tuple(both)


def draw(axes: tuple[Axes, ...], library: np.ndarray, yours: np.ndarray | None) -> None:
    for a, exact, ours in zip(axes, (CLAIMED, OBTAINED), library, strict=True):
        a.plot(STEPS, exact, **plots.EXACT)
        a.axhline(BEST, **plots.reference(2))
        a.plot(STEPS, ours, **OURS)
    if yours is not None:
        for a, found in zip(axes, yours, strict=True):
            a.plot(STEPS, np.clip(np.nan_to_num(found, nan=HIGH), LOW + 0.3, HIGH - 0.3), **YOURS)
    plots.headline(axes[0], "A critic fitted to claims, and the chunks that it picks")


def describe(library: np.ndarray, yours: np.ndarray | None) -> str:
    steps = ", ".join(map(str, STEPS))
    text = (
        f"On a lock of 12 cells that slips with probability 0.2, V* {BEST:.2f}: critics of chunks "
        f"of {steps} built on the library's claim say {_listed(library[0])} for the start and "
        f"obtain {_listed(library[1])}, as the exact ones do"
    )
    if yours is not None:
        text += f"; built on yours they say {_listed(yours[0])} and obtain {_listed(yours[1])}"
    return text + "."


def _listed(values: np.ndarray) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


BUILD = Build("09.write", run, layout, draw, describe)
