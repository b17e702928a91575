"""Training: many updates in one compiled scan, several seeds at once, exact resumption."""

import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache, partial
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from chunkrl import checks, disk
from chunkrl.data import check
from chunkrl.data.shards import Resident
from chunkrl.errors import ConfigError, TrainingError
from chunkrl.train import compiler, memory, runs
from chunkrl.types import Agent, Metrics, Source


@partial(jax.jit, static_argnums=0)
def init(agent: Agent, keys) -> Any:
    """Fresh training states, one per key.  [S] -> leaves [S, ...]"""
    return jax.vmap(agent.init)(keys)


@partial(jax.jit, static_argnums=0)
def update(agent: Agent, state, batch, key) -> tuple[Any, Metrics]:
    """One update of one seed on a batch that the caller drew."""
    return agent.step(state, batch, agent.noise(key, len(jax.tree.leaves(batch)[0])))


class Report(NamedTuple):
    """What a call of `update_many` says about each seed."""

    mean: Metrics  # [S]  each metric's mean over the updates
    bad: Metrics  # [S]   the first update at which it was not finite; the number of updates if none
    finite: jax.Array  # [S]  whether every parameter is finite afterwards


def update_many(
    agent: Agent, updates: int, batch_size: int, states, dataset, keys
) -> tuple[Any, Report]:
    """`updates` steps of every seed, each on a batch drawn from `dataset` inside the scan.

    Leaves of `states` and `keys` are [S, ...].  The buffers of `states` are donated: they cannot be
    used afterwards.
    """
    if jax.default_backend() != "cpu":
        return _seeds(agent, updates, batch_size, states, dataset, keys)

    # On a CPU batched matrix products leave the cores idle, and those of one seed are too small to
    # fill them: there each seed is a program in a thread of its own.
    program = _seed(_most_rows(agent, batch_size))

    def run(state_and_key):
        state, key = state_and_key
        return jax.block_until_ready(program(agent, updates, batch_size, state, dataset, key))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return _stack(list(pool.map(run, _unstack((states, keys)))))


# Drawn in one go: what so many updates need, at most, and so many bytes, which a cache still holds.
MOST_UPDATES, MOST_BYTES = 50, 2**22


