"""The flow-Q family against numbers made by running the authors' code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import Vectors

from chunkrl.agents.actor_critic import State
from chunkrl.blocks import flow
from chunkrl.blocks.networks import ensemble, fourier_features, mlp, scalar_mlp
from chunkrl.blocks.policies import Flow
from chunkrl.types import Dataset

LOSSES = [
    "qc_n4",
    "qc_n4_qmin",
    "bfn_h1_n4",
    "bfnn_n4",
    "qcfql",
    "qcfql_qmin",
    "qcfql_invalid",
    "qcfql_maskzero",
    "fql_h1",
    "fqln",
    "fql_original",
    "fql_original_normq",
]
UPDATES = ["update_qcfql", "update_qcfql_biglr", "update_qc_n4"]


def close(actual, expected, tolerance=1e-5):
    """Largest error, relative to max(1, largest expected magnitude), within `tolerance`."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    assert float(np.abs(actual - expected).max(initial=0)) <= tolerance * scale


def close_trees(actual, expected, tolerance=1e-5):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        close(a, b, tolerance)


def follow(v, agent, state, tolerance=1e-6, slow=3e-7, adam=5e-6):
    """Several steps in a row: losses, parameters, target networks (one step late), Adam's moments.

    What a reduced file lacks is not compared: of parameters it has those of the last step.
    """
    assert v.meta["adam"] == {"b1": 0.9, "b2": 0.999, "eps": 1e-8}  # optax's defaults
    step, last = jax.jit(agent.step), v.meta["steps"]
    targets = [field for field in state._fields if field.startswith("target")]
    for k in range(1, last + 1):
        state, metrics = step(state, v.batch(f"batch{k}"), v.noise(f"rand{k}"))
        close(metrics["loss"], v[f"loss{k}.total"], 5e-6)
        if k == last or v.under(f"after{k}"):
            close_trees(state.params, v.params(f"after{k}"), tolerance)
            expected = v.target(f"after{k}")
            ours = [getattr(state, field) for field in targets]
            close_trees(ours[0] if len(ours) == 1 else tuple(ours), expected, slow)
    if v.under("adam_mu"):
        close_trees(state.opt_state[0].mu, v.params("adam_mu"), adam)
        close_trees(state.opt_state[0].nu, v.params("adam_nu"), adam)


@pytest.mark.parametrize("name", ["nets_qc"])
@pytest.mark.parametrize("single", [False, True], ids=["batch", "single"])
def test_networks(parity, single):
    v = Vectors(parity / "nets_qc.npz")
    hidden, dim = tuple(v.meta["hidden"]), v["out.flow"].shape[-1]
    pick = (lambda name: jnp.asarray(v[name][2])) if single else (lambda name: jnp.asarray(v[name]))
    obs, action, t = pick("in.observations"), pick("in.actions"), pick("in.t")
    members = v.meta["num_critics"]
    out = "out_single" if single else "out"
    nets = {
        "critic": (ensemble(scalar_mlp(hidden), members), members, obs, action),
        "critic_noln": (ensemble(scalar_mlp(hidden, False), members), members, obs, action),
        "critic_one": (scalar_mlp(hidden), 0, obs, action),
        "onestep": (mlp(hidden, dim), 0, obs, action),
        "flow": (mlp(hidden, dim), 0, obs, action, t),
        "flow_ln": (mlp(hidden, dim, norm=True), 0, obs, action, t),
    }
    for name in (name for name in nets if f"{out}.{name}" in v):  # a reduced file lacks some
        net, count, *inputs = nets[name]
        close(net.apply(v.net(f"params.{name}", count), *inputs), v[f"{out}.{name}"])
    fourier = Flow(dim, hidden, fourier_dim=v.meta["fourier_dim"])
    velocity = fourier.velocity(v.net("params.flow_fourier"), obs)
    close(velocity(action, t), v[f"{out}.flow_fourier"])
    if not single:
        close(fourier_features(t, v.meta["fourier_dim"]), v["out.fourier_features"])


@pytest.mark.parametrize("name", LOSSES)
def test_targets(parity, name):
    v = Vectors(parity / f"{name}.npz")
    agent, params, batch, noise = v.agent(), v.params(), v.batch(), v.noise()
    state = State(params, v.target(), None)
    chosen = agent.propose(params, batch.next_obs, noise.propose)
    close(chosen, v["out.next_actions"])
    if not v.one_step:
        obs = jnp.broadcast_to(batch.next_obs, (agent.candidates, *batch.next_obs.shape))
        candidates = agent.policy.sample(params.policy, obs, noise.propose)
        close(candidates.swapaxes(0, 1), v["out.next_candidates"])
        scores = agent.q(params.critic, obs, candidates)
        close(scores.T, v["out.next_candidate_q"])
        np.testing.assert_array_equal(scores.argmax(axis=0), v["out.next_best_index"])
    close(agent.critic.apply(state.target_critic, batch.next_obs, chosen), v["out.next_q_ensemble"])
    close(agent.q(state.target_critic, batch.next_obs, chosen), v["out.next_q"])
    close(agent.td_target(state, batch, chosen), v["out.target_q"])
    close(agent.critic.apply(params.critic, batch.obs, agent.flat_chunk(batch)), v["out.q"])


