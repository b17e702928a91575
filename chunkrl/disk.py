"""Paths, arrays and files: read checked to the last byte, written whole or not at all."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np

from chunkrl.errors import ConfigError, DataError


def user_path(path: str | os.PathLike[str]) -> Path:
    """The path that a user means by `path`, where a leading ~ is the home folder.

    For every path that enters from outside.  Raises ConfigError for what no file can be named.
    """
    try:
        text = os.fspath(path)
    except TypeError:
        raise ConfigError(f"{path!r} is no path: give a text or a pathlib.Path.") from None
    if not isinstance(text, str) or not text or "\0" in text:
        raise ConfigError(f"No file can have the name {text!r}: choose another path.")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(
            f"The home folder that {text!r} begins with is not known: write the path out."
        ) from None


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
