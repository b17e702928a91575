"""How far learned chunk models drift along real action chunks that they have not seen."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from chunkrl.blocks.networks import mlp
from chunkrl.blocks.optim import descend
from chunkrl.data import chunks
from chunkrl.errors import ConfigError
from chunkrl.types import Array, ChunkBatch, ChunkDataset, Metrics

STEPS = 100  # MAC imagines as many


class State(NamedTuple):
    params: Any
    opt_state: Any


@dataclass(frozen=True)
class ChunkModel:
    """s_{t+h} = s_t + f(s_t, a_t ... a_{t+h-1}): MAC's chunk dynamics, trained alone.

    Observations are normalised to about [-1, 1].  Has the methods of an agent that training needs.
    """

    obs_dim: int
    action_dim: int
    chunk: int = 10
    hidden: tuple[int, ...] = (256,) * 3
    lr: float = 3e-4

    @property
    def net(self):
        return mlp(self.hidden, self.obs_dim, norm=True)

    @property
    def tx(self):
        return optax.adam(self.lr)

    def init(self, key) -> State:
        obs, chunk = jnp.zeros((1, self.obs_dim)), jnp.zeros((1, self.chunk * self.action_dim))
        params = self.net.init(key, obs, chunk)
        return State(params, self.tx.init(params))

    def predict(self, params, obs: Array, chunk: Array) -> jax.Array:
        """The state after a chunk.  [*B, O], [*B, hA] -> [*B, O]"""
        return jnp.asarray(obs) + self.net.apply(params, obs, chunk)

    def draw(self, key, dataset: ChunkDataset, size: int) -> ChunkBatch:
        """`size` chunks of the data, their starts uniform."""
        return chunks.sample(key, dataset, size, self.chunk, discount=1.0)

    def loss(self, params, batch: ChunkBatch) -> tuple[jax.Array, Metrics]:
        """Mean over batch and dimensions of (prediction - s_{t+h})^2."""
        miss = self.predict(params, batch.obs, batch.chunk) - batch.next_obs
        mse = (miss**2).mean()
        return mse, {"mse": mse}

    def noise(self, key, size: int) -> tuple[()]:
        return ()

    def step(self, state: State, batch: ChunkBatch, noise) -> tuple[State, Metrics]:
        params, opt_state, metrics = descend(
            self.tx, self.loss, state.params, state.opt_state, batch
        )
        return State(params, opt_state), metrics


class Segments(NamedTuple):
    """N pieces of T steps, each of one trajectory: obs [N, T + 1, O], action [N, T, A]."""

    obs: np.ndarray
    action: np.ndarray


def segments(obs: np.ndarray, action: np.ndarray, ends: np.ndarray, steps: int) -> Segments:
    """As many pieces of `steps` steps as fit behind one another into each trajectory.

    Rows are states, trajectories end to end; `ends` marks the last row of each, whose action leads
    nowhere.  [T, O], [T, A], [T]

    # Departs from the released code: it draws starts, reads the rows as (time, batch) and reshapes
    # them as (batch, time), so that its consecutive frames are of different trajectories.
    """
    last = np.flatnonzero(ends)
    first = np.append(0, last[:-1] + 1)
    start = np.concatenate(
        [np.arange(a, b - steps + 1, steps) for a, b in zip(first, last, strict=True)]
    )
    if not len(start):
        raise ConfigError(f"no trajectory has {steps} steps")
    rows = start[:, None] + np.arange(steps + 1)  # [N, T + 1]
    return Segments(obs[rows], action[rows[:, :-1]])


def unroll(predict: Callable[[Array, Array], Array], pieces: Segments, chunk: int) -> np.ndarray:
    """Open loop from the true first state, fed the true chunks.  -> [K + 1, N, O]

    s^_0 = s_0,  s^_{(k+1)h} = predict(s^_{kh}, a_{kh} ... a_{(k+1)h - 1}),  k < K = T / h.
    """
    count, steps, _ = pieces.action.shape
    if steps % chunk:
        raise ConfigError(f"{steps} steps are not a whole number of chunks of {chunk}")
    parts = pieces.action.reshape(count, steps // chunk, -1)
    states = [pieces.obs[:, 0]]
    for k in range(steps // chunk):
        states.append(np.asarray(predict(states[-1], parts[:, k])))
    return np.stack(states)


def squared_error(states: np.ndarray, pieces: Segments, chunk: int) -> np.ndarray:
    """Mean over pieces of the squared error after k chunks, by dimension.  -> [K + 1, O]"""
    truth = np.moveaxis(pieces.obs[:, ::chunk], 0, 1)
    return ((states - truth).astype(np.float64) ** 2).mean(1)
