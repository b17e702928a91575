"""Training: fused equals stepwise, seeds together equal seeds alone, exact resumption, NaN."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from chunkrl import train
from chunkrl.agents.actor_critic import ChunkedActorCritic
from chunkrl.data import windows
from chunkrl.errors import ConfigError, DataError, TrainingError
from chunkrl.train import checkpoint, programs, runs
from chunkrl.types import Dataset

T, O, A = 200, 4, 2  # noqa: E741


def toy(reward=None):
    """Three trajectories of random transitions."""
    r = np.random.default_rng(0)
    terminal = np.zeros(T)
    terminal[[66, 133, T - 1]] = 1
    arrays = (
        r.normal(size=(T, O)),
        r.uniform(-1, 1, (T, A)),
        r.integers(-1, 1, T) if reward is None else reward,
        np.ones(T),
        terminal,
        r.normal(size=(T, O)),
    )
    return Dataset(*(np.asarray(x, np.float32) for x in arrays))


def agent(name="qc_fql", **settings):
    settings = {"horizon": 3, "candidates": 2, "flow_steps": 2, "hidden": (8, 8)} | settings
    return toys.make(name, O, A, **settings)


def keys(*seeds):
    return jax.vmap(jax.random.key)(jnp.asarray(seeds))


def fit(updates, folder=None, name="qc_fql", **changes):
    settings = {"batch_size": 8, "seeds": (0, 1), "every": 5, "progress": False} | changes
    return train.fit(agent(name), toy(), updates, folder=folder, **settings)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture
def drawn_together(request, monkeypatch):
    """At most so many updates' batches are drawn at once, and at most so many bytes."""
    most, most_bytes = request.param
    monkeypatch.setattr(programs, "MOST_UPDATES", most)
    monkeypatch.setattr(programs, "MOST_BYTES", most_bytes)
    jax.clear_caches()  # programs made before do not know
    yield
    jax.clear_caches()


@pytest.mark.parametrize(
    ("name", "drawn_together"),
    [
        ("qc", (50, 2**22)),
        ("qc_fql", (2, 2**22)),  # two scans of two
        ("qc_fql", (3, 2**22)),  # three do not divide four: two again
        ("fql_n", (50, 1)),  # not even one fits: one by one
        ("rebrac", (50, 2**22)),  # an update in two is of the critic alone
    ],
    indirect=["drawn_together"],
)
def test_the_scan_equals_the_loop(name, drawn_together):
    """Four updates in one call against four calls on the same windows with the same keys."""
    learner, data = agent(name), jax.device_put(toy())
    state = jax.tree.map(lambda leaf: leaf[0], train.init(learner, keys(0)))
    draw = jax.jit(learner.draw, static_argnums=2)
    for i in range(4):
        key_draw, key_update = jax.random.split(jax.random.fold_in(jax.random.key(1), i))
        batch = draw(key_draw, data, 8)
        state, metrics = train.update(learner, state, batch, key_update)
    fused, report = train.update_many(learner, 4, 8, train.init(learner, keys(0)), data, keys(1))
    for a, b in zip(jax.tree.leaves(fused), jax.tree.leaves(state), strict=True):
        np.testing.assert_allclose(a[0], b, atol=2e-5)
    assert metrics.keys() == report.mean.keys()


def test_seeds_trained_together_equal_seeds_alone():
    together, rows = fit(10, seeds=(3, 4))
    alone, alone_rows = fit(10, seeds=(4,))
    for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(a[1], b[0], atol=2e-5)
    second = [row for row in rows if row["seed"] == 4]
    assert second[-1]["td"] == pytest.approx(alone_rows[-1]["td"], rel=1e-4)
    assert second[-1]["td"] != rows[-2]["td"]


def test_the_program_is_made_once_for_all_seeds_and_calls():
    """Seeds that wait for the same program in threads of their own do not each make it."""
    traces = []

    class Counted(ChunkedActorCritic):
        def step(self, state, batch, noise):
            traces.append(len(batch.obs))
            return super().step(state, batch, noise)

    plain = agent()
    counted = Counted(**{f.name: getattr(plain, f.name) for f in fields(plain)})
    train.fit(counted, toy(), 15, 8, seeds=(0, 1, 2), every=5, progress=False)
    assert traces == [8]


