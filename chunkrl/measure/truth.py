"""The true value of a policy at states of a dataset: what the simulator says when it is played."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from chunkrl.envs.family import Task, maker
from chunkrl.errors import ConfigError
from chunkrl.play.lockstep import Act, Episode, Lockstep
from chunkrl.play.slot import Start

if TYPE_CHECKING:
    import gymnasium

    from chunkrl.envs.ogbench.sim_state import Logged


class Rollouts(NamedTuple):
    """M rollouts from each of S states, cut after T steps."""

    reward: np.ndarray  # [S, M, T]  of the task, per step; 0 after the end
    steps: np.ndarray  # [S, M]  that were executed
    solved: np.ndarray  # [S, M] bool  the task ended by itself, not by a time limit
    obs: np.ndarray  # [S, M, D, O]  in which decisions fell; repeated from the last one on
    at: np.ndarray  # [D]  the steps of those decisions

    def value(self, discount: float) -> np.ndarray:
        """sum_{t<T} gamma^t r_t of every rollout.  -> [S, M]"""
        return self.reward @ discount ** np.arange(self.reward.shape[-1])

    def truncation(self, discount: float) -> np.ndarray:
        """How far at most the cut moves `value`, with |r| <= 1: gamma^T / (1 - gamma).  -> [S, M]

        0 where the task ended by itself.  `value` is too high by this much at most, since rewards
        are not positive.  A time limit of the environment's own cuts earlier than T.
        """
        left = discount**self.steps / (1 - discount) if discount < 1 else np.inf
        return np.where(self.solved, 0.0, left)


class Simulator:
    """Environments in worker processes that start wherever the data have been.

        with Simulator(task, horizon=300) as simulator:
            rollouts = simulator.play(act, logged, repeats=8, execute=10)

    `horizon` is T.  `ends` says whether a solved task ends the episode, as it does where agents are
    tested; an agent that is trained with masks of 1 learns the value of going on.  `make_env`
    replaces the environment of the task, and its environment decides what ends.  `workers` = 0
    plays in this process.
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
        if horizon < 1:
            raise ConfigError("horizon must be at least 1")
        self.task, self.horizon = task, horizon
        timing = None if make_env else "pre"
        make, main = maker(task, timing, horizon, ends, make_env)
        self._player = Lockstep(make, workers, envs, main=main)

    def __enter__(self) -> "Simulator":
        return self

    def __exit__(self, *_: object) -> None:
        self._player.close()

    def play(
        self, act: Act, logged: "Logged", repeats: int, execute: int, lead: int = 0, seed: int = 0
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
        shape = len(logged.row), repeats
        episodes = [
            Episode(
                number := i * repeats + m,
                Start(number, state=logged.state[i]),
                first=logged.obs[i],
                lead=logged.action[i, :lead] if lead else None,
            )
            for i, m in np.ndindex(shape)
        ]
        self._player.play(act, episodes, seed, execute)
        at = np.append(0, np.arange(lead or execute, self.horizon, execute))
        reward = np.zeros((len(episodes), self.horizon))
        for row, episode in zip(reward, episodes, strict=True):
            earned = self.task.reward(episode.reward)
            row[: len(earned)] = earned
        obs = np.array([e.obs + e.obs[-1:] * (len(at) - len(e.obs)) for e in episodes])
        return Rollouts(
            reward.reshape(*shape, -1),
            np.array([len(e.reward) for e in episodes]).reshape(shape),
            np.array([e.shown[-1].terminated for e in episodes]).reshape(shape),
            obs.reshape(*shape, *obs.shape[1:]),
            at,
        )
