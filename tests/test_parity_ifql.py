"""IFQL against numbers made by running the authors' code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import Vectors
from test_parity import close, close_trees, follow

from chunkrl.agents.ifql import IFQL, Noise
from chunkrl.agents.implicit import Params, State
from chunkrl.blocks.policies import Flow

LOSSES = ["ifql", "ifql_exp7"]
UPDATES = ["update_ifql_biglr"]
CASES = ("act_single", "act_single2", "act_single3")


class IFQLVectors(Vectors):
    def agent(self) -> IFQL:
        meta, hidden = self.meta, tuple(self.meta["hidden"])
        flow = Flow(meta["action_dim"], hidden, meta["flow_steps"], norm=meta["actor_layer_norm"])
        same = {k: meta[k] for k in ("expectile", "discount", "tau", "lr", "num_critics")}
        sizes = meta["obs_dim"], meta["action_dim"]
        return IFQL(*sizes, flow, candidates=meta["num_samples"], hidden=hidden, **same)

    def params(self, prefix="params") -> Params:
        critic = self.net(f"{prefix}.critic", self.meta["num_critics"])
        return Params(critic, self.net(f"{prefix}.value"), self.net(f"{prefix}.flow"))

    def noise(self, prefix="rand") -> Noise:
        return Noise(jnp.asarray(self[f"{prefix}.x0"]), jnp.asarray(self[f"{prefix}.t"]))


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients(parity, name):
    v = IFQLVectors(parity / f"{name}.npz")
    agent, params, batch = v.agent(), v.params(), v.batch()
    slow = agent.q(v.target(), batch.obs, batch.action[:, 0])
    close(slow - agent.value.apply(params.value, batch.obs), v["out.value_diff"], 3e-6)
    close(agent.td_target(params, batch), v["out.target_q"], 3e-6)
    state = State(params, v.target(), None)
    grad, metrics = jax.jit(jax.grad(agent.loss, has_aux=True))(params, state, batch, v.noise())
    names = {"value": "value", "td": "critic", "clone": "bc_flow", "loss": "total"}
    for ours, theirs in names.items():
        close(metrics[ours], v[f"loss.{theirs}"], 3e-6)
    if v.under("grad"):
        close_trees(grad, v.params("grad"), 5e-6)
    assert not any(x.any() for key, x in v.items() if key.startswith("grad.target_critic."))


@pytest.mark.parametrize("name", LOSSES)
def test_acting(parity, name):
    """Of one observation, and of the three that the authors tell apart, as a batch."""
    v = IFQLVectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params()
    together = {
        k: jnp.stack([v[f"{case}.{k}"] for case in CASES], axis=axis)
        for k, axis in (("observations", 0), ("noise", 1), ("actions", 0))
    }
    for case in (*CASES, None):
        case = {k: v[f"{case}.{k}"] for k in v.under(case)} if case else together
        obs, noise = jnp.asarray(case["observations"]), jnp.asarray(case["noise"])
        close(agent.propose(params, obs, noise), case["actions"], 5e-6)
        if "candidates" in case:
            candidates = agent.policy.sample(params.policy, obs[None], noise)
            close(candidates, case["candidates"], 5e-6)
            scores = agent.q(params.critic, obs[None], candidates)
            close(scores, case["candidate_q"], 5e-6)
            np.testing.assert_array_equal(scores.argmax(axis=0), case["best_index"])


@pytest.mark.parametrize("name", UPDATES)
def test_updates(parity, name):
    """Several steps in a row, see `follow`."""
    v = IFQLVectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params("before")
    follow(v, agent, State(params, v.target("before"), agent.tx.init(params)))
