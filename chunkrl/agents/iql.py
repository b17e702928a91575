"""Implicit Q-learning: values of the data's best actions, learned without asking for others."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import jax.numpy as jnp

from chunkrl.agents import presets
from chunkrl.agents.actor_critic import SingleActions, State
from chunkrl.agents.implicit import ImplicitValues, Params
from chunkrl.agents.method import method
from chunkrl.blocks.networks import Aggregate, Tree
from chunkrl.blocks.policies import Gaussian, magnitude
from chunkrl.types import Batch


@dataclass(frozen=True)
class Weighting:
    """Advantage-weighted regression: the data's actions, better ones more often (IQL, eq. 7)."""

    beta: float = 10.0
    most: float = 100.0

    def weight(self, advantage):
        """min(exp(beta A), most).  [*B] -> [*B]"""
        return jnp.minimum(jnp.exp(self.beta * advantage), self.most)

    def loss(self, policy: Gaussian, params: Tree, batch: Batch, noise, q, value):
        """-mean w(Q(s, a) - V(s)) log pi(a | s).  -> []"""
        obs, action = batch.obs, batch.action[:, 0]
        weight = self.weight(q(obs, action) - value(obs))
        return -(weight * policy.log_prob(params, obs, action)).mean()


@dataclass(frozen=True)
class Climbing:
    """DDPG+BC: up the critic, close to the data (Park et al. 2024, arXiv 2406.09329)."""

    alpha: float = 1.0

    def loss(self, policy: Gaussian, params: Tree, batch: Batch, noise, q, value):
        """-mean Q(s, pi(s)) / mean |Q| - alpha mean log pi(a | s).  -> []

        pi(s) is a sample where the policy learns its deviation, else the mean.
        """
        obs, noise = batch.obs, noise if policy.std == "free" else jnp.zeros_like(noise)
        climbed = q(obs, policy.sample(params, obs, noise))
        log_prob = policy.log_prob(params, obs, batch.action[:, 0])
        return -(climbed.mean() / magnitude(climbed)) - self.alpha * log_prob.mean()


@dataclass(frozen=True, repr=False)
class IQL(ImplicitValues, SingleActions):
    """V(s) as an upper expectile of Q(s, a) over the data's actions (arXiv 2110.06169, alg. 1)."""

    obs_dim: int
    action_dim: int
    policy: Gaussian
    extraction: Weighting | Climbing
    expectile: float = 0.9
    discount: float = 0.99
    tau: float = 0.005
    lr: float = 3e-4
    hidden: tuple[int, ...] = (512,) * 4
    num_critics: int = 2
    aggregate: Aggregate = "min"

    def views(self, batch: Any) -> tuple[Batch, Batch]:
        """What the values learn from, and what the policy does."""
        return batch, batch

    def loss(self, params: Params, state: State, batch: Any, noise):
        """Value, critic and policy losses, added.  -> [], metrics"""
        valued, acted = self.views(batch)
        metrics, frozen = self.value_losses(params, state, valued), state.params
        believed = partial(self.q, frozen.critic), partial(self.value.apply, frozen.value)
        policy = self.extraction.loss(self.policy, params.policy, acted, noise, *believed)
        total = metrics["value"] + metrics["td"] + policy
        return total, {"loss": total, "policy": policy, **metrics}


def implicit(
    extraction: Weighting | Climbing,
    obs_dim: int,
    action_dim: int,
    std: Literal["one", "free"] = "one",
    hidden: tuple[int, ...] = IQL.hidden,
    **learning: Annotated[Any, IQL],
) -> IQL:
    """IQL's values, with a policy that is extracted in the given way."""
    policy = Gaussian(action_dim, hidden, norm=False, squash=False, std=std)
    return IQL(obs_dim, action_dim, policy, extraction, hidden=hidden, **learning)


@method(presets.ONE_STEP, beta=presets.TEMPERATURE)
def iql(beta: float = 10.0, max_weight: float = 100.0, **settings: Annotated[Any, implicit]) -> IQL:
    """Implicit Q-learning, its policy advantage-weighted (arXiv 2110.06169, eqs. 5 to 7)."""
    return implicit(Weighting(beta, max_weight), **settings)


@method(presets.ONE_STEP)
def iql_ddpgbc(alpha: float = 1.0, **settings: Annotated[Any, implicit]) -> IQL:
    """`iql` whose policy climbs the critic and imitates (arXiv 2406.09329, DDPG+BC)."""
    return implicit(Climbing(alpha), **settings)
