"""Datasets too large for the device: shards on disk, one at a time resident."""

import json
import os
import shutil
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from tqdm import tqdm

from chunkrl.data import chunks
from chunkrl.data.dataset import load_chunks
from chunkrl.data.files import write
from chunkrl.data.normalise import Normaliser
from chunkrl.errors import ConfigError, DataError
from chunkrl.types import ChunkDataset

if TYPE_CHECKING:
    from chunkrl.tasks import Task

DESCRIPTION = "shards.json"  # task, files and normaliser of the whole set
SHARD = "shard.json"  # beside the arrays of one shard


def convert(
    folder: str | Path, task: "str | Task", *, guard: bool = False, progress: bool = True
) -> Path:
    """Turn the npz files of `folder` into arrays that are read at the speed of the disk.

    Each file becomes a folder of float32 .npy files (int32 for `last`) in `<folder>/arrays-<task>`,
    which is returned: observations and goals normalised with the first file's validation file,
    actions clipped, rewards of a single task computed.  A shard gets its name when it is whole, so
    that a call after an interruption goes on where it was; files added later are converted by
    another call.  The npz files are not needed afterwards.

    Raises DataError, naming the file, where one is no OGBench dataset of this task.
    """
    from chunkrl import tasks

    task = tasks.get(task) if isinstance(task, str) else task
    folder = Path(folder).expanduser()
    files = [path for path in sorted(folder.glob("*.npz")) if not path.stem.endswith("-val")]
    target = folder / f"arrays-{task.name}"
    if not files and is_converted(target):
        return target
    if not files:
        raise DataError(
            f"There is no npz file in {folder}: `chunkrl data download NAME-100m-v0` fetches some."
        )
    target.mkdir(exist_ok=True)
    description = _describe(target, task, files, guard)
    obs, goal = _normalisers(description)
    for unfinished in target.glob(".*.tmp"):
        shutil.rmtree(unfinished)
    for file in tqdm(files, desc=target.name, unit="shard", disable=not progress):
        if not (target / file.stem).exists():
            data = load_chunks(task, file, chunk=1)
            data = data._replace(obs=obs.apply(data.obs), goal=goal.apply(data.goal))
            _save(target / file.stem, data, bool(task.goals))
    return target


def is_converted(folder: Path) -> bool:
    """Whether `convert` wrote `folder`, at least in part."""
    return (folder / DESCRIPTION).exists()


def _describe(target: Path, task: "Task", files: list[Path], guard: bool) -> dict[str, Any]:
    """What `target` holds, checked against what it held before; written there."""
    stored = _read(target) if is_converted(target) else None
    foreign = [path.name for path in target.iterdir() if not path.name.startswith(".")]
    if stored is None and foreign:
        raise DataError(f"{target} holds {foreign[0]!r} and no {DESCRIPTION}: move it away.")
    names = [file.stem for file in files]
    if stored:
        same = stored["task"] == task.name and stored["guard"] == guard
        if not same or stored["shards"] != [name for name in names if name in stored["shards"]]:
            raise DataError(
                f"{target} was made of other files or with other settings: delete it to convert"
                " again."
            )
        normaliser = stored["normaliser"]
    else:
        val = load_chunks(task, files[0], chunk=1, split="val")
        normaliser = {}
        for name in ("obs", "goal"):
            fitted = Normaliser.fit(np.asarray(getattr(val, name)), guard)
            normaliser[name] = {key: value.tolist() for key, value in fitted._asdict().items()}
    new = {"task": task.name, "guard": guard, "shards": names, "normaliser": normaliser}
    write(target / DESCRIPTION, lambda file: file.write((json.dumps(new) + "\n").encode()))
    return new


