"""Learning online: an agent acts, what it meets is added to its logs, and it learns on."""

import math
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from chunkrl import checks, disk
from chunkrl.data.replay import Buffer, added_shapes
from chunkrl.errors import ConfigError, DataError
from chunkrl.play.collect import Player
from chunkrl.play.lockstep import begun_of
from chunkrl.play.slot import Slots
from chunkrl.play.workers import PATIENCE, Workers
from chunkrl.train import memory, programs
from chunkrl.train.programs import Report, drawn
from chunkrl.types import Agent, ChunkDataset, Dataset, Metrics, Prefix

if TYPE_CHECKING:
    import gymnasium

FOLDER = "online"  # in a run's folder: what was collected, a file for every row of metrics
NEVER = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Online:
    """`steps` of acting in `make_env()`, by each seed in an environment of its own.

    After the updates on logs, or without any, each environment step adds a transition to the logs
    and, from step `start_training` on, makes `utd` updates that draw from all (Q-chunking's
    protocol, arXiv 2507.07969).  A policy that no update has made acts at random until then.

    The exact order is: choose a chunk, execute it, and for each of its transitions add it and
    update.  With `overlap` a chunk is chosen before the updates for the one before it, which are
    made while it is executed: time max(environment, update) in place of their sum, and actions of a
    policy that is one chunk old.  Either order is a function of the seeds alone, and resumes so.

    `capacity` is how many new transitions are kept, the newest (None: all).  `make_env`, `workers`,
    `patience` and `main`: as in `Workers`, at most one worker a seed; `reward` is the task's;
    `normalise` makes of what the environment shows what the logs hold, which are [s] or, for an
    agent with goals, [s, g] and then what s counts as when it is a goal.
    """

    make_env: Callable[[], "gymnasium.Env"]
    steps: int
    start_training: int = 5000
    utd: int = 1
    overlap: bool = False
    capacity: int | None = None
    reward: Callable[[Any], np.ndarray] = np.asarray
    normalise: Callable[[Any], np.ndarray] = np.asarray
    workers: int | None = None
    patience: float = PATIENCE
    main: bool = True

    def __post_init__(self):
        for name in ("steps", "start_training", "utd", "capacity"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, checks.whole(name, value))
        if self.workers is not None:
            checks.whole("workers", self.workers, least=0)


class Tally(NamedTuple):
    """What updates say, since the last row of metrics."""

    updates: jax.Array  # []
    total: Metrics  # []  of each metric
    bad: Metrics  # []    the transition, from 1, at which it was first not finite
    finite: jax.Array  # []  whether every parameter is finite afterwards


def _nothing(agent: Agent, batch_size: int, data) -> Tally:
    """That of no updates."""

    def metrics(*keys):
        return agent.step(agent.init(keys[0]), *drawn(agent, data, batch_size, keys[1]))[1]

    shapes = jax.eval_shape(metrics, *jax.random.split(jax.random.key(0)))
    total = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    bad = jax.tree.map(lambda _: np.array(NEVER, np.int32), shapes)
    return jax.device_put(Tally(np.zeros((), np.int32), total, bad, np.array(True)))


def _learn(agent: Agent, block: int, utd: int, batch_size: int, state, tally, data, key, count):
    """`utd` updates for each of the newest `count` <= `block` transitions, in their order.

    Each draws from what had been added up to its transition.  Keys are of transitions, so that it
    does not matter which of them are learned together.
    """
    before = data.new.written - count

    def draw(i):
        written = before + 1 + i // utd
        then = data._replace(new=data.new._replace(written=written))
        own = jax.random.fold_in(jax.random.fold_in(key, written), i % utd)
        return drawn(agent, then, batch_size, own)

    group = programs.drawn_together(draw, block * utd)

    def several(number, carry):
        first = number * group
        drawn = jax.vmap(draw)(first + jnp.arange(group))

        def one(i, carry):
            state, total, bad = carry
            state, metrics = agent.step(state, *jax.tree.map(lambda x: x[i], drawn))
            at = before + 1 + (first + i) // utd
            note = lambda x, old: jnp.where(jnp.isfinite(x), old, jnp.minimum(old, at))
            total = jax.tree.map(jnp.add, total, metrics)
            return state, total, jax.tree.map(note, metrics, bad)

        return jax.lax.fori_loop(0, jnp.minimum(group, count * utd - first), one, carry)

    groups, begun = (count * utd + group - 1) // group, (state, tally.total, tally.bad)
    state, total, bad = jax.lax.fori_loop(0, groups, several, begun)
    return state, Tally(tally.updates + count * utd, total, bad, programs.all_finite(state))


@partial(jax.jit, static_argnums=0)
def _choose(agent: Agent, state, obs, key, step) -> Any:
    """The chunk for environment step `step`: as the agent explores, where that is not how it acts.

    [O] -> [h, A], or a prefix of it
    """
    return getattr(agent, "explore", agent.act)(state, obs, jax.random.fold_in(key, step))


