"""What a trained agent believes about the world, in the units of the task."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial, singledispatch
from typing import Any, NamedTuple

import jax

from chunkrl import train
from chunkrl.agents.actor_critic import ChunkedActorCritic
from chunkrl.agents.dynamics import ChunkModel
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


@singledispatch
def of(agent: Any, state: Any, normaliser: Normaliser, candidates: int | None = None) -> Beliefs:
    """The beliefs of any agent of the package; `state` is that of one seed.

    The policy chooses among `candidates` chunks (default: as many as when it acts).
    """
    raise ConfigError(f"{type(agent).__name__} has no values of a task")


@of.register
def of_critic(
    agent: ChunkedActorCritic, state: Any, normaliser: Normaliser, candidates: int | None = None
) -> Beliefs:
    """A critic alone: V(s) = Q(s, a), where a is the chunk that the policy chose."""
    agent = replace(agent, candidates=candidates or agent.candidates)

    @jax.jit
    def critic(obs, chunks):
        return agent.q(state.params.critic, normaliser.apply(obs), _flat(chunks))

    act = _act(agent, state, normaliser)
    return Beliefs(agent.discount, agent.chunk, True, act, critic, critic)


@of.register
def of_model(
    agent: ModelBasedActorCritic, state: Any, normaliser: Normaliser, candidates: int | None = None
) -> Beliefs:
    """A value, a critic and a model of chunks; V(s) is the one that the agent's targets end in."""
    agent = replace(agent, act_candidates=candidates or agent.act_candidates)
    params, reward = state.params, task_reward(agent.model.reward)
    end, parts = agent.end.params(state), reward.parts(agent.chunk)

    @jax.jit
    def value(obs, chunks):
        return agent.v(end, normaliser.apply(obs)) * parts

    @jax.jit
    def critic(obs, chunks):
        return agent.q(params.critic, normaliser.apply(obs), _flat(chunks)) * parts

    act, model = _act(agent, state, normaliser), model_of(agent.model, params, normaliser)
    return Beliefs(agent.discount, agent.chunk, reward.true_mask, act, value, critic, model)


def model_of(model: ChunkModel, params: Any, normaliser: Normaliser) -> Model:
    """A trained model of the task's rewards, as imagination uses it."""
    parts = task_reward(model.reward).parts(model.chunk)

    @jax.jit
    def predict(obs, actions):
        seen = normaliser.apply(obs)
        return normaliser.inverse(model.predict(params, seen, _flat(actions)))

    @jax.jit
    def reward(obs, actions):
        return model.outcome(params, normaliser.apply(obs), _flat(actions))[0] * parts

    @jax.jit
    def mask(obs, actions):
        return model.outcome(params, normaliser.apply(obs), _flat(actions))[1]

    return Model(model.chunk, predict, reward, mask)


def task_reward(reward: Any) -> LearnedReward:
    """`reward`, where it is the task's.  Raises ConfigError for one that only reaches goals."""
    if not isinstance(reward, LearnedReward):
        raise ConfigError("an agent that reaches goals has no values of a task with rewards")
    return reward


def _act(agent: Any, state: Any, normaliser: Normaliser) -> Callable:
    act = partial(train.act, agent, state)
    return lambda obs, keys: act(normaliser.apply(obs), keys)


def _flat(chunks):
    """[B, h, A] -> [B, hA], time-major"""
    return chunks.reshape(len(chunks), -1)
