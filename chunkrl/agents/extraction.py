"""One critic of chunks, several ways to a policy: what QAM, FEdit and DSRL have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from chunkrl.agents.actor_critic import ChunkedActorCritic, Noise, Params
from chunkrl.blocks.networks import Aggregate, Tree
from chunkrl.blocks.policies import Entropic, Flow
from chunkrl.types import Batch, Metrics


@dataclass(frozen=True)
class OnFlow:
    """A policy that is built on a flow, whose parameters, `flow` among its own, clone."""

    dim: int
    hidden: tuple[int, ...] = (512,) * 4
    steps: int = 10
    rounds = 2  # of noise, [B, D] each, that an improvement takes

    @property
    def flow(self) -> Flow:
        return Flow(self.dim, self.hidden, self.steps)

    def clone(self, params, obs, chunk, valid, noise, t):
        return self.flow.clone(params.flow, obs, chunk, valid, noise, t)


@dataclass(frozen=True)
class Actor(Entropic):
    """A tanh-Gaussian without norms that keeps its entropy, half of SAC's."""

    norm: bool = False
    target_entropy: float = -0.5
    least = -20


@dataclass(frozen=True)
class Extraction(ChunkedActorCritic):
    """Ten pessimistic critics of chunks beside one policy, whose only proposal counts.

        y = sum_{i<h} gamma^i r_{t+i} + gamma^h mask (mean_k Q'_k - rho std_k)(s_{t+h}, a')

    arXiv 2601.14234, which compares policies so; rho is `aggregate`.
    """

    policy: Any
    candidates: int = 1
    num_critics: int = 10
    aggregate: Aggregate = 0.5

    def noise(self, key, size: int) -> Noise:
        """The noise of one update; that of `improve` is [rounds, B, D], rounds the policy's."""
        key_common, key_improve = jax.random.split(key)
        improve = jax.random.normal(key_improve, (self.policy.rounds, size, self.policy.dim))
        return super().noise(key_common, size)._replace(improve=improve)


class State(NamedTuple):
    params: Params
    target_critic: Tree
    target_flow: Tree
    opt_state: optax.OptState


class SlowFlow(Extraction):
    """The same where what is built on the cloned flow sees a slow copy of it."""

    def init(self, key) -> State:
        params, target_critic, opt_state = super().init(key)
        flow = jax.tree.map(jnp.copy, params.policy.flow)
        return State(params, target_critic, flow, opt_state)

    def slow(self, state: State) -> Any:
        """`state` with the slow copy in the flow's place."""
        policy = state.params.policy._replace(flow=state.target_flow)
        return state._replace(params=state.params._replace(policy=policy))

    def loss(self, params: Params, state: State, batch: Batch, noise: Noise):
        """Critic loss, and those of the policy, added.  -> [], metrics"""
        return super().loss(params, self.slow(state), batch, noise)

    def step(self, state: State, batch: Batch, noise: Noise) -> tuple[State, Metrics]:
        """One step of one Adam over all losses, then one of critic's and flow's slow copies."""
        after, metrics = super().step(state, batch, noise)
        flow = optax.incremental_update(state.params.policy.flow, state.target_flow, self.tau)
        return after._replace(target_flow=flow), metrics

    def act(self, state: State, obs, key):
        """The chunk to execute at `obs`.  [*B, O] -> [*B, h, A]"""
        return super().act(self.slow(state), obs, key)


def extraction(
    kind: type,
    policy: Callable,
    obs_dim: int,
    action_dim: int,
    horizon: int = 5,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = Extraction.hidden,
    **learning: Annotated[Any, Extraction, "candidates"],
) -> Any:
    """Ten critics of chunks and `policy(D, hidden=..., steps=...)`, built on a cloned flow."""
    steered = policy(horizon * action_dim, hidden=hidden, steps=flow_steps)
    return kind(obs_dim, action_dim, steered, horizon, horizon, hidden=hidden, **learning)
