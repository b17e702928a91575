"""Models of chunks, trained alone for any number of steps, and how far they drift."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from chunkrl import train
from chunkrl.agents.dynamics import ChunkModel
from chunkrl.data.dataset import load
from chunkrl.data.normalise import Normaliser
from chunkrl.envs.ogbench import files
from chunkrl.measure.beliefs import OWN, Model, model_of
from chunkrl.measure.drift import STEPS, segments, squared_error, unroll
from chunkrl.types import ChunkDataset


def of_steps(agent: Any, steps: int) -> ChunkModel:
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
    for error, model in zip(found, models, strict=True):
        shape = (len(pieces.obs), model.steps, -1)
        one = lambda obs, actions, f=model.predict, s=shape: f(obs, actions.reshape(s))
        states = unroll(one, pieces, model.steps)
        error[:] = squared_error(states[:: chunk // model.steps], pieces, chunk)
    return found
