"""Datasets too large for the device: shards on disk, one at a time resident."""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

from chunkrl.data import chunks
from chunkrl.data.normalise import Normaliser
from chunkrl.errors import ConfigError, DataError
from chunkrl.types import ChunkDataset

DESCRIPTION = "shards.json"  # task, files and normaliser of the whole set
SHARD = "shard.json"  # beside the arrays of one shard


def is_converted(folder: Path) -> bool:
    """Whether `convert` wrote `folder`, at least in part."""
    return (folder / DESCRIPTION).exists()


def describe(folder: Path) -> dict[str, Any]:
    try:
        description = json.loads((folder / DESCRIPTION).read_text())
        return {key: description[key] for key in ("task", "guard", "shards", "normaliser")}
    except FileNotFoundError:
        raise DataError(f"{folder} has no {DESCRIPTION}: `chunkrl data shards` makes it.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / DESCRIPTION} is damaged or foreign ({error!r}).") from error


def normalisers(description: dict[str, Any]) -> tuple[Normaliser, Normaliser]:
    """Of observations and of goals."""
    obs, goal = (
        Normaliser(*(np.array(fit[key], np.float32) for key in Normaliser._fields))
        for fit in (description["normaliser"]["obs"], description["normaliser"]["goal"])
    )
    return obs, goal


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
        description = describe(self.folder)
        self.task: str = description["task"]
        self.names: list[str] = description["shards"]
        obs, goal = normalisers(description)
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
