"""One gradient step, and the slow-moving copy of parameters."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from chunkrl.types import Metrics


def descend(
    tx: optax.GradientTransformation, loss: Callable, params: Any, opt_state: Any, *args
) -> tuple[Any, Any, Metrics]:
    """One step of `tx` down `loss(params, *args) -> (value, metrics)`.

    -> params, opt_state, metrics
    """
    grads, metrics = jax.grad(loss, has_aux=True)(params, *args)
    updates, opt_state = tx.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, metrics


def mean_of_blocks(loss: Callable[[Any, Any], jax.Array]) -> Callable[[Any, Any], jax.Array]:
    """f(params, xs) = mean_k loss(params, xs_k), in which `xs`, leaves [K, ...], is constant.

    The gradient is added up block by block, so that what a block leaves behind for it never
    outgrows the cache of a processor: on large blocks that is most of the time.
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


def polyak(online: Any, target: Any, tau: float | jax.Array) -> Any:
    """tau online + (1 - tau) target, leaf by leaf."""
    return optax.incremental_update(online, target, tau)
