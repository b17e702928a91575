"""How much memory there is, asked before it is taken."""

import contextlib
import resource
from pathlib import Path

import psutil


def shortage(needed: float, free: float | None = None, where: str = "of memory") -> str:
    """Say so where `needed` bytes are more than are free (default: in memory); else empty."""
    free = available() if free is None else free
    return f"{size(needed)} {where} are needed, {size(free)} are free" if needed > free else ""


def available() -> float:
    """The bytes that this process may still take, as far as the system tells."""
    limits = [psutil.virtual_memory().available]
    with contextlib.suppress(OSError, ValueError):  # Linux; "max" is no number
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return min(limits + [limit] * (limit != resource.RLIM_INFINITY))


def size(count: float) -> str:
    """Bytes in words: 1.5 GB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000:
            return f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} PB"
