"""Implicit Q-learning: values of the data's best actions, learned without asking for others."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from chunkrl.agents.actor_critic import SingleActions
from chunkrl.blocks.networks import Aggregate, Network, Tree, scalar_mlp
from chunkrl.blocks.policies import Gaussian, magnitude
from chunkrl.data import windows
from chunkrl.types import Batch, Dataset


class Params(NamedTuple):
    critic: Tree
    value: Tree
    policy: Tree


class State(NamedTuple):
    params: Params
    target_critic: Tree
    opt_state: optax.OptState


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
class IQL(SingleActions):
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

    @property
    def value(self) -> Network:
        return scalar_mlp(self.hidden)

    def init(self, key) -> State:
        key_critic, key_value, key_policy = jax.random.split(key, 3)
        critic, policy = self.init_networks(key_critic, key_policy)
        value = self.value.init(key_value, jnp.zeros((1, self.obs_dim)))
        params = Params(critic, value, policy)
        return State(params, jax.tree.map(jnp.copy, critic), self.tx.init(params))

    def draw(self, key, dataset: Dataset, size: int) -> Batch:
        """`size` single transitions."""
        return windows.sample(key, dataset, size, 1, self.discount)

    def value_loss(self, params: Params, batch: Batch, q):
        """mean |tau - 1[d < 0]| d^2 with d = Q'(s, a) - V(s), tau the expectile (eq. 5).  -> []"""
        d = q - self.value.apply(params.value, batch.obs)
        return (jnp.where(d >= 0, self.expectile, 1 - self.expectile) * d**2).mean()

    def td_target(self, params: Params, batch: Batch):
        """r + gamma mask V(s'), the target of eq. 6: V moves slowly enough itself.  -> [B]"""
        bootstrap = self.discount * batch.mask[:, -1]
        return batch.returns[:, -1] + bootstrap * self.value.apply(params.value, batch.next_obs)

    def critic_loss(self, params: Params, batch: Batch, target):
        """mean over transitions of sum_k (Q_k(s, a) - y)^2 (eq. 6).  [B] -> []"""
        q = self.critic.apply(params.critic, batch.obs, batch.action[:, 0])  # [E, B]
        return ((q - target[None]) ** 2).sum(axis=0).mean()

    def loss(self, params: Params, state: State, batch: Batch, noise):
        """Value, critic and policy losses, added.  -> [], metrics"""
        frozen, target_q = state.params, self.q(state.target_critic, batch.obs, batch.action[:, 0])
        target = self.td_target(frozen, batch)
        value = self.value_loss(params, batch, target_q)
        td = self.critic_loss(params, batch, target)
        believed = partial(self.q, frozen.critic), partial(self.value.apply, frozen.value)
        policy = self.extraction.loss(self.policy, params.policy, batch, noise, *believed)
        total = value + td + policy
        metrics = {"loss": total, "value": value, "td": td, "policy": policy}
        return total, metrics | {"target": target.mean()}
