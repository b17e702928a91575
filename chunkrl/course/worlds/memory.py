"""How many past actions a policy must know to act like data with a hidden state."""

import numpy as np

from chunkrl.errors import ConfigError
from chunkrl.tabular.chunks import at_least_one


def taps(period: int, steps: int) -> np.ndarray:
    """What an operator may do who pushes on every `period`-th step only.  -> [2 period, steps]

    One row for each side (-1, 1) and phase, all equally likely.
    """
    at_least_one(period=period)
    push = (np.arange(steps) + np.arange(period)[:, None]) % period == 0
    return np.concatenate([-push.astype(int), push.astype(int)])


def memory_needed(sequences: np.ndarray) -> int:
    """The smallest k for which the last k actions tell as much of the next as all before it.

    `sequences` [M, T] are equally likely.  P(a_t | a_{t-k}, ..., a_{t-1}) = P(a_t | a_0, ...,
    a_{t-1}) for every t and every past; T - 1 where nothing less is enough.
    """
    steps = sequences.shape[1]
    for k in range(steps):
        if all(_tells_all(sequences, t, k) for t in range(steps)):
            return k
    raise ConfigError("no steps in the sequences")


def _tells_all(sequences: np.ndarray, t: int, k: int) -> bool:
    """Whether the k actions before step t predict the action at t as well as all t do."""
    rows = [tuple(row) for row in sequences[:, : t + 1].tolist()]

    def next_after(past):
        last = [row[t] for row in rows if row[t - len(past) : t] == past]
        return {action: last.count(action) / len(last) for action in set(last)}

    return all(next_after(row[max(0, t - k) : t]) == next_after(row[:t]) for row in rows)
