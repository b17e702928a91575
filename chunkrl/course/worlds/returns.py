"""Where a value comes from: n-step targets, their bias and variance, and batches of episodes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from chunkrl.errors import ConfigError
from chunkrl.tabular.chunks import at_least_one
from chunkrl.tabular.mdp import discounted_sum


def n_step_target(reward: np.ndarray, value: np.ndarray, discount: float) -> np.ndarray:
    """sum_{i<n} gamma^i r_{t+i} + gamma^n V(s_{t+n}).  [*B, n], [*B] -> [*B]"""
    n = reward.shape[-1]
    return reward @ discount ** np.arange(n) + discount**n * value


def target_bias(n: np.ndarray | int, discount: float, value_error: float) -> np.ndarray:
    """Bias of an on-policy n-step target whose last value is wrong by delta: gamma^n delta."""
    return discount ** np.asarray(n, float) * value_error


def target_variance(n: np.ndarray | int, discount: float, reward_std: float) -> np.ndarray:
    """Variance of an n-step target from reward noise alone: sigma^2 sum_{k<n} gamma^{2k}.

    With a fixed delta, bias^2 + variance / m has no minimum inside: going from n to n + 1 changes
    it by gamma^{2n} [sigma^2 / m - (1 - gamma^2) delta^2], whose sign does not depend on n.  A
    U-curve in n appears once the values learn, see `learning`.
    """
    n = np.asarray(n, float)
    if discount == 1:
        return reward_std**2 * n
    return reward_std**2 * (1 - discount ** (2 * n)) / (1 - discount**2)


class Learning(NamedTuple):
    """Exact error of the first cell's value after learning, for n = 1, ..., L.  [L] each"""

    bias: np.ndarray
    variance: np.ndarray

    @property
    def squared_error(self) -> np.ndarray:
        return self.bias**2 + self.variance


def learning(
    cells: int,
    steps: Sequence[float] | np.ndarray,
    value_error: float,
    reward_std: float,
    discount: float,
) -> Learning:
    """n-step TD on a corridor of `cells`, passed once per episode, rewards with independent noise.

    Every value starts wrong by `value_error`; the end is known.  After episode j all cells move by
    V(s) += eta_j (target - V(s)), eta_j = steps[j], with targets from the values before it.  The
    error e obeys

        e' = A_j e + eta_j G noise,
        A_j = (1 - eta_j) I + eta_j gamma^n [shift by n],
        G(s, i) = gamma^{i-s} for 0 <= i - s < n, else 0

    (noise is the reward noise of the episode).  So mean and variance of the first cell's error are
    exact, u_0 e_0 and

        sum_j (eta_j sigma)^2 |u_j G|^2,   u_j = (1, 0, ..., 0) A_m ... A_{j+1}.

    With one step size for every n long returns move the values faster and with more noise: a
    U-curve in n.  With eta_j = 1/j the longest return is the mean of m unbiased ones.
    """
    at_least_one(cells=cells)
    if not all(0 < step <= 1 for step in steps):
        raise ConfigError(f"every step size must lie between 0 and 1, got {steps}")
    n, cell = np.arange(1, cells + 1)[:, None, None], np.arange(cells)
    ahead = cell[None, :] - cell[:, None]  # [L, L]  how far cell i is ahead of cell s
    noise = np.where((ahead >= 0) & (ahead < n), discount ** np.maximum(ahead, 0.0), 0.0)
    shift = discount**n * (ahead == n)
    reads = np.zeros((cells, 1, cells))  # [n, 1, L]  u_j
    reads[..., 0] = 1.0
    variance = np.zeros(cells)
    for step in reversed(steps):
        variance += (step * reward_std) ** 2 * ((reads @ noise) ** 2).sum((1, 2))
        reads = (1 - step) * reads + step * reads @ shift
    return Learning(value_error * reads.sum((1, 2)), variance)


Episode = Sequence[tuple[str, float]]  # (state, the reward received on leaving it), to the end

# Two states, eight episodes (Sutton and Barto, Reinforcement Learning, 2nd ed., example 6.4).
A_B_EPISODES: tuple[Episode, ...] = (
    (("A", 0.0), ("B", 0.0)),
    *(((("B", 1.0),),) * 6),
    (("B", 0.0),),
)


def batch_monte_carlo(episodes: Sequence[Episode], discount: float = 1.0) -> dict[str, float]:
    """Every-visit Monte Carlo on a batch: the mean return observed from each state."""
    returns: dict[str, list[float]] = {}
    for episode in episodes:
        total = 0.0
        for state, reward in reversed(episode):
            total = reward + discount * total
            returns.setdefault(state, []).append(total)
    return {state: float(np.mean(found)) for state, found in sorted(returns.items())}


