"""Returns along imagined trajectories against sums written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunkrl.blocks import targets

K, B = 6, 5


def trajectories(seed=0):
    """Rewards, discounts with some zeros, and the values of s_0 ... s_K."""
    r = np.random.default_rng(seed)
    mask = r.integers(0, 3, (K, B)) > 0
    arrays = (r.normal(size=(K, B)), 0.9 * mask, r.normal(size=(K + 1, B)))
    return (jnp.asarray(x, jnp.float32) for x in arrays)


def closed_form(reward, discount, value, n, k):
    """The n-step return of s_k: n rewards, then the value."""
    total, weight = 0.0, 1.0
    for j in range(k, k + n):
        total, weight = total + weight * reward[j], weight * discount[j]
    return total + weight * value[k + n]


@pytest.mark.parametrize("lam", [0.0, 0.7, 1.0])
def test_a_lambda_return_mixes_the_n_step_returns(lam):
    """(1 - lam) sum_{n<N} lam^{n-1} G^n + lam^{N-1} G^N, N the steps that are left."""
    reward, discount, value = trajectories()
    got = targets.lambda_return(reward, discount, value[1:], lam)
    for k in range(K):
        left = K - k
        steps = [closed_form(reward, discount, value, n, k) for n in range(1, left + 1)]
        expect = lam ** (left - 1) * steps[-1]
        expect += (1 - lam) * sum(lam ** (n - 1) * steps[n - 1] for n in range(1, left))
        np.testing.assert_allclose(got[k], expect, atol=1e-5)


def test_generalised_advantages_and_values_add_up_to_it():
    reward, discount, value = trajectories()
    advantage, expect = np.zeros(B), [np.zeros(B)] * K
    for k in reversed(range(K)):
        delta = reward[k] + discount[k] * value[k + 1] - value[k]
        advantage = delta + 0.7 * discount[k] * advantage
        expect[k] = advantage + value[k]
    got = targets.lambda_return(reward, discount, value[1:], 0.7)
    np.testing.assert_allclose(got, np.stack(expect), atol=1e-5)


def test_the_longest_return_is_value_expansion_and_a_success_cuts_it():
    """With lambda = 1 only the last value counts, and nothing after a success in the middle."""
    reward, discount, value = trajectories()
    last = jnp.broadcast_to(value[-1], reward.shape)
    got = targets.lambda_return(reward, discount, last, 1.0)
    same = targets.lambda_return(reward, discount, value[1:], 1.0)
    np.testing.assert_allclose(got, same, atol=1e-6)
    for k in range(K):
        expect = closed_form(reward, discount, value, K - k, k)
        np.testing.assert_allclose(got[k], expect, atol=1e-5)
    cut = targets.lambda_return(reward, discount.at[2].set(0), last, 1.0)
    np.testing.assert_allclose(cut[2], reward[2])
    np.testing.assert_allclose(cut[1], reward[1] + discount[1] * reward[2], rtol=1e-5)


@pytest.mark.parametrize("head", [targets.Squared(), targets.Logistic()])
@pytest.mark.parametrize("tau", [0.1, 0.5, 0.9])
def test_regressions_rest_at_the_quantile_and_the_expectile(head, tau):
    """Of 101 numbers in (0, 1): the slope of the mean error changes its sign there."""
    y = np.sort(np.random.default_rng(0).beta(2, 3, 101)).astype(np.float32)
    grid = np.linspace(0.01, 0.99, 981)
    up, down = (np.maximum(d * (y - grid[:, None]), 0).mean(axis=1) for d in (1, -1))
    expectile = grid[np.argmin(abs(tau * up - (1 - tau) * down))]
    for error, rest in (
        (targets.quantile_error, np.quantile(y, tau)),
        (targets.expectile_error, expectile),
    ):
        mean = lambda x, error=error: error(head, jnp.full(y.shape, x), jnp.asarray(y), tau).mean()
        below, above = (jax.grad(mean)(head.output(jnp.float32(rest + d))) for d in (-0.02, 0.02))
        assert below < 0 < above


def test_probabilities_and_logits_are_inverse_and_finite():
    p = np.float32([0, 1e-5, 0.3, 1 - 1e-5, 1])
    logit = targets.Logistic().output(p)
    assert np.isfinite(logit).all()
    np.testing.assert_allclose(targets.Logistic().value(logit), p, atol=2e-5)
