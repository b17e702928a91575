"""One owner at a time for a file or folder that several processes may want to write."""

import contextlib
import errno
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chunkrl.errors import BusyError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

POLL = 0.1  # seconds between two tries
PATIENCE = 0.5  # seconds before somebody who waits is told what for
BUSY = (errno.EAGAIN, errno.EACCES)
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)

_held: set[int] = set()  # descriptors of this process


@contextlib.contextmanager
def hold(lock: str | Path, doing: str, note: Callable[[str], Any] | None = None) -> Iterator[None]:
    """Mutual exclusion between processes (and threads): at most one is inside for a file `lock`.

    The operating system holds the lock and drops it when the process ends in whatever way, so that
    a `lock` left by a killed process blocks nobody; the next owner removes it.  Its folder has to
    exist.  `doing` completes the sentence "Process 4711 on HOST ..." for others: "makes x.npz".

    With `note`, waits for the owner; after half a second `note` gets the sentence that names it.
    Without, raises BusyError with that sentence.  On a file system without locks nobody is kept
    out.  Not reentrant: who holds `lock` and asks again waits for ever, or is refused.
    """
    lock = Path(lock)
    descriptor = _acquire(lock, doing, note)
    try:
        yield
    finally:
        if descriptor in _held:  # else this is a forked child
            if fcntl is None:
                _drop(descriptor)  # Windows removes no open file
            with contextlib.suppress(OSError):
                lock.unlink()  # before the lock is dropped: afterwards it may be somebody else's
            if fcntl is not None:
                _drop(descriptor)


def sweep(folder: str | Path, name: str = "*") -> None:
    """Remove temporary files and folders `.<name>.<process>.tmp`, which killed processes left.

    For whoever holds the lock under which these are written.
    """
    for left in Path(folder).glob(f".{name}.*.tmp"):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)


def _acquire(lock: Path, doing: str, note: Callable[[str], Any] | None) -> int:
    begin, told = time.monotonic(), False
    while True:
        # Not through a link that somebody laid there: the file is written and removed.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(lock, flags, 0o666)
        except PermissionError:
            if fcntl is not None:
                raise
            time.sleep(POLL)  # Windows, while the owner before removes it
            continue
        _held.add(descriptor)
        try:
            if _take(descriptor) and _is_at(descriptor, lock):
                _sign(descriptor)
                return descriptor
            sentence = f"{_owner(descriptor)} {doing}"
        except BaseException:
            _drop(descriptor)
            raise
        _drop(descriptor)
        if note is None:
            raise BusyError(
                f"{sentence}. Wait until it has ended, stop it, or choose another path."
            )
        if not told and time.monotonic() - begin > PATIENCE:
            note(f"{sentence}: waiting for it")
            told = True
        time.sleep(POLL)


def _drop(descriptor: int) -> None:
    _held.discard(descriptor)
    os.close(descriptor)


def _take(descriptor: int) -> bool:
    """Whether this process now has the lock; also where the file system knows no locks."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # beyond the text, which others read
            windows: Any = msvcrt
            windows.locking(descriptor, windows.LK_NBLCK, 1)
    except OSError as error:
        if error.errno in BUSY:
            return False
        if error.errno not in UNSUPPORTED:
            raise
    return True


def _is_at(descriptor: int, lock: Path) -> bool:
    """Whether the owner before has not removed the file meanwhile, which would lock nothing."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(lock, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _sign(descriptor: int) -> None:
    """Leave a name for those who wait; a full disk must not keep anybody from working."""
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, f"{os.getpid()} on {socket.gethostname()}\n".encode())


def _owner(descriptor: int) -> str:
    with contextlib.suppress(OSError):
        os.lseek(descriptor, 0, os.SEEK_SET)
        if name := os.read(descriptor, 300).decode(errors="replace").strip():
            return f"Process {name}"
    return "Another process"


def _forget() -> None:
    """In a forked child, which must not keep the lock of a parent that is killed."""
    for descriptor in tuple(_held):
        with contextlib.suppress(OSError):
            _drop(descriptor)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
