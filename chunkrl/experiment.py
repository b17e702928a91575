"""One experiment from nothing: data, agent, training, evaluation."""

import importlib.metadata
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from chunkrl import agents, checkpoint, data, presets, runs, tasks, train
from chunkrl.data import files
from chunkrl.errors import TrainingError
from chunkrl.evaluate import Evaluator
from chunkrl.types import Agent

TASK = "cube-single-play-singletask-task2-v0"


class Experiment(NamedTuple):
    """A trained agent and how it got there."""

    task: tasks.Task
    agent: Agent
    states: Any  # leaves [S, ...], one per seed
    rows: list[dict]  # as in metrics.csv
    config: dict

    def act(self, index: int = 0) -> Callable:
        """The acting function of seed number `index`, for `Evaluator.run`."""
        return train.policy(self.agent, self.states, index)


def data_file(
    task: tasks.Task,
    transitions: int,
    official: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """The train file of `task` with `transitions` transitions, generated where it is not on disk.

    `official` prefers OGBench's own file where that has been downloaded.
    """
    path = files.official_path(task.dataset)
    if official and path.exists():
        return path
    made = files.generated_path(task.dataset, transitions)
    if made.with_suffix(".json").exists():  # the last file written; of whatever versions
        return made
    return data.generate(task.dataset, transitions, workers=workers, progress=progress)


def versions() -> dict[str, str]:
    """The installed versions that a result depends on."""
    names = ("chunkrl", "jax", "flax", "optax", "ogbench", "mujoco", "numpy")
    return {name: importlib.metadata.version(name) for name in names}


def run(
    method: str,
    task: str = TASK,
    preset: str = "laptop",
    seeds: Sequence[int] = (0,),
    folder: str | Path | None = None,
    success_timing: tasks.SuccessTiming = "pre",
    workers: int | None = None,
    log: Callable[[int, dict], None] | None = None,
    progress: bool = True,
    size: dict | None = None,
    settings: dict | None = None,
) -> Experiment:
    """Train `method` on `task` from nothing; `folder` keeps what continuing and loading need.

    `size` changes fields of the preset, `settings` keyword arguments of `agents.make`; None keeps
    the preset's value.  `workers` processes generate data and play episodes (default: one a core).
    Raises ChunkRLError.
    """
    the_task, amount = tasks.get(task), presets.preset(preset, **(size or {}))
    method = agents.canonical(method)
    chosen = presets.settings(method, the_task.domain, amount)
    chosen |= {k: v for k, v in (settings or {}).items() if v is not None}
    spec = tasks.spec(the_task)
    agent = agents.make(method, spec.obs_dim, spec.action_dim, **chosen)
    path = data_file(the_task, amount.transitions, preset == "paper", workers, progress)
    dataset = data.load_task(the_task, path=path, min_length=agent.backup)
    config = {
        "method": method,
        "task": task,
        "preset": preset,
        "settings": {"obs_dim": spec.obs_dim, "action_dim": spec.action_dim, **chosen},
        "success_timing": success_timing,
        "episodes": amount.episodes,
        "data_file": path.name,
        "versions": versions(),
    }
    with Evaluator(the_task, workers or os.cpu_count() or 1, success_timing=success_timing) as play:
        states, rows = train.fit(
            agent,
            dataset,
            amount.updates,
            amount.batch_size,
            seeds,
            amount.every,
            lambda act, seed: play.run(act, amount.episodes, seed),
            amount.evaluate_every,
            folder,
            config,
            log,
            progress,
        )
    return Experiment(the_task, agent, states, rows, config)


def load(folder: str | Path) -> Experiment:
    """The experiment that `run` left in `folder`, at its last checkpoint.  Raises ChunkRLError."""
    folder = Path(folder)
    config = runs.read_config(folder)
    agent = agents.make(config["method"], **config["settings"])
    if not (folder / runs.CHECKPOINT).exists():
        raise TrainingError(f"{folder} has no checkpoint yet: train for longer")
    keys = jax.vmap(jax.random.key)(jnp.asarray(config["seeds"]))
    like = jax.eval_shape(lambda keys: train.init(agent, keys), keys)
    states, _ = checkpoint.load(folder / runs.CHECKPOINT, like)
    return Experiment(tasks.get(config["task"]), agent, states, runs.read_rows(folder), config)
