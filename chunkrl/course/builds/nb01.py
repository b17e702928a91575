"""Notebook 01: fitted Q-learning on the two logged walks, for every belief about the rest."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.build import RINGS, YOURS, Build
from chunkrl.course.worlds import support
from chunkrl.tabular.mdp import policy_value

BELIEFS = np.arange(-30.0, 1.0, 2.0)  # [U]  initial values of unseen actions
SHOWN = int(np.flatnonzero(BELIEFS == -10.0)[0])  # whose walk is drawn
ROUNDS = 60
MDP, PATHS = support.grid(), support.logged_paths()
COUNTS = support.count(PATHS)
LOGS = support.logs(MDP, COUNTS)
BEST = float(support.in_support(MDP, COUNTS).value[0])


class Numbers(NamedTuple):
    claimed: np.ndarray  # [U]   max Q at the start
    obtained: np.ndarray  # [U]   what the greedy policy of the table earns, exact
    walk: np.ndarray  # states that one walk of it passes, at BELIEFS[SHOWN]


def run(function: Callable[..., np.ndarray]) -> Numbers:
    """Fitted Q by `function` for each of BELIEFS, and its policy walked and evaluated exactly."""
    claimed, obtained, walk = [], [], np.empty(0, int)
    for at, unseen in enumerate(BELIEFS):
        q = np.asarray(function(np.full(COUNTS.shape, unseen), *LOGS, MDP.discount, ROUNDS), float)
        policy = support.behaviour(q, COUNTS)
        claimed.append(q[0].max())
        obtained.append(policy_value(MDP, policy)[0])
        if at == SHOWN:
            walk = support.one_walk(MDP, policy, 40)
    return Numbers(np.array(claimed), np.array(obtained), walk)


RESULT: dict[str, Any] = plots.estimated(2) | {"markersize": 9}
YOUR_RESULT = plots.learned(4)


def layout(figure: Figure) -> tuple[Axes, ...]:
    world = figure.add_axes((0.02, 0.06, 0.40, 0.72))
    world.set_aspect("equal")
    world.set_xlim(-0.6, support.SIZE - 0.4)
    world.set_ylim(support.SIZE - 0.4, -0.6)
    world.set_axis_off()
    values = plots.label(
        figure.add_axes((0.53, 0.14, 0.45, 0.64)),
        "initial value of unseen actions [reward]",
        "value of the start [reward]",
    )
    values.set_xlim(-31, 1)
    values.set_ylim(-105, 12)
    entries = {
        "exact: best on logged actions": plots.EXACT,
        "library: claimed": RINGS,
        "library: obtained": RESULT,
        "yours: claimed": YOURS,
        "yours: obtained": YOUR_RESULT,
    }
    plots.key(values, entries, (0.0, 0.1))
    return world, values


def draw(axes: tuple[Axes, ...], library: Numbers, yours: Numbers | None) -> None:
    world, values = axes
    known = (COUNTS > 0).any(-1).reshape(support.SIZE, support.SIZE)
    world.imshow(known, cmap="Greys", vmin=0, vmax=6, interpolation="nearest", zorder=0)
    for path in PATHS:
        row, column = np.divmod(path.state, support.SIZE)
        world.plot(column, row, color="0.55", linewidth=4)
    _walk(world, library.walk, -0.08, RINGS | {"markersize": 4, "linestyle": "-"})
    values.plot(BELIEFS, np.full(len(BELIEFS), BEST), **plots.EXACT)
    values.plot(BELIEFS, library.claimed, **RINGS)
    values.plot(BELIEFS, library.obtained, **RESULT)
    if yours is not None:
        _walk(world, yours.walk, 0.08, YOURS | {"markersize": 4, "linestyle": "-"})
        low, high = values.get_ylim()
        values.plot(BELIEFS, np.clip(yours.claimed, low, high), **YOURS)
        values.plot(BELIEFS, np.clip(yours.obtained, low, high), **YOUR_RESULT)
    for name, (row, column), shift in (("start", (0, 0), -0.55), ("goal", support.GOAL, 0.9)):
        world.text(column, row + shift, name, ha="center", fontsize=10)
    unseen = f"{BELIEFS[SHOWN]:g}"
    plots.headline(world, f"One walk of the table that believes {unseen} of unseen actions")


def _walk(axes: Axes, states: np.ndarray, aside: float, style: dict) -> None:
    row, column = np.divmod(states, support.SIZE)
    axes.plot(column + aside, row + aside, **style)


def describe(library: Numbers, yours: Numbers | None) -> str:
    text = (
        "What fitted Q-learning on the two logged walks claims for the start, and what its policy "
        f"obtains, as the initial value of unseen actions goes from {BELIEFS[0]:g} to "
        f"{BELIEFS[-1]:g}; the best on logged actions is {BEST:.2f}. Library: {_told(library)}."
    )
    return text if yours is None else f"{text} Yours: {_told(yours)}."


def _told(numbers: Numbers) -> str:
    few = ", ".join(
        f"at {BELIEFS[i]:g} claims {numbers.claimed[i]:.2f} and obtains {numbers.obtained[i]:.2f}"
        for i in (0, SHOWN, len(BELIEFS) - 1)
    )
    return few


BUILD = Build("01.write", run, layout, draw, describe)
