"""Shards: conversion that survives anything, and training that equals a plain loop over them."""

import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunkrl import train
from chunkrl.data import goals, load_chunks, shards
from chunkrl.data.normalise import Normaliser
from chunkrl.envs.ogbench import tasks
from chunkrl.envs.ogbench.convert import convert
from chunkrl.errors import ConfigError, DataError, TrainingError

TASK = "pointmaze-medium-navigate-oraclerep-v0"
SINGLE = "pointmaze-medium-navigate-singletask-v0"
H, EVERY, INTERVAL = 3, 4, 8


def write(folder, name, seed, trajectories=2, states=12):
    """A file of random positions in the first cell of the maze."""
    r = np.random.default_rng(seed)
    rows = trajectories * states
    draw = lambda scale: r.uniform(-scale, scale, (rows, 2)).astype(np.float32)
    arrays = {key: draw(1) for key in ("actions", "qvel")}
    arrays["observations"] = arrays["qpos"] = draw(0.5 + 0.1 * seed)
    ends = np.arange(rows) % states == states - 1
    np.savez_compressed(folder / f"{name}.npz", **arrays, terminals=ends)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three converted shards; the files they were made of are still there."""
    folder = tmp_path_factory.mktemp("set")
    for i in range(3):
        write(folder, f"maze-{i:03d}", seed=i)
        write(folder, f"maze-{i:03d}-val", seed=10 + i)
    return folder, convert(folder, TASK, progress=False)


def naive(folder, number, task=TASK):
    """What the definition says of a shard: the first validation file normalises all of them."""
    val = load_chunks(task, folder / "maze-000.npz", H, split="val")
    data = load_chunks(task, folder / f"maze-{number:03d}.npz", H)
    obs, goal = Normaliser.fit(val.obs), Normaliser.fit(val.goal)
    return data._replace(obs=obs.apply(data.obs), goal=goal.apply(data.goal))


class State(NamedTuple):
    weight: jax.Array
    key_sum: jax.Array


@dataclass(frozen=True)
class Sums:
    """An agent whose state adds up what it was shown: any other batch would show."""

    chunk: int = H
    execute: int = 1

    def init(self, key):
        return State(jax.random.normal(key, (4,)), jnp.zeros(()))

    def draw(self, key, dataset, size):
        return goals.sample(key, dataset, size, self.chunk, 0.9)

    def noise(self, key, size):
        return jax.random.uniform(key)

    def step(self, state, batch, noise):
        seen = jnp.concatenate([batch.obs, batch.value_goal], axis=1).mean(axis=0)
        weight = 0.9 * state.weight + seen + batch.chunk.mean() + batch.reward.mean()
        return State(weight, state.key_sum + noise), {"loss": weight.sum()}

    def act(self, state, obs, key):
        return jnp.zeros((self.chunk, 2))


def fit(target, updates, folder=None, **changes):
    source = shards.Shards(target, H, INTERVAL)
    settings = {"batch_size": 8, "seeds": (0, 1), "every": EVERY, "progress": False} | changes
    return train.fit(Sums(), source, updates, folder=folder, **settings)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize("number", [0, 2])
def test_a_shard_on_the_device_is_the_file_normalised(made, number):
    folder, target = made
    ours = shards.Shards(target, H).read(number)
    for name, a, b in zip(ours._fields, ours, naive(folder, number), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)
        assert a.dtype == b.dtype


def test_a_single_task_keeps_its_rewards(made):
    folder, _ = made
    target = convert(folder, SINGLE, progress=False)
    ours, theirs = shards.Shards(target, H).read(1), naive(folder, 1, SINGLE)
    np.testing.assert_array_equal(ours.reward, theirs.reward)
    np.testing.assert_array_equal(ours.mask, theirs.mask)
    assert ours.goal.shape == (24, 0)


def test_training_equals_a_loop_that_loads_each_shard(made):
    """Seven intervals over three shards, cyclic: the same states, bit for bit."""
    folder, target = made
    updates = 7 * INTERVAL
    ours, rows = fit(target, updates)
    keys = jax.vmap(jax.random.key)(jnp.asarray((0, 1)))
    key_init, key_train = jax.vmap(jax.random.split, out_axes=1)(keys)
    states = train.init(Sums(), key_init)
    order = [0, 1, 2, 0, 1, 2, 0]
    for step in range(EVERY, updates + 1, EVERY):
        data = jax.device_put(naive(folder, order[(step - EVERY) // INTERVAL]))
        call = jax.vmap(jax.random.fold_in, (0, None))(key_train, step)
        states, _ = train.update_many(Sums(), EVERY, 8, states, data, call)
    same(ours, states)
    assert rows[-1]["step"] == updates


@pytest.mark.parametrize("stop", [INTERVAL, 3 * INTERVAL + EVERY])
def test_a_run_that_was_stopped_goes_on_with_its_shard(made, tmp_path, stop):
    """At the border of two shards, and in the middle of one."""
    _, target = made
    whole, _ = fit(target, 6 * INTERVAL)
    fit(target, stop, tmp_path / "run")
    resumed, rows = fit(target, 6 * INTERVAL, tmp_path / "run")
    same(resumed, whole)
    assert [row["step"] for row in rows[::2]] == list(range(EVERY, 6 * INTERVAL + 1, EVERY))


def test_another_set_or_interval_is_another_run(made, tmp_path):
    _, target = made
    fit(target, EVERY, tmp_path / "run")
    with pytest.raises(TrainingError, match="holds a run with data"):
        train.fit(
            Sums(),
            shards.Shards(target, H, 2 * INTERVAL),
            2 * EVERY,
            8,
            (0, 1),
            EVERY,
            folder=tmp_path / "run",
            progress=False,
        )


def test_the_next_shard_arrives_while_training_goes_on(made, monkeypatch):
    """Reading takes long; nobody waits for it, and nothing is read twice or in the way."""
    _, target = made
    source, threads = shards.Shards(target, H, INTERVAL), []
    read = source.read

    def slow(number):
        threads.append((number, threading.current_thread() is threading.main_thread()))
        time.sleep(0.3)
        return read(number)

    monkeypatch.setattr(source, "read", slow)
    source.at(0)
    time.sleep(0.6)  # training
    assert source._held[1].done()
    second = source.at(INTERVAL)
    assert source.at(2 * INTERVAL - 1) is second
    source.at(2 * INTERVAL)
    time.sleep(0.6)
    assert threads == [(0, False), (1, False), (2, False), (0, False)]


def test_calls_must_not_cross_the_border_of_a_shard(made):
    _, target = made
    with pytest.raises(ConfigError, match="multiple of every=5"):
        fit(target, 10, every=5)
    with pytest.raises(ConfigError, match="interval = 0: must be at least 1"):
        shards.Shards(target, H, 0)


def test_conversion_goes_on_after_a_kill(tmp_path, monkeypatch):
    for i in range(3):
        write(tmp_path, f"maze-{i:03d}", seed=i)
    write(tmp_path, "maze-000-val", seed=9)
    target, save, calls = tmp_path / f"arrays-{TASK}", np.save, []

    def dies(path, array):
        calls.append(path)
        if len(calls) == 6:  # in the middle of the second shard, of four arrays each
            raise KeyboardInterrupt
        save(path, array)

    monkeypatch.setattr(np, "save", dies)
    with pytest.raises(KeyboardInterrupt):
        convert(tmp_path, TASK, progress=False)
    assert (target / "maze-000").exists()
    assert not (target / "maze-001").exists()
    with pytest.raises(DataError, match=r"lacks the shard maze-001.*goes on where"):
        shards.Shards(target, H)
    assert convert(tmp_path, TASK, progress=False) == target
    assert len(calls) == 6 + 4 + 4  # the first shard was not made again
    assert len(shards.Shards(target, H)) == 3
    assert not list(target.glob(".*"))  # no unfinished pieces are left


def test_later_files_join_and_the_normaliser_stays(tmp_path):
    write(tmp_path, "maze-000", seed=0)
    write(tmp_path, "maze-000-val", seed=9)
    before = shards.Shards(convert(tmp_path, TASK, progress=False), H)
    write(tmp_path, "maze-001", seed=1)
    write(tmp_path, "maze-001-val", seed=3)
    after = shards.Shards(convert(tmp_path, TASK, progress=False), H)
    assert (len(before), len(after)) == (1, 2)
    same(after.normaliser, before.normaliser)
    (tmp_path / "maze-000.npz").unlink()
    with pytest.raises(DataError, match="other files or with other settings: delete it"):
        convert(tmp_path, TASK, progress=False)


def test_the_npz_files_are_not_needed_afterwards(tmp_path):
    write(tmp_path, "maze-000", seed=0)
    write(tmp_path, "maze-000-val", seed=9)
    target = convert(tmp_path, TASK, progress=False)
    for file in tmp_path.glob("*.npz"):
        file.unlink()
    assert convert(tmp_path, TASK, progress=False) == target
    assert shards.Shards(target, H).at(0).obs.shape == (24, 2)


def test_foreign_and_damaged_files_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"no npz file in .*chunkrl data download"):
        convert(tmp_path, TASK)
    (tmp_path / "maze-000.npz").write_text("a letter")
    (tmp_path / "maze-000-val.npz").write_text("a letter")
    with pytest.raises(DataError, match=r"maze-000-val.npz is no npz archive"):
        convert(tmp_path, TASK, progress=False)
    write(tmp_path, "maze-000", seed=0)
    write(tmp_path, "maze-000-val", seed=9)
    target = tmp_path / f"arrays-{TASK}"
    (target / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match=r"holds 'thesis.txt' and no shards.json: move it away"):
        convert(tmp_path, TASK, progress=False)
    (target / "thesis.txt").unlink()
    convert(tmp_path, TASK, progress=False)
    obs = target / "maze-000" / "obs.npy"
    obs.write_bytes(obs.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"obs.npy cannot be read .* convert again"):
        shards.Shards(target, H).at(0)
    obs.unlink()
    with pytest.raises(
        DataError, match=r"obs.npy cannot be read \(There is no file.* convert again"
    ):
        shards.Shards(target, H).at(0)
    (target / shards.DESCRIPTION).write_text("{}")
    with pytest.raises(DataError, match="damaged or foreign"):
        shards.Shards(target, H)
    with pytest.raises(DataError, match="`chunkrl data shards` makes it"):
        shards.Shards(tmp_path, H)


def small(folder):
    """A converted set of two shards, of few bytes."""
    for i in range(2):
        write(folder, f"maze-{i:03d}", seed=i, trajectories=1, states=6)
    write(folder, "maze-000-val", seed=9, trajectories=1, states=6)
    return convert(folder, TASK, progress=False)


def contents(target):
    """All that training would see of the set."""
    opened = shards.Shards(target, 1)
    arrays = [opened.read(i) for i in range(len(opened))]
    return opened.identity, opened.task, jax.tree.map(np.asarray, (opened.normaliser, arrays))


def test_no_flipped_bit_of_any_file_passes_unseen(tmp_path):
    """A sample of the bits of every file: refused, or the same arrays."""
    target, r = small(tmp_path), np.random.default_rng(0)
    whole, refused, tries = contents(target), 0, 0
    for file in sorted(path for path in target.rglob("*") if path.is_file()):
        content = file.read_bytes()
        for bit in r.choice(8 * len(content), 12, replace=False):
            flipped = bytearray(content)
            flipped[bit // 8] ^= 1 << (bit % 8)
            file.write_bytes(flipped)
            tries += 1
            try:
                found = contents(target)
            except DataError:
                refused += 1
            else:
                jax.tree.map(np.testing.assert_array_equal, found, whole)
        file.write_bytes(content)
    assert refused > 0.9 * tries


FOREIGN = ["", "null", "[1]", "3", '"text"', "{}", "[" * 10_000, '{"files": 3}', "\udc80"]


@pytest.mark.parametrize("name", ["shards.json", "maze-001/shard.json"])
@pytest.mark.parametrize("text", FOREIGN)
def test_descriptions_of_another_kind_are_refused(made, name, text):
    _, target = made
    old = (target / name).read_bytes()
    try:
        (target / name).write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(DataError, match=r"convert|data shards|damaged or foreign"):
            shards.Shards(target, H)
    finally:
        (target / name).write_bytes(old)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("shards", 3),
        ("shards", []),
        ("shards", [3]),
        ("task", None),
        ("normaliser", {}),
        (
            "normaliser",
            {"obs": {"centre": [0], "scale": [1, 1]}, "goal": {"centre": [], "scale": []}},
        ),
        ("normaliser", {"obs": {"centre": 0, "scale": 1}, "goal": {"centre": 0, "scale": 1}}),
    ],
)
def test_a_description_that_says_nonsense_is_refused(made, tmp_path, key, value):
    description = shards.describe(made[1]) | {key: value}
    (tmp_path / shards.DESCRIPTION).write_bytes(shards.stamped(description))
    with pytest.raises(DataError, match="damaged or foreign"):
        shards.Shards(tmp_path, H)


def test_the_identity_covers_every_file_of_every_shard(tmp_path):
    target = small(tmp_path)
    before = shards.Shards(target, 1).identity
    for path in sorted(target.rglob("*.npy")):
        old = np.load(path)
        np.save(path, old + 1)
        shards.seal(path.parent)
        found = shards.Shards(target, 1).identity
        changed = [
            (shard, name)
            for shard, files in before["shards"].items()
            for name in files
            if found["shards"][shard][name] != files[name]
        ]
        assert changed == [(path.parent.name, path.name)]
        np.save(path, old)
        shards.seal(path.parent)
    assert shards.Shards(target, 1).identity == before


@pytest.mark.parametrize("npz_kept", [True, False])
def test_a_set_of_an_earlier_version_is_brought_over(tmp_path, npz_kept):
    target = small(tmp_path)
    wanted = contents(target)
    description = json.dumps(shards.describe(target))
    (target / shards.DESCRIPTION).write_text(description)
    for folder in target.glob("maze-*"):
        (folder / shards.SHARD).write_text(json.dumps({"rows": 6, "crc32": 12345}))
    with pytest.raises(DataError, match=r"earlier version.* `chunkrl data shards` adds them"):
        shards.Shards(target, 1)
    for file in [] if npz_kept else tmp_path.glob("*.npz"):
        file.unlink()
    convert(tmp_path, TASK, progress=False)
    jax.tree.map(np.testing.assert_array_equal, contents(target), wanted)


def test_the_guard_reaches_the_normaliser(tmp_path):
    """A maze of one cell: x never changes in the validation file."""
    write(tmp_path, "maze-000", seed=0)
    write(tmp_path, "maze-000-val", seed=9)
    with np.load(tmp_path / "maze-000-val.npz") as file:
        val = dict(file)
    val["observations"][:, 0] = 0.25
    np.savez(tmp_path / "maze-000-val.npz", **val)
    target = convert(tmp_path, TASK, guard=True, progress=False)
    assert shards.Shards(target, H).normaliser.scale[0] == 1
    assert json.loads((target / shards.DESCRIPTION).read_text())["guard"] is True
    assert tasks.spec(tasks.get(TASK)).goal_dim == 2


CONVERT = """
import sys
from chunkrl.command import sentences
from chunkrl.envs.ogbench.convert import convert
folder, task, *limit = sys.argv[1:]
if limit:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit[0]), int(limit[0])))
with sentences("convert"):
    convert(folder, task, progress=False)
