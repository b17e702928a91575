"""Make OGBench's datasets locally, with its own scripted oracles, in many processes."""

import dataclasses
import os
import shutil
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from chunkrl import checks, disk, locks
from chunkrl.disk import read, write
from chunkrl.envs.ogbench.files import (
    generated_path,
    recipe_path,
    stored_recipe,
    val_path,
    versions,
    warn_of_versions,
)
from chunkrl.envs.ogbench.oracles import episode
from chunkrl.envs.ogbench.recipes import Recipe, recipe
from chunkrl.errors import ConfigError, DataError, WorkerError
from chunkrl.processes import Spawn, repaid

BLOCK = 4096  # bytes of a disk that a file takes at least
HEADERS = 2048  # bytes of an episode's file besides its numbers, about
NAMES = 500  # bytes of memory for the name of an episode, about


def generate(
    dataset: str,
    transitions: int,
    path: str | Path | None = None,
    *,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
    states: int | None = None,
) -> Path:
    """Collect `transitions` train transitions of `dataset`, and a tenth of that for validation.

    Writes what OGBench's published scripts write: `path` and `<path>-val.npz` (default: under
    `data_dir()/generated`, named by size), with the recipe in `<path>.json`.  Episodes are whole
    (1000 transitions for manipulation; `states` changes that), so the number is rounded up.

    The arrays depend on the recipe, the versions named in it and the machine's floating point; a
    smaller dataset of the same seed is the beginning of a larger one.  `workers` processes (None:
    one per core, fewer for few episodes) collect them; finished ones are kept in `<path>.parts`,
    where a run that was stopped goes on.  Waits where another process makes the same file.  A file
    of other versions is used, with a warning.

    Raises ConfigError for an unknown dataset or sizes that do not fit this machine, DataError where
    `path` holds something else, WriteError where the disk is full, WorkerError when a process dies.
    """
    plan = recipe(dataset, seed, states)
    transitions = checks.whole("transitions", transitions, least=1)
    workers = None if workers is None else checks.whole("workers", workers, least=1)
    train = plan.episodes(transitions)
    if path is None:
        path = generated_path(plan.dataset, train * (plan.states - 1), plan.seed)
    target = disk.user_path(path)
    if target.suffix != ".npz":
        raise ConfigError(f"The file to write must end in .npz, which {target} does not.")
    parts = target.with_suffix(".parts")
    description = {**dataclasses.asdict(plan), "train_episodes": train, "versions": versions()}
    recipe_file, files = recipe_path(target), {"val": val_path(target), "train": target}
    with locks.making(target, "makes", progress):
        there = [file for file in files.values() if os.path.lexists(file)]
        whole = recipe_file.exists()  # written last
        if whole:
            holds = f"{recipe_file}, which belongs to {target}, holds"
            remedy = "Choose another path or remove both"
            _require_same(recipe_file, description, "versions", holds, remedy)
        elif there and not parts.exists():  # else stopped between the arrays and the recipe
            raise DataError(f"{there[0]} was not made here. Choose another path or remove it.")
        if not whole or not all(file.exists() for file in files.values()):
            _make(plan, train, files, description, workers, progress)
        disk.sweep(target.parent, recipe_file.name)
        shutil.rmtree(parts, ignore_errors=True)
    warn_of_versions(target)
    return target


