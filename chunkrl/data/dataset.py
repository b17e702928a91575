"""Read OGBench's datasets, checked, and score them for one task with OGBench's own functions."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from chunkrl.data.files import locate, read, val_path
from chunkrl.errors import ConfigError, DataError

if TYPE_CHECKING:
    from chunkrl.tasks import Task
    from chunkrl.types import ChunkDataset, Dataset

Arrays = dict[str, np.ndarray]
NEEDED = ("observations", "actions", "terminals")
OPTIONAL = ("qpos", "qvel", "button_states")  # the simulator's state, from which tasks are scored
REMEDY = "Download or generate the file again."


def load(path: str | Path, *, compact: bool = False, min_length: int = 1) -> Arrays:
    """The trajectories of one npz file, as `ogbench.utils.load_dataset(..., add_info=True)` gives.

    A trajectory of L transitions has L + 1 rows in the file; the action of its last row leads
    nowhere.  The regular reading has one row per transition, L of them: `next_observations` is the
    following row, `terminals` is 1 on the last transition.  The compact reading keeps all rows:
    `valids` is 0 on the last, and `terminals` is 1 on the last two.

    observations [T, O], actions [T, A], terminals [T] (and valids) are float32; qpos, qvel and
    button_states come as they are stored.  Raises DataError, naming file, key and index, for a file
    that is damaged, lacks an array, has a wrong shape or type, holds NaN or infinity, does not end
    with the end of a trajectory, or has a trajectory of fewer than `min_length` transitions.
    """
    path = Path(path)
    data = read(path, NEEDED + OPTIONAL)
    _check_arrays(path, data)
    ends = data["terminals"] != 0
    _check_lengths(path, ends, min_length)
    data |= {key: data[key].astype(np.float32, copy=False) for key in ("observations", "actions")}
    _check_finite(path, data)
    if compact:
        before_end = np.append(ends[1:], True)
        return data | {
            "terminals": (ends | before_end).astype(np.float32),
            "valids": (~ends).astype(np.float32),
        }
    starts = ~ends  # rows that a transition starts from; the row after each is where it leads
    rows = {key: values[starts] for key, values in data.items() if key != "terminals"}
    return rows | {
        "next_observations": data["observations"][1:][starts[:-1]],
        "terminals": ends[1:][starts[:-1]].astype(np.float32),
    }


def load_task(
    task: "str | Task",
    data_dir: str | Path | None = None,
    split: Literal["train", "val"] = "train",
    action_clip: float = 1e-5,
    *,
    transitions: int | None = None,
    path: str | Path | None = None,
    min_length: int = 1,
) -> "Dataset":
    """The dataset of a single task, scored on s_t by OGBench's own `relabel_dataset`.

        reward_t = (sub-goals met in s_t) - (sub-goals), or -[that != 0] where the task is sparse
        mask_t   = 0 where all are met; the trajectory goes on regardless

    Actions are clipped to +-(1 - action_clip).  float32 host arrays, one row per transition.

    Reads the official file in `data_dir` (default: `data_dir()`), or the locally generated one of
    `transitions`, or the train file `path`; "val" reads the validation file beside it.  Raises what
    `load` raises, and DataError where the data cannot come from this task's environment.
    """
    from chunkrl import tasks
    from chunkrl.types import Dataset

    task = tasks.get(task) if isinstance(task, str) else task
    if task.goals:
        raise ConfigError(f"{task.name} has goals and no reward: `load_chunks` reads its data.")
    file = _file(task, data_dir, split, transitions, path)
    data = load(file, min_length=min_length)
    scored = _score(file, data, task, action_clip)
    return Dataset(**scored, terminal=data["terminals"], next_obs=data["next_observations"])


def load_chunks(
    task: "str | Task",
    path: str | Path | None = None,
    chunk: int = 10,
    data_dir: str | Path | None = None,
    split: Literal["train", "val"] = "train",
    action_clip: float = 1e-5,
    *,
    transitions: int | None = None,
) -> "ChunkDataset":
    """The same data as `load_task`, every stored state a row, for chunks of `chunk` actions.

    Of a task with goals: `goal` is OGBench's oracle representation of each state, without rewards.
    A trajectory needs `chunk` + 2 transitions: chunks stop two states before its end, as in MAC.
    """
    from chunkrl import tasks
    from chunkrl.data import chunks

    task = tasks.get(task) if isinstance(task, str) else task
    file = _file(task, data_dir, split, transitions, path)
    data = load(file, compact=True, min_length=chunk + 2)
    last = chunks.final_rows(data["valids"] == 0)
    return chunks.dataset(**_score(file, data, task, action_clip), last=last, chunk=chunk)


def _file(task: "Task", data_dir, split: str, transitions: int | None, path) -> Path:
    """The file of `split` that the arguments of `load_task` mean."""
    if split not in ("train", "val"):
        raise ConfigError(f"split must be 'train' or 'val', not {split!r}.")
    file = Path(path).expanduser() if path else locate(task.dataset, transitions, data_dir)
    if split == "val" and not val_path(file).exists():
        raise DataError(
            f"{file} has no {val_path(file).name} beside it: `chunkrl data make` and `chunkrl data"
            " download` write both, and observations are normalised by the validation file."
        )
    return val_path(file) if split == "val" else file


def _score(file: Path, data: Arrays, task: "Task", action_clip: float) -> Arrays:
    """Observations, clipped actions, and what `task` makes of the states, by the names of `types`.

    That is reward and mask of a single task; with goals, reward 0, mask 1 and the goal.
    """
    _relabel(file, data, task)
    limit = np.float32(1 - action_clip)
    arrays = {"obs": data["observations"], "action": np.clip(data["actions"], -limit, limit)}
    if task.goals:
        none = np.zeros(len(arrays["obs"]), np.float32)
        return arrays | {"reward": none, "mask": none + 1, "goal": data["oracle_reps"]}
    reward = task.reward(data["rewards"]).astype(np.float32)
    return arrays | {"reward": reward, "mask": data["masks"]}


def _check_arrays(path: Path, data: Arrays) -> None:
    """Presence, type, number of axes and equal length of the arrays; terminals of 0 and 1."""
    for key in NEEDED:
        if key not in data:
            found = ", ".join(data) or "none that OGBench's files have"
            raise DataError(
                f"{path} has no array {key!r} (found: {found}). It is no OGBench dataset. {REMEDY}"
            )
    rows = len(data["observations"]) if data["observations"].ndim else 0
    for key, values in data.items():
        axes = 1 if key == "terminals" else 2
        kinds = {"terminals": "bfiu", "button_states": "biu"}.get(key, "f")
        if values.dtype.kind not in kinds:
            raise DataError(f"{path}: {key!r} has the type {values.dtype}. {_wanted(key)} {REMEDY}")
        if values.ndim != axes or 0 in values.shape:
            raise DataError(
                f"{path}: {key!r} has the shape {values.shape}. {_wanted(key)} {REMEDY}"
            )
        if len(values) != rows:
            raise DataError(
                f"{path}: {key!r} has {len(values)} rows, 'observations' has {rows}. {REMEDY}"
            )
    strange = np.flatnonzero((data["terminals"] != 0) & (data["terminals"] != 1))
    if strange.size:
        value = data["terminals"][strange[0]]
        raise DataError(
            f"{path}: 'terminals' is {value} at index {strange[0]}, not 0 or 1. {REMEDY}"
        )


def _wanted(key: str) -> str:
    wanted = {"terminals": "0 or 1 per row", "button_states": "integers [rows, buttons]"}
    return f"State-based OGBench data has {wanted.get(key, 'floats [rows, width]')} there."


def _check_lengths(path: Path, ends: np.ndarray, min_length: int) -> None:
    """The file ends with the end of a trajectory, and none is too short."""
    if not ends[-1]:
        raise DataError(
            f"{path}: 'terminals' is 0 at the last index {len(ends) - 1}: the last trajectory is"
            f" cut off. {REMEDY}"
        )
    last = np.flatnonzero(ends)
    lengths = np.diff(last, prepend=-1) - 1
    short = np.flatnonzero(lengths < max(min_length, 1))
    if short.size:
        number = short[0]
        raise DataError(
            f"{path}: trajectory {number}, which ends at index {last[number]} of 'terminals', has"
            f" {lengths[number]} transitions, fewer than {max(min_length, 1)}. Choose a chunk and a"
            " backup no longer than that, or generate longer episodes."
        )


def _check_finite(path: Path, data: Arrays) -> None:
    for key, values in data.items():
        if not np.isfinite(values).all():
            index = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
            raise DataError(f"{path}: {key!r} is {values[index]} at index {index}. {REMEDY}")


def _relabel(path: Path, data: Arrays, task: "Task") -> None:
    """Add `rewards` and `masks`, or `oracle_reps`, with OGBench's functions, if the data fit."""
    from ogbench.relabel_utils import add_oracle_reps, relabel_dataset

    from chunkrl import tasks

    env = tasks.make(task.env_name)
    try:
        _check_fits(path, data, task, env)
        label = add_oracle_reps if task.goals else relabel_dataset
        label(task.env_name, env, data)
    finally:
        env.close()


