"""Reading OGBench's files: agreement with OGBench's own loader, and every kind of bad file."""

import tracemalloc
import warnings
from collections.abc import Callable

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from reference import Vectors

from chunkrl.data import data_dir, load, load_chunks, load_task, locate
from chunkrl.disk import read, write
from chunkrl.envs.ogbench import tasks
from chunkrl.envs.ogbench.files import OGBENCH_FOLDER, generated_path, val_path
from chunkrl.errors import ConfigError, DataError

CUBE = {"observations": 28, "actions": 5, "qpos": 21, "qvel": 20}
TASK = "cube-single-play-singletask-task2-v0"


def trajectories(lengths, widths=CUBE, seed=0) -> dict[str, np.ndarray]:
    """A file's arrays: random trajectories of the given numbers of transitions."""
    rng = np.random.default_rng(seed)
    ends = np.cumsum(np.array(lengths) + 1) - 1
    rows = ends[-1] + 1
    arrays = {
        key: rng.uniform(-1, 1, (rows, width)).astype(np.float32) for key, width in widths.items()
    }
    return arrays | {"terminals": np.isin(np.arange(rows), ends)}


def save(folder, arrays, name="data.npz"):
    np.savez_compressed(folder / name, **arrays)
    return folder / name


def ogbench_utils():
    import ogbench.utils

    return ogbench.utils


@settings(max_examples=25, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5), compact=st.booleans())
def test_reads_as_ogbench_does(tmp_path_factory, lengths, compact):
    arrays = trajectories(lengths)
    arrays["button_states"] = np.arange(2 * len(arrays["terminals"])).reshape(-1, 2)
    path = save(tmp_path_factory.mktemp("agree"), arrays)
    ours = load(path, compact=compact)
    theirs = ogbench_utils().load_dataset(path, compact_dataset=compact, add_info=True)
    assert ours.keys() == theirs.keys()
    for key, values in theirs.items():
        np.testing.assert_array_equal(ours[key], values, err_msg=key)
        assert ours[key].dtype == values.dtype


@pytest.mark.parametrize("name", ["data_qc"])
def test_parity_with_the_reference_reading(parity, tmp_path):
    vectors = Vectors(parity / "data_qc.npz")
    raw = {key: vectors[f"raw.{key}"] for key in ("observations", "actions", "terminals")}
    ours = load(save(tmp_path, raw))
    assert len(ours["actions"]) == vectors["dataset.size"]
    for key, values in ours.items():
        np.testing.assert_array_equal(values, vectors[f"dataset.{key}"], err_msg=key)
    np.testing.assert_array_equal(
        np.flatnonzero(ours["terminals"]), vectors["dataset.terminal_locs"]
    )


def test_float64_files_become_float32(tmp_path):
    arrays = trajectories([3])
    doubled = arrays | {"observations": arrays["observations"].astype(np.float64)}
    ours = load(save(tmp_path, doubled))
    assert ours["observations"].dtype == np.float32
    np.testing.assert_array_equal(ours["observations"], arrays["observations"][:-1])


def solved(arrays, env, rows) -> dict[str, np.ndarray]:
    """The arrays, with the sub-goals of `env` met in the given rows."""
    tasks.reset(env, 0)
    raw = env.unwrapped
    if "button_states" in arrays:
        arrays["button_states"][rows] = raw._target_button_states
    else:
        arrays["qpos"][rows, 14:17] = raw._data.mocap_pos[0]
    return arrays


