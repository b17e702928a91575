"""Regression targets along imagined trajectories, time first, and what values are fitted with."""

from dataclasses import dataclass

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


def asymmetry(d, tau: float):
    """|tau - 1[d < 0]|, the weight of an error d in expectile and quantile regression.  [*B]

    Times d^2 it is least for the expectile tau of what is fitted, times |d| for the quantile.
    """
    return jnp.where(d >= 0, tau, 1 - tau)


@dataclass(frozen=True)
class Squared:
    """Values on the line: a network's output is the value, its error (output - y)^2."""

    def value(self, output):
        return output

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

    def error(self, output, target):
        return optax.sigmoid_binary_cross_entropy(output, target.clip(0, 1))


ValueHead = Squared | Logistic
