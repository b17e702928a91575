"""SAC+BC for goals told in hindsight, of one step or of n."""

from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from chunkrl.agents import presets
from chunkrl.agents.actor_critic import Params, SingleActions, State
from chunkrl.agents.method import HEADS, method
from chunkrl.agents.reaching import Reaching
from chunkrl.blocks.networks import Aggregate, aggregated
from chunkrl.blocks.policies import Entropic, magnitude
from chunkrl.blocks.targets import Logistic, ValueHead
from chunkrl.data import goals
from chunkrl.types import ChunkBatch, ChunkDataset


class Noise(NamedTuple):
    """All the randomness of one update."""

    following: jax.Array  # [B, A]  normal: a' at s_{t+k}
    action: jax.Array  # [B, A]     normal: a at s_t


@dataclass(frozen=True)
class Regular(Entropic):
    """A tanh-Gaussian with norms that keeps its entropy."""

    target_entropy: float = -0.5  # per number of the action, half of SAC's


@dataclass(frozen=True)
class GCSACBC(Reaching, SingleActions):
    """Values of reaching a goal, climbed by a policy close to the data (arXiv 2506.04168, sec. 5).

        y = R + gamma^n mask agg_j Q'_j(s_{t+n}, a', g),     a' ~ pi(. | s_{t+n}, g)

    R is gamma^k where the goal is k < n steps away, and a value the probability that its network's
    output is the logit of; or -1 a step, with the output itself.  No entropy is counted.
    """

    obs_dim: int
    action_dim: int
    policy: Regular
    alpha: float = 0.1
    backup: int = 25  # n
    discount: float = 0.999
    tau: float = 0.005
    lr: float = 3e-4
    hidden: tuple[int, ...] = (1024,) * 4
    num_critics: int = 2
    aggregate: Aggregate = "min"  # of the target; the policy climbs the mean
    goal_dim: int = 1
    head: ValueHead = field(default_factory=Logistic)
    false_ends: bool = True
    value_goals: goals.GoalMixture = goals.VALUE
    actor_goals: goals.GoalMixture = goals.ACTOR

    def draw(self, key, dataset: ChunkDataset, size: int) -> ChunkBatch:
        """`size` runs of n steps, each with a goal for the critic and one for the policy."""
        return self.reach(dataset, self.draw_rows(key, dataset, size))

    def noise(self, key, size: int) -> Noise:
        """The noise of one update on `size` transitions."""
        return Noise(*jax.random.normal(key, (2, size, self.action_dim)))

    def td_target(self, state: State, batch: ChunkBatch, noise):
        """y of above, clipped to the values that there are: [0, 1], or [-1/(1 - gamma), 0].  -> [B]

        The least of the critics is taken of their values, not of their outputs.
        """
        window = goals.told(batch, batch.value_goal)
        action = self.policy.sample(state.params.policy, window.next_obs, noise)
        values = self.head.value(self.critic.apply(state.target_critic, window.next_obs, action))
        target = self.discounted(window, aggregated(values, self.aggregate))
        return target.clip(-1 / (1 - self.discount), 0) if self.negative else target.clip(0, 1)

    def critic_loss(self, params: Params, batch: ChunkBatch, target):
        """mean over critics and transitions of (Q_k(s, a, g) - y)^2, or cross entropy.  -> []"""
        window = goals.told(batch, batch.value_goal)
        return self.td_errors(params.critic, window, target).mean()

    def policy_loss(self, params: Params, frozen: Params, batch: ChunkBatch, noise):
        """SAC's, and alpha mean |Q| mean |a - a_data|^2 for the same a ~ pi(. | s, g).  -> [], info

        Q is the mean of the critics' outputs (arXiv 2506.04168, sec. 5; its code).
        """
        seen = jnp.concatenate([batch.obs, batch.actor_goal], axis=-1)
        outputs = partial(self.critic.apply, frozen.critic)
        q = lambda *at: outputs(*at).mean(axis=0)
        climb, info = self.policy.improve(params.policy, frozen.policy, seen, q, noise)
        action, _ = self.policy.draw(params.policy, seen, noise)
        distance = ((action - batch.chunk) ** 2).sum(axis=-1).mean()
        return climb + self.alpha * magnitude(q(seen, action)) * distance, info

    def loss(self, params: Params, state: State, batch: ChunkBatch, noise: Noise):
        """Critic and policy losses, added.  -> [], metrics"""
        target = self.td_target(state, batch, noise.following)
        td = self.critic_loss(params, batch, target)
        policy, info = self.policy_loss(params, state.params, batch, noise.action)
        total = td + policy
        return total, {"loss": total, "td": td, "policy": policy, "target": target.mean(), **info}


def anchored(
    backup: int,
    obs_dim: int,
    action_dim: int,
    value_loss: Literal["squared", "logistic"] = "logistic",
    target_entropy: float = Regular.target_entropy,
    hidden: tuple[int, ...] = GCSACBC.hidden,
    **learning: Annotated[Any, GCSACBC],
) -> GCSACBC:
    """Critics of goals and the tanh-Gaussian that climbs them, close to the data."""
    policy = Regular(action_dim, hidden, target_entropy=target_entropy)
    told = {"head": HEADS[value_loss], "hidden": hidden}
    return GCSACBC(obs_dim, action_dim, policy, backup=backup, **told, **learning)


@method(presets.GOALS)
def gcsacbc(alpha: float = 0.3, **settings: Annotated[Any, anchored, "false_ends"]) -> GCSACBC:
    """SAC with goals in hindsight, close to the data (arXiv 2506.04168, sec. 4)."""
    return anchored(1, alpha=alpha, false_ends=False, **settings)


@method(presets.GOALS)
def gcsacbc_n(horizon: int = 25, **settings: Annotated[Any, anchored]) -> GCSACBC:
    """`gcsacbc` with uncorrected n-step returns (arXiv 2506.04168, sec. 5)."""
    return anchored(horizon, **settings)
