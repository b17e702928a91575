"""A chunk length for each state: a critic of prefixes chooses the chunk, and how much of it."""

from dataclasses import dataclass
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from chunkrl.agents import presets
from chunkrl.agents.actor_critic import ChunkedActorCritic, Noise, Params, State
from chunkrl.agents.flow_q import best_of_n
from chunkrl.agents.method import method
from chunkrl.blocks.networks import Aggregate, aggregated
from chunkrl.data import windows
from chunkrl.types import Batch, Experience, Prefix


@dataclass(frozen=True)
class ACSAC(ChunkedActorCritic):
    """Q_k(s, a_{0:k}) for k = 1 ... h, and the best prefix of the best proposal (arXiv 2605.11009).

        y_k        = sum_{i<k} gamma^i r_{t+i} + gamma^k mask_k V(s_{t+k})
        V(s)       = max_{j, l} Q'_l(s, a_j),     a_j ~ the flow of s, j = 1 ... N, l = 1 ... h
        (a*, k*)   = argmax_{j, l} Q_l(s, a_j):   the first k* actions of a* are executed

    Departs from the paper: Q_k is an MLP that sees the prefix, zeros after it and which k it is, in
    place of a causal Transformer; and Q' is a slow copy as everywhere here (the paper has none:
    `tau` = 1 is the nearest, the critic of one update ago).
    """

    candidates: int = 4
    aggregate: Aggregate = "min"

    def init_networks(self, key_critic, key_policy):
        """Fresh parameters of critics and policy."""
        obs, chunk = jnp.zeros((1, self.seen_dim)), jnp.zeros((1, self.chunk * self.action_dim))
        prefix = self.prefixes(chunk)[0]
        return self.critic.init(key_critic, obs, prefix), self.policy.init(key_policy, obs)

    def prefixes(self, chunk):
        """Of each length the actions, zeros after them, and which length.  [*B, hA] -> [h, *B, .]

        The last axis has hA + h numbers.
        """
        lengths = jnp.eye(self.chunk).reshape(self.chunk, *(1,) * (chunk.ndim - 1), self.chunk)
        kept = jnp.repeat(jnp.tril(jnp.ones((self.chunk, self.chunk))), self.action_dim, axis=1)
        kept = kept.reshape(self.chunk, *(1,) * (chunk.ndim - 1), -1)
        lengths = jnp.broadcast_to(lengths, (self.chunk, *chunk.shape[:-1], self.chunk))
        return jnp.concatenate([kept * chunk[None], lengths], axis=-1)

    def prefix_q(self, critic, obs, chunk):
        """Q_k of the first k actions, of each critic.  [*B, O], [*B, hA] -> [E, h, *B]"""
        return self.critic.apply(critic, obs[None], self.prefixes(chunk))

    def q(self, critic, obs, chunk):
        """Q_h, of whole chunks.  [*B, O], [*B, hA] -> [*B]"""
        return aggregated(self.prefix_q(critic, obs, chunk)[:, -1], self.aggregate)

    def proposed(self, params: Params, critic, obs, noise):
        """N chunks, and what their prefixes are worth.  -> [N, *B, hA], [h, N, *B]"""
        chunks = self.policy.sample(params.policy, obs[None], noise)
        return chunks, aggregated(self.prefix_q(critic, obs[None], chunks), self.aggregate)

    def noise(self, key, size: int) -> Noise:
        """The noise of one update; candidates are proposed at the ends of all prefixes."""
        key_common, key_propose = jax.random.split(key)
        shape = (self.candidates, size, self.chunk, self.noise_dim)
        return (
            super().noise(key_common, size)._replace(propose=jax.random.normal(key_propose, shape))
        )

    def draw(self, key, dataset: Experience, size: int) -> Batch:
        """`size` windows of h transitions, `next_obs` the states after each of them, [B, h, O]."""
        return windows.sample(key, dataset, size, self.backup, self.discount, every=True)

    def td_target(self, state: State, batch: Batch, noise):
        """y_k of each prefix; noise [N, B, h, hA].  -> [h, B]"""
        _, q = self.proposed(state.params, state.target_critic, batch.next_obs, noise)
        powers = self.discount ** jnp.arange(1, self.chunk + 1)
        return (batch.returns + powers[None] * batch.mask * q.max(axis=(0, 1))).T

    def critic_loss(self, params: Params, batch: Batch, target):
        """mean over critics, prefixes and windows of valid_k (Q_k - y_k)^2.  [h, B] -> []"""
        q = self.prefix_q(params.critic, batch.obs, self.flat_chunk(batch))
        error = self.head.error(q, jnp.broadcast_to(target, q.shape))
        return (error * batch.valid.T[None]).mean()

    def loss(self, params: Params, state: State, batch: Batch, noise: Noise):
        """Critic loss and that of the flow, added.  -> [], metrics"""
        target = self.td_target(state, batch, noise.propose)
        td = self.critic_loss(params, batch, target)
        clone = self.clone(params, batch, noise.flow, noise.t)
        return td + clone, {"loss": td + clone, "td": td, "clone": clone, "target": target.mean()}

    def act(self, state: State, obs, key) -> Prefix:
        """The best prefix of the best of N proposals.  [*B, O] -> [*B, h, A], [*B]"""
        noise = jax.random.normal(key, (self.candidates, *obs.shape[:-1], self.noise_dim))
        chunks, q = self.proposed(state.params, state.params.critic, obs, noise)
        best = q.reshape(-1, *q.shape[2:]).argmax(axis=0)  # [*B], of h x N
        length, at = best // self.candidates + 1, best % self.candidates
        chunk = jnp.take_along_axis(chunks, at[None, ..., None], axis=0)[0]
        return Prefix(chunk.reshape(*obs.shape[:-1], self.chunk, self.action_dim), length)


@method(presets.ONE_STEP)
def acsac(horizon: int = 5, **settings: Annotated[Any, best_of_n, ACSAC]) -> ACSAC:
    """The best of N chunks, and how much of it is executed (arXiv 2605.11009)."""
    return best_of_n(horizon, horizon, kind=ACSAC, **settings)
