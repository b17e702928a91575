"""Success, return and length of a policy that executes chunks of actions open loop."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Self

import jax
import numpy as np

from chunkrl.envs.family import SuccessTiming, Task, timing
from chunkrl.envs.ogbench import tasks
from chunkrl.errors import ConfigError
from chunkrl.play.workers import Chunk, Outcome, Start, Workers

if TYPE_CHECKING:
    import gymnasium

Act = Callable[[np.ndarray, jax.Array], jax.Array]  # obs [B, O], keys [B] -> chunks [B, h, A]


@dataclass(frozen=True)
class Evaluation:
    """What E episodes showed."""

    task: str
    success_timing: str
    seed: int
    success: np.ndarray  # [E] bool, at the last step
    episode_return: np.ndarray  # [E] undiscounted sum of the task's reward
    length: np.ndarray  # [E] environment steps
    goal: np.ndarray  # [E] the number of the goal, from 1; 0 in a single task
    frames: tuple[np.ndarray, ...] = ()  # the first `record` episodes, [frames, height, width, 3]
    trace: tuple[np.ndarray, ...] = ()  # positions of the robot at s_0 ... s_T, [length + 1, 3]

    @property
    def success_rate(self) -> float:
        return float(self.success.mean())

    @property
    def goal_success(self) -> dict[int, float]:
        """The success rate for each goal; its mean is `success_rate`.  Empty for a single task."""
        numbers = np.unique(self.goal[self.goal > 0])
        return {int(n): float(self.success[self.goal == n].mean()) for n in numbers}

    @property
    def interval(self) -> tuple[float, float]:
        """95% Wilson score interval of the success rate (a little wide where goals differ)."""
        return wilson(int(self.success.sum()), len(self.success))

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.success_rate:.0%} success (95% interval {low:.0%} to {high:.0%}, "
            f"{len(self.success)} episodes, success timing {self.success_timing})"
        )


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95% Wilson score interval of a proportion: also right at 0% and 100%."""
    from scipy.stats import binomtest

    low, high = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return float(low), float(high)


@dataclass
class _Episode:
    """An episode in progress."""

    index: int
    goal: int | None = None
    obs: np.ndarray | None = None
    chunks: int = 0
    done: bool = False
    success: bool = False
    reward: list[np.ndarray] = field(default_factory=list)
    frames: list[np.ndarray] = field(default_factory=list)
    trace: list[np.ndarray] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.obs, self.done, self.success = outcome.obs, outcome.done, outcome.success
        self.reward.append(outcome.reward)
        self.frames.extend(outcome.frames)
        self.trace.extend(outcome.trace)


