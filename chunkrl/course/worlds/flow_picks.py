"""Notebook 07: the best of N samples of a flow, by critics whose errors are smooth."""

from typing import NamedTuple

import numpy as np

from chunkrl.blocks.integrators import path
from chunkrl.blocks.policies import best_of_n
from chunkrl.course.worlds.mixtures import Mixture, velocity

WAYS = Mixture(  # past an obstacle: left or right, equally often
    np.array([0.5, 0.5]), np.array([[-0.6, 0.0], [0.6, 0.0]]), np.array([0.2, 0.2])
)
TARGET = np.array([0.8, 0.1])  # the best action; the value falls with the distance to it
WAVES = 32


class Picks(NamedTuple):
    """One pick in each of B rounds, in spreads above the average action.  [B] each"""

    promised: np.ndarray
    delivered: np.ndarray


def propose(candidates: int, rounds: int, rng: np.random.Generator) -> np.ndarray:
    """Actions of the exact flow to WAYS, 10 Euler steps from noise.  -> [N, B, 2]"""
    return path(velocity(WAYS), rng.standard_normal((candidates, rounds, 2)), 10)[-1]


def values(actions: np.ndarray) -> np.ndarray:
    """True values, shifted and scaled to mean 0 and spread 1 over all actions.  -> [N, B]"""
    closer = -np.linalg.norm(actions - TARGET, axis=-1)
    return (closer - closer.mean()) / closer.std()


def smooth_errors(actions: np.ndarray, length: float, rng: np.random.Generator) -> np.ndarray:
    """Errors of B critics, each a random function of the action.  [N, B, 2] -> [N, B]

    sqrt(2/W) sum_w cos(k_w . a + phase_w) with k_w ~ N(0, I / length^2): mean 0, variance 1, and
    correlation exp(-d^2 / (2 length^2)) between two actions at distance d.
    """
    rounds = actions.shape[1]
    waves = rng.standard_normal((rounds, 2, WAVES)) / length
    phase = rng.uniform(0, 2 * np.pi, (rounds, WAVES))
    angle = (actions[..., None, :] @ waves)[..., 0, :] + phase  # [N, B, W]
    return np.sqrt(2 / WAVES) * np.cos(angle).sum(-1)


def picks(actions: np.ndarray, length: float, rng: np.random.Generator) -> Picks:
    """Each round's critic, with sigma = 1, picks among its N actions.  [N, B, 2] -> [B] each"""
    true = values(actions)
    seen = true + smooth_errors(actions, length, rng)
    return Picks(*np.asarray(best_of_n(np.stack([seen, true], -1), lambda x: x[..., 0])).T)


def log_ratios(true: np.ndarray, others: np.ndarray) -> np.ndarray:
    """log of best-of-N over flow, as densities at the pick of a perfect critic.  [N, B] -> [B]

    The pick has N F(v)^(N-1) times the density of the flow, F the law of the flow's values, here
    counted from those of `others`.  The mean estimates the divergence.
    """
    candidates, ranked = len(true), np.sort(others, None)
    below = (np.searchsorted(ranked, true.max(0)) + 0.5) / (ranked.size + 1)
    return np.log(candidates) + (candidates - 1) * np.log(below)
