"""Stored files of a run: damaged, foreign, out of step, written by two, or not writable at all."""

import builtins
import contextlib
import errno
import json
import os
import re
import resource
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from chunkrl import agents, cli, disk, train
from chunkrl.errors import (
    BusyError,
    ChunkRLError,
    ChunkRLWarning,
    ConfigError,
    TrainingError,
    WriteError,
)
from chunkrl.experiments import experiment
from chunkrl.train import checkpoint, memory, runs
from chunkrl.types import Dataset

T, O, A = 60, 28, 5  # noqa: E741  (of cube-single)
SETTINGS = {"obs_dim": O, "action_dim": A, "flow_steps": 2, "hidden": (4,), "alpha": 3.0}
CONFIG = {
    "method": "fql",
    "task": experiment.TASK,
    "preset": "smoke",
    "settings": SETTINGS,
    "success_timing": "pre",
    "episodes": 4,
    "data_file": "own.npz",
    "normaliser": {"centre": [0.5] * O, "scale": [2.0] * O},
}


def data():
    r = np.random.default_rng(0)
    shapes = ((T, O), (T, A), T, T, T, (T, O))
    own = Dataset(*(r.uniform(-1, 1, shape).astype(np.float32) for shape in shapes))
    return own._replace(mask=np.ones(T, np.float32), terminal=np.float32(np.arange(T) % 20 == 19))


def played(act=None, seed=0):
    return SimpleNamespace(
        success=np.array([1.0, 0.0]),
        episode_return=np.array([-1.0, -2.0]),
        length=np.array([3, 4]),
        success_rate=0.5,
        interval=(0.1, 0.9),
        goal_success={},
        frames=(np.zeros((2, 8, 8, 3), np.uint8),),
    )


AGENT = agents.make("fql", **SETTINGS)


def fit(folder, updates=4, **changes):
    settings = {"batch_size": 8, "seeds": (0, 1), "every": 2, "progress": False, "config": CONFIG}
    settings |= {"evaluate": played} | changes
    return train.fit(settings.pop("agent", AGENT), data(), updates, folder=folder, **settings)


def leaves(states):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(states)]


def timeless(rows):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    states, rows = fit(folder)
    return SimpleNamespace(folder=folder, states=leaves(states), rows=rows)


@pytest.fixture
def folder(original, tmp_path):
    """A copy of the run, to be damaged."""
    return Path(shutil.copytree(original.folder, tmp_path / "copy"))


DOORS = {
    "train": lambda folder: fit(folder),
    "train.load": lambda folder: train.load(folder, AGENT),
    "experiment.load": lambda folder: experiment.load(folder)[2:4],
}


def refused_or_the_same(folder, original):
    """How many of the doors refuse; what passes another is the original run to the last bit."""
    refused = 0
    for name, door in DOORS.items():
        copy = Path(shutil.copytree(folder, folder.with_name(f"door-{name}"), symlinks=True))
        try:
            states, rows = door(copy)
            assert leaves(states) == original.states, name
            assert rows == original.rows, name
        except ChunkRLError as error:
            refused += len(str(error).splitlines()) == 1
        shutil.rmtree(copy)
    return refused


def described(folder, **changes):
    """Rewrite the checkpoint with another description; None removes a key."""
    stored = disk.read(folder / runs.CHECKPOINT)
    description = json.loads(stored.pop("description").item()) | changes
    description = {k: v for k, v in description.items() if v is not None}
    arrays = {**stored, "description": np.array(json.dumps(description).encode())}
    np.savez(folder / runs.CHECKPOINT, **arrays)


def rewritten(folder, change):
    """Rewrite the checkpoint with other arrays."""
    stored = disk.read(folder / runs.CHECKPOINT)
    np.savez(folder / runs.CHECKPOINT, **change(stored))


def member(folder, content):
    """A member that is not npy, in place of one that is."""
    import zipfile

    stored = disk.read(folder / runs.CHECKPOINT)
    name = next(key for key in stored if key != "description")
    del stored[name]
    np.savez(folder / runs.CHECKPOINT, **stored)
    with zipfile.ZipFile(folder / runs.CHECKPOINT, "a") as archive:
        archive.writestr(f"{name}.npy", content)


