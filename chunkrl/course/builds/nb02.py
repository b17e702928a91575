"""Notebook 02: values of a corridor learned from episodes, with the reader's n-step targets."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.build import RINGS, YOURS, Build
from chunkrl.course.explorers.returns import CELLS, DISCOUNT, NOISE, step_sizes, truth
from chunkrl.course.worlds.returns import learning

EPISODES, RUNS, VALUE_ERROR = 50, 24, 5.0
RULES = {"0.2": "step size 0.2", "1/m": "step size 1/m"}
N = (1, 2, 4, 10, 20)
REWARDS = np.random.default_rng(1).normal(-1.0, NOISE, (RUNS, EPISODES, CELLS))
EXACT = {
    rule: learning(CELLS, step_sizes(rule, EPISODES), VALUE_ERROR, NOISE, DISCOUNT).squared_error
    for rule in RULES
}


def run(function: Callable[..., np.ndarray]) -> np.ndarray:
    """Mean squared error of the first cell after EPISODES, by step-size rule and n.  -> [2, N]"""
    return np.array([
        [np.mean([_learn(function, n, steps, rewards) for rewards in REWARDS]) for n in N]
        for steps in (step_sizes(rule, EPISODES) for rule in RULES)
    ])  # fmt: skip


def _learn(
    function: Callable[..., np.ndarray], n: int, steps: np.ndarray, rewards: np.ndarray
) -> float:
    value = truth()
    value[:-1] += VALUE_ERROR
    for step, reward in zip(steps, rewards, strict=True):
        target = np.asarray(function(reward, value.copy(), n, DISCOUNT), float)
        value[:-1] += step * (target - value[:-1])
    return float((value[0] - truth()[0]) ** 2)


def layout(figure: Figure) -> tuple[Axes, ...]:
    both = []
    for left, title in zip((0.10, 0.57), RULES.values(), strict=True):
        axes = figure.add_axes((left, 0.14, 0.40, 0.62))
        both.append(plots.label(axes, "n [steps]", "", title))
        axes.set_xlim(0, CELLS + 1)
        axes.set_yscale("log")
        axes.set_ylim(0.1, 400)
        axes.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    plots.label(both[0], "n [steps]", "squared error at the start [reward²]")
    both[0].set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    entries = {"exact": plots.EXACT, "library": RINGS, "yours": YOURS}
    plots.key(both[0], entries, "upper right")
    return tuple(both)


def draw(axes: tuple[Axes, ...], library: np.ndarray, yours: np.ndarray | None) -> None:
    for a, exact, ours in zip(axes, EXACT.values(), library, strict=True):
        a.plot(np.arange(1, CELLS + 1), exact, **plots.EXACT)
        a.plot(N, ours, **RINGS)
    if yours is not None:
        for a, found in zip(axes, yours, strict=True):
            a.plot(N, np.clip(found, *a.get_ylim()), **YOURS)
    plots.headline(axes[0], f"Values learned from {EPISODES} episodes, mean of {RUNS} runs")


def describe(library: np.ndarray, yours: np.ndarray | None) -> str:
    text = (
        f"Squared error at the start after {EPISODES} episodes, for n = {', '.join(map(str, N))}. "
        f"Library: {_told(library)}."
    )
    return text if yours is None else f"{text} Yours: {_told(yours)}."


def _told(errors: np.ndarray) -> str:
    return "; ".join(
        f"with {name} {', '.join(f'{error:.2f}' for error in row)}"
        for name, row in zip(RULES.values(), errors, strict=True)
    )


BUILD = Build("02.write", run, layout, draw, describe)
