"""Success, return and length of a policy that executes chunks of actions open loop."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chunkrl import checks
from chunkrl.envs.family import SuccessTiming, Task, maker, timing
from chunkrl.errors import ConfigError
from chunkrl.play.lockstep import Act, Episode, Lockstep
from chunkrl.play.slot import Start
from chunkrl.play.workers import PATIENCE

if TYPE_CHECKING:
    import gymnasium

QUANTILE = 1.959963984540054  # of a standard normal at 97.5%; SciPy takes 0.6 s to import


@dataclass(frozen=True)
class Evaluation:
    """What E episodes showed."""

    task: str
    success_timing: str
    seed: int
    success: np.ndarray  # [E] bool, at the last step; nan where the environment does not say
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
        if np.isnan(self.success_rate):
            return np.nan, np.nan
        return wilson(int(self.success.sum()), len(self.success))

    def __str__(self) -> str:
        (low, high), episodes = self.interval, f"{len(self.success)} episodes"
        if np.isnan(self.success_rate):
            return (
                f"return {self.episode_return.mean():.1f} ({episodes}); success unknown: the "
                "environment's info has no 'success'"
            )
        interval = f"95% interval {low:.0%} to {high:.0%}, {episodes}"
        return f"{self.success_rate:.0%} success ({interval}, success timing {self.success_timing})"


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95% Wilson score interval of a proportion: also right at 0% and 100%."""
    share, z = successes / trials, QUANTILE
    width = 2 * (trials + z**2)
    middle = (2 * trials * share + z**2) / width
    half = z / width * math.sqrt(4 * trials * share * (1 - share) + z**2)
    low = middle - half if successes else 0.0
    return low, middle + half if successes < trials else 1.0


def environment_seed(seed: int, episode: int, *apart: int) -> int:
    """With which seed the environment begins episode number `episode` of a run with `seed`.

    Other numbers behind them, `apart`, give others.
    """
    return int(np.random.SeedSequence([seed, episode, *apart]).generate_state(1)[0])


class Evaluator(Lockstep):
    """Environments kept for many evaluations of a training run.

        with Evaluator(task) as evaluator:
            print(evaluator.run(act, episodes=50))

    `envs` environments advance together, spread over `workers` processes (None: one per core; 0:
    this one, which needs neither a `__main__` guard nor a `make_env` that can be pickled): the
    policy acts once per chunk, on all of them.  The result is a function of the policy, `seed` and
    `envs` alone.  `execute` limits how many actions of a chunk are executed, and
    `max_episode_steps` shortens the episodes.

    `make_env` replaces the environment of the task by any of Gymnasium's (it is pickled and called
    in the workers): observations are vectors, actions lie in [-1, 1] (RescaleAction, elsewhere),
    and without "success" in `info` the success is unknown, nan.  `patience` is how many seconds a
    worker may take for one step, or to make an environment.
    """

    def __init__(
        self,
        task: Task,
        workers: int | None = 2,
        envs: int = 10,
        success_timing: SuccessTiming | None = None,
        execute: int | None = None,
        max_episode_steps: int | None = None,
        make_env: Callable[[], "gymnasium.Env"] | None = None,
        patience: float = PATIENCE,
    ):
        for name, n in (("execute", execute), ("max_episode_steps", max_episode_steps)):
            checks.whole(name, 1 if n is None else n)
        if make_env is not None and success_timing is not None:
            raise ConfigError(
                f"success_timing = {success_timing!r} says nothing beside make_env: leave it out"
            )
        self.task, self.execute = task, execute
        self.success_timing = timing(task, success_timing)
        self._sketches = make_env is None
        make, main = maker(task, success_timing, max_episode_steps, make_env=make_env)
        super().__init__(make, workers, envs, patience, main)

    def run(
        self, act: Act, episodes: int = 50, seed: int = 0, record: int = 0, trace: bool = False
    ) -> Evaluation:
        """Run `act` for `episodes` episodes; keep pictures of the first `record`.

        Where the task has goals they take turns, and `episodes` is rounded up so that each gets as
        many; a row of `obs` is then an observation and its goal, [s, g].  What `act` is given and
        what this raises: see `Lockstep.play`.
        """
        episodes, goals = checks.whole("episodes", episodes), self.task.goals
        checks.within("seed", seed, 0, 2**31 - 1)
        if goals:
            episodes = -(-episodes // goals) * goals
        if record and self._sketches:
            from chunkrl.envs.rendering import warn_if_drawn

            warn_if_drawn()
        played = []
        for i in range(episodes):
            goal = i % goals + 1 if goals else None
            begin = Start(environment_seed(seed, i), goal, record=i < record, trace=trace)
            played.append(Episode(i, begin))
        self.play(act, played, seed, self.execute)
        success = np.array([e.shown[-1].success for e in played])
        return Evaluation(
            task=self.task.name,
            success_timing=self.success_timing,
            seed=seed,
            success=success if np.isnan(success).any() else success.astype(bool),
            episode_return=np.array([self.task.reward(e.reward).sum() for e in played]),
            length=np.array([len(e.reward) for e in played]),
            goal=np.array([e.start.goal or 0 for e in played]),
            frames=tuple(np.stack(e.frames) for e in played[:record]),
            trace=tuple(np.stack(e.trace) for e in played) if trace else (),
        )