def batch_td(episodes: Sequence[Episode], discount: float = 1.0) -> dict[str, float]:
    """TD(0) repeated on a batch until it stops: the values of the most likely Markov process.

    V = r + gamma P V with the observed frequencies P and mean rewards r, by a linear solve: TD
    merges paths that meet in a state, Monte Carlo does not.
    """
    names = sorted({state for episode in episodes for state, _ in episode})
    index = {name: i for i, name in enumerate(names)}
    count, follow = np.zeros(len(names)), np.zeros((len(names), len(names)))
    reward = np.zeros(len(names))
    for episode in episodes:
        states = [index[state] for state, _ in episode]
        np.add.at(count, states, 1)
        np.add.at(reward, states, [r for _, r in episode])
        np.add.at(follow, (states[:-1], states[1:]), 1)
    value = discounted_sum(follow / count[:, None], reward / count, discount)
    return dict(zip(names, value.tolist(), strict=True))


def weighted_variance(length: int, skill: float, n: int, windows: int, discount: float) -> float:
    """Variance of weighted n-step policy evaluation at the start of a lock without slip.

    Evaluated is who always presses right.  Each cell has `windows` windows of its own that begin
    with the right press, and says V(s) = mean[w (R + gamma^n V(s + n))], learned to its end; w is
    skill^-k where the k later presses before the goal were right too, else 0.  So the factor mean
    [w] has the second moment 1 + (skill^-k - 1) / windows, and V^2 follows from cell to cell.
    """
    mean, square = np.zeros(length + n), np.zeros(length + n)
    for cell in range(length - 1, -1, -1):
        steps = min(n, length - cell)
        earned = -(1 - discount**steps) / (1 - discount)
        ahead, squared = discount**n * mean[cell + n], discount ** (2 * n) * square[cell + n]
        mean[cell] = earned + ahead
        factor = 1 + (skill ** (1 - steps) - 1) / windows
        square[cell] = factor * (earned**2 + 2 * earned * ahead + squared)
    return float(square[0] - mean[0] ** 2)


def plain_choices(
    length: int, skill: float, n: int, windows: int, discount: float, logs: int, seed: int = 0
) -> np.ndarray:
    """Whether the right button looks best, cell by cell, to uncorrected n-step Q-learning.

    Of `logs` logs each, with `windows` windows for either button of a cell on a lock without slip,
    learned to its end, with the maximum.  -> [logs, length] bool
    """
    rng, cells = np.random.default_rng(seed), np.arange(length)
    reward, ends = np.zeros((logs, length, 2)), np.zeros((logs, length, 2, length + 1))
    for press, start in enumerate((cells + 1, np.maximum(cells - 1, 0))):
        at = np.tile(start[:, None], (logs, 1, windows))
        y = -np.ones(at.shape)
        for i in range(1, n):
            y -= np.where(at < length, discount**i, 0)
            moved = np.where(rng.random(at.shape) < skill, at + 1, np.maximum(at - 1, 0))
            at = np.where(at < length, moved, length)
        reward[:, :, press] = y.mean(-1)
        for to in range(length):  # what is worth nothing, the goal, is left out
            ends[:, :, press, to] = (at == to).mean(-1)
    value = np.zeros((logs, length + 1))
    for _ in range(1000 // n):
        q = reward + discount**n * np.einsum("lcpt,lt->lcp", ends, value, optimize=True)
        value[:, :length] = q.max(-1)
    return q[..., 0] > q[..., 1]


def weighted_choices(
    length: int, skill: float, n: int, windows: int, discount: float, logs: int, seed: int = 0
) -> np.ndarray:
    """Whether the right button looks best, cell by cell, to critics of weighted windows.

    As `weighted_variance`, of `logs` logs each, with `windows` windows for either button of a cell:
    a window counts where the presses behind the first were right.  -> [logs, length] bool
    """
    rng = np.random.default_rng(seed)
    value, ahead = np.zeros((logs, length + n)), np.zeros((logs, length), bool)

    def entry(start: int) -> np.ndarray:
        """Q of a press that leads to `start`."""
        steps = min(n, 1 + length - start)
        weight = rng.binomial(windows, skill ** (steps - 1), logs) * skill ** (1 - steps) / windows
        earned = -(1 - discount**steps) / (1 - discount)
        return weight * (earned + discount**n * value[:, start + n - 1])

    for cell in range(length - 1, -1, -1):
        value[:, cell] = entry(cell + 1)
        ahead[:, cell] = value[:, cell] > entry(max(cell - 1, 0))
    return ahead
