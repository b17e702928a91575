"""The lock without slip for agents with networks: cells are seen one-hot, a button is a sign."""

import numpy as np

from chunkrl.tabular.worlds import right_actions
from chunkrl.types import Dataset

LONGEST = 400  # steps of an episode


class Lock:
    """L cells; the right button moves one cell on, the wrong one back; done at the goal."""

    def __init__(self, length: int = 8):
        self.right, self.cell, self.steps = right_actions(length), 0, 0

    @property
    def obs(self) -> np.ndarray:
        """The cell, one-hot with the goal.  -> [L + 1]"""
        return np.eye(len(self.right) + 1, dtype=np.float32)[self.cell]

    def step(self, action: np.ndarray) -> tuple[np.ndarray, bool]:
        """Press button 1 where action [1] is positive, else button 0.  -> obs, done"""
        on = int(action[0] > 0) == self.right[self.cell]
        self.cell = max(self.cell + (1 if on else -1), 0)
        self.steps += 1
        return self.obs, self.cell == len(self.right) or self.steps >= LONGEST


def logs(length: int = 8, skill: float = 0.7, count: int = 4_000, seed: int = 0) -> Dataset:
    """At least `count` transitions of whole episodes by a hand that is right with `skill`."""
    rng, rows = np.random.default_rng(seed), []
    while len(rows) < count:
        lock, done = Lock(length), False
        while not done:
            before, cell = lock.obs, lock.cell
            button = lock.right[cell] if rng.random() < skill else 1 - lock.right[cell]
            action = np.array([2 * button - 1], np.float32)
            after, done = lock.step(action)
            going_on = float(lock.cell < length)  # 0 where the step arrives: nothing follows
            rows.append((before, action, -1.0, going_on, float(done), after))
    return Dataset(*(np.asarray(column, np.float32) for column in zip(*rows, strict=True)))
