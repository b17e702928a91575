"""One's own environment, trained on offline from one's own arrays or file."""

import re
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from chunkrl import cli, experiment
from chunkrl.errors import ConfigError, DataError, TrainingError
from chunkrl.train import runs
from chunkrl.types import Dataset

ROOT = Path(__file__).parents[1]
# Actions up to 2, episodes that a time limit or the goal ends, and no word about success.
REACH = """
import gymnasium
import numpy as np


class Reach(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))
    action_space = gymnasium.spaces.Box(-2, 2, (2,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = self.np_random.uniform(-3, 3, 2).astype(np.float32)
        return self.x, {}

    def step(self, action):
        self.x = (self.x + 0.1 * action).astype(np.float32)
        near = bool(np.abs(self.x).max() < 0.2)
        return self.x, near - 1.0, near, False, {}
"""


def play(env: gymnasium.Env, episodes: int) -> dict[str, np.ndarray]:
    """What happened in episodes of random actions, a row per step."""
    rows = []
    env.action_space.seed(0)
    for seed in range(episodes):
        obs, over = env.reset(seed=seed)[0], False
        while not over:
            action = env.action_space.sample()
            next_obs, reward, terminated, truncated, _ = env.step(action)
            rows.append((obs, action, reward, terminated, truncated, next_obs))
            obs, over = next_obs, terminated or truncated
    names = ("obs", "action", "reward", "terminated", "truncated", "next_obs")
    return {name: np.array(x) for name, x in zip(names, zip(*rows, strict=True), strict=True)}


def test_the_readme_s_program_trains_in_an_environment_of_one_s_own(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (program,) = [block for block in blocks if "gymnasium.register" in block]
    assert len([line for line in program.splitlines() if line.strip()]) <= 15
    (tmp_path / "my_robot.py").write_text(REACH)
    (tmp_path / "program.py").write_text(program)
    made: dict = {}
    exec(REACH, made)
    np.savez(tmp_path / "log.npz", **play(gymnasium.wrappers.TimeLimit(made["Reach"](), 20), 5))
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    steps, total = done.stdout.splitlines()[-1].split()
    assert steps == "200"
    assert -100 <= float(total) <= 0


def test_a_module_that_registers_an_environment_is_named_before_its_id(tmp_path):
    """In a package, where nothing else imports it: here, in the workers, and when it is loaded."""
    (tmp_path / "robots").mkdir()
    register = f"gymnasium.register('Reach-v0', {'robots.reach:Reach'!r}, max_episode_steps=20)\n"
    (tmp_path / "robots" / "reach.py").write_text(REACH + "\n\n" + register)
    made: dict = {}
    exec(REACH, made)
    log = play(gymnasium.wrappers.TimeLimit(made["Reach"](), 20), 5)
    np.savez(tmp_path / "log.npz", **file(log) | {"actions": log["action"] / 2})
    words = ["train", "qc-fql", "--task", "robots.reach:Reach-v0", "--data", "log.npz", "--preset"]
    words += ["smoke", "--updates", "100", "--online", "100", "--workers", "1", "--folder", "run"]
    for command in (words, ["evaluate", "run", "--episodes", "1", "--workers", "1"]):
        done = subprocess.run(
            [sys.executable, "-m", "chunkrl", *command],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "success unknown" in done.stdout
    (row,) = [row for row in runs.read_rows(tmp_path / "run") if row.get("online") == 100]
    assert row["collected"] >= 5


def file(log):
    """The names of a file."""
    names = {"obs": "observations", "action": "actions", "reward": "rewards"}
    names |= {
        "next_obs": "next_observations",
        "terminated": "terminals",
        "truncated": "truncations",
    }
    return {names[name]: values for name, values in log.items()}


@pytest.fixture(scope="module")
def log():
    return play(gymnasium.make("Pendulum-v1", max_episode_steps=20), 5)


def arrays(log, **changes) -> Dataset:
    found = Dataset(
        log["obs"],
        log["action"] / 2,
        log["reward"],
        1.0 - log["terminated"],
        log["terminated"] | log["truncated"],
        log["next_obs"],
    )
    return found._replace(**changes)


def train(source, folder=None, **how):
    how = {"workers": 0, "progress": False, "size": {"updates": 100, "episodes": 1}} | how
    return experiment.run("qc-fql", "Pendulum-v1", "smoke", folder=folder, source=source, **how)


def test_a_file_and_arrays_of_the_same_content_are_the_same_data(log, tmp_path, capsys):
    """Also by the command; other content in the same folder is another run."""
    np.savez(tmp_path / "mine.npz", **(file(log) | {"actions": log["action"] / 2}))
    by_hand = train(arrays(log), tmp_path / "arrays")
    words = ["--task", "Pendulum-v1", "--preset", "smoke", "--workers", "0", "--episodes", "1"]
    words += ["--data", str(tmp_path / "mine.npz"), "--updates", "100"]
    cli.train_command(["qc-fql", *words, "--folder", str(tmp_path / "file")])
    out = capsys.readouterr().out
    assert re.search(r"success unknown, return -\d+\.\d over 1 episodes .*timing: own", out)
    configs = [runs.read_config(tmp_path / name) for name in ("arrays", "file")]
    assert configs[0]["data"] == configs[1]["data"]
    assert [config["data_file"] for config in configs] == ["arrays", "mine.npz"]
    loaded = experiment.load(tmp_path / "file")
    assert loaded.task.name == "Pendulum-v1"
    assert loaded.rows[-1]["return"] == by_hand.rows[-1]["return"]
    assert len(train(arrays(log), tmp_path / "arrays").rows) == 1  # goes on, to nothing new
    with pytest.raises(TrainingError, match=r"holds a run with data\.reward"):
        train(arrays(log, reward=log["reward"] + 1), tmp_path / "arrays")
    cli.evaluate(tmp_path / "file", episodes=1, workers=0)
    assert "success unknown, return -" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "episodes", "workers"), [(None, 4, 0), (None, 5, 2), (None, 50, 2), (1, 4, 1)]
)
def test_few_episodes_are_played_without_processes(log, monkeypatch, asked, episodes, workers):
    def evaluator(task, workers, **_):
        raise KeyboardInterrupt(workers)

    monkeypatch.setattr("chunkrl.experiments.experiment.Evaluator", evaluator)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with pytest.raises(KeyboardInterrupt) as stopped:
        train(arrays(log), workers=asked, size={"episodes": episodes})
    assert stopped.value.args == (workers,)


