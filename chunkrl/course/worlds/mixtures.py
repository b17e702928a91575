"""Gaussian mixtures as data of a flow: densities, and everything about x_t in closed form.

x_t = (1 - t) x_0 + t x_1 with noise x_0 ~ N(0, I) and data x_1 ~ sum_m weight_m N(mean_m, std_m^2
I).  Given the mode m all of it is Gaussian, so x_t is a mixture too, and what a network learns from
samples is known: the velocity, what no velocity can explain, and the least loss.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp, ndtr

from chunkrl.blocks.integrators import Field
from chunkrl.errors import ConfigError


class Mixture(NamedTuple):
    weight: np.ndarray  # [M]    sums to one
    mean: np.ndarray  # [M, D]
    std: np.ndarray  # [M]

    @property
    def dim(self) -> int:
        return self.mean.shape[1]


def two_modes(distance: float, width: float) -> Mixture:
    """Two equally likely modes on a line, `distance` apart around zero, of standard deviation
    `width`."""
    if not (distance >= 0 and width > 0):
        raise ConfigError(f"distance={distance} must not be negative, width={width} positive")
    half = distance / 2
    return Mixture(np.array([0.5, 0.5]), np.array([[-half], [half]]), np.array([width, width]))


class Given(NamedTuple):
    """What is known of each mode m at a point x_t."""

    probability: np.ndarray  # [*B, M]     P(m | x_t)
    velocity: np.ndarray  # [*B, M, D]  E[x_1 - x_0 | x_t, m]
    slope: np.ndarray  # [*B, M]     its derivative in x_t, the same in every direction
    variance: np.ndarray  # [*B, M]     Var[x_1 - x_0 | x_t, m] in every direction
    score: np.ndarray  # [*B, M, D]  gradient of log p(x_t | m)


def given(mixture: Mixture, x, t) -> Given:
    """Condition on x_t.  [*B, D], [*B, 1] or a number

    Within a mode x_1 - x_0 and x_t are jointly Gaussian with Cov = t std^2 - (1 - t), which leaves
    the variance std^2 / ((1 - t)^2 + t^2 std^2).
    """
    offset, spread = _from_modes(mixture, x, t)
    slope = (t * mixture.std**2 - (1 - t)) / spread
    square = (offset**2).sum(-1) / spread
    log = np.log(mixture.weight) - (square + mixture.dim * np.log(spread)) / 2
    probability = np.exp(log - log.max(-1, keepdims=True))
    probability /= probability.sum(-1, keepdims=True)
    return Given(
        probability,
        mixture.mean + slope[..., None] * offset,
        np.broadcast_to(slope, probability.shape),
        np.broadcast_to(mixture.std**2 / spread, probability.shape),
        -offset / spread[..., None],
    )


def log_density(mixture: Mixture, x, t: Any = 1.0) -> np.ndarray:
    """log p_t(x); at t = 1 the data's.  [*B, D], [*B, 1] or a number -> [*B]"""
    offset, spread = _from_modes(mixture, x, t)
    square = (offset**2).sum(-1) / spread + mixture.dim * np.log(2 * np.pi * spread)
    return np.asarray(logsumexp(np.log(mixture.weight) - square / 2, axis=-1))


