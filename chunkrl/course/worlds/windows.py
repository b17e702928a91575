"""Windows of logged steps from a tabular world, and critics fitted to them round by round."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from chunkrl.tabular.chunks import chunk_index, chunk_table
from chunkrl.tabular.worlds import World

# round(Q, cell, read, reward, after, alive, discount) -> Q: one round of fitted Q-learning
Round = Callable[..., np.ndarray]

MISSING = -1000.0  # of an entry without data: below every value
UNLEARNED = -5.0


class Windows(NamedTuple):
    """M logged windows of n steps; what follows the goal costs nothing."""

    cell: np.ndarray  # [M]     where each begins
    actions: np.ndarray  # [M, n]
    reward: np.ndarray  # [M, n]
    after: np.ndarray  # [M]     where each ends
    alive: np.ndarray  # [M]     0 where the goal was reached inside, else 1


def collect(world: World, n: int, count: int, seed: int = 0) -> Windows:
    """`count` windows by the behaviour of `world`, begun in cells drawn uniformly before the goal.

    The last state of `world` is its goal.
    """
    rng = np.random.default_rng(seed)
    goal = len(world.behaviour) - 1
    state = cell = rng.integers(0, goal, count)
    actions, reward = np.zeros((count, n), int), np.zeros((count, n))
    for i in range(n):
        actions[:, i] = _draw(rng, world.behaviour[state])
        reward[:, i] = world.mdp.reward[state, actions[:, i]]
        state = _draw(rng, world.mdp.transition[state, actions[:, i]])
    return Windows(cell, actions, reward, state, (state != goal).astype(float))


class Stream(NamedTuple):
    """Windows of n steps cut from one long log, in which a goal is followed by the next start."""

    cell: np.ndarray  # [M]     where each begins
    read: np.ndarray  # [M]     the number of its chunk
    reward: np.ndarray  # [M, n]  of every step, behind the goal those of the next episode
    after: np.ndarray  # [M]     where each ends, maybe in the next episode
    going: np.ndarray  # [M, n]  0 at the step that reached the goal, else 1


def stream(world: World, n: int) -> Stream:
    """Every chunk of n actions from every cell of a world without chance, once."""
    goal, following = len(world.behaviour) - 1, world.mdp.transition.argmax(-1)
    table = chunk_table(world.mdp.reward.shape[1], n)
    state = cell = np.repeat(np.arange(goal), len(table))
    read = np.tile(np.arange(len(table)), goal)
    reward, going = np.zeros((len(cell), n)), np.ones((len(cell), n))
    for i in range(n):
        action = table[read, i]
        reward[:, i] = world.mdp.reward[state, action]
        state = following[state, action]
        going[:, i] = state != goal
        state = np.where(state == goal, world.start, state)
    return Stream(cell, read, reward, state, going)


def filed(windows: Windows, reads: int) -> np.ndarray:
    """The entry under which a critic that reads `reads` actions files each window.  -> [M]"""
    return chunk_index(windows.actions[:, :reads], 2)


def count(windows: Windows, length: int, reads: int) -> np.ndarray:
    """How many windows are filed under each entry.  -> [length, 2^reads]"""
    found = np.zeros((length, 2**reads), int)
    np.add.at(found, (windows.cell, filed(windows, reads)), 1)
    return found


def fit(
    windows: Windows,
    length: int,
    rounds: int,
    one_round: Round,
    discount: float,
    reads: int,
    missing: float = MISSING,
) -> np.ndarray:
    """Q [length + 1, 2^reads] after `rounds` rounds, of a critic that reads `reads` actions.

    Everything starts at 0, and an entry without data stays at `missing`, so that no target takes
    it for the best.  No window begins at the goal, so that its row stays what it happened to be,
    UNLEARNED, as the output of a network would.
    """
    read = filed(windows, reads)
    q = np.full((length + 1, 2**reads), missing)
    q[windows.cell, read] = 0.0
    q[length] = UNLEARNED
    for _ in range(rounds):
        q = one_round(q, windows.cell, read, windows.reward, windows.after, windows.alive, discount)
    return q


def _draw(rng: np.random.Generator, probability: np.ndarray) -> np.ndarray:
    """One index for each row of `probability` [M, K]."""
    return (rng.random((len(probability), 1)) > probability.cumsum(-1)[:, :-1]).sum(-1)
