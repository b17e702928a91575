"""Flow matching on a straight path from noise (t = 0) to data (t = 1)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Velocity = Callable[[jax.Array, jax.Array], jax.Array]  # ([*B, D], [*B, 1]) -> [*B, D]


def interpolate(x, noise, t):
    """x_t = (1 - t) noise + t x.  [*B, D], [*B, D], [*B, 1] -> [*B, D]"""
    return (1 - t) * noise + t * x


def matching_error(velocity: Velocity, x, noise, t):
    """(velocity(x_t, t) - (x - noise))^2, the conditional flow-matching error.  -> [*B, D]

    Its mean over noise ~ N(0, I) and t ~ U[0, 1] is least for the marginal velocity of the data
    (Lipman et al. 2023, theorem 2).
    """
    return (velocity(interpolate(x, noise, t), t) - (x - noise)) ** 2


def conditional_velocity(x_t, x, t):
    """(x - x_t) / (1 - t): the velocity at x_t, t < 1, of the straight path that ends in x.

    On the path from `noise` it is x - noise at every t.  [*B, D], [*B, D], [*B, 1] -> [*B, D]
    """
    return (x - x_t) / (1 - t)


def integrate(velocity: Velocity, noise, steps: int):
    """`steps` Euler steps of dx/dt = velocity(x, t) from `noise` at t = 0 to t = 1.

    [*B, D] -> [*B, D].  As in the papers; `integrators` has others, for NumPy.
    """

    def step(x, t):
        return x + velocity(x, jnp.full((*x.shape[:-1], 1), t)) / steps, None

    # Unrolled as far as the papers go: a network is small, and the loop itself takes time.
    times = (jnp.arange(steps) / steps).astype(noise.dtype)
    return jax.lax.scan(step, noise, times, unroll=min(steps, 10))[0]


def guided(velocity: Velocity, known, weight, limit: float) -> Velocity:
    """The velocity, bent so that the flow ends near `known` where `weight` is not 0.

        v(x, t) + min(limit, (1 - t) / (t r^2)) J^T weight (known - x_1),  x_1 = x + (1 - t) v(x, t)

    with J = d x_1 / d x and r^2 = (1 - t)^2 / (t^2 + (1 - t)^2), as real-time chunking has it
    (arXiv 2506.07339).  Weights 0 leave the flow as it is.  2 x [*B, D]
    """

    def field(x, t):
        def end(x):
            v = velocity(x, t)
            return x + (1 - t) * v, v

        x_1, pull, v = jax.vjp(end, x, has_aux=True)
        (toward,) = pull(weight * (known - x_1))
        left = jnp.maximum(1 - t, 1e-9)  # no step begins at t = 1
        strength = (t**2 + left**2) / (jnp.maximum(t, 1e-9) * left)
        return v + jnp.minimum(limit, strength) * toward

    return field
