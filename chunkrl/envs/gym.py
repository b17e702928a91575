"""Any environment that is registered with Gymnasium, by its id, and files that belong to one."""

from functools import cache
from importlib import import_module
from pathlib import Path

import gymnasium
import numpy as np

from chunkrl import disk
from chunkrl.data.dataset import load
from chunkrl.data.normalise import Normaliser
from chunkrl.envs import family
from chunkrl.envs.family import Spec, SuccessTiming, Task
from chunkrl.envs.rendering import not_drawing
from chunkrl.errors import ConfigError, DataError
from chunkrl.types import Dataset, Reads, Windows


def names() -> tuple[str, ...]:
    """Every id in Gymnasium's registry, whether it can be made here or not, but OGBench's."""
    known = gymnasium.registry.items()
    return tuple(n for n, spec in known if not str(spec.entry_point).startswith("ogbench."))


def get(name: str) -> Task:
    """The task that Gymnasium registers as `name`, such as Pendulum-v1, with its own reward.

    Of `module:name` the module is imported first, which registers it.  Raises ConfigError.
    """
    module, _, known = name.rpartition(":")
    try:
        if ":" in name:
            import_module(module)
    except Exception as error:  # the user's module, which may fail in any way
        raise ConfigError(
            f"the module {module!r} of {name} cannot be imported ({error}): install it, or run"
            " `python -m chunkrl` where it lies"
        ) from error
    if known not in names():
        where = f", nor does {module!r} register it" if module else ""
        raise ConfigError(f"Gymnasium has no environment {known!r}{where}")
    return Task(name, name, "", name, sparse=False, family="gym")


def make_env(
    task: Task,
    success_timing: SuccessTiming | None = None,
    max_episode_steps: int | None = None,
    ends: bool = True,
) -> gymnasium.Env:
    """The environment of `task`; bounded actions are rescaled to [-1, 1].  Raises ConfigError."""
    family.timing(task, success_timing)
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
    family.require_unit_box(env.action_space)
    return env


@cache
def spec(task: Task) -> Spec:
    """The sizes of `task`; builds its environment once.  Raises ConfigError without a limit."""
    env = make_env(task)
    obs = family.require_vector(family.reset(env, 0))
    limit = env.spec.max_episode_steps if env.spec else None
    env.close()
    if limit is None:
        raise ConfigError(f"{task.name} has no time limit: choose max_episode_steps")
    return Spec(obs.size, env.action_space.sample().size, limit)


def data(task: Task, reads: Reads, path: str | Path) -> tuple[Dataset, Normaliser]:
    """The transitions of an npz file with rewards of its own; the bootstrap ends where it says.

    Actions are clipped to +-(1 - 1e-5).  Raises what `dataset.load` raises, and DataError where the
    file leaves open what ended by itself, or is of other sizes than the environment.
    """
    if not isinstance(reads, Windows):
        raise ConfigError(f"mac and its variants learn on OGBench only: choose qc-fql, {task.name}")
    found, given, sizes = load(path), disk.names(path), spec(task)
    if "rewards" not in found:
        raise DataError(f"{path} has no 'rewards', and {task.name} gives none to data: add them.")
    if "masks" not in found or ("masks" not in given and "next_observations" not in given):
        raise DataError(
            f"{path} leaves open what ended by itself: add 'next_observations' and 'truncations' (1"
            " where an episode was only cut), or 'masks' (0 where nothing comes after the action)."
        )
    for name, size in (("observations", sizes.obs_dim), ("actions", sizes.action_dim)):
        if (width := found[name].shape[1]) != size:
            raise DataError(f"{path}: {name!r} has {width} columns, {task.name} has {size}.")
    names = ("rewards", "masks", "terminals", "next_observations")
    action = family.inside(found["actions"])
    rows = Dataset(found["observations"], action, *(found[name] for name in names))
    return rows, Normaliser.identity(sizes.obs_dim)
