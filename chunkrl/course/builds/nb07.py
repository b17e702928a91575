"""Notebook 07: a reader's best of N against the exact order statistics."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.build import RINGS, YOURS, Build, compare
from chunkrl.tabular.selection import delivered, promised

SIGMA, ROUNDS = 1.0, 5_000
SIZES = (1, 2, 4, 8, 16, 32, 64)
EXACT = np.array([[f(n, SIGMA) + 0.0 for n in SIZES] for f in (promised, delivered)])


def propose(rng: np.random.Generator) -> Callable[[int], np.ndarray]:
    """Draws n actions for each round: two numbers, of which only the first is worth anything."""
    return lambda n: rng.standard_normal((n, ROUNDS, 2))


def critic(actions: np.ndarray) -> np.ndarray:
    """What the critic sees: the true value and an error of its own.  [..., 2] -> [...]"""
    return actions[..., 0] + SIGMA * actions[..., 1]


def run(function: Callable[..., np.ndarray]) -> np.ndarray:
    """Mean of what the critic says of the picks, and of what they are worth.  -> [2, SIZES]"""
    found = []
    for n in SIZES:
        pick = np.asarray(function(propose(np.random.default_rng(n)), critic, n), float)
        found.append((critic(pick).mean(), pick[..., 0].mean()))
    return np.array(found).T


def layout(figure: Figure) -> tuple[Axes, ...]:
    both = []
    for left, title in ((0.09, "promised: the critic's value"), (0.58, "delivered: the truth")):
        axes = figure.add_axes((left, 0.14, 0.38, 0.62))
        both.append(plots.label(axes, "candidates N", "value of the pick [spreads]", title))
        axes.set_xlim(-0.3, np.log2(SIZES[-1]) + 0.3)
        axes.set_ylim(-4.0, 5.0)
        axes.set_xticks(np.log2(SIZES), [str(n) for n in SIZES])
    entries = {"exact": plots.EXACT, "library": RINGS, "yours": YOURS}
    plots.key(both[0], entries, "lower left")
    return tuple(both)


def draw(axes: tuple[Axes, ...], library: np.ndarray, yours: np.ndarray | None) -> None:
    compare(axes, np.log2(SIZES), EXACT, library, yours)
    plots.headline(axes[0], "Of what the critic promises of its pick, half is there")


def describe(library: np.ndarray, yours: np.ndarray | None) -> str:
    text = (
        f"The best of N = {', '.join(map(str, SIZES))} by a critic with noise {SIGMA:.0f} in "
        f"{ROUNDS} rounds: promised {_listed(library[0])} (exact {_listed(EXACT[0])}), delivered "
        f"{_listed(library[1])} (exact {_listed(EXACT[1])}) spreads."
    )
    if yours is not None:
        text += f" Your picks: promised {_listed(yours[0])}, delivered {_listed(yours[1])}."
    return text


def _listed(values: Sequence[float] | np.ndarray) -> str:
    return ", ".join(f"{round(float(value), 2) + 0.0:.2f}" for value in values)


BUILD = Build("07.write", run, layout, draw, describe)