def npy(folder):
    with open(folder / runs.CHECKPOINT, "wb") as file:
        np.save(file, np.arange(3))


def in_place(name):
    def make(folder):
        (folder / name).unlink()
        (folder / name).mkdir()

    return make


def text(description):
    return lambda folder: rewritten(folder, lambda x: x | {"description": np.array(description)})


CHECKPOINTS = {
    "npy": npy,
    "empty": lambda f: (f / runs.CHECKPOINT).write_bytes(b""),
    "half": lambda f: os.truncate(f / runs.CHECKPOINT, 900),
    "a folder": in_place(runs.CHECKPOINT),
    "a member that is not npy": lambda f: member(f, b"raw bytes"),
    "an empty member": lambda f: member(f, b""),
    "no description": lambda f: rewritten(f, lambda x: {k: x[k] for k in x if k != "description"}),
    "description: numbers": lambda f: rewritten(f, lambda x: x | {"description": np.arange(3)}),
    "description: a list": text("[1, 2]"),
    "description: a text": text('"step"'),
    "description: null": text("null"),
    "description: deep": text("[" * 100_000),
    "step: a text": lambda f: described(f, step="4"),
    "step: none": lambda f: described(f, step=None),
    "step: true": lambda f: described(f, step=True),
    "step: beyond the rows": lambda f: described(f, step=6),
    "step: before the rows": lambda f: described(f, step=2),
    "step: between the rows": lambda f: described(f, step=3),
    "step: negative": lambda f: described(f, step=-4),
    "rows: a text": lambda f: described(f, rows="all"),
    "rows: texts": lambda f: described(f, rows=["a"] * 4),
    "rows: empty": lambda f: described(f, rows=[]),
    "another run": lambda f: described(f, run="0" * 64),
    "a run of another type": lambda f: described(f, run=[1]),
    "another leaf": lambda f: rewritten(f, lambda x: x | {"more": np.zeros(2)}),
    "another shape": lambda f: rewritten(f, lambda x: {k: x[k][..., :1] if x[k].ndim else x[k] for k in x}),  # noqa: E501
    "another dtype": lambda f: rewritten(f, lambda x: {k: x[k].astype("f8") if x[k].dtype == "f4" else x[k] for k in x}),  # noqa: E501
}  # fmt: skip


