"""What agents believe, in the task's units, and the measurement of whole runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys
from conftest import release

from chunkrl import data, train
from chunkrl.data.normalise import Normaliser
from chunkrl.envs.ogbench import files, relabel, tasks
from chunkrl.errors import ConfigError, DataError
from chunkrl.experiments import experiment
from chunkrl.measure import beliefs
from chunkrl.measure.drift import drift
from chunkrl.measure.imagined import imagined
from chunkrl.measure.of_run import data_of, in_words, main, measure_run
from chunkrl.measure.parts import squares
from chunkrl.measure.record import Values, load, save
from chunkrl.play.lockstep import decision_keys

TASK = tasks.get("cube-single-play-singletask-task2-v0")
OBS, ACTION = 28, 5
TINY = {"hidden": (16, 16), "flow_steps": 2}
MAC = {**TINY, "horizon": 4, "candidates": 3, "act_candidates": 5, "discount": 0.9}


def normaliser(rng):
    centre, scale = rng.normal(size=OBS), rng.uniform(0.5, 2, OBS)
    return Normaliser(centre.astype(np.float32), scale.astype(np.float32))


def agent_and_state(method, **settings):
    agent = toys.make(method, OBS, ACTION, **settings)
    return agent, agent.init(jax.random.key(0))


@pytest.mark.parametrize("sum_reward", [False, True])
def test_imagined_targets_are_the_returns_that_mac_learns_from(sum_reward):
    """`ModelBasedActorCritic.returns` on the same noise, times h where rewards are means."""
    agent, state = agent_and_state("mac", **MAC, rollout=3, sum_reward=sum_reward)
    rng, starts, repeats = np.random.default_rng(0), 3, 2
    seen = normaliser(rng)
    obs = rng.normal(size=(starts, OBS)).astype(np.float32)
    own = beliefs.of(agent, state, seen, candidates=3)
    found = imagined(own, obs, depth=3, repeats=repeats, seed=7)

    number = np.arange(starts * repeats, dtype=np.int32)
    keys = [decision_keys(7, number, np.full_like(number, k)) for k in range(3)]
    draw = jax.vmap(lambda key: jax.random.normal(key, (3, 4 * ACTION)))
    noise = jnp.stack([jnp.swapaxes(draw(key), 0, 1) for key in keys])  # [K, N, R, D]
    first = seen.apply(np.repeat(obs, repeats, axis=0))
    goal = jnp.zeros((len(first), 0))
    expected = agent.returns(state, agent.imagine(state.params, first, goal, noise))[0]
    scale = 1 if sum_reward else 4
    np.testing.assert_allclose(found[3].ravel(), scale * expected, rtol=1e-4, atol=1e-4)
    assert np.ptp(found[3]) > 1e-3
    assert own.ends == agent.model.reward.true_mask


def test_macs_value_and_critic_come_in_rewards_of_the_task():
    """h times the networks' outputs; the value is the slow one, which targets end in."""
    agent, state = agent_and_state("mac", **MAC)
    rng = np.random.default_rng(1)
    seen, obs = normaliser(rng), rng.normal(size=(6, OBS)).astype(np.float32)
    chunks = rng.uniform(-1, 1, (6, 4, ACTION)).astype(np.float32)
    state = state._replace(target_value=jax.tree.map(lambda x: 1.5 * x, state.params.value))
    own = beliefs.of(agent, state, seen)
    value = agent.value.apply(state.target_value, seen.apply(obs))
    np.testing.assert_allclose(own.value(obs, chunks), 4 * value, rtol=1e-5)
    critic = agent.critic.apply(state.params.critic, seen.apply(obs), chunks.reshape(6, -1))
    np.testing.assert_allclose(own.critic(obs, chunks), 4 * critic, rtol=1e-5)


def test_a_critic_alone_is_its_own_value():
    agent, state = agent_and_state("qc", **TINY, horizon=3, candidates=4)
    rng = np.random.default_rng(2)
    obs = rng.normal(size=(5, OBS)).astype(np.float32)
    own = beliefs.of(agent, state, Normaliser.identity(OBS))
    chunks = own.act(obs, jax.random.split(jax.random.key(0), 5))
    again = train.act(agent, state, obs, jax.random.split(jax.random.key(0), 5))
    np.testing.assert_allclose(chunks, again, atol=1e-6)
    q = agent.critic.apply(state.params.critic, obs, chunks.reshape(5, -1)).mean(0)
    np.testing.assert_allclose(own.value(obs, chunks), q, rtol=1e-5)
    assert (own.model, own.ends, own.chunk) == (None, True, 3)
    few = beliefs.of(agent, state, Normaliser.identity(OBS), candidates=1)
    other = few.act(obs, jax.random.split(jax.random.key(0), 5))
    assert not np.allclose(other, chunks)


