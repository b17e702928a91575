"""A corridor to act in, and the loop that acts by chunks and keeps every transition."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Row = tuple[int, int, float, int, int, int]  # obs, action, reward, mask, terminal, next obs


@dataclass
class Corridor:
    """`wander.corridor` with a time limit: -1 a step, 0 for the one that arrives."""

    length: int = 8
    slip: float = 0.0
    longest: int = 30  # steps of an episode
    seed: int = 0

    def __post_init__(self):
        self.rng, self.cell, self.steps = np.random.default_rng(self.seed), 0, 0

    def reset(self) -> int:
        """Begin an episode.  -> the cell"""
        self.cell = self.steps = 0
        return 0

    def step(self, action: int) -> tuple[int, float, bool, bool]:
        """1: on, 0: back.  -> the cell, reward, terminated (at the goal), truncated (time is up)"""
        on = bool(action) != (self.rng.random() < self.slip)
        self.cell, self.steps = max(self.cell + (1 if on else -1), 0), self.steps + 1
        there = self.cell == self.length
        return self.cell, 0.0 if there else -1.0, there, not there and self.steps >= self.longest


@dataclass
class Held:
    """Chooses a chunk: one action at random, `h` times."""

    h: int
    seed: int = 0

    def __post_init__(self):
        self.rng = np.random.default_rng(self.seed)

    def __call__(self, obs: int) -> list[int]:
        return [int(self.rng.integers(2))] * self.h


def collect(env: Corridor, choose: Callable[[int], Sequence[int]], steps: int) -> list[Row]:
    """Act for `steps` in chunks, open loop; a chunk ends with its episode.

    The mask is 0 where the task is solved; `terminal` is 1 there, and where time is up.
    """
    rows, queue, obs = [], [], env.reset()
    for _ in range(steps):
        queue = queue or list(choose(obs))
        action = queue.pop(0)
        seen, reward, terminated, truncated = env.step(action)
        done = terminated or truncated
        rows.append((obs, action, reward, int(not terminated), int(done), seen))
        obs = seen
        if done:
            queue, obs = [], env.reset()
    return rows
