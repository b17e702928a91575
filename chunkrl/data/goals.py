"""Chunks with hindsight goals: states of the data, in the role of what was to be reached."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from chunkrl.data import chunks, windows
from chunkrl.errors import ConfigError
from chunkrl.types import Array, Batch, ChunkBatch, ChunkDataset, ChunkExperience, Replay


@dataclass(frozen=True)
class GoalMixture:
    """Where goals come from; three probabilities that add up to 1."""

    current: float  # the state itself
    later: float  # a later state of the same trajectory
    anywhere: float  # any state of the data
    geometric: bool = False  # later: Geom(1 - discount) steps ahead, rather than uniform

    def __post_init__(self):
        parts = (self.current, self.later, self.anywhere)
        if min(parts) < 0 or abs(sum(parts) - 1) > 1e-6:
            raise ConfigError(f"probabilities of goals must be >= 0 and add up to 1, not {parts}")


VALUE = GoalMixture(0.2, 0.5, 0.3)
ACTOR = GoalMixture(0.0, 0.5, 0.5, geometric=True)


class Draw(NamedTuple):
    """All the randomness of one goal for each of B rows."""

    anywhere: Array  # [B]   a row, uniform over `goal_rows` and those that were added
    distance: Array  # [B]   steps ahead, geometric from 1 up; or uniform on [0, 1)
    u_later: Array  # [B]    uniform on [0, 1): later or anywhere
    u_current: Array  # [B]  uniform on [0, 1): current or another


def draw(key, mixture: GoalMixture, data: ChunkExperience, size: int, discount: float) -> Draw:
    """The randomness of one goal for each of `size` rows."""
    key_anywhere, key_distance, key_later, key_current = jax.random.split(key, 4)
    logs, new = data if isinstance(data, Replay) else (data, None)
    there = len(logs.goal_rows)
    most = there + windows.size(new) if new else there
    which = jax.random.randint(key_anywhere, (size,), 0, most)
    if mixture.geometric:
        distance = jax.random.geometric(key_distance, 1 - discount, (size,))
    else:
        distance = jax.random.uniform(key_distance, (size,))
    return Draw(
        chunks.listed(data, "goal_rows", which, which - there),
        distance,
        jax.random.uniform(key_later, (size,)),
        jax.random.uniform(key_current, (size,)),
    )


def pick(mixture: GoalMixture, start, last, noise: Draw):
    """The rows of the goals of the states in rows `start`, of final rows `last`.  [B] -> [B]

    later    = min(i + distance, last)                              geometric
    later    = round(u min(i + 1, last) + (1 - u) last)             uniform on i + 1 ... last
    goal     = i              with probability `current`, else
               later          with probability later / (later + anywhere), else anywhere
    """
    if mixture.geometric:
        later = jnp.minimum(start + noise.distance, last)
    else:
        # Rounded as a distance from the end: exact in float32 for any number of rows.
        span = last - jnp.minimum(start + 1, last)
        later = last - jnp.round(noise.distance * span).astype(last.dtype)
    share = mixture.later / max(mixture.later + mixture.anywhere, 1e-9)
    other = jnp.where(noise.u_later < share, later, noise.anywhere)
    return jnp.where(noise.u_current < mixture.current, start, other)


def rows(key, mixture: GoalMixture, data: ChunkExperience, start, discount: float):
    """The row of a goal for each of the states in rows `start`; see `pick`.  [B] -> [B]"""
    noise = draw(key, mixture, data, len(start), discount)
    return pick(mixture, start, chunks.final(data, start), noise)


def take(
    data: ChunkExperience, start, length: int, value_row, actor_row, negative: bool = True
) -> ChunkBatch:
    """The chunks that begin at rows `start`, told the goals in the given rows.  [B] -> [B, ...]

        y = 1 if i <= value_row < i + h, else 0        mask = 1 - y        reward = y - 1

    A goal counts as reached where its row lies in the chunk: not its end s_{i+h}, and not other
    rows that look the same.  `negative` = False gives the reward y.
    """
    reached = ((start <= value_row) & (value_row < start + length)).astype(jnp.float32)
    return chunks.take(data, start, length, discount=1.0)._replace(
        reward=reached - 1 if negative else reached,
        mask=1 - reached,
        value_goal=windows.pick(data, "goal", value_row),
        actor_goal=windows.pick(data, "goal", actor_row),
    )


class Rows(NamedTuple):
    """Where transitions begin, and the rows of their goals."""

    start: Array  # [B]
    value: Array  # [B]
    actor: Array  # [B]


def draw_rows(
    key,
    data: ChunkExperience,
    size: int,
    length: int,
    discount: float,
    value_goals: GoalMixture = VALUE,
    actor_goals: GoalMixture = ACTOR,
) -> Rows:
    """`size` starts of `length` actions, uniform, each with a goal for the value and the actor."""
    key_start, key_value, key_actor = jax.random.split(key, 3)
    start = chunks.draw_starts(key_start, data, size, length)
    value = rows(key_value, value_goals, data, start, discount)
    return Rows(start, value, rows(key_actor, actor_goals, data, start, discount))


def sample(
    key, data: ChunkExperience, size: int, length: int, discount: float, *mixtures, negative=True
) -> ChunkBatch:
    """The chunks that begin at rows of `draw_rows`, told their goals; see `take`."""
    start, value, actor = draw_rows(key, data, size, length, discount, *mixtures)
    return take(data, start, length, value, actor, negative)


def steps(dataset: ChunkDataset, start, goal, length: int):
    """Steps to the goal, the end of the trajectory or `length`, whichever is first.  [B] -> [B]

    k = min(length, last - i),      goal - i where 0 <= goal - i < k
    """
    most = jnp.minimum(length, jnp.asarray(dataset.last)[start] - start)
    ahead = goal - start
    return jnp.where((ahead >= 0) & (ahead < most), ahead, most)


def reach(
    dataset: ChunkDataset,
    at: Rows,
    length: int,
    discount: float,
    negative: bool = False,
    h: int = 1,
) -> ChunkBatch:
    """k <= n = `length` `steps` from rows `at` as one, told the goals of those rows.  -> [B, ...]

        y = 1 if k < n, else 0        mask = 1 - y        next_obs = s_{i+k}
        reward = gamma^k y, or -(1 - gamma^k) / (1 - gamma) where `negative`

    As published, whatever comes within n steps of a trajectory's end reaches its goal; where all
    rows have n more (i + n <= last), no end is taken for a goal.  The chunk is h actions long.
    """
    k = steps(dataset, at.start, at.value, length)
    reached, goal = (k < length).astype(jnp.float32), jnp.asarray(dataset.goal)
    paid = jnp.power(jnp.float32(discount), k)
    ahead = jnp.minimum(at.start[:, None] + jnp.arange(h)[None], dataset.last[at.start][:, None])
    return ChunkBatch(
        obs=jnp.asarray(dataset.obs)[at.start],
        chunk=jnp.asarray(dataset.action)[ahead].reshape(len(k), -1),
        reward=(paid - 1) / (1 - discount) if negative else paid * reached,
        mask=1 - reached,
        next_obs=jnp.asarray(dataset.obs)[at.start + k],
        value_goal=goal[at.value],
        actor_goal=goal[at.actor],
    )


def told(batch: ChunkBatch, goal) -> Batch:
    """The same as a window whose states are told `goal`.  [B, G] -> [B, O + G], [B, 1, ...]"""
    seen, next_seen = (jnp.concatenate([obs, goal], axis=-1) for obs in (batch.obs, batch.next_obs))
    chunk, reward, mask = (x[:, None] for x in (batch.chunk, batch.reward, batch.mask))
    return Batch(seen, chunk, reward, mask, jnp.ones_like(mask), next_seen)
