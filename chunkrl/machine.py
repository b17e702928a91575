"""What this computer has, what to do about what it lacks, and how fast it multiplies matrices."""

import contextlib
import os
import sys
import timeit
from pathlib import Path

from chunkrl.errors import ChunkRLError

REFERENCE_GFLOPS = 175.0  # the best of 40 tries on the two CPU cores that the course was timed on
SIZE, REPEATS = 768, 20


def report() -> str:
    """Versions, devices, rendering and data, with a remedy for each thing missing, as text.

    Each is looked at by itself: what is broken is told, and so is the rest.
    """
    from chunkrl.train.runs import versions

    found = {"python": (sys.version.split()[0], "")}
    found |= {name: (version, "") for name, version in versions().items()}
    for name, look in (("devices", _devices), ("rendering", _rendering), ("data", _data)):
        try:
            found[name] = look()
        except Exception as error:  # every library fails in its own way
            fix = "" if isinstance(error, ChunkRLError | OSError) else "reinstall what it names"
            found[name] = " ".join(str(error).split()) or type(error).__name__, fix
    text = ""
    for name, (what, fix) in found.items():
        text += f"{name:10s} {what}\n" + (f"{'':10s} {fix}\n" if fix else "")
    return text.rstrip()


def _devices() -> tuple[str, str]:
    import jax

    from chunkrl import train

    train.require_device()
    gpu = "for an NVIDIA GPU: pip install 'chunkrl[cuda13]' (or cuda12)"
    return ", ".join(map(str, jax.devices())), gpu if jax.default_backend() == "cpu" else ""


def _rendering() -> tuple[str, str]:
    from chunkrl.envs.rendering import rendering_backend

    return rendering_backend(), ""


def _data() -> tuple[str, str]:
    from chunkrl.envs.ogbench.files import data_dir

    try:
        folder, denied = data_dir(), []
    except (ChunkRLError, RuntimeError) as error:  # a user without a home folder
        return str(error), "set CHUNKRL_DATA to a folder"
    names = []
    for parent, folders, files in os.walk(folder, onerror=denied.append):
        names += [f"{Path(name).stem} (unfinished)" for name in folders if name.endswith(".parts")]
        train = [Path(parent, x) for x in files if x.endswith(".npz") and "-val." not in x]
        names += [str(x.relative_to(folder)) for x in train if x.parent.suffix != ".parts"]
    short = str(folder)
    with contextlib.suppress(RuntimeError, ValueError):  # no home, or a folder elsewhere
        short = f"~/{folder.relative_to(Path.home())}"
    found = f"{short}: {', '.join(sorted(names)) or 'empty'}"
    for error in denied:
        if not isinstance(error, FileNotFoundError):
            return f"{found} ({error})", "let yourself read it, or set CHUNKRL_DATA"
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
    multiply()  # compiles it
    seconds = timeit.repeat(multiply, number=1, repeat=REPEATS)
    return 2 * SIZE**3 / min(seconds) / 1e9


def minutes(stated: float, speed: float) -> float:
    """About how long a run of `stated` minutes on the reference takes at `speed` GFLOP/s."""
    return stated * REFERENCE_GFLOPS / speed
