"""Turn OGBench's npz files into shards that are read at the speed of the disk."""

import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

from chunkrl import disk, locks
from chunkrl.data import shards
from chunkrl.data.normalise import Normaliser
from chunkrl.data.shards import DESCRIPTION
from chunkrl.envs.family import Task
from chunkrl.envs.ogbench import tasks
from chunkrl.envs.ogbench.relabel import load_chunks
from chunkrl.errors import DataError


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
    folder = disk.user_path(folder)
    files = [path for path in sorted(folder.glob("*.npz")) if not path.stem.endswith("-val")]
    target = folder / f"arrays-{task.name}"
    if shards.is_converted(target):  # perhaps by an earlier version
        for shard in (target / name for name in shards.describe(target)["shards"]):
            if shard.exists() and shards.checksums(shard) is None:
                shards.seal(shard)
    elif not files:
        raise DataError(
            f"There is no npz file in {folder}: `chunkrl data download NAME-100m-v0` fetches some."
        )
    if not files:
        return target
    with locks.making(target, "converts", progress):
        target.mkdir(exist_ok=True)
        disk.sweep(target)
        obs, goal = _describe(target, task, files, guard)
        names = ("obs", "action", "last", *(("goal",) if task.goals else ("reward", "mask")))
        for file in tqdm(files, desc=target.name, unit="shard", disable=not progress):
            if (target / file.stem).exists():
                continue
            data = load_chunks(task, file, chunk=1)
            data = data._replace(obs=obs.apply(data.obs), goal=goal.apply(data.goal))
            temporary = disk.temporary_name(target / file.stem)
            temporary.mkdir()
            for name in names:
                np.save(temporary / f"{name}.npy", getattr(data, name))
            shards.seal(temporary)
            os.replace(temporary, target / file.stem)
    return target


def _describe(
    target: Path, task: Task, files: list[Path], guard: bool
) -> tuple[Normaliser, Normaliser]:
    """Write what `target` holds, checked against what it held before.  -> of obs, of goals"""
    names = [file.stem for file in files]
    if shards.is_converted(target):
        new = shards.describe(target)
        known = [name for name in names if name in new["shards"]]
        if (new["task"], new["guard"], new["shards"]) != (task.name, guard, known):
            raise DataError(
                f"{target} was made of other files or with other settings: delete it to convert"
                " again."
            )
        new["shards"] = names
    else:
        if foreign := [path.name for path in target.iterdir() if not path.name.startswith(".")]:
            raise DataError(f"{target} holds {foreign[0]!r} and no {DESCRIPTION}: move it away.")
        val = load_chunks(task, files[0], chunk=1, split="val")
        fits = {
            name: Normaliser.fit(np.asarray(getattr(val, name)), guard) for name in ("obs", "goal")
        }
        stored = {
            name: {key: value.tolist() for key, value in fit._asdict().items()}
            for name, fit in fits.items()
        }
        new = {"task": task.name, "guard": guard, "shards": names, "normaliser": stored}
    disk.write(target / DESCRIPTION, lambda file: file.write(shards.stamped(new)))
    return shards.normalisers(new)
