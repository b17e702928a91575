"""Data of other projects as one npz file of ours: robomimic's, Minari's and LeRobot's."""

import importlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chunkrl import disk
from chunkrl.data import dataset
from chunkrl.data.check import BOUND
from chunkrl.data.dataset import Arrays
from chunkrl.errors import ChunkRLError, ConfigError, DataError

# What an observation of robomimic is made of, in the order of the Q-chunking paper's code.
ROBOMIMIC = ("robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos", "object")
Bounds = tuple[Any, Any] | None  # of actions: one number, or one for each dimension


class Format(NamedTuple):
    """A kind of source."""

    what: str
    package: str | None  # that reads it
    read: Callable[[Any, str], tuple[Arrays, Bounds]]  # package, source -> arrays, stated bounds


def import_data(
    source: str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    low: Any = None,
    high: Any = None,
) -> Path:
    """Write `source`, of a kind in FORMATS, as an npz file with one row per transition.

    Actions are mapped to [-1, 1],  a -> 2 (a - low) / (high - low) - 1,  from the bounds `low` and
    `high`, or else those that the source states.  `terminals` marks what ended by itself,
    `truncations` every other end of an episode.  Raises ConfigError and DataError; nothing is
    written that `dataset.load` refuses.
    """
    source = os.fspath(source)
    form = FORMATS[kind(source)]
    stem = re.sub(r"\.(hdf5|h5|npz)$", "", os.path.normpath(source)).strip("./~").replace("/", "-")
    path = Path(f"{stem}.npz") if path is None else disk.user_path(path)
    if path.exists():
        raise ConfigError(f"{path} is there already: choose another --path, or delete it")
    try:
        package = form.package and importlib.import_module(form.package)
        arrays, stated = form.read(package, source)
        if "actions" in arrays:
            arrays["actions"] = _scaled(source, arrays["actions"], low, high, stated)
    except ImportError as error:
        missing = f"{source} is {form.what}: to read it, pip install {form.package}"
        raise ConfigError(f"{missing} ({error})") from error
    except ChunkRLError:
        raise
    except Exception as error:  # every package answers damage in its own ways
        cause = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{source} cannot be read as {form.what} ({cause}).") from error
    single = {k: x.astype(np.float32) if x.dtype.kind == "f" else x for k, x in arrays.items()}

    def save(file: Any) -> None:
        np.savez(file, allow_pickle=False, **single)
        file.flush()
        try:
            dataset.load(file.name)
        except DataError as error:
            raise DataError(str(error).replace(file.name, source)) from error

    disk.write(path, save)
    return path


def kind(source: str) -> str:
    """Which of FORMATS `source` is.  Raises DataError for none of them, and for two."""
    path = disk.user_path(source)
    home = os.environ.get("MINARI_DATASETS_PATH") or disk.user_path("~/.minari/datasets")
    is_id = re.fullmatch(r"[\w-]+(/[\w-]+)*-v\d+", source) and Path(home, source, "data").is_dir()
    if path.exists() and is_id:
        raise DataError(f"{source} is a path and the id of a Minari dataset: for the path, ./ it")
    if is_id:
        return "minari"
    if (path / "meta" / "info.json").is_file():
        return "lerobot"
    if path.exists() and not path.is_dir():
        with disk.open_file(path) as file:
            start = file.read(8)
        if start == b"\x89HDF\r\n\x1a\n":
            return "robomimic"
        if start.startswith(b"PK"):
            return "npz"
    which = "is of no such kind" if path.exists() else "is neither a path nor an id here"
    accepted = "; ".join(form.what for form in FORMATS.values())
    raise DataError(f"{source} {which}. Accepted: {accepted} (`minari download` fetches one).")


def _robomimic(h5py: Any, source: str) -> tuple[Arrays, Bounds]:
    """Rewards are -1, and 0 where the file has 1."""

    def episode(demo: Any) -> Arrays:
        rewards = demo["rewards"][:]
        parts = {"observations": "obs", "next_observations": "next_obs"}
        if not np.isin(rewards, (0, 1)).all():
            raise DataError(f"{source}: {demo.name} has shaped rewards. Take the sparse file.")
        for part in parts.values():
            if lacking := [key for key in ROBOMIMIC if key not in demo[part]]:
                raise DataError(f"{source}: {demo.name}/{part} lacks {', '.join(lacking)}.")
        join = lambda part: np.concatenate([demo[part][key][:] for key in ROBOMIMIC], axis=1)
        states = {name: join(part) for name, part in parts.items()}
        return states | {
            "actions": demo["actions"][:], "rewards": rewards - 1.0, "terminals": demo["dones"][:]
        }  # fmt: skip

    with h5py.File(disk.user_path(source), "r") as file:
        if "data" not in file:
            found = ", ".join(file) or "nothing"
            raise DataError(f"{source} has no 'data' with demos, as robomimic's (found: {found}).")
        names = sorted(file["data"], key=lambda name: int(name.removeprefix("demo_")))
        return _joined(source, (episode(file["data"][name]) for name in names)), None


