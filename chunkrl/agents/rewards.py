"""What rewards a chunk, in the data and in imagination: reaching a goal, or the task."""

from dataclasses import dataclass
from typing import NamedTuple

from chunkrl.blocks.networks import scalar_mlp
from chunkrl.data import chunks, goals
from chunkrl.types import ChunkBatch, ChunkDataset, Chunks, GoalChunks


class Empty(NamedTuple):
    """The parameters of what has none."""


@dataclass(frozen=True)
class GoalReward:
    """-1 for every chunk that does not reach its goal, or else 1 for the one that does."""

    negative: bool = True
    value_goals: goals.GoalMixture = goals.VALUE
    actor_goals: goals.GoalMixture = goals.ACTOR

    def reads(self, length: int) -> GoalChunks:
        return GoalChunks(length)

    def draw(
        self, key, dataset: ChunkDataset, size: int, length: int, discount: float
    ) -> ChunkBatch:
        mixtures = (self.value_goals, self.actor_goals)
        return goals.sample(key, dataset, size, length, discount, *mixtures, self.negative)

    def init(self, key, *inputs) -> Empty:
        return Empty()

    def loss(self, params, seen, chunk, reward):
        """There is nothing to learn.  (MAC's code trains a network here that it never uses.)"""
        return 0.0

    def predict(self, params, seen, chunk, success):
        """success - 1, or success.  [*B] -> [*B]"""
        return success - 1 if self.negative else success


@dataclass(frozen=True)
class LearnedReward:
    """A network regressed on the task's rewards of the data's chunks.

    By default as in MAC's code; its paper has the sum, and tasks that end.
    """

    hidden: tuple[int, ...]
    sum_reward: bool = False  # the sum, not the mean, of the discounted rewards of a chunk
    true_mask: bool = False  # solving the task ends it; else nothing does

    def reads(self, length: int) -> Chunks:
        return Chunks(length)

    def draw(
        self, key, dataset: ChunkDataset, size: int, length: int, discount: float
    ) -> ChunkBatch:
        options = (self.sum_reward, self.true_mask)
        return chunks.sample(key, dataset, size, length, discount, *options)

    @property
    def net(self):
        return scalar_mlp(self.hidden, norm=True)

    def init(self, key, *inputs):
        return self.net.init(key, *inputs)

    def loss(self, params, seen, chunk, reward):
        """mean (r(s, a) - r)^2.  -> []"""
        return ((self.net.apply(params, seen, chunk) - reward) ** 2).mean()

    def predict(self, params, seen, chunk, success):
        """r(s, a), whatever `success` says.  -> [*B]"""
        return self.net.apply(params, seen, chunk)


Reward = GoalReward | LearnedReward
