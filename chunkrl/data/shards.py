"""What training draws from: data that stay on the device, or shards on disk that take turns."""

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
SHARD = "shard.json"  # beside the arrays of one shard: their checksums, as earlier versions had not
CONVERT = "delete the folder and convert again"
KEYS = ("task", "guard", "shards", "normaliser")


def is_converted(folder: Path) -> bool:
    """Whether `convert` wrote `folder`, at least in part."""
    return (folder / DESCRIPTION).exists()


def describe(folder: Path) -> dict[str, Any]:
    """What `convert` wrote about the set in `folder`.  Raises DataError for anything else."""
    if not is_converted(folder):
        raise DataError(f"{folder} has no {DESCRIPTION}: `chunkrl data shards` makes it.")
    description = _read(folder / DESCRIPTION)
    try:
        described = {key: description[key] for key in KEYS}
        names = [described["task"], *described["shards"]]
        if len(names) < 2 or not all(isinstance(name, str) for name in names):
            raise ValueError("names of another kind")
        for fit in normalisers(described):
            if not fit.centre.shape == fit.scale.shape == (fit.scale.size,):
                raise ValueError("numbers of another kind")
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


def checksums(folder: Path) -> dict[str, str] | None:
    """Of each file of a shard, as `seal` wrote them; None where an earlier version kept none."""
    files = _read(folder / SHARD).get("files", {})
    if not isinstance(files, dict):
        raise DataError(f"{folder / SHARD} is damaged or foreign: {CONVERT}.")
    return files or None


def _read(path: Path) -> dict[str, Any]:
    """What `stamped` wrote, or an earlier version without a checksum.  Raises DataError."""
    try:
        value = disk.read_json(path)
        stamp = value.pop("crc32", None)
        if isinstance(stamp, str) and stamp != _crc32(json.dumps(value).encode()):
            raise ValueError("its checksum is another")
        if odd := value.keys() - {*KEYS, "files", "rows"}:
            raise ValueError(f"what is {min(odd)!r}?")
    except (DataError, ValueError, AttributeError, TypeError) as error:
        raise DataError(f"{path} is damaged or foreign ({error}): {CONVERT}.") from error
    return value


def _crc32(content: bytes) -> str:
    return f"{zlib.crc32(content):08x}"


class Resident:
    """A dataset that stays on the device: what training makes of any that is not a `Source`."""

    interval = 0  # never replaced

    def __init__(self, dataset: Any, where: Any = None):  # one device, or a sharding over several
        dataset = check.dataset(dataset)
        self.identity = identity(dataset)
        self._dataset = jax.device_put(dataset, where)

    def at(self, step: int) -> Any:
        return self._dataset


def paths(tree: Any) -> dict[str, Any]:
    """Every leaf by its path, such as "params/critic/params/Dense_0/kernel"."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def identity(tree: Any) -> dict[str, str]:
    """Of every array by its path, what tells it from others: "float32[1000, 28] 89abcdef".

    The last is the CRC-32 of its bytes.
    """
    found = {}
    for name, leaf in paths(tree).items():
        array = np.asarray(leaf)
        content: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        found[name] = f"{array.dtype}{list(array.shape)} {zlib.crc32(content.data):08x}"
    return found


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
        self._files: dict[str, dict[str, str]] = {}
        for name in self.names:
            shard = self.folder / name
            if not (shard / SHARD).exists():
                raise DataError(
                    f"{self.folder} lacks the shard {name}: `chunkrl data shards` goes on where it"
                    " was stopped."
                )
            if (files := checksums(shard)) is None:
                raise DataError(
                    f"{shard} was made by an earlier version, which kept no checksums: `chunkrl"
                    " data shards` adds them."
                )
            self._files[name] = files
        self.identity = {"shards": self._files, "interval": interval}
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="shards")
        self._held: dict[int, Future[ChunkDataset]] = {}  # this shard and the next

    def __len__(self) -> int:
        return len(self.names)

    def at(self, step: int) -> ChunkDataset:
        """The shard that update number `step` draws from, on the device."""
        number = step // self.interval % len(self)
        wanted = number, (number + 1) % len(self)
        self._held = {n: self._held[n] for n in wanted if n in self._held}  # frees the memory
        for n in wanted:
            self._held[n] = self._held.get(n) or self._reader.submit(self.read, n)
        return self._held[number].result()

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
