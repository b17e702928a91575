"""What imagination needs and what it leaves, and proposals for many states at a time."""

from collections.abc import Callable
from typing import NamedTuple

import jax


class Noise(NamedTuple):
    """All the randomness of one update, D = hA."""

    flow: jax.Array  # [B, D]           normal: x_0 of flow matching
    t: jax.Array  # [B, 1]              uniform: flow time
    improve: jax.Array  # [B, D] or [K, R, D]  normal: z of the one-step policy
    rollout: jax.Array  # [K, N, R, D]  normal: candidates along the R imagined trajectories


class Imagined(NamedTuple):
    """R trajectories of K chunks inside the model; all of it constant."""

    seen: jax.Array  # [K, R, O + G]  s_k and the goal
    chunk: jax.Array  # [K, R, D]
    next_seen: jax.Array  # [K, R, O + G]
    reward: jax.Array  # [K, R]
    mask: jax.Array  # [K, R]         0 where the chunk is thought to succeed


def in_blocks(propose: Callable, seen, noise, rows: int):
    """`propose` for R states; on a CPU for as many at a time as make `rows` candidates.

    [R, O + G], [N, R, D] -> [R, D].  Activations of more rows leave the processor's cache, and the
    products of matrices wait for memory.
    """
    states = max(1, rows // len(noise))
    if len(seen) <= states or jax.default_backend() != "cpu":
        return propose(seen, noise)
    return jax.lax.map(lambda x: propose(*x), (seen, noise.swapaxes(0, 1)), batch_size=states)