@pytest.mark.parametrize("damage", CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_a_checkpoint_that_is_not_whole_or_ours_is_refused(folder, original, damage):
    damage(folder)
    assert refused_or_the_same(folder, original) == 3


def test_a_checkpoint_with_a_flipped_bit_is_refused_or_the_same(folder, original):
    path = folder / runs.CHECKPOINT
    whole = path.read_bytes()
    like = jax.eval_shape(lambda: jax.vmap(AGENT.init)(jax.vmap(jax.random.key)(np.arange(2))))
    refused = 0
    flips = np.random.default_rng(0).integers(0, 8 * len(whole), 300)
    for flip in (*flips, *range(8 * 40, 8 * 120, 7)):  # everywhere, and in the first npy header
        bits = bytearray(whole)
        bits[flip // 8] ^= 1 << flip % 8
        path.write_bytes(bits)
        try:
            states, _, step = runs.restore(folder, like)
            assert leaves(states) == original.states
            assert step == 4
        except ChunkRLError:
            refused += 1
    assert refused > 200


def config(change):
    """Rewrite config.json by a function of what it holds."""

    def make(folder):
        path = folder / runs.CONFIG
        path.write_text(json.dumps(change(json.loads(path.read_text()))))

    return make


VALUES = ([], {}, 0, -1, 3, 2.5, "a", True, None, [1], ["a"], {"a": 1}, 10**30, [[]], "é\0", 1e308)
CONFIGS = {
    "a list": config(lambda c: [c]),
    "null": config(lambda c: None),
    "a number": config(lambda c: 7),
    "a text": config(lambda c: "method"),
    "empty": lambda f: (f / runs.CONFIG).write_text(""),
    "half": lambda f: os.truncate(f / runs.CONFIG, 200),
    "deep": lambda f: (f / runs.CONFIG).write_text('{"method": ' + "[" * 100_000),
    "not so deep": lambda f: (f / runs.CONFIG).write_text('{"a": ' + "[" * 900 + "]" * 900 + "}"),
    "no text": lambda f: (f / runs.CONFIG).write_bytes(b"\xff\xfe\x00"),
    "removed": lambda f: (f / runs.CONFIG).unlink(),
    "a folder": in_place(runs.CONFIG),
    "normaliser of 3 numbers": config(
        lambda c: c | {"normaliser": {"centre": [0.0] * 3, "scale": [1.0] * 3}}
    ),
    "normaliser with a foreign key": config(
        lambda c: c | {"normaliser": c["normaliser"] | {"a": [1.0]}}
    ),
    "one number of the normaliser": config(
        lambda c: c | {"normaliser": c["normaliser"] | {"scale": [2.0] * (O - 1) + [2.5]}}
    ),
    "another task": config(lambda c: c | {"task": "cube-double-play-singletask-task2-v0"}),
    "hidden: a text": config(lambda c: c | {"settings": c["settings"] | {"hidden": "wide"}}),
    "a setting that does not show in a shape": config(
        lambda c: c | {"settings": c["settings"] | {"alpha": 4.0}}
    ),
}


@pytest.mark.parametrize("damage", CONFIGS.values(), ids=CONFIGS)
def test_a_config_that_is_not_the_runs_is_refused(folder, original, damage):
    damage(folder)
    assert refused_or_the_same(folder, original) == 3


@pytest.mark.parametrize("old", [False, True])
def test_any_json_at_any_place_of_the_config_ends_well(folder, original, old):
    """Also beside a checkpoint of before runs had names, which cannot tell as much."""
    path = folder / runs.CONFIG
    whole = json.loads(path.read_text())
    if old:
        described(folder, run=None, rows=None)
    r = np.random.default_rng(1)
    places = [(key,) for key in whole] + [("settings", key) for key in whole["settings"]]
    places += [("normaliser", "centre"), ("versions", "jax"), ("data", next(iter(whole["data"])))]
    for place in places:
        for value in (..., *(VALUES[i] for i in r.permutation(len(VALUES))[:3])):
            changed = json.loads(json.dumps(whole))
            at = changed[place[0]] if len(place) == 2 else changed
            if value is ...:
                del at[place[-1]]
            else:
                at[place[-1]] = value
            path.write_text(json.dumps(changed))
            for name, door in DOORS.items():
                if name == "train" and old:
                    continue  # each would train on, and store anew
                with contextlib.suppress(ChunkRLError, ChunkRLWarning):
                    states, _ = door(folder)
                    assert old or place[0] == "versions", (name, place, value)
                    assert leaves(states) == original.states


METRICS = {
    "empty": b"",
    "header only": b"step,seed,loss\n",
    "last line gone": None,
    "step: a text": b"step,seed\nabc,0\n",
    "no step": b"seed,loss\n0,1\n",
    "binary": b"\x89\xff\x00\x01",
    "NUL": b"step,seed\n\0\0,0\n",
    "more values than columns": b"step,seed\n2,0,3,4\n",
    "fewer values": b"step,seed,loss\n2\n",
    "a text": b"hello",
}


def shortened(folder):
    lines = (folder / runs.METRICS).read_bytes().splitlines(keepends=True)
    return b"".join(lines[:-1])


@pytest.mark.parametrize("content", METRICS.values(), ids=METRICS)
def test_rows_come_from_the_checkpoint_whatever_metrics_says(folder, original, content):
    (folder / runs.METRICS).write_bytes(shortened(folder) if content is None else content)
    assert refused_or_the_same(folder, original) == 0
    described(folder, run=None, rows=None)  # before checkpoints held the rows
    assert refused_or_the_same(folder, original) == 3


def test_metrics_that_are_a_folder_are_a_sentence(folder, original):
    in_place(runs.METRICS)(folder)
    assert refused_or_the_same(folder, original) == 1  # only training writes them
    described(folder, run=None, rows=None)
    assert refused_or_the_same(folder, original) == 3


def test_checkpoints_without_a_name_go_on(folder, original):
    """Of the first version: rows beyond the checkpoint's step are not its own."""
    described(folder, run=None, rows=None)
    assert refused_or_the_same(folder, original) == 0
    with open(folder / runs.METRICS, "a", newline="") as file:
        file.write((folder / runs.METRICS).read_text().splitlines()[-1].replace("4,1", "6,0", 1))
    assert refused_or_the_same(folder, original) == 0
    whole, rows = fit(None, 6)
    states, resumed = fit(folder, 6)
    assert leaves(states) == leaves(whole)
    assert resumed[-1]["td"] == rows[-1]["td"]
    assert checkpoint.describe(folder / runs.CHECKPOINT)["run"] == runs.name(
        runs.read_config(folder)
    )


@pytest.mark.parametrize("change", [{"alpha": 4.0}, {"discount": 0.9}, {"lr": 1e-3}])
def test_a_checkpoint_of_equal_shapes_is_not_taken_for_ones_own(folder, tmp_path, original, change):
    settings = SETTINGS | change
    other = tmp_path / "other"
    fit(other, agent=agents.make("fql", **settings), config=CONFIG | {"settings": settings})
    shutil.copy(other / runs.CHECKPOINT, folder)
    assert refused_or_the_same(folder, original) == 3


def test_a_run_of_train_fit_is_loaded_by_its_agent_alone(tmp_path):
    states, rows = fit(tmp_path, config=None)
    loaded, stored = train.load(str(tmp_path), AGENT)
    assert leaves(loaded) == leaves(states)
    assert stored == rows
    with pytest.raises(TrainingError, match=r"agent = 'alpha=3\.0', not 'alpha=5\.0'"):
        train.load(tmp_path, agents.make("fql", **SETTINGS | {"alpha": 5.0}))
    with pytest.raises(TrainingError, match=r"load it with `train\.load"):
        experiment.load(tmp_path)
    with pytest.raises(TrainingError, match="is not a run"):
        train.load(tmp_path / "nowhere", AGENT)


@pytest.mark.parametrize("gone", ["folder", runs.CONFIG])
def test_a_folder_that_goes_while_its_run_is_trained_is_named(tmp_path, gone):
    run = tmp_path / "run"

    def log(step, row):
        if step == 4 and run.exists():
            shutil.rmtree(run) if gone == "folder" else (run / gone).unlink(missing_ok=True)

    with pytest.raises(TrainingError, match="deleted or changed while its run went on"):
        fit(run, 8, log=log)
    assert not (run / runs.CONFIG).exists()


class Killed(BaseException):
    """The end of a process: nothing that it does afterwards reaches the disk."""


@contextlib.contextmanager
def killed_before(operation: int):
    """Nothing is opened, renamed or removed from operation number `operation` on."""
    count = [0]

    def counted(function):
        def run(*args, **kwargs):
            count[0] += 1
            if count[0] > operation:
                raise Killed
            return function(*args, **kwargs)

        return run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, "open", counted(open))
        for name in ("open", "replace", "unlink", "mkdir"):
            patch.setattr(os, name, counted(getattr(os, name)))
        with contextlib.suppress(Killed):
            yield


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_run_killed_before_any_file_operation_goes_on_to_the_same_bits(tmp_path, original):
    kills = 0
    for operation in range(400):
        run = tmp_path / str(operation)
        done = []
        with killed_before(operation):
            done = fit(run)
        if done:
            break
        kills += 1
        with contextlib.suppress(TrainingError):  # nothing to load yet
            states, rows = train.load(run, AGENT)
            _, description = checkpoint.load(run / runs.CHECKPOINT, states)
            assert rows[-1]["step"] == description["step"]
        states, rows = fit(run)
        assert leaves(states) == original.states
        assert timeless(rows) == timeless(original.rows) == timeless(runs.read_rows(run))
        assert files(run) == [runs.CHECKPOINT, runs.CONFIG, runs.METRICS]
    assert kills > 12


def test_evaluations_survive_a_kill_before_any_file_operation(tmp_path):
    first, second = ({"seed": seed, "step": 4, "success": 0.5} for seed in (0, 1))
    kills = 0
    for operation in range(100):
        run = tmp_path / str(operation)
        run.mkdir()
        runs.add_evaluations(run, [first])
        done = False
        with killed_before(operation):
            runs.add_evaluations(run, [second])
            done = True
        kills += not done
        assert first in runs.read_evaluations(run)
        runs.add_evaluations(run, [second])
        assert runs.read_evaluations(run) == [first, second]
        assert files(run) == [runs.EVALUATION]
        if done:
            break
    assert kills > 3


def test_evaluations_that_come_at_once_are_all_kept(tmp_path):
    def add(seed):
        for step in range(5):
            runs.add_evaluations(tmp_path, [{"seed": seed, "step": step}])

    threads = [threading.Thread(target=add, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs.read_evaluations(tmp_path)) == 20


def test_two_who_train_in_one_folder(folder):
    before = (folder / runs.CHECKPOINT).read_bytes()
    with (
        runs.hold(folder),
        pytest.raises(BusyError, match=rf"Process {os.getpid()} on \S+ trains in"),
    ):
        fit(folder, 6)
    assert (folder / runs.CHECKPOINT).read_bytes() == before
    fit(folder, 6)


@contextlib.contextmanager
def limited(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [10, 2000, 30000])
def test_a_limit_on_files_is_a_sentence_and_the_last_checkpoint_stays(folder, original, size):
    before = (folder / runs.CHECKPOINT).read_bytes()
    assert len(before) > size
    with limited(size), pytest.raises(WriteError, match="cannot be written: File too large"):
        fit(folder, 8)
    assert (folder / runs.CHECKPOINT).read_bytes() == before
    assert files(folder) == [runs.CHECKPOINT, runs.CONFIG, runs.METRICS]
    states, _ = fit(folder, 8)
    assert leaves(states) == leaves(fit(None, 8)[0])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_is_a_sentence_with_the_path(folder, monkeypatch, number):
    def full(*_):
        raise OSError(number, os.strerror(number))

    before = (folder / runs.CHECKPOINT).read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match=rf"copy/\S+ cannot be written: {os.strerror(number)}"):
        fit(folder, 8)
    assert (folder / runs.CHECKPOINT).read_bytes() == before


def test_a_run_that_ends_earlier_than_planned_is_evaluated_there(tmp_path):
    def stop(step, row):
        if step == 4:
            raise KeyboardInterrupt

    for folder in ("stopped", "whole"):
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / folder, 8, evaluate_every=8, log=stop)
    _, rows = fit(tmp_path / "stopped", 2, evaluate_every=8)
    assert [row["step"] for row in rows if "success" in row] == [2, 2]
    assert runs.read_rows(tmp_path / "stopped")[-1]["success"] == 0.5


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": np.arange(2)},
        {"seeds": [np.int64(0), np.int32(1)]},
        {"seeds": range(2)},
        {"batch_size": np.int64(8)},
        {"batch_size": 8.0},
        {"every": np.uint8(2)},
        {"updates": 4e0},
        {"updates": np.float32(4)},
    ],
)
def test_numbers_of_numpy_are_numbers(folder, original, changes):
    states, _ = fit(folder, **changes)
    assert leaves(states) == original.states