def _save(target: Path, data: ChunkDataset, goals: bool) -> None:
    """All arrays of a shard, or nothing, under the name `target`."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    temporary.mkdir()
    names = ("obs", "action", "last", *(("goal",) if goals else ("reward", "mask")))
    for name in names:
        np.save(temporary / f"{name}.npy", getattr(data, name))
    text = json.dumps({"rows": len(data.obs), "crc32": zlib.crc32(data.action.tobytes())})
    (temporary / SHARD).write_text(text)
    os.replace(temporary, target)


def _read(folder: Path) -> dict[str, Any]:
    try:
        description = json.loads((folder / DESCRIPTION).read_text())
        return {key: description[key] for key in ("task", "guard", "shards", "normaliser")}
    except FileNotFoundError:
        raise DataError(f"{folder} has no {DESCRIPTION}: `chunkrl data shards` makes it.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / DESCRIPTION} is damaged or foreign ({error!r}).") from error


def _normalisers(description: dict[str, Any]) -> tuple[Normaliser, Normaliser]:
    """Of observations and of goals."""
    obs, goal = (
        Normaliser(*(np.array(fit[key], np.float32) for key in Normaliser._fields))
        for fit in (description["normaliser"]["obs"], description["normaliser"]["goal"])
    )
    return obs, goal


class Resident:
    """A dataset that stays on the device: what training makes of any that is not `Shards`."""

    interval = 0  # never replaced

    def __init__(self, dataset: Any):
        self._dataset = jax.device_put(dataset)
        crc32 = zlib.crc32(np.asarray(dataset.action).tobytes())
        self.identity = {"rows": len(dataset.obs), "crc32": crc32}

    def at(self, step: int) -> Any:
        return self._dataset


class Shards:
    """A converted set, for chunks of `chunk` actions; goes wherever training takes a dataset.

    Update k = 0, 1, ... draws from shard floor(k / interval) mod n, so that training that was
    interrupted goes on with the shard it was at.  The next shard is read and sent to the device
    by a thread, while training goes on with this one: two are on the device at a time.
    """

    def __init__(self, folder: str | Path, chunk: int, interval: int = 1000):
        if interval < 1:
            raise ConfigError(f"a shard is replaced every {interval} updates: choose 1 or more")
        self.folder, self.chunk, self.interval = Path(folder).expanduser(), chunk, interval
        description = _read(self.folder)
        self.task: str = description["task"]
        self.names: list[str] = description["shards"]
        obs, goal = _normalisers(description)
        self.normaliser = obs.join(goal)  # of an observation and its goal, side by side
        missing = [name for name in self.names if not (self.folder / name / SHARD).exists()]
        if missing:
            raise DataError(
                f"{self.folder} lacks the shard {missing[0]}: `chunkrl data shards` goes on where"
                " it was stopped."
            )
        shards = [json.loads((self.folder / name / SHARD).read_text()) for name in self.names]
        self.identity = {"shards": shards, "interval": interval}
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="shards")
        self._resident: tuple[int, ChunkDataset] | None = None
        self._coming: tuple[int, Future[ChunkDataset]] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def at(self, step: int) -> ChunkDataset:
        """The shard that update number `step` draws from, on the device."""
        number = step // self.interval % len(self)
        if self._resident is None or self._resident[0] != number:
            self._resident = None  # frees its memory
            if self._coming is None or self._coming[0] != number:
                self._coming = number, self._reader.submit(self.read, number)
            self._resident = number, self._coming[1].result()
            following = (number + 1) % len(self)
            self._coming = following, self._reader.submit(self.read, following)
        return self._resident[1]

    def read(self, number: int) -> ChunkDataset:
        """Shard `number`, on the device."""
        folder = self.folder / self.names[number]
        arrays = {path.stem: self._array(path) for path in sorted(folder.glob("*.npy"))}
        try:
            none = np.zeros(len(arrays["obs"]), np.float32)
            arrays = {"reward": none, "mask": none + 1, **arrays}
            data = chunks.dataset(**arrays, chunk=self.chunk)
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{folder} is not a shard ({error}): delete it and convert again."
            ) from error
        return jax.block_until_ready(jax.device_put(data))

    def _array(self, path: Path) -> np.ndarray:
        """Read here, in the thread: left memory-mapped, it would be read during an update."""
        try:
            return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path} cannot be read ({error}): delete {path.parent} and convert again."
            ) from error
