"""The environment side of goals: what the policy is told."""

from typing import Any

import gymnasium
import numpy as np


class ToldGoal(gymnasium.Wrapper):
    """Appends the goal of the episode to every observation: [s_t, g].  [O] -> [O + G]

    OGBench gives the goal once, in `info` of the reset.
    """

    goal: np.ndarray  # [G] of the current episode

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> Any:
        obs, info = self.env.reset(seed=seed, options=options)
        self.goal = np.asarray(info["goal"])
        return self.tell(obs), info

    def step(self, action: Any) -> Any:
        obs, *rest = self.env.step(action)
        return self.tell(obs), *rest

    def tell(self, obs: Any) -> Any:
        """A worker leaves out observations that no decision follows: those stay None."""
        return obs if obs is None else np.concatenate([obs, self.goal])
