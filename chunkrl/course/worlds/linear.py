"""Linear worlds: what least squares makes of noisy logs, and how far its models drift, exactly."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_discrete_lyapunov

from chunkrl.errors import ConfigError
from chunkrl.tabular.chunks import at_least_one

ACTION_VARIANCE = 1 / 3  # of each number of an action: uniform in [-1, 1]
RIDGE = 0.1


class Linear(NamedTuple):
    """s_{t+1} = A s_t + B a_t + w_t with w ~ N(0, dynamics_noise^2 I); logs hold s_t + v_t."""

    state: np.ndarray  # A [O, O]
    action: np.ndarray  # B [O, A]


class ChunkMap(NamedTuple):
    """s_{t+h} = state s_t + action (a_t ... a_{t+h-1}), the true one or a model of it."""

    state: np.ndarray  # [O, O]
    action: np.ndarray  # [O, hA]


class Logs(NamedTuple):
    """E episodes of T steps, observed with noise."""

    obs: np.ndarray  # [E, T + 1, O]
    action: np.ndarray  # [E, T, A]


def spring(step: float = 0.1, stiffness: float = 0.2, damping: float = 0.5) -> Linear:
    """A hand on a spring, pushed by the action: its state is (position, velocity).

    One step of Euler's method of x'' = -stiffness x - damping x' + 1.5 a.
    """
    state = np.array([[1.0, step], [-step * stiffness, 1.0 - step * damping]])
    return Linear(state, np.array([[0.0], [1.5 * step]]))


def true_map(system: Linear, h: int) -> ChunkMap:
    """(A^h, [A^{h-1} B, ..., A B, B])."""
    at_least_one(h=h)
    state, columns = np.eye(len(system.state)), []
    for _ in range(h):
        columns.append(state @ system.action)
        state = system.state @ state
    return ChunkMap(state, np.concatenate(columns[::-1], axis=1))


def covariance(system: Linear, dynamics_noise: float) -> np.ndarray:
    """Sigma = A Sigma A' + B B' Var[a] + dynamics_noise^2 I, of long logs' states.  -> [O, O]"""
    push = ACTION_VARIANCE * system.action @ system.action.T
    noise = dynamics_noise**2 * np.eye(len(push))
    return solve_discrete_lyapunov(system.state, push + noise)


def attenuation(system: Linear, obs_noise: float, dynamics_noise: float = 0.0) -> np.ndarray:
    """G = Sigma (Sigma + obs_noise^2 I)^{-1}: what least squares keeps of the state.  -> [O, O]

    With one dimension it is the share of the signal in the variance of the observation.
    """
    signal = covariance(system, dynamics_noise)
    return signal @ np.linalg.inv(signal + obs_noise**2 * np.eye(len(signal)))


def population(system: Linear, h: int, obs_noise: float, dynamics_noise: float = 0.0) -> ChunkMap:
    """Least squares of o_{t+h} on (o_t, a_t ... a_{t+h-1}) with unlimited logs.

    Actions are independent of the state, so theirs are the true coefficients, and those of the
    state are A^h G: once attenuated, however long the chunk is.
    """
    exact = true_map(system, h)
    return ChunkMap(exact.state @ attenuation(system, obs_noise, dynamics_noise), exact.action)


def answering(system: Linear, gain: np.ndarray, obs_noise: float) -> ChunkMap:
    """`population` for h = 1 where the hand answers to its state: a_t = -gain s_t + u_t.

    u_t has the variance of an action elsewhere, and nothing shakes the hand.  The action now tells
    of the state, so that it takes over a part of the state's coefficients.
    """
    closed = Linear(system.state - system.action @ gain, system.action)
    states = covariance(closed, 0.0)
    width = system.action.shape[1]
    answers = gain @ states @ gain.T + ACTION_VARIANCE * np.eye(width)
    both = np.block([[states, -states @ gain.T], [-gain @ states, answers]])  # of (s_t, a_t)
    noise = np.zeros_like(both)
    noise[: len(states), : len(states)] = obs_noise**2 * np.eye(len(states))
    found = (
        np.concatenate([system.state, system.action], axis=1) @ both @ np.linalg.inv(both + noise)
    )
    return ChunkMap(found[:, : len(states)], found[:, len(states) :])


def drift(system: Linear, model: ChunkMap, steps: int, dynamics_noise: float = 0.0) -> np.ndarray:
    """Root mean square error of the model's open-loop rollout after 0, h, ... `steps` steps.

    From a true state of the logs, with fresh actions, against the mean of the true rollouts; what
    dynamics noise does to a single one nobody can predict.  With e = s^ - s,

        (e, s)_{k+1} = [[C, C - A^h], [0, A^h]] (e, s)_k + [[D - B_h], [B_h]] u_k

    carries the covariance of (e, s) from chunk to chunk.  -> [steps / h + 1]
    """
    size, width = model.action.shape
    h = width // system.action.shape[1]
    if steps % h:
        raise ConfigError(f"{steps} steps are not a whole number of chunks of {h}")
    exact = true_map(system, h)
    zero = np.zeros((size, size))
    carry = np.block([[model.state, model.state - exact.state], [zero, exact.state]])
    push = np.concatenate([model.action - exact.action, exact.action])
    spread = np.block([[zero, zero], [zero, covariance(system, dynamics_noise)]])
    fresh = ACTION_VARIANCE * push @ push.T
    found = [0.0]
    for _ in range(steps // h):
        spread = carry @ spread @ carry.T + fresh
        found.append(np.sqrt(max(np.trace(spread[:size, :size]), 0.0) / size))
    return np.array(found)


def record(
    system: Linear,
    transitions: int,
    length: int,
    obs_noise: float,
    dynamics_noise: float,
    rng: np.random.Generator,
) -> Logs:
    """`transitions` steps in episodes of `length`, from states as long logs hold them."""
    if transitions < length or transitions % length:
        raise ConfigError(f"{transitions} transitions are no whole number of episodes of {length}")
    size, width = system.action.shape
    episodes = transitions // length
    action = rng.uniform(-1.0, 1.0, (episodes, length, width))
    at_start = np.linalg.cholesky(covariance(system, dynamics_noise))
    states = [rng.standard_normal((episodes, size)) @ at_start.T]
    shake = dynamics_noise * rng.standard_normal((episodes, length, size))
    for t in range(length):
        moved = states[-1] @ system.state.T + action[:, t] @ system.action.T
        states.append(moved + shake[:, t])
    obs = np.stack(states, 1)
    return Logs(obs + obs_noise * rng.standard_normal(obs.shape), action)


def fit(logs: Logs, h: int, every_start: bool = False, ridge: float = RIDGE) -> ChunkMap:
    """Ridge regression of the state after a chunk on the state before it and the chunk.

    Chunks lie end to end in each episode, so that each logged step is used once; with
    `every_start` they begin at every step, and overlap.
    """
    _, length, width = logs.action.shape
    start = np.arange(0, length - h + 1, 1 if every_start else h)
    if not len(start):
        raise ConfigError(f"episodes of {length} steps hold no chunk of {h}")
    chunk = logs.action[:, start[:, None] + np.arange(h)].reshape(-1, h * width)
    size = logs.obs.shape[-1]
    x = np.concatenate([logs.obs[:, start].reshape(-1, size), chunk], axis=1)
    y = logs.obs[:, start + h].reshape(-1, size)
    found = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y).T
    return ChunkMap(found[:, :size], found[:, size:])
