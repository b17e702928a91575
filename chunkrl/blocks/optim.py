"""One gradient step, and gradients block by block."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from chunkrl.types import Metrics


class State(NamedTuple):
    """What the plainest learner keeps."""

    params: Any
    opt_state: optax.OptState


def descend(
    tx: optax.GradientTransformation, loss: Callable, state: Any, *args
) -> tuple[Any, Metrics]:
    """One step of `tx` down `loss(params, *args) -> (value, metrics)`.  -> new `state`, metrics"""
    grads, metrics = jax.grad(loss, has_aux=True)(state.params, *args)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    return state._replace(params=params, opt_state=opt_state), metrics


def mean_of_blocks(loss: Callable[[Any, Any], jax.Array]) -> Callable[[Any, Any], jax.Array]:
    """f(params, xs) = mean_k loss(params, xs_k), in which `xs`, leaves [K, ...], is constant.

    The gradient is added up block by block: what one leaves behind for it fits a processor's cache.
    """

    @jax.custom_vjp
    def mean(params, xs):
        return jax.lax.map(lambda x: loss(params, x), xs).mean()

    def forward(params, xs):
        def step(total, x):
            value, grad = jax.value_and_grad(loss)(params, x)
            return jax.tree.map(jnp.add, total, grad), value

        total, values = jax.lax.scan(step, jax.tree.map(jnp.zeros_like, params), xs)
        return values.mean(), jax.tree.map(lambda leaf: leaf / len(values), total)

    def backward(grad, cotangent):
        return jax.tree.map(lambda leaf: cotangent * leaf, grad), None

    mean.defvjp(forward, backward)
    return mean