@pytest.mark.parametrize("name", LOSSES)
def test_flow(parity, name):
    v = Vectors(parity / f"{name}.npz")
    agent, params, batch, noise = v.agent(), v.params(), v.batch(), v.noise()
    chunk = agent.flat_chunk(batch)
    close(flow.interpolate(chunk, noise.flow, noise.t), v["out.x_t"])
    cloned = agent.policy.flow if v.one_step else agent.policy
    flow_params = params.policy.flow if v.one_step else params.policy
    velocity = cloned.velocity(flow_params, batch.obs)
    close(velocity(jnp.asarray(v["out.x_t"]), noise.t), v["out.flow_pred"])
    if v.one_step:
        close(cloned.sample(flow_params, batch.obs, noise.improve), v["out.flow_actions"])
        for steps, end in enumerate(v.get("out.euler_path", [])[1:], start=1):
            # `steps` of the K steps: the same start and step length, so the field is slowed down.
            share = steps / agent.policy.steps
            part = flow.integrate(lambda x, t: share * velocity(x, share * t), noise.improve, steps)  # noqa: B023
            close(part, end)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients(parity, name):
    v = Vectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params()
    state = State(params, v.target(), None)
    loss = jax.jit(jax.grad(agent.loss, has_aux=True))
    grad, metrics = loss(params, state, v.batch(), v.noise())
    close(metrics["td"], v["loss.critic"])
    close(metrics["clone"], v["loss.bc_flow"])
    close(metrics["loss"], v["loss.total"])
    if v.one_step:
        close(metrics["distill"], v["loss.distill"])
        close(-metrics["q_policy"] * v.get("loss.q_weight", 1.0), v["loss.q"])
    if v.under("grad"):
        close_trees(grad, v.params("grad"))
    # What this package keeps out of the optimiser has no gradient in the reference either.
    frozen = ["target_critic"] if v.one_step else ["target_critic", "onestep"]
    for key, value in v.items():
        if any(key.startswith(f"grad.{net}.") for net in frozen):
            assert not value.any()


@pytest.mark.parametrize("name", [n for n in LOSSES if not n.startswith("fql_original")])
def test_acting(parity, name):
    v = Vectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params()
    for case in ("act_single", "act_batch"):
        noise = jnp.asarray(v[f"{case}.noise"])
        noise = noise[None] if v.one_step else jnp.moveaxis(noise, -2, 0)
        actions = agent.propose(params, jnp.asarray(v[f"{case}.observations"]), noise)
        close(actions, v[f"{case}.actions"])


@pytest.mark.parametrize("name", UPDATES)
def test_updates(parity, name):
    """Several steps in a row, see `follow`."""
    v = Vectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params("before")
    state = State(params, v.target("before"), agent.tx.init(params))
    follow(v, agent, state, 2e-6, 2e-6 if v.meta["lr"] > 1e-3 else 3e-7, 1e-5)  # the lag shows


@pytest.mark.parametrize("name", ["data_qc"])
def test_windows(parity):
    """Every legal start of the reference's sampler, at h = 1 and h = meta.horizon."""
    from chunkrl.data import windows

    v = Vectors(parity / "data_qc.npz")
    field = lambda name: jnp.asarray(v[f"dataset.{name}"], jnp.float32)
    dataset = Dataset(
        *map(field, ["observations", "actions", "rewards", "masks", "terminals"]),
        field("next_observations"),
    )
    for horizon in (1, v.meta["horizon"]):
        expect = {k.split(".")[1]: x for k, x in v.items() if k.startswith(f"seq_h{horizon}.")}
        assert windows.starts(dataset, horizon) == expect["start_index"].max() + 1
        batch = windows.take(
            dataset, jnp.asarray(expect["start_index"]), horizon, v.meta["discount"]
        )
        np.testing.assert_array_equal(batch.obs, expect["observations"])
        np.testing.assert_array_equal(batch.action, expect["actions"])
        np.testing.assert_array_equal(batch.mask, expect["masks"])
        np.testing.assert_array_equal(batch.valid, expect["valid"])
        np.testing.assert_array_equal(batch.next_obs, expect["next_observations"][:, -1])
        np.testing.assert_allclose(batch.returns, expect["rewards"], rtol=1e-6, atol=1e-6)