@partial(jax.jit, static_argnums=(0, 1))
def _wander(count: int, action_dim: int, key, step) -> jax.Array:
    """Actions uniform in [-1, 1], each drawn for itself.  -> [count, A]"""
    own = jax.random.fold_in(key, step)
    return jax.random.uniform(own, (count, action_dim), minval=-1.0)


class Seat:
    """One seed: its environment, its buffer, and how much of it was learned from."""

    def __init__(self, phase: "Phase", player: Player, buffer: Buffer, key):
        self.phase, self.player, self.buffer = phase, player, buffer
        self.key_act, self.key_learn = jax.random.split(key)
        self.learned = max(buffer.written, phase.online.start_training - 1)
        self.tally = phase.nothing
        self.fresh: list[Dataset] = []  # added since they were last taken away

    def advance(self, state, until: int):
        """Act until so many transitions are there, and learn from them.  -> state"""
        overlap = self.phase.online.overlap
        while self.buffer.written < until and not self.phase.stopped:
            if not len(self.player.queue):
                chosen = self.choose(state)
                if overlap:  # the device is at work while this process waits, and while it acts
                    state = self.learn(state)
                chunk = self.read(chosen)
                if not np.isfinite(chunk).all():
                    break
                self.player.queue = chunk
            rows = self.player.play(until - self.buffer.written)
            self.buffer.add(rows)
            self.fresh.append(rows)
            if not overlap:
                state = self.learn(state)
        return self.learn(state)

    def choose(self, state) -> "jax.Array | Prefix":
        """What the policy says to execute next, not waited for.  [h, A], or a prefix of it"""
        phase, step = self.phase, self.buffer.written
        random = phase.online.start_training - step if phase.updates == 0 else 0
        if random > 0:
            (width,) = phase.shapes["action"]
            return _wander(phase.block, width, self.key_act, np.int32(step))[:random]
        seen = phase.online.normalise(self.player.obs)[: phase.seen]
        return _choose(phase.agent, state, seen, self.key_act, np.int32(step))

    def read(self, chosen) -> np.ndarray:
        """The actions of what was chosen.  [k, A]"""
        if isinstance(chosen, Prefix):
            chosen = begun_of(*map(np.asarray, chosen))
        return np.clip(np.asarray(chosen)[: self.phase.block], -1, 1)

    def learn(self, state):
        """Make the updates for what was added since the last ones.  -> state"""
        phase, written = self.phase, self.buffer.written
        count = written - self.learned
        if count > 0:
            sizes = phase.agent, phase.block, phase.online.utd, phase.batch_size
            data = self.buffer.at(phase.updates + written)
            keys = self.key_learn, np.int32(count)
            state, self.tally = phase.program(*sizes, state, self.tally, data, *keys)
            self.learned = written
        return state

    def tell(self, since: int) -> tuple[Report, dict]:
        """The updates since transition `since`, and what the episodes were like that ended."""
        tally, self.tally = jax.device_get(self.tally), self.phase.nothing
        names = tally.total if tally.updates else ()  # none before updates begin
        mean = {k: float(tally.total[k]) / int(tally.updates) for k in names}
        bad = {k: min(int(tally.bad[k]) - since - 1, self.phase.every) for k in names}
        ended, self.player.ended = self.player.ended, []
        row: dict[str, Any] = {"online": self.buffer.written, "collected": len(ended)}
        if ended:
            success, total, length = np.mean(ended, axis=0, dtype=float).tolist()
            row |= {"collected_success": success, "collected_return": total}
            row |= {"collected_length": length}
        return Report(mean, bad, bool(tally.finite)), row


def require_online(online: Online, agent: Agent) -> None:
    """Raise ConfigError where `agent` cannot learn by acting so."""
    reads = agent.reads
    if getattr(reads, "over", False):
        raise ConfigError(
            f"{type(agent).__name__} learns from trajectories that are over, not by acting: leave"
            " out the steps online, or choose a method such as mac"
        )
    halves = getattr(reads, "halves", False)
    for name in ("start_training", "capacity") if halves else ("capacity",):
        value = getattr(online, name)
        if value is not None and value < reads.length:
            raise ConfigError(
                f"{name} = {value}: new transitions would hold no window of {reads.length}"
            )