def _check_fits(path: Path, data: Arrays, task: "Task", env: Any) -> None:
    """Widths of the arrays, and for mazes the positions, must be possible in the environment."""
    from chunkrl import tasks

    obs, raw = tasks.reset(env, 0), env.unwrapped
    widths = {"observations": len(obs), "actions": env.action_space.shape[0], "qpos": raw.model.nq}
    if task.domain.startswith(("scene", "puzzle")):
        widths["button_states"] = raw._num_buttons
    remedy = f"Use data of {task.dataset}."
    for key, width in widths.items():
        if key not in data:
            raise DataError(
                f"{path} has no array {key!r}, which {task.name} is scored from. {remedy}"
            )
        if data[key].shape[1] != width:
            raise DataError(
                f"{path}: {key!r} has {data[key].shape[1]} columns, {task.domain} has {width}: this"
                f" is the data of another task. {remedy}"
            )
    largest = np.abs(data["actions"]).max(axis=1)
    if largest.max() > 1 + 1e-6:
        index = int(largest.argmax())
        raise DataError(f"{path}: 'actions' leaves [-1, 1] at index {index}. {remedy}")
    if hasattr(raw, "maze_map"):
        some = data["qpos"][:: max(len(largest) // 10_000, 1), :2]
        cells = np.array([raw.xy_to_ij(xy) for xy in some])
        inside = np.clip(cells, 0, np.array(raw.maze_map.shape) - 1)
        walls = (cells != inside).any(axis=1) | (raw.maze_map[tuple(inside.T)] == 1)
        if walls.mean() > 0.01:  # ants and humanoids may lean over an edge
            raise DataError(f"{path}: 'qpos' is inside the walls of {task.domain}. {remedy}")
