"""What a trained agent believes about the world, in the units of the task."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from chunkrl import train
from chunkrl.agents.actor_critic import ChunkedActorCritic
from chunkrl.agents.model_based import ModelBasedActorCritic
from chunkrl.agents.rewards import LearnedReward
from chunkrl.data.normalise import Normaliser
from chunkrl.errors import ConfigError


class Model(NamedTuple):
    """A learned model of `steps` actions at a time."""

    steps: int
    predict: Callable  # obs [B, O], actions [B, steps, A] -> the state after them [B, O]
    reward: Callable  # obs [B, O], actions [B, steps, A] -> [B]  sum_{i<steps} gamma^i r_i
    mask: Callable | None = None  # obs, actions -> [B]  0 where the task is solved; None is 1


class Beliefs(NamedTuple):
    """Everything that value errors are made of, as functions of raw observations.

    Values are discounted sums of the task's rewards, whatever an agent multiplies them by: MAC's
    reward of a chunk is a mean over its h steps, so that its values are 1/h of these.
    """

    discount: float  # gamma, per environment step
    chunk: int  # h, the actions that the agent chooses at once
    ends: bool  # whether a solved task ends, in what the agent learned
    act: Callable  # obs [B, O], keys [B] -> chunks [B, h, A]: the policy whose value is meant
    value: Callable  # obs [B, O], chunks [B, h, A] -> [B]  V(s); chunks are what `act` chose in s
    critic: Callable  # obs [B, O], chunks [B, h, A] -> [B]  Q(s, chunk)
    model: Model | None = None


def of(agent: Any, state: Any, normaliser: Normaliser, candidates: int | None = None) -> Beliefs:
    """The beliefs of any agent of the package; `state` is that of one seed.

    The policy chooses among `candidates` chunks (default: as many as when it acts).
    """
    if isinstance(agent, ChunkedActorCritic):
        agent = replace(agent, candidates=candidates or agent.candidates)
        return of_critic(agent, state, normaliser)
    if not isinstance(agent, ModelBasedActorCritic):
        raise ConfigError(f"{type(agent).__name__} has no values of a task")
    return of_model(
        replace(agent, act_candidates=candidates or agent.act_candidates), state, normaliser
    )


def of_critic(agent: ChunkedActorCritic, state: Any, normaliser: Normaliser) -> Beliefs:
    """A critic alone: V(s) = Q(s, a), where a is the chunk that the policy chose."""

    @jax.jit
    def critic(obs, chunks):
        return agent.q(state.params.critic, normaliser.apply(obs), _flat(chunks))

    return Beliefs(
        agent.discount, agent.chunk, True, _act(agent, state, normaliser), critic, critic
    )


def of_model(agent: ModelBasedActorCritic, state: Any, normaliser: Normaliser) -> Beliefs:
    """A value, a critic and a model of chunks; V(s) is the one that the agent's targets end in."""
    params, unit = state.params, unit_of(agent)
    end = state.target_value if agent.slow_value else params.value

    @jax.jit
    def value(obs, chunks):
        return agent.v(end, normaliser.apply(obs)) / unit

    @jax.jit
    def critic(obs, chunks):
        return agent.q(params.critic, normaliser.apply(obs), _flat(chunks)) / unit

    return Beliefs(
        agent.discount,
        agent.chunk,
        task_reward(agent).true_mask,
        _act(agent, state, normaliser),
        value,
        critic,
        model_of(agent, params, normaliser),
    )


def model_of(agent: ModelBasedActorCritic, params: Any, normaliser: Normaliser) -> Model:
    """The model inside a model-based agent, as its imagination uses it."""
    learned, unit = task_reward(agent), unit_of(agent)

    @jax.jit
    def predict(obs, actions):
        seen = normaliser.apply(obs)
        return normaliser.inverse(agent.predict(params.dynamics, seen, _flat(actions)))

    @jax.jit
    def reward(obs, actions):
        seen = normaliser.apply(obs)
        return learned.predict(params.reward, seen, _flat(actions), None) / unit

    @jax.jit
    def mask(obs, actions):
        logit = agent.scalar.apply(params.success, normaliser.apply(obs), _flat(actions))
        return jnp.where(logit > 0, 0.0, 1.0)

    return Model(agent.chunk, predict, reward, mask)


def task_reward(agent: ModelBasedActorCritic) -> LearnedReward:
    """The rewards that the agent learned.  Raises ConfigError for one that only reaches goals."""
    if not isinstance(agent.reward, LearnedReward):
        raise ConfigError("an agent that reaches goals has no values of a task with rewards")
    return agent.reward


def unit_of(agent: ModelBasedActorCritic) -> float:
    """What the agent multiplies the task's rewards by: 1/h where a chunk's reward is a mean."""
    return 1.0 if task_reward(agent).sum_reward else 1 / agent.chunk


def _act(agent: Any, state: Any, normaliser: Normaliser) -> Callable:
    act = partial(train.act, agent, state)
    return lambda obs, keys: act(normaliser.apply(obs), keys)


def _flat(chunks):
    """[B, h, A] -> [B, hA], time-major"""
    return chunks.reshape(len(chunks), -1)