def test_an_array_of_one_number_is_that_number(tmp_path):
    _, rows = fit(tmp_path, evaluate_every=np.array(2))
    assert [row["step"] for row in rows if "success" in row] == [2, 2, 4, 4]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"seeds": 0}, "seeds = 0: give a sequence"),
        ({"seeds": "01"}, "seeds = '01': give a sequence"),
        ({"seeds": [0.5]}, "seeds = 0.5: must be a whole number"),
        ({"seeds": [True]}, "seeds = True: must be a whole number"),
        ({"seeds": np.zeros((2, 2))}, "must be a whole number"),
        ({"batch_size": True}, "batch_size = True: must be a whole"),
        ({"batch_size": np.bool_(True)}, "must be a whole"),
        ({"batch_size": "8"}, "batch_size = '8': must be a whole"),
        ({"batch_size": None}, "batch_size = None: must be a whole"),
        ({"updates": float("nan")}, "updates = nan: must be a whole"),
        ({"updates": float("inf")}, "updates = inf: must be a whole"),
        ({"every": 2.5}, "every = 2.5: must be a whole"),
        ({"every": 0}, "every = 0: must be at least 1"),
        ({"evaluate_every": -2}, "evaluate_every = -2: must be at least 1"),
        ({"config": {"a": np.int64(1)}}, "cannot be kept as JSON"),
    ],
)
def test_what_is_no_number_is_a_sentence(tmp_path, changes, sentence):
    with pytest.raises(ConfigError) as error:
        fit(tmp_path / "run", **changes)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("settings", "changes", "words"),
    [
        ({}, {"batch_size": 10**12}, ["batch_size=1000000000000", "GB"]),
        ({"hidden": (10**6, 10**6)}, {}, ["params/critic", "hidden=(1000000, 1000000)"]),
        ({}, {"seeds": np.arange(10**6)}, ["state/", "seeds=1000000"]),
    ],
)
def test_sizes_beyond_memory_are_refused_before_anything_is_compiled(
    tmp_path, monkeypatch, settings, changes, words
):
    monkeypatch.setattr(train.offline, "init", None)
    monkeypatch.setattr(memory.memory, "available", lambda: 8e9)
    big = agents.make("fql", **SETTINGS | settings)
    with pytest.raises(ConfigError) as error:
        fit(tmp_path / "run", agent=big, **changes)
    assert all(word in str(error.value) for word in ["8.0 GB", *words]), error.value


