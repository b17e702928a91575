"""Notebook 06: the same single steps, drawn each alone or in chunks, past a board."""

from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.course.worlds import sides
from chunkrl.course.worlds.sides import AHEAD, HALF_WIDTH, STEPS, World

RUNS, SHOWN = 2_000, 14
BIN = 0.02  # m
EDGES = BIN * (np.arange(-16, 16) + 0.5)
CENTRES = EDGES[:-1] + BIN / 2
NAMES = ("Gaussian BC, each step", "perfect flow, each step", "perfect flow, per chunk")

LEGEND = (
    "black: exact; open: simulated; filled: learned; dotted: the operator's two ways, without noise"
)


class Numbers(NamedTuple):
    world: World
    h: int
    memory: int
    hit: tuple[float, float, float]  # chance to run into the board; exact where `known`
    known: tuple[bool, bool, bool]
    estimate: np.ndarray  # [3]   the share of RUNS simulated runs that do
    standard_error: np.ndarray  # [3]
    paths: np.ndarray  # [3, SHOWN, STEPS + 1]   sideways positions [m]
    law: np.ndarray  # [3, bins]   exact chance that a single step falls into a bin
    share: np.ndarray  # [3, bins]   share of the simulated steps that do
    played: int = STEPS  # steps of the runs that are drawn


def compute(h: int, balance: float, noise: float, memory: int, played: int) -> Numbers:
    """Exact laws, and runs drawn from them, of which `played` steps are shown."""
    return whole(h, balance, noise, memory)._replace(played=played)


@lru_cache(maxsize=256)
def whole(h: int, balance: float, noise: float, memory: int) -> Numbers:
    """All steps of the runs; no network is involved."""
    world = World(balance, noise)
    moves = np.stack(
        [
            sides.sample_gaussian(world, RUNS, STEPS, np.random.default_rng(0)),
            sides.sample(world, 1, RUNS, STEPS, np.random.default_rng(0), memory),
            sides.sample(world, h, RUNS, STEPS, np.random.default_rng(0)),
        ]
    )
    estimate = (np.abs(moves.sum(-1)) < HALF_WIDTH).mean(-1)
    # With every earlier step remembered it is the operator's law; in between there is no formula.
    known = memory in (0, STEPS)
    ways = (
        sides.gaussian_displacement(world),
        sides.displacement(world, STEPS if memory else 1),
        sides.displacement(world, h),
    )
    gaussian, each, chunk = map(sides.collision, ways)
    step, fitted = sides.displacement(world, 1, 0, 1), sides.gaussian_displacement(world, 0, 1)
    return Numbers(
        world,
        h,
        memory,
        (gaussian, each if known else float(estimate[1]), chunk),
        (True, known, True),
        estimate,
        np.sqrt(estimate * (1 - estimate) / RUNS),
        paths(moves[:, :SHOWN]),
        np.stack([np.diff(law.below(EDGES)) for law in (fitted, step, step)]),
        shares(moves),
    )


def paths(moves: np.ndarray) -> np.ndarray:
    """Sideways positions from sideways steps, the start included.  [*B, T] -> [*B, T + 1]"""
    return np.concatenate([np.zeros((*moves.shape[:-1], 1)), moves.cumsum(-1)], -1)


def shares(moves: np.ndarray) -> np.ndarray:
    """Share of the steps in each bin.  [P, R, T] -> [P, bins]"""
    return np.stack([np.histogram(each, EDGES)[0] / each.size for each in moves])


def layout(figure: Figure, names: tuple[str, str, str] = NAMES) -> tuple[Axes, ...]:
    figure.text(0.075, 0.955, LEGEND, fontsize=8.5)
    top, bottom = [], []
    for column, name in enumerate(names):
        left = 0.075 + 0.315 * column
        y = "ahead [m]" if column == 0 else ""
        axes = plots.label(figure.add_axes((left, 0.47, 0.285, 0.33)), "", y, name)
        axes.set_xlim(-1.6, 1.6)
        axes.set_ylim(0.0, 1.3)
        axes.set_xticks([-1.0, 0.0, 1.0])
        axes.set_yticks([0.0, 0.5, 1.0])
        figure.text(left + 0.1425, 0.375, "sideways [m]", ha="center", fontsize=10)
        y = "share of steps" if column == 0 else ""
        law = plots.label(figure.add_axes((left, 0.13, 0.285, 0.16)), "one step sideways [m]", y)
        law.set_xlim(EDGES[0], EDGES[-1])
        law.set_ylim(0.0, 1.1)
        law.set_xticks([-0.2, 0.0, 0.2])
        law.set_yticks([])  # one scale for the three; limits that stay cost no redraw
        axes.tick_params(labelleft=column == 0)
        top.append(axes)
        bottom.append(law)
    return *top, *bottom


