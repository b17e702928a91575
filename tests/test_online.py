"""Learning online: the protocol step by step, exact resumption, one compilation, refusals."""

from functools import partial

import gymnasium
import jax
import numpy as np
import toys

from chunkrl import train
from chunkrl.train import runs
from chunkrl.types import Dataset

O, A = 2, 2  # noqa: E741


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


def logs(count=40):
    r = np.random.default_rng(0)
    arrays = (r.normal(size=(count, O)), r.uniform(-1, 1, (count, A)), -np.ones(count),
              np.ones(count), np.arange(count) % 10 == 9, r.normal(size=(count, O)))  # fmt: skip
    return Dataset(*(np.asarray(x, np.float32) for x in arrays))


def agent(name="qc_fql", **settings):
    settings = {"horizon": 3, "candidates": 2, "flow_steps": 2, "hidden": (8, 8)} | settings
    return toys.make(name, O, A, **settings)


def fit(updates, steps, folder=None, name="qc_fql", seeds=(0, 1), every=10, env=Drift, **changes):
    online = {"start_training": 5, "workers": 0} | changes
    online = train.Online(env, steps, **online) if steps else None
    return train.fit(agent(name), logs(), updates, 8, seeds, every, folder=folder, online=online,
                     progress=False)  # fmt: skip


def test_a_first_run():
    states, rows = fit(10, 30)
    print(rows[-1])
    assert [row["step"] for row in rows] == [10, 10, 20, 20, 30, 30, 40, 40]
