"""Imitation alone: a policy trained on samples of a demonstrator, in one compiled scan.

The losses are the policy's: flow matching (Lipman et al. 2023, arXiv 2210.02747, theorem 2), and
distillation into one step (arXiv 2502.02538, alg. 1).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from chunkrl.blocks.optim import State, descend
from chunkrl.blocks.policies import Policy

Draw = Callable[[Any], tuple[Any, Any]]  # key -> obs [B, O], chunk [B, D], in pure JAX


class Cloned(NamedTuple):
    params: Any
    loss: jax.Array  # [U]  flow-matching loss of each update, on its own fresh samples


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def clone(policy: Policy, draw: Draw, updates: int, learning_rate: float, key) -> Cloned:
    """`updates` Adam steps down `policy.clone`, each on a new batch of `draw`.

    The learning rate falls to zero along a cosine.  A one-step policy learns from its own flow too.
    """
    key_init, key_obs, key_train = jax.random.split(key, 3)
    params = policy.init(key_init, draw(key_obs)[0][:1])
    tx = optax.adam(optax.cosine_decay_schedule(learning_rate, updates))

    def loss(params, frozen, key):
        key_draw, key_noise, key_t, key_improve = jax.random.split(key, 4)
        obs, chunk = draw(key_draw)
        noise = jax.random.normal(key_noise, chunk.shape)
        t = jax.random.uniform(key_t, (len(chunk), 1))
        matching = policy.clone(params, obs, chunk, jnp.ones_like(chunk), noise, t)
        z = jax.random.normal(key_improve, chunk.shape)
        improve, _ = policy.improve(params, frozen, obs, lambda obs, chunk: jnp.zeros(1), z)
        return matching + improve, {"clone": matching}

    def step(state, key):
        state, metrics = descend(tx, loss, state, state.params, key)
        return state, metrics["clone"]

    state = State(params, tx.init(params))
    state, losses = jax.lax.scan(step, state, jax.random.split(key_train, updates))
    return Cloned(state.params, losses)
