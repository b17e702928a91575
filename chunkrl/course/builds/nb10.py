"""Notebook 10: a reader's rollout of a one-step model and of a chunk model."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.build import RINGS, YOURS, Build
from chunkrl.course.worlds.linear import ChunkMap, covariance, drift, fit, record, spring, true_map

SYSTEM, NOISE, TRANSITIONS, STEPS, ROLLOUTS = spring(), 0.1, 2_000, 50, 5_000
CHUNKS = (1, 10)
LOGS = record(SYSTEM, TRANSITIONS, STEPS, NOISE, 0.0, np.random.default_rng(0))
MODELS = {h: fit(LOGS, h, every_start=True) for h in CHUNKS}
EXACT = {h: drift(SYSTEM, model, STEPS) for h, model in MODELS.items()}


def answers(model: ChunkMap) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The model as a function: state [R, O], chunk [R, h, A] -> state [R, O]."""

    def predict(state: np.ndarray, chunk: np.ndarray) -> np.ndarray:
        return state @ model.state.T + chunk.reshape(len(chunk), -1) @ model.action.T

    return predict


def starts() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True states, actions, and where they lead.  -> [R, O], [R, T, A], [R, T + 1, O]"""
    rng = np.random.default_rng(1)
    state = rng.standard_normal((ROLLOUTS, 2)) @ np.linalg.cholesky(covariance(SYSTEM, 0.0)).T
    action = rng.uniform(-1.0, 1.0, (ROLLOUTS, STEPS, 1))
    path, step = [state], answers(true_map(SYSTEM, 1))
    for t in range(STEPS):
        path.append(step(path[-1], action[:, t : t + 1]))
    return state, action, np.stack(path, 1)


STATE, ACTION, TRUTH = starts()


def run(function: Callable[..., Sequence[np.ndarray]]) -> dict[int, np.ndarray]:
    """Root mean square error after every call, by steps per call.  -> h: [T / h + 1]"""
    found = {}
    for h in CHUNKS:
        states = np.asarray(function(answers(MODELS[h]), STATE, ACTION, h), float)
        miss = states - np.moveaxis(TRUTH[:, ::h], 0, 1)  # [K + 1, R, O]
        found[h] = np.sqrt((miss**2).mean((1, 2)))
    return found


def layout(figure: Figure) -> tuple[Axes, ...]:
    both = []
    for left, h in ((0.09, 1), (0.58, 10)):
        axes = figure.add_axes((left, 0.14, 0.38, 0.62))
        title = "50 calls of the one-step model" if h == 1 else f"5 calls of the {h}-step model"
        both.append(plots.label(axes, "steps imagined", "error of the state [its unit]", title))
        axes.set_xlim(-1.5, STEPS + 1.5)
        axes.set_ylim(-0.03, 0.85)
    entries = {"exact, of this model": plots.EXACT, "library": RINGS, "yours": YOURS}
    plots.key(both[0], entries, "upper left")
    return tuple(both)


def draw(
    axes: tuple[Axes, ...], library: dict[int, np.ndarray], yours: dict[int, np.ndarray] | None
) -> None:
    for a, h in zip(axes, CHUNKS, strict=True):
        at, some = np.arange(0, STEPS + 1, h), slice(None, None, 5 if h == 1 else 1)
        a.plot(at, EXACT[h], **plots.EXACT)
        a.plot(at[some], library[h][some], **RINGS)
        if yours is not None:
            a.plot(at[some], np.clip(yours[h], *a.get_ylim())[some], **YOURS)
    plots.headline(
        axes[0],
        f"The same rollout: off by {library[1][-1]:.2f} after 50 calls, by "
        f"{library[10][-1]:.2f} after 5",
    )


def describe(library: dict[int, np.ndarray], yours: dict[int, np.ndarray] | None) -> str:
    text = (
        f"{ROLLOUTS} rollouts of two models learned from {TRANSITIONS} steps with sensor noise "
        f"{NOISE}: after {STEPS} steps the one-step model is off by {library[1][-1]:.3f} (exact "
        f"{EXACT[1][-1]:.3f}), the model of 10 steps by {library[10][-1]:.3f} (exact "
        f"{EXACT[10][-1]:.3f})."
    )
    if yours is not None:
        text += (
            f" Rolled out by your function: {yours[1][-1]:.3f} and {yours[10][-1]:.3f}; after ten "
            f"steps {yours[1][10]:.3f} and {yours[10][1]:.3f}."
        )
    return text


BUILD = Build("10.write", run, layout, draw, describe)
