"""What agents have in common that reach goals told in hindsight by runs of n steps."""

from chunkrl.agents.actor_critic import Critics
from chunkrl.blocks.targets import Logistic, ValueHead
from chunkrl.data import goals
from chunkrl.types import ChunkBatch, ChunkDataset, GoalChunks


class Reaching(Critics):
    """Values of goals: probabilities, of networks that are logits, or a cost of 1 a step."""

    head: ValueHead
    false_ends: bool  # as published, see `goals.reach`
    value_goals: goals.GoalMixture
    actor_goals: goals.GoalMixture

    @property
    def reads(self) -> GoalChunks:
        """Every transition, or those that n - 1 follow."""
        return GoalChunks(-1 if self.false_ends else self.backup - 1, over=True)

    @property
    def negative(self) -> bool:
        """Whether a step costs 1."""
        return not isinstance(self.head, Logistic)

    def draw_rows(self, key, dataset: ChunkDataset, size: int) -> goals.Rows:
        """`size` rows, each with a goal for the critic and one for the policy."""
        mixtures = self.value_goals, self.actor_goals
        return goals.draw_rows(key, dataset, size, self.backup, self.discount, *mixtures)

    def reach(self, dataset: ChunkDataset, at: goals.Rows) -> ChunkBatch:
        """The runs of n steps that begin at rows `at`, told the goals of those rows."""
        return goals.reach(dataset, at, self.backup, self.discount, self.negative)