def _minari(minari: Any, source: str) -> tuple[Arrays, Bounds]:
    """The bounds are those of the action space that the dataset keeps."""
    found = minari.load_dataset(source)
    for name, space in (("observations", found.observation_space), ("actions", found.action_space)):
        if type(space).__name__ != "Box" or len(space.shape) != 1:
            raise DataError(f"{source}: its {name} are {space}; agents need vectors of numbers.")
    episodes = (
        {
            "observations": one.observations[:-1],
            "next_observations": one.observations[1:],
            "actions": one.actions,
            "rewards": one.rewards,
            "terminals": one.terminations,
        }
        for one in found.iterate_episodes()
    )
    box = found.action_space
    return _joined(source, episodes), (box.low, box.high) if box.is_bounded("both") else None


def _lerobot(pyarrow: Any, source: str) -> tuple[Arrays, Bounds]:
    """One row per frame but the last of an episode, whose action leads to a state not recorded.

    A last frame is kept where it terminates, since no next state is then read: `next.done`, without
    `next.truncated`, or where there is no such column with `next.success`, where there is one.
    Without `next.done` the episodes end where their index changes, by truncation.
    """
    parquet = importlib.import_module("pyarrow.parquet")
    folder = disk.user_path(source)
    info = disk.read_json(folder / "meta" / "info.json")
    features = info["features"]
    if pictures := [k for k, one in features.items() if one["dtype"] in ("image", "video")]:
        raise DataError(f"{source} has pictures ({', '.join(pictures)}); agents need vectors.")
    seen = [k for k in features if k.startswith("observation.")]
    names = [*seen, "action", "episode_index", "frame_index"]
    names += [k for k in features if k.startswith("next.")]
    files = sorted(folder.glob("data/*/*.parquet"))
    table = pyarrow.concat_tables([parquet.read_table(file, columns=names) for file in files])
    if table.num_rows != info["total_frames"]:
        counts = f"{table.num_rows} frames of {info['total_frames']}"
        raise DataError(f"{source} has {counts} that meta/info.json counts. Fetch it again.")
    columns = {k: np.stack([*table[k].to_numpy()]).reshape(table.num_rows, -1) for k in names}
    episode, frame = columns["episode_index"][:, 0], columns["frame_index"][:, 0]
    order = np.lexsort((frame, episode))
    firsts = np.flatnonzero(np.diff(episode[order]) != 0) + 1

    def episodes() -> Iterator[Arrays]:
        for rows in np.split(order, firsts):
            if (frame[rows] != np.arange(len(rows))).any():
                raise DataError(f"{source}: episode {episode[rows[0]]} lacks frames.")
            one = {name: values[rows] for name, values in columns.items()}
            flag = {name: one[name][:, 0] != 0 for name in one if name.startswith("next.")}
            cut = flag.get("next.truncated", ~flag.get("next.success", np.ones(len(rows), bool)))
            done = flag.get("next.done", np.zeros(len(rows), bool)) & ~cut
            obs = np.concatenate([one[name] for name in seen], axis=1)
            found = {"observations": obs, "next_observations": np.append(obs[1:], obs[-1:], axis=0)}
            found |= {"actions": one["action"], "terminals": done}
            if "next.reward" in one:
                found["rewards"] = one["next.reward"][:, 0]
            yield {name: values[: len(rows) - (not done[-1])] for name, values in found.items()}

    return _joined(source, episodes()), None


def _joined(source: str, episodes: Iterable[Arrays]) -> Arrays:
    """Episodes end to end, each with its last row marked in `truncations` unless it terminates."""
    whole = []
    for number, rows in enumerate(episodes):
        lengths = {name: len(values) for name, values in rows.items()}
        count = lengths["terminals"]
        if {*lengths.values()} != {count}:
            raise DataError(f"{source}: of episode number {number} there are {lengths} rows.")
        cut = (np.arange(count) == count - 1) & (rows["terminals"] == 0)
        whole += [rows | {"truncations": cut}] if count else []
    if not whole:
        raise DataError(f"{source} has no transition.")
    return {name: np.concatenate([rows[name] for rows in whole]) for name in whole[0]}


def _scaled(source: str, actions: np.ndarray, low: Any, high: Any, stated: Bounds) -> np.ndarray:
    """`actions` in [-1, 1], from the bounds that were given, or stated, or else as they are."""
    if (low is None) != (high is None):
        raise ConfigError("--low and --high are bounds of actions: give both, or none")
    low, high = (np.asarray(x, float) for x in (stated or (-1, 1) if low is None else (low, high)))
    bounds = f"{low.tolist()} to {high.tolist()}"
    if not {low.size, high.size} <= {1, actions.shape[-1]} or not (low < high).all():
        raise ConfigError(f"{bounds} is no range for each of {actions.shape[-1]} actions, or all")
    plain = (low == -1).all() and (high == 1).all()
    scaled = actions if plain else 2 * (actions - low) / (high - low) - 1
    if (np.abs(scaled) > BOUND).any():
        found = f"between {actions.min(axis=0).tolist()} and {actions.max(axis=0).tolist()}"
        raise DataError(
            f"{source}: its actions lie {found}, beyond {bounds}. Give the bounds of their action"
            " space with --low and --high."
        )
    return scaled


# fmt: off
FORMATS = {
    "robomimic": Format("a low-dimensional HDF5 file of robomimic", "h5py", _robomimic),
    "lerobot":   Format("a LeRobot folder without pictures", "pyarrow", _lerobot),
    "npz":       Format("an npz file in OGBench's or D4RL's layout", None,
                        lambda _, source: (disk.read(source), None)),
    "minari":    Format("the id of a Minari dataset on this computer", "minari", _minari),
}
# fmt: on
