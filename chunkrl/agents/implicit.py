"""Values of the data's best actions, learned without asking for others."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from chunkrl.agents.actor_critic import Critics, State
from chunkrl.blocks.networks import Network, Tree, aggregated, scalar_mlp
from chunkrl.blocks.targets import expectile_error
from chunkrl.types import Batch, Metrics


class Params(NamedTuple):
    critic: Tree
    value: Tree
    policy: Tree


class ImplicitValues(Critics):
    """V(s) as an upper expectile of Q(s, a) over the data's actions (arXiv 2110.06169, alg. 1).

    With chunks of h actions, and with targets that count n rewards; equations are of that paper.
    """

    expectile: float

    @property
    def value(self) -> Network:
        return scalar_mlp(self.hidden)

    def init(self, key) -> State:
        key_critic, key_value, key_policy = jax.random.split(key, 3)
        critic, policy = self.init_networks(key_critic, key_policy)
        value = self.value.init(key_value, jnp.zeros((1, self.seen_dim)))
        return self.begin(Params(critic, value, policy))

    def v(self, value, obs):
        """State value.  [*B, O] -> [*B]"""
        return self.head.value(self.value.apply(value, obs))

    def regression(self, output, target):
        """|tau - 1[d < 0]| d^2 with d = y - V, tau the expectile, or cross entropy.  -> [B]"""
        return expectile_error(self.head, output, target, self.expectile)

    def value_loss(self, params: Any, batch: Batch, q):
        """mean over windows of valid `regression` of V(s) on Q'(s, a) (eq. 5).  -> []"""
        output = self.value.apply(params.value, batch.obs)
        return (self.regression(output, q) * batch.valid[:, -1]).mean()

    def td_target(self, params: Any, batch: Batch):
        """sum_{i<n} gamma^i r_{t+i} + gamma^n mask V(s_{t+n}), at n = 1 that of eq. 6.  -> [B]

        V moves slowly enough itself.
        """
        return self.discounted(batch, self.v(params.value, batch.next_obs))

    def critic_loss(self, params: Any, batch: Batch, target):
        """mean over windows of valid sum_k (Q_k(s, a) - y)^2 (eq. 6), or cross entropy.  -> []"""
        error = self.td_errors(params.critic, batch, target)  # [E, B]
        return (error.sum(axis=0) * batch.valid[:, -1]).mean()

    def slow_q(self, target_critic, batch: Batch):
        """Q'(s, a), aggregated over the values of the ensemble.  -> [B]"""
        outputs = self.critic.apply(target_critic, batch.obs, self.flat_chunk(batch))
        return aggregated(self.head.value(outputs), self.aggregate)

    def value_losses(self, params: Any, state: Any, batch: Batch) -> Metrics:
        """Those of value and critic."""
        target = self.td_target(state.params, batch)
        value = self.value_loss(params, batch, self.slow_q(state.target_critic, batch))
        td = self.critic_loss(params, batch, target)
        return {"value": value, "td": td, "target": target.mean()}
