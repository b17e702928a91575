"""What a trained agent believes about the world, in the units of the task."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax

from chunkrl import train
from chunkrl.agents.actor_critic import ChunkedActorCritic


class Model(NamedTuple):
    """A learned model of `steps` actions at a time."""

    steps: int
    predict: Callable  # obs [B, O], actions [B, steps, A] -> the state after them [B, O]
    reward: Callable  # obs [B, O], actions [B, steps, A] -> [B]  sum_{i<steps} gamma^i r_i
    mask: Callable | None = None  # obs, actions -> [B]  0 where the task is solved; None is 1


class Beliefs(NamedTuple):
    """Everything that value errors are made of, as functions of raw observations.

    Values are discounted sums of the task's rewards, whatever an agent multiplies them by: MAC's
    rewards of a chunk are means, so that its values are 1/h of these.
    """

    discount: float  # gamma, per environment step
    chunk: int  # h, the actions that the agent chooses at once
    act: Callable  # obs [B, O], keys [B] -> chunks [B, h, A]: the policy whose value is meant
    value: Callable  # obs [B, O], chunks [B, h, A] -> [B]  V(s); chunks are what `act` chose in s
    critic: Callable  # obs [B, O], chunks [B, h, A] -> [B]  Q(s, chunk)
    model: Model | None = None


def of_critic(agent: ChunkedActorCritic, state: Any) -> Beliefs:
    """A critic alone: V(s) = Q(s, a), where a is the chunk that the policy chose."""

    def critic(obs, chunks):
        return agent.q(state.params.critic, obs, chunks.reshape(len(obs), -1))

    critic = jax.jit(critic)
    return Beliefs(agent.discount, agent.chunk, partial(train.act, agent, state), critic, critic)
