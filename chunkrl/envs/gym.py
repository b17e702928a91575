"""Any environment that is registered with Gymnasium, by its id: a family without data."""

from functools import cache
from typing import Any

import gymnasium
import numpy as np

from chunkrl.envs.family import Spec, SuccessTiming, Task, require_unit_box, require_vector, reset
from chunkrl.envs.rendering import not_drawing
from chunkrl.errors import ConfigError


def names() -> tuple[str, ...]:
    """Every id in Gymnasium's registry, whether it can be made here or not, but OGBench's."""
    known = gymnasium.registry.items()
    return tuple(n for n, spec in known if not str(spec.entry_point).startswith("ogbench."))


def get(name: str) -> Task:
    """The task that Gymnasium registers as `name`, such as Pendulum-v1, with its own reward."""
    if name not in names():
        raise ConfigError(f"Gymnasium has no environment {name!r}")
    return Task(name, name, "", name, sparse=False, family="gym")


def make_env(
    task: Task,
    success_timing: SuccessTiming | None = None,
    max_episode_steps: int | None = None,
    ends: bool = True,
) -> gymnasium.Env:
    """The environment of `task`; bounded actions are rescaled to [-1, 1].  Raises ConfigError."""
    if success_timing is not None:
        raise ConfigError(f"{task.name} decides by itself when success is scored: leave it out")
    if not ends:
        raise ConfigError(f"{task.name} decides by itself when an episode ends: it cannot go on")
    try:
        with not_drawing():
            env = gymnasium.make(task.env_name, max_episode_steps, disable_env_checker=True)
    except (gymnasium.error.Error, ImportError) as error:
        raise ConfigError(f"Gymnasium cannot make {task.name}: {error}") from error
    space = env.action_space
    if isinstance(space, gymnasium.spaces.Box) and space.is_bounded("both"):
        same = ((space.low == -1) & (space.high == 1)).all()
        env = env if same else gymnasium.wrappers.RescaleAction(env, np.float32(-1), np.float32(1))
    require_unit_box(env.action_space)
    return env


@cache
def spec(task: Task) -> Spec:
    """The sizes of `task`; builds its environment once.  Raises ConfigError without a limit."""
    env = make_env(task)
    obs = require_vector(reset(env, 0))
    limit = env.spec.max_episode_steps if env.spec else None
    env.close()
    if limit is None:
        raise ConfigError(f"{task.name} has no time limit: choose max_episode_steps")
    return Spec(obs.size, env.action_space.sample().size, limit)


def data(task: Task, *_: Any) -> Any:
    """Refused: Gymnasium has no datasets."""
    raise ConfigError(f"{task.name} of Gymnasium comes without data: train on a task of OGBench")
