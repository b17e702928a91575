"""Notebook 17: a reader's policy, which picks and then climbs, by a critic that errs."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.build import RINGS, YOURS, Build, compare
from chunkrl.course.exercises.nb17 import best_then_climb
from chunkrl.course.worlds import extractions
from chunkrl.course.worlds.flow_picks import WAYS
from chunkrl.course.worlds.mixtures import log_density, sample
from chunkrl.tabular.selection import best_of_n

STEPS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8)
SIZES = (1, 16)  # N
ROUNDS, NUDGE = 3_000, 1e-4
FIRST = extractions.critic(8, 2.0, 0.3, kept=1)  # of the explorer's
TITLES = ("N = 1: claimed", "N = 1: obtained", "N = 16: claimed", "N = 16: obtained")


def critic(action: np.ndarray) -> np.ndarray:
    """The first critic, which errs where data are rare.  [..., 2] -> [...]"""
    return FIRST(action)[0]


def slope(action: np.ndarray) -> np.ndarray:
    """By differences.  [..., 2] -> [..., 2]"""
    aside = NUDGE * np.eye(2)
    return np.stack([(critic(action + d) - critic(action - d)) / (2 * NUDGE) for d in aside], -1)


def run(function: Callable[..., np.ndarray]) -> np.ndarray:
    """What the critic says of the actions, and what they are worth.  -> [4, STEPS]"""
    found = []
    for n in SIZES:
        drawn = sample(WAYS, n * ROUNDS, np.random.default_rng(n)).clip(-1, 1)
        for step in STEPS:
            done = function(drawn.reshape(n, ROUNDS, 2), critic, slope, step)
            done = np.asarray(done, float)
            found.append((critic(done).mean(), extractions.value(done).mean()))
    return np.array(found).reshape(len(SIZES), len(STEPS), 2).swapaxes(1, 2).reshape(4, -1)


def exact() -> np.ndarray:
    """The same for ever so many rounds, on a fine grid.  -> [4, STEPS]"""
    line = np.linspace(-1.5, 1.5, 121)
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    probability = np.exp(log_density(WAYS, grid))
    probability /= probability.sum()
    action = grid.clip(-1, 1)
    each = [best_then_climb(action[None], critic, slope, step) for step in STEPS]
    worth = np.array([(critic(done), extractions.value(done)) for done in each])  # [T, 2, G]
    laws = [best_of_n(probability, critic(action), n) for n in SIZES]
    return np.concatenate([(worth @ law).T for law in laws])


EXACT = exact()


def layout(figure: Figure) -> tuple[Axes, ...]:
    found = []
    for i, title in enumerate(TITLES):
        axes = figure.add_axes((0.07 + 0.24 * i, 0.14, 0.18, 0.62))
        plots.label(axes, "step [of an action]", "spreads" if i == 0 else "", title)
        axes.set_xlim(-0.04, 0.84)
        axes.set_ylim(-1.5, 4.0)
        found.append(axes)
    plots.key(found[1], {"exact": plots.EXACT, "library": RINGS, "yours": YOURS}, "upper left")
    return tuple(found)


def draw(axes: tuple[Axes, ...], library: np.ndarray, yours: np.ndarray | None) -> None:
    compare(axes, STEPS, EXACT, library, yours)
    plots.headline(axes[0], "A critic that errs by 2 spreads where data are rare; lines: exact")


def describe(library: np.ndarray, yours: np.ndarray | None) -> str:
    text = f"Picked, then moved by {', '.join(map(str, STEPS))}, {ROUNDS:,} rounds each"
    for i, title in enumerate(TITLES):
        text += f"; {title}: exact {_listed(EXACT[i])}, sampled {_listed(library[i])}"
        if yours is not None:
            text += f", yours {_listed(yours[i])}"
    return text + "."


def _listed(values: np.ndarray) -> str:
    return " ".join(f"{round(float(value), 2) + 0.0:.2f}" for value in values)


BUILD = Build("17.write", run, layout, draw, describe)
