"""The small worlds of the notebooks, each with the policy that logged its data."""

from typing import NamedTuple

import numpy as np

from chunkrl.errors import ConfigError
from chunkrl.tabular.mdp import MDP, check

SECRET = 0  # the seed of the lock's right actions; numbers that depend on them are for this seed


class World(NamedTuple):
    """An MDP, the closed-loop policy that logged its data, and where an episode starts."""

    mdp: MDP
    behaviour: np.ndarray  # [S, A]
    start: int = 0


def probability(**settings: float) -> None:
    """Raise ConfigError for the first setting that is not a probability."""
    for name, p in settings.items():
        if not 0 <= p <= 1:
            raise ConfigError(f"{name}={p} must be a probability, between 0 and 1")


def right_actions(length: int, secret: int = SECRET) -> np.ndarray:
    """The secret right action of each cell of the lock, 0 or 1.  -> [L]"""
    if length < 1:
        raise ConfigError(f"length={length} must be at least 1")
    return np.random.default_rng(secret).integers(0, 2, length)


def lock(
    length: int = 24,
    slip: float = 0.0,
    skill: float = 0.9,
    *,
    discount: float = 0.99,
    secret: int = SECRET,
) -> World:
    """The combination lock with slip: L cells in a row, then the goal, state L.

    The right action moves one cell on with probability 1 - slip (else it stays); the wrong one
    moves one cell back (the first cell stays).  Every step costs -1 until the goal, which absorbs.
    The behaviour takes the right action with probability `skill`, whatever happened before; at the
    goal, where nothing matters, both actions alike.  Without slip V*(0) = -(1 - gamma^L)/(1 -
    gamma).
    """
    probability(slip=slip, skill=skill)
    right, cell = right_actions(length, secret), np.arange(length)
    transition = np.zeros((length + 1, 2, length + 1))
    transition[cell, right, cell + 1] = 1 - slip
    transition[cell, right, cell] = slip
    transition[cell, 1 - right, np.maximum(cell - 1, 0)] = 1
    transition[length, :, length] = 1
    reward = np.full((length + 1, 2), -1.0)
    reward[length] = 0
    behaviour = np.full((length + 1, 2), 0.5)
    behaviour[cell, right], behaviour[cell, 1 - right] = skill, 1 - skill
    return World(check(MDP(transition, reward, discount)), behaviour)


def random_mdp(
    rng: np.random.Generator, states: int, actions: int, discount: float, noise: float = 1.0
) -> MDP:
    """P = (1 - noise) [one next state] + noise Dirichlet(0.3),  r ~ U(0, 1).

    noise=0 is deterministic; noise=eps is eps-deterministic in the sense of DQC (Prop. 4).
    """
    probability(noise=noise)
    target = rng.integers(0, states, (states, actions))
    cloud = rng.dirichlet(np.full(states, 0.3), (states, actions))
    transition = (1 - noise) * np.eye(states)[target] + noise * cloud
    return check(MDP(transition, rng.random((states, actions)), discount))


def random_policy(rng: np.random.Generator, states: int, actions: int) -> np.ndarray:
    """A stochastic policy, each row from Dirichlet(1).  -> [S, A]"""
    return rng.dirichlet(np.ones(actions), states)


def two_step(good: float = 0.1, *, discount: float = 0.99) -> World:
    """Counterexample to n-step returns: s0 -> s1 for sure; at s1 action 0 earns 1, the other 0.

    The behaviour takes action 0 with probability `good`.  The 2-step return teaches
    Q(s0, a) = gamma * good, whatever the policy does next; the chunked one teaches
    Q(s0, (a, 0)) = gamma, and the best chunk is optimal.
    """
    probability(good=good)
    transition = np.zeros((3, 2, 3))
    transition[0, :, 1] = transition[1, :, 2] = transition[2, :, 2] = 1
    reward = np.zeros((3, 2))
    reward[1, 0] = 1
    behaviour = np.array([[0.5, 0.5], [good, 1 - good], [0.5, 0.5]])
    return World(check(MDP(transition, reward, discount)), behaviour)


def left_right(left: float = 0.5, *, discount: float = 0.99) -> World:
    """Counterexample to chunks: s0 -> L with probability `left`, else R; the expert looks first.

    Action 0 earns 1 at L, action 1 at R, and the closed-loop expert always picks the right one.
    So every logged chunk earned gamma, and the chunked critic claims gamma for (a, 0) and (a, 1)
    alike; executed without looking they earn gamma * left and gamma * (1 - left).
    """
    probability(left=left)
    transition = np.zeros((4, 2, 4))
    transition[0, :, 1], transition[0, :, 2] = left, 1 - left
    transition[1:, :, 3] = 1
    reward = np.zeros((4, 2))
    reward[1, 0] = reward[2, 1] = 1
    behaviour = np.array([[0.5, 0.5], [1, 0], [0, 1], [0.5, 0.5]])
    return World(check(MDP(transition, reward, discount)), behaviour)
