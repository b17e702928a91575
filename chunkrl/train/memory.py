"""Whether memory can hold what training is asked for, before anything is compiled."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax

from chunkrl import memory
from chunkrl.errors import ConfigError, TrainingError
from chunkrl.train.checkpoint import paths
from chunkrl.types import Agent


def require(agent: Agent, dataset: Any, batch_size: int, seeds: int) -> None:
    """Raise ConfigError where the arrays of one update alone are more than memory can hold.

    That is the states of all seeds, and of one seed a batch and its noise: less than is needed, so
    that nothing is refused which fits.  Shapes also tell whether `dataset` is what `agent` draws.
    """
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(agent.init, key)
    parts = {
        "state": jax.tree.map(lambda x: jax.ShapeDtypeStruct((seeds, *x.shape), x.dtype), state),
        "batch": jax.eval_shape(partial(agent.draw, size=batch_size), key, dataset),
        "noise": jax.eval_shape(partial(agent.noise, size=batch_size), key),
    }
    require_arrays(parts, agent, batch_size, seeds)


def require_arrays(parts: dict[str, Any], agent: Agent, batch_size: int, seeds: int) -> None:
    """Raise ConfigError where memory cannot hold `parts`, naming the largest array."""
    arrays = {name: x for name, x in paths(parts).items() if isinstance(x, jax.ShapeDtypeStruct)}
    asked, there = sum(map(_bytes, arrays.values())), available()
    if asked <= there:
        return
    name, largest = max(arrays.items(), key=lambda item: _bytes(item[1]))
    shape = list(largest.shape)
    raise ConfigError(
        f"one update needs {memory.size(asked)} and more, but there are {memory.size(there)} of"
        f" memory: the array {name} of shape {shape} alone takes {memory.size(_bytes(largest))}."
        f" Choose less than {_settings(agent, batch_size, seeds, shape)}"
    )


def available() -> float:
    """Bytes that the device, or on a CPU this process, may still take, as far as anybody tells."""
    device = jax.devices()[0]
    if device.platform == "cpu":
        return memory.available()
    return (device.memory_stats() or {}).get("bytes_limit", math.inf)


@contextmanager
def sentences(agent: Agent, batch_size: int) -> Iterator[None]:
    """Make a sentence of JAX's error where memory runs out all the same."""
    try:
        yield
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        cause = str(error).partition("\n")[0] or "MemoryError"
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise TrainingError(
            f"memory ran out ({cause}). Choose less than {_settings(agent, batch_size, 1)}; the"
            " last checkpoint is kept"
        ) from error


def _settings(agent: Agent, batch_size: int, seeds: int, shape: Sequence[int] = ()) -> str:
    """The sizes that were given; those that the longest axis of `shape` has, if there are any."""
    sizes: dict[str, Any] = {"batch_size": batch_size, "seeds": seeds}
    for field in dataclasses.fields(agent) if dataclasses.is_dataclass(agent) else ():
        if type(value := getattr(agent, field.name)) in (int, tuple):
            sizes[field.name] = value
    values = lambda size: size if isinstance(size, tuple) else (size,)
    chosen = {k: v for k, v in sizes.items() if max(shape, default=None) in values(v)}
    return ", ".join(f"{name}={size}" for name, size in (chosen or sizes).items())


def _bytes(array: jax.ShapeDtypeStruct) -> int:
    return math.prod(array.shape) * getattr(array.dtype, "itemsize", 4)
