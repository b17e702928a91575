"""Windows of consecutive transitions, drawn on the device."""

import jax
import jax.numpy as jnp

from chunkrl.errors import ConfigError
from chunkrl.types import Batch, ChunkDataset, Dataset, Experience, Halves, Replay, Ring


def size(data: Experience | ChunkDataset):
    """How many transitions windows are drawn from: of a ring, the newest."""
    if isinstance(data, Ring):
        return jnp.minimum(data.written, data.most)
    if isinstance(data, Replay | Halves):
        return size(data.logs) + size(data.new)
    return len(data.obs)


def pick(data: Experience | ChunkDataset, name: str, rows):
    """The field `name` of the transitions `rows`, counted from the oldest.  [*B] -> [*B, ...]"""
    if isinstance(data, ChunkDataset) and name == "next_obs":
        return pick(data, "obs", rows + 1)
    if isinstance(data, Dataset | ChunkDataset):
        return jnp.asarray(getattr(data, name))[rows]
    if isinstance(data, Ring):
        oldest = data.written - size(data)
        return getattr(data.rows, name)[(oldest + rows) % len(data.rows.obs)]
    logged = size(data.logs)
    old = pick(data.logs, name, jnp.minimum(rows, logged - 1))
    new = pick(data.new, name, jnp.maximum(rows - logged, 0))
    return jnp.where((rows < logged).reshape(rows.shape + (1,) * (old.ndim - rows.ndim)), old, new)


def starts(data: Experience, length: int):
    """How many rows a window of `length` transitions can start from."""
    return size(data) - length + 1


def take(data: Experience, start, length: int, discount: float, every: bool = False) -> Batch:
    """The windows of `length` transitions that begin at rows `start`.  [B] -> [B, length, ...]

        returns_k = sum_{j<=k} gamma^j r_{i+j}     mask_k  = min_{j<=k} mask_{i+j}
        valid_0   = 1                              valid_k = 1 - max_{j<k} terminal_{i+j}

    A window that crosses the end of a trajectory is kept and marked by `valid`.  Rewards after an
    interior success are still summed; only the bootstrap is cut.  With `every`, `next_obs` is the
    states after all of its transitions, [B, length, O].
    """
    rows = start[:, None] + jnp.arange(length)[None]  # [B, length]
    powers = discount ** jnp.arange(length, dtype=jnp.float32)
    terminal = jax.lax.cummax(pick(data, "terminal", rows), axis=1)
    return Batch(
        obs=pick(data, "obs", start),
        action=pick(data, "action", rows),
        returns=jnp.cumsum(pick(data, "reward", rows) * powers[None], axis=1),
        mask=jax.lax.cummin(pick(data, "mask", rows), axis=1),
        valid=jnp.concatenate([jnp.ones_like(terminal[:, :1]), 1 - terminal[:, :-1]], axis=1),
        next_obs=pick(data, "next_obs", rows if every else rows[:, -1]),
    )


def draw_starts(key, data: Experience, size: int, length: int):
    """`size` first rows of windows, uniform over {0, ..., T - length}, both ends included.

    The newest rows are thus the ends of windows before they are starts, and none crosses the place
    where a ring is written.  Raises ConfigError where the data are shorter than a window.
    """
    if isinstance(data, Dataset) and starts(data, length) < 1:
        raise ConfigError(f"{len(data.obs)} transitions hold no window of {length}")
    return jax.random.randint(key, (size,), 0, starts(data, length))


def sample(
    key, data: Experience, size: int, length: int, discount: float, every: bool = False
) -> Batch:
    """`size` windows from rows of `draw_starts`; of `Halves`, half of them new.  See `take`."""
    if isinstance(data, Halves):
        parts = (data.logs, size - size // 2), (data.new, size // 2)
        keys = jax.random.split(key)
        drawn = [
            sample(k, x, n, length, discount, every) for k, (x, n) in zip(keys, parts, strict=True)
        ]
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *drawn)
    return take(data, draw_starts(key, data, size, length), length, discount, every)
