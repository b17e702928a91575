"""Notebook 04: one round of fitted Q-learning on logged windows makes both kinds of critic."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.build import YOURS, Build, compare
from chunkrl.course.worlds.windows import collect, fit
from chunkrl.tabular.chunks import n_step
from chunkrl.tabular.mdp import optimal
from chunkrl.tabular.worlds import lock

LENGTH, SKILL, WINDOWS, ROUNDS = 12, 0.9, 4_000, 60
STEPS = (1, 2, 3, 5)
WORLD = lock(LENGTH, slip=0.0, skill=SKILL)
OURS: dict[str, Any] = plots.learned(0) | {"markersize": 9.0}  # behind the reader's
LOGS = {n: collect(WORLD, n, WINDOWS) for n in STEPS}
BEST = float(optimal(WORLD.mdp).value[0])
EXACT = [float(optimal(n_step(WORLD.mdp, WORLD.behaviour, n)).value[0]) for n in STEPS]


def run(function: Callable[..., np.ndarray]) -> np.ndarray:
    """Value of the start by critics that read the first action, or all n.  -> [2, STEPS]"""
    discount = WORLD.mdp.discount
    return np.array([
        [fit(LOGS[n], LENGTH, ROUNDS, function, discount, reads)[0].max() for n, reads in pairs]
        for pairs in ([(n, 1) for n in STEPS], [(n, n) for n in STEPS])
    ])  # fmt: skip


def layout(figure: Figure) -> tuple[Axes, ...]:
    both = []
    sides = ((0.09, "first action", "fixed points"), (0.55, "all n actions", "V*"))
    for left, reads, line in sides:
        axes = figure.add_axes((left, 0.14, 0.38, 0.62))
        title = f"reads {reads}; line: {line}"
        both.append(plots.label(axes, "n [steps]", "value of the start [reward]", title))
        axes.set_xlim(0.5, max(STEPS) + 0.5)
        axes.set_ylim(min(EXACT) - 1.5, BEST + 1.0)
    entries = {"exact": plots.EXACT, "library": OURS, "yours, once written": YOURS}
    plots.key(both[0], entries, "lower left")
    return tuple(both)


def draw(axes: tuple[Axes, ...], library: np.ndarray, yours: np.ndarray | None) -> None:
    compare(axes, STEPS, (EXACT, [BEST] * len(STEPS)), library, yours, OURS)
    plots.headline(axes[0], "The same rewards; what differs is what the critic is told")


def describe(library: np.ndarray, yours: np.ndarray | None) -> str:
    steps = ", ".join(map(str, STEPS))
    text = (
        f"The value of the start by critics fitted to {WINDOWS} windows of n = {steps} steps. "
        f"Reading the first action: {_listed(library[0])} (exact fixed points {_listed(EXACT)}); "
        f"reading all n: {_listed(library[1])} (V* {BEST:.2f})."
    )
    if yours is not None:
        text += f" With your round: {_listed(yours[0])} and {_listed(yours[1])}."
    return text


def _listed(values: Sequence[float] | np.ndarray) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


BUILD = Build("04.write", run, layout, draw, describe)
