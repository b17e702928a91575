"""Notebook 08: the target of a chunk trains the networks of the lock."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.build import YOURS, Build
from chunkrl.course.worlds.lock_critics import CANDIDATES, SEEDS, WINDOWS, train
from chunkrl.results.lock_network import LENGTH, SLIP, judge
from chunkrl.tabular.chunks import chunked
from chunkrl.tabular.mdp import optimal
from chunkrl.tabular.worlds import lock

STEPS = (1, 4)
MDP = lock(LENGTH, SLIP).mdp
BEST = float(optimal(MDP).value[0])
OPEN_LOOP = [BEST - float(optimal(chunked(MDP, h)).value[0]) for h in STEPS]
NAMES = ("claimed - true value [reward]", "V* - true value [reward]")
LOW, HIGH = -120.0, 160.0
OURS: dict[str, Any] = plots.estimated(0) | {"markersize": 5.0}


def run(function: Callable[..., np.ndarray]) -> np.ndarray:
    """Claimed minus true value, and regret, of networks at the start.  -> [2, STEPS, SEEDS]"""
    found = np.array([list(judge(train(h, function), h, CANDIDATES)) for h in STEPS])
    return np.moveaxis(found[..., [1, 0]], -1, 0)


def layout(figure: Figure) -> tuple[Axes, ...]:
    both = []
    titles = ("what the critics promise too much", "what their chunks lose")
    for left, name, title in zip((0.10, 0.58), NAMES, titles, strict=True):
        axes = figure.add_axes((left, 0.14, 0.39, 0.62))
        both.append(plots.label(axes, "chunk length h [steps]", name, title))
        axes.set_xlim(-0.6, len(STEPS) - 0.4)
        axes.set_xticks(range(len(STEPS)), map(str, STEPS))
        axes.set_yscale("symlog", linthresh=10.0, linscale=1.2)
    ticks = (-100, -30, -10, -5, 0, 5, 10, 30, 100)
    for axes, shown, low in zip(both, (ticks, ticks[4:]), (LOW, -1.0), strict=True):
        axes.set_yticks(shown, map(str, shown))
        axes.minorticks_off()
        axes.set_ylim(low, HIGH)
    entries = {"exact": plots.EXACT, "library's": OURS, "yours": YOURS}
    plots.key(both[0], entries, "lower left")
    return tuple(both)


def draw(axes: tuple[Axes, ...], library: np.ndarray, yours: np.ndarray | None) -> None:
    promise, loss = axes
    promise.hlines(0.0, -0.6, len(STEPS) - 0.4, **plots.EXACT)
    for place, floor in enumerate(OPEN_LOOP):
        loss.plot([place - 0.4, place + 0.4], [floor, floor], **plots.EXACT)
    for a, ours, theirs in zip(axes, library, library if yours is None else yours, strict=True):
        shown = [np.clip(np.nan_to_num(x, nan=HIGH), LOW, 0.95 * HIGH) for x in (ours, theirs)]
        for place, pair in enumerate(zip(*shown, strict=True)):
            at = place + np.array([[-0.15], [0.15]]) + np.linspace(-0.1, 0.1, SEEDS)
            if yours is not None:  # each network, and the same one trained on the other target
                a.plot(at, pair, color="#999999", linewidth=0.8)
                a.plot(at[1], pair[1], **YOURS)
            a.plot(at[0], pair[0], **OURS)
    whose = "the library's target" if yours is None else "the library's target, and on yours"
    plots.headline(promise, f"The same {SEEDS} networks, trained on {whose}")


def describe(library: np.ndarray, yours: np.ndarray | None) -> str:
    text = (
        f"{SEEDS} small networks for each h, each trained on {WINDOWS} windows with best of "
        f"{CANDIDATES}. With the library's target they {_told(library)}"
    )
    return text + ("." if yours is None else f"; with yours they {_told(yours)}.")


def _told(numbers: np.ndarray) -> str:
    return " and ".join(
        f"promise {promise:.1f} too much and lose {loss:.1f} (medians) at h = {h}"
        for h, promise, loss in zip(STEPS, *np.median(numbers, -1), strict=True)
    )


BUILD = Build("08.write", run, layout, draw, describe)
