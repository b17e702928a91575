"""GCIQL against numbers made by running the authors' code."""

import jax
import jax.numpy as jnp
import pytest
from reference import goal_batch
from test_parity import close, close_trees, follow
from test_parity_iql import IQLVectors

from chunkrl.agents.gciql import GCIQL
from chunkrl.agents.implicit import State

LOSSES = ["gciql_awr", "gciql_ddpgbc", "gciql_ddpgbc_std"]
UPDATES = ["update_gciql_ddpgbc_biglr"]


class GCIQLVectors(IQLVectors):
    def __init__(self, path):
        super().__init__(path)
        self.meta["actor_layer_norm"] = self.meta["layer_norm"]

    def agent(self) -> GCIQL:
        agent = super().agent()
        fields = {k: getattr(agent, k) for k in agent.__dataclass_fields__}
        told = {"goal_dim": self.meta["goal_dim"], "negative": self.meta["gc_negative"]}
        return GCIQL(**fields, **told)

    def batch(self, prefix="batch"):
        return goal_batch(self, prefix)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients(parity, name):
    v = GCIQLVectors(parity / f"{name}.npz")
    agent, params, batch = v.agent(), v.params(), v.batch()
    valued, acted = agent.views(batch)
    close(agent.td_target(params, valued), v["out.target_q"], 3e-6)
    if v.weighted:
        q = agent.q(params.critic, acted.obs, batch.chunk)
        advantage = q - agent.value.apply(params.value, acted.obs)
        close(agent.extraction.weight(advantage), v["out.awr_weight"], 5e-6)
    state = State(params, v.target(), None)
    grad, metrics = jax.jit(jax.grad(agent.loss, has_aux=True))(params, state, batch, v.noise())
    for ours, theirs in {"value": "value", "td": "critic", "policy": "actor"}.items():
        close(metrics[ours], v[f"loss.{theirs}"], 5e-6)
    close(metrics["loss"], v["loss.total"], 5e-6)
    if v.under("grad"):
        close_trees(grad, v.params("grad"), 2e-5 if name == "gciql_awr" else 5e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_acting(parity, name):
    v = GCIQLVectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params()
    for case in ("act_single", "act_batch"):
        seen = v.seen(case)
        sample = agent.policy.sample(params.policy, seen, jnp.asarray(v[f"{case}.noise"]))
        close(sample, v[f"{case}.actions"], 5e-6)
        chunk = agent.act(State(params, None, None), seen, jax.random.key(0))
        close(chunk[..., 0, :], v[f"{case}.actions_temp0"], 5e-6)


@pytest.mark.parametrize("name", UPDATES)
def test_updates(parity, name):
    """Several steps in a row, see `follow`."""
    v = GCIQLVectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params("before")
    follow(v, agent, State(params, v.target("before"), agent.tx.init(params)))
