"""What the machine decides, not the method: rows of a network at once, and the precision."""

import os
from collections.abc import Callable

import jax
import jax.numpy as jnp

from chunkrl.errors import ConfigError

ROWS = 1024  # on a CPU, at once: activations of more leave its cache, and products wait for memory
PRECISIONS = ("float32", "bfloat16")


def in_blocks(propose: Callable, seen, noise):
    """`propose`, on a CPU for ROWS candidates at a time.  [R, O + G], [N, R, D] -> [R, D]"""
    states = max(1, ROWS // len(noise))
    if len(seen) <= states or jax.default_backend() != "cpu":
        return propose(seen, noise)
    return jax.lax.map(lambda x: propose(*x), (seen, noise.swapaxes(0, 1)), batch_size=states)


def lowered(tree):
    """Every number of `tree` in the `precision` of networks that are not differentiated."""
    return jax.tree.map(lambda leaf: leaf.astype(precision()), tree)


def precision() -> jnp.dtype:
    """Of networks that are not differentiated: CHUNKRL_PRECISION, else float32.

    bfloat16, faster on some accelerators, keeps 8 of 24 bits.  Read when a program is compiled.
    Raises ConfigError.
    """
    name = os.environ.get("CHUNKRL_PRECISION") or PRECISIONS[0]
    if name not in PRECISIONS:
        raise ConfigError(f"CHUNKRL_PRECISION = {name!r}: must be {' or '.join(PRECISIONS)}")
    return jnp.dtype(name)
