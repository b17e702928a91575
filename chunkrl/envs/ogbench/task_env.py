"""What an OGBench environment answers here beyond Gymnasium's interface."""

from functools import cached_property
from typing import Any

import gymnasium
import numpy as np

from chunkrl.envs.ogbench import pictures, sim_state


class TaskEnv(gymnasium.Wrapper):
    """One of OGBench's environments as an agent plays it: see `Family`.

    With `goals`, the goal of the episode is appended to every observation: [s_t, g].  OGBench gives
    it once, in `info` of the reset.
    """

    goal: np.ndarray  # [G] of the current episode

    def __init__(self, env: gymnasium.Env, goals: bool = False):
        super().__init__(env)
        self.raw: Any = env.unwrapped
        self.goals = goals

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> Any:
        obs, info = self.env.reset(seed=seed, options=options)
        if self.goals:
            self.goal = np.asarray(info["goal"])
        return self.tell(obs), info

    def step(self, action: Any) -> Any:
        obs, *rest = self.env.step(action)
        return self.tell(obs), *rest

    def tell(self, obs: Any) -> Any:
        """[s] or [s, g]; None stays None (see `observe`)."""
        return np.concatenate([obs, self.goal]) if self.goals and obs is not None else obs

    def restore(self, state: sim_state.SimState) -> np.ndarray:
        """Go on from `state`, with the goal and the time limit of the last reset.  -> obs"""
        return self.tell(sim_state.put(self.raw, state))

    def position(self) -> np.ndarray:
        """Where the robot is: see `sim_state.position`."""
        return sim_state.position(self.env)

    @cached_property
    def camera(self) -> pictures.Camera:
        return pictures.Camera(self.env)

    def picture(self) -> np.ndarray:
        """The current state, by MuJoCo or as a sketch.  -> [height, width, 3] uint8"""
        return self.camera.frame()

    def observe(self, wanted: bool) -> None:
        """Leave out the next observation where it is not `wanted`; the physics does not read it.

        What OGBench tells in `info` besides "success" is left out from the first call on.
        """
        compute = vars(self.raw).get("compute_observation", nothing)
        method = getattr(type(self.raw), "compute_observation", None)
        if compute is not nothing or not getattr(method, "__module__", "").startswith("ogbench."):
            return  # somebody else's, which may feed a reward
        self.raw.get_step_info = dict
        if wanted:
            vars(self.raw).pop("compute_observation", None)
        else:
            self.raw.compute_observation = nothing


def nothing() -> None:
    """The observation that nobody reads."""
