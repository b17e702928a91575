"""Families of environments: what each answers about its tasks, and its environments are asked."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, Literal, NamedTuple

import gymnasium
import numpy as np
from gymnasium import wrappers

from chunkrl.errors import ConfigError

# fmt: off
FAMILIES = {
    # family     its module: see `named`
    "ogbench":   "chunkrl.envs.ogbench.relabel",
    "gym":       "chunkrl.envs.gym",
}
# fmt: on
SuccessTiming = Literal["pre", "post", "own"]
CLIP = np.float32(1e-5)  # actions of data keep this distance from their bounds
TRANSFORM = "gymnasium.wrappers.TransformAction"
TRANSPARENT = (wrappers.TimeLimit, wrappers.OrderEnforcing, wrappers.PassiveEnvChecker)


@dataclass(frozen=True)
class Task:
    """What is to be done in one environment, with the dataset that goes with it.

    A single task has a reward function.  With `goals` (`-oraclerep`), the policy is told what to
    reach: g, OGBench's oracle representation of the goal state.
    """

    name: str  # cube-single-play-singletask-task2-v0  or  cube-single-play-oraclerep-v0
    domain: str  # cube-single
    dataset: str  # cube-single-play-v0
    env_name: str  # cube-single-singletask-task2-v0  or  cube-single-v0
    sparse: bool  # -1 until every sub-goal is met, instead of -(sub-goals not met)
    goals: int = 0  # that a policy is evaluated on, numbered from 1; 0 for a single task
    family: str = "ogbench"  # a row of FAMILIES

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

    "pre", usual for single tasks, scores s_t, as their relabelled datasets do (OGBench >= 1.2);
    "post", usual for goals, s_{t+1}, as the published single-task runs also did (OGBench 1.1):
    success, reward and termination then arrive one step earlier.  "own" is that of an environment
    of Gymnasium, which decides by itself.
    """
    if task.family == "gym":
        if chosen not in (None, "own"):
            raise ConfigError(f"{task.name} decides by itself when success is scored: leave it out")
        return "own"
    if chosen not in (None, "pre", "post"):
        raise ConfigError(f"success_timing must be 'pre' or 'post', not {chosen!r}")
    return chosen or ("post" if task.goals else "pre")


def named(name: str) -> Any:
    """The module of a family of environments, in which are

        names() -> the names that `get` knows        get(name) -> Task
        spec(task) -> Spec
        make_env(task, success_timing, max_episode_steps, ends) -> actions are in [-1, 1]
        data(task, reads, path) -> the train file as the agent `reads` it, and its Normaliser

    `ends`: whether a solved task ends the episode.  Each raises ConfigError for what it cannot do,
    such as data that such an agent does not read.

    The environments are Gymnasium's.  They may answer more, as methods of the environment or of a
    wrapper: `restore(state) -> obs` begins in a state of the data, `position() -> [D]` says where
    the robot is, `reached() -> [G]` what the state counts as when it is a goal, `picture() -> [H,
    W, 3]` draws, and `observe(wanted)`, of the outermost wrapper, says whether the player reads the
    next observation; where not, it may be None.
    """
    if name not in FAMILIES:
        raise ConfigError(f"unknown family {name!r}: there are {', '.join(FAMILIES)}")
    return import_module(FAMILIES[name])


def get(name: str) -> Task:
    """The task of a name, of whatever family.  Raises ConfigError with the nearest names."""
    if ":" in name:  # Gymnasium's, of a module that registers it
        return named("gym").get(name)
    knows = (other for other in reversed(FAMILIES) if name in named(other).names())
    return named(next(knows, "ogbench")).get(name)


def maker(
    task: Task,
    success_timing: SuccessTiming | None = None,
    max_episode_steps: int | None = None,
    ends: bool = True,
    make_env: Callable[[], gymnasium.Env] | None = None,
) -> tuple[Callable[[], gymnasium.Env], bool]:
    """What makes the environment of `task`, or the user's `make_env` with this time limit.

    And whether it may be the user's script that registers or defines the environment.
    """
    if make_env is None:
        make = named(task.family).make_env
        return partial(make, task, success_timing, max_episode_steps, ends), task.family == "gym"
    if max_episode_steps is not None:
        make_env = partial(_cut, make_env, max_episode_steps)
    return make_env, True


