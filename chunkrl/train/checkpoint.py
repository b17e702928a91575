"""Training states on disk: npz with path keys and a JSON description, never pickle."""

import json
import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from chunkrl import disk
from chunkrl.errors import DataError

DESCRIPTION = "description"  # the key of the JSON text; no leaf path is a bare word of this name


def paths(tree: Any) -> dict[str, Any]:
    """Every leaf by its path, such as "params/critic/params/Dense_0/kernel"."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def save(path: str | Path, tree: Any, description: dict) -> None:
    """Write `tree` and a JSON-serialisable `description` to `path`, replacing it in one step."""
    arrays = {name: np.asarray(leaf) for name, leaf in paths(tree).items()}
    arrays[DESCRIPTION] = np.array(json.dumps(description))
    disk.write(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def load(path: str | Path, like: Any) -> tuple[Any, dict]:
    """The tree stored at `path`, in the structure of `like`, and its description.

    Raises DataError where the file is damaged or holds another structure, naming the leaf.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            stored = {name: archive[name] for name in archive.files}
        description = json.loads(str(stored.pop(DESCRIPTION)))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{path} is not a checkpoint of chunkrl ({error}); delete it") from error
    expected = paths(like)
    for name in expected.keys() ^ stored.keys():
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