@pytest.mark.parametrize(
    ("method", "settings", "words"),
    [
        ("qc", {"candidates": 10**9}, "candidates=1000000000"),
        ("mac", {"candidates": 10**9}, "candidates=1000000000"),
        ("mac", {"hidden": (10**6, 10**6)}, "hidden=(1000000, 1000000)"),
    ],
)
def test_a_setting_beyond_memory_is_named(monkeypatch, method, settings, words):
    """Also one of the model that the agent holds."""
    agent = agents.make(method, O, A, **{"hidden": (4,)} | settings)
    monkeypatch.setattr(type(agent), "draw", lambda self, key, dataset, size: dataset)
    with pytest.raises(ConfigError, match=re.escape(words)):
        memory.require(agent, np.zeros(1), 8, 1)


def test_memory_that_runs_out_all_the_same_is_a_sentence():
    with (
        pytest.raises(TrainingError, match=r"memory ran out \(.*batch_size=8"),
        memory.sentences(AGENT, 8),
    ):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 5 bytes.")
    with pytest.raises(jax.errors.JaxRuntimeError), memory.sentences(AGENT, 8):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")


def test_other_versions_are_said_in_one_line(folder, original, monkeypatch):
    monkeypatch.setattr(runs, "versions", lambda: {"jax": "99", "numpy": "1"})
    for door in DOORS.values():
        with pytest.warns(ChunkRLWarning, match=r"began with jax \d\S* \(here 99\)") as told:
            door(folder)
        assert len(told) == 1
        assert "\n" not in str(told[0].message)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    fit("~/run")
    assert files(tmp_path / "run") == [runs.CHECKPOINT, runs.CONFIG, runs.METRICS]
    assert train.load("~/run", AGENT)[1][-1]["step"] == 4
    assert experiment.load("~/run").rows[-1]["step"] == 4
    with pytest.raises(ConfigError, match="No file can have the name"):
        fit("a\0b")


