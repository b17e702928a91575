"""Datasets too large for the device: shards on disk, one at a time resident."""

import io
import json
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

from chunkrl import checks, disk
from chunkrl.data import check, chunks
from chunkrl.data.normalise import Normaliser
from chunkrl.errors import DataError
from chunkrl.types import ChunkDataset

DESCRIPTION = "shards.json"  # task, files and normaliser of the whole set
CONVERT = "delete the folder and convert again"
SHARD = "shard.json"  # beside the arrays of one shard


def is_converted(folder: Path) -> bool:
    """Whether `convert` wrote `folder`, at least in part."""
    return (folder / DESCRIPTION).exists()


def describe(folder: Path) -> dict[str, Any]:
    """What `convert` wrote about the set in `folder`.  Raises DataError for anything else."""
    description = _read_json(folder / DESCRIPTION, "`chunkrl data shards` makes it")
    try:
        described = {key: description[key] for key in ("task", "guard", "shards", "normaliser")}
        obs, goal = normalisers(described)
        right = obs.scale.ndim == goal.scale.ndim == 1 and len(described["shards"]) > 0
        right &= all(isinstance(name, str) for name in (described["task"], *described["shards"]))
        right &= all(fit.centre.shape == fit.scale.shape for fit in (obs, goal))
        if not right:
            raise ValueError("numbers or names of another kind")
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / DESCRIPTION} is damaged or foreign ({error!r}).") from error
    return described


def normalisers(description: dict[str, Any]) -> tuple[Normaliser, Normaliser]:
    """Of observations and of goals."""
    obs, goal = (
        Normaliser(*(np.array(fit[key], np.float32) for key in Normaliser._fields))
        for fit in (description["normaliser"]["obs"], description["normaliser"]["goal"])
    )
    return obs, goal


def stamped(value: dict[str, Any]) -> bytes:
    """`value` as JSON, with a checksum of the rest under "crc32"."""
    return (json.dumps(value | {"crc32": _crc32(json.dumps(value).encode())}) + "\n").encode()


def seal(folder: Path) -> None:
    """Write the checksum of every array of a shard beside them: damage is found by it."""
    files = {path.name: _crc32(path.read_bytes()) for path in sorted(folder.glob("*.npy"))}
    disk.write(folder / SHARD, lambda file: file.write(stamped({"files": files})))


def is_sealed(folder: Path) -> bool:
    """Whether `seal` wrote the checksums; earlier versions kept none."""
    return "files" in _read_json(folder / SHARD, CONVERT)


def _checksums(folder: Path) -> dict[str, str]:
    """Of each file of a shard, as `seal` wrote them."""
    files = _read_json(folder / SHARD, CONVERT).get("files")
    if files is None:
        raise DataError(
            f"{folder} was made by an earlier version, which kept no checksums: `chunkrl data"
            " shards` adds them."
        )
    if not isinstance(files, dict):
        raise DataError(f"{folder / SHARD} is damaged or foreign: {CONVERT}.")
    return files


def _read_json(path: Path, remedy: str) -> dict[str, Any]:
    """What `stamped` wrote, or an earlier version without a checksum.  Raises DataError."""
    if not path.exists():
        raise DataError(f"{path.parent} has no {path.name}: {remedy}.")
    try:
        with disk.open_file(path) as file:
            value = json.loads(file.read())
        stamp = value.pop("crc32", None)
        if isinstance(stamp, str) and stamp != _crc32(json.dumps(value).encode()):
            raise ValueError("its checksum is another")
        if odd := value.keys() - {"task", "guard", "shards", "normaliser", "files", "rows"}:
            raise ValueError(f"what is {min(odd)!r}?")
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise DataError(f"{path} is damaged or foreign ({error}): {remedy}.") from error
    return value


def _crc32(content: bytes) -> str:
    return f"{zlib.crc32(content):08x}"


class Shards:
    """A converted set, for chunks of `chunk` actions; goes wherever training takes a dataset.

    Update k = 0, 1, ... draws from shard floor(k / interval) mod n, so that training that was
    interrupted goes on with the shard it was at.  The next shard is read and sent to the device
    by a thread, while training goes on with this one: two are on the device at a time.
    """

    def __init__(self, folder: str | Path, chunk: int, interval: int = 1000):
        self.folder, self.chunk = disk.user_path(folder), chunk
        self.interval = checks.whole("interval", interval)
        description = describe(self.folder)
        self.task: str = description["task"]
        self.names: list[str] = description["shards"]
        obs, goal = normalisers(description)
        self.normaliser = obs.join(goal)  # of an observation and its goal, side by side
        for name in self.names:
            if not (self.folder / name / SHARD).exists():
                raise DataError(
                    f"{self.folder} lacks the shard {name}: `chunkrl data shards` goes on where it"
                    " was stopped."
                )
        self._files = {name: _checksums(self.folder / name) for name in self.names}
        self.identity = {"shards": self._files, "interval": interval}
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
        """Shard `number`, on the device.  Raises DataError where it is not as it was written."""
        folder = self.folder / self.names[number]
        try:
            files = self._files[folder.name].items()
            arrays = {Path(name).stem: _array(folder / name, crc) for name, crc in files}
            none = np.zeros(len(arrays["obs"]), np.float32)
            arrays = {"reward": none, "mask": none + 1, **arrays}
            data = chunks.dataset(**arrays, chunk=self.chunk)
        except (KeyError, TypeError) as error:
            raise DataError(f"{folder} is not a shard ({error}): {CONVERT}.") from error
        return jax.block_until_ready(jax.device_put(check.dataset(data, str(folder))))


def _array(path: Path, checksum: str) -> np.ndarray:
    """Read whole: left memory-mapped, it would be read during an update."""
    try:
        with disk.open_file(path) as file:
            content = file.read()
        if _crc32(content) != checksum:
            raise ValueError("its checksum is another")
        return np.load(io.BytesIO(content), allow_pickle=False)
    except (DataError, OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}): {CONVERT}.") from error
