"""What this computer has, what to do about what it lacks, and how fast it multiplies matrices."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from chunkrl.errors import ChunkRLError

REFERENCE_GFLOPS = 175.0  # the best of 40 tries on the two CPU cores that the course was timed on
SIZE, REPEATS = 768, 20


class Finding(NamedTuple):
    """One thing looked at; `fix` is one line, or "" where nothing is missing."""

    name: str
    found: str
    fix: str = ""


def findings() -> list[Finding]:
    """Versions, devices, rendering and data, with a remedy for each thing missing.

    Each is looked at by itself: what is broken becomes a finding, and the rest is still told.
    """
    from chunkrl.train.runs import versions

    return [
        Finding("python", sys.version.split()[0]),
        *(Finding(name, version) for name, version in versions().items()),
        _found("devices", _devices),
        _found("rendering", _rendering),
        _found("data", _data),
    ]


def _found(name: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except Exception as error:  # every library fails in its own way
        fix = "" if isinstance(error, ChunkRLError | OSError) else "reinstall what it names"
        return Finding(name, " ".join(str(error).split()) or type(error).__name__, fix)


def _devices() -> Finding:
    import jax

    from chunkrl import train

    train.require_device()
    on_cpu = jax.default_backend() == "cpu"
    gpu = "for an NVIDIA GPU: pip install 'chunkrl[cuda13]' (or cuda12)"
    return Finding("devices", ", ".join(map(str, jax.devices())), gpu if on_cpu else "")


def _rendering() -> Finding:
    from chunkrl.envs.rendering import rendering_backend

    return Finding("rendering", rendering_backend())


def _data() -> Finding:
    from chunkrl.envs.ogbench.files import data_dir

    try:
        folder, unreadable = data_dir(), []
    except (ChunkRLError, RuntimeError) as error:  # a user without a home folder
        return Finding("data", str(error), "set CHUNKRL_DATA to a folder")
    names = []
    for parent, folders, files in os.walk(folder, onerror=unreadable.append):
        names += [f"{Path(name).stem} (unfinished)" for name in folders if name.endswith(".parts")]
        npz = [Path(parent, name) for name in files if name.endswith(".npz")]
        whole = [x for x in npz if not x.stem.endswith("-val") and x.parent.suffix != ".parts"]
        names += [str(path.relative_to(folder)) for path in whole]
    found = f"{_short(folder)}: {', '.join(sorted(names)) or 'empty'}"
    if denied := [error for error in unreadable if not isinstance(error, FileNotFoundError)]:
        return Finding(
            "data", f"{found} ({denied[0]})", "let yourself read it, or set CHUNKRL_DATA"
        )
    if not _writable(folder):
        return Finding("data", f"{found} (cannot be written)", "set CHUNKRL_DATA to another folder")
    make = "`chunkrl data make` generates, `chunkrl data download` fetches"
    return Finding("data", found, "" if names else make)


def _writable(folder: Path) -> bool:
    """Whether files can be made in a folder that is there, or will be."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _short(folder: Path) -> str:
    """With ~ for the home folder, as one types it."""
    try:
        home = Path.home()
    except RuntimeError:  # a user without one
        return str(folder)
    return f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) else str(folder)


def report() -> str:
    """The findings as lines of text."""
    lines = []
    for name, found, fix in findings():
        lines.append(f"{name:10s} {found}")
        lines += [f"{'':10s} {fix}"] if fix else []
    return "\n".join(lines)


def gflops() -> float:
    """Billions of float32 operations per second in a matrix product, the best of several tries.

    A ceiling: training also waits for memory and for many small operations.
    """
    import jax
    import jax.numpy as jnp

    matrix = jnp.ones((SIZE, SIZE), jnp.float32)
    product = jax.jit(jnp.matmul)
    product(matrix, matrix).block_until_ready()
    best = float("inf")
    for _ in range(REPEATS):
        begin = time.perf_counter()
        product(matrix, matrix).block_until_ready()
        best = min(best, time.perf_counter() - begin)
    return 2 * SIZE**3 / best / 1e9


def minutes(stated: float, speed: float) -> float:
    """About how long a run of `stated` minutes on the reference takes at `speed` GFLOP/s."""
    return stated * REFERENCE_GFLOPS / speed
