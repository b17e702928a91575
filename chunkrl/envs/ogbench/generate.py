"""Make OGBench's datasets locally, with its own scripted oracles, in many processes."""

import contextlib
import dataclasses
import importlib.metadata
import json
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from chunkrl.disk import read, write
from chunkrl.envs.ogbench.files import generated_path, val_path
from chunkrl.envs.ogbench.oracles import episode
from chunkrl.envs.ogbench.recipes import Recipe, recipe
from chunkrl.errors import ConfigError, DataError, WorkerError

# One simulation uses one core: more BLAS threads in a worker only get in each other's way.
SINGLE_THREAD: dict[str, str] = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)


def generate(
    dataset: str,
    transitions: int,
    path: str | Path | None = None,
    *,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
    states: int | None = None,
    executor: Executor | None = None,
) -> Path:
    """Collect `transitions` train transitions of `dataset`, and a tenth of that for validation.

    Writes what OGBench's published scripts write: `path` and `<path>-val.npz` (default: under
    `data_dir()/generated`, named by size), with the recipe in `<path>.json`.  Episodes are whole
    (1000 transitions for manipulation; `states` changes that), so the number is rounded up.
    Returns the path of the train file.

    The arrays depend on the recipe, the versions named in it and the machine's floating point, not
    on the number of processes; a smaller dataset of the same seed is the beginning of a larger one.
    Finished episodes are kept in `<path>.parts`: a run that was stopped, even by `kill -9`, goes on
    where it was.  `executor` replaces the pool of `workers` processes (default: one per core).

    Raises ConfigError for an unknown dataset, DataError where `path` holds something else, and
    WorkerError when a process dies.
    """
    plan = recipe(dataset, seed, states)
    if transitions < 1:
        raise ConfigError(f"{transitions} transitions requested: choose 1 or more.")
    train = plan.episodes(transitions)
    val = max(train // 10, 1)
    episodes = [("train", i) for i in range(train)] + [("val", i) for i in range(val)]
    default = generated_path(plan.dataset, train * (plan.states - 1), seed)
    target = Path(path).expanduser() if path is not None else default
    if target.suffix != ".npz":
        raise ConfigError(f"The file to write must end in .npz, which {target} does not.")
    description = _describe(plan, train)
    parts = target.with_suffix(".parts")
    if _made_before(target, description):
        shutil.rmtree(parts, ignore_errors=True)
        return target
    _open_parts(parts, description)
    missing = [part for part in episodes if not _is_whole(_part(parts, *part), plan)]
    with tqdm(
        total=len(episodes) * (plan.states - 1),
        initial=(len(episodes) - len(missing)) * (plan.states - 1),
        desc=target.stem,
        unit="transition",
        unit_scale=True,
        disable=not progress,
    ) as bar:
        for _ in _collect(plan, parts, missing, workers, executor):
            bar.update(plan.states - 1)
    for split, file in (("val", val_path(target)), ("train", target)):
        joined = parts / f"{split}.npz"  # here first: a kill then leaves nothing beside `target`
        _join([_part(parts, *part) for part in episodes if part[0] == split], joined)
        os.replace(joined, file)
    write(target.with_suffix(".json"), lambda file: file.write(_text(description)))
    shutil.rmtree(parts)
    return target


def _describe(plan: Recipe, train: int) -> dict[str, Any]:
    """What decides the numbers in the file, as it is written beside it."""
    versions = {name: importlib.metadata.version(name) for name in ("ogbench", "mujoco", "numpy")}
    return {**dataclasses.asdict(plan), "train_episodes": train, "versions": versions}


def _text(description: dict[str, Any]) -> bytes:
    return (json.dumps(description, indent=2) + "\n").encode()


def _made_before(target: Path, description: dict[str, Any]) -> bool:
    """Whether `target` is already there, complete (the recipe is written last) and the same."""
    recipe_file = target.with_suffix(".json")
    if not target.exists() and not recipe_file.exists():
        return False
    if not recipe_file.exists():
        if target.with_suffix(".parts").exists():
            return False  # stopped between the arrays and the recipe
        raise DataError(
            f"{target} is there already and was not made here. Choose another path or remove it."
        )
    if difference := _differences(recipe_file, description):
        raise DataError(f"{target} was made with {difference}. Choose another path or remove it.")
    return target.exists() and val_path(target).exists()


def _open_parts(parts: Path, description: dict[str, Any]) -> None:
    """Make the folder of finished episodes, unless it is there; refuse that of another recipe."""
    parts.mkdir(parents=True, exist_ok=True)
    recipe_file = parts / "recipe.json"
    # Episodes do not depend on how many of them are wanted, so neither does their reuse.
    if recipe_file.exists():
        if difference := _differences(recipe_file, description, but="train_episodes"):
            raise DataError(
                f"{parts} holds the unfinished work of another recipe, with {difference}."
                " Finish it with the same settings, choose another path, or remove the folder."
            )
    else:
        write(recipe_file, lambda file: file.write(_text(description)))


def _differences(file: Path, wanted: dict[str, Any], but: str = "") -> str:
    """How the recipe in `file` differs from the wanted one, in words; empty if it does not."""
    try:
        found = json.loads(file.read_text())
    except ValueError:
        return f"an unreadable recipe ({file.name})"
    return ", ".join(
        f"{key} = {found.get(key)!r} instead of {value!r}"
        for key, value in wanted.items()
        if key != but and found.get(key) != value
    )


def _part(parts: Path, split: str, index: int) -> Path:
    return parts / f"{split}-{index:06d}.npz"


def _is_whole(part: Path, plan: Recipe) -> bool:
    """Whether the episode can be read to its last byte; a damaged one is collected again."""
    if not part.exists():
        return False
    try:
        rows = read(part)
    except DataError:
        return False
    return all(len(values) == plan.states for values in rows.values())


def _join(parts: list[Path], target: Path) -> None:
    """Episodes laid end to end in one compressed file, as OGBench's scripts write it."""
    keys = list(read(parts[0]))
    arrays = {}
    for key in keys:  # one key at a time: at most the dataset and one of its arrays are in memory
        arrays[key] = np.concatenate([read(part, [key])[key] for part in parts])
    write(target, lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))


