"""Room on disks and in memory: asked for before work begins, and explained when it ends."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from chunkrl.errors import ConfigError, DataError

FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EFBIG: "files may not grow that large here (`ulimit -f`)",
    **({errno.EDQUOT: "the quota is used up"} if hasattr(errno, "EDQUOT") else {}),
}


@contextlib.contextmanager
def explained(path: str | Path, remedy: str) -> Iterator[None]:
    """Raise DataError, naming `path` and `remedy`, where a write in this block finds no room."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise DataError(f"{path} cannot be written: {FULL[error.errno]}. {remedy}") from error


def require(folder: str | Path, disk: int, memory: int, what: str) -> None:
    """Raise ConfigError where `what` asks for more bytes than `folder`'s disk or this machine has.

    Of memory that which is built in counts, as the rest may be freed.
    """
    free = shutil.disk_usage(folder).free
    if disk > free:
        raise ConfigError(
            f"{what} needs {size(disk)} on the disk of {folder}, where {size(free)} are free: ask"
            " for less, make room or choose another path."
        )
    built_in = _memory()
    if built_in and memory > built_in:
        raise ConfigError(
            f"{what} needs {size(memory)} of memory, and this machine has {size(built_in)}: ask for"
            " less."
        )


def size(count: int) -> str:
    """Bytes in words: 1.5 GB."""
    units = ("B", "kB", "MB", "GB", "TB", "PB")
    power = min((len(str(count)) - 1) // 3, len(units) - 1)
    return f"{count / 1000**power:,.1f} {units[power]}" if power else f"{count} B"


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return None
