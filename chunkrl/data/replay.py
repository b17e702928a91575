"""Replay: logs on the device, and transitions of one's own that are added to them in place."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from chunkrl.data.shards import identity
from chunkrl.types import ChunkDataset, Dataset, Halves, Reads, Replay, Ring, Steps


def added_shapes(logs: Dataset | ChunkDataset) -> dict[str, tuple[int, ...]]:
    """Of each array of a transition that is added to `logs`.

    As the logs have them; where they have goals, what is observed is [s, g, what s counts as].
    """
    goal = logs.goal.shape[1] if isinstance(logs, ChunkDataset) else 0
    obs = (logs.obs.shape[1] + 2 * goal,)
    return dict.fromkeys(Dataset._fields, ()) | {
        "obs": obs, "action": logs.action.shape[1:], "next_obs": obs,
    }  # fmt: skip


class Buffer:
    """The `Source` of an agent that acts: the logs, and the newest `capacity` of what was added.

    Nothing is compiled anew as it grows.  Up to `block` transitions may be added before updates are
    made that do not know of them yet (`Ring.written`), so that many more rows are kept.  The agent
    `reads` windows or chunks, uniform over all, or of `halves` half of them new.  `added` is what
    an interrupted run had added before; `normalise` is what was done to observations of the logs.
    """

    interval = 0  # no update at which it is replaced: it changes where something is added

    def __init__(
        self,
        logs: Dataset | ChunkDataset,
        reads: Reads,
        capacity: int,
        block: int = 1,
        added: Dataset | None = None,
        normalise: Callable[[Any], np.ndarray] = np.asarray,
    ):
        if isinstance(logs, Dataset):  # what is added does not go on where the logs end
            logs = logs._replace(terminal=jnp.asarray(logs.terminal).at[-1].set(1))
        self._logs: Any = logs
        self._block, self._reads, self._normalise = block, reads, normalise
        self._kind = Halves if getattr(reads, "halves", False) else Replay
        self._steps = self._chunks = self._episodes = 0  # of the unfinished episode; of all
        none = (np.zeros((0, *shape), np.float32) for shape in added_shapes(logs).values())
        added = added or Dataset(*none)
        self.written, length = len(added.obs), capacity + block + 1  # and the one before them
        kept, newest = self._read(added), np.arange(self.written)[-length:]
        rows = jax.tree.map(lambda x: np.zeros((length, *x.shape[1:]), x.dtype), kept)
        for ring, x in zip(rows, kept, strict=True):
            ring[newest % length] = x[newest]
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

        def padded(ring, x):
            whole = np.zeros((self._block, *ring.shape[1:]), ring.dtype)
            whole[:count] = x
            return whole

        whole = jax.tree.map(padded, self._new.rows, self._read(rows))
        self._new = _write(self._new, whole, np.int32(count))
        self.written += count

    def _read(self, rows: Dataset) -> Dataset | Steps:
        """The next transitions as the agent reads them."""
        obs, next_obs = self._normalise(rows.obs), self._normalise(rows.next_obs)
        if not isinstance(self._logs, ChunkDataset):
            return rows._replace(obs=obs, next_obs=next_obs)
        counts = np.zeros((2, len(rows.obs)), np.int32)
        for i, end in enumerate(rows.terminal):
            self._steps += 1
            self._chunks += self._steps >= self._reads.length
            counts[:, i] = self._chunks, self._episodes
            if end:
                self._steps, self._episodes = 0, self._episodes + 1
        width, goal = self._logs.obs.shape[1], obs.shape[1] - self._logs.goal.shape[1]
        return Steps(obs[:, :width], *rows[1:4], next_obs[:, :width], obs[:, goal:], *counts)


@partial(jax.jit, donate_argnums=0)
def _write(ring: Ring, rows: Dataset | Steps, count) -> Ring:
    """The first `count` of `rows`, in place."""
    number, length = jnp.arange(len(rows.obs)), len(ring.rows.obs)
    # There is no row `length`: what is to be written there is dropped.
    at = jnp.where(number < count, (ring.written + number) % length, length)
    put = lambda into, x: into.at[at].set(x, mode="drop")
    return ring._replace(rows=jax.tree.map(put, ring.rows, rows), written=ring.written + count)
