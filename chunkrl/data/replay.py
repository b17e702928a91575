"""Replay: logs on the device, and transitions of one's own that are added to them in place."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from chunkrl.data.shards import identity
from chunkrl.types import Dataset, Halves, Replay, Ring


class Buffer:
    """The `Source` of an agent that acts: the logs, and the newest `capacity` of what was added.

    Nothing is compiled anew as it grows.  Up to `block` transitions may be added before updates are
    made that do not know of them yet (`Ring.written`), so that many more rows are kept.  With
    `halves` half of each batch is new, else windows are uniform over all.  `added` is what an
    interrupted run had added before.
    """

    interval = 0  # no update at which it is replaced: it changes where something is added

    def __init__(
        self,
        logs: Dataset,
        capacity: int,
        block: int = 1,
        halves: bool = False,
        added: Dataset | None = None,
    ):
        # What is added does not go on where the logs end.
        self._logs = logs._replace(terminal=jnp.asarray(logs.terminal).at[-1].set(1))
        self._block, self._kind = block, Halves if halves else Replay
        self.written = 0 if added is None else len(added.obs)
        length = capacity + block
        rows = Dataset(*(np.zeros((length, *x.shape[1:]), np.float32) for x in logs))
        newest = np.arange(self.written)[-length:]
        for ring, all_added in zip(rows, added or (), strict=added is not None):
            ring[newest % length] = all_added[newest]
        self._new = Ring(jax.device_put(rows), jnp.int32(self.written), jnp.int32(capacity))

    @property
    def identity(self) -> dict[str, Any]:
        return identity(self.at(0))

    def at(self, step: int) -> Replay | Halves:
        """What is drawn from; the next `add` takes its new part away."""
        return self._kind(self._logs, self._new)

    def add(self, rows: Dataset) -> None:
        """Write 1 to `block` transitions behind those that are there.  [k, ...]"""
        count = len(rows.obs)
        whole = [np.zeros((self._block, *x.shape[1:]), np.float32) for x in rows]
        for padded, x in zip(whole, rows, strict=True):
            padded[:count] = x
        self._new = _write(self._new, Dataset(*whole), np.int32(count))
        self.written += count


@partial(jax.jit, donate_argnums=0)
def _write(ring: Ring, rows: Dataset, count) -> Ring:
    """The first `count` of `rows`, in place."""
    number, length = jnp.arange(len(rows.obs)), len(ring.rows.obs)
    # There is no row `length`: what is to be written there is dropped.
    at = jnp.where(number < count, (ring.written + number) % length, length)
    put = lambda into, x: into.at[at].set(x, mode="drop")
    return ring._replace(rows=jax.tree.map(put, ring.rows, rows), written=ring.written + count)
