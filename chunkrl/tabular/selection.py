"""Best-of-N: what picking the best of N samples promises, delivers, and costs in divergence."""

from typing import NamedTuple

import numpy as np
from scipy import integrate
from scipy.special import ndtr, rel_entr

from chunkrl.errors import ConfigError
from chunkrl.tabular.chunks import at_least_one


def expected_maximum(candidates: int) -> float:
    """E[max of N independent N(0, 1)] = int_0^inf (1 - Phi(x)^N - Phi(-x)^N) dx."""
    at_least_one(candidates=candidates)
    beyond = lambda x: 1 - ndtr(x) ** candidates - ndtr(-x) ** candidates
    return integrate.quad(beyond, 0, np.inf)[0]


def promised(candidates: int, critic_std: float) -> float:
    """The critic's value of its pick, E_N sqrt(1 + sigma^2): truth N(0, 1), noise N(0, sigma^2)."""
    return expected_maximum(candidates) * float(np.sqrt(1 + critic_std**2))


def delivered(candidates: int, critic_std: float) -> float:
    """The true value of the critic's pick: E_N / sqrt(1 + sigma^2)."""
    return expected_maximum(candidates) / float(np.sqrt(1 + critic_std**2))


def divergence_bound(candidates: int) -> float:
    """KL(best of N || samples) <= log N - (N - 1) / N, in nats; equal if there are no ties."""
    at_least_one(candidates=candidates)
    return float(np.log(candidates) - (candidates - 1) / candidates)


def best_of_n(probability: np.ndarray, score: np.ndarray, candidates: int) -> np.ndarray:
    """The law of the best of N draws from `probability`, by `score`.  2 x [*B, C] -> [*B, C]

    P(best has score <= x) = P(score <= x)^N; inside a group of equal scores, in proportion.
    Leading axes of `probability` may be missing or 1: one law of the draws for many critics.
    """
    at_least_one(candidates=candidates)
    order = np.argsort(score, -1)
    mass = np.take_along_axis(np.broadcast_to(probability, score.shape), order, -1)
    ranked = np.take_along_axis(score, order, -1)
    upto = np.minimum(np.cumsum(mass, -1), 1.0)
    below = np.concatenate([np.zeros_like(upto[..., :1]), upto[..., :-1]], -1)
    step, edge = ranked[..., 1:] != ranked[..., :-1], np.ones_like(ranked[..., :1], bool)
    # Equal scores win or lose together: all read the mass below and up to their group.
    below = np.maximum.accumulate(np.where(np.concatenate([edge, step], -1), below, 0.0), -1)
    upto = np.where(np.concatenate([step, edge], -1), upto, 1.0)
    upto = np.minimum.accumulate(upto[..., ::-1], -1)[..., ::-1]
    group, picked = upto - below, upto**candidates - below**candidates
    share = mass * np.divide(picked, group, where=group > 0, out=np.zeros_like(group))
    return np.take_along_axis(share, order.argsort(-1), -1)


def divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """KL(p || q) in nats; q must be positive wherever p is.  [*B, C], [C] -> [*B]"""
    return rel_entr(p, q).sum(-1)


class Pick(NamedTuple):
    """What the best of N is like if critics score a finite set of chunks.  [*B] each"""

    promised: np.ndarray  # the critic's value of its pick
    delivered: np.ndarray  # the true value of the pick
    divergence: np.ndarray  # KL(pick || one draw), nats
    hit: np.ndarray  # P(the pick is a truly best chunk)


def picked(probability: np.ndarray, value: np.ndarray, score: np.ndarray, candidates: int) -> Pick:
    """Draw N chunks from `probability` [C], keep the best by `score` [*B, C]: by enumeration.

    E[f(pick)] = sum_c best_of_n(c) f(c).  `value` [C] is what a chunk is truly worth.
    """
    law = best_of_n(probability, score, candidates)
    return Pick(
        (law * score).sum(-1),
        law @ value,
        divergence(law, probability),
        law @ np.isclose(value, value[probability > 0].max(), rtol=0, atol=1e-9),
    )


def hit_probability(skill: float, h: int, candidates: int) -> float:
    """Chance that one of N chunks of the behaviour is right in all h actions: 1 - (1 - q^h)^N."""
    at_least_one(h=h, candidates=candidates)
    return 1 - (1 - skill**h) ** candidates


def candidates_for(skill: float, h: int, wanted: float) -> int:
    """The smallest N with `hit_probability` of at least `wanted`."""
    right = skill**h
    if not (0 < right <= 1 and 0 <= wanted < 1):
        raise ConfigError(f"skill={skill} and wanted={wanted} must be in (0, 1] and [0, 1)")
    return 1 if right == 1 else max(1, int(np.ceil(np.log1p(-wanted) / np.log1p(-right) - 1e-12)))
