"""Notebook 03: sweeps of noisy h-step backups with a maximum, from exact values on."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.build import RINGS, YOURS, Build
from chunkrl.tabular.chunks import chunk_table, chunked
from chunkrl.tabular.mdp import optimal
from chunkrl.tabular.propagation import entry_errors, noisy
from chunkrl.tabular.worlds import World, lock

LENGTH, SIGMA, CRITICS, STEPS = 12, 1.0, 8, 240
BACKUPS = (1, 2, 4)
LOCK: World = lock(LENGTH)


class Critics(NamedTuple):
    """The chunks of h actions from every cell, and how wrong each critic is about them."""

    h: int
    reward: np.ndarray  # [S, C, h]
    after: np.ndarray  # [S, C]   the cell where the chunk ends
    error: np.ndarray  # [CRITICS, S, C]


def critics(h: int) -> Critics:
    mdp = chunked(LOCK.mdp, h)
    to, chunks = LOCK.mdp.transition.argmax(-1), chunk_table(2, h)
    cell = np.broadcast_to(np.arange(LENGTH + 1)[:, None], (LENGTH + 1, len(chunks)))
    reward = np.zeros((*cell.shape, h))
    for i, action in enumerate(chunks.T):
        reward[..., i] = LOCK.mdp.reward[cell, action]
        cell = to[cell, action]
    return Critics(
        h, reward, cell, entry_errors(mdp, SIGMA, CRITICS, np.random.default_rng(0))
    )  # fmt: skip


TRUTH = optimal(LOCK.mdp).value
ALL = tuple(critics(h) for h in BACKUPS)
LIMIT = [
    float(noisy(chunked(LOCK.mdp, each.h), each.error).value[:, 0].mean() - TRUTH[0])
    for each in ALL
]


def run(function: Callable[..., np.ndarray]) -> tuple[np.ndarray, ...]:
    """Mean claim minus truth at the start after every sweep, for each of BACKUPS."""
    return tuple(
        np.mean([_drift(function, each, error) for error in each.error], 0) for each in ALL
    )


def _drift(function: Callable[..., np.ndarray], each: Critics, error: np.ndarray) -> np.ndarray:
    value, found = TRUTH, [0.0]
    for _ in range(STEPS // each.h):
        value = function(value.copy(), each.reward, each.after, error, LOCK.mdp.discount)
        found.append(float(value[0] - TRUTH[0]))
    return np.array(found)


def layout(figure: Figure) -> tuple[Axes, ...]:
    every = []
    for left, h in zip((0.08, 0.40, 0.72), BACKUPS, strict=True):
        axes = figure.add_axes((left, 0.14, 0.26, 0.60))
        title = f"h = {h}: {STEPS // h} sweeps"
        every.append(plots.label(axes, "steps backed up", "", title))
        axes.set_xlim(0, STEPS + 10)
        axes.set_ylim(-15, 45)
    plots.label(every[0], "steps backed up", "claimed - true at the start [reward]")
    entries = {
        "exact fixed point": plots.EXACT,
        "library": RINGS,
        "yours": YOURS,
    }
    plots.key(every[2], entries, "upper left")
    return tuple(every)


def draw(axes: tuple[Axes, ...], library: tuple, yours: tuple | None) -> None:
    for a, each, limit, ours in zip(axes, ALL, LIMIT, library, strict=True):
        few = max(1, len(ours) // 12)
        at = each.h * np.arange(len(ours))[::few]
        a.plot([0, STEPS + 10], [limit] * 2, **plots.EXACT)
        a.plot(at, ours[::few], **RINGS)
        if yours is not None:
            found = yours[axes.index(a)][::few]
            a.plot(at, np.clip(found, *a.get_ylim()), **YOURS)
    plots.headline(
        axes[0], f"Backups with noise and a maximum, from exact values on, {CRITICS} critics"
    )


def describe(library: tuple, yours: tuple | None) -> str:
    text = (
        f"Mean overestimate of the start of a lock of {LENGTH} cells by {CRITICS} critics whose "
        f"entries err with standard deviation {SIGMA:g}, after {STEPS} steps of backups: library "
        f"{_told(library)}; in the limit "
        f"{', '.join(f'{x:.1f} at h = {h}' for h, x in zip(BACKUPS, LIMIT, strict=True))}."
    )
    return text if yours is None else f"{text} Yours: {_told(yours)}."


def _told(found: tuple) -> str:
    return ", ".join(f"{each[-1]:.2f} at h = {h}" for h, each in zip(BACKUPS, found, strict=True))


BUILD = Build("03.write", run, layout, draw, describe)
