"""The arrays that pass between data, agents and training."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np

Array = jax.Array | np.ndarray
Metrics = dict[str, jax.Array]


class Dataset(NamedTuple):
    """Experience of trajectories laid end to end; float32, on the host or on the device."""

    obs: Array  # [T, O]       s_t
    action: Array  # [T, A]    a_t
    reward: Array  # [T]       r_t, scored on s_t
    mask: Array  # [T]         0 where s_t solves the task: no bootstrap beyond
    terminal: Array  # [T]     1 on the last transition of a trajectory (a time marker, not success)
    next_obs: Array  # [T, O]  s_{t+1}


class Steps(NamedTuple):
    """Transitions in the order they were met, for an agent that reads chunks of h actions."""

    obs: Array  # [T, O]
    action: Array  # [T, A]
    reward: Array  # [T]
    mask: Array  # [T]
    next_obs: Array  # [T, O]
    goal: Array  # [T, G]         what s_t counts as when it is a goal
    chunks: Array  # [T] int32    how many chunks, each of one episode, have ended with a_t
    episodes: Array  # [T] int32  how many episodes had ended before s_t


class Ring(NamedTuple):
    """Experience in the order they were added: number j = 0, 1, ... is in row j mod C."""

    rows: Dataset | Steps  # [C, ...]
    written: Array  # [] int32  how many were ever added
    most: Array  # [] int32     of how many windows are drawn, the newest


class Replay(NamedTuple):
    """Logs, and behind them what was added: windows are uniform over both (Q-chunking)."""

    logs: Any  # Dataset, or ChunkDataset
    new: Ring


class Halves(NamedTuple):
    """The same, but half of a batch is from the logs and half is new."""

    logs: Dataset
    new: Ring


Experience = Dataset | Ring | Replay | Halves  # what windows are drawn from


class Batch(NamedTuple):
    """Windows of n consecutive transitions, as `data.windows.sample` draws them."""

    obs: Array  # [B, O]        s_t
    action: Array  # [B, n, A]  a_t ... a_{t+n-1}
    returns: Array  # [B, n]    sum_{j<=k} gamma^j r_{t+j}
    mask: Array  # [B, n]       min_{j<=k} mask_{t+j}
    valid: Array  # [B, n]      0 beyond the end of the trajectory
    next_obs: Array  # [B, O]   s_{t+n}


class ChunkDataset(NamedTuple):
    """All states of trajectories laid end to end, as OGBench's compact reading keeps them.

    Trajectory of T_s states: s_{i+1} is row i + 1, the action of the last row leads nowhere, and
    `last` is the row of its second-to-last state, the end that MAC's samplers count with.
    """

    obs: Array  # [T, O]
    action: Array  # [T, A]
    reward: Array  # [T]      scored on s_t; 0 in data without rewards
    mask: Array  # [T]        0 where s_t solves the task
    last: Array  # [T] int32  row T_s - 2 of the trajectory that row t belongs to
    starts: Array  # [M] int32  rows that a chunk may start from: t + h < last
    goal: Array  # [T, G]     what s_t counts as when it is a goal; G = 0 in data with rewards
    goal_rows: Array  # [V] int32  rows that a goal may come from: t <= last; none where G = 0


ChunkExperience = ChunkDataset | Replay  # what chunks are drawn from


class ChunkBatch(NamedTuple):
    """Chunks of h actions, each as one transition; D = hA, G = 0 without goals."""

    obs: Array  # [B, O]         s_t
    chunk: Array  # [B, D]       a_t ... a_{t+h-1}, time-major
    reward: Array  # [B]         of the chunk
    mask: Array  # [B]           0 where the chunk reaches the goal or solves the task
    next_obs: Array  # [B, O]    s_{t+h}
    value_goal: Array  # [B, G]  for the critic, the value and imagination
    actor_goal: Array  # [B, G]  for the cloned policy


class Prefix(NamedTuple):
    """What an agent acts by that chooses how long: the first actions of a chunk."""

    chunk: Array  # [*B, h, A]
    length: Array  # [*B] int32  how many of them are executed, from 1 to h


@dataclass(frozen=True)
class Windows:
    """An agent reads transitions in windows of `length`: a `Dataset`, as the data are.

    Where it acts, what is added is read beside it: see `Replay` and, with `halves`, `Halves`.
    """

    length: int
    halves: bool = False


@dataclass(frozen=True)
class Chunks:
    """It reads chunks of `length` actions, a `ChunkDataset`: with rewards, normalised as in MAC.

    With `over` only of trajectories that are over, so that it does not learn by acting.
    """

    length: int
    over: bool = False


@dataclass(frozen=True)
class GoalChunks:
    """It reads the same with states as goals, which are normalised too.

    Of another length than its chunks where its sampler begins elsewhere: at rows t + length < last.
    """

    length: int
    over: bool = False


Reads = Windows | Chunks | GoalChunks


@runtime_checkable
class Source(Protocol):
    """What training draws from: a dataset on the device, which may be replaced as updates go by."""

    @property
    def interval(self) -> int:
        """Updates that a dataset stays for; 0 if it is never replaced."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """What tells these data from others, by the content of every array; goes into JSON."""
        ...

    def at(self, step: int) -> Any:
        """What update number `step` draws from."""
        ...


class Agent(Protocol):
    """An algorithm: hyperparameters, compared by value, whose methods are pure functions.

    `train.fit` needs `init`, `draw`, `noise` and `step`; `train.policy`, for an Evaluator, `act`.
    One that plays otherwise where it learns by acting has `explore`, of the signature of `act`.
    """

    @property
    def reads(self) -> Reads:
        """The layout of data that `draw` draws from."""
        ...

    @property
    def chunk(self) -> int:
        """h: the actions that `act` chooses at once."""
        ...

    @property
    def execute(self) -> int:
        """How many of them are executed before acting again."""
        ...

    def init(self, key: jax.Array) -> Any:
        """A fresh training state: a pytree of arrays."""
        ...

    def draw(self, key: jax.Array, dataset: Any, size: int) -> Any:
        """A batch of `size` from what `train.fit` was given to learn from."""
        ...

    def noise(self, key: jax.Array, size: int) -> Any:
        """All the randomness of one update on such a batch, a pytree of arrays; () for none."""
        ...

    def step(self, state: Any, batch: Any, noise: Any) -> tuple[Any, Metrics]:
        """The state after one update, and numbers to report, each an array []."""
        ...

    def act(self, state: Any, obs: Array, key: jax.Array) -> Any:
        """The chunk for one observation, [O] -> [h, A], or the `Prefix` that is executed of it."""
        ...
