"""One experiment from nothing: data, agent, training, evaluation."""

import importlib.metadata
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from chunkrl import agents, checkpoint, data, presets, runs, tasks, train
from chunkrl.agents.actor_critic import ChunkedActorCritic
from chunkrl.agents.model_based import ModelBasedActorCritic
from chunkrl.data import files
from chunkrl.data.normalise import Normaliser
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
    normaliser: Normaliser  # of what the environment shows, before the agent sees it

    def act(self, index: int = 0) -> Callable:
        """The acting function of seed number `index`, for `Evaluator.run`."""
        return normalised(self.normaliser, train.policy(self.agent, self.states, index))


def normalised(normaliser: Normaliser, act: Callable) -> Callable:
    """`act` for observations as the environment gives them."""
    return lambda obs, keys: act(normaliser.apply(obs), keys)


def training_data(
    agent: ChunkedActorCritic | ModelBasedActorCritic, task: tasks.Task, path: Path
) -> tuple[Any, Normaliser]:
    """What `agent` learns from in the train file `path`, and how it was normalised.

    Model-based agents see each dimension of the validation file in [-1, 1]; the others see the
    data as they are.
    """
    if isinstance(agent, ChunkedActorCritic):
        dataset = data.load_task(task, path=path, min_length=agent.backup)
        return dataset, Normaliser.identity(dataset.obs.shape[1])
    val = data.load_chunks(task, path, agent.chunk, split="val")
    obs, goal = (Normaliser.fit(np.asarray(x)) for x in (val.obs, val.goal))
    dataset = data.load_chunks(task, path, agent.chunk)
    dataset = dataset._replace(obs=obs.apply(dataset.obs), goal=goal.apply(dataset.goal))
    return dataset, obs.join(goal)


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
    success_timing: tasks.SuccessTiming | None = None,
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
    the_task, amount = tasks.get(task), presets.preset(preset, method, **(size or {}))
    method = agents.canonical(method)
    chosen = presets.settings(method, the_task.domain, amount)
    chosen |= {k: v for k, v in (settings or {}).items() if v is not None}
    spec = tasks.spec(the_task)
    chosen |= {"goal_dim": spec.goal_dim} if spec.goal_dim else {}
    agent = agents.make(method, spec.obs_dim, spec.action_dim, **chosen)
    timing = tasks.timing(the_task, success_timing)
    path = data_file(the_task, amount.transitions, preset == "paper", workers, progress)
    dataset, normaliser = training_data(agent, the_task, path)
    config = {
        "method": method,
        "task": task,
        "preset": preset,
        "settings": {"obs_dim": spec.obs_dim, "action_dim": spec.action_dim, **chosen},
        "success_timing": timing,
        "episodes": amount.episodes,
        "data_file": path.name,
        "versions": versions(),
    }
    if isinstance(agent, ModelBasedActorCritic):  # kept with the run, so that it needs no data
        config["normaliser"] = {k: v.tolist() for k, v in normaliser._asdict().items()}
    count = workers or os.cpu_count() or 1
    with Evaluator(the_task, count, success_timing=timing, execute=agent.execute) as play:
        states, rows = train.fit(
            agent,
            dataset,
            amount.updates,
            amount.batch_size,
            seeds,
            amount.every,
            lambda act, seed: play.run(normalised(normaliser, act), amount.episodes, seed),
            amount.evaluate_every,
            folder,
            config,
            log,
            progress,
        )
    return Experiment(the_task, agent, states, rows, config, normaliser)


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
    stored = {k: np.array(v, np.float32) for k, v in config.get("normaliser", {}).items()}
    normaliser = Normaliser(**stored) if stored else Normaliser.identity(agent.obs_dim)
    rows = runs.read_rows(folder)
    return Experiment(tasks.get(config["task"]), agent, states, rows, config, normaliser)
