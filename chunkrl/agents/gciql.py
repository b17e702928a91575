"""IQL for goals told in hindsight."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from chunkrl.agents import presets
from chunkrl.agents.iql import IQL, Climbing, Weighting
from chunkrl.agents.method import method
from chunkrl.blocks.policies import Gaussian
from chunkrl.data import goals
from chunkrl.types import Batch, ChunkBatch, ChunkDataset, GoalChunks


@dataclass(frozen=True, repr=False)
class GCIQL(IQL):
    """V(s, g), an upper expectile of Q(s, a, g), and pi(a | s, g) (arXiv 2110.06169, alg. 1).

        y = r + gamma mask V(s', g),    r = -1 until the row of g is reached, or 1 when it is

    Goals of the values and of the policy are drawn apart (OGBench's code, arXiv 2410.20092).
    """

    # Departs from the code: DDPG+BC divides by mean |Q|, without 1e-6 beside it.
    hidden: tuple[int, ...] = (1024,) * 4
    discount: float = 0.999
    goal_dim: int = 1
    negative: bool = True
    value_goals: goals.GoalMixture = goals.VALUE
    actor_goals: goals.GoalMixture = goals.ACTOR

    @property
    def reads(self) -> GoalChunks:
        """Every transition."""
        return GoalChunks(-1, over=True)

    def draw(self, key, dataset: ChunkDataset, size: int) -> ChunkBatch:
        """`size` single transitions, each with a goal for the values and one for the policy."""
        mixtures = self.value_goals, self.actor_goals
        return goals.sample(key, dataset, size, 1, self.discount, *mixtures, negative=self.negative)

    def views(self, batch: ChunkBatch) -> tuple[Batch, Batch]:
        return goals.told(batch, batch.value_goal), goals.told(batch, batch.actor_goal)


def reaching(
    extraction: Weighting | Climbing,
    obs_dim: int,
    action_dim: int,
    goal_reward: Literal[-1, 1] = -1,
    std: Literal["one", "free"] = "one",
    hidden: tuple[int, ...] = GCIQL.hidden,
    **learning: Annotated[Any, GCIQL],
) -> GCIQL:
    """Values of states and goals, with a policy that is extracted in the given way."""
    policy = Gaussian(action_dim, hidden, squash=False, std=std)
    told = {"negative": goal_reward == -1, "hidden": hidden}
    return GCIQL(obs_dim, action_dim, policy, extraction, **told, **learning)


@method(presets.GOALS)
def gciql(alpha: float = 1.0, **settings: Annotated[Any, reaching]) -> GCIQL:
    """`iql` that reaches goals told in hindsight, as `iql_ddpgbc` (arXiv 2406.09329, DDPG+BC)."""
    return reaching(Climbing(alpha), **settings)


@method(presets.GOALS)
def gciql_awr(
    beta: float = 3.0, max_weight: float = 100.0, **settings: Annotated[Any, reaching]
) -> GCIQL:
    """`gciql` whose policy is advantage-weighted (arXiv 2110.06169, eqs. 5 to 7)."""
    return reaching(Weighting(beta, max_weight), **settings)
