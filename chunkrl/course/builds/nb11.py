"""Notebook 11: a reader's imagined target, in models counted from data and with a wrong value."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.build import RINGS, YOURS, Build
from chunkrl.course.explorers.imagination import ANYWHERE, GUESSES, SLIP
from chunkrl.tabular.estimate import count_model
from chunkrl.tabular.mdp import chain, policy_value
from chunkrl.tabular.worlds import lock

SKILL, TRANSITIONS, VALUE_ERROR, MODELS, RUNS = 0.9, 100, 5.0, 12, 200
DISCOUNT = 0.95  # with 0.99 a forgotten discount hardly shows within these lengths
LENGTHS = (0, 1, 2, 4, 7, 12, 20, 35)


class Imagined(NamedTuple):
    """M counted models, the value that is wrong in each, and the truth of the same policy."""

    go_on: np.ndarray  # [M, S, A, S]   cumulative probabilities of the next place
    right: np.ndarray  # [S]   probability of the first button
    reward: np.ndarray  # [M, S, A]
    value: np.ndarray  # [M, S]
    truth: np.ndarray  # [S]
    exact: (
        np.ndarray
    )  # [3, LENGTHS]   error of the target, with the true value, with the true model


def imagined() -> Imagined:
    """As in the notebook's first figure, but for the discount; one wrong value for each model."""
    world, rng = lock(slip=SLIP, skill=SKILL, discount=DISCOUNT), np.random.default_rng(0)
    mdp, policy = world.mdp, world.behaviour
    models = count_model(mdp, policy, TRANSITIONS, MODELS, rng, prior=GUESSES[ANYWHERE])
    truth = policy_value(mdp, policy)
    value = truth + VALUE_ERROR * rng.standard_normal((MODELS, len(truth)))
    value[:, -1] = 0.0  # the goal is known to be the end
    learned, true = [chain(model, policy) for model in models], chain(mdp, policy)
    exact = [
        _errors(chains, start, truth, mdp.discount)
        for chains, start in (
            (learned, value), (learned, np.tile(truth, (MODELS, 1))), ([true] * MODELS, value),
        )
    ]  # fmt: skip
    go_on = np.stack([model.transition for model in models]).cumsum(-1)
    reward = np.stack([model.reward for model in models])
    return Imagined(go_on, policy[:, 0], reward, value, truth, np.array(exact))


def _errors(chains, value: np.ndarray, truth: np.ndarray, discount: float) -> np.ndarray:
    """Root mean square over models and live places of T_H - V, T_{H+1} = r + gamma P T_H."""
    target, found = value, []
    for steps in range(LENGTHS[-1] + 1):
        if steps in LENGTHS:
            found.append(np.sqrt(((target - truth)[:, :-1] ** 2).mean()))
        backed = [r + discount * p @ t for (p, r), t in zip(chains, target, strict=True)]
        target = np.stack(backed)
    return np.array(found)


WORLD = imagined()
# A walk is in one model and begins in one place; RUNS of them for each pair.
MODEL, START = (
    part.ravel() for part in np.mgrid[:MODELS, : len(WORLD.truth) - 1].repeat(RUNS, axis=-1)
)


def run(function: Callable[..., np.ndarray]) -> np.ndarray:
    """Root mean square error of the mean target of each model and place.  -> [LENGTHS]"""
    found = []
    for steps in LENGTHS:
        rng = np.random.default_rng(steps)

        def act(state: np.ndarray, rng=rng) -> np.ndarray:
            return (rng.random(len(state)) >= WORLD.right[state]).astype(int)

        def step(state: np.ndarray, action: np.ndarray, rng=rng) -> tuple[np.ndarray, np.ndarray]:
            sure = WORLD.go_on[MODEL, state, action]  # [R, S]
            after = (rng.random((len(state), 1)) >= sure[:, :-1]).sum(-1)
            return WORLD.reward[MODEL, state, action], after

        value = lambda state: WORLD.value[MODEL, state]
        target = np.asarray(function(act, step, value, START, DISCOUNT, steps), float)
        mean = target.reshape(MODELS, -1, RUNS).mean(-1)
        found.append(np.sqrt(((mean - WORLD.truth[:-1]) ** 2).mean()))
    return np.array(found)


def layout(figure: Figure) -> tuple[Axes, ...]:
    axes = plots.label(
        figure.add_axes((0.09, 0.14, 0.55, 0.68)),
        "imagined steps H",
        "error of the target [reward]",
    )
    axes.set_xlim(-1.0, LENGTHS[-1] + 1.0)
    axes.set_ylim(-0.2, 9.0)
    plots.key(
        axes,
        {
            "exact": plots.EXACT,
            "exact, true value at the end": PARTS[0],
            "exact, true model on the way": PARTS[1],
            "library, sampled": RINGS,
            "yours, sampled": YOURS,
        },
        (1.03, 0.45),
    )
    return (axes,)


PARTS: tuple[dict[str, Any], ...] = (plots.reference(2), plots.reference(3))


def draw(axes: tuple[Axes, ...], library: np.ndarray, yours: np.ndarray | None) -> None:
    (a,) = axes
    for curve, style in zip(WORLD.exact, (plots.EXACT, *PARTS), strict=True):
        a.plot(LENGTHS, curve, **style)
    a.plot(LENGTHS, library, **RINGS)
    if yours is not None:
        a.plot(LENGTHS, np.clip(yours, *a.get_ylim()), **YOURS)
    best = int(library.argmin())
    plots.headline(
        a,
        f"A value off by {library[0]:.1f} becomes a target off by {library[best]:.1f} at H = "
        f"{LENGTHS[best]}",
    )


def describe(library: np.ndarray, yours: np.ndarray | None) -> str:
    text = (
        f"Targets that imagine H = {', '.join(map(str, LENGTHS))} steps in {MODELS} models counted "
        f"from {TRANSITIONS} steps, {RUNS} walks from each place: off by {_listed(library)} "
        f"(exact {_listed(WORLD.exact[0])})."
    )
    return text if yours is None else f"{text} Yours: {_listed(yours)}."


def _listed(values: Sequence[float] | np.ndarray) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


BUILD = Build("11.write", run, layout, draw, describe)
