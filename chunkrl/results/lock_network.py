"""Chunk lengths on the lock with a small network as critic: is noise in a table a fair stand-in?

`python -m chunkrl.results.lock_network` trains every setting and writes lock_network.csv, one row a
seed, lock_network_drawn.csv, the control of presses that are drawn, and lock_network.npz, what the
networks of single actions say: about half an hour of one core.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from chunkrl import command
from chunkrl.blocks.networks import scalar_mlp
from chunkrl.blocks.optim import State, descend
from chunkrl.results import stored
from chunkrl.tabular.chunks import chunk_index, chunk_table, chunked, logged
from chunkrl.tabular.estimate import Rollouts, rollout, targets
from chunkrl.tabular.mdp import backup, optimal, policy_value
from chunkrl.tabular.selection import best_of_n
from chunkrl.tabular.worlds import lock

COMMAND = "python -m chunkrl.results.lock_network"
FILE = Path(__file__).parent / "data" / "lock_network.csv"
DRAWN = FILE.with_name("lock_network_drawn.csv")
SINGLE = FILE.with_suffix(".npz")  # Q of every network of single actions and scarce data

LENGTH, SLIP = 24, 0.1
LENGTHS = (1, 2, 4, 5, 8)  # h
# Logged chunks that a critic learns from, and N: samples drawn anew at each backup, as Q-chunking
# does; 0: every chunk is a choice.  And the seeds: a few bad networks make most of the mean regret,
# so that it takes many to know it.
SETTINGS = {(300, 8): 64, (3000, 8): 64, (3000, 0): 64}
# A window of h costs h presses.  Where no setting above has so few windows: N = 8, fewer seeds.
PRESSES, FEWER = (300, 2400), 32
# Single actions again, the first setting with a window of every cell and button added; in DRAWN, as
# many windows more, drawn as the first ones were.
ADDED = 2 * LENGTH
COMPLETE = (300 + ADDED, 8, 1)

WAVES, HIDDEN = 6, (64, 64)
STEPS, REFRESH, BATCH, LR = 4000, 20, 64, 1e-3
SCALE = 10.0  # of the network's output, so that it starts near the size of the values


class Run(NamedTuple):
    """One trained critic."""

    windows: int
    candidates: int
    h: int
    seed: int
    regret: float  # V* - the true value of its chunks, at the start
    bootstrap: float  # claimed - true value, at the start
    error_logged: float  # root mean square of Q - its exact backup, as often as chunks are logged
    error_all: float  # the same over all cells and chunks alike


class Windows(NamedTuple):
    """Logged chunks, typed blind: where from, which, what they earned, where to."""

    cell: np.ndarray  # [seeds, windows]
    chunk: np.ndarray
    reward: np.ndarray
    next_cell: np.ndarray


def collect(h: int, windows: int, seeds: int, complete: bool = False, drawn: int = 0) -> Windows:
    """Chunks from cells drawn alike, as often as the lock's behaviour types them.

    `complete` adds one window of every cell and chunk, `drawn` so many more of the same kind.

    They are executed without looking, so what the data say about a chunk is what it does: the
    subject of notebook 09 stays out of this check.  The windows of a seed do not depend on how
    many seeds there are.
    """
    world = lock(LENGTH, SLIP)
    frequency = logged(world.mdp, world.behaviour, h).frequency

    def one(seed: int) -> Windows:
        rng = np.random.default_rng(seed)
        walks = rollout(world.mdp, frequency, rng.integers(0, LENGTH, windows), h, rng)
        if complete:
            typed = [np.eye(2**h)[[chunk] * (LENGTH + 1)] for chunk in range(2**h)]
            more = [rollout(world.mdp, law, np.arange(LENGTH), h, rng) for law in typed]
            walks = Rollouts(*map(np.concatenate, zip(walks, *more, strict=True)))
        if drawn:
            more = rollout(world.mdp, frequency, rng.integers(0, LENGTH, drawn), h, rng)
            walks = Rollouts(*map(np.concatenate, zip(walks, more, strict=True)))
        reward = targets(world.mdp, walks, np.zeros(LENGTH + 1))
        chunk = chunk_index(walks.action, 2)
        return Windows(walks.state[..., 0], chunk, reward, walks.state[..., -1])

    return Windows(*map(np.stack, zip(*(one(seed) for seed in range(seeds)), strict=True)))


def places() -> np.ndarray:
    """What the network sees of a cell: where it is, and a few waves; the end is the last row.

    -> [L + 1, 1 + 2 WAVES]
    """
    at = (np.arange(LENGTH + 1)[:, None] + 0.5) / LENGTH
    waves = np.pi * at * np.arange(1, WAVES + 1)
    return np.concatenate([2 * at - 1, np.cos(waves), np.sin(waves)], -1)


def best_value(q, frequency, candidates: int):
    """Expected best of N samples, or the maximum over all chunks.  [L, C] -> [L]

    With the law of `selection.best_of_n`, in JAX.
    """
    if not candidates:
        return q.max(-1)
    order = jnp.argsort(q, -1)
    below = jnp.cumsum(jnp.take_along_axis(frequency, order, -1), -1)
    law = jnp.diff((below / below[:, -1:]) ** candidates, axis=-1, prepend=0.0)
    return (law * jnp.take_along_axis(q, order, -1)).sum(-1)


def begin(key, h: int) -> State:
    """An untrained network."""
    params = scalar_mlp(HIDDEN).init(key, places()[:1], np.zeros((1, h)))
    return State(params, optax.adam(LR).init(params))


def table(learner: State, h: int):
    """Q of every cell, the end included, and of every chunk.  -> [L + 1, 2^h]"""
    cells, chunks = inputs(h)
    grid = (len(cells), len(chunks))
    cells = jnp.broadcast_to(cells[:, None], (*grid, cells.shape[-1]))
    return SCALE * scalar_mlp(HIDDEN).apply(
        learner.params, cells, jnp.broadcast_to(chunks, (*grid, h))
    )


def inputs(h: int):
    """What the network sees of each cell [L + 1, .] and of each chunk [2^h, h]."""
    chunks = 2 * chunk_table(2, h) - 1
    return jnp.asarray(places(), jnp.float32), jnp.asarray(chunks, jnp.float32)


def practise(learner: State, key, cell, chunk, target, h: int) -> State:
    """REFRESH gradient steps towards the targets [M] of windows from `cell` with `chunk` [M]."""
    net, tx, (cells, chunks) = scalar_mlp(HIDDEN), optax.adam(LR), inputs(h)

    def loss(params, rows):
        error = net.apply(params, cells[cell[rows]], chunks[chunk[rows]]) - target[rows] / SCALE
        return (error**2).mean(), {}

    # Keys pass through a scan as plain numbers: the checker of key reuse takes the slices of a
    # vmapped array of keys for one key that is used again.
    def step(learner, number):
        rows = jax.random.randint(jax.random.wrap_key_data(number), (BATCH,), 0, len(cell))
        return descend(tx, loss, learner, rows)[0], None

    keys = jax.random.key_data(jax.random.split(key, REFRESH))
    return jax.lax.scan(step, learner, keys)[0]


@partial(jax.jit, static_argnames=("h", "candidates"))
def train(key, windows: Windows, frequency, *, h: int, candidates: int):
    """Q of every cell and chunk after fitted Q-learning from one dataset.  -> [L, 2^h]

    Every REFRESH gradient steps the targets R^h + gamma^h V(s_h) are computed anew.
    """

    def refresh(learner, number):
        q = table(learner, h)[:LENGTH]
        value = jnp.append(best_value(q, frequency, candidates), 0.0)  # the end is known
        target = windows.reward + 0.99**h * value[windows.next_cell]
        key = jax.random.wrap_key_data(number)
        return practise(learner, key, windows.cell, windows.chunk, target, h), None

    key_init, key_steps = jax.random.split(key)
    keys = jax.random.key_data(jax.random.split(key_steps, STEPS // REFRESH))
    learner, _ = jax.lax.scan(refresh, begin(key_init, h), keys)
    return table(learner, h)[:LENGTH]


def judge(q: np.ndarray, h: int, candidates: int) -> Iterator[tuple[float, ...]]:
    """Regret, bootstrap and both entry errors of each critic, against the exact lock."""
    world = lock(LENGTH, SLIP)
    truth, best = chunked(world.mdp, h), optimal(world.mdp).value[world.start]
    frequency = logged(world.mdp, world.behaviour, h).frequency
    q = np.pad(q, ((0, 0), (0, 1), (0, 0)))  # the end
    law = best_of_n(frequency, q, candidates) if candidates else np.eye(2**h)[q.argmax(-1)]
    claimed = (law * q).sum(-1)
    error = (q - backup(truth, claimed))[:, :LENGTH]
    for each, claim, policy in zip(error, claimed, law, strict=True):
        obtained = policy_value(truth, policy)[world.start]
        yield (
            best - obtained,
            claim[world.start] - obtained,
            np.sqrt((frequency[:LENGTH] * each**2).sum() / LENGTH),
            np.sqrt((each**2).mean()),
        )


def runs(
    h: int, windows: int, candidates: int, seeds: int, complete: bool = False, drawn: int = 0
) -> list[Run]:
    """Train `seeds` critics at once, each on data of its own, counted as `windows`."""
    found = judge(networks(h, windows, candidates, seeds, complete, drawn), h, candidates)
    windows += complete * LENGTH * 2**h + drawn
    return [Run(windows, candidates, h, seed, *each) for seed, each in enumerate(found)]


def networks(
    h: int, windows: int, candidates: int, seeds: int, complete: bool = False, drawn: int = 0
) -> np.ndarray:
    """Q of every cell and chunk of each trained critic.  -> [seeds, L, 2^h]"""
    world = lock(LENGTH, SLIP)
    frequency = logged(world.mdp, world.behaviour, h).frequency[:LENGTH]
    data = collect(h, windows, seeds, complete, drawn)
    single = jax.tree.map(lambda x: jnp.asarray(x, jnp.int32), data)
    single = single._replace(reward=jnp.asarray(data.reward, jnp.float32))
    one = partial(train, h=h, candidates=candidates)
    keys = jax.vmap(jax.random.key)(np.arange(seeds))
    q = jax.vmap(one, (0, 0, None))(keys, single, jnp.asarray(frequency, jnp.float32))
    return np.asarray(q, float)


def plan() -> list[tuple[int, int, int, int, bool]]:
    """The arguments of `runs`, in the order of the file."""
    first = [(h, *each, n, False) for each, n in SETTINGS.items() for h in LENGTHS]
    equal = [(h, presses // h, 8) for presses in PRESSES for h in LENGTHS]
    more = [(*each, FEWER, False) for each in equal if each[1:] not in SETTINGS]
    return [*first, *more, (1, 300, 8, SETTINGS[300, 8], True)]


def load(file: Path | None = None) -> list[Run]:
    """The committed runs of FILE, or of `file`."""
    setting, result = Run._fields[:4], Run._fields[4:]
    read = lambda row: Run(*(int(row[k]) for k in setting), *(float(row[k]) for k in result))
    return stored.rows(file or FILE, read, COMMAND)


class Single(NamedTuple):
    """The networks of single actions of the first setting, and their data."""

    q: np.ndarray  # [seeds, L, 2]
    logged: np.ndarray  # [seeds, L, 2]  windows of each entry


def load_single() -> Single:
    """The committed networks; their windows are drawn anew.  Raises DataError."""
    (windows, _), seeds = next(iter(SETTINGS.items()))
    data, logged = collect(1, windows, seeds), np.zeros((seeds, LENGTH, 2), int)
    np.add.at(logged, (np.arange(seeds)[:, None], data.cell, data.chunk), 1)
    return Single(stored.arrays(SINGLE, ("q",), COMMAND)["q"].astype(float), logged)


class Group(NamedTuple):
    """What the runs of one setting and h found, one number a seed."""

    regret: np.ndarray
    bootstrap: np.ndarray
    error_logged: np.ndarray
    error_all: np.ndarray


def grouped(file: Path | None = None) -> dict[tuple[int, int, int], Group]:
    """The committed runs by (windows, candidates, h)."""
    found: dict[tuple[int, int, int], list[tuple[float, ...]]] = {}
    for run in load(file):
        found.setdefault(run[:3], []).append(run[4:])
    return {key: Group(*np.array(rows).T) for key, rows in found.items()}


def save(file: Path, found: list[Run]) -> None:
    lines = [[*run[:4], *(f"{x:.2f}" for x in run[4:])] for run in found]
    stored.save_rows(file, Run._fields, lines)


def main() -> None:
    """Train all settings and write the files; prints each as it is done."""
    found: list[Run] = []
    save(DRAWN, runs(1, 300, 8, SETTINGS[300, 8], drawn=ADDED))
    for setting in plan():
        each = runs(*setting)
        found += each
        mean = np.mean([run.regret for run in each])
        windows, candidates, h = each[0][:3]
        print(f"{windows} windows, N = {candidates}, h = {h}: {mean:.1f}", flush=True)
    save(FILE, found)
    (windows, candidates), seeds = next(iter(SETTINGS.items()))
    q = networks(1, windows, candidates, seeds).astype(np.float32)
    stored.save_arrays(SINGLE, {"q": q})


if __name__ == "__main__":
    command.run(main, "python -m chunkrl.results.lock_network")