@pytest.mark.parametrize("method", ["iql", "ifql", "rebrac"])
def test_agents_of_single_actions_have_values_too(method):
    """V is the one that targets end in, where it is learned; `candidates` say nothing."""
    agent, state = agent_and_state(method, **TINY)
    rng = np.random.default_rng(3)
    obs, action = (rng.uniform(-1, 1, (5, n)).astype(np.float32) for n in (OBS, ACTION))
    own = beliefs.of(agent, state, Normaliser.identity(OBS), candidates=2)
    q = agent.critic.apply(state.params.critic, obs, action).min(0)
    np.testing.assert_allclose(own.critic(obs, action[:, None]), q, rtol=1e-5)
    value = q if method == "rebrac" else agent.value.apply(state.params.value, obs)
    np.testing.assert_allclose(own.value(obs, action[:, None]), value, rtol=1e-5)
    assert own.act(obs, jax.random.split(jax.random.key(0), 5)).shape == (5, 1, ACTION)


@pytest.mark.parametrize("method", ["mac", "gciql", "sharsa", "dqc"])
def test_goals_are_not_rewards(method):
    agent, state = agent_and_state(method, **MAC, policy_chunk=2, goal_dim=3)
    with pytest.raises(ConfigError, match="has no values of a task"):
        beliefs.of(agent, state, Normaliser.identity(OBS))


@pytest.fixture(scope="module")
def tiny_file():
    """Four trajectories of 60 steps where runs look for their data."""
    path = files.data_dir() / "generated" / "cube-single-play-v0-240.npz"
    return data.generate("cube-single-play", 240, path, states=61, workers=1, progress=False)


def trained(method, path, settings, folder=None):
    agent = toys.make(method, OBS, ACTION, **settings)
    dataset, seen = relabel.data(TASK, agent.reads, path)
    config = {
        "method": method, "task": TASK.name, "preset": "smoke", "data_file": path.name,
        "settings": {"obs_dim": OBS, "action_dim": ACTION, **settings},
    }  # fmt: skip
    if method == "mac":
        config["normaliser"] = {k: np.asarray(v).tolist() for k, v in seen._asdict().items()}
    states, rows = train.fit(
        agent, dataset, 4, 8, (0, 3), every=4, folder=folder, config=config, progress=False
    )
    config |= {"seeds": [0, 3], "batch_size": 8}
    return experiment.Experiment(TASK, agent, states, rows, config, seen)


@pytest.fixture(scope="module")
def critic_run(tiny_file):
    settings = {**TINY, "horizon": 4, "candidates": 2, "discount": 0.9}
    return trained("qc", tiny_file, settings)


def test_a_run_is_measured_for_every_seed_policy_and_model(tiny_file, tmp_path, capsys):
    release()  # the programs of this test take most of a gigabyte
    folder, out = tmp_path / "run", tmp_path / "out.npz"
    trained("mac", tiny_file, MAC, folder)
    main(
        folder, out, states=3, repeats=2, horizon=20, depth=3, candidates=(3, 1), steps=(2,),
        lengths=(4, 8), model_updates=5, workers=1,
    )  # fmt: skip
    assert capsys.readouterr().out.count("V is off by") == 4
    record = load(out)
    values, backups = record.values, record.backups
    assert values.truth.shape == values.critic.shape == (2, 2, 3, 2)
    assert values.real.shape == (2, 2, 4, 3, 2)
    assert values.target.shape == (2, 2, 2, 4, 3, 2)
    assert backups.truth.shape == backups.target.shape == (2, 2, 3, 2)
    assert (record.seeds.tolist(), record.steps.tolist()) == ([0, 3], [4, 2])
    assert (record.candidates.tolist(), record.lengths.tolist()) == ([3, 1], [4, 8])
    assert (record.discount, record.chunk, record.about["ends"]) == (0.9, 4, False)
    assert (record.about["model_updates"], record.about["updates"]) == (5, 4)
    # An untrained hand does not move the cube: nothing is ever earned but -1 a step.
    np.testing.assert_allclose(values.truth, -(1 - 0.9**20) / 0.1, rtol=1e-6)
    assert not values.solved.any()
    np.testing.assert_allclose(values.excess, 0.9**20 / 0.1, rtol=1e-6)
    # H = 0 is the value whatever the model; deeper targets end further away.
    np.testing.assert_allclose(values.target[:, :, 1, 0], values.target[:, :, 0, 0])
    np.testing.assert_allclose(values.target[:, :, 0, 0], values.real[:, :, 0], rtol=1e-5)
    assert not np.allclose(values.target[:, :, 1, 2], values.target[:, :, 0, 2])
    end = values.real[:, :, 0].mean(-1)
    assert np.ptp(end) > 0
    error = squares(backups.target - backups.truth)  # gamma^n (V - V^pi), less for the larger n
    assert (error[:, 1].mean(-1) < error[:, 0].mean(-1)).all()
    assert record.drift.shape == (2, 2, 15 + 1, OBS)
    assert (record.drift[:, :, 1:].sum(-1) > 0).all()
    again = load_and_save(record, tmp_path / "again.npz")
    for one, two in zip(jax.tree.leaves(record[:-1]), jax.tree.leaves(again[:-1]), strict=True):
        np.testing.assert_array_equal(one, two)


