"""Chunks of actions played in parallel environments, which advance together."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import jax
import numpy as np

from chunkrl.errors import ConfigError
from chunkrl.play.slot import Outcome, Slots, Start
from chunkrl.play.workers import PATIENCE, Workers
from chunkrl.types import Prefix

if TYPE_CHECKING:
    import gymnasium

# obs [B, O], keys [B] -> chunks [B, h, A], or a Prefix of them
Act = Callable[[np.ndarray, jax.Array], Any]


@dataclass
class Episode:
    """An episode to be played, and what it showed so far."""

    number: int  # of its keys: see `decision_keys`
    start: Start
    first: np.ndarray | None = None  # [O] what the first decision reads, if not what is observed
    lead: np.ndarray | None = None  # [k, A] actions that are executed in place of the first chunk
    shown: list[Outcome] = field(default_factory=list)  # by its start, and by each chunk

    @property
    def obs(self) -> list[np.ndarray]:
        """What decisions read: [O] each."""
        return [outcome.obs for outcome in self.shown if outcome.obs is not None]

    @property
    def reward(self) -> np.ndarray:
        """Of each step, as the environment gives it.  [steps]"""
        return np.concatenate([outcome.reward for outcome in self.shown])

    @property
    def frames(self) -> list[np.ndarray]:
        return [frame for outcome in self.shown for frame in outcome.frames]

    @property
    def trace(self) -> list[np.ndarray]:
        return [position for outcome in self.shown for position in outcome.trace]


class Lockstep:
    """`envs` environments, in `workers` processes (None: one per core) or, for 0, in this one.

    The policy acts once per chunk, on all environments, and each worker gets one message per chunk.
    What an episode shows is a function of the policy, the episode and `envs` alone.  `make_env`,
    `patience` and `main`: see `Workers`.
    """

    def __init__(
        self,
        make_env: Callable[[], "gymnasium.Env"],
        workers: int | None,
        envs: int,
        patience: float = PATIENCE,
        main: bool = True,
    ):
        workers = os.cpu_count() or 1 if workers is None else workers
        if workers < 0 or envs < 1 or patience <= 0:
            raise ConfigError(
                "envs must be at least 1, patience above 0, and workers at least 0 (0: none)"
            )
        self.envs = envs
        self._settings = min(workers, envs), make_env, patience, main
        self._workers: Workers | Slots | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def play(self, act: Act, episodes: Sequence[Episode], seed: int, execute: int | None) -> None:
        """Play `episodes` to their ends, at most `execute` actions of each chunk (default: all).

        act(obs [B, O] float32, keys [B]) -> [B, h, A], or a `Prefix` of it, has B = `envs` at every
        call and a row of its result must depend on that row of its arguments alone (keys: typed,
        one per row).
        Raises WorkerError when a worker fails, ConfigError when `act` returns something else or
        the environment is not one that agents can act in.
        """
        if self._workers is None:
            count, make_env, _, _ = self._settings
            self._workers = Workers(*self._settings) if count else Slots(make_env)
        upcoming = iter(episodes)
        running = dict(zip(range(self.envs), upcoming, strict=False))  # row -> episode
        try:
            while running:
                begun = {row: e for row, e in running.items() if e.shown}
                chunks = self._decide(act, begun, seed, execute)
                commands = {row: chunks.get(row, e.start) for row, e in running.items()}
                outcomes = self._workers.exchange(commands)
                for row, episode in [*running.items()]:
                    if episode.first is not None and not episode.shown:
                        outcomes[row].obs = episode.first
                    episode.shown.append(outcomes[row])
                    if outcomes[row].done:
                        del running[row]
                        running.update(zip([row], upcoming, strict=False))
        except BaseException:
            self.close()  # replies may be under way: the next call needs fresh pipes
            raise

    def close(self) -> None:
        """Stop the workers; a later `play` starts new ones."""
        if self._workers is not None:
            self._workers.close()
            self._workers = None

    def choose(self, act: Act, asked: dict[int, Episode], batch: np.ndarray, keys: jax.Array):
        """The policy's chunks for what the episodes `asked` show.  -> [B, h, A]"""
        return act(batch, keys)

    def _decide(
        self, act: Act, begun: dict[int, Episode], seed: int, execute: int | None
    ) -> dict[int, np.ndarray]:
        """One call of the policy for all that have begun; the others are padding.  -> [k, A]"""
        chunks = {r: e.lead for r, e in begun.items() if e.lead is not None and len(e.shown) == 1}
        asked = {row: e for row, e in begun.items() if row not in chunks}
        if not asked:
            return chunks
        size = len(next(iter(asked.values())).shown[-1].obs)
        batch = np.zeros((self.envs, size), np.float32)
        number, decision = np.zeros((2, self.envs), np.int32)
        for row, episode in asked.items():
            batch[row], number[row] = episode.shown[-1].obs, episode.number
            decision[row] = len(episode.shown) - 1
        keys = decision_keys(seed, number, decision)
        chosen, length = self.choose(act, asked, batch, keys), [execute] * self.envs
        if isinstance(chosen, Prefix):
            chosen, length = chosen
        chosen = np.asarray(chosen)
        if chosen.ndim != 3 or len(chosen) != self.envs or chosen.shape[1] < (execute or 1):
            raise ConfigError(
                f"the policy returned {chosen.shape} for {self.envs} observations: expected "
                f"[{self.envs}, h, A] with h >= {execute or 1} (the actions to execute)"
            )
        if not np.isfinite(chosen[list(asked)]).all():
            seen = np.isfinite(batch).all()
            raise ConfigError(
                "the policy returned an action that is not finite: "
                + ("did it diverge?" if seen else "the environment showed it what is not finite")
            )
        return chunks | {row: begun_of(chosen[row], length[row])[:execute] for row in asked}


def begun_of(chunk: np.ndarray, length: Any) -> np.ndarray:
    """The first `length` actions of a chunk (None: all), as a `Prefix` says.  [h, A] -> [k, A]

    Raises ConfigError where it has not so many, or there is none to play.
    """
    if length is not None and not 1 <= length <= len(chunk):
        raise ConfigError(
            f"the policy wants to play {length} actions of a chunk of {len(chunk)}: choose from 1"
            f" to {len(chunk)}"
        )
    return chunk[:length]


@jax.jit
def decision_keys(seed: int, episode: np.ndarray, decision: np.ndarray) -> jax.Array:
    """One key for each decision of each episode.  [B], [B] -> [B]"""
    fold = jax.random.fold_in
    return jax.vmap(lambda e, d: fold(fold(jax.random.key(seed), e), d))(episode, decision)
