"""Monte Carlo agrees with the exact bias and variance.

Every comparison is a z-score; a test with k of them uses a threshold with false-alarm rate 1e-6 / k
under a normal law (and its seed is fixed, so that a failure is a change of the code).
"""

from typing import NamedTuple

import numpy as np
import pytest
import random_worlds
from scipy.stats import norm

from chunkrl.course.worlds.returns import learning
from chunkrl.errors import ConfigError
from chunkrl.statistics import mean_and_error
from chunkrl.tabular import worlds
from chunkrl.tabular.chunks import chunked, logged
from chunkrl.tabular.errors import data_target, model_target
from chunkrl.tabular.estimate import count_model, first_chunk, rollout, targets

SAMPLES = 200_000


class Estimate(NamedTuple):
    """Mean and variance of sampled targets over the last axis, with their standard errors."""

    mean: np.ndarray
    mean_error: np.ndarray
    variance: np.ndarray
    variance_error: np.ndarray


def summarise(samples):
    """se(mean) = sqrt(var / m); se(var) = sqrt((mu_4 - var^2) / m), to first order in 1 / m."""
    mean, error = mean_and_error(samples)
    variance = samples.var(-1, ddof=1)
    fourth = ((samples - mean[..., None]) ** 4).mean(-1)
    spread = np.sqrt(np.maximum(fourth - variance**2, 0) / samples.shape[-1])
    return Estimate(mean, error, variance, spread)


def agrees(estimate, mean, variance):
    z = np.concatenate(
        [
            np.ravel((estimate.mean - mean) / estimate.mean_error),
            np.ravel((estimate.variance - variance) / estimate.variance_error),
        ]
    )
    assert np.isfinite(z).all()
    assert np.abs(z).max() < norm.isf(0.5e-6 / z.size), z


@pytest.fixture(scope="module")
def setting():
    rng = np.random.default_rng(0)
    mdp = random_worlds.random_mdp(rng, 4, 2, 0.9)
    return mdp, random_worlds.random_policy(rng, 4, 4), rng.normal(0, 2, 4), rng


@pytest.mark.parametrize("reactive", [True, False])
def test_data_targets(setting, reactive):
    mdp, policy, value, rng = setting
    behaviour = random_worlds.random_policy(np.random.default_rng(1), 4, 2 if reactive else 4)
    exact = data_target(mdp, policy, behaviour, value, n=4, h=2)
    start = np.repeat(np.arange(4)[:, None], SAMPLES, 1)
    walks = rollout(mdp, behaviour, start, 4, rng)
    sampled = targets(mdp, walks, value)
    agrees(summarise(sampled), exact.state.target, exact.state.variance)

    chunk = first_chunk(walks, 2, 2)
    for state in range(4):
        for c in range(4):
            estimate = summarise(sampled[state, chunk[state] == c])
            agrees(estimate, exact.chunk.target[state, c], exact.chunk.variance[state, c])
    often = (chunk[..., None] == np.arange(4)).mean(1)
    frequency = logged(mdp, behaviour, 2).frequency
    z = (often - frequency) / np.sqrt(frequency * (1 - frequency) / SAMPLES)
    assert np.abs(z).max() < norm.isf(0.5e-6 / z.size)


def test_model_targets(setting):
    mdp, policy, value, rng = setting
    model = random_worlds.random_mdp(np.random.default_rng(2), 4, 4, 0.9**2)
    exact = model_target(chunked(mdp, 2), policy, model, value, steps=3).state
    start = np.repeat(np.arange(4)[:, None], SAMPLES, 1)
    sampled = targets(model, rollout(model, policy, start, 3, rng), value)
    agrees(summarise(sampled), exact.target, exact.variance)


def test_the_mean_of_m_targets_has_the_stated_squared_error(setting):
    mdp, policy, value, rng = setting
    behaviour = random_worlds.random_policy(np.random.default_rng(3), 4, 4)
    exact = data_target(mdp, policy, behaviour, value, n=2, h=2).state
    start = np.zeros((20_000, 10), int)  # seeds x targets, all at once
    means = targets(mdp, rollout(mdp, behaviour, start, 2, rng), value).mean(-1)
    estimate = summarise((means - exact.truth[0]) ** 2)
    stated = exact.error**2 + exact.variance / 10
    z = (estimate.mean - stated[0]) / estimate.mean_error
    assert abs(z) < norm.isf(0.5e-6)


@pytest.mark.parametrize("steps", [[0.3] * 15, 1 / np.arange(1, 16)], ids=["fixed", "1/m"])
@pytest.mark.parametrize("n", [1, 3, 6])
def test_learning_curve_is_that_of_simulated_learning(n, steps):
    cells, wrong, std, discount = 6, 2.0, 0.8, 0.95
    rng = np.random.default_rng(n)
    value = np.full((100_000, cells + n), 0.0)  # errors of V; the end, and beyond it, is known
    value[:, :cells] = wrong
    for step in steps:
        noise = std * rng.standard_normal((len(value), cells + n))
        noise[:, cells:] = 0
        target = sum(discount**k * noise[:, k : k + cells] for k in range(n))
        target = target + discount**n * value[:, n : n + cells]
        value[:, :cells] += step * (target - value[:, :cells])
    exact = learning(cells, steps, wrong, std, discount)
    agrees(summarise(value[:, 0]), exact.bias[n - 1], exact.variance[n - 1])


def test_counted_models_approach_what_the_data_say():
    world = worlds.lock(5, slip=0.2, skill=0.7)
    rng = np.random.default_rng(0)
    few, many = (
        np.mean(
            [
                np.abs(m.transition - world.mdp.transition).max()
                for m in count_model(world.mdp, world.behaviour, size, 10, rng)
            ]
        )
        for size in (100, 1_000_000)
    )
    assert many < 0.01 < few
    pairs = chunked(world.mdp, 2)
    frequency = logged(world.mdp, world.behaviour, 2).frequency
    (model,) = count_model(pairs, frequency, 1_000_000, 1, rng)
    np.testing.assert_allclose(model.transition, pairs.transition, atol=0.02)
    assert model.discount == pairs.discount


def test_walks_refuse_what_they_cannot_do(setting):
    mdp, *_, rng = setting
    with pytest.raises(ConfigError, match="not a power"):
        rollout(mdp, np.full((4, 3), 1 / 3), np.zeros(1, int), 1, rng)
