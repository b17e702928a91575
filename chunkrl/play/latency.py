"""A policy that answers late: the robot goes on with the chunk before until the next is there."""

from collections.abc import Callable
from typing import Any

import numpy as np

from chunkrl import checks
from chunkrl.envs.family import Task
from chunkrl.errors import ConfigError
from chunkrl.play.evaluate import Evaluator
from chunkrl.play.lockstep import Act, Episode
from chunkrl.types import Prefix

# obs [B, O], keys [B], known [B, h, A], weight [B, h] -> chunks [B, h, A]
Resume = Callable[[np.ndarray, Any, np.ndarray, np.ndarray], Any]


def weights(chunk: int, execute: int, delay: int) -> np.ndarray:
    """How much each action of a new chunk is bound to the one before it.  -> [h]

    1 for the `delay` actions that are executed before it is there; then falling to 0 where the
    chunk before ends, h - s actions on, with c = (h - s - i) / (h - s - d + 1):
    c (e^c - 1) / (e - 1)  (soft masking of arXiv 2506.07339).
    """
    shared = chunk - execute
    left = np.clip((shared - np.arange(chunk)) / (shared - delay + 1), 0, 1)
    soft = left * np.expm1(left) / np.expm1(1)
    return np.where(np.arange(chunk) < delay, 1.0, soft).astype(np.float32)


class Late(Evaluator):
    """An `Evaluator` of a policy whose chunks come `delay` steps after what they were chosen for.

    Every `execute` steps (s) the policy sees the robot; the chunk that it draws then is there d
    steps later, until when the chunk before is continued: with h actions in a chunk d <= s and
    s + d <= h.  Without `resume` the robot switches to the new chunk wherever that is (naive);
    with it the new chunk is drawn to go on from the one before (real-time chunking).  An
    episode's first chunk is there when it begins.
    """

    def __init__(
        self,
        task: Task,
        delay: int,
        execute: int,
        resume: Resume | None = None,
        workers: int | None = 2,
        **how: Any,
    ):
        super().__init__(task, workers, execute=execute, **how)
        checks.within("delay", delay, 0, execute)
        self.delay, self.steps, self.resume = delay, execute, resume
        self.last: dict[int, np.ndarray] = {}  # row -> the chunk drawn last, [h, A]

    def choose(self, act: Act, asked: dict[int, Episode], batch: np.ndarray, keys: Any) -> Any:
        """Chunks whose first `delay` actions are those of the chunks before.  -> [B, h, A]"""
        s, d = self.steps, self.delay
        later = [row for row, episode in asked.items() if len(episode.shown) > 1]
        if self.resume and later:
            shape = self.last[later[0]].shape
            known, weight = np.zeros((len(batch), *shape), np.float32), np.zeros(len(batch))
            for row in later:
                known[row, : shape[0] - s], weight[row] = self.last[row][s:], 1.0
            bound = weight[:, None] * weights(shape[0], s, d)
            drawn = self.resume(batch, keys, known, bound.astype(np.float32))
        else:
            drawn = act(batch, keys)
        if isinstance(drawn, Prefix):
            raise ConfigError(
                "a policy that chooses how long it acts cannot be late: leave delay out"
            )
        drawn = np.array(drawn)
        if drawn.shape[1] < s + d:
            raise ConfigError(
                f"{s} actions of each chunk are executed and the next one is {d} steps late: this"
                f" needs chunks of {s + d}, and the policy's have {drawn.shape[1]}"
            )
        played = drawn.copy()
        for row in later:
            played[row, :d] = self.last[row][s : s + d]
        self.last = {row: drawn[row] for row in asked}
        return played
