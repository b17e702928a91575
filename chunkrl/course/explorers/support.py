"""Notebook 01: what two logged paths support, and what a table believes about the rest."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.course.worlds import support
from chunkrl.tabular.mdp import optimal, policy_value

REPEATS = (3, 1)  # the long path was logged three times, the short one once
LOWEST, STEP = -30.0, 0.5
BELIEFS = np.arange(LOWEST, STEP / 2, STEP)  # [U]  every position of the slider
WALKED = 60  # steps of the walk that is drawn


class Numbers(NamedTuple):
    unseen: float
    threshold: int
    counts: np.ndarray  # [64, 4]
    long: np.ndarray  # [T + 1]   states of the long logged path
    short: np.ndarray
    best: np.ndarray  # states of the best path inside the support
    walk: np.ndarray  # states of one walk of the learned policy, up to the goal or for WALKED
    chosen: np.ndarray  # [64]   the logged action that the learned table takes, -1 where none
    leaves: bool
    logged: float  # return of the long path
    in_support: float  # exact optimum on logged actions, at the start
    optimum: float  # exact V* at the start
    claimed: np.ndarray  # [U]   learned value of the start for every initial value
    obtained: np.ndarray  # [U]   exact value of what the learned table does from there
    at: int  # the index of `unseen` in BELIEFS


@lru_cache(maxsize=32)
def sweep(wiggle: int, threshold: int) -> tuple[np.ndarray, np.ndarray]:
    """For every initial value: what fitted Q claims for the start, and what its policy gets."""
    mdp = support.grid()
    counts = support.count(support.logged_paths(wiggle), REPEATS)
    claimed, obtained = [], []
    for unseen in BELIEFS:
        learned = support.fitted_q(mdp, counts, unseen, threshold=threshold)
        policy = support.behaviour(learned.q, counts, threshold)
        claimed.append(learned.value[0])
        obtained.append(policy_value(mdp, policy)[0])
    return np.array(claimed), np.array(obtained)


def compute(unseen: float, wiggle: int, threshold: int) -> Numbers:
    """The exact optimum inside the support, and tabular fitted Q with its greedy path."""
    mdp, (long, short) = support.grid(), support.logged_paths(wiggle)
    counts = support.count((long, short), REPEATS)
    inside = support.in_support(mdp, counts, threshold)
    learned = support.fitted_q(mdp, counts, unseen, threshold=threshold)
    greedy = support.greedy_path(mdp, learned, counts, threshold=threshold)
    policy = support.behaviour(learned.q, counts, threshold)
    known = counts >= threshold
    claimed, obtained = sweep(wiggle, threshold)
    return Numbers(
        unseen,
        threshold,
        counts,
        long.state,
        short.state,
        support.greedy_path(mdp, inside, counts, threshold=threshold).path.state,
        support.one_walk(mdp, policy, WALKED),
        np.where(((policy > 0) & known).any(-1), policy.argmax(-1), -1),
        greedy.leaves,
        support.logged_return(mdp, long),
        float(inside.value[0]),
        float(optimal(mdp).value[0]),
        claimed,
        obtained,
        int(np.abs(BELIEFS - unseen).argmin()),
    )


PATHS = plots.reference(0), plots.reference(4)  # the long and the short logged path
Style = dict[str, Any]
BEST: Style = plots.EXACT | {"linewidth": 2.5}
LEARNED: Style = plots.learned(2) | {"markersize": 7}
CHOSEN: Style = plots.learned(2) | {"markersize": 9}
POINTING = ("^", ">", "v", "<")  # as support.MOVES
OBTAINED: Style = plots.EXACT | {"linestyle": (0, (4, 2))}
WALK: Style = {"color": plots.PURPLE, "linewidth": 1.6, "marker": ".", "markersize": 4}
JITTER = np.random.default_rng(0).uniform(-0.3, 0.3, (2, WALKED + 2))  # a cell is passed twice
OFF: Style = plots.learned(1) | {"marker": "X", "markersize": 9}


def layout(figure: Figure) -> tuple[Axes, ...]:
    world = figure.add_axes((0.02, 0.06, 0.42, 0.76))
    world.set_aspect("equal")
    world.set_xlim(-0.6, support.SIZE - 0.4)
    world.set_ylim(support.SIZE - 0.4, -0.6)
    world.set_axis_off()
    values = plots.label(
        figure.add_axes((0.56, 0.13, 0.42, 0.44)),
        "initial value of unseen actions [reward]",
        "value of start [reward]",
    )
    values.set_xlim(LOWEST - 0.5, 0.5)
    values.set_ylim(-103, 5)
    entries = {
        "logged: long path (3 times)": PATHS[0],
        "logged: short path (once)": PATHS[1],
        "exact: best path on logged actions": BEST,
        "learned: takes a logged action": LEARNED | {"marker": ">"},
        "learned: takes an action nobody logged": OFF,
        f"learned: one walk of it, up to {WALKED} steps": WALK,
    }
    plots.key(values, entries, loc=(-0.02, 1.02))
    entries = {
        "exact: best on logged actions": plots.EXACT,
        "learned: claimed": plots.learned(2),
        "exact: obtained by the learned": OBTAINED,
    }
    plots.key(values, entries, loc="lower left")
    return world, values


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    _draw_world(axes[0], numbers)
    _draw_values(axes[1], numbers)
    walk = "walks off the data" if numbers.leaves else "stays on the data"
    claimed, obtained = numbers.claimed[numbers.at], numbers.obtained[numbers.at]
    plots.headline(
        axes[0], f"The learned path {walk}: it claims {claimed:.2f} and obtains {obtained:.2f}"
    )


def _draw_world(world: Axes, numbers: Numbers) -> None:
    size = support.SIZE
    known = (numbers.counts >= numbers.threshold).any(-1).reshape(size, size)
    world.imshow(known, cmap="Greys", vmin=0, vmax=6, interpolation="nearest", zorder=0)
    edges = np.arange(size + 1) - 0.5
    world.vlines(edges, -0.5, size - 0.5, color="0.8", linewidth=0.6)
    world.hlines(edges, -0.5, size - 0.5, color="0.8", linewidth=0.6)
    for path, style, side in zip((numbers.long, numbers.short), PATHS, (-0.17, 0.17), strict=True):
        row, column = np.divmod(path, size)
        world.plot(column + side, row - side, **style)
    row, column = np.divmod(numbers.best, size)
    world.plot(column, row, **BEST)
    row, column = np.divmod(numbers.walk, size) + JITTER[:, : len(numbers.walk)]
    world.plot(column, row, **WALK)
    cells = np.flatnonzero(known.ravel())
    for action in range(-1, len(POINTING)):
        here = cells[(numbers.chosen[cells] == action) & (cells != support.cell(*support.GOAL))]
        row, column = np.divmod(here, size)
        style: Style = OFF if action < 0 else LEARNED | {"marker": POINTING[action]}
        world.plot(column, row, **style)
    least = f"grey: logged at least {numbers.threshold} time{'s' * (numbers.threshold > 1)}"
    world.text(-0.5, size - 0.35, least, ha="left", va="top", fontsize=9)
    for name, (row, column), shift in (
        ("start", support.START, -0.62),
        ("goal", support.GOAL, 0.12),
    ):
        world.text(
            column, row + shift, name, ha="center", va="top" if shift > 0 else "bottom", fontsize=10
        )


def _draw_values(values: Axes, numbers: Numbers) -> None:
    at, few = numbers.at, slice(0, None, 4)
    values.plot(BELIEFS, np.full(len(BELIEFS), numbers.in_support), **plots.EXACT)
    values.plot(BELIEFS, numbers.obtained, **OBTAINED)
    values.plot(BELIEFS[few], numbers.claimed[few], **plots.learned(2))
    values.plot(numbers.unseen, numbers.claimed[at], **CHOSEN)
    values.vlines(numbers.unseen, -60, 3, color=plots.BLACK, linestyle=":", linewidth=1.2)


def describe(numbers: Numbers) -> str:
    walk = "leaves the logged actions" if numbers.leaves else "keeps to logged actions"
    return (
        f"With unseen actions valued at {numbers.unseen:g} and support from {numbers.threshold} "
        f"log{'s' * (numbers.threshold > 1)}, the learned greedy path {walk}: it claims "
        f"{numbers.claimed[numbers.at]:.2f} at the start and obtains "
        f"{numbers.obtained[numbers.at]:.2f}; the best path on logged actions is worth "
        f"{numbers.in_support:.2f} and the best of all paths {numbers.optimum:.2f}."
    )


def table(numbers: Numbers) -> Table:
    header = ("initial value", "learned: claimed", "exact: obtained", "exact: best on logged")
    return header, [
        (float(u), float(claimed), float(obtained), numbers.in_support)
        for u, claimed, obtained in zip(BELIEFS, numbers.claimed, numbers.obtained, strict=True)
    ]


SUPPORT = Explorer(
    name="support",
    notebook="01",
    title="What can a fixed dataset tell you?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("unseen", "initial value of unseen actions", LOWEST, 0.0, STEP, -10.0),
        Slider("wiggle", "wiggle of the long path", 0, 4, 1, 4),
        Slider("threshold", "support threshold k [logs]", 1, 3, 1, 1),
    ),
    describe=describe,
    table=table,
    predict_first=Predict(
        "Two walks are logged. The one from the start takes 22 steps and returns -19.84 (each step "
        "costs 1, discount 0.99). The other starts elsewhere and crosses it once. What is the best "
        "return from the start that the logged actions allow?",
        "reward",
        lambda numbers: numbers.in_support,
        mark=lambda axes, guess: plots.guess(axes[1], guess),
    ),
    named={
        "Pessimist": {"unseen": -30.0},
        "Just above the data": {"unseen": -13.0},
        "Start at 0": {"unseen": 0.0},
        "Believe what was seen twice": {"threshold": 2},
    },
    motion="unseen",
)
