"""What a family of environments answers about a task."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from chunkrl.errors import ConfigError

SuccessTiming = Literal["pre", "post"]


@dataclass(frozen=True)
class Task:
    """What is to be done in one environment, with the dataset that goes with it.

    A single task has a reward function.  A goal-conditioned one (`-oraclerep`) has `goals`: the
    policy is told what to reach, as OGBench's oracle representation g of the goal state.
    """

    name: str  # cube-single-play-singletask-task2-v0  or  cube-single-play-oraclerep-v0
    domain: str  # cube-single
    dataset: str  # cube-single-play-v0
    env_name: str  # cube-single-singletask-task2-v0  or  cube-single-v0
    sparse: bool  # -1 until every sub-goal is met, instead of -(sub-goals not met)
    goals: int = 0  # that a policy is evaluated on, numbered from 1; 0 for a single task

    def reward(self, raw: np.ndarray | float) -> np.ndarray:
        """The reward that agents see.  [*B] -> [*B]

        r of a single task, or -[r != 0] where it is sparse; -1 until a goal is reached (r = 1).
        """
        raw = np.asarray(raw)
        if self.goals:
            return raw - 1.0
        return np.where(raw != 0, -1.0, 0.0) if self.sparse else raw


class Spec(NamedTuple):
    """The sizes of a task."""

    obs_dim: int
    action_dim: int
    max_episode_steps: int
    goal_dim: int = 0  # of g, which `make_env` appends to the observation


def timing(task: Task, chosen: SuccessTiming | None = None) -> SuccessTiming:
    """Which state of a step (s_t, a_t, s_{t+1}) is scored: the chosen one, or the usual one.

    "pre" scores s_t, as the relabelled datasets of single tasks do (OGBench >= 1.2, the default for
    those); "post" scores s_{t+1}, as goal-conditioned environments always do (the default there)
    and the published single-task runs did (OGBench 1.1): success, reward and termination then
    arrive one step earlier.
    """
    if chosen not in (None, "pre", "post"):
        raise ConfigError(f"success_timing must be 'pre' or 'post', not {chosen!r}")
    return chosen or ("post" if task.goals else "pre")
