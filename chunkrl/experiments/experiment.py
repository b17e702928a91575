"""One experiment from nothing: data, agent, training, evaluation."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from chunkrl import agents, checks, disk, train
from chunkrl.agents.method import Method
from chunkrl.agents.presets import Preset
from chunkrl.data import check
from chunkrl.data import shards as data_shards
from chunkrl.data.normalise import Normaliser
from chunkrl.envs import family
from chunkrl.envs.family import SuccessTiming, Task
from chunkrl.envs.ogbench import TASK, files, recipes, sharing, tasks
from chunkrl.envs.ogbench.convert import convert
from chunkrl.envs.ogbench.generate import generate
from chunkrl.errors import ChunkRLError, ConfigError, DataError, TrainingError
from chunkrl.play.evaluate import Evaluator
from chunkrl.processes import FEW, repaid
from chunkrl.train import runs
from chunkrl.types import Agent, Dataset, Windows

SHIPPED = Path(__file__).parent / "shipped"  # a folder for each agent: `shipping` makes them


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

    def resume(self, index: int = 0) -> Callable:
        """The same where a chunk goes on from the one before, for `play.latency.Late`.

        Raises ConfigError where chunks are no samples of one flow.
        """
        bound = partial(
            train.resume, self.agent, jax.tree.map(lambda leaf: leaf[index], self.states)
        )
        size, h = len(self.normaliser[0]), self.agent.chunk
        known = jnp.zeros((1, h, self.config["settings"]["action_dim"]))
        keys = jax.random.split(jax.random.key(0), 1)
        try:  # before any episode: an agent may act by more than its policy's samples
            jax.eval_shape(bound, jnp.zeros((1, size)), keys, known, jnp.zeros((1, h)))
        except AttributeError as error:
            raise ConfigError(
                f"{self.config['method']} does not choose among samples of one flow, which"
                " real-time chunking needs: leave it out, or take qc, qc-fql or mac"
            ) from error
        return lambda obs, *others: bound(self.normaliser.apply(obs), *others)

    def index_of(self, seed: int | None) -> int:
        """The number of `seed` among those of the run; None is the first.  Raises ConfigError."""
        seeds = self.config["seeds"]
        seed = seeds[0] if seed is None else checks.whole("seed", seed, least=0)
        if seed not in seeds:
            raise ConfigError(f"seed = {seed}: the run has {', '.join(map(str, seeds))}")
        return seeds.index(seed)


def normalised(normaliser: Normaliser, act: Callable) -> Callable:
    """`act` for observations as the environment gives them."""
    return lambda obs, keys: act(normaliser.apply(obs), keys)


@sharing.kept()
def run(
    method: str,
    task: str | Task = TASK,
    preset: str = "laptop",
    seeds: Sequence[int] = (0,),
    folder: str | Path | None = None,
    success_timing: SuccessTiming | None = None,
    workers: int | None = None,
    log: Callable[[int, dict], None] | None = None,
    progress: bool = True,
    size: dict | None = None,
    settings: dict | None = None,
    source: str | Path | Dataset | None = None,
    shards: str | Path | None = None,
    replace_every: int | None = None,
    sparse: bool | None = None,
    online: int | None = None,
    acting: dict | None = None,
    start: bool = True,
) -> Experiment:
    """Train `method` on `task` from nothing; `folder` keeps what continuing and loading need.

    `size` changes fields of the preset, `settings` those of the method; None keeps the preset's
    value.  `workers` processes generate data and play episodes (default: one a core, and no more
    than repay their start).  `source` is a train file, or a `Dataset` of arrays, to learn from in
    place of the preset's; `shards` a folder of npz files, or of what `convert` made of them, which
    take turns for `replace_every` (1000) updates each.  `sparse` overrides the reward that the
    papers chose for the task.  After the updates, which may be 0, the agent acts for `online` steps
    and learns on; `acting` changes fields of `train.Online`.  Without `start` all of that is only
    checked: an experiment without states.  Raises ChunkRLError.
    """
    seeds = train.require_seeds(seeds)
    train.require_device()
    require_one_source(source, shards, replace_every, (size or {}).get("transitions"))
    task, chosen = chosen_task(task, sparse), agents.named(method)
    amount = chosen.preset(preset, **(size or {}))
    agent, options = make_agent(chosen, task, amount, settings or {})
    halves = isinstance(agent.reads, Windows) and agent.reads.halves
    if halves and (amount.updates or not online):
        raise ConfigError(
            f"{chosen.name} learns while it acts, half of each batch from what it did: give it"
            " steps to act, such as `--online 100000`, and no updates before"
        )
    timing = family.timing(task, success_timing)
    phase = online_phase(agent, task, amount, timing, workers, online, acting or {})
    if isinstance(source, Dataset):
        path = Path("arrays")
    else:
        path = source or shards or data_path(task, amount.transitions, preset == "paper")
        path = disk.user_path(path).resolve()
    config = {
        "method": chosen.name,
        "task": task.name,
        **({"sparse": task.sparse} if task != family.get(task.name) else {}),
        "preset": preset,
        "settings": options,
        "success_timing": timing,
        "episodes": amount.episodes,
        "seeds": list(seeds),
        "batch_size": amount.batch_size,
        "data_file": path.parent.name if data_shards.is_converted(path) else path.name,
        "data_path": str(path),
        "versions": runs.versions(),
    }
    if folder is not None:
        folder = disk.user_path(folder)
        runs.require_same(folder, config)  # before data are made for nothing
    if not start:
        return Experiment(task, agent, None, [], config, Normaliser.identity(options["obs_dim"]))
    if progress:
        print(f"data: {path}")
    if not source and not shards:
        data_file(task, amount.transitions, preset == "paper", workers, progress)
    if isinstance(source, Dataset):
        dataset, normaliser = check.joined(source), Normaliser.identity(options["obs_dim"])
    elif shards:
        dataset, normaliser = open_shards(agent, task, path, replace_every or 1000, progress)
    else:
        dataset, normaliser = family.named(task.family).data(task, agent.reads, path)
    if phase:
        own = Normaliser(*(x[options["obs_dim"] :] for x in normaliser))  # of the goal, if any
        phase = replace(phase, normalise=normaliser.join(own).apply)
    if not isinstance(agent.reads, Windows):  # kept with the run, so that it needs no data
        config["normaliser"] = {k: v.tolist() for k, v in normaliser._asdict().items()}
    few = workers is None and amount.episodes <= FEW  # they do not repay a process
    workers = 0 if few else repaid(workers, amount.episodes)
    with Evaluator(task, workers, success_timing=timing, execute=agent.execute) as play:
        states, rows = train.fit(
            agent, dataset, amount.updates, amount.batch_size, seeds, amount.every,
            lambda act, seed: play.run(normalised(normaliser, act), amount.episodes, seed),
            amount.evaluate_every, folder, config, log, progress, phase, amount.quick,
        )  # fmt: skip
    return Experiment(task, agent, states, rows, config, normaliser)


def online_phase(
    agent: Agent, task: Task, amount: Preset, timing: SuccessTiming, workers: int | None,
    steps: int | None, acting: dict,
) -> train.Online | None:  # fmt: skip
    """Acting for `steps` in the environment of `task`; None for a run on data alone.

    Raises ConfigError where an option about acting would do nothing, or nothing would be done.
    """
    given = {name: value for name, value in acting.items() if value is not None}
    if steps is None:
        for name in given:
            raise ConfigError(f"{name} is about acting: say for how many steps, with online")
        checks.whole("updates", amount.updates)
        return None
    make_env, main = family.maker(task, timing)
    make_env = partial(family.showing_goals, make_env) if task.goals else make_env
    given = {"start_training": amount.start_training, "workers": workers, "main": main} | given
    phase = train.Online(make_env, steps, reward=task.reward, **given)
    train.require_online(phase, agent)
    if phase.steps % amount.every:
        raise ConfigError(f"online = {phase.steps}: choose a multiple of {amount.every}")
    return phase


def require_one_source(source: Any, shards: Any, replace_every: Any, transitions: Any) -> None:
    """Raise ConfigError where an option about data would do nothing beside another."""
    if source and shards:
        raise ConfigError("give a file of data or a folder of shards, not both")
    if replace_every is not None and not shards:
        raise ConfigError("replace_every is about shards: give a folder of them, or leave it out")
    if transitions is not None and (source or shards):
        raise ConfigError(
            "transitions sizes the data that a run makes: leave it out where data are given"
        )


def chosen_task(task: str | Task, sparse: bool | None) -> Task:
    """The task of that name, or as it was made; with the reward that `sparse` asks for."""
    if isinstance(task, str):
        found = family.get(task)
        if sparse is None or found.family == "ogbench":
            return found if sparse is None else tasks.get(task, sparse)
        task = found
    if sparse is not None and sparse != task.sparse:
        raise ConfigError(f"the task has sparse={task.sparse}: make it with the one you want")
    return task


def make_agent(chosen: Method, task: Task, amount: Preset, given: dict) -> tuple[Agent, dict]:
    """The agent for `task`, and its settings, sizes included, as a run's config keeps them."""
    options = chosen.settings(task.domain, amount)
    spec = family.named(task.family).spec(task)
    options |= {name: value for name, value in given.items() if value is not None}
    sizes = {"obs_dim": spec.obs_dim, "action_dim": spec.action_dim}
    if spec.goal_dim:
        if "goal_dim" not in chosen.parameters:
            raise ConfigError(
                f"{chosen.name} learns from rewards: for a task with goals choose mac or gciql"
            )
        sizes["goal_dim"] = spec.goal_dim
    return chosen(**sizes, **options), {**sizes, **options}


