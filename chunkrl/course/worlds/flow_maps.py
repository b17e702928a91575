"""What a flow makes of its noise: likelihood, transport cost, and mass between two modes.

On a line the paths of a velocity field cannot cross, so the exact flow keeps the order of its noise
and is the cheapest way to move it (the optimal transport).  Few steps, and a network of one step,
are measured against it.
"""

from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from chunkrl.blocks.integrators import Field, named, path
from chunkrl.course.worlds import mixtures
from chunkrl.course.worlds.mixtures import Mixture

# Noise in order; dense near 0, where the flow to two equal modes parts.  6 leaves 2e-9 outside.
NOISE: np.ndarray = 6.0 * np.linspace(-1.0, 1.0, 2001) ** 3


def log_likelihood(
    mixture: Mixture, x: np.ndarray, steps: int, integrator: str = "rk4"
) -> np.ndarray:
    """log N(x_0) - int_0^1 div v(x_t, t) dt along the path of dx/dt = v that ends in x.

    [*B, D] -> [*B].  The change of variables, by `steps` steps back from t = 1; with the exact
    velocity it tends to the log density of the data.
    """
    field = mixtures.velocity(mixture)

    def backwards(joint, t):
        point = joint[..., :-1]
        stretch = mixtures.divergence(mixture, point, 1 - t)
        return -np.concatenate([field(point, 1 - t), stretch[..., None]], -1)

    start = np.concatenate([x, np.zeros((*x.shape[:-1], 1))], -1)
    end = path(backwards, start, steps, integrator)[-1]
    noise, stretch = end[..., :-1], end[..., -1]  # stretch: minus the integral
    return stretch - ((noise**2).sum(-1) + mixture.dim * np.log(2 * np.pi)) / 2


def monotone(mixture: Mixture, noise: np.ndarray) -> np.ndarray:
    """F^-1(Phi(z)): where the exact flow on a line takes the noise z.  [*B] -> [*B]"""
    return mixtures.quantile(mixture, ndtr(noise))


def ends(velocity: Field, noise: np.ndarray, steps: int, integrator: str = "euler") -> np.ndarray:
    """Where `steps` steps take each noise on a line.  [Q] -> [Q]"""
    return path(velocity, noise[:, None], steps, integrator)[-1, :, 0]


def ends_up_to(
    velocity: Field, noise: np.ndarray, most: int, integrator: str = "euler"
) -> np.ndarray:
    """`ends` for 1, 2, ... `most` steps, all advanced together.  [Q] -> [most, Q]"""
    slope = named(integrator)
    dt = 1 / np.arange(1.0, most + 1)[:, None, None]
    x = np.tile(noise[:, None], (most, 1, 1))  # [most, Q, 1]
    for k in range(most):  # rows k and later have more than k steps
        x[k:] += dt[k:] * slope(velocity, x[k:], k * dt[k:], dt[k:])
    return x[..., 0]


def share_below(noise: np.ndarray, end: np.ndarray, level: Any) -> np.ndarray:
    """P(end < level) for noise z ~ N(0, 1), the map z -> end linear between grid points.

    [Q] rising, [*B, Q], a number or [*B, 1] -> [*B]
    """
    left, right = end[..., :-1], end[..., 1:]
    rise = right - left
    flat = rise == 0
    cross = np.where(flat, 0.0, (level - left) / np.where(flat, 1.0, rise)).clip(0, 1)
    at = ndtr(noise[:-1] + cross * np.diff(noise))  # rank of the noise that is taken to `level`
    low, high = ndtr(noise[:-1]), ndtr(noise[1:])
    part = np.where(flat, (left < level) * (high - low), np.where(rise > 0, at - low, high - at))
    return part.sum(-1)


def share_between(noise: np.ndarray, end: np.ndarray, low: float, high: float) -> np.ndarray:
    """P(low < end < high), as `share_below`.  [Q] rising, [*B, Q] -> [*B]"""
    return share_below(noise, end, high) - share_below(noise, end, low)


def transport_cost(noise: np.ndarray, end: np.ndarray) -> float:
    """E (end - z)^2 for noise z ~ N(0, 1) by the trapezoidal rule.  [Q] rising, [Q] -> number"""
    square = (end - noise) ** 2
    return float((np.diff(ndtr(noise)) * (square[1:] + square[:-1]) / 2).sum())


def optimal_cost(mixture: Mixture) -> float:
    """min E (x_1 - x_0)^2 over all ways to pair noise with data on a line (squared 2-Wasserstein).

    1 + E x_1^2 - 2 int phi(Phi^-1(F(x))) dx, because the pairing by rank is the best.
    """
    square = mixture.weight @ (mixture.mean[:, 0] ** 2 + mixture.std**2)
    reach = 9 * mixture.std.max()
    x = np.linspace(mixture.mean.min() - reach, mixture.mean.max() + reach, 20_001)
    rank = mixtures.cumulative(mixture, x)
    height = np.exp(-(ndtri(rank.clip(1e-300, 1 - 1e-16)) ** 2) / 2) / np.sqrt(2 * np.pi)
    return float(1 + square - 2 * np.trapezoid(height, x))


def independent_cost(mixture: Mixture) -> float:
    """E |x_1 - x_0|^2 of the random pairs that flow matching trains on: D + E |x_1|^2."""
    square = (mixture.mean**2).sum(-1) + mixture.dim * mixture.std**2
    return float(mixture.dim + mixture.weight @ square)


def least_between(slope: float, low: float, high: float) -> float:
    """2 Phi((high - low) / (2 L)) - 1: what a map of slope at most L leaves between two modes.

    P(low < f(z) < high) is at least that, for noise z of any dimension, if f puts as much mass
    below `low` as above `high`: the sets are (high - low) / L apart, and two sets of the Gaussian
    that far apart leave least between them when they are half-spaces.
    """
    return float(2 * ndtr((high - low) / (2 * slope)) - 1)
