"""Small agents, and random data for them."""

import jax
import numpy as np

from chunkrl.agents import named
from chunkrl.data import chunks
from chunkrl.types import Dataset, Windows


def make(method, obs_dim, action_dim, **settings):
    """The agent of `method`, with those of `settings` that it has."""
    known = named(method).parameters
    return named(method)(obs_dim, action_dim, **{k: v for k, v in settings.items() if k in known})


def random_data(agent, action_dim, rows=64, seed=0):
    """Random data that `agent` reads, in trajectories of 16 rows."""
    r = np.random.default_rng(seed)
    floats = lambda *shape: r.normal(size=shape).astype(np.float32)
    obs, action = floats(rows + 1, agent.obs_dim), np.tanh(floats(rows, action_dim))
    end = np.arange(rows) % 16 == 15
    reward, mask = floats(rows), np.float32(r.random(rows) > 0.1)
    if isinstance(agent.reads, Windows):
        return Dataset(obs[:-1], action, reward, mask, np.float32(end), obs[1:])
    last, goal = chunks.final_rows(end), floats(rows, agent.goal_dim)
    data = chunks.dataset(obs[:-1], action, reward, mask, last, agent.reads.length, goal)
    return jax.tree.map(jax.numpy.asarray, data)


def num_params(params):
    """How many numbers a pytree of parameters holds."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
