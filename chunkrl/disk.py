"""Paths, arrays and files: read checked to the last byte, written whole or not at all."""

import contextlib
import errno
import glob
import json
import os
import re
import shutil
import stat
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil

from chunkrl import memory
from chunkrl.errors import ChunkRLError, ConfigError, DataError, WriteError

AGAIN = "Remove it, then download or generate it again."
PLAIN = str | int | float | None
DEEPEST = 20  # lists in lists in JSON that is ours; Python's own limit is not the same everywhere


def user_path(path: str | os.PathLike[str]) -> Path:
    """The path that a user means by `path`, where a leading ~ is the home folder.

    For every path that enters from outside.  Raises ConfigError for what no file can be named.
    """
    try:
        found = Path(path).expanduser()
    except (TypeError, RuntimeError) as error:  # a number, or the home of nobody
        raise ConfigError(f"{path!r} is no path ({error}): choose another path.") from None
    if not os.fspath(path) or "\0" in str(found):
        raise ConfigError(f"No file can have the name {path!r}: choose another path.")
    return found


def read(path: str | Path, keys: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an npz file (all, or those of `keys` that it has), checked to the last byte.

    Never unpickles.  Raises DataError for what is no file, or one that is missing, truncated,
    damaged, foreign, or larger than memory; every changed bit that touches an array is found.
    """
    with _archive(path) as (archive, members):
        wanted = members if keys is None else {k: members[k] for k in keys if k in members}
        if short := memory.shortage(sum(member.file_size for member in wanted.values())):
            raise DataError(f"{path} is too large to be read here: {short}.")
        arrays = {}
        for name, member in wanted.items():
            try:
                with archive.open(member) as file:
                    arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
                    if file.read(1):  # at the end zipfile compares the checksum
                        raise ValueError("its header and its size disagree")
            except Exception as error:
                cause = f"{path}: the array {name!r} cannot be read ({_cause(error)})"
                raise DataError(f"{cause}. {AGAIN}") from error
        return arrays


def names(path: str | Path) -> list[str]:
    """The names of the arrays of an npz file.  Raises DataError like `read`."""
    with _archive(path) as (_, members):
        return list(members)


def open_file(path: str | Path) -> IO[bytes]:
    """Open a regular file to be read.  Raises DataError; a pipe would make its reader wait."""
    path = user_path(path)
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "folder" if stat.S_ISDIR(mode) else "pipe" if stat.S_ISFIFO(mode) else "device"
            raise DataError(f"{path} is a {kind}, not a file. Give the path of a file.")
        return open(path, "rb")
    except FileNotFoundError:
        raise DataError(f"There is no file {path}. Check the path.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {explained(error)}") from error


@contextlib.contextmanager
def _archive(path: str | Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    """An npz file and its members by the names of their arrays; damage becomes a DataError."""
    with open_file(path) as file:
        start = file.read(6)
        if start == b"\x93NUMPY":
            raise DataError(f"{path} is a single array: an npz of named arrays is needed.")
        try:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
                file.seek(-12 - len(archive.comment), os.SEEK_END)  # how many there should be
                if int.from_bytes(file.read(2), "little") != len(entries):
                    raise zipfile.BadZipFile("its directory lacks some arrays")
                members = {entry.filename.removesuffix(".npy"): entry for entry in entries}
                if len(members) < len(entries):
                    raise zipfile.BadZipFile("two arrays have one name")
                for entry in entries:
                    archive.open(entry).close()  # compares the name with that beside the data
                yield archive, members
        except ChunkRLError:
            raise
        except Exception as error:  # zipfile and zlib answer damage with a dozen types
            if not start.startswith(b"PK"):
                raise DataError(f"{path} is no npz archive but another kind of file.") from error
            what = f"is not a complete npz archive ({error}), but cut off or damaged"
            raise DataError(f"{path} {what}. {AGAIN}") from error


def read_json(path: Path) -> Any:
    """What a JSON file holds.  Raises DataError, naming it, where that is damaged."""
    try:
        with open_file(path) as file:
            value = json.load(file)
        layer = [value]
        for _ in range(DEEPEST):
            inner = [x.values() if isinstance(x, dict) else x for x in layer]
            layer = [y for x in inner if not isinstance(x, PLAIN) for y in x]
        if layer:
            raise ValueError("too many lists inside one another")
    except (DataError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged ({_cause(error)})") from error
    return value


def write_json(path: Path, value: Any) -> None:
    """`write` of `value` as JSON."""
    write(path, lambda file: file.write((json.dumps(value, indent=2) + "\n").encode()))


def _cause(error: Exception) -> str:
    return str(error) or type(error).__name__


def write(path: str | Path, save: Callable[[IO[bytes]], Any]) -> None:
    """Write through a temporary name: under `path` there is always a whole file or none.

    Raises WriteError, with path and remedy, where the system refuses or the disk is full.
    """
    path = user_path(path)
    temporary = temporary_name(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent, path.name, alone=False)
        try:
            with open(temporary, "wb") as file:
                save(file)
                file.flush()
                os.fsync(file.fileno())  # a full disk may show only here
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def temporary_name(path: Path) -> Path:
    """Where this thread of this process prepares what will be `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident():x}.tmp")


def sweep(folder: str | Path, name: str | None = None, *, alone: bool = True) -> None:
    """Remove temporary files and folders (of what will be `name`) that killed processes left.

    Who is not `alone`, by a lock under which they are written, spares those of living processes.
    """
    for left in Path(folder).glob(f".{glob.escape(name) if name else '*'}.*.tmp"):
        owner = re.fullmatch(r".*\.(\d{1,9})(-[0-9a-f]+)?\.tmp", left.name)
        if not alone and (owner is None or psutil.pid_exists(int(owner[1]))):
            continue
        with contextlib.suppress(OSError):  # somebody else was quicker, or may and we may not
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()


def require_room(folder: str | Path, disk: int, memory_needed: int, what: str) -> None:
    """Raise ConfigError where `what` needs more bytes than memory or the disk of `folder` has."""
    free = shutil.disk_usage(folder).free
    short = memory.shortage(disk, free, "on the disk") or memory.shortage(memory_needed)
    if short:
        raise ConfigError(f"{what} does not fit in {folder}: {short}. Ask for less or make room.")


def require_writable(path: Path) -> None:
    """Raise WriteError where no file can be written at `path`; for before the work."""
    with writing(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        write(temporary_name(path), lambda file: file.write(b" "))
        temporary_name(path).unlink()


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Raise WriteError, with path and remedy, where the system refuses what this block does."""
    try:
        yield
    except OSError as error:
        raise WriteError(f"{path} cannot be written: {explained(error)}") from error


REMEDIES = {
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT), "Free some space, or choose a place on another disk"
    ),
    errno.EFBIG: "Raise the limit (`ulimit -f`), or choose another file system",
    errno.EIO: "The disk or the network may be failing: choose a place elsewhere",
    errno.EMFILE: "Close some files, or raise the limit (`ulimit -n`)",
    errno.ENOMEM: "Close other programs",
    errno.EPIPE: "What reads the output has ended: keep it open",
}


def explained(error: OSError) -> str:
    """What the system said and what to do about it, as a sentence."""
    what = error.strerror or _cause(error)
    remedy = REMEDIES.get(error.errno or 0, "Choose another path")
    return f"{what}. {remedy}, then repeat what was done."