def open_shards(
    agent: Agent, task: Task, folder: Path, replace_every: int, progress: bool
) -> tuple[data_shards.Shards, Normaliser]:
    """The shards in `folder`, converted where they are not yet, and their normaliser."""
    if isinstance(agent.reads, Windows):
        raise ConfigError("only methods of chunks or goals (mac, gciql, ...) learn from shards")
    if not task.dataset:
        raise ConfigError(f"shards hold data of OGBench, which {task.name} is no task of")
    if not data_shards.is_converted(folder):
        folder = convert(folder, task, progress=progress)
    opened = data_shards.Shards(folder, agent.reads.length, replace_every)
    if opened.task != task.name:
        raise DataError(f"the shards in {folder} are of the task {opened.task}, not {task.name}")
    return opened, opened.normaliser


def data_path(task: Task, transitions: int, official: bool = False) -> Path:
    """Where the train file of `task` lies, or will: whole episodes, at least `transitions`.

    `official` prefers OGBench's own file where that has been downloaded.
    """
    if not task.dataset:
        raise ConfigError(
            f"{task.name} comes without data: give a file with --data, which `chunkrl data import`"
            " can make, or arrays as `source`"
        )
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
    return generate(task.dataset, transitions, workers=workers or None, progress=progress)


def load(folder: str | Path) -> Experiment:
    """The experiment that `run` left in `folder`, at its last checkpoint.  Raises ChunkRLError.

    Where there is no such folder, the name of an agent that comes with the package loads that one.
    """
    folder = disk.user_path(folder)
    named = SHIPPED / folder.name.replace("-", "_")  # as the command line spells a method, too
    if not folder.exists() and len(folder.parts) == 1 and (named / runs.CONFIG).exists():
        folder = named
    config, _, _ = runs.stored(folder)
    if "method" not in config:
        raise TrainingError(
            f"{folder} was made by `train.fit`, which does not know of methods: load it with"
            " `train.load(folder, agent)`"
        )
    try:
        task = chosen_task(config["task"], config.get("sparse"))
        family.timing(task, config.get("success_timing"))
        agent = agents.make(config["method"], **config["settings"])
        states, rows = train.restore(folder, agent)
    except ChunkRLError:
        raise
    except Exception as error:  # settings of any type, that every library refuses in its own way
        raise TrainingError(
            f"{folder / runs.CONFIG}: its settings make no agent ({error}): bring it back, or train"
            " into another folder"
        ) from error
    size = config["settings"]["obs_dim"] + config["settings"].get("goal_dim", 0)
    kept = {k: np.array(v, np.float32) for k, v in config.get("normaliser", {}).items()}
    if kept and {name: len(x) for name, x in kept.items()} != dict.fromkeys(
        Normaliser._fields, size
    ):
        raise TrainingError(
            f"{folder / runs.CONFIG}: its normaliser is not one of {size} numbers: bring it back,"
            " or train into another folder"
        )
    normaliser = Normaliser(**kept) if kept else Normaliser.identity(size)
    return Experiment(task, agent, states, rows, config, normaliser)
