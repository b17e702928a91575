"""Small results that come with the package: a file that cannot be read names what makes it."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from chunkrl import disk
from chunkrl.errors import DataError

Row = TypeVar("Row")


def arrays(path: Path, names: Iterable[str], command: str) -> dict[str, np.ndarray]:
    """The arrays `names` of an npz file, never unpickled.  Raises DataError."""
    try:
        found = disk.read(path, names)
        return {name: found[name] for name in names}
    except DataError as error:
        raise DataError(f"{error} Make it again: {command}") from error
    except KeyError as error:
        raise DataError(f"{path} has no array {error}. Make it again: {command}") from error


def save_arrays(path: Path, named: dict[str, np.ndarray]) -> None:
    """Write an npz without pickle; `path` holds a whole file or what it held before."""
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **named)
    disk.write(path, lambda file: file.write(stream.getvalue()))
    print(f"{path.name}: {len(stream.getvalue()) / 1000:.0f} kB")


def rows(path: Path, read: Callable[[dict[str, str]], Row], command: str) -> list[Row]:
    """Every row of a csv file with a header, as `read` understands it.  Raises DataError."""
    try:
        with path.open(newline="") as file:
            return [read(row) for row in csv.DictReader(file)]
    except KeyError as error:
        raise DataError(f"{path} has no column {error}. Make it again: {command}") from error
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: {error}. Make it again: {command}") from error


def save_rows(path: Path, header: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """Write a csv; `path` holds a whole file or what it held before."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *lines])
    disk.write(path, lambda file: file.write(text.getvalue().encode()))
