"""What a trained agent believes about the world, in the units of the task."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax

from chunkrl import train
from chunkrl.agents.acsac import ACSAC
from chunkrl.agents.dynamics import ChunkModel
from chunkrl.agents.model_based import ModelBasedActorCritic
from chunkrl.agents.rewards import LearnedReward
from chunkrl.data.normalise import Normaliser
from chunkrl.errors import ConfigError
from chunkrl.types import ChunkDataset

OWN = LearnedReward(sum_reward=True, true_mask=True)  # the task's, as an agent without model has it


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
    """The beliefs of an agent that learns from rewards; `state` is that of one seed.

    The policy chooses among `candidates` chunks (default: as many as when it acts), if it makes
    several.  V(s) is the value that the agent's targets end in; a critic alone believes
    V(s) = Q(s, a), where a is the chunk that the policy chose.  Raises ConfigError for agents
    without these.
    """
    if not hasattr(agent, "q") or isinstance(agent, ACSAC):
        raise ConfigError(f"{type(agent).__name__} has no values of a task")
    imagines, reward = isinstance(agent, ModelBasedActorCritic), task_reward(agent)
    if candidates and hasattr(agent, "candidates"):
        agent = replace(agent, **{"act_candidates" if imagines else "candidates": candidates})
    act = partial(train.act, agent, state)
    critic = partial(_q, agent, state.params.critic, normaliser)
    value = critic
    if hasattr(agent, "v"):
        ends = agent.end.params(state) if imagines else state.params.value
        value = partial(_v, agent, ends, normaliser)
    return Beliefs(
        agent.discount,
        agent.chunk,
        reward.true_mask,
        lambda obs, keys: act(normaliser.apply(obs), keys),
        value,
        critic,
        model_of(agent.model, state.params, normaliser) if imagines else None,
    )


def model_of(model: ChunkModel, params: Any, normaliser: Normaliser) -> Model:
    """A trained model of the task's rewards, as imagination uses it."""
    known = model, params, normaliser
    reward, mask = (partial(_outcome, part, *known) for part in ("reward", "mask"))
    return Model(model.chunk, partial(_predict, *known), reward, mask)


# Compiled once per agent and shape: the parameters of seeds are arguments.
@partial(jax.jit, static_argnums=0)
def _q(agent, params, normaliser, obs, chunks):
    value = agent.q(params, normaliser.apply(obs), _flat(chunks))
    return value * task_reward(agent).parts(agent.chunk)


@partial(jax.jit, static_argnums=0)
def _v(agent, params, normaliser, obs, chunks):
    return agent.v(params, normaliser.apply(obs)) * task_reward(agent).parts(agent.chunk)


@partial(jax.jit, static_argnums=0)
def _predict(model, params, normaliser, obs, actions):
    return normaliser.inverse(model.predict(params, normaliser.apply(obs), _flat(actions)))


@partial(jax.jit, static_argnums=(0, 1))
def _outcome(part, model, params, normaliser, obs, actions):
    reward, mask = model.outcome(params, normaliser.apply(obs), _flat(actions))
    return reward * task_reward(model).parts(model.chunk) if part == "reward" else mask


def model_for(agent: Any, steps: int) -> ChunkModel:
    """The model of `steps` actions at a time that goes with `agent`, to be trained alone.

    The agent's own, but for the number of steps; of an agent that has none what MAC would train, of
    the agent's sizes: rewards are summed, and solved tasks end.
    """
    if hasattr(agent, "model"):
        return replace(agent.model, chunk=steps)
    learning = {"hidden": agent.hidden, "discount": agent.discount, "lr": agent.lr}
    return ChunkModel(agent.obs_dim, agent.action_dim, steps, OWN, **learning)


def trained(
    model: ChunkModel,
    dataset: ChunkDataset,
    normaliser: Normaliser,
    updates: int,
    batch_size: int,
    seeds: tuple[int, ...],
) -> list[Model]:
    """`model` after so many updates on `dataset`, once per seed."""
    learner: Any = model  # it never acts, which is all that an agent has more
    every = min(updates, 1000)
    states, _ = train.fit(learner, dataset, updates, batch_size, seeds, every, progress=False)
    return [
        model_of(model, jax.tree.map(lambda leaf, i=i: leaf[i], states.params), normaliser)
        for i in range(len(seeds))
    ]


def task_reward(part: Any) -> LearnedReward:
    """How an agent or a model counts the task's rewards.  Raises ConfigError where goals pay."""
    reward = getattr(getattr(part, "model", part), "reward", OWN)
    if not isinstance(reward, LearnedReward) or getattr(part, "goal_dim", 0):
        raise ConfigError("an agent that reaches goals has no values of a task with rewards")
    return reward


def _flat(chunks):
    """[B, h, A] -> [B, hA], time-major"""
    return chunks.reshape(len(chunks), -1)