def sample(mixture: Mixture, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws of x_1.  -> [count, D]"""
    mode = rng.choice(len(mixture.weight), count, p=mixture.weight)
    noise = rng.standard_normal((count, mixture.dim))
    return mixture.mean[mode] + mixture.std[mode, None] * noise


def velocity(mixture: Mixture) -> Field:
    """The marginal velocity v(x, t) = E[x_1 - x_0 | x_t = x], which flow matching learns.

    Each mode's velocity, weighted by how likely the mode is seen from x.
    """

    def field(x, t):
        known = given(mixture, x, t)
        return _expect(known, known.velocity)

    return field


def divergence(mixture: Mixture, x, t) -> np.ndarray:
    """div v(x, t) in closed form.  [*B, D], [*B, 1] -> [*B]

    sum_m P_m (D slope_m + v_m . g_m) - v . E[g], since grad P_m = P_m (g_m - E[g]), g the scores.
    """
    known = given(mixture, x, t)
    within = mixture.dim * known.slope + (known.velocity * known.score).sum(-1)
    turn = (_expect(known, known.velocity) * _expect(known, known.score)).sum(-1)
    return (known.probability * within).sum(-1) - turn


def conditional_variance(mixture: Mixture, x, t) -> np.ndarray:
    """Var[x_1 - x_0 | x_t = x], mean over dimensions: within the modes and between them.  -> [*B]

    The part of the flow-matching loss at (x, t) that no velocity can explain.
    """
    known = given(mixture, x, t)
    apart = known.velocity - _expect(known, known.velocity)[..., None, :]
    between = (apart**2).mean(-1)
    return (known.probability * (known.variance + between)).sum(-1)


def loss_floor(mixture: Mixture, nodes: int = 80) -> float:
    """E Var[x_1 - x_0 | x_t], t ~ U[0, 1]: the least flow-matching loss, mean over dimensions.

    Gauss quadrature with `nodes` points in t and in each dimension of x.  For one mode of width s
    it is s pi / 2.
    """
    return _over_paths(mixture, lambda x, t: conditional_variance(mixture, x, t), nodes)


def excess_loss(mixture: Mixture, field: Field, nodes: int = 80) -> float:
    """E (field(x_t, t) - v(x_t, t))^2, mean over dimensions: its loss minus the floor.

    The loss of any field is the floor plus its distance to the exact velocity, because that is a
    conditional mean.
    """
    exact = velocity(mixture)
    return _over_paths(
        mixture, lambda x, t: (np.asarray(field(x, t) - exact(x, t)) ** 2).mean(-1), nodes
    )


def cumulative(mixture: Mixture, x) -> np.ndarray:
    """P(x_1 < x) of data on a line.  [*B] -> [*B]"""
    if mixture.dim != 1:
        raise ConfigError(f"this is for data on a line, not in {mixture.dim} dimensions")
    scaled = (np.asarray(x, float)[..., None] - mixture.mean[:, 0]) / mixture.std  # [*B, M]
    return ndtr(scaled) @ mixture.weight


def mass(mixture: Mixture, low: float, high: float) -> float:
    """P(low < x_1 < high) of data on a line."""
    return float(cumulative(mixture, high) - cumulative(mixture, low))


def quantile(mixture: Mixture, probability: np.ndarray) -> np.ndarray:
    """x with P(x_1 < x) = probability, by bisection, for data on a line.  [*B] in (0, 1) -> [*B]"""
    reach = 40 * mixture.std.max()  # beyond it no probability of a double is left
    low = np.full(np.shape(probability), mixture.mean.min() - reach)
    high = np.full(np.shape(probability), mixture.mean.max() + reach)
    for _ in range(80):
        middle = (low + high) / 2
        below = cumulative(mixture, middle) < probability
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def _from_modes(mixture: Mixture, x, t) -> tuple[np.ndarray, np.ndarray]:
    """Offset and variance of x_t given m: x - t mean_m, (1 - t)^2 + t^2 std_m^2.

    [*B, D], [*B, 1] or a number -> [*B, M, D], [*B, M]
    """
    t = np.asarray(t, float)
    offset = np.asarray(x, float)[..., None, :] - t[..., None] * mixture.mean
    return offset, (1 - t) ** 2 + t**2 * mixture.std**2


def _over_paths(
    mixture: Mixture, f: Callable[[np.ndarray, np.ndarray], np.ndarray], nodes: int
) -> float:
    """E f(x_t, t) over t ~ U[0, 1] and x_t, by Gauss quadrature.  f: [*B, D], [*B, 1] -> [*B]"""
    times, share = np.polynomial.legendre.leggauss(nodes)
    points, weight = np.polynomial.hermite_e.hermegauss(nodes)
    weight = weight / weight.sum()
    grid = np.stack(np.meshgrid(*[points] * mixture.dim), -1).reshape(-1, mixture.dim)  # [Q, D]
    law = np.prod(np.stack(np.meshgrid(*[weight] * mixture.dim), -1), -1).reshape(-1)  # [Q]
    total = 0.0
    for t, part in zip((times + 1) / 2, share / 2, strict=True):
        std = np.sqrt((1 - t) ** 2 + t**2 * mixture.std**2)[:, None, None]
        x = t * mixture.mean[:, None] + std * grid  # [M, Q, D]
        at = np.full((*x.shape[:-1], 1), t)
        total += float(part * mixture.weight @ (f(x, at) @ law))
    return total


def _expect(known: Given, each: np.ndarray) -> np.ndarray:
    """E[each | x_t].  [*B, M, D] -> [*B, D]"""
    return (known.probability[..., None] * each).sum(-2)
