"""Environments without physics, whose every number can be predicted.

Worker processes import this file, and so without JAX, which takes them a second.
"""

import os
import signal
import time
from multiprocessing.connection import Connection

import gymnasium
import numpy as np


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


class Drift(gymnasium.Env):
    """x' = x + 0.1 a; done where |x_0| > 0.25, cut after `length` steps; reward -|x|_1."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))
    action_space = gymnasium.spaces.Box(-1, 1, (2,))

    def __init__(self, length=7):
        self.length = length

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.t = self.np_random.uniform(-0.1, 0.1, 2), 0
        return self.x.copy(), {}

    def step(self, action):
        reward = -np.abs(self.x).sum()
        self.x = self.x + 0.1 * action + 0.01 * self.np_random.normal(size=2)
        self.t += 1
        solved = bool(abs(self.x[0]) > 0.25)
        return self.x.copy(), reward, solved, self.t == self.length, {"success": solved}


class Aimed(Drift):
    """With a goal that stays: [x, g, what x counts as]."""

    def tell(self, x):
        return np.concatenate([x, [0.5], x[:1]])

    def reset(self, *, seed=None, options=None):
        obs, info = super().reset(seed=seed)
        return self.tell(obs), info

    def step(self, action):
        obs, *rest = super().step(action)
        return self.tell(obs), *rest
