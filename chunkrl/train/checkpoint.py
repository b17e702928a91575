"""Training states on disk: npz with path keys and a JSON description, never pickle."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from chunkrl import disk
from chunkrl.data.shards import paths
from chunkrl.errors import DataError

DESCRIPTION = "description"  # the key of the JSON text; no leaf path is a bare word of this name


def save(path: str | Path, tree: Any, description: dict) -> None:
    """Write `tree` and a JSON-serialisable `description` to `path`, replacing it in one step."""
    arrays = {name: np.asarray(leaf) for name, leaf in paths(tree).items()}
    arrays[DESCRIPTION] = np.array(json.dumps(description).encode())
    disk.write(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def describe(path: str | Path) -> dict:
    """The description stored at `path`.  Raises DataError where the file is damaged."""
    return _read(path, [DESCRIPTION])[1]


def load(path: str | Path, like: Any) -> tuple[Any, dict]:
    """The tree stored at `path`, in the structure of `like`, and its description.

    Raises DataError where the file is damaged or holds another structure, naming the leaf.
    """
    stored, description = _read(path)
    expected = paths(like)
    for name in sorted(expected.keys() ^ stored.keys()):
        side = "lacks" if name in expected else "has an unknown"
        raise DataError(f"{path} {side} leaf {name!r}: it is of an agent of another design")
    for name, leaf in expected.items():
        if stored[name].shape != leaf.shape or stored[name].dtype != leaf.dtype:
            raise DataError(
                f"{path}: leaf {name!r} is {stored[name].dtype}{list(stored[name].shape)}, "
                f"expected {leaf.dtype}{list(leaf.shape)}: it belongs to an agent of other sizes"
            )
    leaves = [jnp.asarray(stored[name]) for name in expected]
    return jax.tree.unflatten(jax.tree.structure(like), leaves), description


def _read(path: str | Path, keys: list[str] | None = None) -> tuple[dict[str, np.ndarray], dict]:
    try:
        stored = {name: np.asarray(array) for name, array in disk.read(path, keys).items()}
        description = json.loads(stored.pop(DESCRIPTION).item())
        if not isinstance(description, dict):
            raise TypeError(f"its {DESCRIPTION} is {type(description).__name__}")
    except (DataError, OSError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path} is not a checkpoint of chunkrl ({error}): delete it, and training begins anew"
        ) from error
    return stored, description
