"""Data of other projects, written by their own packages, become npz files that are ours."""

import json
import sys
import warnings

import gymnasium
import numpy as np
import pytest

from chunkrl import cli, disk
from chunkrl.data import dataset
from chunkrl.data.importing import ROBOMIMIC, import_data
from chunkrl.envs import family
from chunkrl.errors import ConfigError, DataError
from chunkrl.types import Chunks, Windows


def package(name: str):
    """A package of the extra `import`, or the test is skipped."""
    return pytest.importorskip(name, reason=f"needs {name}: pip install 'chunkrl[import]'")


def random(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape)


WIDTHS = dict(zip(ROBOMIMIC, (3, 4, 2, 10), strict=True))


def write_robomimic(path, lengths=(5,) * 11, change=lambda file: None):
    """Demos as robomimic stores them: 0/1 rewards, all solved, names out of numeric order."""
    h5py = package("h5py")
    with h5py.File(path, "w") as file:
        for i, length in enumerate(lengths):
            demo = file.create_group(f"data/demo_{i}")
            solved = np.arange(length) == length - 1
            demo["actions"], demo["rewards"] = random(length, 7, seed=i), 1.0 * solved
            demo["dones"], demo["states"] = solved.astype(int), random(length, 32)
            for key, width in WIDTHS.items():
                states = 0.4 * random(length + 1, width, seed=i) + i
                demo[f"obs/{key}"], demo[f"next_obs/{key}"] = states[:-1], states[1:]
            demo["obs/robot0_joint_pos"] = random(length, 7)
        change(file)
    return path


def test_robomimic_has_the_keys_order_and_rewards_of_the_paper(tmp_path):
    """Keys in their order, demos in that of their numbers; -1 and 0, and a done ends for good."""
    source = write_robomimic(tmp_path / "low_dim.hdf5")
    path = import_data(source, tmp_path / "lift.npz")
    found = dataset.load(path)
    assert found["observations"].shape == (55, 19)
    np.testing.assert_array_equal(found["observations"][::5].mean(axis=1).round(), np.arange(11))
    with package("h5py").File(source) as file:
        demo = file["data/demo_10"]
        states = [demo["obs"][key][:] for key in ROBOMIMIC]
        np.testing.assert_array_equal(
            found["observations"][-5:], np.concatenate(states, axis=1).astype(np.float32)
        )
        np.testing.assert_array_equal(found["actions"][-5:], demo["actions"][:].astype(np.float32))
    np.testing.assert_array_equal(found["rewards"], [-1, -1, -1, -1, 0] * 11)
    np.testing.assert_array_equal(found["masks"], [1, 1, 1, 1, 0] * 11)
    np.testing.assert_array_equal(found["terminals"], [0, 0, 0, 0, 1] * 11)


