"""Notebook 04: one logged window of five steps, and what each of three critics takes from it."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.tabular.chunks import chunk_index, chunk_q
from chunkrl.tabular.mdp import optimal
from chunkrl.tabular.worlds import lock, right_actions

LENGTH = 24
RIGHT = (True, True, False, True, True)  # the logged presses
STEPS = len(RIGHT)


class Row(NamedTuple):
    """A critic: how many rewards its target adds up, and how many actions it is filed under."""

    name: str
    rewards: int
    reads: int
    target: float  # of this window, bootstrapped from V*
    truth: float  # Q* of the question under which it is filed


def rows() -> tuple[Row, ...]:
    """The window from the start of the lock without slip, read by three critics."""
    mdp, right = lock(LENGTH).mdp, right_actions(LENGTH)
    best = optimal(mdp)
    cell, cells, actions = 0, [0], []
    for press in RIGHT:
        actions.append(right[cell] if press else 1 - right[cell])
        cell = max(cell + (1 if press else -1), 0)
        cells.append(cell)
    powers = mdp.discount ** np.arange(STEPS)

    def row(name: str, rewards: int, reads: int) -> Row:
        target = -powers[:rewards].sum() + mdp.discount**rewards * best.value[cells[rewards]]
        asked = chunk_q(mdp, reads, best.value)[0, chunk_index(np.array(actions[:reads]), 2)]
        return Row(name, rewards, reads, float(target), float(asked))

    return row("1-step", 1, 1), row(f"{STEPS}-step", STEPS, 1), row("chunked", STEPS, STEPS)


TOLD: dict[str, Any] = {"facecolor": "#BDBDBD", "edgecolor": plots.BLACK, "linewidth": 1.5}
UNTOLD: dict[str, Any] = TOLD | {"facecolor": "white", "linewidth": 0.8}
WIDE, HIGH = 0.9, 0.34  # of a box; boxes stand 1 apart, rows too
SUM: dict[str, Any] = {"color": plots.BLUE, "linewidth": 1.6}


def layout(figure: Figure) -> tuple[Axes, ...]:
    axes = figure.add_axes((0.01, 0.02, 0.98, 0.80))
    axes.set_axis_off()
    axes.set_xlim(-1.35, 9.6)
    axes.set_ylim(-0.45, 3.35)
    return (axes,)


def draw(axes: tuple[Axes, ...], found: tuple[Row, ...]) -> None:
    (a,) = axes
    for i, press in enumerate(RIGHT):
        a.text(i + WIDE / 2, 3.0, "right" if press else "wrong", ha="center", fontsize=10)
    a.text(-1.3, 3.0, "logged:", fontsize=10)
    a.text(5.95, 3.0, "target", fontsize=10)
    a.text(7.2, 3.0, "filed under", fontsize=10)
    for place, row in enumerate(found):
        low = 2.2 - place
        a.text(-1.3, low + HIGH / 2, row.name, va="center", fontsize=11)
        for i in range(STEPS):
            style = TOLD if i < row.reads else UNTOLD
            a.bar(i + WIDE / 2, HIGH, bottom=low, width=WIDE, **style)
            a.text(i + WIDE / 2, low + HIGH / 2, f"$a_{i}$", ha="center", va="center", fontsize=10)
        end = row.rewards - 1 + WIDE
        a.plot([0, 0, end, end], [low - 0.06, low - 0.16, low - 0.16, low - 0.06], **SUM)
        powers = f"$r_0 + \\dots + \\gamma^{row.rewards - 1} r_{row.rewards - 1}$"
        a.text(
            end / 2, low - 0.21, "$r_0$" if row.rewards == 1 else powers, va="top", ha="center",
            fontsize=10, color=plots.BLUE,
        )  # fmt: skip
        power = "" if row.rewards == 1 else f"^{row.rewards}"
        a.plot(end + 0.05, low + HIGH / 2, **plots.MARK | {"marker": "<", "markersize": 7.0})
        a.text(
            end + 0.05, low - 0.21, f"$+\\;\\gamma{power}\\, V(s_{row.rewards})$", va="top",
            fontsize=10, color=plots.VERMILLION,
        )  # fmt: skip
        a.text(5.95, low + HIGH / 2, f"{row.target:.2f}", va="center", fontsize=11)
        said = "right" if row.reads == 1 else "all five presses"
        text = f"{said}\n(worth {row.truth:.2f})"
        a.text(7.2, low + HIGH / 2, text, va="center", fontsize=10, linespacing=1.4)
    plots.headline(
        a,
        "One window, three targets. Grey: told; bracket: added up; triangle: bootstrap",
    )


def picture() -> plots.Picture:
    """The figure with its sentence."""
    found = rows()
    told = "; ".join(
        f"{row.name} adds up {row.rewards} reward{'s' if row.rewards > 1 else ''}, bootstraps from "
        f"s_{row.rewards} and files {row.target:.2f} under "
        f"{'the first press' if row.reads == 1 else 'all five presses'}, worth {row.truth:.2f}"
        for row in found
    )
    alt = f"A logged window of five presses, right, right, wrong, right, right: {told}."
    return plots.Picture(plots.still(layout, lambda axes: draw(axes, found)), alt)