@pytest.mark.parametrize("name", [TASK, "puzzle-3x3-play-singletask-v0"])
def test_scores_as_ogbench_does(tmp_path, name):
    """Rewards, masks and rows equal make_env_and_datasets; sparse tasks turn them into -1 and 0."""
    task = tasks.get(name)
    env = tasks.make_env(task)
    widths = CUBE if name == TASK else {"observations": 55, "actions": 5, "qpos": 23, "qvel": 23}
    for split, suffix in (("train", ""), ("val", "-val")):
        arrays = trajectories([9, 4], widths, seed=len(split))
        if name != TASK:
            arrays["button_states"] = np.random.default_rng(0).integers(0, 2, (15, 9))
        arrays["actions"][:2] = [[1], [-1]]
        save(tmp_path, solved(arrays, env, [2, 7]), f"data{suffix}.npz")
    path = tmp_path / "data.npz"
    reference = ogbench_utils().make_env_and_datasets(
        name, dataset_path=str(path), dataset_only=True, cur_env=env
    )
    env.close()
    for split, theirs in zip(("train", "val"), reference, strict=True):
        ours = load_task(name, path=path, split=split)
        assert 0 < theirs["masks"].sum() < len(theirs["masks"])  # both outcomes are there
        assert task.sparse == (theirs["rewards"].min() < -1)  # and what sparse rewards flatten
        expected = np.sign(theirs["rewards"]) if task.sparse else theirs["rewards"]
        np.testing.assert_array_equal(ours.reward, expected)
        np.testing.assert_array_equal(ours.mask, theirs["masks"])
        np.testing.assert_array_equal(ours.terminal, theirs["terminals"])
        np.testing.assert_array_equal(ours.obs, theirs["observations"])
        np.testing.assert_array_equal(ours.next_obs, theirs["next_observations"])
        np.testing.assert_array_equal(
            ours.action, np.clip(theirs["actions"], *np.float32([1e-5 - 1, 1 - 1e-5]))
        )
        assert {values.dtype for values in ours} == {np.dtype(np.float32)}


def test_chunks_hold_the_same_data_with_every_state(tmp_path):
    """Rows of transitions agree with `load_task`; chunks start where h + 2 transitions follow."""
    env = tasks.make_env(tasks.get(TASK))
    path = save(tmp_path, solved(trajectories([9, 5]), env, [2, 12]))
    env.close()
    whole = load_task(TASK, path=path)
    ours = load_chunks(TASK, path, chunk=3)
    rows = np.delete(np.arange(16), [9, 15])
    for name in ("obs", "action", "reward", "mask"):
        values = getattr(ours, name)
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values[rows], getattr(whole, name))
    np.testing.assert_array_equal(ours.obs[1:][rows[:-1]], whole.next_obs[:-1])
    assert (ours.mask == 0).sum() == 2
    np.testing.assert_array_equal(ours.last, [8] * 10 + [14] * 6)
    np.testing.assert_array_equal(ours.starts, [0, 1, 2, 3, 4, 10])
    with pytest.raises(DataError, match="has 5 transitions, fewer than 6"):
        load_chunks(TASK, path, chunk=4)


def put(key, index, value) -> Callable[[dict], None]:
    def change(arrays):
        arrays[key][index] = value

    return change


def each(key, function) -> Callable[[dict], None]:
    def change(arrays):
        arrays[key] = function(arrays[key])

    return change


def every(function) -> Callable[[dict], None]:
    def change(arrays):
        arrays.update({key: function(values) for key, values in arrays.items()})

    return change