"""


def conversion(folder, *limit):
    command = [sys.executable, "-c", CONVERT, folder, TASK, *limit]
    return subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)


def three(folder):
    for i in range(3):
        write(folder, f"maze-{i:03d}", seed=i)
    write(folder, "maze-000-val", seed=9)


def test_processes_that_convert_one_folder_all_find_it(tmp_path):
    three(tmp_path)
    jobs = [conversion(tmp_path) for _ in range(3)]
    assert [job.communicate()[1] for job in jobs] == [""] * 3
    assert len(shards.Shards(tmp_path / f"arrays-{TASK}", H)) == 3
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("left", [".shards.json.77.tmp", ".maze-001.77.tmp"])
@pytest.mark.parametrize("folder", [True, False])
def test_what_killed_processes_left_is_in_nobodys_way(tmp_path, left, folder):
    three(tmp_path)
    target = tmp_path / f"arrays-{TASK}"
    target.mkdir()
    (target / left).mkdir() if folder else (target / left).write_text("{")
    assert convert(tmp_path, TASK, progress=False) == target
    assert not list(target.glob(".*"))


@pytest.mark.parametrize("limit", [100, 400])
def test_a_full_disk_is_a_sentence_and_conversion_goes_on(tmp_path, limit):
    """It stops the description, or an array."""
    three(tmp_path)
    target = tmp_path / f"arrays-{TASK}"
    full = conversion(tmp_path, limit)
    error = full.communicate()[1]
    assert full.returncode == 1
    assert error.startswith(f"convert: {target}"), error
    assert "cannot be written: File too large. Raise the limit" in error
    assert error.count("\n") == 1
    assert len(shards.Shards(convert(tmp_path, TASK, progress=False), H)) == 3
