"""How far learned chunk models drift along real action chunks that they have not seen."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chunkrl.data.dataset import load
from chunkrl.envs.ogbench import files
from chunkrl.errors import ConfigError
from chunkrl.measure.beliefs import Model
from chunkrl.types import Array

STEPS = 100  # MAC imagines as many


class Segments(NamedTuple):
    """N pieces of T steps, each of one trajectory: obs [N, T + 1, O], action [N, T, A]."""

    obs: np.ndarray
    action: np.ndarray


def segments(obs: np.ndarray, action: np.ndarray, ends: np.ndarray, steps: int) -> Segments:
    """Each trajectory cut into consecutive pieces of `steps` steps; a shorter rest is left out.

    Rows are states, trajectories end to end; `ends` marks the last row of each, whose action leads
    nowhere.  [T, O], [T, A], [T]

    # Departs from the released code: it draws starts, reads the rows as (time, batch) and reshapes
    # them as (batch, time), so that its consecutive frames are of different trajectories.
    """
    last = np.flatnonzero(ends)
    trajectories = zip(np.append(0, last[:-1] + 1), last, strict=True)
    start = np.concatenate([np.arange(a, b - steps + 1, steps) for a, b in trajectories])
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