def _make(
    plan: Recipe,
    train: int,
    files: dict[str, Path],
    description: dict[str, Any],
    workers: int | None,
    progress: bool,
) -> None:
    """Collect what is missing, and put the episodes together in `files`, the recipe last."""
    target, counts = files["train"], {"train": train, "val": max(train // 10, 1)}
    parts, number = target.with_suffix(".parts"), sum(counts.values())
    arrays = number * plan.states * plan.row_bytes
    needed = arrays + max(arrays + number * HEADERS, number * BLOCK)  # twice for a while
    needed -= sum(file.stat().st_size for file in parts.glob("*.npz"))
    what = f"{target.name}, {number * (plan.states - 1):.3g} transitions with validation,"
    disk.require_room(target.parent, needed, arrays + number * NAMES, what)
    parts.mkdir(exist_ok=True)
    disk.sweep(parts)
    # Episodes do not depend on how many of them are wanted, so neither does their reuse.  Those of
    # other versions are refused: no recipe would describe a file of both.
    if (recipe_file := parts / "recipe.json").exists():
        holds = f"{parts} holds the unfinished work of another recipe, with"
        remedy = "Finish it with the same settings, choose another path, or remove the folder"
        _require_same(recipe_file, description, "train_episodes", holds, remedy)
    else:
        disk.write_json(recipe_file, description)
    episodes = {k: [parts / f"{k}-{i:06d}.npz" for i in range(n)] for k, n in counts.items()}
    _collect(plan, [*episodes["train"], *episodes["val"]], workers, progress)
    for split in files:  # here first: without room for both, neither gets its name
        arrays = {}
        for key in read(episodes[split][0]):  # at most the dataset and one array are in memory
            arrays[key] = np.concatenate([read(part, [key])[key] for part in episodes[split]])
        save = partial(np.savez_compressed, allow_pickle=False, **arrays)
        write(parts / f"{split}.npz", save)
    for split, file in files.items():
        os.replace(parts / f"{split}.npz", file)
    disk.write_json(recipe_path(target), description)


def _require_same(file: Path, recipe: dict[str, Any], but: str, what: str, remedy: str) -> None:
    """Raise DataError, with what differs, where `file` holds another recipe; `but` is no matter."""
    found = stored_recipe(file)
    pairs = [(k, found.get(k), v) for k, v in recipe.items() if k != but and found.get(k) != v]
    if pairs:
        differences = ", ".join(f"{key} = {old!r} instead of {new!r}" for key, old, new in pairs)
        raise DataError(f"{what} {differences}. {remedy}.")


def _is_whole(part: Path, plan: Recipe) -> bool:
    """Whether the episode can be read to its last byte; a damaged one is collected again."""
    try:
        return part.exists() and all(len(x) == plan.states for x in read(part).values())
    except DataError:
        return False


def _collect(plan: Recipe, episodes: list[Path], workers: int | None, progress: bool) -> None:
    """Collect the episodes that are not on disk yet."""
    missing = [part for part in episodes if not _is_whole(part, plan)]
    if not missing:
        return
    steps = plan.states - 1
    spawn = Spawn()
    count = repaid(workers, len(missing))
    kept = f"Finished episodes are kept in {missing[0].parent}: call again to go on."
    look = {"unit": "transition", "unit_scale": True, "disable": not progress}
    done = (len(episodes) - len(missing)) * steps
    with (
        ProcessPoolExecutor(count, mp_context=spawn) as pool,
        tqdm(total=len(episodes) * steps, initial=done, desc=f"{plan.dataset}", **look) as bar,
    ):
        try:
            jobs = [pool.submit(_work, plan, part) for part in missing]
            for job in as_completed(jobs):
                job.result()
                bar.update(steps)
        except BrokenProcessPool as error:
            cause = f"A process that collects {plan.dataset} {spawn.explain()}"
            raise WorkerError(f"{cause}. {kept}") from error
        except MemoryError as error:
            raise WorkerError(
                f"A process that collects {plan.dataset} got no memory: allow more (`ulimit -v`) or"
                f" use fewer workers. {kept}"
            ) from error
        finally:
            # Nobody who pressed Ctrl-C waits for the end of an episode.  The pool gives up on jobs
            # whose process is gone; it would stumble over those that were cancelled.
            spawn.kill()


def _work(plan: Recipe, part: Path) -> None:
    """Collect the episode that `part` names, and put it there."""
    split, index = part.stem.split("-")
    rows = episode(plan, split, int(index))
    write(part, lambda file: np.savez(file, allow_pickle=False, **rows))
