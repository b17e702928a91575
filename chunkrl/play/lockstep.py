"""Chunks of actions played in parallel environments, which advance together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from chunkrl.errors import ConfigError
from chunkrl.play.slot import Chunk, Outcome, Start
from chunkrl.play.workers import PATIENCE, Here, Workers

if TYPE_CHECKING:
    import gymnasium

Act = Callable[[np.ndarray, jax.Array], jax.Array]  # obs [B, O], keys [B] -> chunks [B, h, A]


@dataclass
class Episode:
    """An episode to be played, and what it showed so far."""

    number: int  # of its keys: see `decision_keys`
    seed: int  # of its environment
    goal: int | None = None  # number of the goal, where the task has goals
    state: Any = None  # of the simulator, to begin in
    first: np.ndarray | None = None  # [O] what the first decision reads, if not what is observed
    lead: np.ndarray | None = None  # [k, A] actions that are executed in place of the first chunk
    record: bool = False  # keep pictures
    trace: bool = False  # keep positions of the robot

    started: bool = False
    obs: list[np.ndarray] = field(default_factory=list)  # in which decisions fall
    reward: list[np.ndarray] = field(default_factory=list)  # [steps] of each decision
    terminated: bool = False
    truncated: bool = False
    success: float = np.nan  # 0 or 1, at the last step; nan where the environment does not say
    frames: list[np.ndarray] = field(default_factory=list)
    trail: list[np.ndarray] = field(default_factory=list)  # positions

    @property
    def steps(self) -> int:
        return sum(map(len, self.reward))

    def start(self, row: int) -> Start:
        return Start(row, self.seed, self.record, self.trace, self.state, self.goal)

    def add(self, outcome: Outcome) -> None:
        """Take in what the start, or the next chunk, led to."""
        if self.started:
            self.reward.append(outcome.reward)
            self.terminated, self.truncated = outcome.terminated, outcome.truncated
            self.success = outcome.success
        if outcome.obs is not None:
            replaced = not self.started and self.first is not None
            self.obs.append(self.first if replaced else outcome.obs)  # pyright: ignore
        self.started = True
        self.frames.extend(outcome.frames)
        self.trail.extend(outcome.trace)


class Lockstep:
    """`envs` environments, in `workers` processes or, for 0, in this one.

    The policy acts once per chunk, on all environments, and each worker gets one message per chunk.
    What an episode shows is a function of the policy, the episode and `envs` alone.  `make_env`,
    `patience` and `main`: see `Workers`.
    """

    def __init__(
        self,
        make_env: Callable[[], "gymnasium.Env"],
        workers: int,
        envs: int,
        patience: float = PATIENCE,
        main: bool = True,
    ):
        if workers < 0 or envs < 1 or patience <= 0:
            raise ConfigError(
                "envs must be at least 1, patience above 0, and workers at least 0 (0: none)"
            )
        self.envs = envs
        self._settings = min(workers, envs), make_env, patience, main
        self._workers: Workers | Here | None = None

    def play(self, act: Act, episodes: Sequence[Episode], seed: int, execute: int | None) -> None:
        """Play `episodes` to their ends, `execute` actions of each chunk (default: all).

        act(obs [B, O] float32, keys [B]) -> [B, h, A] has B = `envs` at every call and a row of
        its result must depend on that row of its arguments alone (keys: typed, one per row).
        Raises WorkerError when a worker fails, ConfigError when `act` returns something else or
        the environment is not one that agents can act in.
        """
        count, make_env, _, _ = self._settings
        if self._workers is None:
            self._workers = Workers(*self._settings) if count else Here(make_env)
        upcoming = iter(episodes)
        running = dict(zip(range(self.envs), upcoming, strict=False))  # row -> episode
        try:
            while running:
                chunks = self._decide(act, running, seed, execute)
                commands = [
                    Chunk(row, chunks[row]) if e.started else e.start(row)
                    for row, e in running.items()
                ]
                for outcome in self._workers.exchange(commands):
                    running[outcome.row].add(outcome)
                for row in [row for row, e in running.items() if e.terminated or e.truncated]:
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

    def _decide(
        self, act: Act, running: dict[int, Episode], seed: int, execute: int | None
    ) -> dict[int, np.ndarray]:
        """One call of the policy for all that have started; the others are padding.  -> [k, A]"""
        started = {row: e for row, e in running.items() if e.started}
        given = {r: e.lead for r, e in started.items() if e.lead is not None and not e.reward}
        asked = {row: e for row, e in started.items() if row not in given}
        if not asked:
            return given
        batch = np.zeros((self.envs, len(next(iter(asked.values())).obs[-1])), np.float32)
        number, decision = np.zeros((2, self.envs), np.int32)
        for row, episode in asked.items():
            batch[row], number[row] = episode.obs[-1], episode.number
            decision[row] = len(episode.reward)
        chunks = np.asarray(act(batch, decision_keys(seed, number, decision)))
        if chunks.ndim != 3 or len(chunks) != self.envs or chunks.shape[1] < (execute or 1):
            raise ConfigError(
                f"the policy returned {chunks.shape} for {self.envs} observations: expected "
                f"[{self.envs}, h, A] with h >= {execute or 1} (the actions to execute)"
            )
        if not np.isfinite(chunks[list(asked)]).all():
            seen = np.isfinite(batch).all()
            raise ConfigError(
                "the policy returned an action that is not finite: "
                + ("did it diverge?" if seen else "the environment showed it what is not finite")
            )
        return given | {row: chunks[row, :execute] for row in asked}


@jax.jit
def decision_keys(seed: int, episode: np.ndarray, decision: np.ndarray) -> jax.Array:
    """One key for each decision of each episode.  [B], [B] -> [B]"""
    fold = jax.random.fold_in
    return jax.vmap(lambda e, d: fold(fold(jax.random.key(seed), e), d))(episode, decision)
