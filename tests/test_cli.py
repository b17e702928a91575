"""The command line as a user runs it, from no data at all to a trained, evaluated agent."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from chunkrl import cli, runs

GOALS = "cube-single-play-oraclerep-v0"


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


@pytest.fixture(scope="module")
def trained(chunkrl, home):
    """A smoke run from nothing: generates data, trains, evaluates."""
    done = chunkrl("train", "qc-fql", "--preset", "smoke", "--seeds", "0", "1", "--folder", "run")
    assert done.returncode == 0, done.stderr
    return done, home / "run"


def test_train_makes_data_trains_and_reports(trained, home):
    done, folder = trained
    assert "seed 1: success" in done.stdout
    assert "success timing: pre" in done.stdout
    assert (home / "data" / "generated" / "cube-single-play-v0-2000.npz").exists()
    rows = runs.read_rows(folder)
    assert [(row["step"], row["seed"]) for row in rows] == [(100, 0), (100, 1), (200, 0), (200, 1)]
    assert rows[-1]["episodes"] == 4
    assert rows[-1]["length"] <= 200  # the time limit of cube-single
    config = runs.read_config(folder)
    assert config["success_timing"] == "pre"
    assert config["settings"]["alpha"] == 1000  # the table of presets
    assert config["versions"].keys() >= {"jax", "ogbench", "mujoco"}


def test_the_same_command_again_finds_everything_done(trained, chunkrl):
    before = (trained[1] / runs.METRICS).read_bytes()
    again = chunkrl("train", "qc-fql", "--preset", "smoke", "--seeds", "0", "1", "--folder", "run")
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[-1] == trained[0].stdout.splitlines()[-1]
    assert (trained[1] / runs.METRICS).read_bytes() == before


def test_evaluate_plays_a_stored_run(trained, chunkrl, home):
    done = chunkrl("evaluate", "run", "--episodes", "2", "--execute", "2", "--video", "clip.webp")
    assert done.returncode == 0, done.stderr
    results = json.loads((trained[1] / "evaluation.json").read_text())
    assert [r["seed"] for r in results] == [0, 1]
    assert results[0]["episodes"] == 2
    assert results[0]["success_timing"] == "pre"
    assert (home / "clip.webp").read_bytes()[:4] == b"RIFF"


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("evaluate", "run", "--execute", "7"), "--execute 7: a chunk of this agent has 5 actions"),
        (("evaluate", "run", "--video", "x.mp4"), "let x.mp4 end in .webp"),
        (
            ("train", "qc-fql", "--folder", "run", "--seeds", "0", "1"),
            "run holds a run with batch_size = 32, not 128: choose another folder",
        ),
        (
            ("train", "qc-fql", "--preset", "smoke", "--folder", "run", "--transitions", "3500"),
            "run holds a run with data_file = 'cube-single-play-v0-2000.npz', not",
        ),
    ],
)
def test_what_does_not_fit_a_run_is_refused_at_once(trained, chunkrl, home, args, sentence):
    before = set(home.rglob("*"))
    done = chunkrl(*args)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert len(done.stderr) < 300
    assert set(home.rglob("*")) == before  # no data were made for nothing


def test_a_run_folder_is_named_by_its_options():
    given = {"horizon": 3, "alpha": None, "lr": 0.001, "seeds": "1-2"}
    assert cli.default_name("qc-cube-smoke", given) == "qc-cube-smoke-horizon3-lr0.001-seeds1-2"


def test_mac_learns_to_reach_goals(chunkrl, home, trained):
    """From the same generated data; every evaluation plays each of the five goals."""
    done = chunkrl("train", "mac", "--task", GOALS, "--preset", "smoke", "--horizon", "4")
    assert done.returncode == 0, done.stderr
    folder = home / "runs" / f"mac-{GOALS}-smoke-horizon4"
    assert "over 5 episodes after 200 updates" in done.stdout
    assert "success timing: post), by goal " in done.stdout
    last = runs.read_rows(folder)[-1]
    rates = [last[f"success_goal{goal}"] for goal in (1, 2, 3, 4, 5)]
    assert sum(rates) / 5 == pytest.approx(last["success"])
    config = runs.read_config(folder)
    assert config["settings"]["goal_dim"] == 3
    assert len(config["normaliser"]["scale"]) == 28 + 3
    again = chunkrl("evaluate", str(folder), "--episodes", "6", "--execute", "4")
    assert again.returncode == 0, again.stderr
    assert "over 10 episodes, by goal" in again.stdout


def test_mac_trains_on_a_folder_of_shards(chunkrl, home, trained):
    """Converted by the command itself; `data shards` and the same command again find all done."""
    made = home / "data" / "generated" / "cube-single-play-v0-2000"
    folder = home / "set"
    folder.mkdir()
    for i in range(2):
        for suffix in ("", "-val"):
            shutil.copy(f"{made}{suffix}.npz", folder / f"cube-single-play-v0-{i:03d}{suffix}.npz")
    train = ("train", "mac", "--task", GOALS, "--preset", "smoke", "--folder", "sharded")
    done = chunkrl(*train, "--shards", "set", "--replace-every", "100")
    assert done.returncode == 0, done.stderr
    converted = chunkrl("data", "shards", "set", "--task", GOALS)
    assert converted.stdout.strip() == f"set/arrays-{GOALS}"
    again = chunkrl(*train, "--shards", converted.stdout.strip(), "--replace-every", "100")
    assert again.stdout.splitlines()[-1] == done.stdout.splitlines()[-1]
    data = runs.read_config(home / "sharded")["data"]
    assert [shard["rows"] for shard in data["shards"]] == [2002, 2002]
    checked = chunkrl("data", "check", f"{made}.npz", "--task", GOALS)
    assert "2002 states, each a goal of 3 numbers" in checked.stdout


def test_data_check_counts_and_refuses(trained, chunkrl, home):
    path = home / "data" / "generated" / "cube-single-play-v0-2000.npz"
    done = chunkrl("data", "check", str(path), "--task", "cube-single-play-singletask-task2-v0")
    assert "2000 transitions" in done.stdout
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
        (("data", "make", "cube-dozen-play"), "cube-dozen-play"),
        (("data", "download", "cube-singel-play"), "did you mean cube-single-play-v0"),
        (("data", "shards", ".", "--task", GOALS), "There is no npz file in ."),
        (("train", "qc", "--horizon", "0"), "horizon = 0: must be at least 1"),
        (("train", "qc", "--episodes", "0"), "episodes = 0: must be at least 1"),
        (("train", "qc", "--updates", "750"), "updates = 750: choose a multiple of 500"),
        (("train", "bfn", "--horizon", "5"), "bfn does not use horizon; it uses candidates"),
        (
            ("train", "qc-fql", "--candidates", "4"),
            "qc_fql does not use candidates; it uses horizon",
        ),
        (
            ("train", "qc", "--task", GOALS),
            "qc learns from rewards: for a task with goals choose mac",
        ),
        (("train", "qc", "--shards", "."), "only the model-based methods"),
    ],
)
def test_errors_are_sentences_and_come_before_any_work(chunkrl, home, args, sentence):
    before = set(home.rglob("*"))
    done = chunkrl(*args)
    assert set(home.rglob("*")) == before
    assert done.returncode == 1
    assert done.stderr.startswith("chunkrl: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_info_names_versions_devices_rendering_and_data(chunkrl, home):
    done = chunkrl("info")
    assert done.returncode == 0, done.stderr
    for word in ("jax", "ogbench", "devices", "rendering", str(home / "data")):
        assert word in done.stdout
