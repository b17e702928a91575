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
    The behaviour takes the right action with probability `skill`; at the goal both actions alike.
    Without slip V*(0) = -(1 - gamma^L)/(1 - gamma).
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