def test_td_error_vanishes_where_the_value_is_known():
    """Reward -1 everywhere, no success: Q = -1/(1 - gamma); gamma = 0.5 makes that -2 quickly."""
    learner = agent("fql", discount=0.5, lr=3e-3, tau=0.05)
    states, _ = train.fit(learner, toy(-np.ones(T)), 600, 32, every=600, progress=False)
    critic = jax.tree.map(lambda leaf: leaf[0], states.params.critic)
    data = toy()
    q = learner.q(critic, jnp.asarray(data.obs), jnp.asarray(data.action))
    assert abs(q.mean() + 2) < 0.05
    assert np.abs(q + 2).mean() < 0.1


@pytest.mark.parametrize("name", ["qc_fql", "iql", "rebrac"])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, name):
    whole, rows = fit(20, tmp_path / "whole", name)
    fit(15, tmp_path / "parts", name)  # ReBRAC stops between two updates of its policy
    parts, resumed = fit(20, tmp_path / "parts", name)
    same(whole, parts)
    timeless = lambda rows: [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
    assert timeless(rows) == timeless(resumed)
    assert timeless(runs.read_rows(tmp_path / "parts")) == timeless(rows)


KILLED = """
import sys; sys.path.insert(0, {tests!r})
import conftest, test_train
test_train.fit(60, sys.argv[1])
"""


def test_killed_runs_resume_to_the_last_bit(tmp_path):
    """kill -9 at five random instants; what is left must always load, and the end is the same."""
    whole, rows = fit(60)
    code = KILLED.format(tests=os.path.dirname(__file__))
    folder = tmp_path / "killed"
    path = folder / runs.CHECKPOINT
    wait = np.random.default_rng(0).uniform(0, 0.15, 5)
    for seconds in wait:
        process = subprocess.Popen([sys.executable, "-c", code, str(folder)])
        seen = path.stat().st_mtime_ns if path.exists() else 0
        while process.poll() is None:  # kill it shortly after it has made some progress
            if path.exists() and path.stat().st_mtime_ns != seen:
                break
            time.sleep(0.001)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if path.exists():
            _, description = checkpoint.load(path, train.init(agent(), keys(0, 1)))
            assert description["step"] % 5 == 0
            if description["step"] == 60:
                break
    killed, resumed = fit(60, folder)
    same(whole, killed)
    assert [row["td"] for row in resumed] == [row["td"] for row in rows]


def test_a_run_goes_on_as_it_was_compiled(tmp_path):
    """How programs are compiled decides the last digits: it is a fact of the run."""
    for quick in (True, False):
        folder = tmp_path / str(quick)
        fit(5, folder, quick=quick)
        with pytest.raises(TrainingError, match="quick"):
            fit(10, folder, quick=not quick)
        same(fit(10, folder, quick=quick)[0], fit(10, quick=quick)[0])


def test_another_configuration_is_refused(tmp_path):
    fit(5, tmp_path)
    with pytest.raises(TrainingError, match="holds a run with batch_size = 8, not 16"):
        fit(5, tmp_path, batch_size=16)


@pytest.mark.parametrize("drawn_together", [(50, 2**22), (1, 1)], indirect=True)
def test_a_nan_names_the_update_and_the_loss_and_keeps_the_checkpoint(tmp_path, drawn_together):
    """Row 150 has a NaN reward: the first window that holds it makes the TD loss NaN.

    Arrays with a NaN are refused; a source of one's own may hold it.
    """
    fit(5, tmp_path)
    before = (tmp_path / runs.CHECKPOINT).read_bytes()
    reward = np.zeros(T)
    reward[150] = np.nan
    data = toy(reward)
    source = SimpleNamespace(at=lambda step: jax.device_put(data), interval=0, identity={})
    learner = agent()
    rows = jax.device_put(data)
    sample = jax.jit(lambda key: windows.sample(key, rows, 8, 3, 0.99).returns[:, -1])
    expected = None
    for update in range(100):
        key_call = jax.random.fold_in(jax.random.split(jax.random.key(0))[1], update // 5 * 5 + 5)
        key_window, _ = jax.random.split(jax.random.fold_in(key_call, update % 5))
        if np.isnan(sample(key_window)).any():
            expected = update + 1
            break
    assert expected is not None
    with pytest.raises(TrainingError, match=rf"seed 0: not finite: .*td.* at update {expected}\."):
        train.fit(learner, source, 100, 8, (0,), 5, folder=tmp_path / "nan", progress=False)
    assert (tmp_path / runs.CHECKPOINT).read_bytes() == before
    states = train.init(learner, keys(0))
    if (tmp_path / "nan" / runs.CHECKPOINT).exists():
        states, _ = checkpoint.load(tmp_path / "nan" / runs.CHECKPOINT, states)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(states))


def test_evaluations_are_recorded_and_seeded_by_step(tmp_path):
    calls = []

    def evaluate(act, seed):
        calls.append(seed)
        assert act(jnp.zeros((2, O)), keys(0, 1)).shape == (2, 3, A)
        n = np.array([1.0, 0.0])
        return SimpleNamespace(
            success=n,
            episode_return=-n,
            length=n,
            success_rate=0.5,
            interval=(0.1, 0.9),
            goal_success={3: 0.5},
        )

    logged = []
    _, rows = fit(
        20,
        tmp_path,
        evaluate=evaluate,
        evaluate_every=10,
        log=lambda step, row: logged.append((step, row["seed"])),
    )
    assert [row["step"] for row in rows if "success" in row] == [10, 10, 20, 20]
    assert len(set(calls)) == 4
    assert logged == [(step, seed) for step in (5, 10, 15, 20) for seed in (0, 1)]
    assert runs.read_rows(tmp_path)[2]["success_high"] == 0.9


def test_a_run_is_not_made_shorter_and_shows_its_metrics_again(tmp_path):
    fit(10, tmp_path)
    with pytest.raises(ConfigError, match="is at 10 updates already"):
        fit(5, tmp_path)
    shown = (tmp_path / runs.METRICS).read_bytes()
    (tmp_path / runs.METRICS).unlink()
    fit(10, tmp_path)
    assert (tmp_path / runs.METRICS).read_bytes() == shown


def test_numbers_that_do_not_fit_are_refused():
    for seeds in ((-1,), (0, 2**31)):
        with pytest.raises(ConfigError, match="each must be from 0"):
            fit(5, seeds=seeds)
    with pytest.raises(ConfigError, match="batch_size = 0"):
        fit(5, batch_size=0)
    with pytest.raises(ConfigError, match="multiples of every=5"):
        fit(12)
    for seeds in ((), (1, 1)):
        with pytest.raises(ConfigError, match="give at least one, each once"):
            fit(5, seeds=seeds)
    with pytest.raises(ConfigError, match="hold no window of 300"):
        train.fit(agent(horizon=300), toy(), 5, every=5)


def test_checkpoints_round_trip_and_name_what_does_not_fit(tmp_path):
    path = tmp_path / "c.npz"
    tree = {"a": jnp.arange(3.0), "b": (jnp.ones((2, 2), jnp.int32),)}
    checkpoint.save(path, tree, {"step": 7})
    loaded, description = checkpoint.load(path, jax.tree.map(jnp.zeros_like, tree))
    same(tree, loaded)
    assert description == {"step": 7}
    assert [p.name for p in tmp_path.iterdir()] == ["c.npz"]
    with pytest.raises(DataError, match=r"leaf 'a' is float32\[3\], expected float32\[4\]"):
        checkpoint.load(path, {**tree, "a": jnp.zeros(4)})
    with pytest.raises(DataError, match="lacks leaf 'c'"):
        checkpoint.load(path, {**tree, "c": jnp.zeros(4)})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="is not a checkpoint"):
        checkpoint.load(path, tree)


def test_config_is_readable_json(tmp_path):
    fit(5, tmp_path, config={"method": "qc_fql"})
    config = json.loads((tmp_path / runs.CONFIG).read_text())
    assert config["method"] == "qc_fql"
    assert config["seeds"] == [0, 1]
    with pytest.raises(TrainingError, match="is not a run"):
        runs.read_config(tmp_path / "nowhere")
