"""OGBench as a family: its tasks, and their files in the layout that an agent reads."""

from pathlib import Path
from typing import Any

import numpy as np

from chunkrl.data.normalise import Normaliser
from chunkrl.envs.family import Task
from chunkrl.envs.ogbench.relabel import load_chunks, load_task
from chunkrl.envs.ogbench.tasks import get, make_env, names, spec
from chunkrl.errors import ConfigError
from chunkrl.types import GoalChunks, Reads, Windows

__all__ = ["data", "get", "make_env", "names", "spec"]


def data(task: Task, reads: Reads, path: str | Path) -> tuple[Any, Normaliser]:
    """The `Dataset` or `ChunkDataset` that `reads` describes, and how it was normalised.

    Windows see the data as they are; chunks see each dimension of the validation file in [-1, 1].
    Raises ConfigError where the task has goals and the agent none, or the other way round.
    """
    require_goals(task, reads)
    if isinstance(reads, Windows):
        dataset = load_task(task, path=path, min_length=reads.length)
        return dataset, Normaliser.identity(dataset.obs.shape[1])
    val = load_chunks(task, path, reads.length, split="val")
    obs, goal = (Normaliser.fit(np.asarray(x)) for x in (val.obs, val.goal))
    chunks = load_chunks(task, path, reads.length)
    chunks = chunks._replace(obs=obs.apply(chunks.obs), goal=goal.apply(chunks.goal))
    return chunks, obs.join(goal)


def require_goals(task: Task, reads: Reads) -> None:
    """Raise ConfigError unless the agent and the task agree on whether there are goals."""
    if task.goals and not isinstance(reads, GoalChunks):
        raise ConfigError(f"{task.name} has goals, the agent learns from rewards: choose mac")
    if isinstance(reads, GoalChunks) and not task.goals:
        raise ConfigError(f"{task.name} has rewards, the agent learns to reach goals")