HIT: dict[str, Any] = plots.MARK | {"marker": "x", "markersize": 5.5}


def draw_paths(axes: Axes, sideways: np.ndarray, world: World, style: dict[str, Any]) -> None:
    """The board, the operator's two ways, and runs; a cross where one hits.  [R, T + 1]"""
    ahead = AHEAD * np.arange(sideways.shape[1] + 1)
    ahead[-1] = np.nan  # lifts the pen between two runs
    broken = np.pad(sideways, ((0, 0), (0, 1)))
    axes.plot(
        broken.ravel(), np.tile(ahead, len(broken)), color=style["color"], linewidth=0.9, alpha=0.8
    )
    both = [-1.0, 0.0, 1.0] if world.balance < 1 else [0.0, 1.0]
    axes.plot(both, np.abs(both), color=plots.BLACK, linewidth=1.0, linestyle=":")
    axes.bar(0.0, 0.08, 2 * HALF_WIDTH, 1.0, color=plots.BLACK)
    end = sideways[:, -1]
    if sideways.shape[1] <= STEPS:  # still on the way
        axes.plot(end, np.full(len(end), AHEAD * (sideways.shape[1] - 1)), zorder=3, **style)
        return
    hits = np.abs(end) < HALF_WIDTH
    axes.plot(end[hits], np.full(hits.sum(), 0.97), zorder=3, **HIT)
    axes.plot(end[~hits], np.full((~hits).sum(), 1.0), zorder=3, **style)


def draw_law(
    axes: Axes, law: np.ndarray, share: np.ndarray, top: float, style: dict[str, Any]
) -> None:
    """The exact law of a step as an outline, its shares as markers, `top` being 1.  [bins]"""
    axes.stairs(law / top, EDGES, color=plots.BLACK, linewidth=1.5)
    some = (law > 1e-3) | (share > 1e-3)
    small: dict[str, Any] = style | {"markersize": 3.5}
    axes.plot(CENTRES[some], share[some] / top, **small)


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    notes = ("", f"memory {numbers.memory}", f"h = {numbers.h}")
    top = float(max(numbers.law.max(), numbers.share.max()))
    for each in range(3):
        panel, law, style = axes[each], axes[3 + each], plots.estimated(each)
        draw_paths(panel, numbers.paths[each, :, : numbers.played + 1], numbers.world, style)
        said = f"{numbers.hit[each]:.0%} hit" + (
            ", exact" if numbers.known[each] else ", estimated"
        )
        panel.text(-1.55, 1.13, said, fontsize=10)
        panel.text(1.55, 1.13, notes[each], fontsize=10, ha="right")
        draw_law(law, numbers.law[each], numbers.share[each], top, style)
    _, each, chunk = numbers.hit
    if numbers.played < STEPS:
        plots.headline(axes[0], f"After {numbers.played} of {STEPS} steps")
        return
    plots.headline(
        axes[0],
        f"Same single steps: drawn one by one {each:.0%} hit the board, "
        f"in chunks of {numbers.h}: {chunk:.0%}",
    )


def describe(numbers: Numbers) -> str:
    world = numbers.world
    steps = f"that remembers {numbers.memory} step{'s' * (numbers.memory > 1)}"
    memory = steps if numbers.memory else "without memory"
    return (
        f"An operator passes a board on the right with probability {world.balance:.2f}, with noise "
        f"of {world.noise:.2f} m in each step. {numbers.hit[0]:.0%} of the runs of a Gaussian "
        f"policy hit the board, {numbers.hit[1]:.0%} of a policy {memory} that draws every step "
        f"from the right law, and {numbers.hit[2]:.0%} of one that draws chunks of {numbers.h}; "
        "the last two take single steps with the same law."
        + f" Drawn: {numbers.played} of {STEPS} steps."
        * (numbers.played < STEPS)
    )


