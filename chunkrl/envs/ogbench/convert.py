"""Turn OGBench's npz files into shards that are read at the speed of the disk."""

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from chunkrl import disk, locks
from chunkrl.data.normalise import Normaliser
from chunkrl.data.shards import (
    DESCRIPTION,
    describe,
    is_converted,
    is_sealed,
    normalisers,
    seal,
    stamped,
)
from chunkrl.envs.family import Task
from chunkrl.envs.ogbench import tasks
from chunkrl.envs.ogbench.relabel import load_chunks
from chunkrl.errors import DataError
from chunkrl.types import ChunkDataset


def convert(
    folder: str | Path, task: str | Task, *, guard: bool = False, progress: bool = True
) -> Path:
    """Turn the npz files of `folder` into arrays that are read at the speed of the disk.

    Each file becomes a folder of float32 .npy files (int32 for `last`) in `<folder>/arrays-<task>`,
    which is returned: observations and goals normalised with the first file's validation file,
    actions clipped, rewards of a single task computed.  Another call goes on after an interruption
    and adds files that came later.  The npz files are not needed afterwards.

    Waits for another process that converts the folder.  Raises DataError, naming the file, where
    one is no dataset of this task, and WriteError where the disk is full.
    """
    task = tasks.get(task) if isinstance(task, str) else task
    folder = Path(folder).expanduser()
    files = [path for path in sorted(folder.glob("*.npz")) if not path.stem.endswith("-val")]
    target = folder / f"arrays-{task.name}"
    if is_converted(target):  # perhaps by an earlier version
        for name in describe(target)["shards"]:
            if (target / name).exists() and not is_sealed(target / name):
                seal(target / name)
    elif not files:
        raise DataError(
            f"There is no npz file in {folder}: `chunkrl data download NAME-100m-v0` fetches some."
        )
    if not files:
        return target
    lock = folder / f".{target.name}.lock"
    note = partial(print, file=sys.stderr) if progress else str
    with disk.writing(target), locks.hold(lock, f"converts {folder}", note):
        target.mkdir(exist_ok=True)
        disk.sweep(target)
        description = _describe(target, task, files, guard)
        obs, goal = normalisers(description)
        for file in tqdm(files, desc=target.name, unit="shard", disable=not progress):
            if not (target / file.stem).exists():
                data = load_chunks(task, file, chunk=1)
                data = data._replace(obs=obs.apply(data.obs), goal=goal.apply(data.goal))
                _save(target / file.stem, data, bool(task.goals))
    return target


def _describe(target: Path, task: Task, files: list[Path], guard: bool) -> dict[str, Any]:
    """What `target` holds, checked against what it held before; written there."""
    stored = describe(target) if is_converted(target) else None
    foreign = [path.name for path in target.iterdir() if not path.name.startswith(".")]
    if stored is None and foreign:
        raise DataError(f"{target} holds {foreign[0]!r} and no {DESCRIPTION}: move it away.")
    names = [file.stem for file in files]
    if stored:
        same = stored["task"] == task.name and stored["guard"] == guard
        if not same or stored["shards"] != [name for name in names if name in stored["shards"]]:
            raise DataError(
                f"{target} was made of other files or with other settings: delete it to convert"
                " again."
            )
        normaliser = stored["normaliser"]
    else:
        val = load_chunks(task, files[0], chunk=1, split="val")
        normaliser = {}
        for name in ("obs", "goal"):
            fitted = Normaliser.fit(np.asarray(getattr(val, name)), guard)
            normaliser[name] = {key: value.tolist() for key, value in fitted._asdict().items()}
    new = {"task": task.name, "guard": guard, "shards": names, "normaliser": normaliser}
    disk.write(target / DESCRIPTION, lambda file: file.write(stamped(new)))
    return new


def _save(target: Path, data: ChunkDataset, goals: bool) -> None:
    """All arrays of a shard, or nothing, under the name `target`."""
    temporary = disk.temporary_name(target)
    temporary.mkdir()
    names = ("obs", "action", "last", *(("goal",) if goals else ("reward", "mask")))
    for name in names:
        np.save(temporary / f"{name}.npy", getattr(data, name))
    seal(temporary)
    os.replace(temporary, target)
