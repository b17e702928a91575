"""One experiment from nothing: data, agent, training, evaluation."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chunkrl import agents, disk, train
from chunkrl.agents.actor_critic import ChunkedActorCritic
from chunkrl.agents.model_based import ModelBasedActorCritic
from chunkrl.data import shards as data_shards
from chunkrl.data.normalise import Normaliser
from chunkrl.envs import family
from chunkrl.envs.family import SuccessTiming, Task
from chunkrl.envs.ogbench import files, recipes, relabel, tasks
from chunkrl.envs.ogbench.convert import convert
from chunkrl.envs.ogbench.generate import generate
from chunkrl.errors import ChunkRLError, ConfigError, DataError, TrainingError
from chunkrl.experiments import presets
from chunkrl.play.evaluate import Evaluator
from chunkrl.train import runs
from chunkrl.types import Agent

TASK = "cube-single-play-singletask-task2-v0"


class Experiment(NamedTuple):
    """A trained agent and how it got there."""

    task: Task
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
    agent: ChunkedActorCritic | ModelBasedActorCritic, task: Task, path: Path
) -> tuple[Any, Normaliser]:
    """What `agent` learns from in the train file `path`, and how it was normalised.

    Model-based agents see each dimension of the validation file in [-1, 1]; the others see the
    data as they are.
    """
    if isinstance(agent, ChunkedActorCritic):
        dataset = relabel.load_task(task, path=path, min_length=agent.backup)
        return dataset, Normaliser.identity(dataset.obs.shape[1])
    val = relabel.load_chunks(task, path, agent.chunk, split="val")
    obs, goal = (Normaliser.fit(np.asarray(x)) for x in (val.obs, val.goal))
    dataset = relabel.load_chunks(task, path, agent.chunk)
    dataset = dataset._replace(obs=obs.apply(dataset.obs), goal=goal.apply(dataset.goal))
    return dataset, obs.join(goal)


def open_shards(
    agent: ChunkedActorCritic | ModelBasedActorCritic,
    task: Task,
    folder: Path,
    replace_every: int,
    progress: bool,
) -> data_shards.Shards:
    """The shards in `folder`, converted where they are not yet."""
    if isinstance(agent, ChunkedActorCritic):
        raise ConfigError("only the model-based methods (mac, ...) learn from shards")
    if not data_shards.is_converted(folder):
        folder = convert(folder, task, progress=progress)
    opened = data_shards.Shards(folder, agent.chunk, replace_every)
    if opened.task != task.name:
        raise DataError(f"the shards in {folder} are of the task {opened.task}, not {task.name}")
    return opened


def data_path(task: Task, transitions: int, official: bool = False) -> Path:
    """Where the train file of `task` lies, or will: whole episodes, at least `transitions`.

    `official` prefers OGBench's own file where that has been downloaded.
    """
    path = files.official_path(task.dataset)
    if official and path.exists():
        return path
    return files.generated_path(task.dataset, recipes.whole(task.dataset, transitions))


def data_file(
    task: Task,
    transitions: int,
    official: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """The file of `data_path`, generated where it is not on disk."""
    path = data_path(task, transitions, official)
    if path == files.official_path(task.dataset) or path.with_suffix(".json").exists():
        return path  # a recipe is the last file written; of whatever versions
    return generate(task.dataset, transitions, workers=workers, progress=progress)


def run(
    method: str,
    task: str = TASK,
    preset: str = "laptop",
    seeds: Sequence[int] = (0,),
    folder: str | Path | None = None,
    success_timing: SuccessTiming | None = None,
    workers: int | None = None,
    log: Callable[[int, dict], None] | None = None,
    progress: bool = True,
    size: dict | None = None,
    settings: dict | None = None,
    source: str | Path | None = None,
    shards: str | Path | None = None,
    replace_every: int = 1000,
) -> Experiment:
    """Train `method` on `task` from nothing; `folder` keeps what continuing and loading need.

    `size` changes fields of the preset, `settings` keyword arguments of `agents.make`; None keeps
    the preset's value.  `workers` processes generate data and play episodes (default: one a core).
    `source` is a train file to learn from in place of the preset's; `shards` a folder of npz files,
    or of what `data.shards.convert` made of them, which take turns for `replace_every` updates
    each.  Raises ChunkRLError.
    """
    seeds = train.require_seeds(seeds)
    train.require_device()
    if source and shards:
        raise ConfigError("give a file of data or a folder of shards, not both")
    the_task, amount = tasks.get(task), presets.preset(preset, method, **(size or {}))
    method = agents.canonical(method)
    chosen = presets.settings(method, the_task.domain, amount)
    given = {k: v for k, v in (settings or {}).items() if v is not None}
    agents.require_used(method, given, bool(the_task.goals))
    chosen |= given
    spec = tasks.spec(the_task)
    chosen |= {"goal_dim": spec.goal_dim} if spec.goal_dim else {}
    agent = agents.make(method, spec.obs_dim, spec.action_dim, **chosen)
    timing = family.timing(the_task, success_timing)
    official = preset == "paper"
    chosen_data = source or shards
    path = (
        disk.user_path(chosen_data).resolve()
        if chosen_data
        else data_path(the_task, amount.transitions, official)
    )
    config = {
        "method": method,
        "task": task,
        "preset": preset,
        "settings": {"obs_dim": spec.obs_dim, "action_dim": spec.action_dim, **chosen},
        "success_timing": timing,
        "episodes": amount.episodes,
        "seeds": list(seeds),
        "batch_size": amount.batch_size,
        "data_file": path.parent.name if data_shards.is_converted(path) else path.name,
        "versions": runs.versions(),
    }
    if folder is not None:
        folder = disk.user_path(folder)
        runs.require_same(folder, config)  # before data are made for nothing
    if progress:
        print(f"data: {path}")
    if shards:
        dataset = open_shards(agent, the_task, path, replace_every, progress)
        normaliser = dataset.normaliser
    else:
        if not source:
            data_file(the_task, amount.transitions, official, workers, progress)
        dataset, normaliser = training_data(agent, the_task, path)
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
    folder = disk.user_path(folder)
    config = runs.read_config(folder)
    if "method" not in config:
        raise TrainingError(
            f"{folder} was made by `train.fit`, which does not know of methods: load it with"
            " `train.load(folder, agent)`"
        )
    config, _, _ = runs.stored(folder, ("task", "settings"))
    task = tasks.get(config["task"])
    family.timing(task, config.get("success_timing"))
    try:
        agent = agents.make(config["method"], **config["settings"])
        states, rows = train.restore(folder, agent)
    except ChunkRLError:
        raise
    except Exception as error:  # settings of any type, that every library refuses in its own way
        raise TrainingError(
            f"{folder / runs.CONFIG}: its settings make no agent ({error}): bring it back, or train"
            " into another folder"
        ) from error
    size = agent.obs_dim + getattr(agent, "goal_dim", 0)
    return Experiment(task, agent, states, rows, config, _normaliser(folder, config, size))


def _normaliser(folder: Path, config: dict, size: int) -> Normaliser:
    if "normaliser" not in config:
        return Normaliser.identity(size)
    stored = {k: np.array(v, np.float32) for k, v in config["normaliser"].items()}
    if stored.keys() != set(Normaliser._fields) or any(len(x) != size for x in stored.values()):
        raise TrainingError(
            f"{folder / runs.CONFIG}: its normaliser is not one of {size} numbers: bring it back,"
            " or train into another folder"
        )
    return Normaliser(**stored)