class Evaluator:
    """Environments in worker processes, kept for many evaluations of a training run.

        with Evaluator(task) as evaluator:
            print(evaluator.run(act, episodes=50))

    `envs` environments advance together, spread over `workers` processes: the policy acts once per
    chunk, on all of them, and each worker gets one message per chunk. The result is a function of
    the policy, `seed` and `envs`; the number of workers and their timing do not enter. `execute`
    limits how many actions of a chunk are executed, `max_episode_steps` shortens the episodes, and
    `make_env` replaces the environment of the task (it is pickled and called in the workers).
    """

    def __init__(
        self,
        task: Task,
        workers: int = 2,
        envs: int = 10,
        success_timing: SuccessTiming | None = None,
        execute: int | None = None,
        max_episode_steps: int | None = None,
        make_env: Callable[[], "gymnasium.Env"] | None = None,
    ):
        if any(n is not None and n < 1 for n in (workers, envs, execute, max_episode_steps)):
            raise ConfigError("workers, envs, execute and max_episode_steps must be at least 1")
        limit = {} if max_episode_steps is None else {"max_episode_steps": max_episode_steps}
        self.task, self.envs, self.execute = task, envs, execute
        self.success_timing = timing(task, success_timing)
        self._count = min(workers, envs)
        self._make_env = make_env or partial(tasks.make_env, task, self.success_timing, **limit)
        self._workers: Workers | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the workers; a later `run` starts new ones."""
        if self._workers is not None:
            self._workers.close()
            self._workers = None

    def run(
        self, act: Act, episodes: int = 50, seed: int = 0, record: int = 0, trace: bool = False
    ) -> Evaluation:
        """Run `act` for `episodes` episodes; keep pictures of the first `record`.

        Where the task has goals they take turns, and `episodes` is rounded up so that each gets as
        many; a row of `obs` is then an observation and its goal, [s, g].

        act(obs [B, O] float32, keys [B]) -> [B, h, A] has B = `envs` at every call and a row of
        its result must depend on that row of its arguments alone (keys: typed, one per row).
        Raises WorkerError when a worker fails, ConfigError when `act` returns something else.
        """
        if episodes < 1:
            raise ConfigError("an evaluation needs at least one episode")
        if not 0 <= seed < 2**31:
            raise ConfigError(f"seed = {seed}: must be from 0 to {2**31 - 1}")
        if self.task.goals:
            episodes = -(-episodes // self.task.goals) * self.task.goals
        if record:
            from chunkrl.envs.rendering import warn_if_drawn

            warn_if_drawn()
        try:
            finished = self._episodes(act, episodes, seed, record, trace)
        except BaseException:
            self.close()  # replies may be under way: the next run needs fresh pipes
            raise
        returns = [self.task.reward(np.concatenate(e.reward)).sum() for e in finished]
        return Evaluation(
            task=self.task.name,
            success_timing=self.success_timing,
            seed=seed,
            success=np.array([e.success for e in finished]),
            episode_return=np.array(returns),
            length=np.array([sum(map(len, e.reward)) for e in finished]),
            goal=np.array([e.goal or 0 for e in finished]),
            frames=tuple(np.stack(e.frames) for e in finished[:record]),
            trace=tuple(np.stack(e.trace) for e in finished) if trace else (),
        )

    def _episodes(
        self, act: Act, count: int, seed: int, record: int, trace: bool
    ) -> list[_Episode]:
        """Rounds in lockstep: plan a chunk for every episode in progress, then execute them all."""
        if self._workers is None:
            self._workers = Workers(self._count, self._make_env)
        goals = self.task.goals
        episodes = [_Episode(i, i % goals + 1 if goals else None) for i in range(count)]
        upcoming = iter(episodes)
        running = dict(zip(range(self.envs), upcoming, strict=False))  # row -> episode
        while running:
            obs = {row: e.obs for row, e in running.items() if e.obs is not None}
            chunks = self._plan(act, seed, obs, running) if obs else {}
            commands = [
                Chunk(row, chunks[row])
                if row in chunks
                else Start(row, _env_seed(seed, e.index), e.index < record, trace, goal=e.goal)
                for row, e in running.items()
            ]
            for outcome in self._workers.exchange(commands):
                running[outcome.row].add(outcome)
            for row in [row for row, e in running.items() if e.done]:
                del running[row]
                running.update(zip([row], upcoming, strict=False))
        return episodes

    def _plan(
        self, act: Act, seed: int, obs: dict[int, np.ndarray], running: dict[int, _Episode]
    ) -> dict[int, np.ndarray]:
        """One call of the policy; rows that are not in `obs` are padding.  -> {row: [k, A]}"""
        batch = np.zeros((self.envs, len(next(iter(obs.values())))), np.float32)
        index, chunk = np.zeros((2, self.envs), np.int32)
        for row in obs:
            batch[row], index[row], chunk[row] = obs[row], running[row].index, running[row].chunks
            running[row].chunks += 1
        chunks = np.asarray(act(batch, decision_keys(seed, index, chunk)))
        if chunks.ndim != 3 or len(chunks) != self.envs or chunks.shape[1] < (self.execute or 1):
            raise ConfigError(
                f"the policy returned {chunks.shape} for {self.envs} observations: expected "
                f"[{self.envs}, h, A] with h >= {self.execute or 1} (the actions to execute)"
            )
        if not np.isfinite(chunks[list(obs)]).all():
            raise ConfigError("the policy returned an action that is not finite: did it diverge?")
        return {row: chunks[row, : self.execute] for row in obs}


def _env_seed(seed: int, episode: int) -> int:
    return int(np.random.SeedSequence([seed, episode]).generate_state(1)[0])


@jax.jit
def decision_keys(seed: int, episode: np.ndarray, chunk: np.ndarray) -> jax.Array:
    """One key for each chunk of each episode.  [B], [B] -> [B]"""
    fold = jax.random.fold_in
    return jax.vmap(lambda e, c: fold(fold(jax.random.key(seed), e), c))(episode, chunk)
