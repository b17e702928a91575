"""OGBench's state-based tasks: names, rewards, environments and reproducible resets."""

import ctypes
import difflib
import os
import sys
import warnings
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from chunkrl.errors import ConfigError

if TYPE_CHECKING:
    import gymnasium

SuccessTiming = Literal["pre", "post"]

# The kinds of dataset that OGBench collects in each family of environments.
KINDS = {
    "cube": ("play", "noisy"),
    "scene": ("play", "noisy"),
    "puzzle": ("play", "noisy"),
    "pointmaze": ("navigate", "stitch"),
    "antmaze": ("navigate", "stitch", "explore"),
    "humanoidmaze": ("navigate", "stitch"),
    "antsoccer": ("navigate", "stitch"),
}
SPARSE = ("scene", "puzzle-3x3")  # domains that the Q-chunking paper scores with -1/0
GOALS = 5  # evaluation goals of each of OGBench's environments


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


def get(name: str, sparse: bool | None = None) -> Task:
    """The task of an OGBench name; without `-taskK`, OGBench's default task of that environment.

    `sparse` overrides the paper's choice of reward. Raises ConfigError with the nearest names.
    """
    if name not in names():
        raise ConfigError(f"unknown task {name!r}; {_suggestion(name)}")
    if name.endswith("-oraclerep-v0"):
        domain, kind, _, _ = name.rsplit("-", 3)
        return Task(name, domain, f"{domain}-{kind}-v0", f"{domain}-v0", False, GOALS)
    before, after = name.split("-singletask")
    domain, kind = before.rsplit("-", 1)
    return Task(
        name=name,
        domain=domain,
        dataset=f"{domain}-{kind}-v0",
        env_name=f"{domain}-singletask{after}",
        sparse=domain in SPARSE if sparse is None else sparse,
    )


@cache
def names() -> tuple[str, ...]:
    """Every task name that `get` knows: environments that OGBench registers, without pixels.

    OGBench has published no data for a few of the combinations (giant mazes with `explore`).
    """
    import gymnasium
    import ogbench  # noqa: F401  (registers the environments)

    kinds = {name: KINDS.get(name.split("-")[0], ()) for name in gymnasium.registry}
    return tuple(
        name.replace("-singletask", f"-{kind}-singletask")
        if "-singletask" in name
        else name.replace("-v0", f"-{kind}-oraclerep-v0")
        for name in kinds
        for kind in kinds[name]
    )


def _suggestion(name: str) -> str:
    longer = [known for known in names() if known.startswith(name.removesuffix("-v0") + "-")]
    near = longer or difflib.get_close_matches(name, names(), n=3, cutoff=0.5)
    if not near:
        return "names look like 'cube-single-play-singletask-task2-v0'"
    return "did you mean " + " or ".join(repr(known) for known in near[:3]) + "?"


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


def make_env(
    task: Task, success_timing: SuccessTiming | None = None, **kwargs: Any
) -> "gymnasium.Env":
    """The environment of `task`, with its time limit; see `timing`.

    With goals, an observation is [s_t, g], the goal of the episode appended.
    """
    if not task.goals:
        return make(task.env_name, success_timing=timing(task, success_timing), **kwargs)
    choose_gl()
    from chunkrl.goal_env import ToldGoal

    kwargs |= {"success_timing": timing(task, success_timing), "use_oracle_rep": True}
    return ToldGoal(make(task.env_name, **kwargs))


def make(env_name: str, **kwargs: Any) -> "gymnasium.Env":
    """The environment that OGBench registers as `env_name` (also those without a single task)."""
    choose_gl()
    import gymnasium
    import ogbench  # noqa: F401  (registers the environments)

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*precision lowered", category=UserWarning)
        env = gymnasium.make(env_name, disable_env_checker=True, **kwargs)
        raw = env.unwrapped
        if "action_space" not in vars(raw):
            # OGBench's manipulation environments build a new, unseeded action space at each access,
            # and their reset takes two random steps with it, which the solver's warm start retains.
            fixed = {"action_space": raw.action_space}
            raw.__class__ = type(type(raw).__name__, (type(raw),), fixed)
    return env


def reset(env: "gymnasium.Env", seed: int, goal: int | None = None) -> np.ndarray:
    """Reset so that the episode is a function of `seed` and the actions alone.  -> obs [O]

    `goal` is the number of one of the task's goals; without it OGBench draws one.  Mazes draw from
    NumPy's global generator, also while stepping (teleports), so it is seeded too.
    """
    np.random.seed(seed)  # noqa: NPY002
    env.unwrapped.action_space.seed(seed)
    return env.reset(seed=seed, options=None if goal is None else {"task_id": goal})[0]


def position(env: "gymnasium.Env") -> np.ndarray:
    """Where the robot is: its gripper, or its body in a maze, in metres.  -> [3] or [2]"""
    raw: Any = env.unwrapped
    if hasattr(raw, "_pinch_site_id"):
        return raw._data.site_xpos[raw._pinch_site_id].copy()
    return np.array(raw.get_xy())


@cache
def spec(task: Task) -> Spec:
    """Observation and action sizes and the time limit of `task`; builds its environment once."""
    env = make_env(task)
    obs, action = reset(env, 0), env.action_space.sample()
    goal_dim = env.get_wrapper_attr("goal").size if task.goals else 0
    env.close()
    limit = env.get_wrapper_attr("_max_episode_steps")
    return Spec(obs.size - goal_dim, action.size, limit, goal_dim)


def choose_gl() -> None:
    """Let MuJoCo render without a screen on Linux; to be called before MuJoCo is imported.

    Keeps a MUJOCO_GL that is already set, and raises ConfigError where MuJoCo cannot be imported
    under it.  Where EGL is missing, `import mujoco` itself would fail under MUJOCO_GL=egl, so
    rendering is switched off instead.
    """
    if sys.platform != "linux":
        return
    if chosen := os.environ.get("MUJOCO_GL"):
        try:
            import mujoco  # noqa: F401
        except Exception as error:  # each library fails in its own way
            raise ConfigError(
                f"MuJoCo cannot be imported under MUJOCO_GL={chosen} ({error}): unset it, or "
                "install what it names"
            ) from error
        return
    try:
        ctypes.CDLL("libEGL.so.1")
        os.environ["MUJOCO_GL"] = "egl"
    except OSError:
        os.environ["MUJOCO_GL"] = "disable"