def table(numbers: Numbers) -> Table:
    header = ("policy", "hits", "exact", "simulated", "2 standard errors")
    rows = [
        (
            name,
            numbers.hit[i],
            "yes" if numbers.known[i] else "no",
            float(numbers.estimate[i]),
            float(2 * numbers.standard_error[i]),
        )
        for i, name in enumerate(NAMES)
    ]
    operator = sides.collision(sides.displacement(numbers.world, STEPS))
    return header, [*rows, ("the operator", operator, "yes", operator, 0.0)]


SIDES = Explorer(
    name="sides",
    notebook="06",
    title="Why chunks at all?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("h", "chunk length h [steps]", 1, STEPS, 1, STEPS),
        Slider("balance", "P(operator means right) b", 0.5, 1.0, 0.05, 0.5),
        Slider("noise", "noise of each step [m]", 0.0, 0.08, 0.01, 0.02),
        Slider("memory", "steps k that single draws remember", 0, STEPS, 1, 0),
        Slider("played", "steps that are shown", 1, STEPS, 1, STEPS),
    ),
    describe=describe,
    table=table,
    predict_first=Predict(
        "An operator passes a board in 10 steps, half of the time on the left, half of the time on "
        "the right; 0% hit it. A policy draws every single step from exactly the operator's law of "
        "steps, but does not know which side is meant. How many of its runs hit the board?",
        "%",
        lambda numbers: 100 * numbers.hit[1],
        digits=0,
    ),
    named={
        "Half the way": {"h": 5},
        "Nine of ten": {"h": 9},
        "Remember instead": {"h": 1, "noise": 0.05, "memory": 2},
        "Nothing hidden": {"h": 1, "balance": 1.0},
    },
    motion="played",
)


class Clones(NamedTuple):
    """Runs of two learned flows beside the operator's."""

    world: World
    hit: np.ndarray  # [3]   operator, single steps, chunks: share of runs that hit the board
    paths: np.ndarray  # [3, SHOWN, STEPS + 1]   sideways positions [m]
    law: np.ndarray  # [bins]   exact chance that a single step falls into a bin
    share: np.ndarray  # [3, bins]


def clones(world: World, operator: np.ndarray, single: np.ndarray, chunk: np.ndarray) -> Clones:
    """What three sets of runs show.  three times [R, STEPS + 1, 2] -> Clones"""
    runs = np.stack([operator, single, chunk])[..., 0]  # [3, R, STEPS + 1]
    law = np.diff(sides.displacement(world, 1, 0, 1).below(EDGES))
    hit = (np.abs(runs[..., -1]) < HALF_WIDTH).mean(-1)
    return Clones(world, hit, runs[:, :SHOWN], law, shares(np.diff(runs, axis=-1)))


def picture(found: Clones, h: int) -> plots.Picture:
    """The learned flows' runs with their alternative text."""
    names = ("operator, simulated", "learned flow of single steps", f"learned flow of {h} steps")
    styles = (plots.estimated(4), plots.learned(1), plots.learned(2))

    def marks(axes: tuple[Axes, ...]) -> None:
        top = float(max(found.law.max(), found.share.max()))
        for i, style in enumerate(styles):
            draw_paths(axes[i], found.paths[i], found.world, style)
            axes[i].text(-1.55, 1.13, f"{found.hit[i]:.0%} hit", fontsize=10)
            draw_law(axes[3 + i], found.law, found.share[i], top, style)
        plots.headline(axes[0], "Learned: nearly the same single steps, other paths")

    alt = (
        f"{found.hit[0]:.0%} of the operator's runs hit the board, {found.hit[1]:.0%} of a learned "
        f"flow of single steps, {found.hit[2]:.0%} of a learned flow of chunks of {h}; the "
        "histograms of their single steps nearly agree."
    )
    return plots.Picture(plots.still(partial(layout, names=names), marks), alt)
