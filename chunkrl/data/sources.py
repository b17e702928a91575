"""What training draws its batches from: data that stay on the device."""

import zlib
from typing import Any

import jax
import numpy as np

from chunkrl.data import check


class Resident:
    """A dataset that stays on the device: what training makes of any that is not a `Source`."""

    interval = 0  # never replaced

    def __init__(self, dataset: Any):
        dataset = check.dataset(dataset)
        self.identity = identity(dataset)
        self._dataset = jax.device_put(dataset)

    def at(self, step: int) -> Any:
        return self._dataset


def paths(tree: Any) -> dict[str, Any]:
    """Every leaf by its path, such as "params/critic/params/Dense_0/kernel"."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def identity(tree: Any) -> dict[str, str]:
    """Type, shape and checksum of every array, by its path: what tells data from other data."""
    return {name: checksum(np.asarray(leaf)) for name, leaf in paths(tree).items()}


def checksum(array: np.ndarray) -> str:
    """Such as "float32[1000, 28] 89abcdef", where the last is the CRC-32 of the bytes."""
    content: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return f"{array.dtype}{list(array.shape)} {zlib.crc32(content.data):08x}"