BAD = {
    "no observations": (lambda a: a.pop("observations"), r"'observations' \(found: actions"),
    "no terminals": (lambda a: a.pop("terminals"), r"'terminals' \(found"),
    "NaN": (put("observations", (3, 7), np.nan), r"'observations' is nan at index \(3, 7\)"),
    "infinity": (put("actions", (8, 1), -np.inf), r"'actions' is -inf at index \(8, 1\)"),
    "NaN in the state": (put("qvel", (0, 0), np.nan), r"'qvel' is nan at index \(0, 0\)"),
    "beyond float32": (each("observations", lambda x: x * 1e300), r"'observations' is -?inf at"),
    "lengths differ": (each("actions", lambda x: x[:-1]), r"'actions' has 11 rows, 'obs.* 12"),
    "a flat array": (each("observations", lambda x: x[:, 0]), r"'observations' .* \(12,\)"),
    "not rescaled": (put("actions", (4, 2), 1.5), r"'actions' is 1.5 at index \(4, 2\), .*Rescale"),
    "no columns": (each("actions", lambda x: x[:, :0]), r"'actions' has the shape \(12, 0\)"),
    "no rows": (every(lambda x: x[:0]), r"'observations' has the shape \(0, 28\)"),
    "terminals in columns": (each("terminals", lambda x: x[:, None]), r"'terminals' .* \(12, 1\)"),
    "integer actions": (each("actions", lambda x: x.astype(int)), r"'actions' has the type int64"),
    "pixels": (each("observations", lambda x: x.astype(np.uint8)), r"'observations' .* uint8"),
    "text": (each("qpos", lambda x: x.astype(str)), r"'qpos' has the type <U"),
    "objects": (
        each("actions", lambda x: x.astype(object)),
        r"'actions' cannot be read.*[Oo]bject",
    ),
    "terminals of 2": (each("terminals", lambda x: x * 2), r"'terminals' is 2 at index 7"),
    "an open end": (put("terminals", 11, False), r"'terminals' is 0 at the last index 11"),
    "no transition": (put("terminals", 6, True), r"trajectory 1, .* index 7 .* 0 transitions"),
}


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("kind", BAD)
def test_bad_arrays_are_named(tmp_path, kind):
    change, message = BAD[kind]
    arrays = trajectories([7, 3])
    change(arrays)
    path = save(tmp_path, arrays)
    with pytest.raises(DataError, match=message) as error:
        load(path)
    assert str(path) in str(error.value)
    assert "again" in str(error.value) or "Choose" in str(error.value)  # what to do


@pytest.mark.parametrize(("length", "fits"), [(3, True), (4, False)])
def test_trajectories_shorter_than_the_chunk(tmp_path, length, fits):
    path = save(tmp_path, trajectories([7, 3]))
    if fits:
        assert len(load(path, min_length=length)["actions"]) == 10
    else:
        with pytest.raises(DataError, match=r"trajectory 1, .* index 11 .*fewer than 4"):
            load(path, min_length=length)


def test_no_cut_or_flipped_byte_passes_unseen(tmp_path):
    """A file cut anywhere is refused; a changed byte is refused or did not touch the arrays."""
    whole = save(tmp_path, trajectories([2], {"observations": 2, "actions": 1})).read_bytes()
    good = load(tmp_path / "data.npz")
    damaged = tmp_path / "damaged.npz"
    for length in range(0, len(whole), 7):
        damaged.write_bytes(whole[:length])
        with pytest.raises(DataError, match="damaged"):
            load(damaged)
    refused = 0
    for position in range(0, len(whole), 3):
        changed = bytes([whole[position] ^ 0x55])
        damaged.write_bytes(whole[:position] + changed + whole[position + 1 :])
        try:
            arrays = load(damaged)
        except DataError:
            refused += 1
        else:
            assert all(np.array_equal(arrays[key], good[key]) for key in good)
    assert refused > len(whole) / 3 / 4


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x80\x04pickle"])
def test_foreign_files_are_not_said_to_be_damaged(tmp_path, content):
    """A user's own file must not be answered with the advice to remove it."""
    path = tmp_path / "foreign.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is no npz archive but another kind of file") as error:
        load(path)
    assert "emove" not in str(error.value)


def test_a_file_that_was_cut_off_is_to_be_fetched_again(tmp_path):
    path = tmp_path / "cut.npz"
    path.write_bytes(b"PK")
    with pytest.raises(DataError, match=r"not a complete npz archive .* Remove it"):
        load(path)


