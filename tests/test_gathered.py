"""The reader's own runs: kept, replaced by the same recipe, and checked when they are read."""

import json
import os
from types import SimpleNamespace

import pytest

from chunkrl import agents
from chunkrl.course import gathered
from chunkrl.errors import ConfigError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CHUNKRL_HOME", str(tmp_path))
    return tmp_path


def result(method="qc-fql", success=(0.25, 0.75), preset="smoke", updates=200, **settings):
    """What `experiment.run` gives, as far as it is read."""
    rows = [{"step": 100, "seed": seed, "loss": 1.0} for seed in range(len(success))]
    for step, scale in ((updates // 2, 0.0), (updates, 1.0)):
        rows += [
            {"step": step, "seed": seed, "success": scale * rate, "episodes": 4}
            for seed, rate in enumerate(success)
        ]
    config = {"method": method, "task": "cube", "preset": preset, "episodes": 4}
    return SimpleNamespace(rows=rows, config=config, agent=agents.make(method, 3, 2, **settings))


def test_a_run_is_told_by_its_last_evaluation_and_its_agent() -> None:
    run = gathered.of(result(horizon=3, alpha=30.0), 1.23456)
    assert (run.h, run.N, run.alpha) == (3, 1, 30.0)
    assert (run.updates, run.seeds, run.success, run.minutes) == (200, (0, 1), (0.25, 0.75), 1.23)
    run = gathered.of(result("qc", horizon=2, candidates=6), 1.0)
    assert (run.h, run.N, run.alpha) == (2, 6, 0.0)
    assert gathered.of(result("fql"), 1.0).h == 1
    never = result()
    never.rows[:] = [row for row in never.rows if "success" not in row]
    with pytest.raises(ConfigError, match="never evaluated"):
        gathered.of(never, 1.0)


def test_runs_gather_and_the_same_recipe_takes_its_place() -> None:
    assert gathered.table().heading == "Your runs: none yet."
    assert gathered.keep(result(success=(0.5,)), 1.0) == ""
    assert gathered.keep(result(success=(0.75,), horizon=10), 2.0) == ""
    assert gathered.keep(result(success=(0.25,)), 3.0) == ""  # as the first: trained again
    assert gathered.keep(result(success=(0.25, 0.25)), 3.0) == ""  # other seeds
    runs, notice = gathered.load()
    assert notice == ""
    assert [(run.h, run.success) for run in runs] == [
        (10, (0.75,)),
        (5, (0.25,)),
        (5, (0.25, 0.25)),
    ]


def test_the_table_says_what_its_interval_is_of() -> None:
    gathered.keep(result(success=(0.5,), horizon=2), 1.0)
    gathered.keep(result("qc", success=(0.75, 1.0), candidates=6), 2.0)
    header, first, second = gathered.table().code.splitlines()
    assert header.split()[:4] == ["method", "h", "N", "alpha"]
    assert first.split()[:4] == ["qc", "5", "6", "-"]
    assert "88% [0%, 100%] over seeds" in first
    assert "50% [15%, 85%] of its episodes" in second


@pytest.mark.parametrize(
    "change",
    [
        "{",
        "3",
        "[3]",
        "[{}]",
        {"h": "many"},
        {"h": 0},
        {"success": [2.0, 0.0]},
        {"success": [0.5]},
        {"seeds": [], "success": []},
        {"minutes": float("nan")},
        {"episodes": float("inf")},
    ],
)
def test_a_damaged_file_is_kept_aside(home, change) -> None:
    gathered.keep(result(), 1.0)
    if isinstance(change, dict):
        change = json.dumps([json.loads(gathered.path().read_text())[0] | change])
    gathered.path().write_text(change)
    assert "damaged" in gathered.keep(result(), 2.0)
    (aside,) = home.glob("runs.damaged*")
    assert aside.read_text() == change
    assert [run.minutes for run in gathered.load()[0]] == [2.0]


def test_a_file_that_cannot_be_written_stops_nothing(home, monkeypatch) -> None:
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    assert "disk full" in gathered.keep(result(), 1.0)
    assert list(home.iterdir()) == []
