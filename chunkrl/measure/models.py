"""Models of chunks, trained alone for any number of steps, and how far they drift."""

from collections.abc import Sequence
from dataclasses import replace
from functools import singledispatch
from pathlib import Path
from typing import Any

import jax
import numpy as np

from chunkrl import train
from chunkrl.agents.actor_critic import ChunkedActorCritic
from chunkrl.agents.dynamics import ChunkModel
from chunkrl.agents.model_based import ModelBasedActorCritic
from chunkrl.agents.rewards import LearnedReward
from chunkrl.data.dataset import load
from chunkrl.data.normalise import Normaliser
from chunkrl.envs.ogbench import files
from chunkrl.errors import ConfigError
from chunkrl.measure.beliefs import Model, model_of
from chunkrl.measure.drift import STEPS, segments, squared_error, unroll
from chunkrl.types import ChunkDataset


@singledispatch
def of_steps(agent: Any, steps: int) -> ChunkModel:
    """The model of `steps` actions at a time that goes with `agent`, to be trained alone."""
    raise ConfigError(f"{type(agent).__name__} has no model that goes with it")


@of_steps.register
def _(agent: ModelBasedActorCritic, steps: int) -> ChunkModel:
    """The agent's own, but for the number of steps."""
    return replace(agent.model, chunk=steps)


@of_steps.register
def _(agent: ChunkedActorCritic, steps: int) -> ChunkModel:
    """What MAC would train, of the agent's sizes: rewards are summed, and solved tasks end."""
    reward, sizes = (
        LearnedReward(sum_reward=True, true_mask=True),
        (agent.obs_dim, agent.action_dim),
    )
    learning = {"hidden": agent.hidden, "discount": agent.discount, "lr": agent.lr}
    return ChunkModel(*sizes, steps, reward, **learning)


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


def drift(models: Sequence[Model], path: Path, chunk: int) -> np.ndarray:
    """Squared error of models along held-out real chunks, open loop, by dimension.

    A mean over pieces of the validation trajectories of the train file `path`, of 100 steps or as
    many as they have; after 0, h, 2h, ... steps, h = `chunk`.  -> [J, K + 1, O]
    """
    held = load(files.val_path(path), compact=True)
    ends = held["valids"] == 0
    longest = np.diff(np.flatnonzero(np.append(True, ends))).max() - 1
    steps = min(STEPS, int(longest)) // chunk * chunk
    pieces = segments(held["observations"], held["actions"], ends, steps)
    found = np.zeros((len(models), steps // chunk + 1, pieces.obs.shape[-1]))
    for j, (length, predict, *_) in enumerate(models):
        one = lambda obs, actions, n=length, f=predict: f(obs, actions.reshape(len(obs), n, -1))
        states = unroll(one, pieces, length)[:: chunk // length]
        found[j] = squared_error(states, pieces, chunk)
    return found
