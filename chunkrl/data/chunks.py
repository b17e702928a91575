"""Chunks of h actions as single transitions, drawn on the device (MAC's samplers)."""

import jax
import jax.numpy as jnp
import numpy as np

from chunkrl.errors import ConfigError
from chunkrl.types import Array, ChunkBatch, ChunkDataset


def final_rows(ends: np.ndarray) -> np.ndarray:
    """For each row, the second-to-last row of its trajectory; `ends` marks the last ones.  -> [T]

    Counting with it loses two usable chunks per trajectory: MAC's compact layout marks the last two
    states as terminal.
    """
    last = np.flatnonzero(ends)
    return np.repeat(last - 1, np.diff(last, prepend=-1)).astype(np.int32)


def dataset(
    obs: Array,
    action: Array,
    reward: Array,
    mask: Array,
    last: np.ndarray,
    chunk: int,
    goal: Array | None = None,
) -> ChunkDataset:
    """Data for chunks of `chunk` actions, with rewards or with goals; see `ChunkDataset`.

    A chunk may start at row i if i + chunk < last_i, so that its end is a state of the trajectory.
    """
    rows = np.arange(len(last))
    starts = np.flatnonzero(rows + chunk < last).astype(np.int32)
    goal_rows = np.flatnonzero((rows <= last) & (goal is not None)).astype(np.int32)
    goal = np.zeros((len(last), 0), np.float32) if goal is None else goal
    return ChunkDataset(obs, action, reward, mask, last, starts, goal, goal_rows)


def take(dataset: ChunkDataset, start, length: int, discount: float) -> ChunkBatch:
    """The chunks of `length` actions that begin at rows `start`, as the task rewards them.

        reward = sum_{k<h} gamma^k r_{i+k}       mask = min_{k<h} mask_{i+k}

    [B] -> [B, ...].  What an agent makes of both is its own: see `agents.rewards`.
    """
    rows = start[:, None] + jnp.arange(length)[None]  # [B, h]
    powers = discount ** jnp.arange(length, dtype=jnp.float32)
    goal = dataset.goal[start]
    return ChunkBatch(
        obs=dataset.obs[start],
        chunk=dataset.action[rows].reshape(len(start), -1),
        reward=jnp.asarray(dataset.reward)[rows] @ powers,
        mask=jnp.asarray(dataset.mask)[rows].min(axis=1),
        next_obs=dataset.obs[start + length],
        value_goal=goal,
        actor_goal=goal,
    )


def draw_starts(key, dataset: ChunkDataset, size: int):
    """`size` rows, uniform over those that a chunk may start from.  Raises ConfigError."""
    if not len(dataset.starts):
        raise ConfigError(
            f"{len(dataset.obs)} states hold no chunk: the trajectories are too short"
        )
    which = jax.random.randint(key, (size,), 0, len(dataset.starts))
    return jnp.asarray(dataset.starts)[which]


def sample(key, dataset: ChunkDataset, size: int, length: int, discount: float) -> ChunkBatch:
    """`size` chunks with the task's rewards, their starts uniform; see `take`."""
    return take(dataset, draw_starts(key, dataset, size), length, discount)
