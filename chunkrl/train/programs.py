"""Compiled programs: many updates of several seeds at once, and acting."""

import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from operator import itemgetter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from chunkrl.train import compiler
from chunkrl.types import Agent, Metrics


def init(agent: Agent, keys) -> Any:
    """Fresh training states, one per key.  [S] -> leaves [S, ...]"""
    return stack([_initial()(agent, key) for key in keys])


@cache
def _initial() -> Callable:
    """The program of one seed: for however many, it is compiled once."""
    options = compiler.options(1, quick=True)
    return jax.jit(lambda agent, key: agent.init(key), static_argnums=0, compiler_options=options)


def drawn(agent: Agent, dataset, batch_size: int, key) -> tuple[Any, Any]:
    """A batch, and the noise of one update on it."""
    key_draw, key_noise = jax.random.split(key)
    return agent.draw(key_draw, dataset, batch_size), agent.noise(key_noise, batch_size)


@partial(jax.jit, static_argnums=0)
def update(agent: Agent, state, batch, key) -> tuple[Any, Metrics]:
    """One update of one seed on a batch that the caller drew."""
    return agent.step(state, batch, agent.noise(key, len(jax.tree.leaves(batch)[0])))


def places(count: int) -> NamedSharding | None:
    """Where to train so many seeds: over this process's devices, or None where one is enough.

    Of the devices no more than are of use: 6 seeds take 3 of 4, two on each.
    """
    devices = jax.local_devices()
    used = -(-count // -(-count // len(devices)))
    return NamedSharding(Mesh(np.array(devices[:used]), "seed"), P("seed")) if used > 1 else None


def spread(tree: Any, where: NamedSharding | None) -> Any:
    """Seeds over the devices of `where`.  [S, ...] -> [S', ...]

    S' > S where S does not come out even: the first are there once more, for nobody to look at.
    """
    if where is None:
        return tree
    count = len(jax.tree.leaves(tree)[0])
    row = np.arange(count + -count % where.num_devices) % count
    tree = tree if len(row) == count else jax.tree.map(lambda leaf: leaf[row], tree)
    return jax.device_put(tree, where)


def gathered(tree: Any, where: NamedSharding | None, count: int) -> Any:
    """What `spread` has spread, as arrays of NumPy.  [S', ...] -> [S, ...]"""
    return tree if where is None else jax.tree.map(lambda leaf: np.asarray(leaf)[:count], tree)


class Report(NamedTuple):
    """What updates of a seed, or of each of several, say."""

    mean: Mapping[str, Any]  # []  each metric's mean over the updates
    bad: Mapping[str, Any]  # []   the first update at which it was not finite; else all
    finite: Any  # []  whether every parameter is finite afterwards


def update_many(
    agent: Agent, updates: int, batch_size: int, states, dataset, keys, quick: bool = False
) -> tuple[Any, Report]:
    """`updates` steps of every seed, each on a batch drawn from `dataset` inside the scan.

    Leaves of `states` and `keys` are [S, ...]; what is `spread` is updated where it is.  The
    buffers of `states` are donated: they cannot be used afterwards.  `quick`: `compiler.options`.
    """
    where = jax.tree.leaves(states)[0].sharding
    if where.num_devices > 1:
        program = _spread(most_rows(agent, batch_size), where.mesh, quick)
        dataset = jax.device_put(dataset, where.update(spec=P()))
        return program(agent, updates, batch_size, states, dataset, spread(keys, where))
    if jax.default_backend() != "cpu":
        return _seeds(agent, updates, batch_size, states, dataset, keys)

    # On a CPU batched matrix products leave the cores idle, and those of one seed are too small to
    # fill them: there each seed is a program in a thread of its own.
    program = learning(_update_seed, 3, most_rows(agent, batch_size), quick)

    def run(state, key):
        return jax.block_until_ready(program(agent, updates, batch_size, state, dataset, key))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return stack([*pool.map(run, *zip(*unstack((states, keys)), strict=True))])


# Drawn in one go: what so many updates need, at most, and so many bytes, which a cache still holds.
MOST_UPDATES, MOST_BYTES = 50, 2**22


def _update_seed(agent: Agent, updates: int, batch_size: int, state, dataset, key):
    draw = lambda i: drawn(agent, dataset, batch_size, jax.random.fold_in(key, i))

    # Drawn one at a time, random numbers take as long as a small network.
    def several(state, steps):
        return jax.lax.scan(lambda state, x: agent.step(state, *x), state, jax.vmap(draw)(steps))

    count = drawn_together(draw, updates)
    state, metrics = jax.lax.scan(several, state, jnp.arange(updates).reshape(-1, count))
    mean = jax.tree.map(jnp.mean, metrics)
    bad = jax.tree.map(lambda x: jnp.argmin(jnp.append(jnp.isfinite(x), False)), metrics)
    return state, Report(mean, bad, all_finite(state))


def drawn_together(draw: Callable, updates: int) -> int:
    """How many of `updates` have their batches and noise, `draw(i)`, drawn in one go: a divisor."""
    size = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(jax.eval_shape(draw, 0)))
    most = max(1, min(MOST_UPDATES, MOST_BYTES // size))
    return max(n for n in range(1, most + 1) if updates % n == 0)


def all_finite(state) -> jax.Array:
    """Whether every number of a state is finite.  -> []"""
    return jnp.stack([jnp.isfinite(x).all() for x in jax.tree.leaves(state)]).all()


def most_rows(agent: Agent, batch_size: int) -> int:
    """No network sees more rows at once than there are of noise: one for every candidate."""
    noise = jax.eval_shape(partial(agent.noise, size=batch_size), jax.random.key(0))
    return max((math.prod(leaf.shape[:-1]) for leaf in jax.tree.leaves(noise)), default=batch_size)


@cache
def learning(function: Callable, sizes: int, rows: int, quick: bool = False) -> Callable:
    """`function` of so many sizes, then a state that is donated; networks see `rows` at once."""
    options, static = compiler.options(rows, quick), (*range(sizes),)
    return jax.jit(function, static_argnums=static, donate_argnums=sizes, compiler_options=options)


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def _seeds(agent, updates, batch_size, states, dataset, keys):
    run = partial(_update_seed, agent, updates, batch_size)
    return jax.vmap(run, (0, None, 0))(states, dataset, keys)


@cache
def _spread(rows: int, mesh: Mesh, quick: bool) -> Callable:
    """Each device updates its own seeds, and hears nothing of the others."""

    def run(agent, updates, batch_size, states, dataset, keys):
        one = partial(_update_seed, agent, updates, batch_size)
        own = jax.vmap(one, (0, None, 0))
        if jax.default_backend() == "cpu":  # the program of one seed, so that it gives its bits
            own = lambda states, data, keys: jax.lax.map(
                lambda seed: one(seed[0], data, seed[1]), (states, keys)
            )
        specs = P("seed"), P(), P("seed")
        shared = jax.shard_map(own, mesh=mesh, in_specs=specs, out_specs=P("seed"), check_vma=False)
        return shared(states, dataset, keys)

    options = compiler.options(rows, quick)
    return jax.jit(run, static_argnums=(0, 1, 2), donate_argnums=3, compiler_options=options)


@jax.jit
def unstack(tree) -> list:
    """Leaves [S, ...] -> S trees"""
    count = len(jax.tree.leaves(tree)[0])
    return [jax.tree.map(itemgetter(i), tree) for i in range(count)]


@jax.jit
def stack(trees: list):
    """S trees -> leaves [S, ...]"""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def act(agent: Agent, state, obs, keys) -> jax.Array:
    """The chunks to execute, each drawn with its own key.  [B, O], [B] -> [B, h, A]"""
    return _acting()(agent, state, obs, keys)


@cache
def _acting() -> Callable:
    def run(agent, state, obs, keys):
        return jax.vmap(agent.act, (None, 0, 0))(state, obs, keys)

    return jax.jit(run, static_argnums=0, compiler_options=compiler.options(1))


def policy(agent: Agent, states, index: int = 0) -> Callable:
    """The acting function (obs [B, O], keys [B]) -> chunks [B, h, A] of seed number `index`."""
    one = jax.tree.map(partial(_row, index=index), states)
    return partial(act, agent, jax.device_put(one, jax.local_devices()[0]))


def _row(leaf, index: int):
    """Row `index` of an array, from the device that holds it.  [S, ...] -> [...]

    Indexing an array that is spread sums over all devices, for which processes can wait for ever.
    """
    index = range(len(leaf))[index]
    for shard in leaf.addressable_shards if isinstance(leaf, jax.Array) else ():
        rows = range(*shard.index[0].indices(len(leaf)))
        if index in rows:
            return shard.data[index - rows.start]
    return leaf[index]


@partial(jax.jit, static_argnums=0)
def resume(agent: Any, state, obs, keys, known, weight) -> jax.Array:
    """Chunks [B, h, A] that go on from what is `known` [B, h, A] of them, as `weight` [B, h] says.

    The agent acts as ever; what its policy proposes is bound (`Flow.resume`).
    """

    def one(obs, key, known, weight):
        bound = Resuming(agent.policy, known.ravel(), jnp.repeat(weight, known.shape[-1]))
        return replace(agent, policy=bound).act(state, obs, key)

    return jax.vmap(one)(obs, keys, known, weight)


class Resuming(NamedTuple):
    """A policy whose samples go on from a chunk that is `known`."""

    policy: Any
    known: jax.Array  # [D]
    weight: jax.Array  # [D]

    def sample(self, params, obs, noise):
        whole = lambda x: jnp.broadcast_to(x, noise.shape)
        return self.policy.resume(params, obs, noise, whole(self.known), whole(self.weight))
