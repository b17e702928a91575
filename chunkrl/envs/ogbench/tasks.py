"""OGBench's state-based tasks: names, rewards and environments."""

import difflib
import warnings
from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

import gymnasium
import numpy as np

from chunkrl.envs.family import Spec, SuccessTiming, Task, reset, timing
from chunkrl.envs.ogbench import TASK, pictures, sharing, sim_state
from chunkrl.envs.rendering import not_drawing
from chunkrl.errors import ConfigError

# The kinds of dataset that OGBench collects in each family of environments.
KINDS = {
    **dict.fromkeys(("cube", "scene", "puzzle"), ("play", "noisy")),
    **dict.fromkeys(("pointmaze", "humanoidmaze", "antsoccer"), ("navigate", "stitch")),
    "antmaze": ("navigate", "stitch", "explore"),
}
SPARSE = ("scene", "puzzle-3x3")  # domains that the Q-chunking paper scores with -1/0
GOALS = 5  # evaluation goals of each of OGBench's environments


def get(name: str, sparse: bool | None = None) -> Task:
    """The task of an OGBench name; without `-taskK`, OGBench's default task of that environment.

    `sparse` overrides the paper's choice of reward. Raises ConfigError with the nearest names.
    """
    if name not in names():
        near = [known for known in names() if known.startswith(name.removesuffix("-v0") + "-")]
        near = near or difflib.get_close_matches(name, names(), n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, near[:3]))}?" if near else f"such as {TASK!r}"
        raise ConfigError(f"unknown task {name!r}; {hint}")
    before, end = name.split("-oraclerep") if "-oraclerep" in name else name.split("-singletask")
    domain, kind = before.rsplit("-", 1)
    dataset = f"{domain}-{kind}-v0"
    if "-oraclerep" in name:
        return Task(name, domain, dataset, f"{domain}{end}", sparse=False, goals=GOALS)
    sparse = domain in SPARSE if sparse is None else sparse
    return Task(name, domain, dataset, f"{domain}-singletask{end}", sparse)


@cache
def names() -> tuple[str, ...]:
    """Every task name that `get` knows: environments that OGBench registers, without pixels.

    OGBench has published no data for a few of the combinations (giant mazes with `explore`).
    """
    import ogbench  # noqa: F401  (registers the environments)

    found = []
    for name in gymnasium.registry:
        old, new = ("-singletask",) * 2 if "-singletask" in name else ("-v0", "-oraclerep-v0")
        found += [name.replace(old, f"-{kind}{new}") for kind in KINDS.get(name.split("-")[0], ())]
    return tuple(found)


def make_env(
    task: Task,
    success_timing: SuccessTiming | None = None,
    max_episode_steps: int | None = None,
    ends: bool = True,
    **kwargs: Any,
) -> gymnasium.Env:
    """The environment of `task`, with its time limit or another one; see `timing`.

    `ends` says whether a solved task ends the episode.  With goals, an observation is [s_t, g], the
    goal of the episode appended.
    """
    kwargs = {"terminate_at_goal": ends, "success_timing": timing(task, success_timing)} | kwargs
    kwargs |= {} if max_episode_steps is None else {"max_episode_steps": max_episode_steps}
    kwargs |= {"use_oracle_rep": True} if task.goals else {}
    return TaskEnv(make(task.env_name, **kwargs), goals=bool(task.goals))


def make(env_name: str, **kwargs: Any) -> gymnasium.Env:
    """The environment that OGBench registers as `env_name` (also those without a single task)."""
    with warnings.catch_warnings(), not_drawing():
        import ogbench  # noqa: F401  (registers the environments)

        warnings.filterwarnings("ignore", message=".*precision lowered", category=UserWarning)
        with sharing.one_copy():
            env = gymnasium.make(env_name, disable_env_checker=True, **kwargs)
        raw: Any = env.unwrapped
        if "action_space" not in vars(raw):
            # OGBench's manipulation environments build a new, unseeded action space at each access,
            # and their reset takes two random steps with it, which the solver's warm start retains.
            fixed = {"action_space": raw.action_space}
            raw.__class__ = type(type(raw).__name__, (sharing.borrower(type(raw)),), fixed)
    return env


@cache
def spec(task: Task) -> Spec:
    """Observation and action sizes and the time limit of `task`; builds its environment once."""
    env = make_env(task)
    obs, action = reset(env, 0), env.action_space.sample()
    goal_dim = env.get_wrapper_attr("goal").size if task.goals else 0
    env.close()
    limit = env.get_wrapper_attr("_max_episode_steps")
    return Spec(obs.size - goal_dim, action.size, limit, goal_dim)


class TaskEnv(gymnasium.Wrapper):
    """One of OGBench's environments as an agent plays it: see `family.named`.

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

    def reached(self) -> np.ndarray:
        """The state as a goal, as it is in data with goals.  -> [G]"""
        from ogbench.relabel_utils import add_oracle_reps

        buttons = vars(self.raw).get("_cur_button_states", ())
        found = {"qpos": self.raw.data.qpos[None], "button_states": np.array([buttons])}
        add_oracle_reps(self.env.spec.id, self.env, found)  # pyright: ignore[reportOptionalMemberAccess]
        return found["oracle_reps"][0]

    def position(self) -> np.ndarray:
        """Where the robot is: see `sim_state.position`."""
        return sim_state.position(self.env)

    @cached_property
    def picture(self) -> Callable[[], np.ndarray]:
        """The current state, by MuJoCo or as a sketch.  -> [height, width, 3] uint8"""
        return pictures.Camera(self.env).frame

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
