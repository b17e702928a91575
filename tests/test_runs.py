"""A folder's run is compared by what it was asked for, and the answer fits on a line."""

import json

import pytest

from chunkrl import disk
from chunkrl.errors import TrainingError
from chunkrl.train import runs

STORED = {
    "agent": "Agent(obs_dim=28, chunk=5, lr=0.0003)",
    "preset": "laptop",
    "settings": {"horizon": 5, "hidden": [256, 256]},
    "versions": {"jax": "0.9"},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preset": "smoke"}, "preset = 'laptop', not 'smoke'"),
        ({"settings": {"horizon": 3, "hidden": [256, 256]}}, "settings.horizon = 5, not 3"),
        ({"settings": {"hidden": [256, 256]}}, "settings.horizon = 5, not None"),
        ({"agent": "Agent(obs_dim=28, chunk=3, lr=0.0003)"}, "agent = 'chunk=5', not 'chunk=3'"),
        ({"agent": "Other()", "preset": "paper"}, "preset = 'laptop', not 'paper'"),
    ],
)
def test_a_folder_says_what_is_different_about_its_run(tmp_path, change, message):
    disk.write_json(tmp_path / runs.CONFIG, STORED)
    with pytest.raises(TrainingError, match=f"holds a run with {message}: choose another") as error:
        runs.require_same(tmp_path, STORED | change)
    assert len(str(error.value)) < len(str(tmp_path)) + 120


def test_an_evaluation_replaces_only_what_was_found_in_the_same_way(tmp_path):
    found = {"seed": 0, "step": 5, "execute": 1, "episode_seed": 0, "episodes": 4, "success": 0.5}
    for change in ({}, {"execute": 2}, {"seed": 1}, {"success": 0.75}):
        runs.add_evaluations(tmp_path, [found | change])
    stored = json.loads((tmp_path / runs.EVALUATION).read_text())
    assert [(x["seed"], x["execute"], x["success"]) for x in stored] == [
        (0, 2, 0.5),
        (1, 1, 0.5),
        (0, 1, 0.75),
    ]


def test_a_damaged_config_is_named(tmp_path):
    (tmp_path / runs.CONFIG).write_text('{"method": ')
    with pytest.raises(TrainingError, match=r"config\.json is damaged"):
        runs.read_config(tmp_path)


def test_the_same_run_with_other_versions_or_from_data_that_moved_goes_on(tmp_path):
    runs.require_same(tmp_path, STORED)  # no run yet
    disk.write_json(tmp_path / runs.CONFIG, STORED)
    runs.require_same(tmp_path, STORED | {"versions": {"jax": "0.10"}})
    runs.require_same(tmp_path, STORED | {"data_path": "/elsewhere/own.npz"})
    assert runs.name(STORED | {"data_path": "/elsewhere/own.npz"}) == runs.name(STORED)
    runs.require_same(tmp_path, {"preset": "laptop"})  # what is not known yet is not compared
    with pytest.raises(TrainingError, match="with settings = "):
        runs.require_same(tmp_path, {"preset": "laptop"}, whole=True)