def _collect(
    plan: Recipe,
    parts: Path,
    missing: list[tuple[str, int]],
    workers: int | None,
    executor: Executor | None,
) -> Iterator[None]:
    """Collect the missing episodes, each yielding once it is on disk."""
    if not missing:
        return
    with _pool(min(workers or os.cpu_count() or 1, len(missing)), executor) as pool:
        jobs: list[Future] = [pool.submit(_work, plan, parts, *part) for part in missing]
        try:
            for job in as_completed(jobs):
                job.result()
                yield
        except BrokenProcessPool as error:
            raise WorkerError(
                f"A process that collects {plan.dataset} died (out of memory, killed, or started"
                " from a script without an `if __name__ == '__main__':` guard). Finished episodes"
                f" are kept in {parts}: call again to go on."
            ) from error
        finally:
            for job in jobs:
                job.cancel()


@contextlib.contextmanager
def _pool(workers: int, executor: Executor | None) -> Iterator[Executor]:
    """The given executor, or a pool of spawned processes that ends with this block."""
    if executor is not None:
        yield executor
        return
    before = {name: os.environ.get(name) for name in SINGLE_THREAD}
    os.environ |= SINGLE_THREAD  # read when a process first loads NumPy: too late inside it
    try:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_start_worker) as pool:
            yield pool
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end with it even when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _work(plan: Recipe, parts: Path, split: str, index: int) -> None:
    """Collect one episode and put it on disk."""
    rows = episode(plan, split, index)
    write(_part(parts, split, index), lambda file: np.savez(file, allow_pickle=False, **rows))
