"""Regression targets along imagined trajectories, time first, and what values are fitted with."""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import optax


def lambda_return(reward, discount, next_value, lam: float):
    """G_k = r_k + d_k ((1 - lam) V(s_{k+1}) + lam G_{k+1}), with G_K = V(s_K).

    [K, *B] three times -> [K, *B].  The discount d_k carries the mask, and gamma^h where a step is
    a chunk.  lam = 0 is one-step TD; adding up generalised advantages and values gives the same.
    """

    def step(following, x):
        reward, discount, value = x
        total = reward + discount * ((1 - lam) * value + lam * following)
        return total, total

    return jax.lax.scan(step, next_value[-1], (reward, discount, next_value), reverse=True)[1]


@dataclass(frozen=True)
class Squared:
    """Values on the line: a network's output is the value, its error (output - y)^2."""

    def value(self, output):
        return output

    def output(self, value):
        return value

    def error(self, output, target):
        return optax.squared_error(output, target)


@dataclass(frozen=True)
class Logistic:
    """Values that are probabilities, such as of ever reaching a goal: an output x is a logit.

        value = sigmoid(x)      error = -y log sigmoid(x) - (1 - y) log(1 - sigmoid(x))

    The target y is clipped to [0, 1].
    """

    def value(self, output):
        return jax.nn.sigmoid(output)

    def output(self, value):
        """The logit of a probability, which is kept 0.00001 away from 0 and 1."""
        return jax.scipy.special.logit(value.clip(1e-5, 1 - 1e-5))

    def error(self, output, target):
        return optax.sigmoid_binary_cross_entropy(output, target.clip(0, 1))


ValueHead = Squared | Logistic


def asymmetry(d, tau: float):
    """|tau - 1[d < 0]|, the weight of an error d in expectile and quantile regression.  [*B]"""
    return jnp.where(d >= 0, tau, 1 - tau)


def expectile_error(head: ValueHead, output, target, tau: float):
    """|tau - 1[y < v]| (v - y)^2, or cross entropy in place of the square, v the value.  [*B]

    Its mean has no slope where v is the expectile tau of y (arXiv 2110.06169, eq. 5).
    """
    return asymmetry(target - head.value(output), tau) * head.error(output, target)


def quantile_error(head: ValueHead, output, target, tau: float):
    """|tau - 1[y < v]| |x - x'|, x the output of v and x' that of y: least at a quantile.  [*B]"""
    distance = jnp.abs(output - head.output(target))
    return asymmetry(target - head.value(output), tau) * distance


Regression = Literal["expectile", "quantile"]
REGRESSIONS = {"expectile": expectile_error, "quantile": quantile_error}