class Played:
    """In place of an Evaluator: no episodes, the same answers."""

    begun, workers = 0, None

    def __init__(self, task, workers, success_timing, execute):
        self.execute, type(self).workers = execute, workers

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, act, episodes, seed, record=0):
        type(self).begun += 1
        return played()


@pytest.fixture
def begun(monkeypatch):
    from chunkrl.play import evaluate

    monkeypatch.setattr(Played, "begun", 0)
    monkeypatch.setattr(evaluate, "Evaluator", Played)
    return lambda: Played.begun


def test_evaluate_records_the_step_of_the_checkpoint(folder, begun):
    with open(folder / runs.METRICS, "a") as file:  # as a killed run may leave them
        file.write("6,0,1.0\n6,1,1.0\n")
    cli.evaluate(folder)
    assert [(x["seed"], x["step"]) for x in runs.read_evaluations(folder)] == [(0, 4), (1, 4)]


@pytest.mark.parametrize("asked", [0, 3, None])
def test_evaluate_has_as_many_workers_as_asked_for(folder, begun, asked):
    cli.evaluate(folder, workers=asked)
    assert Played.workers == asked


def test_a_success_that_nobody_told_is_unknown(folder, begun, monkeypatch, capsys):
    silent = played()
    silent.success_rate, silent.interval = np.nan, (np.nan, np.nan)
    monkeypatch.setattr(Played, "run", lambda *_, **__: silent)
    cli.evaluate(folder)
    assert "seed 0: success unknown, return -1.5" in capsys.readouterr().out
    fit(folder, 6, evaluate=lambda act, seed: silent, progress=True)
    assert "success=unknown" in capsys.readouterr().err


