"""Networks and flows against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np

from chunkrl.blocks import flow
from chunkrl.blocks.networks import ensemble, mlp, scalar_mlp


def test_members_of_an_ensemble_are_independent_single_networks():
    net = scalar_mlp((8, 8))
    members = ensemble(net, 3)
    x = jax.random.normal(jax.random.key(0), (5, 4))
    params = members.init(jax.random.key(1), x)
    outputs = members.apply(params, x)
    assert outputs.shape == (3, 5)
    assert len(np.unique(np.asarray(outputs)[:, 0])) == 3
    second = jax.tree.map(lambda leaf: leaf[1], params)
    np.testing.assert_allclose(outputs[1], net.apply(second, x), rtol=1e-6, atol=1e-6)


def test_initial_kernels_are_glorot_uniform_and_biases_zero():
    params = mlp((300,), 200).init(jax.random.key(0), jnp.zeros((1, 100)))["params"]
    for layer, (fan_in, fan_out) in {"Dense_0": (100, 300), "Dense_1": (300, 200)}.items():
        limit = np.sqrt(6 / (fan_in + fan_out))
        kernel = np.asarray(params[layer]["kernel"])
        assert np.abs(kernel).max() <= limit
        # Uniform on (-l, l): standard deviation l / sqrt 3, its estimate good to 0.5% here.
        assert abs(kernel.std() / (limit / np.sqrt(3)) - 1) < 0.02
        assert not np.any(params[layer]["bias"])


def test_interpolation_runs_from_noise_to_data():
    x, noise = jnp.array([[1.0, 2.0]]), jnp.array([[-1.0, 0.0]])
    np.testing.assert_array_equal(flow.interpolate(x, noise, jnp.array([[0.0]])), noise)
    np.testing.assert_array_equal(flow.interpolate(x, noise, jnp.array([[1.0]])), x)
    np.testing.assert_allclose(flow.interpolate(x, noise, jnp.array([[0.25]])), [[-0.5, 0.5]])


def test_matching_error_of_the_conditional_velocity_is_zero():
    x, noise = jax.random.normal(jax.random.key(0), (2, 6, 3))
    t = jax.random.uniform(jax.random.key(1), (6, 1))
    exact = lambda x_t, t: x - noise
    np.testing.assert_allclose(flow.matching_error(exact, x, noise, t), 0, atol=1e-12)
    off = lambda x_t, t: x - noise + 2.0
    np.testing.assert_allclose(flow.matching_error(off, x, noise, t), 4, rtol=1e-5)


def test_euler_transports_noise_to_a_point_exactly():
    """For data at one point a the velocity is (a - x) / (1 - t): the last step lands on a."""
    a = jnp.array([0.3, -0.7])
    noise = jax.random.normal(jax.random.key(0), (5, 2))
    end = flow.integrate(lambda x, t: (a[None] - x) / (1 - t), noise, 10)
    np.testing.assert_allclose(end, jnp.broadcast_to(a, (5, 2)), atol=1e-5)


def test_the_conditional_velocity_is_that_of_the_straight_path():
    x, noise = jax.random.normal(jax.random.key(0), (2, 6, 3))
    t = jax.random.uniform(jax.random.key(1), (6, 1), maxval=0.9)
    at = flow.interpolate(x, noise, t)
    np.testing.assert_allclose(flow.conditional_velocity(at, x, t), x - noise, rtol=1e-4, atol=1e-5)