def load_and_save(record, path):
    save(path, record)
    return load(path)


def test_a_critic_alone_has_no_imagined_targets(critic_run, tiny_file):
    lost = critic_run._replace(config=critic_run.config | {"data_file": "lost.npz"})
    record = measure_run(lost, 2, 2, 12, 2, lengths=(4,), workers=1, source=tiny_file)
    assert record.about["data_file"] == tiny_file.name
    assert record.values.target.shape == (2, 1, 0, 3, 2, 2)
    np.testing.assert_allclose(record.values.critic, record.values.real[:, :, 0], rtol=1e-5)
    assert record.about["ends"]


def test_an_agent_without_a_model_gets_one(critic_run):
    """Trained until it knows that every step costs 1 and that little moves in one step."""
    record = measure_run(critic_run, 2, 2, 12, 2, steps=(2,), model_updates=400, workers=1)
    values = record.values
    assert record.steps.tolist() == [2]
    assert values.target.shape == (2, 1, 1, 3, 2, 2)
    np.testing.assert_allclose(values.target[:, :, 0, 0], values.real[:, :, 0], rtol=1e-5)
    earned = values.target[:, :, 0, 1] - values.real[:, :, 1]  # rewards of four steps, then V
    assert np.abs(earned).mean() < 1.5  # of a cost of 3.4


def test_the_drift_of_a_model_in_which_nothing_moves(tiny_file):
    """How far the logs themselves have gone after 4, 8, ... 60 steps, as read from the file."""
    still = beliefs.Model(2, lambda obs, actions: obs, lambda obs, actions: obs[:, 0])
    found = drift([still], tiny_file, chunk=4)
    logs = np.load(files.val_path(tiny_file))["observations"].reshape(-1, 61, OBS)
    gone = ((logs[:, ::4] - logs[:, :1]) ** 2).mean(0)
    np.testing.assert_allclose(found[0], gone, rtol=1e-5, atol=1e-8)
    assert found[0, 0].max() == 0
    assert found[0, -1].max() > 0.01


def test_what_cannot_be_read_says_so(critic_run, tmp_path):
    np.savez(tmp_path / "other.npz", truth=np.zeros(3))
    with pytest.raises(DataError, match="measure them again"):
        load(tmp_path / "other.npz")
    for sizes in ({"depth": 3}, {"lengths": (12,)}):
        with pytest.raises(ConfigError, match="horizon = 12: must exceed the 12 steps"):
            measure_run(critic_run, 2, 2, horizon=12, **{"depth": 1, **sizes})
    lost = critic_run._replace(config=critic_run.config | {"data_file": "lost.npz"})
    with pytest.raises(DataError, match=r"lost\.npz"):
        measure_run(lost, 2, 2, 12, 2, workers=1)
    config = critic_run.config
    other = critic_run._replace(config=config | {"settings": config["settings"] | {"obs_dim": 3}})
    with pytest.raises(ConfigError, match="of another task: the run's observations have 3 num"):
        measure_run(other, 2, 2, 12, 2, workers=1)


def test_the_data_of_a_run_are_found_where_they_lay_else_by_name(tiny_file, tmp_path):
    own = tmp_path / "own.npz"
    own.write_bytes(tiny_file.read_bytes())
    named = {"data_file": tiny_file.name}
    assert data_of({"data_file": "own.npz", "data_path": str(own)}) == own
    assert data_of(named) == data_of(named | {"data_path": str(tmp_path / "gone.npz")}) == tiny_file
    assert data_of(named | {"data_path": "a\0b"}) == tiny_file
    with pytest.raises(DataError, match=r"lost\.npz"):
        data_of({"data_file": "lost.npz", "data_path": str(tmp_path / "gone.npz")})


def test_a_measurement_in_words():
    """Two states, one rollout each: means 3 and 1, their standard errors 1 and 0."""
    truth = np.array([[2.0], [4.0]])
    found = Values(
        truth, np.array([[0.25], [0.5]]), np.array([[True], [False]]), truth, truth[None] + 1,
        np.zeros((0, 1, 2, 1)),
    )  # fmt: skip
    assert in_words(found) == (
        "true value 3.0 ± 2.0, V is off by +1.0 ± 0.0; solved 50%, cut by at most 0.5"
    )
