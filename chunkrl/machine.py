"""What this computer has, what to do about what it lacks, and how fast it multiplies matrices."""

import sys
import time
from pathlib import Path
from typing import NamedTuple

REFERENCE_GFLOPS = 175.0  # the best of 40 tries on the two CPU cores that the course was timed on
SIZE, REPEATS = 768, 20


class Finding(NamedTuple):
    """One thing looked at; `fix` is one line, or "" where nothing is missing."""

    name: str
    found: str
    fix: str = ""


def findings() -> list[Finding]:
    """Versions, devices, rendering and data, with a remedy for each thing missing."""
    import jax

    from chunkrl import data
    from chunkrl.envs.rendering import rendering_backend
    from chunkrl.experiments import experiment

    versions = {"python": sys.version.split()[0], **experiment.versions()}
    folder = data.data_dir()
    files = sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*.npz")
        if not path.stem.endswith("-val") and path.parent.suffix != ".parts"
    )
    files += sorted(f"{path.stem} (unfinished)" for path in folder.rglob("*.parts"))
    on_cpu = jax.default_backend() == "cpu"
    gpu = "for an NVIDIA GPU: pip install 'chunkrl[cuda13]' (or cuda12)"
    make = "`chunkrl data make` generates, `chunkrl data download` fetches"
    return [
        *(Finding(name, version) for name, version in versions.items()),
        Finding("devices", ", ".join(map(str, jax.devices())), gpu if on_cpu else ""),
        Finding("rendering", rendering_backend()),
        Finding("data", f"{_short(folder)}: {', '.join(files) or 'empty'}", "" if files else make),
    ]


def _short(folder: Path) -> str:
    """With ~ for the home folder, as one types it."""
    inside = folder.is_relative_to(Path.home())
    return f"~/{folder.relative_to(Path.home())}" if inside else str(folder)


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
