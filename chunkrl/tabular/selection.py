"""Best-of-N: what picking the best of N samples promises, delivers, and costs in divergence."""

import numpy as np
from scipy import integrate
from scipy.special import ndtr

from chunkrl.errors import ConfigError
from chunkrl.tabular.chunks import at_least_one


def expected_maximum(candidates: int) -> float:
    """E[max of N independent N(0, 1)] = int_0^inf (1 - Phi(x)^N - Phi(-x)^N) dx."""
    at_least_one(candidates=candidates)
    return integrate.quad(lambda x: 1 - ndtr(x) ** candidates - ndtr(-x) ** candidates, 0, np.inf)[
        0
    ]


def promised(candidates: int, critic_std: float) -> float:
    """The critic's value of its pick, in units of the true spread: E_N sqrt(1 + sigma^2).

    N samples with true values N(0, 1), seen with critic noise N(0, sigma^2).
    """
    return expected_maximum(candidates) * float(np.sqrt(1 + critic_std**2))


def delivered(candidates: int, critic_std: float) -> float:
    """The true value of the critic's pick: E_N / sqrt(1 + sigma^2)."""
    return expected_maximum(candidates) / float(np.sqrt(1 + critic_std**2))


def divergence_bound(candidates: int) -> float:
    """KL(best of N || samples) <= log N - (N - 1) / N, in nats; equal if there are no ties."""
    at_least_one(candidates=candidates)
    return float(np.log(candidates) - (candidates - 1) / candidates)


def best_of_n(probability: np.ndarray, score: np.ndarray, candidates: int) -> np.ndarray:
    """The law of the best of N draws from `probability` [C], by `score` [C].  -> [C]

    P(best has score <= x) = P(score <= x)^N; inside a group of equal scores, in proportion.
    """
    at_least_one(candidates=candidates)
    levels, group = np.unique(score, return_inverse=True)
    mass = np.bincount(group, probability, len(levels))
    below = np.minimum(np.concatenate([[0.0], np.cumsum(mass)]), 1.0)
    picked = np.diff(below**candidates)
    return probability * np.divide(picked, mass, where=mass > 0, out=np.zeros_like(mass))[group]


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    """KL(p || q) in nats; q must be positive wherever p is."""
    ratio = np.divide(p, q, where=p > 0, out=np.ones_like(p))
    return float((p * np.log(ratio)).sum())


def hit_probability(skill: float, h: int, candidates: int) -> float:
    """Chance that one of N chunks of the behaviour is right in all h actions: 1 - (1 - q^h)^N."""
    at_least_one(h=h, candidates=candidates)
    return 1 - (1 - skill**h) ** candidates


def candidates_for(skill: float, h: int, wanted: float) -> int:
    """The smallest N with `hit_probability` of at least `wanted`."""
    right = skill**h
    if not (0 < right <= 1 and 0 <= wanted < 1):
        raise ConfigError(f"skill={skill} and wanted={wanted} must be in (0, 1] and [0, 1)")
    if right == 1:
        return 1
    return max(1, int(np.ceil(np.log1p(-wanted) / np.log1p(-right) - 1e-12)))
