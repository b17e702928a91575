"""Networks of notebook 08 in small, trained towards targets that somebody else computes."""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from chunkrl.results import lock_network
from chunkrl.results.lock_network import LENGTH, SLIP
from chunkrl.tabular.chunks import chunk_index, logged
from chunkrl.tabular.estimate import rollout
from chunkrl.tabular.worlds import lock

# target(reward, alive, proposed, discount) -> [M]: of each window [M, h], [M, h], [M, N]
Target = Callable[..., np.ndarray]

SEEDS, WINDOWS, CANDIDATES = 8, 300, 8
ROUNDS = 80  # of lock_network.REFRESH gradient steps


class Log(NamedTuple):
    """Windows of h steps of each seed, typed without looking."""

    cell: np.ndarray  # [SEEDS, WINDOWS]
    chunk: np.ndarray  # [SEEDS, WINDOWS]
    reward: np.ndarray  # [SEEDS, WINDOWS, h]
    alive: np.ndarray  # [SEEDS, WINDOWS, h]   0 from the step on that opened the lock, else 1
    after: np.ndarray  # [SEEDS, WINDOWS]   the cell at the end


@cache
def collect(h: int) -> Log:
    """The same kind of data as in `lock_network.collect`, step by step."""
    world, rng = lock(LENGTH, SLIP), np.random.default_rng(0)
    start = rng.integers(0, LENGTH, (SEEDS, WINDOWS))
    walks = rollout(world.mdp, proposals(h), start, h, rng)
    reward = world.mdp.reward[walks.state[..., :-1], walks.action]
    alive = (walks.state[..., 1:] != LENGTH).astype(float)
    return Log(start, chunk_index(walks.action, 2), reward, alive, walks.state[..., -1])


@cache
def proposals(h: int) -> np.ndarray:
    """How often the behaviour of the lock types each chunk.  -> [L + 1, 2^h]"""
    world = lock(LENGTH, SLIP)
    return logged(world.mdp, world.behaviour, h).frequency


def train(h: int, target: Target) -> np.ndarray:
    """Q [SEEDS, L, 2^h] after ROUNDS rounds of fitted Q-learning towards what `target` returns.

    In each round N chunks are drawn for the end of every window, from what the behaviour types
    there; `target` sees what the network says of them.  No window begins at the goal, so that
    what the network says there is whatever comes of what it learns elsewhere.
    """
    log, rng = collect(h), np.random.default_rng(1)
    edges = np.cumsum(proposals(h), -1)
    edges = (np.arange(LENGTH + 1)[:, None] + edges / edges[:, -1:]).ravel()
    cell, chunk = jnp.asarray(log.cell), jnp.asarray(log.chunk)
    learner = begin(h)
    flat = lambda x: x.reshape(SEEDS * WINDOWS, -1)
    for number in range(ROUNDS):
        q = np.asarray(tables(learner, h), float)
        drawn = log.after[..., None] + rng.random((SEEDS, WINDOWS, CANDIDATES))
        # The edges of cell s lie between s and s + 1, so that one search serves all cells.
        picked = np.searchsorted(edges, drawn) - 2**h * log.after[..., None]
        proposed = q[np.arange(SEEDS)[:, None, None], log.after[..., None], picked]
        y = target(flat(log.reward), flat(log.alive), flat(proposed), 0.99)
        y = jnp.asarray(np.reshape(y, (SEEDS, WINDOWS)), jnp.float32)
        learner = practise(learner, number, cell, chunk, y, h)
    return np.asarray(tables(learner, h), float)[:, :LENGTH]


@partial(jax.jit, static_argnames="h")
def begin(h: int):
    """SEEDS untrained networks."""
    return jax.vmap(lambda seed: lock_network.begin(jax.random.key(seed), h))(jnp.arange(SEEDS))


@partial(jax.jit, static_argnames="h")
def tables(learner, h: int):
    """What they say of every cell and chunk.  -> [SEEDS, L + 1, 2^h]"""
    return jax.vmap(lambda one: lock_network.table(one, h))(learner)


@partial(jax.jit, static_argnames="h")
def practise(learner, number, cell, chunk, target, h: int):
    """`lock_network.practise` for all seeds at once."""
    draw = lambda seed: jax.random.fold_in(jax.random.key(seed), number)
    keys = jax.vmap(draw)(jnp.arange(SEEDS))
    return jax.vmap(partial(lock_network.practise, h=h))(learner, keys, cell, chunk, target)
