"""QC-FQL with a loss of the reader's: what notebook 12 gives, and where it puts what they write."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from chunkrl import agents
from chunkrl.agents.actor_critic import ChunkedActorCritic


@dataclass(frozen=True)
class Nets:
    """The networks of a QC-FQL agent; parameters come as arguments.  D = hA numbers in a chunk."""

    agent: ChunkedActorCritic

    @property
    def h(self) -> int:
        return self.agent.chunk

    @property
    def discount(self) -> float:
        return self.agent.discount

    @property
    def alpha(self) -> float:
        return self._policy.alpha

    @property
    def _policy(self) -> Any:
        return self.agent.policy

    def q(self, critic, obs, chunk):
        """What two critics say of chunks.  [B, O], [B, D] -> [2, B]"""
        return self.agent.critic.apply(critic, obs, chunk)

    def logged(self, batch):
        """The chunks of the data.  [B, h, A] -> [B, D]"""
        return batch.action.reshape(len(batch.action), -1)

    def one_step(self, policy, obs, z):
        """mu(s, z), the chunk that noise becomes in one pass, not clipped.  [B, D] -> [B, D]"""
        return self._policy.head.apply(policy.head, obs, z)

    def flow(self, policy, obs, z):
        """The chunk that noise becomes along the cloned flow, clipped.  [B, D] -> [B, D]"""
        return self._policy.flow.sample(policy.flow, obs, z)

    def flow_loss(self, policy, batch, noise):
        """The loss of notebook 05, which clones the logged chunks.  -> []"""
        valid = jnp.repeat(batch.valid, self.agent.action_dim, axis=-1)
        clone = self._policy.clone
        return clone(policy, batch.obs, self.logged(batch), valid, noise.flow, noise.t)


@dataclass(frozen=True)
class Written(ChunkedActorCritic):
    """A QC-FQL agent that learns by `written(nets, params, state, batch, noise)`."""

    written: Callable[..., Any] = field(kw_only=True)

    def loss(self, params, state, batch, noise):
        value = self.written(Nets(self), params, state, batch, noise)
        return value, {"loss": value}


def library_loss(nets: Nets, params, state, batch, noise):
    """The library's own loss of the same agent.  -> []"""
    return ChunkedActorCritic.loss(nets.agent, params, state, batch, noise)[0]


def make(written: Callable[..., Any] = library_loss, **settings: Any) -> Written:
    """A QC-FQL agent of these settings with the loss `written`."""
    return Written(**vars(agents.make("qc_fql", **settings)), written=written)
