"""Ways of following a velocity field for one step; the same lines serve NumPy and JAX."""

from collections.abc import Callable
from typing import Any

import numpy as np

from chunkrl.errors import ConfigError

Field = Callable[[Any, Any], Any]  # velocity: x [*B, D], t [*B, 1] -> [*B, D]
Slope = Callable[[Field, Any, Any, Any], Any]  # the mean velocity of a step of length dt from x


def euler(velocity: Field, x, t, dt):
    """The velocity at the start.  Order 1, one evaluation."""
    return velocity(x, t)


def midpoint(velocity: Field, x, t, dt):
    """The velocity half an Euler step on.  Order 2, two evaluations."""
    return velocity(x + dt / 2 * velocity(x, t), t + dt / 2)


def heun(velocity: Field, x, t, dt):
    """The mean of the velocities at the start and an Euler step on.  Order 2, two evaluations."""
    start = velocity(x, t)
    return (start + velocity(x + dt * start, t + dt)) / 2


def rk4(velocity: Field, x, t, dt):
    """The classical Runge-Kutta mean of four velocities.  Order 4, four evaluations."""
    a = velocity(x, t)
    b = velocity(x + dt / 2 * a, t + dt / 2)
    c = velocity(x + dt / 2 * b, t + dt / 2)
    d = velocity(x + dt * c, t + dt)
    return (a + 2 * b + 2 * c + d) / 6


INTEGRATORS: dict[str, Slope] = {"euler": euler, "midpoint": midpoint, "heun": heun, "rk4": rk4}


def named(integrator: str) -> Slope:
    """The function of this name; another name raises ConfigError."""
    if integrator not in INTEGRATORS:
        raise ConfigError(f"no integrator {integrator!r}; there are {', '.join(INTEGRATORS)}")
    return INTEGRATORS[integrator]


def path(velocity: Field, noise: np.ndarray, steps: int, integrator: str = "euler") -> np.ndarray:
    """Where `steps` equal steps of dx/dt = velocity(x, t) from t = 0 to 1 pass, in NumPy.

    [*B, D] -> [steps + 1, *B, D].  `flow.integrate` is the same in JAX, and keeps only the end.
    """
    slope, points = named(integrator), [noise]
    for t in np.arange(steps) / steps:
        x = points[-1]
        points.append(x + slope(velocity, x, np.full((*x.shape[:-1], 1), t), 1 / steps) / steps)
    return np.stack(points)
