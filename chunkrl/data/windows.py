"""Windows of consecutive transitions, drawn on the device."""

import jax
import jax.numpy as jnp

from chunkrl.errors import ConfigError
from chunkrl.types import Batch, Dataset, Halves


def starts(dataset: Dataset, length: int) -> int:
    """How many rows a window of `length` transitions can start from."""
    return len(dataset.obs) - length + 1


def take(dataset: Dataset, start, length: int, discount: float) -> Batch:
    """The windows of `length` transitions that begin at rows `start`.  [B] -> [B, length, ...]

        returns_k = sum_{j<=k} gamma^j r_{i+j}     mask_k  = min_{j<=k} mask_{i+j}
        valid_0   = 1                              valid_k = 1 - max_{j<k} terminal_{i+j}

    A window that crosses the end of a trajectory is kept and marked by `valid`.  Rewards after an
    interior success are still summed; only the bootstrap is cut.
    """
    rows = start[:, None] + jnp.arange(length)[None]  # [B, length]
    powers = discount ** jnp.arange(length, dtype=jnp.float32)
    terminal = jax.lax.cummax(jnp.asarray(dataset.terminal)[rows], axis=1)
    return Batch(
        obs=dataset.obs[start],
        action=dataset.action[rows],
        returns=jnp.cumsum(dataset.reward[rows] * powers[None], axis=1),
        mask=jax.lax.cummin(jnp.asarray(dataset.mask)[rows], axis=1),
        valid=jnp.concatenate([jnp.ones_like(terminal[:, :1]), 1 - terminal[:, :-1]], axis=1),
        next_obs=dataset.next_obs[rows[:, -1]],
    )


def draw_starts(key, dataset: Dataset, size: int, length: int):
    """`size` first rows of windows, uniform over {0, ..., T - length}, both ends included.

    Raises ConfigError where the data are shorter than a window.
    """
    if starts(dataset, length) < 1:
        raise ConfigError(f"{len(dataset.obs)} transitions hold no window of {length}")
    return jax.random.randint(key, (size,), 0, starts(dataset, length))


def sample(key, data: Dataset | Halves, size: int, length: int, discount: float) -> Batch:
    """`size` windows from rows of `draw_starts`; of `Halves`, half of them new.  See `take`."""
    if isinstance(data, Halves):
        parts = (data.logs, size - size // 2), (data.new, size // 2)
        keys = jax.random.split(key)
        drawn = [sample(k, x, n, length, discount) for k, (x, n) in zip(keys, parts, strict=True)]
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *drawn)
    return take(data, draw_starts(key, data, size, length), length, discount)