def test_a_demo_that_is_only_cut_is_no_success(tmp_path):
    def cut(file):
        file["data/demo_1/dones"][:] = 0
        file["data/demo_1/rewards"][:] = 0

    source = write_robomimic(tmp_path / "low_dim.hdf5", (3, 4), cut)
    found = dataset.load(import_data(source, tmp_path / "out.npz"))
    np.testing.assert_array_equal(found["masks"], [1, 1, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(found["rewards"], [-1, -1, 0, -1, -1, -1, -1])
    np.testing.assert_array_equal(found["terminals"], [0, 0, 1, 0, 0, 0, 1])


class Far(gymnasium.Env):
    """x' = x + a, over beyond 2.5; actions between bounds that differ by dimension."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))
    action_space = gymnasium.spaces.Box(np.float32([0, -3]), np.float32([1, 5]))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = np.zeros(2, np.float32)
        return self.x, {}

    def step(self, action):
        self.x = (self.x + action).astype(np.float32)
        return self.x, float(self.x[1]), bool(self.x[0] > 2.5), False, {}


@pytest.fixture(scope="module")
def minari_folder(tmp_path_factory):
    """Two datasets of Minari's own collector; Pendulum ends by its time limit alone."""
    minari = package("minari")
    package("h5py")
    folder = tmp_path_factory.mktemp("minari")
    gymnasium.register("Far-v0", f"{__name__}:Far")
    # The collector warns of what it is not told, and of its own temporary folders.
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("MINARI_DATASETS_PATH", str(folder))
        for name, steps in (("Pendulum-v1", 6), ("Far-v0", 50)):
            env = minari.DataCollector(gymnasium.make(name, max_episode_steps=steps))
            env.action_space.seed(0)
            for seed in range(3):
                env.reset(seed=seed)
                while not any(env.step(env.action_space.sample())[2:4]):
                    pass
            env.create_dataset(f"tests/{name.lower()}")
            env.close()
            del env
    del gymnasium.registry["Far-v0"]
    return folder


@pytest.fixture
def minari(minari_folder, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(minari_folder))
    return package("minari")


def test_minari_s_time_limits_are_no_terminations_and_its_bounds_are_known(minari, tmp_path):
    path = import_data("tests/pendulum-v1", tmp_path / "pendulum.npz")
    found = dataset.load(path)
    assert found["observations"].shape == (18, 3)
    np.testing.assert_array_equal(found["masks"], 1)
    np.testing.assert_array_equal(found["terminals"], [0, 0, 0, 0, 0, 1] * 3)
    theirs = [*minari.load_dataset("tests/pendulum-v1").iterate_episodes()]
    actions = np.concatenate([one.actions for one in theirs])
    assert np.abs(actions).max() > 1.5
    np.testing.assert_allclose(found["actions"], actions / 2, rtol=1e-6)
    np.testing.assert_array_equal(
        found["next_observations"], np.concatenate([one.observations[1:] for one in theirs])
    )
    np.testing.assert_allclose(found["rewards"], np.concatenate([one.rewards for one in theirs]))


def test_minari_s_terminations_end_the_bootstrap_and_bounds_differ_by_dimension(minari, tmp_path):
    found = dataset.load(import_data("tests/far-v0", tmp_path / "far.npz"))
    np.testing.assert_array_equal(found["masks"], 1 - found["terminals"])
    assert found["terminals"].sum() == 3
    moved = found["next_observations"] - found["observations"]
    np.testing.assert_allclose(moved, (found["actions"] + 1) / 2 * [1, 8] + [0, -3], atol=1e-5)


FEATURES = {  # name: type, width
    "observation.state": ("float32", 3),
    "observation.environment_state": ("float32", 2),
    "action": ("float32", 2),
    "next.reward": ("float32", 1),
    "next.done": ("bool", 1),
    "next.success": ("bool", 1),
    "next.truncated": ("bool", 1),
    "timestamp": ("float32", 1),
    "frame_index": ("int64", 1),
    "episode_index": ("int64", 1),
    "index": ("int64", 1),
    "task_index": ("int64", 1),
}
LENGTHS = (4, 3, 5)


def write_lerobot(folder, leave=(), files=2, change=lambda columns: None, **values):
    """A LeRobot v3 folder without the features `leave`; the last frame of each episode is done."""
    pyarrow, parquet = package("pyarrow"), package("pyarrow.parquet")
    features = {k: v for k, v in FEATURES.items() if k not in leave}
    frames = sum(LENGTHS)
    columns = {"index": np.arange(frames), "task_index": np.zeros(frames, int)}
    columns["frame_index"] = np.concatenate([np.arange(n) for n in LENGTHS])
    columns["episode_index"] = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    columns["timestamp"] = columns["frame_index"] / 10
    columns["next.done"] = np.isin(np.arange(frames), np.cumsum(LENGTHS) - 1)
    columns["next.success"] = np.arange(frames) == 3
    columns["next.truncated"] = np.arange(frames) == 6
    columns["next.reward"] = np.arange(frames) / 10
    for i, name in enumerate(("observation.state", "observation.environment_state", "action")):
        columns[name] = random(frames, FEATURES[name][1], seed=i)
    columns |= values
    change(columns)
    for number, rows in enumerate(np.array_split(np.arange(len(columns["index"])), files)):
        table = {}
        for name, (kind, width) in features.items():
            typed = columns[name][rows].astype(kind)
            scalars = pyarrow.array(typed.reshape(-1))
            fixed = pyarrow.FixedSizeListArray.from_arrays
            table[name] = fixed(scalars, width) if width > 1 else scalars
        file = folder / "data" / "chunk-000" / f"file-{number:03d}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pyarrow.table(table), file)
    described = {k: {"dtype": t, "shape": [n], "names": None} for k, (t, n) in features.items()}
    info = {"codebase_version": "v3.0", "total_episodes": len(LENGTHS), "total_frames": frames}
    info |= {"fps": 10, "robot_type": None, "splits": {"train": f"0:{len(LENGTHS)}"}}
    info["data_path"] = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
    (folder / "meta").mkdir()
    (folder / "meta" / "info.json").write_text(json.dumps(info | {"features": described}))
    return folder, columns


@pytest.mark.parametrize(
    ("leave", "terminated"),
    [
        (("next.truncated", "next.success"), [3, 6, 11]),  # done alone
        (("next.success",), [3, 11]),
        ((), [3, 11]),
        (("next.truncated",), [3]),
        (("next.done",), []),
        (("next.done", "next.success", "next.truncated"), []),
    ],
    ids=["done", "truncated", "both", "success", "no done", "none"],
)
def test_lerobot_s_episodes_end_where_the_index_changes_and_terminate_where_it_says(
    tmp_path, leave, terminated
):
    """Each frame leads to the next one; the last is kept only where no next state is needed."""
    source, columns = write_lerobot(tmp_path / "robot", leave)
    found = dataset.load(import_data(source, tmp_path / "robot.npz"))
    kept = sorted({*range(12)} - {3, 6, 11} | {*terminated})
    states = np.hstack([columns[f"observation.{k}"] for k in ("state", "environment_state")])
    np.testing.assert_array_equal(found["observations"], states[kept].astype(np.float32))
    np.testing.assert_array_equal(found["actions"], columns["action"][kept].astype(np.float32))
    np.testing.assert_allclose(found["rewards"], columns["next.reward"][kept])
    np.testing.assert_array_equal(found["masks"] == 0, np.isin(kept, terminated))
    following = np.minimum(np.add(kept, 1), 11)
    inside = ~np.isin(kept, [3, 6, 11])
    np.testing.assert_array_equal(
        found["next_observations"][inside], states[following][inside].astype(np.float32)
    )
    assert found["terminals"].sum() == 3


def test_frames_in_another_order_and_other_bounds(tmp_path):
    """Degrees of a motor: given bounds map them, one pair for all or one for each dimension."""

    def degrees(columns):
        columns["action"] = 90 + 90 * columns["action"]
        for name, values in columns.items():
            columns[name] = values[::-1]

    plain, _ = write_lerobot(tmp_path / "plain")
    turned, _ = write_lerobot(tmp_path / "turned", change=degrees)
    wanted = dataset.load(import_data(plain, tmp_path / "plain.npz"))
    for name, low, high in (("all", 0, 180), ("each", (0, 0), (180, 180))):
        found = dataset.load(import_data(turned, tmp_path / f"{name}.npz", low, high))
        for key, values in wanted.items():
            np.testing.assert_allclose(found[key], values, atol=1e-6, err_msg=key)
    with pytest.raises(DataError, match=r"lie between .*, beyond -1\.0 to 1\.0\. Give the bounds"):
        import_data(turned, tmp_path / "no.npz")
    with pytest.raises(DataError, match=r"beyond 0\.0 to 90\.0"):
        import_data(turned, tmp_path / "no.npz", 0, 90)
    with pytest.raises(ConfigError, match="no range for each of 2 actions"):
        import_data(turned, tmp_path / "no.npz", (0, 0, 0), (180, 180, 180))
    with pytest.raises(ConfigError, match="no range for each of 2 actions"):
        import_data(turned, tmp_path / "no.npz", 180, 0)
    with pytest.raises(ConfigError, match="give both, or none"):
        import_data(turned, tmp_path / "no.npz", 0)
    assert not (tmp_path / "no.npz").exists()


def hdf5(change):
    return lambda folder: write_robomimic(folder / "x.hdf5", (3, 4), change)


def robot(**how):
    return lambda folder: write_lerobot(folder / "robot", **how)[0]


def delete(name):
    return lambda file: file.__delitem__(name)


def pictures(folder):
    source, _ = write_lerobot(folder / "robot")
    info = json.loads((source / "meta" / "info.json").read_text())
    info["features"]["observation.images.top"] = {"dtype": "video", "shape": [96, 96, 3]}
    (source / "meta" / "info.json").write_text(json.dumps(info))
    return source


def npz(**arrays):
    def make(folder):
        np.savez(folder / "x.npz", **arrays)
        return folder / "x.npz"

    return make


def text(folder):
    (folder / "x.csv").write_text("1,2,3")
    return folder / "x.csv"


def cut_off(folder):
    source = write_robomimic(folder / "x.hdf5")
    source.write_bytes(source.read_bytes()[:3000])
    return source


def file_removed(folder):
    source, _ = write_lerobot(folder / "robot")
    (source / "data" / "chunk-000" / "file-001.parquet").unlink()
    return source


def shaped(file):
    file["data/demo_1/rewards"][0] = 0.3


def longer(file):
    del file["data/demo_0/actions"]
    file["data/demo_0/actions"] = random(4, 7)


def other_demo(file):
    for part in ("obs", "next_obs"):
        file.move(f"data/demo_1/{part}/object", f"data/demo_1/{part}/objects")


def unfit(file):
    file["data/demo_0/next_obs/object"][0] += 1


def nan(file):
    file["data/demo_1/actions"][2, 3] = np.nan


BAD = {
    "another HDF5": (hdf5(delete("data")), r"x\.hdf5 has no 'data' with demos.*found: nothing"),
    "shaped rewards": (hdf5(shaped), "demo_1 has shaped rewards"),
    "no object": (hdf5(delete("data/demo_0/obs/object")), "demo_0/obs lacks object"),
    "in one demo": (hdf5(other_demo), "demo_1/obs lacks object"),
    "no dones": (hdf5(delete("data/demo_1/dones")), r"cannot be read as a low-dim.*dones"),
    "more actions": (hdf5(longer), "of episode number 0 there are .*'actions': 4"),
    "jumps": (hdf5(unfit), r"x\.hdf5: row 0 of 'next_observations' is not row 1"),
    "not a number": (hdf5(nan), r"x\.hdf5: 'actions' is nan at index \(5, 3\)"),
    "cut off": (cut_off, r"x\.hdf5 cannot be read as a low-dimensional HDF5"),
    "pictures": (pictures, r"robot has pictures \(observation\.images\.top\)"),
    "a file is missing": (file_removed, "robot has 6 frames of 12"),
    "a frame twice": (robot(frame_index=np.zeros(12, int)), "episode 0 lacks frames"),
    "no action": (robot(leave=("action",)), "robot cannot be read as a LeRobot folder"),
    "other names": (npz(obs=np.zeros((3, 2))), r"x\.npz has an array 'obs', which is not read"),
    "other layout": (npz(a=np.zeros(3)), r"x\.npz has no array 'observations'"),
    "text": (text, r"x\.csv is of no such kind\. Accepted: .*HDF5.*LeRobot.*npz.*Minari"),
    "folder": (lambda folder: folder, "is of no such kind"),
    "nothing": (lambda folder: folder / "x", "is neither a path nor an id here"),
    "no id here": (lambda folder: "D4RL/door/human-v7", "neither .* nor an id here.*`minari down"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_imported_is_refused_in_a_sentence(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    make, sentence = BAD[kind]
    (tmp_path / "in").mkdir()
    source = make(tmp_path / "in")
    with pytest.raises(DataError, match=sentence) as refused:
        import_data(source, tmp_path / "out" / "x.npz")
    assert ".tmp" not in str(refused.value)
    assert not [*(tmp_path / "out").glob("*")]


def test_a_path_that_is_also_an_id_and_spaces_of_another_kind(minari, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").mkdir()
    np.savez(tmp_path / "tests" / "far-v0", a=np.zeros(3))
    (tmp_path / "tests" / "far-v0.npz").rename(tmp_path / "tests" / "far-v0")
    with pytest.raises(DataError, match=r"tests/far-v0 is a path and the id of a Minari dataset"):
        import_data("tests/far-v0")
    with pytest.raises(DataError, match="has no array 'observations'"):
        import_data("./tests/far-v0")
    space = gymnasium.spaces.Discrete(3)
    monkeypatch.setattr(minari.MinariDataset, "action_space", space)
    with pytest.raises(DataError, match=r"its actions are Discrete\(3\)"):
        import_data("tests/pendulum-v1")


@pytest.mark.parametrize(("name", "make"), [("h5py", hdf5(lambda file: 0)), ("pyarrow", robot())])
def test_a_package_that_is_not_installed_is_named(tmp_path, monkeypatch, name, make):
    source = make(tmp_path)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=f"to read it, pip install {name}"):
        import_data(source, tmp_path / "out.npz")


def test_what_is_there_is_not_overwritten(tmp_path):
    source = write_robomimic(tmp_path / "x.hdf5", (3,))
    (tmp_path / "mine.npz").write_text("precious")
    with pytest.raises(ConfigError, match="is there already"):
        import_data(source, tmp_path / "mine.npz")
    assert (tmp_path / "mine.npz").read_text() == "precious"


def test_actions_of_an_npz_are_mapped_too(tmp_path):
    arrays = {"observations": random(4, 2), "next_observations": random(4, 2, seed=1)}
    arrays |= {"actions": 2 * random(4, 1), "terminals": np.ones(4), "rewards": np.ones(4)}
    np.savez(tmp_path / "x.npz", **arrays)
    found = disk.read(import_data(tmp_path / "x.npz", tmp_path / "out.npz", -2, 2))
    np.testing.assert_allclose(found["actions"], arrays["actions"] / 2, rtol=1e-6)
    np.testing.assert_array_equal(found["rewards"], 1)


def test_the_command_imports_checks_and_explains(minari, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["chunkrl", "data", "import", "tests/pendulum-v1"])
    cli.main()
    out = capsys.readouterr().out
    assert "tests-pendulum-v1.npz: 18 transitions\n" in out
    for said in ("'truncations' marks", "'terminals' marks", "'rewards' is", "'next_observations'"):
        assert said in out
    cli.check(tmp_path / "tests-pendulum-v1.npz", "Pendulum-v1")
    assert "18 transitions, 0 after which nothing comes in Pendulum-v1" in capsys.readouterr().out
    source, _ = write_lerobot(tmp_path / "robot", ("next.reward",))
    cli.check(import_data(source, low=-1, high=1))
    assert "'rewards' is not there" in capsys.readouterr().out


PENDULUM = {"observations": random(6, 3), "actions": random(6, 1), "rewards": random(6)}
PENDULUM |= {"next_observations": random(6, 3, seed=1), "terminals": np.arange(6) == 2}
PENDULUM |= {"truncations": np.arange(6) != 2}


def without(*names, **others):
    return {k: v for k, v in (PENDULUM | others).items() if k not in names}


def test_a_file_of_one_s_own_for_an_environment_of_gymnasium(tmp_path):
    task, path = family.get("Pendulum-v1"), tmp_path / "x.npz"
    np.savez(path, **PENDULUM)
    found, normaliser = family.named("gym").data(task, Windows(5), path)
    np.testing.assert_array_equal(found.mask, np.arange(6) != 2)
    np.testing.assert_array_equal(found.terminal, 1)
    np.testing.assert_array_equal(found.reward, PENDULUM["rewards"].astype(np.float32))
    np.testing.assert_array_equal(normaliser.apply(found.obs), found.obs)
    np.savez(path, **without("truncations", actions=np.ones((6, 1)), masks=np.zeros(6),
                             terminals=np.ones(6)))  # fmt: skip
    found, _ = family.named("gym").data(task, Windows(5), path)
    np.testing.assert_array_equal(found.mask, 0)
    np.testing.assert_array_equal(found.action, 1 - np.float32(1e-5))


UNFIT = {
    "no rewards": (without("rewards"), "has no 'rewards', and Pendulum-v1 gives none"),
    "ends": (without("truncations", terminals=np.ones(6)), "leaves open what ended by itself"),
    "states only": (
        without("next_observations", terminals=np.arange(6) == 5, truncations=np.arange(6) == 2),
        "add 'next_observations' and",
    ),
    "other states": (
        without(observations=random(6, 2), next_observations=random(6, 2)),
        "'observations' has 2 columns, Pendulum-v1 has 3",
    ),
    "other actions": (without(actions=random(6, 2)), "'actions' has 2 columns, Pendulum-v1 has 1"),
    "own units": (without(actions=2 * random(6, 1)), r"outside of \[-1, 1\]\. Rescale"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_files_that_do_not_belong_to_the_environment(tmp_path, kind):
    arrays, sentence = UNFIT[kind]
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataError, match=sentence):
        family.named("gym").data(family.get("Pendulum-v1"), Windows(2), tmp_path / "x.npz")
    with pytest.raises(ConfigError, match="learn on OGBench only: choose qc-fql"):
        family.named("gym").data(family.get("Pendulum-v1"), Chunks(2), tmp_path / "x.npz")
