"""The families of environments, one row each."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from chunkrl.envs.family import Family, SuccessTiming, Task
from chunkrl.errors import ConfigError

if TYPE_CHECKING:
    import gymnasium

# fmt: off
FAMILIES = {
    # family     module with the functions of `Family`
    "ogbench":   "chunkrl.envs.ogbench.entry",
    "gym":       "chunkrl.envs.gym",
}
# fmt: on


def family(name: str) -> Family:
    """The functions of a family.  Raises ConfigError."""
    if name not in FAMILIES:
        raise ConfigError(f"unknown family {name!r}: there are {', '.join(FAMILIES)}")
    module: Any = import_module(FAMILIES[name])
    return module


def get(name: str) -> Task:
    """The task of a name, of whatever family.  Raises ConfigError with the nearest names."""
    knows = (other for other in reversed(FAMILIES) if name in family(other).names())
    return family(next(knows, "ogbench")).get(name)


def made(
    task: Task,
    success_timing: SuccessTiming | None = None,
    max_episode_steps: int | None = None,
    ends: bool = True,
) -> "gymnasium.Env":
    """The environment of `task`: see `Family.make_env`."""
    return family(task.family).make_env(task, success_timing, max_episode_steps, ends)


def maker(
    task: Task,
    success_timing: SuccessTiming | None = None,
    max_episode_steps: int | None = None,
    ends: bool = True,
    make_env: Callable[[], "gymnasium.Env"] | None = None,
) -> Callable[[], "gymnasium.Env"]:
    """What makes the environment of `task`, or the user's `make_env` with this time limit."""
    if make_env is None:
        return partial(made, task, success_timing, max_episode_steps, ends)
    return make_env if max_episode_steps is None else partial(_cut, make_env, max_episode_steps)


def _cut(make_env: Callable[[], "gymnasium.Env"], max_episode_steps: int) -> "gymnasium.Env":
    from gymnasium.wrappers import TimeLimit

    return TimeLimit(make_env(), max_episode_steps)


def may_need_main(task: Task, make_env: Callable[[], "gymnasium.Env"] | None) -> bool:
    """Whether the user's script may be what registers or defines the environment."""
    return make_env is not None or task.family == "gym"
