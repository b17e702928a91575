"""Agents that come with the package: they load by name, act, and are not trained on in silence."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunkrl import experiment, tasks
from chunkrl.errors import ChunkRLError
from chunkrl.evaluate import Evaluator
from chunkrl.experiments import experiment as home
from chunkrl.experiments import shipping
from chunkrl.train import runs


def test_every_agent_loads_by_name_and_is_small() -> None:
    assert set(shipping.names()) == {"fql", "mac", "qc", "qc_fql"}
    for name in shipping.names():
        loaded = experiment.load(name)
        assert loaded.config["method"] == name
        (how,) = json.loads((home.SHIPPED / name / runs.EVALUATION).read_text())
        assert how["episodes"] >= 100
        assert how["step"] == loaded.rows[-1]["step"]
        assert shipping.evaluated(name) == how["success"] * how["episodes"]
    files = [file for file in home.SHIPPED.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 4e6


def test_a_name_is_one_word_with_either_line(tmp_path, monkeypatch) -> None:
    assert experiment.load("qc-fql").config["method"] == "qc_fql"
    monkeypatch.chdir(tmp_path)
    for folder in ("runs/qc-fql", tmp_path / "qc-fql", "qc--fql"):
        with pytest.raises(ChunkRLError, match="is not a run"):
            experiment.load(folder)


def test_the_shipped_agent_solves_the_task() -> None:
    """Three episodes of its own evaluation, of which 85 in 100 succeeded; seeds make them exact."""
    loaded = experiment.load("qc")
    with Evaluator(loaded.task, 0, envs=3) as play:
        found = play.run(loaded.act(), 3, seed=0)
    assert found.success.sum() >= 2
    assert found.length.min() < 150


def test_a_folder_of_that_name_comes_first(tmp_path, monkeypatch) -> None:
    (tmp_path / "qc").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ChunkRLError, match="qc"):
        experiment.load("qc")


def test_shipping_rounds_forgets_and_evaluates(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(home, "SHIPPED", tmp_path)
    monkeypatch.setattr(shipping, "SHIPPED", tmp_path)
    shutil.copytree(shipping.Path(home.__file__).parent / "shipped" / "qc", tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    shipping.ship(tmp_path / "run", "again", episodes=1)
    state = home.load("again").states
    assert all(not np.any(x) for x in jax.tree.leaves(state.opt_state))
    for leaf in jax.tree.leaves(state.params):
        np.testing.assert_array_equal(leaf, leaf.astype(jnp.float16).astype(leaf.dtype))
    with pytest.raises(ChunkRLError, match="the run has 100"):
        shipping.ship(tmp_path / "run", "again", seed=3)
    with pytest.raises(ChunkRLError, match="letters"):
        shipping.ship(tmp_path / "run", "../again")
    with pytest.raises(ChunkRLError, match="execute"):  # QC plays whole chunks
        shipping.ship(tmp_path / "run", "again", execute=2)
    # Who goes on training would go on without Adam's memory: the configuration differs.
    config.pop("shipped")
    with pytest.raises(ChunkRLError, match="shipped"):
        runs.require_same(tmp_path / "again", config, whole=True)


def test_the_task_of_the_shipped_agents_is_the_courses() -> None:
    assert experiment.load("qc").task == tasks.get(experiment.TASK)


def test_mac_is_shipped_playing_its_whole_chunks() -> None:
    """What training does not read: the same run, looking after 10 actions in place of 1."""
    mac = experiment.load("mac")
    assert mac.agent.execute == mac.agent.chunk == 10