def _update_seed(agent: Agent, updates: int, batch_size: int, state, dataset, key):
    def draw(i):
        key_draw, key_noise = jax.random.split(jax.random.fold_in(key, i))
        return agent.draw(key_draw, dataset, batch_size), agent.noise(key_noise, batch_size)

    # Drawn one at a time, random numbers take as long as a small network.
    def several(state, steps):
        return jax.lax.scan(lambda state, x: agent.step(state, *x), state, jax.vmap(draw)(steps))

    size = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(jax.eval_shape(draw, 0)))
    most = max(1, min(MOST_UPDATES, MOST_BYTES // size))
    count = max(n for n in range(1, most + 1) if updates % n == 0)
    state, metrics = jax.lax.scan(several, state, jnp.arange(updates).reshape(-1, count))
    mean = jax.tree.map(jnp.mean, metrics)
    bad = jax.tree.map(lambda x: jnp.argmin(jnp.append(jnp.isfinite(x), False)), metrics)
    finite = jnp.stack([jnp.isfinite(x).all() for x in jax.tree.leaves(state)]).all()
    return state, Report(mean, bad, finite)


def _most_rows(agent: Agent, batch_size: int) -> int:
    """No network sees more rows at once than there are of noise: one for every candidate."""
    noise = jax.eval_shape(partial(agent.noise, size=batch_size), jax.random.key(0))
    return max((math.prod(leaf.shape[:-1]) for leaf in jax.tree.leaves(noise)), default=batch_size)


@cache
def _seed(rows: int) -> Callable:
    options = compiler.options(rows)
    return jax.jit(
        _update_seed, static_argnums=(0, 1, 2), donate_argnums=3, compiler_options=options
    )


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def _seeds(agent, updates, batch_size, states, dataset, keys):
    run = partial(_update_seed, agent, updates, batch_size)
    return jax.vmap(run, (0, None, 0))(states, dataset, keys)


@jax.jit
def _unstack(tree) -> list:
    """Leaves [S, ...] -> S trees"""
    count = len(jax.tree.leaves(tree)[0])
    return [jax.tree.map(itemgetter(i), tree) for i in range(count)]


@jax.jit
def _stack(trees: list):
    """S trees -> leaves [S, ...]"""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


@partial(jax.jit, static_argnums=0)
def act(agent: Agent, state, obs, keys) -> jax.Array:
    """The chunks to execute, each drawn with its own key.  [B, O], [B] -> [B, h, A]"""
    return jax.vmap(agent.act, (None, 0, 0))(state, obs, keys)


def policy(agent: Agent, states, index: int = 0) -> Callable:
    """The acting function (obs [B, O], keys [B]) -> chunks [B, h, A] of seed number `index`."""
    return partial(act, agent, jax.tree.map(lambda leaf: leaf[index], states))


def enable_compilation_cache() -> None:
    """Keep compiled programs in the user's cache folder, unless JAX is told of another."""
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore[reportAttributeAccessIssue]
        try:
            home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        except RuntimeError:  # a user without a home folder
            return
        jax.config.update("jax_compilation_cache_dir", str(home / "chunkrl" / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def fit(
    agent: Agent,
    dataset: Any,
    updates: int,
    batch_size: int = 256,
    seeds: Sequence[int] = (0,),
    every: int = 500,
    evaluate: Callable | None = None,
    evaluate_every: int | None = None,
    folder: str | Path | None = None,
    config: dict | None = None,
    log: Callable[[int, dict], None] | None = None,
    progress: bool = True,
) -> tuple[Any, list[dict]]:
    """Train `seeds` together for `updates` steps each.  -> states (leaves [S, ...]), metric rows

    `dataset` is what `agent.draw` draws from, or a `Source` of it, such as `Shards`.  Each device
    call makes `every` updates; it ends in one row per seed (`log(step, row)`, and `metrics.csv` in
    `folder`) and a checkpoint.  Every `evaluate_every` updates, and at the end, `evaluate(act,
    seed)` plays episodes (see `Evaluator.run`).  Called again with the same folder, training goes
    on to the same numbers as if it had never stopped; `updates` may then be larger.  `config` is
    stored with the run and must not change.

    Raises TrainingError where a loss or a parameter is not finite (the last good checkpoint stays),
    memory runs out or `folder` holds another run; BusyError where another process trains in it;
    WriteError where the disk is full; ConfigError and DataError for what does not fit or is wrong.
    """
    seeds = require_seeds(seeds)
    batch_size, every = checks.whole("batch_size", batch_size), checks.whole("every", every)
    updates = checks.whole("updates", updates)
    if evaluate_every is not None:
        evaluate_every = checks.whole("evaluate_every", evaluate_every)
    if updates % every or (evaluate_every or every) % every:
        raise ConfigError(f"updates and evaluate_every must be multiples of every={every}")
    require_device()
    source = dataset if isinstance(dataset, Source) else Resident(dataset)
    if source.interval % every:
        raise ConfigError(f"a shard must stay for a multiple of every={every} updates")
    check.fits(agent, source.at(0), batch_size)
    if updates:
        check.holds_own(agent, source.at(0))
    memory.require(agent, source.at(0), batch_size, len(seeds))
    identity: dict[str, Any] = {
        "versions": runs.versions(), **(config or {}), "agent": repr(agent),
        "batch_size": batch_size, "seeds": seeds, "every": every,
        "evaluate_every": evaluate_every, "data": source.identity,
    }  # fmt: skip
    if folder is not None:
        folder, identity = disk.user_path(folder), runs.plain(identity)
    enable_compilation_cache()
    with memory.sentences(agent, batch_size), runs.hold(folder) if folder else nullcontext():
        keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
        key_init, key_train = jax.vmap(jax.random.split, out_axes=1)(keys)
        states, rows, start = init(agent, key_init), [], 0
        if folder:
            states, rows, start = runs.resume(folder, identity, states)
        if start > updates:
            raise ConfigError(f"{folder} is at {start} updates already: choose as many, or more")
        clock = time.perf_counter() - (rows[-1]["seconds"] if rows else 0.0)
        # A run that was stopped at a step which is now the last has not been evaluated there.
        again = start == updates and evaluate is not None and "success" not in rows[-1]
        first = start + every * (not again)
        with tqdm(total=updates, initial=start, unit="update", disable=not progress) as bar:
            for step in range(first, updates + 1, every):
                if step > start:
                    keys = jax.vmap(jax.random.fold_in, (0, None))(key_train, step)
                    # No name for the data: a reference would keep a replaced shard on the device.
                    states, report = update_many(
                        agent, every, batch_size, states, source.at(step - every), keys
                    )
                    rows += _rows(jax.device_get(report), step, every, seeds)
                    bar.update(every)
                new = rows[-len(seeds) :]
                if evaluate and (step == updates or step % (evaluate_every or updates) == 0):
                    for i, row in enumerate(new):
                        (entropy,) = np.random.SeedSequence((row["seed"], step)).generate_state(1)
                        result = evaluate(policy(agent, states, i), int(entropy >> 1))  # int32
                        row.update(runs.summary(result))
                    bar.set_postfix(success=runs.rate(np.mean([row["success"] for row in new])))
                for row in new:
                    row["seconds"] = round(time.perf_counter() - clock, 2)
                    if log:
                        log(step, row)
                if folder:
                    runs.save(folder, identity, states, rows, step)
    return states, rows


def _rows(report: Report, step: int, every: int, seeds: Sequence[int]) -> list[dict]:
    """A row per seed for the `every` updates that end at `step`.

    Raises TrainingError where a parameter is not finite, naming the update that began it.
    """
    for i, seed in enumerate(seeds):
        if not report.finite[i]:
            first = min(int(bad[i]) for bad in report.bad.values())
            names = ", ".join(name for name, bad in report.bad.items() if bad[i] == first)
            what = f"{names} at update {step - every + first + 1}"
            if first == every:
                what = "a parameter after the last update"
            raise TrainingError(
                f"seed {seed}: not finite: {what}. The last good checkpoint is kept; lower the "
                "learning rate, or look for outliers in the data with `chunkrl data check`"
            )
    means = [{k: float(mean[i]) for k, mean in report.mean.items()} for i in range(len(seeds))]
    return [{"step": step, "seed": seed} | row for seed, row in zip(seeds, means, strict=True)]


def load(folder: str | Path, agent: Agent) -> tuple[Any, list[dict]]:
    """What `fit` left in `folder`, at its last checkpoint, without its data.  -> states, rows

    The states are for `policy(agent, states, index)` of seed number `index`; observations are those
    that `fit` was given, normalised where those were.  Raises TrainingError where `folder` holds no
    run, a damaged one or one of another agent.
    """
    folder = disk.user_path(folder)
    runs.require_same(folder, {"agent": repr(agent)})
    return restore(folder, agent)


def restore(folder: Path, agent: Agent) -> tuple[Any, list[dict]]:
    """The same where the folder's own settings made `agent`, by whatever version of chunkrl."""
    require_device()
    seeds = runs.read_config(folder, needs=["seeds"])["seeds"]
    keys = jax.eval_shape(jax.vmap(jax.random.key), jnp.asarray(seeds))
    states, rows, _ = runs.restore(folder, jax.eval_shape(partial(init, agent), keys))
    return states, rows


def require_device() -> None:
    """Raise ConfigError where JAX finds none of the devices that it is told to use."""
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        given = jax.config.jax_platforms  # pyright: ignore[reportAttributeAccessIssue]
        why = " ".join(str(error).split()) or "it does not say why"
        raise ConfigError(
            f"JAX finds no device of the platform {given!r} here ({why}): unset JAX_PLATFORMS, or"
            " install JAX for that platform"
        ) from None


def require_seeds(seeds: Sequence[int]) -> tuple[int, ...]:
    """`seeds` as integers.

    Raises ConfigError unless they are different numbers that a key can be made of.
    """
    seeds = checks.wholes("seeds", seeds, least=-(2**63))
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds = {list(seeds)}: give at least one, each once")
    if not 0 <= min(seeds) <= max(seeds) < 2**31:
        raise ConfigError(f"seeds = {list(seeds)}: each must be from 0 to {2**31 - 1}")
    return seeds