def test_missing_file_and_single_array(tmp_path):
    with pytest.raises(DataError, match="no file"):
        load(tmp_path / "nothing.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(DataError, match="single array"):
        load(tmp_path / "one.npy")


MISFITS = {
    "another task": (CUBE | {"observations": 37}, r"has 37 columns, cube-single has 28"),
    "other actions": (CUBE | {"actions": 2}, r"'actions' has 2 columns"),
    "another simulator": (CUBE | {"qpos": 28}, r"'qpos' has 28 columns"),
    "no state": ({"observations": 28, "actions": 5}, r"no array 'qpos'"),
}


@pytest.mark.parametrize("kind", MISFITS)
def test_data_of_another_task(tmp_path, kind, one_env):
    widths, message = MISFITS[kind]
    with pytest.raises(DataError, match=message) as error:
        load_task(TASK, path=save(tmp_path, trajectories([7], widths)))
    assert "cube-single-play-v0" in str(error.value)


@pytest.fixture
def one_env(monkeypatch, shared_env):
    """Building a manipulation environment takes seconds: these tests share one."""
    monkeypatch.setattr(tasks, "make", lambda name, **_: shared_env)


@pytest.fixture(scope="module")
def shared_env():
    env = tasks.make_env(tasks.get(TASK))
    close, env.close = env.close, lambda: None
    yield env
    close()


def test_positions_of_another_maze(tmp_path):
    widths = dict.fromkeys(("observations", "actions", "qpos", "qvel"), 2)
    arrays = trajectories([50], widths)  # near the origin: a free cell of every maze
    name = "pointmaze-medium-navigate-singletask-v0"
    assert len(load_task(name, path=save(tmp_path, arrays)).obs) == 50
    arrays["qpos"][:, 0] += 8.0  # two cells to the right: a wall in this maze
    with pytest.raises(DataError, match="walls of pointmaze-medium"):
        load_task(name, path=save(tmp_path, arrays))


def test_where_files_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("CHUNKRL_DATA", raising=False)
    assert ogbench_utils().DEFAULT_DATASET_DIR == OGBENCH_FOLDER
    assert str(data_dir()).endswith("/.ogbench/data")
    monkeypatch.setenv("CHUNKRL_DATA", str(tmp_path))
    assert data_dir() == tmp_path
    with pytest.raises(DataError, match="chunkrl data download scene-play-v0"):
        locate("scene-play-v0")
    made = generated_path("scene-play-v0", 2000)
    for path in (made, val_path(made)):
        write(path, lambda file: file.write(b""))
    with pytest.raises(DataError, match=r"there: scene-play-v0-2000\."):
        locate("scene-play-v0")  # never in place of the official file
    with pytest.raises(DataError, match="chunkrl data make scene-play-v0 --transitions 1000"):
        locate("scene-play-v0", 1000)
    assert locate("scene-play-v0", 2000) == locate("scene-play-v0", 1001) == made
    with pytest.raises(ConfigError, match="split"):
        load_task(TASK, split="test")


def test_write_leaves_the_old_file_when_it_fails(tmp_path):
    path = tmp_path / "deep" / "file.npz"
    write(path, lambda file: file.write(b"old"))

    def fail(file):
        file.write(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write(path, fail)
    assert path.read_bytes() == b"old"
    assert [file.name for file in path.parent.iterdir()] == ["file.npz"]


def test_read_takes_only_the_wanted_arrays(tmp_path):
    path = save(tmp_path, trajectories([2]))
    assert list(read(path, ["actions", "absent"])) == ["actions"]


def test_importing_needs_no_simulator():
    import subprocess
    import sys

    code = "import sys, chunkrl.data; sys.exit('ogbench' in sys.modules or 'mujoco' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_loading_keeps_quiet(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(save(tmp_path, trajectories([2])))


@pytest.mark.parametrize("change", [put("qvel", (3, 1), np.nan), each("qvel", lambda x: x[:-1])])
def test_what_no_task_reads_is_checked_all_the_same(tmp_path, change):
    arrays = trajectories([9])
    with pytest.raises(DataError, match="'qvel'"):
        load_task(TASK, path=save(tmp_path, change(arrays) or arrays))


def test_loading_takes_little_more_memory_than_what_it_gives(tmp_path):
    load_task(TASK, path=save(tmp_path, trajectories([9])))  # imports
    np.savez(tmp_path / "large.npz", **trajectories([999] * 300))
    tracemalloc.start()
    loaded = load_task(TASK, path=tmp_path / "large.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 1.3 * sum(array.nbytes for array in loaded)
