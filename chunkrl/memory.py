"""How much memory there is, asked before it is taken."""

import contextlib
import os
from pathlib import Path


def shortage(size: int) -> str:
    """Say so where `size` bytes are more than this process can have now; empty where they fit."""
    free = available()
    if size <= free:
        return ""
    return f"{size / 1e9:.3g} GB of memory are needed, {free / 1e9:.3g} GB are free"


def available() -> float:
    """The bytes that this process may still take, as far as the system tells."""
    limits = []
    with contextlib.suppress(OSError, ValueError, AttributeError):  # no POSIX system
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with contextlib.suppress(OSError, ValueError):  # Linux; "max" is no number
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    with contextlib.suppress(OSError):  # Linux
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(1024 * int(line.split()[1]))
    with contextlib.suppress(ImportError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        limits += [limit] if limit != resource.RLIM_INFINITY else []
    return min(limits, default=float("inf"))
