"""One owner at a time for a file or folder that several processes may want to write."""

import contextlib
import errno
import os
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from chunkrl import disk
from chunkrl.errors import BusyError

POLL = 0.1  # seconds between two tries
PATIENCE = 0.5  # seconds before somebody who waits is told what for
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)


@contextlib.contextmanager
def hold(lock: str | Path, doing: str, note: Callable[[str], Any] | None = None) -> Iterator[None]:
    """Mutual exclusion between processes (and threads): at most one is inside for a file `lock`.

    The operating system drops the lock of a process that ends in whatever way.  The folder has to
    exist.  `doing` completes the sentence "Process 4711 on HOST ..." for others: "makes x.npz".
    With `note`, waits for the owner; after half a second `note` gets the sentence that names it.
    Without, raises BusyError with that sentence.  On a file system without locks nobody is kept
    out.  Not reentrant.
    """
    lock, process = Path(lock), os.getpid()
    system = FileLock(lock, poll_interval=POLL, fallback_to_soft=False)
    try:
        try:
            system.acquire(timeout=PATIENCE if note else 0)
        except Timeout:
            owner = "Another process"
            with contextlib.suppress(OSError):
                if name := lock.read_text(errors="replace").strip():
                    owner = f"Process {name}"
            if note is None:
                raise BusyError(
                    f"{owner} {doing}. Wait until it has ended, stop it, or choose another path."
                ) from None
            note(f"{owner} {doing}: waiting for it")
            system.acquire()
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    try:
        with contextlib.suppress(OSError):  # a full disk must not keep anybody from working
            lock.write_text(f"{process} on {socket.gethostname()}\n")
        yield
    finally:
        try:
            if os.getpid() == process:  # not in a forked child
                with contextlib.suppress(OSError):
                    lock.unlink()  # before it is released: afterwards it may be somebody else's
        finally:
            system.release()


def held(lock: Path) -> bool:
    """Whether somebody is inside, as the file says: a process that lives, or one of another host.

    The lock itself is left alone, so that nobody is kept out by who only looks.
    """
    try:
        process, _, host = lock.read_text(errors="replace").strip().partition(" on ")
    except OSError:
        return False
    return (
        host != socket.gethostname() or not process.isdecimal() or psutil.pid_exists(int(process))
    )


@contextlib.contextmanager
def making(target: Path, verb: str, progress: bool) -> Iterator[None]:
    """Work on `target`, whose folder is made, alone: waits for others, and tells with `progress`.

    In a folder that cannot be written, finished files can still be read: nobody is kept out.
    Raises WriteError for all that the system refuses.
    """
    lock, note = target.with_name(f".{target.name}.lock"), partial(print, file=sys.stderr)
    with disk.writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        alone = hold(lock, f"{verb} {target}", note if progress else str)
        with alone if os.access(target.parent, os.W_OK) else contextlib.nullcontext():
            yield