def showing_goals(make_env: Callable[[], gymnasium.Env]) -> gymnasium.Env:
    """The environment, and what each state counts as when it is a goal behind its observation."""
    env = make_env()
    reached = offered(env, "reached")
    if reached is None:
        raise ConfigError(
            "the environment does not say which goal each of its states reaches, to learn from by"
            " acting: it, or a wrapper of it, needs a method reached() that returns this goal"
        )
    return wrappers.TransformObservation(env, lambda obs: np.append(obs, reached()), None)


def _cut(make_env: Callable[[], gymnasium.Env], max_episode_steps: int) -> gymnasium.Env:
    return wrappers.TimeLimit(make_env(), max_episode_steps)


def reset(env: gymnasium.Env, seed: int, goal: int | None = None) -> np.ndarray:
    """Reset so that the episode is a function of `seed` and the actions alone.  -> obs [O]

    `goal`, the number of one of the task's goals, is Gymnasium's reset option "task_id"; without it
    the environment draws one.  Some draw from NumPy's global generator, also while stepping
    (teleports of mazes), so it is seeded too.
    """
    np.random.seed(seed)  # noqa: NPY002
    env.unwrapped.action_space.seed(seed)
    return env.reset(seed=seed, options=None if goal is None else {"task_id": goal})[0]


def restore(env: gymnasium.Env, state: Any, seed: int = 0, goal: int | None = None) -> np.ndarray:
    """Begin an episode of the environment in `state`.  -> obs [O]

    All but what the environment's method `restore(state)` sets is as `reset(env, seed, goal)` left
    it.  Raises ConfigError where there is no such method.
    """
    reset(env, seed, goal)
    method = offered(env, "restore", opaque=True)
    if method is None:
        raise ConfigError(
            "the environment cannot be put into a logged state: its outermost wrapper that changes "
            "observations, or else it, needs a method restore(state) that returns the observation"
        )
    return method(state)


def offered(env: Any, name: str, opaque: bool = False) -> Callable[..., Any] | None:
    """The method `name` of the outermost wrapper that has one, or of the environment, or None.

    `opaque` stops at wrappers that may change observations, since the method's would pass by them.
    """
    if hasattr(type(env), name):
        return getattr(env, name)
    through = isinstance(env, TRANSPARENT if opaque else gymnasium.Wrapper)
    return offered(env.env, name, opaque) if through else None


def inside(actions: np.ndarray) -> np.ndarray:
    """Actions of data, clipped to +-(1 - 1e-5).  [T, A] -> [T, A]"""
    return actions.clip(CLIP - 1, 1 - CLIP)


def require_unit_box(space: Any) -> None:
    """Raise ConfigError unless the actions are vectors of numbers in [-1, 1], as agents act."""
    if not isinstance(space, gymnasium.spaces.Box) or not np.issubdtype(space.dtype, np.floating):
        fault = f"are {_kind(space)}: agents act with vectors of real numbers (a Box of floats)"
    elif len(space.shape) != 1:
        fault = f"have the shape {space.shape}: make vectors of them ({TRANSFORM})"
    elif not space.is_bounded("both"):
        fault = f"have no finite bounds: give them a meaning in [-1, 1] ({TRANSFORM})"
    elif ((space.low == -1) & (space.high == 1)).all():
        return
    else:
        low, high = (f"{x[0]:g}" if len({*x}) == 1 else x.tolist() for x in (space.low, space.high))
        fault = (
            f"lie between {low} and {high}, and agents act in [-1, 1]: wrap it in"
            " gymnasium.wrappers.RescaleAction(env, -1, 1)"
        )
    raise ConfigError(f"the environment's actions {fault}")


def require_vector(obs: Any) -> np.ndarray:
    """`obs`, if it is a vector of numbers.  Raises ConfigError.  -> [O]"""
    if isinstance(obs, np.ndarray) and obs.ndim == 1 and obs.dtype.kind in "fiub" and obs.size:
        return obs
    what = f"an array of shape {obs.shape}" if isinstance(obs, np.ndarray) else _kind(obs)
    raise ConfigError(
        f"the environment's observation is {what}: agents read vectors of numbers; wrap it in "
        "gymnasium.wrappers.FlattenObservation"
    )


def _kind(thing: Any) -> str:
    name = type(thing).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
