"""Regression targets along imagined trajectories: pure functions of arrays, time first."""

import jax


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


def value_expansion(reward, discount, last_value):
    """G_k = r_k + d_k G_{k+1}, with G_K = V(s_K): `lambda_return` at lam = 1.

    [K, *B], [K, *B], [*B] -> [K, *B].  Needs the value of the last state only.
    """

    def step(following, x):
        reward, discount = x
        total = reward + discount * following
        return total, total

    return jax.lax.scan(step, last_value, (reward, discount), reverse=True)[1]


def squared(prediction, target):
    """(prediction - target)^2, for values on the line."""
    return (prediction - target) ** 2


def cross_entropy(logit, target):
    """-y log sigmoid(x) - (1 - y) log(1 - sigmoid(x)), y = target clipped to [0, 1].

    For values that are probabilities, such as that of ever reaching a goal.
    """
    target = target.clip(0, 1)
    return -target * jax.nn.log_sigmoid(logit) - (1 - target) * jax.nn.log_sigmoid(-logit)
