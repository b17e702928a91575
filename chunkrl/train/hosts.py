"""Several processes, of one host or of many, as one run: each trains its share of the seeds.

An update needs nothing of another process; they meet where rows and checkpoints are written, which
the first of them does.  Without `jax.distributed` there is one process, and nothing to meet for.
"""

import json
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from chunkrl.errors import ConfigError


def join() -> None:
    """Find the other processes, as `jax.distributed` knows them: of Slurm or Open MPI.

    Elsewhere call `jax.distributed.initialize(address, count, index)` before anything else of JAX.
    Raises ConfigError.
    """
    try:
        jax.distributed.initialize()
    except (ValueError, RuntimeError) as error:
        raise ConfigError(
            f"--distributed finds no other processes ({error}): start it with srun or mpirun"
        ) from None


def first() -> bool:
    """Whether this process writes what all of them found."""
    return jax.process_index() == 0


def share(seeds: Sequence[int]) -> slice:
    """Which of the seeds are this process's: as many as every other's.  Raises ConfigError."""
    count, rest = divmod(len(seeds), jax.process_count())
    if rest:
        raise ConfigError(
            f"{len(seeds)} seeds cannot be shared by {jax.process_count()} processes: give a"
            " multiple of that"
        )
    return slice(jax.process_index() * count, (jax.process_index() + 1) * count)


def meet(what: str) -> None:
    """Wait until every process is here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)


def together(states: Any) -> Any:
    """The states of all seeds, of those of each process.  [S/P, ...] -> [S, ...]"""
    if jax.process_count() == 1:
        return states
    return multihost_utils.process_allgather(states, tiled=True)


def all_rows(rows: list[dict]) -> list[dict]:
    """The rows of all seeds, of those of each process."""
    if jax.process_count() == 1:
        return rows
    text = np.frombuffer(json.dumps(rows).encode(), np.uint8)
    sizes = multihost_utils.process_allgather(np.array([text.size]), tiled=True)
    padded = np.pad(text, (0, int(sizes.max()) - text.size), constant_values=ord(" "))
    return [row for x in multihost_utils.process_allgather(padded) for row in json.loads(bytes(x))]
