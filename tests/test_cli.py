"""The command line as a user runs it, from no data at all to a trained, evaluated agent."""

import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from chunkrl import cli, data, train
from chunkrl.envs.ogbench import tasks
from chunkrl.experiments import experiment
from chunkrl.play import collect
from chunkrl.train import checkpoint, runs


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def chunkrl(home):
    """Run `chunkrl ARGS` in a folder of its own, with data of its own."""

    def call(*args):
        return subprocess.run(
            [sys.executable, "-m", "chunkrl", *args],
            cwd=home,
            env={**os.environ, "CHUNKRL_DATA": str(home / "data")},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return call


SMOKE = ("train", "qc-fql", "--preset", "smoke", "--transitions", "1000", "--seeds", "0", "1",
         "--episodes", "2", "--folder", "run")  # fmt: skip


@pytest.fixture(scope="module")
def trained(chunkrl, home):
    """A smoke run from nothing: generates data, trains, evaluates."""
    done = chunkrl(*SMOKE)
    assert done.returncode == 0, done.stderr
    return done, home / "run"


def test_train_makes_data_trains_and_reports(trained, home):
    done, folder = trained
    assert "seed 1: success" in done.stdout
    assert "success timing: pre" in done.stdout
    assert f"data: {home / 'data' / 'generated' / 'cube-single-play-v0-1000.npz'}" in done.stdout
    assert (home / "data" / "generated" / "cube-single-play-v0-1000.npz").exists()
    rows = runs.read_rows(folder)
    assert [(row["step"], row["seed"]) for row in rows] == [(100, 0), (100, 1), (200, 0), (200, 1)]
    assert rows[-1]["episodes"] == 2
    assert rows[-1]["length"] <= 200  # the time limit of cube-single
    config = runs.read_config(folder)
    assert config["success_timing"] == "pre"
    assert config["settings"]["alpha"] == 1000  # the table of presets
    assert config["versions"].keys() >= {"jax", "ogbench", "mujoco"}


def test_the_same_command_again_finds_everything_done(trained, chunkrl):
    before = (trained[1] / runs.METRICS).read_bytes()
    again = chunkrl(*SMOKE)
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[-1] == trained[0].stdout.splitlines()[-1]
    assert (trained[1] / runs.METRICS).read_bytes() == before


def test_a_run_goes_on_by_acting_also_after_kill_9(trained, here, home):
    """From the same updates on, in the simulator; killed within an episode, it ends the same."""
    for name in ("whole", "killed"):
        shutil.copytree(trained[1], home / name)
    words = lambda name: [*SMOKE[:-1], name, "--online", "300"]
    here(*words("whole"), "--workers", "0")
    process = subprocess.Popen(
        [sys.executable, "-m", "chunkrl", *words("killed")], cwd=home,
        env={**os.environ, "CHUNKRL_DATA": str(home / "data")}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    path = home / "killed" / runs.CHECKPOINT
    while process.poll() is None and checkpoint.describe(path)["step"] < 300:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    players = checkpoint.describe(path)["players"]
    assert players[0]["taken"] == 100  # of an episode of 200
    here(*words("killed"), "--workers", "0")
    whole, killed = (np.load(home / name / runs.CHECKPOINT) for name in ("whole", "killed"))
    for leaf in set(whole.files) - {checkpoint.DESCRIPTION}:
        np.testing.assert_array_equal(whole[leaf], killed[leaf])
    rows, again = (runs.read_rows(home / name) for name in ("whole", "killed"))
    assert [{**row, "seconds": 0} for row in rows] == [{**row, "seconds": 0} for row in again]
    assert [row.get("online", 0) for row in rows[::2]] == [0, 0, 100, 200, 300]
    assert sum(row.get("collected", 0) for row in rows) == 2  # one of each seed
    loaded = experiment.load(home / "whole")
    assert loaded.config["online"]["start_training"] == 50
    assert runs.after(loaded.rows[-1]) == "200 updates and 300 steps online"


def test_evaluate_plays_a_stored_run(trained, chunkrl, home):
    words = ["evaluate", "run", "--episodes", "2", "--execute", "2", "--video", "clip.webp"]
    done = chunkrl(*words, "--workers", "1")
    assert done.returncode == 0, done.stderr
    results = json.loads((trained[1] / "evaluation.json").read_text())
    assert [r["seed"] for r in results] == [0, 1]
    assert [(r["execute"], r["episode_seed"], r["step"]) for r in results] == [(2, 0, 200)] * 2
    assert results[0]["episodes"] == 2
    assert results[0]["success_timing"] == "pre"
    assert (home / "clip.webp").read_bytes()[:4] == b"RIFF"


def test_evaluate_plays_late_chunks(trained, here):
    """Each way of bearing the delay is kept beside the others; what makes no sense is refused."""
    words = ["evaluate", str(trained[1]), "--episodes", "1", "--workers", "0", "--execute", "3"]
    for more in ((), ("--delay", "2"), ("--delay", "2", "--rtc")):
        here(*words, *more)
    results = json.loads((trained[1] / "evaluation.json").read_text())
    ways = {(r.get("delay"), r.get("rtc")) for r in results if r["execute"] == 3}
    assert ways == {(None, None), (2, False), (2, True)}
    for more, refused in (
        (["--rtc"], "give --delay"),
        (["--delay", "4"], "delay = 4: must be between 0 and 3"),
    ):
        with pytest.raises(SystemExit, match=refused):
            here(*words, *more)


def test_mac_sees_normalised_observations_and_its_run_needs_no_data(trained, here, home):
    """The validation file lies in [-1, 1]; what it took for that is kept with the run."""
    words = ["train", "mac", "--preset", "smoke", "--transitions", "1000", "--folder", "mac"]
    words += ["--execute", "2", "--episodes", "1", "--workers", "0"]
    here(*words)
    loaded = experiment.load(home / "mac")
    assert loaded.agent.execute == 2
    path = home / "data" / "generated" / "cube-single-play-v0-1000.npz"
    val = data.load_chunks(experiment.TASK, path, split="val")
    shown = loaded.normaliser.apply(val.obs)
    assert 0.99 < shown.max() <= 1
    assert -1 <= shown.min() < -0.99
    keys = lambda: jax.random.split(jax.random.key(0), 3)
    inside = train.policy(loaded.agent, loaded.states)(shown[:3], keys())
    np.testing.assert_array_equal(loaded.act()(val.obs[:3], keys()), inside)
    (home / "data").rename(home / "away")
    here("evaluate", "mac", "--episodes", "2", "--workers", "0")
    (home / "away").rename(home / "data")
    assert json.loads((home / "mac" / "evaluation.json").read_text())[0]["episodes"] == 2
    # It goes on by acting, by the same normaliser; what it met is kept as the environment shows it.
    here(*words, "--online", "100")
    acted = experiment.load(home / "mac")
    assert acted.rows[-1]["online"] == 100
    assert acted.config["normaliser"] == loaded.config["normaliser"]
    with np.load(home / "mac" / "online" / f"{acted.rows[-1]['step']:09d}.npz") as met:
        env = tasks.make_env(acted.task)
        first = tasks.reset(env, collect.environment_seed(0, 0))
        np.testing.assert_array_equal(met["obs"][0, 0], np.float32(first))


def test_mac_acts_for_goals_too(trained, here, home):
    """Of each transition is kept what its state counts as."""
    task = "cube-single-play-oraclerep-v0"
    words = ["train", "mac", "--task", task, "--preset", "smoke", "--transitions", "1000"]
    words += ["--updates", "100", "--episodes", "1", "--workers", "0", "--execute", "3"]
    here(*words, "--online", "100", "--folder", "goals")
    with np.load(home / "goals" / "online" / "000000200.npz") as met:
        obs, goal, reached = np.split(met["obs"][0], [-6, -3], axis=1)
    assert obs.shape == (100, tasks.spec(tasks.get(task)).obs_dim)
    assert len(np.unique(goal, axis=0)) == 1  # of one episode
    np.testing.assert_allclose(reached, obs[:, 19:22], atol=1e-5)  # where the cube is


@pytest.mark.parametrize("name", ["rlpd", "qc-rlpd"])
def test_a_method_that_only_learns_by_acting_runs_from_data_alone(trained, here, home, name):
    words = ["--preset", "smoke", "--transitions", "1000", "--updates", "0", "--online", "200"]
    here("train", name, *words, "--episodes", "1", "--workers", "0", "--folder", name)
    rows = runs.read_rows(home / name)
    assert [row["online"] for row in rows] == [100, 200]
    assert np.isfinite(rows[-1]["loss"])


def test_data_check_counts_and_refuses(trained, chunkrl, home):
    path = home / "data" / "generated" / "cube-single-play-v0-1000.npz"
    done = chunkrl("data", "check", str(path), "--task", "cube-single-play-singletask-task2-v0")
    assert "1000 transitions" in done.stdout
    cut = home / "cut.npz"
    cut.write_bytes(path.read_bytes()[:5000])
    refused = chunkrl("data", "check", str(cut))
    assert refused.returncode == 1
    assert "cut.npz is not a complete npz archive" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("train", "qcc"), "there is no method 'qcc'"),
        (("train", "qc", "--task", "cube-single-play-singletask-task9-v0"), "unknown task"),
        (("evaluate", "nowhere"), "nowhere is not a run"),
        (("train", "qc", "--seeds", "-1"), "each must be from 0"),
        (("train", "qc", "--discount", "1.5"), "discount = 1.5: must be between 0 and 1"),
        (("data", "make", "cube-dozen-play"), "cube-dozen-play"),
        (("data", "download", "cube-double-play", "--shards", "0", "1"), "is one file"),
        (("train", "fql", *SMOKE[2:-1], "taken"), "taken"),
        (("train", "qc", "--utd", "2"), "utd is about acting: say for how many steps, with online"),
        (("train", "qc", "--overlap"), "overlap is about acting"),
        (("train", "qc", "--updates", "0"), "updates = 0: must be at least 1"),
        (("train", "qc", "--online", "0"), "steps = 0: must be at least 1"),
        (("train", "qc", "--online", "750"), "online = 750: choose a multiple of 500"),
        (("train", "qc", "--online", "500", "--capacity", "3"), "would hold no window of 5"),
        (("train", "mac", "--online", "500", "--capacity", "9"), "would hold no window of 10"),
        (("train", "qc", "--task", "nowhere:Walk-v0"), "the module 'nowhere' of nowhere:Walk-v0"),
    ],
)
def test_errors_are_sentences(home, here, capsys, args, sentence):
    (home / "taken").write_text("")
    assert sentence in refused(here, *args)
    assert "Traceback" not in capsys.readouterr().err


