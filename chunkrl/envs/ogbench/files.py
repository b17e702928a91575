"""Where data files lie."""

import os
from pathlib import Path

from chunkrl.envs.ogbench.recipes import whole
from chunkrl.errors import DataError

OGBENCH_FOLDER = "~/.ogbench/data"  # where OGBench puts its own downloads


def data_dir() -> Path:
    """The folder of datasets: the environment variable CHUNKRL_DATA, else OGBench's own."""
    return Path(os.environ.get("CHUNKRL_DATA") or OGBENCH_FOLDER).expanduser()


def official_path(dataset: str, folder: str | Path | None = None) -> Path:
    """Where OGBench keeps its file of `dataset`, for example cube-single-play-v0."""
    return _folder(folder) / f"{dataset}.npz"


def generated_path(
    dataset: str, transitions: int, seed: int = 0, folder: str | Path | None = None
) -> Path:
    """Where a locally made file lies; its name tells its size, so none passes for the official."""
    suffix = f"-seed{seed}" if seed else ""
    return _folder(folder) / "generated" / f"{dataset}-{transitions}{suffix}.npz"


def val_path(path: Path) -> Path:
    """The validation file that belongs to the train file `path`."""
    return path.with_name(f"{path.stem}-val.npz")


def locate(dataset: str, transitions: int | None = None, folder: str | Path | None = None) -> Path:
    """The train file of `dataset`: the official one, or the locally made one of a given size.

    The size counts whole episodes, as in `generate`.  Raises DataError, with the command that gets
    the file, where it is not there.
    """
    if transitions is None:
        path, command = official_path(dataset, folder), f"chunkrl data download {dataset}"
    else:
        path = generated_path(dataset, whole(dataset, transitions), folder=folder)
        command = f"chunkrl data make {dataset} --transitions {transitions}"
    if path.exists():
        return path
    others = sorted(path.name for path in (_folder(folder) / "generated").glob(f"{dataset}-*.npz"))
    sizes = [name.removesuffix(".npz") for name in others if not name.endswith("-val.npz")]
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


def _folder(folder: str | Path | None) -> Path:
    return data_dir() if folder is None else Path(folder).expanduser()
