"""A folder's run is compared by what it was asked for, and the answer fits on a line."""

import pytest

from chunkrl import runs
from chunkrl.errors import TrainingError

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
    runs.write_json(tmp_path / runs.CONFIG, STORED)
    with pytest.raises(TrainingError, match=f"holds a run with {message}: choose another") as error:
        runs.require_same(tmp_path, STORED | change)
    assert len(str(error.value)) < len(str(tmp_path)) + 120


def test_the_same_run_with_other_versions_goes_on(tmp_path):
    runs.require_same(tmp_path, STORED)  # no run yet
    runs.write_json(tmp_path / runs.CONFIG, STORED)
    runs.require_same(tmp_path, STORED | {"versions": {"jax": "0.10"}})
    runs.require_same(tmp_path, {"preset": "laptop"})  # what is not known yet is not compared
    with pytest.raises(TrainingError, match="with settings = "):
        runs.require_same(tmp_path, {"preset": "laptop"}, stored=STORED)