def test_evaluate_needs_to_know_which_state_is_scored(folder, begun):
    """Of an old run: the name of a new one covers it."""
    described(folder, run=None, rows=None)
    config(lambda c: {k: v for k, v in c.items() if k != "success_timing"})(folder)
    with pytest.raises(TrainingError, match=r"config\.json lacks 'success_timing'"):
        cli.evaluate(folder)
    assert not begun()
    cli.evaluate(folder, success_timing="post")
    assert {x["success_timing"] for x in runs.read_evaluations(folder)} == {"post"}


def test_evaluate_stores_before_it_prints(folder, begun, monkeypatch):
    def closed(*_, **__):
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    monkeypatch.setattr(builtins, "print", closed)
    with pytest.raises(BrokenPipeError):
        cli.evaluate(folder)
    assert [x["seed"] for x in runs.read_evaluations(folder)] == [0, 1]
    with pytest.raises(BrokenPipeError):
        cli.evaluate(folder, video=folder / "clip.webp")
    assert (folder / "clip.webp").exists()


@pytest.mark.parametrize(
    "content", ["", '[{"seed": 0', "null", "[1]", "{}", "[[]]", "7", "\xff", "[" * 100_000]
)
def test_evaluations_that_cannot_be_kept_are_refused_before_the_first_episode(
    folder, begun, content
):
    (folder / runs.EVALUATION).write_text(content, encoding="latin-1")
    with pytest.raises(TrainingError, match=r"evaluation\.json"):
        cli.evaluate(folder)
    in_place(runs.EVALUATION)(folder)
    with pytest.raises(TrainingError, match=r"evaluation\.json"):
        cli.evaluate(folder)
    assert not begun()


def test_a_video_that_cannot_be_written_is_refused_before_the_first_episode(folder, begun):
    (folder / "taken").write_text("")
    (folder / "folder.webp").mkdir()
    for path in ("taken/clip.webp", "folder.webp", "clip.gif", "/proc/clip.webp", "a\0b.webp"):
        with pytest.raises(ChunkRLError):
            cli.evaluate(folder, video=folder / path)
    assert not begun()
    cli.evaluate(folder, video=folder / "new" / "clip.webp")
    assert (folder / "new" / "clip.webp").read_bytes()[:4] == b"RIFF"
    assert files(folder / "new") == ["clip.webp"]