@pytest.fixture
def here(home, monkeypatch):
    """Run `chunkrl ARGS` in the same folder in this process."""

    def call(*args):
        monkeypatch.chdir(home)
        monkeypatch.setenv("CHUNKRL_DATA", str(home / "data"))
        monkeypatch.setattr(sys, "argv", ["chunkrl", *args])
        cli.main()

    return call


def refused(here, *args):
    """What `sys.exit` is given is what the command writes before it returns 1."""
    with pytest.raises(SystemExit) as ended:
        here(*args)
    assert isinstance(ended.value.code, str)
    assert ended.value.code.startswith("chunkrl: ")
    return ended.value.code


LONG = {
    "train": ("train", "qc-fql", "--preset", "smoke", "--updates", "1000000"),
    "evaluate": ("evaluate", "run", "--episodes", "10000"),
    "data make": ("data", "make", "cube-double-play", "--transitions", "1000000"),
}


@pytest.mark.parametrize(
    ("command", "wait"),
    [(name, wait) for name in LONG for wait in (0.25, 3.0)] + [("train", 0.0), ("train", 6.0)],
)
def test_ctrl_c_at_any_moment_is_a_sentence(trained, home, tmp_path, command, wait):
    hears = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{hears}; import chunkrl.__main__ as m; print('begun', flush=True); m.main()"
    words = [x if x != "run" else str(trained[1]) for x in LONG[command]]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], cwd=tmp_path, text=True,
        env={**os.environ, "CHUNKRL_DATA": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.readline() == "begun\n"
    time.sleep(wait)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130, told
    assert told.count("chunkrl: stopped;") == 1
    assert "Traceback" not in told
    assert "Error" not in told


def test_modules_that_are_commands_end_in_sentences_too(tmp_path):
    for words, sentence in (
        (["chunkrl.experiments.report", "c.png"], "name the folders"),
        (["chunkrl.experiments.report", "c.png", "nowhere"], "nowhere is not a run"),
        (["chunkrl.measure", "nowhere", "out.npz"], "nowhere is not a run"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert done.stderr.startswith(f"python -m {words[0]}: ")
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr


def test_version(chunkrl):
    assert chunkrl("--version").stdout.split() == ["chunkrl", importlib.metadata.version("chunkrl")]


def test_a_given_file_is_learned_from(trained, here, home):
    """The smoke run's own file under another name trains to the same losses."""
    made = home / "data" / "generated" / "cube-single-play-v0-1000.npz"
    for suffix in ("", "-val"):
        shutil.copy(made.with_stem(made.stem + suffix), home / f"mine{suffix}.npz")
    words = ["train", "qc-fql", "--preset", "smoke", "--data", "mine.npz", "--folder", "given"]
    here(*words, "--seeds", "0", "1", "--episodes", "1", "--workers", "0")
    config = runs.read_config(home / "given")
    assert (config["data_file"], config["data_path"]) == ("mine.npz", str(home / "mine.npz"))
    pairs = zip(runs.read_rows(trained[1]), runs.read_rows(home / "given"), strict=True)
    assert all(a["loss"] == b["loss"] for a, b in pairs)
    (home / "mine-val.npz").unlink()
    words = ["train", "mac", "--preset", "smoke", "--data", "mine.npz", "--folder", "model"]
    assert "has no mine-val.npz beside it" in refused(here, *words)


def test_rendering_that_cannot_be_loaded_is_told_and_stops_nothing(chunkrl, trained, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    told = chunkrl("info")
    assert told.returncode == 0, told.stderr
    assert "MUJOCO_GL=nonsense" in told.stdout
    played = chunkrl("evaluate", str(trained[1]), "--episodes", "1", "--workers", "1")
    assert played.returncode == 0, played.stderr


def test_info_names_versions_devices_rendering_and_data(chunkrl, home):
    done = chunkrl("info")
    assert done.returncode == 0, done.stderr
    for word in ("jax", "ogbench", "devices", "rendering", str(home / "data")):
        assert word in done.stdout


def test_success_by_goal_in_words():
    assert runs.by_goal({"success": 0.5, "episodes": 4}) == ""
    row = {"success": 0.5, "success_goal1": 0.25, "success_goal2": 0.75}
    assert runs.by_goal(row) == ", by goal 25% 75%"
    assert runs.by_goal({"success_goal1": float("nan")}) == ", by goal unknown"
