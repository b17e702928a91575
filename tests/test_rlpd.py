"""RLPD's family: what moves what, its temperature, half and half, and nothing without acting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_agents import A, B, O, agent_of, batch_of, count
from test_train import agent as small
from test_train import same, toy

from chunkrl import train
from chunkrl.agents import make
from chunkrl.data import windows
from chunkrl.errors import ConfigError, DataError
from chunkrl.experiments import experiment
from chunkrl.types import Dataset, Halves

FAMILY = ["rlpd", "rlpd_ac", "qc_rlpd"]


def two(first=0, second=100):
    """Logs of the states `first` ... `first` + 39, and own steps of others."""

    def rows(start):
        x = start + jnp.arange(40.0)[:, None]
        return Dataset(x, jnp.zeros((40, A)), x[:, 0], jnp.ones(40), jnp.zeros(40), x + 1)

    return Halves(rows(first), rows(second))


@pytest.mark.parametrize("name", FAMILY)
def test_each_loss_moves_its_own_part(name):
    """And all of it; the temperature's moves nothing of the policy, and the policy's not it."""
    agent = agent_of(name)
    batch = batch_of(agent.backup)
    state, noise = agent.init(jax.random.key(0)), agent.noise(jax.random.key(1), B)
    moved = {"td": "critic", "climb": "net", "clone": "net", "temperature_loss": "log_temperature"}
    metrics = agent.loss(state.params, state, batch, noise)[1]
    np.testing.assert_allclose(sum(metrics[part] for part in moved), metrics["loss"], rtol=1e-5)
    for part, group in moved.items():
        grad = jax.grad(lambda p, part=part: agent.loss(p, state, batch, noise)[1][part])
        found = grad(state.params)
        groups = {"critic": found.critic, **found.policy._asdict()}
        silent = part == "clone" and name != "qc_rlpd"
        for key, leaves in groups.items():
            for leaf in jax.tree.leaves(leaves):
                assert np.any(leaf) == (key == group and not silent), (part, key)


@pytest.mark.parametrize("wanted", [-3.0, 3.0])
def test_the_temperature_falls_where_the_entropy_is_above_what_is_sought(wanted):
    agent = agent_of("rlpd_ac", target_entropy=wanted)
    state = agent.init(jax.random.key(0))
    after, metrics = train.update(agent, state, batch_of(4), jax.random.key(1))
    high = metrics["entropy"] > wanted * 4 * A
    assert high == (wanted < 0)
    assert (after.params.policy.log_temperature < 0) == high
    assert metrics["temperature"] == 1


def test_a_saturated_sample_has_a_finite_density_and_gradient():
    """tanh 30 is 1 in float32, and arctanh 1 infinite."""
    policy = agent_of("rlpd").policy
    params = policy.init(jax.random.key(0), jnp.zeros((1, O)))
    bias = jnp.concatenate([jnp.full(A, 30.0), jnp.zeros(A)])
    params.net["params"]["Dense_2"]["bias"] = bias
    noise = jnp.ones((B, A))
    density = lambda params: policy.draw(params, jnp.zeros((B, O)), noise)[1].mean()
    value, grad = jax.value_and_grad(density)(params)
    assert (policy.sample(params, jnp.zeros((B, O)), noise) == 1).all()
    assert all(np.isfinite(x).all() for x in [value, *jax.tree.leaves(grad)])


def test_the_methods_are_settings_of_one():
    assert make("rlpd_ac", O, A, horizon=1) == make("rlpd", O, A)
    assert make("qc_rlpd", O, A, alpha=0.0) == make("rlpd_ac", O, A)
    assert count("rlpd", 1) == 17_201_183  # of the authors' code
    for name in FAMILY:
        assert make(name, O, A).num_critics == 10


def test_both_heads_begin_as_layers_of_their_own():
    """Glorot's bound for as many outputs as one head has, of inputs by its width."""
    agent = agent_of("rlpd_ac", hidden=(64, 256))
    net = agent.init(jax.random.key(0)).params.policy.net
    kernel = np.asarray(net["params"]["Dense_2"]["kernel"])
    assert kernel.shape == (256, 24)
    bound = (6 / (256 + 12)) ** 0.5
    assert 0.99 * bound < np.abs(kernel).max() <= bound


@pytest.mark.parametrize("name", FAMILY)
def test_acting_samples(name):
    agent = agent_of(name)
    state = agent.init(jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), 5)
    chunks = train.act(agent, state, jnp.ones((5, O)), keys)
    assert chunks.shape == (5, agent.chunk, A)
    assert np.abs(chunks).max() <= 1
    assert np.ptp(chunks, axis=0).min() > 0


@pytest.mark.parametrize("size", [8, 9])
def test_half_of_a_batch_is_logs_and_half_its_own(size):
    """Logs first, and the odd one of them.  The rows of both are drawn independently."""
    batch = windows.sample(jax.random.key(0), two(), size, 3, 0.5)
    assert [x.shape[0] for x in batch] == [size] * len(batch)
    logs, own = np.split(np.asarray(batch.obs[:, 0]), [size - size // 2])
    assert logs.max() < 40
    assert own.min() >= 100
    assert set(logs) != set(own - 100)
    np.testing.assert_array_equal(batch.next_obs, batch.obs + 3)
    np.testing.assert_allclose(batch.returns[:, 1], 1.5 * batch.obs[:, 0] + 0.5, rtol=1e-6)


@pytest.mark.parametrize("name", [*FAMILY, "qc"])
def test_training_on_both_goes_on_as_if_it_had_not_stopped(tmp_path, name):
    """`Halves` are data for every method that draws windows."""
    agent, data = small(name), Halves(toy(), toy(np.ones(200)))
    fit = lambda updates, folder: train.fit(
        agent, data, updates, 8, every=5, folder=tmp_path / folder, progress=False
    )
    whole, rows = fit(10, "whole")
    fit(5, "parts")
    parts, _ = fit(10, "parts")
    same(whole, parts)
    assert np.isfinite(rows[-1]["loss"])


def test_data_of_both_are_checked_by_name():
    data = two()
    bad = data.new.action.at[7, 1].set(2.0)
    agent = make("rlpd", 1, A, hidden=(8,))
    with pytest.raises(DataError, match=r"the data, 'new': 'action' is 2.0 at index \(7, 1\)"):
        train.fit(agent, data._replace(new=data.new._replace(action=bad)), 1, 4, every=1)
    with pytest.raises(ConfigError, match=r"data's 'obs' has 1 columns, .* obs_dim = 2"):
        train.fit(make("rlpd", 2, A, hidden=(8,)), data, 1, 4, every=1)


@pytest.mark.parametrize("name", FAMILY)
def test_without_acting_it_is_refused(tmp_path, name):
    """In Python by the data it is given, and in a run before any data are made."""
    with pytest.raises(ConfigError, match="RLPD learns while it acts, half of each batch"):
        train.fit(make(name, 1, A, hidden=(8,)), two().logs, 1, 4, every=1)
    with pytest.raises(ConfigError, match=f"^{name} learns while it acts.*--online 100000"):
        experiment.run(name, preset="smoke", folder=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