def changed(name, index, value):
    def change(log):
        values = np.array(getattr(arrays(log), name))
        values[index] = value
        return arrays(log, **{name: values})

    return change


BAD = {
    "own units": (lambda log: arrays(log, action=log["action"]), r"'action' is .* outside of"),
    "no end inside": (changed("terminal", 39, 0), "row 39 of 'next_obs' is not row 40 of 'obs'"),
    "no end": (changed("terminal", 99, 0), "row 99 of 'next_obs'.* last transition of each"),
    "another order": (
        lambda log: Dataset(*(x[::-1] for x in arrays(log))),
        "row 1 of 'next_obs' is not row 2",
    ),
    "mask": (changed("mask", 7, 0.5), "'mask' is 0.5 at index 7, not 0 or 1"),
    "states": (
        lambda log: arrays(log, obs=log["obs"][:, :2], next_obs=log["next_obs"][:, :2]),
        "the data's 'obs' has 2 columns, the agent was made for obs_dim = 3",
    ),
    "nothing": (lambda log: None, "Pendulum-v1 comes without data: give a file with --data"),
}


@pytest.mark.parametrize("kind", BAD)
def test_arrays_that_are_no_trajectories_of_the_environment(log, kind):
    change, sentence = BAD[kind]
    with pytest.raises((DataError, ConfigError), match=sentence):
        train(change(log))


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"success_timing": "pre"}, "decides by itself when success is scored"),
        ({"sparse": True}, "the task has sparse=False"),
        ({"shards": "here"}, "not both"),
    ],
)
def test_options_that_an_environment_of_gymnasium_does_not_have(log, how, sentence):
    with pytest.raises(ConfigError, match=sentence):
        train(arrays(log), **how)


def test_model_based_methods_and_their_shards_are_refused(log, tmp_path):
    with pytest.raises(ConfigError, match="cannot draw batches from this Dataset"):
        experiment.run("mac", "Pendulum-v1", "smoke", source=arrays(log), progress=False)
    with pytest.raises(ConfigError, match="shards hold data of OGBench, which Pendulum-v1"):
        experiment.run("mac", "Pendulum-v1", "smoke", shards=tmp_path, progress=False)
