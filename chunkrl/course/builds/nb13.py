"""Notebook 13: a reader's imagined return in the true world and in two models."""

from collections.abc import Callable
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.build import RINGS, YOURS, Build
from chunkrl.course.worlds import push

STARTS = np.linspace(10.0, 60.0, 25)  # cm
DEPTHS = np.arange(0, 21, 2)
MODELS = {"the true world": 0.0, "model: stuck at 3 cm": 3.0, "model: stuck at 6 cm": 6.0}
TRUTH = float(push.value(STARTS, push.SPEED).mean())
TAUGHT = float(push.value(STARTS).mean())
LOW, HIGH = -100.0, 0.0


def run(function: Callable[..., np.ndarray]) -> np.ndarray:
    """Mean target of the starts by world and depth.  -> [MODELS, DEPTHS]"""
    return np.array([[_mean(function, at, int(depth)) for depth in DEPTHS] for at in MODELS])


def _mean(function: Callable[..., np.ndarray], model: str, depth: int) -> float:
    predict, reward = (partial(f, stuck=MODELS[model]) for f in (push.predict, push.reward))
    networks = (push.act, predict, reward, push.value)
    target = function(STARTS.copy(), *networks, push.DISCOUNT, push.CHUNK, depth)
    return float(np.mean(np.asarray(target, float)))


def layout(figure: Figure) -> tuple[Axes, ...]:
    found = []
    for i, name in enumerate(MODELS):
        axes = figure.add_axes((0.08 + 0.315 * i, 0.14, 0.28, 0.62))
        plots.label(axes, "imagined chunks H", "" if i else "target [reward]", name)
        axes.set_xlim(-1, DEPTHS[-1] + 1)
        axes.set_xticks(DEPTHS[::5])
        axes.set_ylim(LOW, HIGH)
        if i:
            axes.set_yticklabels([])
        found.append(axes)
    entries = {"V of the fast policy, exact": plots.EXACT, "library": RINGS, "yours": YOURS}
    plots.key(found[0], entries, "upper left")
    return tuple(found)


def draw(axes: tuple[Axes, ...], library: np.ndarray, yours: np.ndarray | None) -> None:
    for i, a in enumerate(axes):
        a.plot(a.get_xlim(), [TRUTH, TRUTH], **plots.EXACT)
        a.plot(DEPTHS, library[i], **RINGS)
        if yours is not None:
            a.plot(DEPTHS, np.clip(yours[i], LOW + 1, HIGH - 1), **YOURS)
    plots.headline(
        axes[0], "A value that is too low, repaired; a cube that never arrives, believed"
    )


def describe(library: np.ndarray, yours: np.ndarray | None) -> str:
    text = (
        f"A cube is pushed to its place, worth {TRUTH:.1f} on average; the value, of a policy half "
        f"as fast, says {TAUGHT:.1f}. Targets after {', '.join(map(str, DEPTHS))} imagined chunks"
    )
    for name, targets in zip(MODELS, library, strict=True):
        text += f"; {name}: {_listed(targets)}"
    if yours is not None:
        text += ". Yours: " + "; ".join(map(_listed, yours))
    return text + "."


def _listed(values: np.ndarray) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


BUILD = Build("13.write", run, layout, draw, describe)
