"""Rewards of a chunk: goal reached, or learned; and whether the chunk succeeds.

Each says what data it reads, how a chunk of them is paid, and how that is predicted.  `net` is a
scalar network of (s, g) and the chunk; r and the logit c have parameters of their own.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from chunkrl.blocks.networks import Network
from chunkrl.data import chunks, goals
from chunkrl.types import ChunkBatch, ChunkDataset, Chunks, GoalChunks, Metrics


class Empty(NamedTuple):
    """The parameters of what has none."""


def success_loss(net: Network, params, seen, batch: ChunkBatch):
    """-mean y log sigmoid(c) + (1 - y) log(1 - sigmoid(c)), y = 1 - mask.  -> []

    The cross entropy of success (MAC, arXiv 2512.08108, alg. 1).
    """
    logit = net.apply(params.success, seen, batch.chunk)
    return optax.sigmoid_binary_cross_entropy(logit, 1 - batch.mask).mean()


def success(net: Network, params, seen, chunk):
    """1 where c(s, g, a) > 0, else 0.  -> [*B]"""
    return (net.apply(params.success, seen, chunk) > 0).astype(jnp.float32)


@dataclass(frozen=True)
class Unrewarded:
    """Nothing is paid and nothing ends: for dynamics alone."""

    def reads(self, length: int) -> Chunks:
        return Chunks(length)

    def draw(self, key, dataset: ChunkDataset, size: int, length: int, discount: float):
        return chunks.sample(key, dataset, size, length, discount)

    def init(self, net: Network, key_reward, key_success, *inputs) -> tuple[Any, Any]:
        return Empty(), Empty()

    def losses(self, net: Network, params, seen, batch: ChunkBatch) -> Metrics:
        return {}

    def predict(self, net: Network, params, seen, chunk) -> tuple[jax.Array, jax.Array]:
        return jnp.zeros(chunk.shape[:-1]), jnp.ones(chunk.shape[:-1])


@dataclass(frozen=True)
class GoalReward:
    """-1 until the goal is reached, or 1 when it is (MAC with goals, arXiv 2512.08108, alg. 1)."""

    negative: bool = True
    value_goals: goals.GoalMixture = goals.VALUE
    actor_goals: goals.GoalMixture | None = goals.ACTOR  # of cloning; None: those of the value

    def reads(self, length: int) -> GoalChunks:
        return GoalChunks(length)

    def draw(self, key, dataset: ChunkDataset, size: int, length: int, discount: float):
        mixtures = (self.value_goals, self.actor_goals or self.value_goals)
        batch = goals.sample(
            key, dataset, size, length, discount, *mixtures, negative=self.negative
        )
        return batch if self.actor_goals else batch._replace(actor_goal=batch.value_goal)

    def init(self, net: Network, key_reward, key_success, *inputs) -> tuple[Any, Any]:
        """No r.  (MAC's code trains a network here that it never uses.)"""
        return Empty(), net.init(key_success, *inputs)

    def losses(self, net: Network, params, seen, batch: ChunkBatch) -> Metrics:
        return {"success_loss": success_loss(net, params, seen, batch)}

    def predict(self, net: Network, params, seen, chunk) -> tuple[jax.Array, jax.Array]:
        """r = y - 1, or y; mask = 1 - y; y = [c(s, g, a) > 0].  -> [*B] twice"""
        y = success(net, params, seen, chunk)
        return y - 1 if self.negative else y, 1 - y


@dataclass(frozen=True)
class LearnedReward(Unrewarded):
    """A network r(s, a) regressed on the task's rewards of the data's chunks.

        reward = (1/h) sum_{k<h} gamma^k r_{t+k}       mask = 1

    So in MAC's code; its paper (arXiv 2512.08108) has the sum, and tasks that end.
    """

    sum_reward: bool = False  # the sum, not the mean
    true_mask: bool = False  # solving the task ends it, as the data say; else nothing does

    def parts(self, length: int) -> int:
        """Of the discounted sum of a chunk's rewards, by which it is divided: h, or 1."""
        return 1 if self.sum_reward else length

    def draw(self, key, dataset: ChunkDataset, size: int, length: int, discount: float):
        return self.pay(chunks.sample(key, dataset, size, length, discount), length)

    def pay(self, batch: ChunkBatch, length: int) -> ChunkBatch:
        """The chunks of `length` actions with the reward and mask of above."""
        mask = batch.mask if self.true_mask else jnp.ones_like(batch.mask)
        return batch._replace(reward=batch.reward / self.parts(length), mask=mask)

    def init(self, net: Network, key_reward, key_success, *inputs) -> tuple[Any, Any]:
        return net.init(key_reward, *inputs), net.init(key_success, *inputs)

    def losses(self, net: Network, params, seen, batch: ChunkBatch) -> Metrics:
        """mean (r(s, a) - reward)^2, and the cross entropy of success."""
        error = optax.squared_error(net.apply(params.reward, seen, batch.chunk), batch.reward)
        return {"reward": error.mean(), "success_loss": success_loss(net, params, seen, batch)}

    def predict(self, net: Network, params, seen, chunk) -> tuple[jax.Array, jax.Array]:
        """r(s, a), whatever succeeds; mask = 1 - [c(s, a) > 0].  -> [*B] twice"""
        return net.apply(params.reward, seen, chunk), 1 - success(net, params, seen, chunk)


Reward = GoalReward | LearnedReward | Unrewarded
