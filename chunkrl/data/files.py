"""Where data files lie, and reading and writing them whole or not at all."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np

from chunkrl.data.recipes import whole
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


def read(path: str | Path, keys: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an npz file (all, or those of `keys` that it has), checked to the last byte.

    Never unpickles.  Raises DataError for a file that is missing, truncated, damaged or foreign.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:  # np.load itself would leave a damaged file open
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise DataError(f"{path} is a single array: an npz of named arrays is needed.")
            names = archive.files if keys is None else [key for key in keys if key in archive.files]
            return {name: _member(path, archive, name) for name in names}
    except FileNotFoundError:
        raise DataError(f"There is no file {path}. Check the path.") from None
    except DataError:
        raise
    except Exception as error:  # NumPy and zipfile answer damage with a dozen types
        if not _is_zip(path):
            raise DataError(f"{path} is no npz archive but another kind of file.") from error
        raise DataError(
            f"{path} is not a complete npz archive ({error}): it was cut off or damaged. Remove it,"
            " then download or generate it again."
        ) from error


def _is_zip(path: Path) -> bool:
    """Whether the file begins as zip archives do, also those that lack their end."""
    with open(path, "rb") as file:
        return file.read(2) == b"PK"


def _member(path: Path, archive: Any, name: str) -> np.ndarray:
    try:
        return archive[name]
    except Exception as error:
        raise DataError(
            f"{path}: the array {name!r} cannot be read ({error}). Remove the file, then download"
            " or generate it again."
        ) from error


def write(path: str | Path, save: Callable[[IO[bytes]], Any]) -> None:
    """Write through a temporary name: under `path` there is always a whole file or none."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            save(file)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
