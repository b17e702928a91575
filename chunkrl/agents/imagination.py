"""Inputs and outputs of an imagined rollout, and which of its states losses are taken at."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from chunkrl.types import Array, ChunkBatch


class MACNoise(NamedTuple):
    """All the randomness of one update, D = hA."""

    flow: jax.Array  # [B, D]           normal: x_0 of flow matching
    t: jax.Array  # [B, 1]              uniform: flow time
    improve: jax.Array  # [B, D] or [K, R, D]  normal: z of the one-step policy
    rollout: jax.Array  # [K, N, R, D]  normal: candidates along the R imagined trajectories


class Transitions(NamedTuple):
    """Chunks as transitions, of the data [B] or along R imagined trajectories [K, R]; constant."""

    seen: Array  # [*B, O + G]  s and g, side by side
    chunk: Array  # [*B, D]
    next_seen: Array  # [*B, O + G]
    reward: Array  # [*B]
    mask: Array  # [*B]         0 where the chunk succeeds, or is thought to


@dataclass(frozen=True)
class OnImagined:
    """Losses at what was imagined (MAC, arXiv 2512.08108, alg. 1; of the policy: MAC (FQL))."""

    def shape(self, size: int, starts: int, rollout: int) -> tuple[int, ...]:
        """Of the states: K rows of R."""
        return rollout, starts

    def states(self, batch: ChunkBatch, x: Transitions):
        """All imagined states, with the goals of the value.  -> [K, R, O + G]"""
        return x.seen

    def transitions(self, batch: ChunkBatch, x: Transitions) -> Transitions:
        """The first imagined chunks, chosen in states of the data.  -> [R, ...]"""
        return jax.tree.map(lambda leaf: leaf[0], x)


@dataclass(frozen=True)
class OnData:
    """Losses at the data (MAC's policy, arXiv 2512.08108, alg. 1; of the critic: an option)."""

    def shape(self, size: int, starts: int, rollout: int) -> tuple[int, ...]:
        """Of the states: B."""
        return (size,)

    def states(self, batch: ChunkBatch, x: Transitions):
        """The states of the batch, with the goals of the policy.  -> [B, O + G]"""
        return jnp.concatenate([batch.obs, batch.actor_goal], axis=-1)

    def transitions(self, batch: ChunkBatch, x: Transitions) -> Transitions:
        """The chunks of the batch, with the goals of the value.  -> [B, ...]"""
        seen, next_seen = (
            jnp.concatenate([obs, batch.value_goal], axis=-1) for obs in (batch.obs, batch.next_obs)
        )
        return Transitions(seen, batch.chunk, next_seen, batch.reward, batch.mask)


Where = OnData | OnImagined
