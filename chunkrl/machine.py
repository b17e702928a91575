"""What this computer has, what to do about what it lacks, and how fast it multiplies matrices."""

import os
import sys
import timeit
from pathlib import Path

from chunkrl.errors import ChunkRLError

REFERENCE_GFLOPS = 175.0  # the best of 40 tries on the two CPU cores that the course was timed on
SIZE, REPEATS = 768, 20


def report() -> str:
    """Versions, devices, rendering and data as lines, with a remedy for each thing missing.

    Each is looked at by itself: what is broken is said, and the rest is still told.
    """
    from chunkrl.train.runs import versions

    found = {"python": sys.version.split()[0], **versions()}
    lines = [f"{name:10s} {version}" for name, version in found.items()]
    for name, look in (("devices", _devices), ("rendering", _rendering), ("data", _data)):
        try:
            what, fix = look()
        except Exception as error:  # every library fails in its own way
            what = " ".join(str(error).split()) or type(error).__name__
            fix = "" if isinstance(error, ChunkRLError | OSError) else "reinstall what it names"
        lines += [f"{name:10s} {what}", *([f"{'':10s} {fix}"] if fix else [])]
    return "\n".join(lines)


def _devices() -> tuple[str, str]:
    import jax

    from chunkrl import train

    train.require_device()
    on_cpu = jax.default_backend() == "cpu"
    gpu = "for an NVIDIA GPU: pip install 'chunkrl[cuda13]' (or cuda12)"
    return ", ".join(map(str, jax.devices())), gpu if on_cpu else ""


def _rendering() -> tuple[str, str]:
    from chunkrl.envs.rendering import rendering_backend

    return rendering_backend(), ""


def _data() -> tuple[str, str]:
    from chunkrl.envs.ogbench.files import data_dir

    try:
        folder, unreadable = data_dir(), []
    except (ChunkRLError, RuntimeError) as error:  # a user without a home folder
        return str(error), "set CHUNKRL_DATA to a folder"
    names = []
    for parent, folders, files in os.walk(folder, onerror=unreadable.append):
        names += [f"{Path(name).stem} (unfinished)" for name in folders if name.endswith(".parts")]
        npz = [Path(parent, name) for name in files if name.endswith(".npz")]
        whole = [x for x in npz if not x.stem.endswith("-val") and x.parent.suffix != ".parts"]
        names += [str(path.relative_to(folder)) for path in whole]
    home = os.path.expanduser("~")  # as one types it
    short = f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) else str(folder)
    found = f"{short}: {', '.join(sorted(names)) or 'empty'}"
    if denied := [error for error in unreadable if not isinstance(error, FileNotFoundError)]:
        return f"{found} ({denied[0]})", "let yourself read it, or set CHUNKRL_DATA"
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return f"{found} (cannot be written)", "set CHUNKRL_DATA to another folder"
    make = "`chunkrl data make` generates, `chunkrl data download` fetches"
    return found, "" if names else make


def gflops() -> float:
    """Billions of float32 operations per second in a matrix product, the best of several tries.

    A ceiling: training also waits for memory and for many small operations.
    """
    import jax
    import jax.numpy as jnp

    matrix = jnp.ones((SIZE, SIZE), jnp.float32)
    product = jax.jit(jnp.matmul)
    multiply = lambda: product(matrix, matrix).block_until_ready()
    multiply()  # compiles
    return 2 * SIZE**3 / min(timeit.repeat(multiply, number=1, repeat=REPEATS)) / 1e9


def minutes(stated: float, speed: float) -> float:
    """About how long a run of `stated` minutes on the reference takes at `speed` GFLOP/s."""
    return stated * REFERENCE_GFLOPS / speed
