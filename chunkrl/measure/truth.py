"""The true value of a policy at states of a dataset: what the simulator says when it is played."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from chunkrl.envs.family import Task
from chunkrl.envs.ogbench import tasks
from chunkrl.envs.ogbench.sim_state import Logged
from chunkrl.errors import ConfigError
from chunkrl.play.evaluate import Act, decision_keys
from chunkrl.play.workers import Chunk, Outcome, Start, Workers

if TYPE_CHECKING:
    import gymnasium


class Rollouts(NamedTuple):
    """M rollouts from each of S states, cut after T steps."""

    reward: np.ndarray  # [S, M, T]  of the task, per step; 0 after the end
    steps: np.ndarray  # [S, M]  that were executed
    solved: np.ndarray  # [S, M] bool  the episode ended with success, not at T
    obs: np.ndarray  # [S, M, D, O]  in which decisions fell; repeated from the last one on
    at: np.ndarray  # [D]  the steps of those decisions

    def value(self, discount: float) -> np.ndarray:
        """sum_{t<T} gamma^t r_t of every rollout.  -> [S, M]"""
        return self.reward @ discount ** np.arange(self.reward.shape[-1])

    def truncation(self, discount: float) -> np.ndarray:
        """How far at most the cut moves `value`, with |r| <= 1: gamma^T / (1 - gamma).  -> [S, M]

        0 where the episode ended by itself.  `value` is too high by this much at most, since
        rewards are not positive.
        """
        left = discount ** self.reward.shape[-1] / (1 - discount) if discount < 1 else np.inf
        return np.where(self.solved, 0.0, left)


class Simulator:
    """Environments in worker processes that start wherever the data have been.

        with Simulator(task, horizon=300) as simulator:
            rollouts = simulator.play(act, logged, repeats=8, execute=10)

    `horizon` is T.  `ends` says whether a solved task ends the episode, as it does where agents are
    tested; an agent that is trained with masks of 1 learns the value of going on.  `make_env`
    replaces the environment of the task; it then owns the time limit and the end.
    """

    def __init__(
        self,
        task: Task,
        horizon: int,
        ends: bool = True,
        workers: int = 2,
        envs: int = 16,
        make_env: Callable[[], "gymnasium.Env"] | None = None,
    ):
        if min(horizon, workers, envs) < 1:
            raise ConfigError("horizon, workers and envs must be at least 1")
        settings = {"max_episode_steps": horizon, "terminate_at_goal": ends}
        self.task, self.horizon, self.ends, self.envs = task, horizon, ends, envs
        self.workers = Workers(
            min(workers, envs), make_env or partial(tasks.make_env, task, "pre", **settings)
        )

    def __enter__(self) -> "Simulator":
        return self

    def __exit__(self, *_: object) -> None:
        self.workers.close()

    def play(
        self,
        act: Act,
        logged: Logged,
        repeats: int,
        execute: int,
        lead: int = 0,
        seed: int = 0,
    ) -> Rollouts:
        """`repeats` rollouts of `act` from each state, which executes `execute` actions of a chunk.

        Decision d of rollout m from state i has the key decision_keys(seed, i M + m, d), whatever
        happened before, so that imagination can use the same one.  With `lead`, decision 0 is to
        execute so many logged actions.  The first decision reads the logged observation.  Rewards
        are scored on s_t, as those of the data are.
        """
        if min(repeats, execute) < 1 or not 0 <= lead <= logged.action.shape[1]:
            raise ConfigError(
                f"repeats = {repeats} and execute = {execute} must be at least 1, and lead = "
                f"{lead} at most the {logged.action.shape[1]} logged actions"
            )
        plan = [
            _Rollout(i, i * repeats + m) for i in range(len(logged.row)) for m in range(repeats)
        ]
        self._run(act, logged, plan, execute, lead, seed)
        at = np.append(0, np.arange(lead or execute, self.horizon, execute))
        arrays = self._arrays(plan, len(at))
        shape = (len(logged.row), repeats)
        return Rollouts(*(x.reshape(*shape, *x.shape[1:]) for x in arrays), at=at)

    def _run(
        self, act: Act, logged: Logged, plan: list["_Rollout"], execute: int, lead: int, seed: int
    ) -> None:
        """Rounds in lockstep: one decision of every rollout in progress."""
        todo = iter(plan)
        running = self._start(range(self.envs), todo, logged)
        while running:
            chunks = self._decide(act, running, execute, seed)
            commands = [
                Chunk(row, logged.action[r.state, :lead])
                if lead and not r.reward
                else Chunk(row, chunks[row, :execute])
                for row, r in running.items()
            ]
            for outcome in self.workers.exchange(commands):
                running[outcome.row].add(outcome)
            over = [row for row, rollout in running.items() if rollout.done]
            for row in over:
                del running[row]
            running |= self._start(over, todo, logged)

    def _start(
        self, rows: Iterable[int], todo: Iterator["_Rollout"], logged: Logged
    ) -> dict[int, "_Rollout"]:
        """The next rollouts, in the environments of free `rows`."""
        fresh = dict(zip(rows, todo, strict=False))
        self.workers.exchange(
            [Start(row, r.number, state=logged.state[r.state]) for row, r in fresh.items()]
        )
        for rollout in fresh.values():
            rollout.obs.append(logged.obs[rollout.state])
        return fresh

    def _decide(
        self, act: Act, running: dict[int, "_Rollout"], execute: int, seed: int
    ) -> np.ndarray:
        """One call of the policy; rows without a rollout are padding.  -> [envs, h, A]"""
        obs = np.zeros((self.envs, len(next(iter(running.values())).obs[0])), np.float32)
        number, decision = np.zeros((2, self.envs), np.int32)
        for row, rollout in running.items():
            obs[row], number[row] = rollout.obs[-1], rollout.number
            decision[row] = len(rollout.reward)
        chunks = np.asarray(act(obs, decision_keys(seed, number, decision)))
        if chunks.ndim != 3 or len(chunks) != self.envs or chunks.shape[1] < execute:
            raise ConfigError(
                f"the policy returned {chunks.shape}: expected [{self.envs}, h, A], h >= {execute}"
            )
        if not np.isfinite(chunks[list(running)]).all():
            raise ConfigError("the policy returned an action that is not finite: did it diverge?")
        return chunks

    def _arrays(self, done: Sequence["_Rollout"], decisions: int) -> tuple[np.ndarray, ...]:
        """Rewards, steps, success and observations, one row per rollout."""
        reward = np.zeros((len(done), self.horizon))
        for row, rollout in zip(reward, done, strict=True):
            earned = self.task.reward(np.concatenate(rollout.reward))
            row[: len(earned)] = earned
        steps = np.array([sum(map(len, r.reward)) for r in done])
        solved = np.array([r.success for r in done]) & self.ends
        obs = np.array([r.obs + r.obs[-1:] * (decisions - len(r.obs)) for r in done])
        return reward, steps, solved | (steps < self.horizon), obs


class _Rollout:
    """A rollout in progress."""

    def __init__(self, state: int, number: int):
        self.state, self.number = state, number
        self.obs: list[np.ndarray] = []  # one per decision
        self.reward: list[np.ndarray] = []  # one array per decision
        self.done = self.success = False

    def add(self, outcome: Outcome) -> None:
        self.reward.append(outcome.reward)
        self.done, self.success = outcome.done, outcome.success
        if outcome.obs is not None:
            self.obs.append(outcome.obs)
