"""Notebook 08: what typing blind loses, from transitions of chunks that the reader builds."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.build import YOURS, Build
from chunkrl.tabular.mdp import optimal
from chunkrl.tabular.worlds import lock

LENGTHS = (1, 2, 3, 4, 5, 6, 7, 8)
SLIPS = (0.1, 0.2)
LOCKS = [lock(24, slip).mdp for slip in SLIPS]
BEST = [float(optimal(mdp).value[0]) for mdp in LOCKS]
STEPS = 800  # of value iteration: by then the lock is open
LOW, HIGH = -2.0, 14.0


def run(function: Callable[..., tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """V* - V*_h at the start, V*_h from what `function` says of chunks.  -> [SLIPS, LENGTHS]"""
    return np.array([
        [best - value(*function(mdp.transition, mdp.reward, h, mdp.discount), mdp.discount, h)
         for h in LENGTHS]
        for mdp, best in zip(LOCKS, BEST, strict=True)
    ])  # fmt: skip


def value(transition: np.ndarray, reward: np.ndarray, discount: float, h: int) -> float:
    """The best value of the start, by sweeps that end also where P_h is no probability.

    `tabular.mdp.optimal` may not.
    """
    found = np.zeros(len(transition))
    for _ in range(STEPS // h):
        found = np.clip((reward + discount**h * transition @ found).max(-1), -1e3, 1e3)
    return float(np.nan_to_num(found[0], nan=1e3))


def layout(figure: Figure) -> tuple[Axes, ...]:
    both = []
    for left, slip in zip((0.09, 0.57), SLIPS, strict=True):
        axes = figure.add_axes((left, 0.14, 0.40, 0.62))
        name = "$V^* - V^*_h$ at the start [reward]"
        both.append(plots.label(axes, "chunk length h [steps]", name, f"slip {slip}"))
        axes.set_xlim(-0.6, len(LENGTHS) - 0.4)
        axes.set_xticks(range(len(LENGTHS)), map(str, LENGTHS))
        axes.set_ylim(LOW, HIGH)
    plots.key(both[0], {"library's, exact": plots.EXACT, "yours": YOURS}, "upper left")
    return tuple(both)


def draw(axes: tuple[Axes, ...], library: np.ndarray, yours: np.ndarray | None) -> None:
    places = np.arange(len(LENGTHS))
    for at, (a, losses) in enumerate(zip(axes, library, strict=True)):
        a.bar(places, losses, width=0.7, **plots.EXACT_BAR)
        a.hlines(0.0, -0.6, len(LENGTHS) - 0.4, color=plots.BLACK, linewidth=0.8)
        for place, loss in zip(places.tolist(), losses, strict=True):
            a.text(place, -1.2, f"{abs(loss):.2f}", ha="center", fontsize=9)
        if yours is not None:
            a.plot(places, np.clip(yours[at], LOW, HIGH), **YOURS)
    plots.headline(axes[0], "What the best chunks lose because they do not look")


def describe(library: np.ndarray, yours: np.ndarray | None) -> str:
    told = [("the library's bars", library)] + ([] if yours is None else [("yours", yours)])
    return "Open-loop loss by chunk length " + ", ".join(map(str, LENGTHS)) + ": " + ". ".join(
        f"At slip {slip} " + "; ".join(f"{name} are {_listed(found[i])}" for name, found in told)
        for i, slip in enumerate(SLIPS)
    ) + "."  # fmt: skip


def _listed(values: np.ndarray) -> str:
    return ", ".join(f"{x + 0.0:.2f}" for x in np.round(values, 2))


BUILD = Build("08.write", run, layout, draw, describe)
