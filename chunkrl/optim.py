"""One gradient step, and the slow-moving copy of parameters."""

from collections.abc import Callable
from typing import Any

import jax
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


def polyak(online: Any, target: Any, tau: float) -> Any:
    """tau online + (1 - tau) target, leaf by leaf."""
    return optax.incremental_update(online, target, tau)
