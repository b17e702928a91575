"""Notebook 12: a reader's loss of QC-FQL trains a small agent on the lock."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course import one_step
from chunkrl.course.build import YOURS, Build
from chunkrl.course.worlds import button_lock
from chunkrl.data import windows
from chunkrl.tabular.worlds import right_actions

LENGTH, H, SKILL, DISCOUNT = 8, 4, 0.7, 0.99
UPDATES, BATCH, SHOWN = 600, 64, 6  # updates, windows in each, how often the agent is looked at
DRAWS = 64  # chunks of the policy in every cell, of which its steps to the goal are computed
LEAST, MOST = 5.0, 400.0  # steps that the picture can show
ENDLESS = 1 - 1e-6  # a discount so near to 1 that it only keeps a walk without end finite
SIZES: dict[str, Any] = {
    "obs_dim": LENGTH + 1, "action_dim": 1, "horizon": H, "alpha": 3.0, "hidden": (32, 32),
    "flow_steps": 3, "lr": 3e-3, "tau": 0.02,
}  # fmt: skip
AT = UPDATES // SHOWN * np.arange(1, SHOWN + 1)
VALUE = -(1 - DISCOUNT**LENGTH) / (1 - DISCOUNT)  # of the start, when every press is right
LOGS = button_lock.logs(LENGTH, SKILL)
LOGGED = len(LOGS.terminal) / float(LOGS.terminal.sum())  # steps of an episode in the data


class Numbers(NamedTuple):
    steps: np.ndarray  # [SHOWN]  of the policy from the start to the goal, on average
    value: np.ndarray  # [SHOWN]  what the critic says of the policy's chunks at the start
    true: np.ndarray  # [SHOWN]  the exact value of the start when these chunks are played


@cache
def given() -> tuple[Any, Any, Any, Any]:
    """Windows and noise of every update, and for looking: the same for every loss."""
    agent = one_step.make(**SIZES)
    rng = np.random.default_rng(0)
    start = rng.integers(0, windows.starts(LOGS, H), UPDATES * BATCH)
    batches = jax.tree.map(
        lambda x: np.asarray(x).reshape(UPDATES, BATCH, *x.shape[1:]),
        windows.take(LOGS, start, H, DISCOUNT),
    )
    draw = lambda *shape: rng.standard_normal((UPDATES, *shape)).astype(np.float32)
    noise = agent.noise(jax.random.key(0), 1)._replace(
        propose=draw(1, BATCH, H), flow=draw(BATCH, H), improve=draw(BATCH, H),
        t=rng.random((UPDATES, BATCH, 1)).astype(np.float32),
    )  # fmt: skip
    look = rng.standard_normal((DRAWS, LENGTH + 1, H)).astype(np.float32)
    return agent.init(jax.random.key(0)), batches, noise, look


class Tied(NamedTuple):
    """An agent of each alpha after UPDATES."""

    steps: np.ndarray  # [alphas]  of the policy from the start to the goal
    outside: np.ndarray  # [alphas]  share of the policy's numbers beyond -1 and 1, before clipping


def tied(alphas: Sequence[float], function: Callable[..., Any] = one_step.library_loss) -> Tied:
    """Train by the loss `function` with each of `alphas`, all in one compiled program."""
    agent = one_step.make(function, **SIZES)
    state, batches, noise, look = given()
    obs = jnp.broadcast_to(jnp.eye(LENGTH + 1), (DRAWS, LENGTH + 1, LENGTH + 1))

    def train(alpha):
        mine = replace(agent, policy=replace(agent.policy, alpha=alpha))
        learn = lambda state, line: (mine.step(state, *line)[0], None)
        policy = jax.lax.scan(learn, state, (batches, noise))[0].params.policy
        return one_step.Nets(mine).one_step(policy, obs, look)

    chunks = np.asarray(jax.jit(jax.vmap(train))(jnp.array(alphas, float)))
    outside = (np.abs(chunks[:, :, :LENGTH]) > 1).mean((1, 2, 3))
    return Tied(np.array([steps_to_goal(pressed > 0) for pressed in chunks]), outside)


def run(function: Callable[..., Any]) -> Numbers:
    """Train by the loss `function`, and look at policy and critic SHOWN times."""
    agent = one_step.make(function, **SIZES)
    state, batches, noise, look = given()
    cells = jnp.eye(LENGTH + 1)

    def learn(state, line):
        return agent.step(state, *line)[0], None

    def stage(state, lines):
        state, _ = jax.lax.scan(learn, state, lines)
        obs = jnp.broadcast_to(cells, (DRAWS, *cells.shape))
        chunks = agent.policy.sample(state.params.policy, obs, look)
        return state, (chunks, agent.q(state.params.critic, obs[:, 0], chunks[:, 0]).mean())

    parts = jax.tree.map(lambda x: x.reshape(SHOWN, -1, *x.shape[1:]), (batches, noise))
    learned = jax.jit(lambda state, parts: jax.lax.scan(stage, state, parts))
    _, (chunks, value) = learned(state, parts)
    buttons = np.nan_to_num(np.asarray(chunks)) > 0
    return Numbers(
        np.array([steps_to_goal(pressed) for pressed in buttons]),
        np.nan_to_num(np.asarray(value, float), nan=-1e6),
        np.array([-steps_to_goal(pressed, DISCOUNT) for pressed in buttons]),
    )


def steps_to_goal(pressed: np.ndarray, discount: float = ENDLESS) -> float:
    """Mean discounted steps from the start, each plan drawn from its cell's.  [Z, L + 1, h] -> []

    Solves x = t + discount^h P x: t sums discount^i over a plan's steps, P leads from plan to plan.
    Each step costs 1, so that -x is the value of the start; at most MOST.
    """
    count, cells, h = pressed.shape
    right = right_actions(LENGTH)
    cell = np.broadcast_to(np.arange(cells), (count, cells)).copy()
    taken = np.zeros((count, cells))
    for i in range(h):
        on = pressed[..., i] == right[np.minimum(cell, LENGTH - 1)]
        going = cell < LENGTH
        cell = np.where(going, np.maximum(cell + np.where(on, 1, -1), 0), cell)
        taken += discount**i * going
    lead = np.zeros((LENGTH, cells))
    for at in range(LENGTH):
        lead[at] = np.bincount(cell[:, at], minlength=cells) / count
    stay = np.eye(LENGTH) - discount**h * lead[:, :LENGTH]  # who goes on has played all h
    return float(np.clip(np.linalg.solve(stay, taken.mean(0)[:LENGTH])[0], 0.0, MOST))


def layout(figure: Figure) -> tuple[Axes, ...]:
    steps = plots.label(
        figure.add_axes((0.09, 0.14, 0.38, 0.62)),
        "updates",
        "steps to the goal (log scale)",
        "the policy",
    )
    steps.set_yscale("log")
    steps.set_ylim(LEAST, 1.2 * MOST)
    steps.set_yticks([8, 20, 50, 100, 400], ["8", "20", "50", "100", "400"])
    steps.minorticks_off()
    value = plots.label(
        figure.add_axes((0.58, 0.14, 0.38, 0.62)), "updates", "value [reward]",
        "the critic, of the policy's chunks at the start",
    )  # fmt: skip
    value.set_ylim(-36, 4)
    for axes in (steps, value):
        axes.set_xlim(0, 1.05 * UPDATES)
    entries = {"exact optimum": plots.EXACT, "library": LIBRARY, "yours": YOURS}
    plots.key(steps, entries, "upper right")
    plots.key(value, {"what it says": LIBRARY, "what they are worth": WORTH}, "lower right")
    return steps, value


LIBRARY: dict[str, Any] = plots.learned(0) | {"markersize": 9}
WORTH: dict[str, Any] = plots.reference(0) | {"linestyle": (0, (2, 2))}


def draw(axes: tuple[Axes, ...], library: Numbers, yours: Numbers | None) -> None:
    steps, value = axes
    steps.axhline(LENGTH, **plots.EXACT)
    steps.axhline(LOGGED, color="#888888", linestyle=":", linewidth=1.2)
    steps.text(10, 1.05 * LOGGED, "the hand that logged", fontsize=9, color="#555555")
    value.axhline(VALUE, **plots.EXACT)
    shown = [(library, LIBRARY), *([] if yours is None else [(yours, YOURS)])]
    for found, style in shown:
        steps.plot(AT, found.steps, **style)
        said, true = (np.clip(x, *value.get_ylim()) for x in (found.value, found.true))
        value.plot(AT, said, **style)
        value.plot(AT, true, **WORTH | {"color": style["color"]})
    also = "" if yours is None else f", by yours {yours.steps[-1]:.1f}"
    plots.headline(
        steps, f"Trained by the library's loss it needs {library.steps[-1]:.1f} steps{also}"
    )


def describe(library: Numbers, yours: Numbers | None) -> str:
    text = (
        f"A lock of {LENGTH} cells, QC-FQL with h = {H}. After {UPDATES} updates by the library's "
        f"loss the policy needs {library.steps[-1]:.2f} steps (at best {LENGTH}; the hand that "
        f"logged {LOGGED:.1f}), and the critic says {library.value[-1]:.2f} of its chunks at the "
        f"start, which are worth {library.true[-1]:.2f} (exact optimum {VALUE:.2f}); after {AT[0]} "
        f"updates it said {library.value[0]:.2f} of what was worth {library.true[0]:.2f}."
    )
    if yours is not None:
        text += f" By your loss: {yours.steps[-1]:.2f} steps, value {yours.value[-1]:.2f}."
    return text


BUILD = Build("12.write", run, layout, draw, describe)
