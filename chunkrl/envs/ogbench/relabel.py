"""OGBench as a family: its tasks, and its files, scored for one by OGBench's own functions."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from chunkrl.data import chunks
from chunkrl.data.dataset import Arrays, by_transition, states
from chunkrl.data.normalise import Normaliser
from chunkrl.disk import user_path
from chunkrl.envs import family
from chunkrl.envs.family import Task
from chunkrl.envs.ogbench import tasks
from chunkrl.envs.ogbench.files import locate, val_path
from chunkrl.envs.ogbench.tasks import get, make_env, names, spec
from chunkrl.errors import ConfigError, DataError
from chunkrl.types import ChunkDataset, Dataset, GoalChunks, Reads, Windows

UNREAD = ("qvel",)  # by every task

__all__ = ["data", "get", "load_chunks", "load_task", "make_env", "names", "spec"]


def load_task(
    task: str | Task,
    path: str | Path | None = None,
    *,
    split: Literal["train", "val"] = "train",
    transitions: int | None = None,
    min_length: int = 1,
) -> Dataset:
    """The dataset of a single task, scored on s_t by OGBench's own `relabel_dataset`.

        reward_t = (sub-goals met in s_t) - (sub-goals), or -[that != 0] where the task is sparse
        mask_t   = 0 where all are met; the trajectory goes on regardless

    Actions are clipped to +-(1 - 1e-5).  float32 host arrays, one row per transition.

    Reads the train file `path`, or the locally generated one of `transitions`, or the official
    one; "val" reads the validation file beside it.  `rewards` and `masks` of a file are used only
    without the simulator's state; else a UserWarning says so.
    Raises what `load` raises, and DataError where the data do not fit this task's environment.
    """
    task = tasks.get(task) if isinstance(task, str) else task
    if task.goals:
        raise ConfigError(f"{task.name} has goals and no reward: `load_chunks` reads its data.")
    file = _file(task, path, split, transitions)
    with _environment(task) as env:
        data, ends = states(file, min_length, UNREAD)
        scored = _score(file, data, task, env)
    del data  # the simulator's states, before there are observations twice
    rows = by_transition({"observations": scored.pop("obs"), **scored}, ends)
    obs, next_obs = rows.pop("observations"), rows.pop("next_observations")
    return Dataset(obs=obs, next_obs=next_obs, terminal=rows.pop("terminals"), **rows)


def load_chunks(
    task: str | Task,
    path: str | Path | None = None,
    chunk: int = 10,
    *,
    split: Literal["train", "val"] = "train",
) -> ChunkDataset:
    """The same data as `load_task`, every stored state a row, for chunks of `chunk` actions.

    Of a task with goals: `goal` is OGBench's oracle representation of each state, without rewards.
    A trajectory needs `chunk` + 2 transitions: chunks stop two states before its end, as in MAC.
    """
    task = tasks.get(task) if isinstance(task, str) else task
    file = _file(task, path, split)
    with _environment(task) as env:
        data, ends = states(file, chunk + 2, UNREAD)
        last = chunks.final_rows(ends)
        scored = _score(file, data, task, env)
    return chunks.dataset(**scored, last=last, chunk=chunk)


def data(task: Task, reads: Reads, path: str | Path) -> tuple[Any, Normaliser]:
    """The `Dataset` or `ChunkDataset` that `reads` describes, and how it was normalised.

    Windows see the data as they are; chunks see each dimension of the validation file in [-1, 1].
    Raises ConfigError where the task has goals and the agent none, or the other way round.
    """
    if task.goals and not isinstance(reads, GoalChunks):
        raise ConfigError(
            f"{task.name} has goals, the agent learns from rewards: choose mac or gciql"
        )
    if isinstance(reads, GoalChunks) and not task.goals:
        raise ConfigError(f"{task.name} has rewards, the agent learns to reach goals")
    if isinstance(reads, Windows):
        dataset = load_task(task, path=path, min_length=reads.length)
        return dataset, Normaliser.identity(dataset.obs.shape[1])
    obs, goal = normalisers(task, path, reads.length)
    return normalised(load_chunks(task, path, reads.length), obs, goal), obs.join(goal)


def normalisers(task: Task, path: str | Path, chunk: int) -> tuple[Normaliser, Normaliser]:
    """Of observations and of goals, from the validation file beside `path`."""
    val = load_chunks(task, path, chunk, split="val")
    return Normaliser.fit(np.asarray(val.obs)), Normaliser.fit(np.asarray(val.goal))


def normalised(data: ChunkDataset, obs: Normaliser, goal: Normaliser) -> ChunkDataset:
    return data._replace(obs=obs.apply(data.obs), goal=goal.apply(data.goal))


def _file(task: Task, path, split: str, transitions: int | None = None) -> Path:
    """The file of `split` that the arguments of `load_task` mean."""
    if split not in ("train", "val"):
        raise ConfigError(f"split must be 'train' or 'val', not {split!r}.")
    file = user_path(path) if path else locate(task.dataset, transitions)
    if split == "val" and not val_path(file).exists():
        raise DataError(
            f"{file} has no {val_path(file).name} beside it, which `chunkrl data make` and `chunkrl"
            " data download` write, and which observations are normalised by."
        )
    return val_path(file) if split == "val" else file


@contextlib.contextmanager
def _environment(task: Task) -> Iterator[Any]:
    """The environment that scores, compiled: before data are read, as that takes memory as well."""
    with contextlib.closing(tasks.make(task.env_name)) as env:
        tasks.reset(env, 0)
        yield env


def _score(file: Path, data: Arrays, task: Task, env: Any) -> Arrays:
    """Observations, clipped actions, and what `task` makes of the states, by the names of `types`.

    That is reward and mask of a single task; with goals, reward 0, mask 1 and the goal.
    """
    from ogbench.relabel_utils import add_oracle_reps, relabel_dataset

    own = sorted({"rewards", "masks"} & data.keys(), reverse=True)
    used = bool(own) and not task.goals and "qpos" not in data
    if own and not used:
        warnings.warn(
            f"{file} has {' and '.join(own)} of its own, which are not used: {task.name} is scored"
            " from the simulator's state (qpos). Leave qpos out to train on them.",
            stacklevel=3,
        )
    if used and len(own) == 1:
        raise DataError(
            f"{file} has {own[0]} of its own, but no {min({'rewards', 'masks'} - {*own})!r}. Add"
            f" them: masks are 0 in states that solve {task.name} and 1 elsewhere."
        )
    _check_fits(file, data, task, env, used)
    if not used:
        (add_oracle_reps if task.goals else relabel_dataset)(task.env_name, env, data)
    arrays = {"obs": data["observations"], "action": family.inside(data["actions"])}
    if task.goals:
        none = np.zeros(len(arrays["obs"]), np.float32)
        return arrays | {"reward": none, "mask": none + 1, "goal": data["oracle_reps"]}
    reward = data["rewards"] if used else task.reward(data["rewards"]).astype(np.float32)
    return arrays | {"reward": reward, "mask": data["masks"]}


def _check_fits(path: Path, data: Arrays, task: Task, env: Any, own: bool) -> None:
    """Widths of the arrays, and for mazes the positions, must be possible in the environment."""
    obs, raw = tasks.reset(env, 0), env.unwrapped
    widths = {"observations": len(obs), "actions": env.action_space.shape[0], "qpos": raw.model.nq}
    if task.domain.startswith(("scene", "puzzle")):
        widths["button_states"] = raw._num_buttons
    remedy = f"Use data of {task.dataset}."
    for key, width in widths.items():
        if key not in data and not own:
            raise DataError(f"{path} has no array {key!r}, to score {task.name} from. {remedy}")
        if key in data and (found := data[key].shape[1]) != width:
            what = f"{key!r} has {found} columns, {task.domain} has {width}"
            raise DataError(f"{path}: {what}. {remedy}")
    if "qpos" in data and hasattr(raw, "maze_map"):
        some = data["qpos"][:: max(len(data["qpos"]) // 10_000, 1), :2]
        cells = np.array([raw.xy_to_ij(xy) for xy in some])
        inside = np.clip(cells, 0, np.array(raw.maze_map.shape) - 1)
        walls = (cells != inside).any(axis=1) | (raw.maze_map[tuple(inside.T)] == 1)
        if walls.mean() > 0.01:  # ants and humanoids may lean over an edge
            raise DataError(f"{path}: 'qpos' is inside the walls of {task.domain}. {remedy}")
