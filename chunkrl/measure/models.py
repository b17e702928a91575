"""The model of a model-based agent, trained alone for another number of steps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from chunkrl import train
from chunkrl.agents.model_based import ModelBasedActorCritic, Params
from chunkrl.blocks.optim import descend
from chunkrl.data import chunks
from chunkrl.data.dataset import load
from chunkrl.data.normalise import Normaliser
from chunkrl.envs.ogbench import files
from chunkrl.measure.beliefs import Model, model_of
from chunkrl.measure.drift import STEPS, segments, squared_error, unroll
from chunkrl.types import ChunkBatch, ChunkDataset, Metrics


class State(NamedTuple):
    params: Params  # the networks that are not part of the model are None
    opt_state: optax.OptState


@dataclass(frozen=True)
class ModelAlone:
    """Dynamics, reward and success of `agent`, by the agent's own losses on the same data."""

    agent: ModelBasedActorCritic

    def init(self, key) -> State:
        params = self.agent.init(key).params._replace(value=None, critic=None, policy=None)
        return State(params, self.agent.tx.init(params))

    def draw(self, key, dataset: ChunkDataset, size: int) -> ChunkBatch:
        return self.agent.draw(key, dataset, size)

    def loss(self, params: Params, batch: ChunkBatch) -> tuple[jax.Array, Metrics]:
        metrics = self.agent.model_losses(params, batch)
        return sum(metrics.values(), jnp.zeros(())), metrics

    def noise(self, key, size: int) -> tuple[()]:
        return ()

    def step(self, state: State, batch: ChunkBatch, noise) -> tuple[State, Metrics]:
        params, opt_state, metrics = descend(
            self.agent.tx, self.loss, state.params, state.opt_state, batch
        )
        return State(params, opt_state), metrics


def of_steps(
    agent: ModelBasedActorCritic,
    steps: int,
    dataset: ChunkDataset,
    normaliser: Normaliser,
    updates: int,
    batch_size: int,
    seeds: tuple[int, ...],
) -> list[Model]:
    """Models of `steps` actions at a time for an agent that chooses `agent.chunk`; one per seed.

    Everything but the number of steps is the agent's: networks, losses, rewards, data.
    """
    short = replace(agent, chunk=steps, execute=1)
    dataset = chunks.dataset(
        *dataset[:4], last=np.asarray(dataset.last), chunk=steps
    )  # more rows to start from
    learner: Any = ModelAlone(short)  # it never acts, which is all that an agent has more
    every = min(updates, 1000)
    states, _ = train.fit(learner, dataset, updates, batch_size, seeds, every, progress=False)
    return [
        model_of(short, jax.tree.map(lambda leaf, i=i: leaf[i], states.params), normaliser)
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
    for j, model in enumerate(models):

        def predict(obs, actions, model=model):
            return model.predict(obs, actions.reshape(len(obs), model.steps, -1))

        every = chunk // model.steps
        found[j] = squared_error(unroll(predict, pieces, model.steps)[::every], pieces, chunk)
    return found
