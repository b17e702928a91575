"""An environment without physics, whose every number can be predicted."""

import os
import signal
import time
from multiprocessing.connection import Connection

import gymnasium
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


def fall():
    raise ValueError("the toy fell off the table")


def run_out():
    raise MemoryError


def map_failed():
    raise OSError("libtoy.so: failed to map segment from shared object")


def leave():
    os._exit(3)


def cut_the_answer():
    """The next message ends in its middle, and with it the process."""

    def half(self, buf):
        os.write(self.fileno(), len(buf).to_bytes(4, "big") + bytes(buf[: len(buf) // 2]))
        os.kill(os.getpid(), signal.SIGKILL)

    Connection._send_bytes = half


FAULTS = {
    "raise": fall,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "sleep": lambda: time.sleep(60),
    "memory": run_out,
    "map": map_failed,
    "leave": leave,
    "cut": cut_the_answer,
}


def num_params(params):
    """How many numbers a pytree of parameters holds."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


class Toy(gymnasium.Env):
    """obs = (start, global random number, step); reward = -|a| - [a is not the next of its chunk].

    Action k of each chunk is meant to carry k in its second component (times 0.1).  `broken` names
    what goes wrong in step 3, a key of `FAULTS`.  Success is reached at step 2 and, if `lasting`,
    kept.
    """

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (3,))

    def __init__(self, length=7, period=5, lasting=True, broken=""):
        self.action_space = gymnasium.spaces.Box(-1, 1, (2,))
        self.length, self.period, self.lasting, self.broken = length, period, lasting, broken

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.step_number, self.first = 0, self.np_random.uniform()
        return self.obs(), {}

    def obs(self):
        return np.array([self.first, np.random.uniform(), self.step_number])  # noqa: NPY002

    def step(self, action):
        expected = 0.1 * (self.step_number % self.period)
        reward = -abs(action[0]) - float(not np.isclose(action[1], expected))
        self.step_number += 1
        if self.step_number == 3 and self.broken:
            FAULTS[self.broken]()
        success = self.step_number == 2 or (self.lasting and self.step_number > 2)
        return self.obs(), reward, self.step_number == self.length, False, {"success": success}


class Line(gymnasium.Env):
    """x' = x + a; reward -x, scored on the state before the action; below `goal` the task is done.

    `restore` puts it anywhere, so that rollouts can start from states of a dataset.
    """

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def __init__(self, length=60, goal=-np.inf):
        self.length, self.goal = length, goal

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.restore(None), {}

    def restore(self, state):
        self.x = 0.0 if state is None else float(state.qpos[0])
        self.step_number = 0
        return self.obs()

    def obs(self):
        return np.array([self.x])

    def step(self, action):
        reward, success = -self.x, self.x < self.goal
        self.x += float(action[0])
        self.step_number += 1
        cut = self.step_number == self.length
        return self.obs(), reward, success, cut, {"success": success}


class GoalToy(Toy):
    """Even goals are reached and kept, odd ones are lost again."""

    def reset(self, *, seed=None, options=None):
        self.lasting = options["task_id"] % 2 == 0
        return super().reset(seed=seed)
