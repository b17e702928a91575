"""What notebook 12 tells about trained agents: stored, read back, and counted by hand."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binomtest

from chunkrl.course.explorers import EXPLORERS
from chunkrl.errors import DataError
from chunkrl.results import robot_runs


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Storage of its own, with nothing in it."""
    monkeypatch.setattr(robot_runs, "CURVES", tmp_path / "runs.csv")
    monkeypatch.setattr(robot_runs, "PATHS", tmp_path / "paths.npz")
    for load in (robot_runs.load_curves, robot_runs.load_paths):
        load.cache_clear()
    yield
    for load in (robot_runs.load_curves, robot_runs.load_paths):
        load.cache_clear()


class Evaluator:
    """Plays episodes of 1, 2, ... times 10 steps along a line; `act` is the seed's number."""

    def __init__(self, task, workers, success_timing):
        assert success_timing == "pre"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, act, episodes, seed, trace):
        line = [
            np.arange(10 * (e % 20 + 1) + 1)[:, None] * [0.01, 0.0, 0.0] + [0, act, 0]
            for e in range(episodes)
        ]
        return SimpleNamespace(trace=tuple(line), success=np.arange(episodes) % 2 == act)


def test_runs_are_stored_and_read_back(elsewhere, tmp_path, monkeypatch) -> None:
    def load(folder):
        rate = {"a": 0.25, "b": 0.75}[folder.name]
        rows = [
            {"step": step, "seed": seed, **({"success": rate, "episodes": 8} if step == 20 else {})}
            for step in (10, 20)
            for seed in (0, 1)
        ]
        config = {"method": folder.name, "seeds": [0, 1], "success_timing": "pre"}
        return SimpleNamespace(config=config, rows=rows, task=None, act=lambda i: i)

    monkeypatch.setattr("chunkrl.experiments.experiment.load", load)
    monkeypatch.setattr("chunkrl.play.evaluate.Evaluator", Evaluator)
    robot_runs.main((tmp_path / "a", tmp_path / "b"))
    assert [tuple(row) for row in robot_runs.load_curves()] == [
        ("a", 0, 20, 8, 2),
        ("a", 1, 20, 8, 2),
        ("b", 0, 20, 8, 6),
        ("b", 1, 20, 8, 6),
    ]
    stored = robot_runs.load_paths()
    assert stored.methods.tolist() == ["a", "b"]
    for episode in range(robot_runs.EPISODES):
        points = 2 * (episode + 1) + 1  # every fifth of 10 (e + 1) + 1 positions
        expected = np.arange(points)[:, None] * [0.05, 0.0, 0.0] + [0.0, 1.0, 0.0]
        np.testing.assert_allclose(robot_runs.path(stored, 1, 1, episode), expected, atol=1e-9)
    assert stored.success[0, 1].sum() == robot_runs.EPISODES // 2


def test_missing_files_name_the_command(elsewhere) -> None:
    for load in (robot_runs.load_curves, robot_runs.load_paths):
        with pytest.raises(DataError, match="robot_runs RUN_FOLDERS"):
            load()


def test_stored_runs_are_complete() -> None:
    """Every method has the same seeds and updates; nobody succeeds more often than they try."""
    rows = robot_runs.load_curves()
    methods = {row.method for row in rows}
    assert methods == {"fql", "fql_n", "qc_fql"} == set(robot_runs.load_paths().methods.tolist())
    cells = {(row.seed, row.step) for row in rows}
    assert len(rows) == len(methods) * len(cells) == len(set(rows))
    assert len({seed for seed, _ in cells}) >= 3
    assert all(0 <= row.successes <= row.episodes == 50 for row in rows)


def test_the_curves_pool_episodes() -> None:
    numbers = EXPLORERS["robot_curves"].numbers(seeds=2)
    rows = [r for r in robot_runs.load_curves() if r.method == "qc_fql" and r.step == numbers.step]
    successes = sum(row.successes for row in rows if row.seed in (0, 1))
    low, high = binomtest(successes, 100).proportion_ci(0.95, method="wilson")
    np.testing.assert_allclose(numbers.pooled["qc_fql"], [successes / 100, low, high])
    assert numbers.rate["qc_fql"].shape[0] == 2


def test_coherency_counts_until_the_step_shown() -> None:
    """Distances added one by one, over the first 9 points (40 steps) of each path."""
    stored = robot_runs.load_paths()
    method = stored.methods.tolist().index("fql")
    means = []
    for episode in range(robot_runs.EPISODES):
        path = robot_runs.path(stored, method, 2, episode)[:9]
        ways = [np.sqrt(((b - a) ** 2).sum()) for a, b in itertools.pairwise(path)]
        means.append(sum(ways) / len(ways))
    numbers = EXPLORERS["robot_paths"].numbers(steps=40)
    assert numbers.coherency["fql"][2] == pytest.approx(np.mean(means))
