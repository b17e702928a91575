"""Acting that is learned from: chunks of actions open loop, and every transition they made."""

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chunkrl.errors import ChunkRLWarning, ConfigError
from chunkrl.play import evaluate
from chunkrl.play.slot import Outcome, Start
from chunkrl.types import Dataset

APART = 1  # beside a run's seed: no episode of an evaluation begins as one that was learned from


class Ended(NamedTuple):
    """An episode that is over."""

    success: float  # 0 or 1, at its last step; nan where the environment does not say
    total: float  # undiscounted sum of the task's reward
    length: int


def environment_seed(seed: int, episode: int) -> int:
    """With which seed the environment begins episode number `episode` of acting with `seed`."""
    return evaluate.environment_seed(seed, episode, APART)


class Player:
    """One environment, whose episodes follow one another, and a queue of actions for it.

    The queue is executed open loop and cleared where an episode ends, so that chunks begin with the
    episode.  `exchange` is that of the `Workers` or `Slots` that have the environment as their
    `row`; `reward` is the task's.  What happens is a function of `seed` and the actions alone.
    """

    def __init__(
        self,
        exchange: Callable[[dict[int, Any]], dict[int, Outcome]],
        row: int,
        seed: int,
        reward: Callable[[Any], np.ndarray],
        obs_dim: int,
    ):
        self.exchange, self.row, self.seed, self.reward = exchange, row, seed, reward
        self.obs_dim, self.episode = obs_dim, -1
        self.ended: list[Ended] = []  # for whoever takes them away

    def begin(self, episode: int) -> None:
        """Begin this episode."""
        self.episode, self.rewards, self.queue = episode, [], np.zeros((0, 0))
        self.obs = self._tell(Start(environment_seed(self.seed, episode), every_obs=True)).obs
        if len(self.obs) != self.obs_dim:
            raise ConfigError(
                f"the environment shows {len(self.obs)} numbers, the logs {self.obs_dim}: act in"
                " the environment that they are of"
            )

    def play(self, most: int) -> Dataset:
        """Execute the queue, at most `most` of it, at most to the end of the episode.  -> [k, ...]

        The mask of a transition is 0 where the environment says that the task is over, as opposed
        to a time limit; `terminal` is 1 for both.
        """
        chunk = self.queue[:most]
        outcome = self._tell(chunk)
        steps, following = len(outcome.reward), np.stack(outcome.observed)
        reward = np.asarray(self.reward(np.array(outcome.reward)), np.float32)
        last = np.arange(steps) == steps - 1
        rows = Dataset(
            obs=np.concatenate([self.obs[None], following[:-1]]),
            action=chunk[:steps],
            reward=reward,
            mask=1 - (last & outcome.terminated).astype(np.float32),
            terminal=(last & outcome.done).astype(np.float32),
            next_obs=following,
        )
        self.obs, self.queue = following[-1], self.queue[steps:]
        self.rewards += reward.tolist()
        if outcome.done:
            total, length = math.fsum(self.rewards), len(self.rewards)
            self.ended.append(Ended(outcome.success, total, length))
            self.begin(self.episode + 1)
        return rows

    def state(self) -> dict[str, Any]:
        """What `resume` needs beside the transitions, for JSON."""
        queue = self.queue.astype(float).tolist()
        return {"episode": self.episode, "taken": len(self.rewards), "queue": queue}

    def resume(self, state: dict[str, Any], rows: Dataset) -> bool:
        """Go on where `state` was stored: the actions of the unfinished episode are made again.

        `rows` are all transitions so far.  An environment that does not answer as it did begins the
        next episode, with a warning.  -> whether it did answer so
        """
        self.begin(state["episode"])
        if state["taken"]:
            made = Dataset(*(x[-state["taken"] :] for x in rows))
            outcome = self._tell(np.asarray(made.action))
            if outcome.done or not np.array_equal(outcome.observed, made.next_obs):
                warnings.warn(
                    f"the environment did not answer {state['taken']} actions as it had before: the"
                    " unfinished episode is cut there, and the run is not the uninterrupted one",
                    ChunkRLWarning,
                    stacklevel=2,
                )
                self.begin(self.episode + 1)
                return False
            self.obs, self.rewards = made.next_obs[-1], made.reward.tolist()
        self.queue = np.array(state["queue"], np.float32).reshape(-1, rows.action.shape[1])
        return True

    def _tell(self, command: Start | np.ndarray) -> Outcome:
        return self.exchange({self.row: command})[self.row]
