"""The arrays that pass between data, agents and training."""

from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

Array = jax.Array | np.ndarray
Metrics = dict[str, jax.Array]


class Dataset(NamedTuple):
    """Transitions of trajectories laid end to end; float32, on the host or on the device."""

    obs: Array  # [T, O]       s_t
    action: Array  # [T, A]    a_t
    reward: Array  # [T]       r_t, scored on s_t
    mask: Array  # [T]         0 where s_t solves the task: no bootstrap beyond
    terminal: Array  # [T]     1 on the last transition of a trajectory (a time marker, not success)
    next_obs: Array  # [T, O]  s_{t+1}


class Batch(NamedTuple):
    """Windows of n consecutive transitions, as `data.windows.sample` draws them."""

    obs: Array  # [B, O]        s_t
    action: Array  # [B, n, A]  a_t ... a_{t+n-1}
    reward: Array  # [B, n]     sum_{j<=k} gamma^j r_{t+j}
    mask: Array  # [B, n]       min_{j<=k} mask_{t+j}
    valid: Array  # [B, n]      0 beyond the end of the trajectory
    next_obs: Array  # [B, O]   s_{t+n}


class Agent(Protocol):
    """An algorithm: hyperparameters whose methods are pure functions."""

    @property
    def discount(self) -> float: ...

    @property
    def backup(self) -> int: ...

    def init(self, key: jax.Array) -> Any: ...

    def update(self, state: Any, batch: Batch, key: jax.Array) -> tuple[Any, Metrics]: ...

    def act(self, state: Any, obs: Array, key: jax.Array) -> jax.Array: ...
