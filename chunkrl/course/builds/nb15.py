"""Notebook 15: a reader's flip probability on the example by hand and on our own runs."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.build import RINGS, YOURS, Build
from chunkrl.course.explorers.rankings import PAIRS, scores
from chunkrl.course.worlds.seeds import flip_probability
from chunkrl.experiments.report import spelled

MOST = 3  # seeds that a paper shows: who lets seeds come twice lists 1,000 choices of ten, no more
EXAMPLE = "the example by hand"


def _ranked(pair: tuple[str, str]) -> tuple[str, tuple[list[int], list[int]]]:
    """Who is ahead over all seeds, first."""
    first, second = sorted(pair, key=lambda method: -sum(scores(method)))
    return f"{spelled(first)}, {spelled(second)}", (scores(first), scores(second))


TABLES: dict[str, tuple[list[int], list[int]]] = {
    EXAMPLE: ([25, 45, 40], [30, 35, 20]),
    **dict(_ranked(pair) for pair in PAIRS.values()),
}
SIZES = {name: range(1, min(MOST, len(a), len(b)) + 1) for name, (a, b) in TABLES.items()}


def run(function: Callable[..., float]) -> list[np.ndarray]:
    """The function on every table, with 1, 2, ... seeds of each.  -> TABLES x [S]"""
    return [
        np.array([float(function(list(a), list(b), n)) for n in SIZES[name]])
        for name, (a, b) in TABLES.items()
    ]


EXACT = run(flip_probability)


def layout(figure: Figure) -> tuple[Axes, ...]:
    found = []
    width = 0.91 / len(TABLES)
    for i, name in enumerate(TABLES):
        axes = figure.add_axes((0.08 + width * i, 0.14, 0.8 * width, 0.6))
        plots.label(axes, "seeds of each S", "" if i else "other ranking [%]", name)
        axes.set_xlim(0.5, MOST + 0.5)
        axes.set_xticks(range(1, MOST + 1))
        axes.set_ylim(-5.0, 105.0)
        axes.set_yticks([0, 50, 100], [] if i else ["0", "50", "100"])
        found.append(axes)
    entries = {"exact": plots.EXACT, "library": RINGS, "yours": YOURS}
    plots.key(found[0], entries, (0.3, 0.6))
    return tuple(found)


def draw(
    axes: tuple[Axes, ...], library: Sequence[np.ndarray], yours: Sequence[np.ndarray] | None
) -> None:
    for i, (a, sizes) in enumerate(zip(axes, SIZES.values(), strict=True)):
        a.plot(sizes, 100 * EXACT[i], **plots.EXACT)
        a.plot(sizes, 100 * library[i], **RINGS)
        if yours is not None:
            a.plot(sizes, np.clip(100 * yours[i], *a.get_ylim()), **YOURS)
    plots.headline(axes[0], "How many papers with S of our seeds each print the other ranking?")


def describe(library: Sequence[np.ndarray], yours: Sequence[np.ndarray] | None) -> str:
    text = f"Probability of the other ranking with 1 to {MOST} seeds of each"
    for i, name in enumerate(TABLES):
        text += f"; {name}: {_listed(library[i])}"
        if yours is not None:
            text += f", yours {_listed(yours[i])}"
    return text + "."


def _listed(values: np.ndarray) -> str:
    return " ".join(f"{100 * value:.1f}%" for value in values)


BUILD = Build("15.write", run, layout, draw, describe)
