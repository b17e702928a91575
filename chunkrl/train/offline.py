"""Training: several seeds at once, evaluated on the way, with exact resumption."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from operator import itemgetter
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from tqdm import tqdm

from chunkrl import checks, disk
from chunkrl.data import check
from chunkrl.data.shards import Resident
from chunkrl.errors import ConfigError, TrainingError
from chunkrl.train import hosts, memory, runs
from chunkrl.train.online import Online, Phase
from chunkrl.train.programs import (
    Report,
    gathered,
    init,
    places,
    policy,
    spread,
    update_many,
)  # fmt: skip
from chunkrl.types import Agent, Source


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
    online: Online | None = None,
    quick: bool = False,
) -> tuple[Any, list[dict]]:
    """Train `seeds` together for `updates` steps each.  -> states (leaves [S, ...]), metric rows

    `dataset` is what `agent.draw` draws from, or a `Source` of it, such as `Shards`.  Each device
    call makes `every` updates; it ends in one row per seed (`log(step, row)`, and `metrics.csv` in
    `folder`) and a checkpoint.  Every `evaluate_every` updates, and at the end, `evaluate(act,
    seed)` plays episodes (see `Evaluator.run`).  Called again with the same folder, training goes
    on to the same numbers as if it had never stopped; `updates` may then be larger.  `config` is
    stored with the run and must not change.  With `online` it goes on by acting; `updates` may
    then be 0, and a step in the rows is one of either kind.  `quick` updates on logs compile in
    less than half of the time and run at a quarter of the speed, for runs of seconds.

    Updates on logs are spread over all local devices by seeds, acting happens on the first.  After
    `jax.distributed.initialize` each process trains and evaluates its share of the seeds; the first
    one writes `folder`, from which any number of processes and devices goes on.

    Raises TrainingError where a loss or a parameter is not finite (the last good checkpoint stays),
    memory runs out or `folder` holds another run; BusyError where another process trains in it;
    WriteError where the disk is full; ConfigError and DataError for what does not fit or is wrong.
    """
    seeds = require_seeds(seeds)
    batch_size, every = checks.whole("batch_size", batch_size), checks.whole("every", every)
    updates = checks.whole("updates", updates, least=0 if online else 1)
    total = updates + (online.steps if online else 0)
    if evaluate_every is not None:
        evaluate_every = checks.whole("evaluate_every", evaluate_every)
    if updates % every or total % every or (evaluate_every or every) % every:
        what = "updates, steps online" if online else "updates"
        raise ConfigError(f"{what} and evaluate_every must be multiples of every={every}")
    require_device()
    shown = progress and hosts.first()
    own = hosts.share(seeds)
    if online and len(seeds[own]) < len(seeds):
        raise ConfigError("acting is for one process: leave out the steps online")
    where = None if online else places(len(seeds[own]))
    copies = where and where.update(spec=PartitionSpec())
    source = dataset if isinstance(dataset, Source) else Resident(dataset, copies)
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
        **({"quick": True} if quick else {}),
    }  # fmt: skip
    if folder is not None:
        folder, identity = disk.user_path(folder), runs.plain(identity)
    enable_compilation_cache()
    with ExitStack() as stack:
        stack.enter_context(memory.sentences(agent, batch_size))
        if folder and hosts.first():
            stack.enter_context(runs.hold(folder))
        keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
        key_init, key_train = jax.vmap(jax.random.split, out_axes=1)(keys)
        states, rows, start, phase = init(agent, key_init), [], 0, None
        if online:
            logs = source.at(max(updates - 1, 0))  # of shards that take turns, the last
            phase = Phase(online, agent, logs, batch_size, seeds, key_train, updates, every)
            stack.enter_context(phase)
        if not hosts.first():
            hosts.meet("resume")  # the first one writes what all read
        if folder:
            settings = phase.settings if phase else None
            states, rows, start, players = runs.resume(folder, identity, states, settings)
            if start > (total if players else updates):
                raise ConfigError(
                    f"{folder} is at {start} updates already: choose as many, or more"
                )
            if phase:
                phase.players, phase.folder = players, folder
        if hosts.first():
            hosts.meet("resume")
        if len(seeds[own]) < len(seeds):
            states = jax.tree.map(lambda leaf: leaf[own], states)
        states, key_train = spread(states, where), key_train[own]
        clock = time.perf_counter() - (rows[-1]["seconds"] if rows else 0.0)
        # A run that was stopped at a step which is now the last has not been evaluated there.
        last = updates, total
        again = start in last and evaluate is not None and "success" not in (rows or [{}])[-1]
        first = start + every * (not again or not start)
        with tqdm(total=total, initial=start, unit="step", disable=not shown) as bar:
            for step in range(first, total + 1, every):
                new = rows[-len(seeds) :][own]
                if step > start:
                    if phase and step > updates:
                        states, reports, columns = phase.advance(states, step)
                    else:
                        keys = jax.vmap(jax.random.fold_in, (0, None))(key_train, step)
                        # No name for the data: a replaced shard would stay on the device.
                        states, report = update_many(
                            agent, every, batch_size, states, source.at(step - every), keys, quick
                        )
                        told, count = jax.device_get(report), len(seeds[own])
                        reports = [jax.tree.map(itemgetter(i), told) for i in range(count)]
                        columns = [{}] * count
                    told = zip(seeds[own], reports, columns, strict=True)
                    new = [_row(report, step, every, seed) | more for seed, report, more in told]
                    bar.update(every)
                if evaluate and (step in last or step % (evaluate_every or total) == 0):
                    for i, row in enumerate(new):
                        row.update(_played(evaluate, policy(agent, states, i), row))
                    bar.set_postfix(success=runs.rate(np.mean([row["success"] for row in new])))
                for row in new:
                    row["seconds"] = round(time.perf_counter() - clock, 2)
                rows[(step // every - 1) * len(seeds) :] = new = hosts.all_rows(new)
                if log and hosts.first():
                    for row in new:
                        log(step, row)
                if folder:
                    more = phase.keep(step) if phase and step > updates else {}
                    whole = hosts.together(gathered(states, where, len(seeds[own])))
                    if hosts.first():
                        runs.save(folder, identity, whole, rows, step, more)
    return jax.device_put(hosts.together(gathered(states, where, len(seeds[own])))), rows


def _played(evaluate: Callable, act: Callable, row: dict) -> dict:
    """What an evaluation adds to a row of metrics, whose seed and step choose the episodes."""
    (entropy,) = np.random.SeedSequence((row["seed"], row["step"])).generate_state(1)
    return runs.summary(evaluate(act, int(entropy >> 1)))  # int32


def _row(report: Report, step: int, every: int, seed: int) -> dict:
    """The row of a seed for the `every` updates that end at `step`.

    Raises TrainingError where a parameter is not finite, naming the update that began it.
    """
    if not report.finite:
        first = min(map(int, report.bad.values()))
        names = ", ".join(name for name, bad in report.bad.items() if bad == first)
        what = f"{names} at update {step - every + first + 1}"
        if first == every:
            what = "a parameter after the last update"
        raise TrainingError(
            f"seed {seed}: not finite: {what}. The last good checkpoint is kept; lower the "
            "learning rate, or look for outliers in the data with `chunkrl data check`"
        )
    return {"step": step, "seed": seed, **{k: float(mean) for k, mean in report.mean.items()}}


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
    states, rows, _ = runs.restore(folder, jax.eval_shape(jax.vmap(agent.init), keys))
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
