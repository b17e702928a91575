"""Where data files lie."""

import importlib.metadata
import os
import warnings
from pathlib import Path
from typing import Any

from chunkrl import disk
from chunkrl.envs.ogbench.recipes import whole
from chunkrl.errors import DataError, VersionWarning

OGBENCH_FOLDER = "~/.ogbench/data"  # where OGBench puts its own downloads


def data_dir(folder: str | Path | None = None) -> Path:
    """`folder`, else that of the environment variable CHUNKRL_DATA, else OGBench's own."""
    return Path(folder or os.environ.get("CHUNKRL_DATA") or OGBENCH_FOLDER).expanduser()


def official_path(dataset: str, folder: str | Path | None = None) -> Path:
    """Where OGBench keeps its file of `dataset`, for example cube-single-play-v0."""
    return data_dir(folder) / f"{dataset}.npz"


def generated_path(dataset: str, transitions: int, seed: int = 0) -> Path:
    """Where a locally made file lies; its name tells its size, so none passes for the official."""
    suffix = f"-seed{seed}" if seed else ""
    return data_dir() / "generated" / f"{dataset}-{transitions}{suffix}.npz"


def val_path(path: Path) -> Path:
    """The validation file that belongs to the train file `path`."""
    return path.with_name(f"{path.stem}-val.npz")


def recipe_path(path: Path) -> Path:
    """What a locally made train file `path` was made with; written last, so that it is whole."""
    return path.with_suffix(".json")


def stored_recipe(file: Path) -> dict[str, Any]:
    """What the recipe `file` says; nothing where it cannot be read, is damaged or foreign."""
    try:
        found = disk.read_json(file)
    except DataError:
        return {}
    return found if isinstance(found, dict) else {}


def versions() -> dict[str, str]:
    """Of the packages that the numbers of a made file depend on."""
    return {name: importlib.metadata.version(name) for name in ("ogbench", "mujoco", "numpy")}


def warn_of_versions(path: Path) -> None:
    """Say, in a line, where the train file `path` was made with other versions than today's."""
    theirs = stored_recipe(recipe_path(path)).get("versions")
    theirs = theirs if isinstance(theirs, dict) else {}
    here = versions().items()
    others = [f"{k} {theirs[k]} (here {v})" for k, v in here if theirs.get(k, v) != v]
    if others:
        made = f"{path} was made with {', '.join(others)}"
        text = f"{made}: made again, it would have other numbers."
        warnings.warn(text, VersionWarning, stacklevel=3)


def locate(dataset: str, transitions: int | None = None) -> Path:
    """The train file of `dataset`: the official one, or the local one of at least `transitions`.

    Raises DataError, with the command that gets the file, where it is not there.
    """
    if transitions is None:
        path, command = official_path(dataset), f"chunkrl data download {dataset}"
    else:
        path = generated_path(dataset, whole(dataset, transitions))
        command = f"chunkrl data make {dataset} --transitions {transitions}"
    if path.exists():
        warn_of_versions(path)
        return path
    others = sorted(path.stem for path in (data_dir() / "generated").glob(f"{dataset}-*.npz"))
    sizes = [name for name in others if not name.endswith("-val")]
    hint = f" Made locally and there: {', '.join(sizes)}." if sizes else ""
    raise DataError(f"No data at {path}. Get it with `{command}`.{hint}")


def named(name: str) -> Path:
    """The file of that name, downloaded or made here, as a run's config records it.

    Raises DataError.
    """
    for path in (data_dir() / name, data_dir() / "generated" / name):
        if path.exists():
            return path
    raise DataError(f"{name}, which the run was trained on, is not in {data_dir()}")
