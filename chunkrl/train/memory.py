"""Whether memory can hold what training is asked for, before anything is compiled."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax

from chunkrl import memory
from chunkrl.data.shards import paths
from chunkrl.errors import ConfigError, TrainingError
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
    arrays = {name: x for name, x in paths(parts).items() if isinstance(x, jax.ShapeDtypeStruct)}
    sizes = {name: x.size * getattr(x.dtype, "itemsize", 4) for name, x in arrays.items()}
    asked, there = sum(sizes.values()), available()
    if asked <= there:
        return
    name = max(sizes, key=lambda name: sizes[name])
    shape = list(arrays[name].shape)
    raise ConfigError(
        f"one update needs {memory.size(asked)} and more, but there are {memory.size(there)} of"
        f" memory: the array {name} of shape {shape} alone takes {memory.size(sizes[name])}."
        f" Choose less than {_settings(agent, batch_size, seeds, shape)}"
    )


def require_room(bytes_needed: int, what: str) -> None:
    """Raise ConfigError where `what` needs more bytes than memory can hold."""
    if short := memory.shortage(bytes_needed, available()):
        raise ConfigError(f"{what} do not fit into memory ({short}): choose a smaller capacity")


def available() -> float:
    """Bytes that the device, or on a CPU this process, may still take, as far as anybody tells."""
    device = jax.local_devices()[0]
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
    sizes = {"batch_size": batch_size, "seeds": seeds, **_sizes(agent)}
    longest = max(shape, default=None)
    chosen = {k: v for k, v in sizes.items() if longest in (v if isinstance(v, tuple) else (v,))}
    return ", ".join(f"{name}={size}" for name, size in (chosen or sizes).items())


def _sizes(part: Any) -> dict[str, Any]:
    """The whole numbers among the settings of an agent and of the parts it is made of."""
    sizes: dict[str, Any] = {}
    for field in dataclasses.fields(part) if dataclasses.is_dataclass(part) else ():
        value = getattr(part, field.name)
        sizes |= {field.name: value} if type(value) in (int, tuple) else _sizes(value)
    return sizes
