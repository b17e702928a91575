"""Notebook 06: a reader's player of chunks in front of the board."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.build import RINGS, YOURS, Build, compare
from chunkrl.course.worlds import sides
from chunkrl.course.worlds.sides import AHEAD, HALF_WIDTH, SIDEWAYS, STEPS, World

WORLD = World(balance=0.5, noise=0.02)
RUNS = 2_000
LENGTHS = (1, 2, 3, 5, 8, 9, 10)
PASS = [100 * (1 - sides.collision(sides.displacement(WORLD, h))) for h in LENGTHS]
# Neighbouring draws differ half of the time; without a new draw no step changes side.
TURNS = [(-(-STEPS // h) - 1) / 2 for h in LENGTHS]


def propose(rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """A perfect clone of chunks of STEPS moves, whatever it sees.  [R, 2] -> [STEPS, R, 2]"""

    def chunk(position: np.ndarray) -> np.ndarray:
        runs = len(position)
        side = np.where(rng.random(runs) < WORLD.balance, 1.0, -1.0)
        sideways = SIDEWAYS * side + WORLD.noise * rng.standard_normal((STEPS, runs))
        return np.stack([sideways, np.full((STEPS, runs), AHEAD)], -1)

    return chunk


def run(function: Callable[..., Sequence[np.ndarray]]) -> np.ndarray:
    """Runs that pass [%] and changes of side in a run, for each of LENGTHS.  -> [2, LENGTHS]"""
    passed, turns = [], []
    for h in LENGTHS:
        player = propose(np.random.default_rng(h))
        where = np.asarray(function(player, np.zeros((RUNS, 2)), h, STEPS), float)[..., 0]
        right = np.diff(where, axis=0) > 0  # [T, R]
        passed.append(100 * (np.abs(where[-1]) > HALF_WIDTH).mean())
        turns.append((right[1:] != right[:-1]).sum(0).mean())
    return np.array([passed, turns])


def layout(figure: Figure) -> tuple[Axes, ...]:
    both = []
    for left, name, top in ((0.09, "runs that pass [%]", 108.0), (0.58, "changes of side", 5.0)):
        axes = figure.add_axes((left, 0.14, 0.38, 0.62))
        both.append(plots.label(axes, "actions h that are played before a new look", name))
        axes.set_xlim(0.5, STEPS + 0.5)
        axes.set_ylim(-0.05 * top, top)
        axes.set_xticks(LENGTHS)
    entries = {"exact": plots.EXACT, "library": RINGS, "yours": YOURS}
    plots.key(both[0], entries, "upper left")
    return tuple(both)


def draw(axes: tuple[Axes, ...], library: np.ndarray, yours: np.ndarray | None) -> None:
    compare(axes, LENGTHS, (PASS, TURNS), library, yours)
    plots.headline(axes[0], "The same chunks; what differs is after how many actions it looks")


def describe(library: np.ndarray, yours: np.ndarray | None) -> str:
    text = (
        f"A player of perfect chunks of {STEPS}, which plays h = "
        f"{', '.join(map(str, LENGTHS))} of them before it looks again: {_listed(library[0], 0)}% "
        f"of {RUNS} runs pass the board (exact {_listed(PASS, 0)}%), with "
        f"{_listed(library[1], 1)} changes of side in a run (exact {_listed(TURNS, 1)})."
    )
    if yours is not None:
        text += (
            f" With your player {_listed(yours[0], 0)}% pass, with {_listed(yours[1], 1)} changes."
        )
    return text


def _listed(values: Sequence[float] | np.ndarray, digits: int) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in values)


BUILD = Build("06.write", run, layout, draw, describe)