class Phase:
    """Acting and learning of all seeds, side by side, each in a thread of its own.

    What one seed does depends on nothing of the others.
    """

    def __init__(
        self, online: Online, agent: Agent, logs: Any, batch_size: int, seeds: Sequence[int],
        keys, updates: int, every: int,
    ):  # fmt: skip
        require_online(online, agent)
        if not isinstance(logs, Dataset | ChunkDataset):
            raise ConfigError(
                f"new transitions cannot be added to {type(logs).__name__}: give a Dataset"
            )
        self.online, self.agent, self.logs, self.batch_size = online, agent, logs, batch_size
        self.seeds, self.keys, self.updates, self.every = seeds, keys, updates, every
        self.block, self.stopped = agent.execute, False
        self.nothing = _nothing(agent, batch_size, logs)
        self.program = programs.learning(_learn, 4, programs.most_rows(agent, batch_size))
        self.folder: Path | None = None  # of the run
        self.players: list[dict] = []  # where the environments were, as the checkpoint says
        self.environments: Workers | Slots | None = None
        self.seats: list[Seat] = []
        self.capacity = online.capacity or online.steps
        self.shapes = added_shapes(logs)
        self.seen = (self.shapes["obs"][0] + logs.obs.shape[1]) // 2  # [s] or [s, g]
        row = 4 * sum(map(math.prod, self.shapes.values()))
        memory.require_room((self.capacity + self.block) * row * len(seeds), "new transitions")

    @property
    def settings(self) -> dict[str, Any]:
        """What must not change while a run goes on."""
        names = "start_training", "utd", "overlap", "capacity"
        return {"updates": self.updates, **{name: getattr(self.online, name) for name in names}}

    def __enter__(self) -> "Phase":
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped = True
        if self.environments:
            self.environments.close()

    def advance(self, states, step: int) -> tuple[Any, list[Report], list[dict]]:
        """Act and learn until `step`, updates on logs counted.  -> states, and of seeds what each
        says and its columns."""
        if not self.seats:
            self._begin(step - self.every - self.updates)
        until = step - self.updates
        with ThreadPoolExecutor(len(self.seats)) as threads:
            try:
                run = lambda seat, state: seat.advance(state, until)
                states = programs.stack([*threads.map(run, self.seats, programs.unstack(states))])
            except BaseException:
                self.stopped = True
                raise
        reports, columns = zip(*(seat.tell(until - self.every) for seat in self.seats), strict=True)
        for seat, report in zip(self.seats, reports, strict=True):
            if report.finite and seat.buffer.written < until:
                seen = np.isfinite(seat.player.obs).all()
                raise ConfigError(
                    "the policy returned an action that is not finite: "
                    + ("did it diverge?" if seen else "the environment showed it what is not")
                )
        return states, list(reports), list(columns)

    def keep(self, step: int) -> dict[str, Any]:
        """Write what was added up to `step`, and say how to go on, for the checkpoint."""
        if self.seats:
            self.players = [seat.player.state() for seat in self.seats]
        if self.folder and self.seats and self.seats[0].fresh:
            joined = [Dataset(*map(np.concatenate, zip(*s.fresh, strict=True))) for s in self.seats]
            rows = Dataset(*map(np.stack, zip(*joined, strict=True)))
            disk.write(self._file(step), lambda file: np.savez(file, **rows._asdict()))
        for seat in self.seats:
            seat.fresh = []
        return {"online": self.settings, "players": self.players}

    def _file(self, step: int) -> Path:
        return Path(self.folder or "", FOLDER, f"{step:09d}.npz")

    def _begin(self, steps: int) -> None:
        """Make environments and buffers, as they were after `steps` of them."""
        online, (shown,) = self.online, self.shapes["obs"]
        count, cores = len(self.seeds), os.cpu_count() or 1
        workers = min(cores if online.workers is None else online.workers, count)
        self.environments = Slots(online.make_env)
        if workers:
            settings = online.patience, online.main, "acting worker"
            self.environments = Workers(workers, online.make_env, *settings)
        exchanges = [_alone(self.environments.exchange) for _ in range(max(workers, 1))]
        stored = self._stored(steps) if steps else [None] * count
        for i, (seed, added) in enumerate(zip(self.seeds, stored, strict=True)):
            player = Player(exchanges[i % len(exchanges)], i, seed, online.reward, shown)
            if added is None:
                player.begin(0)
            else:
                ended = not player.resume(self.players[i], added)
                added.terminal[-1] = max(added.terminal[-1], ended)
            sizes = self.capacity, self.block
            buffer = Buffer(self.logs, self.agent.reads, *sizes, added, online.normalise)
            key = jax.random.fold_in(self.keys[i], 0)  # a step that no update on logs has
            self.seats.append(Seat(self, player, buffer, key))

    def _stored(self, steps: int) -> list[Dataset]:
        """What each seed had added in `steps`, from the files.  Raises DataError."""
        first = len(self.seeds), self.every
        files, wanted = [], {k: first + shape for k, shape in self.shapes.items()}
        for step in range(self.every, steps + 1, self.every):
            arrays = disk.read(self._file(self.updates + step), Dataset._fields)
            shapes = {name: x.shape for name, x in arrays.items()}
            if shapes != wanted:
                raise DataError(
                    f"{self._file(self.updates + step)} has arrays {shapes}, not {wanted}: it is"
                    " of another run; bring back the one that was there, or delete the folder"
                )
            files.append(Dataset(**arrays))
        # An episode that did not go on after an interruption ends where its states do not meet.
        joined = Dataset(*(np.concatenate(x, axis=1) for x in zip(*files, strict=True)))
        apart = (joined.next_obs[:, :-1] != joined.obs[:, 1:]).any(axis=-1)
        joined.terminal[:, :-1] = np.maximum(joined.terminal[:, :-1], apart)
        return [Dataset(*(x[i] for x in joined)) for i in range(len(self.seeds))]


def _alone(exchange: Callable) -> Callable:
    """`exchange` with one worker, for the threads of several seeds, one at a time."""
    lock = threading.Lock()

    def locked(commands):
        with lock:
            return exchange(commands)

    return locked
