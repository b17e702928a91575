"""Integrators: order by regression on a known solution, NumPy against JAX, names."""

import jax.numpy as jnp
import numpy as np
import pytest

from chunkrl.blocks import flow
from chunkrl.blocks.integrators import INTEGRATORS, path
from chunkrl.errors import ConfigError

ORDER = {"euler": 1, "midpoint": 2, "heun": 2, "rk4": 4}
EVALUATIONS = {"euler": 1, "midpoint": 2, "heun": 2, "rk4": 4}


def spiral(x, t):
    """dx/dt = (3 cos t) x + (-x_1, x_0), whose solution turns by t and grows by exp(3 sin t)."""
    turned = x @ np.array([[0.0, 1.0], [-1.0, 0.0]], x.dtype)
    return 3 * np.cos(t) * x + turned


def spiral_end(start):
    turn = np.array([[np.cos(1), np.sin(1)], [-np.sin(1), np.cos(1)]])
    return np.exp(3 * np.sin(1)) * start @ turn


@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_order_by_regression(integrator: str) -> None:
    """The slope of log error on log step length, on a field of x and of t."""
    steps = np.array([32, 64, 128, 256])
    start = np.array([[1.0, 0.5], [-0.3, 2.0]])
    ends = [path(spiral, start, k, integrator)[-1] for k in steps]
    error = [np.abs(end - spiral_end(start)).max() for end in ends]
    order = np.polyfit(np.log(1 / steps), np.log(error), 1)[0]
    assert abs(order - ORDER[integrator]) < 0.1


def test_numpy_and_jax_take_the_same_steps() -> None:
    start = np.array([[[1.0, 0.5]], [[-0.3, 2.0]]])
    expected = path(spiral, start, 5)[-1]
    velocity = lambda x, t: 3 * jnp.cos(t) * x + jnp.stack([-x[..., 1], x[..., 0]], -1)
    got = flow.integrate(velocity, jnp.asarray(start), 5)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_evaluations_of_a_step(integrator: str) -> None:
    """What a robot waits for: calls of the field, all at times within the step."""
    times = []

    def velocity(x, t):
        times.append(float(t[0, 0]))
        return 0 * x

    path(velocity, np.zeros((1, 1)), 4, integrator)
    assert len(times) == 4 * EVALUATIONS[integrator]
    assert 0 <= min(times) <= max(times) <= 1
    assert (max(times) == 1) == (integrator in ("heun", "rk4"))


def test_euler_passes_through_its_own_points() -> None:
    """dx/dt = x: (1 + 1/K)^k after k of K steps, from the start included."""
    got = path(lambda x, t: x, np.array([[2.0]]), 4)[:, 0, 0]
    np.testing.assert_allclose(got, 2 * 1.25 ** np.arange(5), rtol=1e-14)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'leapfrog'; there are euler, midpoint, heun, rk4"):
        path(spiral, np.zeros((1, 2)), 3, "leapfrog")
