"""Chunks of h actions as single transitions, drawn on the device (MAC's samplers)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from chunkrl.data import windows
from chunkrl.errors import ConfigError
from chunkrl.types import Array, ChunkBatch, ChunkDataset, ChunkExperience, Replay, Ring


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


def listed(data: ChunkExperience, name: str, which, new):
    """The rows of the logs at the places `which` of their list `name`; beyond it, the rows `new`.

    [B], [B] or [] -> [B].  Rows of what was added count from the oldest, behind those of the logs.
    """
    logs = data.logs if isinstance(data, Replay) else data
    rows = jnp.asarray(getattr(logs, name))
    found = rows[jnp.minimum(which, len(rows) - 1)]
    if logs is data:
        return found
    return jnp.where(which < len(rows), found, windows.size(logs) + new)


def after(ring: Ring, name: str, count):
    """The first row, from the oldest, where the counts `name` exceed `count`; else all.  [B] -> [B]

    Found by bisection: the counts never fall.
    """

    def halve(_, bounds):
        low, high = bounds
        middle = (low + high) // 2
        over = (windows.pick(ring, name, middle) > count) | (low == high)
        return jnp.where(over, low, middle + 1), jnp.where(over, middle, high)

    bounds = jnp.zeros_like(count), jnp.full_like(count, windows.size(ring))
    return jax.lax.fori_loop(0, len(ring.rows.obs).bit_length(), halve, bounds)[0]


def final(data: ChunkExperience, rows):
    """The last row of the trajectory, or of the episode so far, that each is of.  [B] -> [B]"""
    if not isinstance(data, Replay):
        return listed(data, "last", rows, 0)
    own = windows.pick(data.new, "episodes", jnp.maximum(rows - windows.size(data.logs), 0))
    return listed(data, "last", rows, after(data.new, "episodes", own) - 1)


def take(data: ChunkExperience, start, length: int, discount: float) -> ChunkBatch:
    """The chunks of `length` actions that begin at rows `start`, as the task rewards them.

        reward = sum_{k<h} gamma^k r_{i+k}       mask = min_{k<h} mask_{i+k}

    [B] -> [B, ...].  What an agent makes of both is its own: see `agents.rewards`.
    """
    rows = start[:, None] + jnp.arange(length)[None]  # [B, h]
    powers = discount ** jnp.arange(length, dtype=jnp.float32)
    pick = partial(windows.pick, data)
    goal = pick("goal", start)
    return ChunkBatch(
        obs=pick("obs", start),
        chunk=pick("action", rows).reshape(len(start), -1),
        reward=pick("reward", rows) @ powers,
        mask=pick("mask", rows).min(axis=1),
        next_obs=pick("next_obs", rows[:, -1]),
        value_goal=goal,
        actor_goal=goal,
    )


def draw_starts(key, data: ChunkExperience, size: int, length: int):
    """`size` rows, uniform over those that a chunk of `length` may start from.  Raises ConfigError.

    What was added is used up to the end of each episode, where it may have been solved.
    """
    logs = data.logs if isinstance(data, Replay) else data
    if not (there := len(logs.starts)):
        raise ConfigError(f"{len(logs.obs)} states hold no chunk: the trajectories are too short")
    if not isinstance(data, Replay):
        return listed(data, "starts", jax.random.randint(key, (size,), 0, there), 0)
    newest = windows.size(data.new) - 1
    ended = lambda row: windows.pick(data.new, "chunks", jnp.minimum(row, newest))
    before = ended(length - 2)  # with the row before the oldest, if `length` is 1
    which = jax.random.randint(key, (size,), 0, there + ended(newest) - before)
    end = after(data.new, "chunks", which - there + before)
    return listed(data, "starts", which, end - (length - 1))


def sample(key, data: ChunkExperience, size: int, length: int, discount: float) -> ChunkBatch:
    """`size` chunks with the task's rewards, their starts uniform; see `take`."""
    return take(data, draw_starts(key, data, size, length), length, discount)
