"""Decoupled Q-chunking against numbers made by running the authors' code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import Vectors
from test_parity import close, close_trees, follow

from chunkrl import agents
from chunkrl.agents.dqc import DQC, Params, State
from chunkrl.agents.ifql import Noise
from chunkrl.blocks.policies import Flow
from chunkrl.types import Batch

WHOLE = ["dqc", "dqc_ha1", "dqc_valid", "dqc_quantexp"]
LOSSES = [*WHOLE, "dqc_qc", "dqc_qcns", "dqc_nstep", "dqc_onestep"]
UPDATES = ["update_dqc", "update_dqc_biglr"]


class DQCVectors(Vectors):
    def agent(self) -> DQC:
        meta, hidden = self.meta, tuple(self.meta["hidden"])
        chunk = meta["policy_horizon"]
        flow = Flow(
            chunk * meta["action_dim"], hidden, meta["flow_steps"], norm=meta["actor_layer_norm"]
        )
        names = ("kappa_d", "kappa_b", "discount", "tau", "lr", "num_critics", "goal_dim")
        assert meta["use_chunk_critic"] or meta["kappa_d"] == 0.5
        return DQC(
            meta["obs_dim"],
            meta["action_dim"],
            flow,
            chunk,
            meta["horizon"],
            candidates=meta["num_candidates"],
            distilled=meta["use_chunk_critic"],
            distill_loss=meta["distill_method"],
            backup_loss=meta["implicit_backup_type"],
            aggregate=meta["q_agg"],
            hidden=hidden,
            **{name: meta[name] for name in names},
        )

    def params(self, prefix="params") -> Params:
        members = self.meta["num_critics"]
        net = lambda name, e=0: self.net(f"{prefix}.{name}", e)
        whole = net("chunk_critic", members) if self.meta["use_chunk_critic"] else None
        return Params(net("action_critic", members), net("value"), net("flow"), whole)

    def target(self, prefix="params"):
        return self.net(f"{prefix}.target_action_critic", self.meta["num_critics"])

    def batch(self, prefix="batch") -> Batch:
        """Weighed by the step that the authors' code takes for the last of the policy's chunk."""
        field = lambda name: jnp.asarray(self[f"{prefix}.{name}"])
        high = lambda name: field(f"high_value_{name}")
        action, h = high("action_chunks"), self.meta["horizon"]
        column = min(self.meta["policy_horizon"] * self.meta["action_dim"], h) - 1
        return Batch(
            jnp.concatenate([field("observations"), high("goals")], axis=-1),
            action.reshape(len(action), h, -1),
            high("rewards")[:, None],
            high("masks")[:, None],
            field("valids")[:, column, None],
            jnp.concatenate([high("next_observations"), high("goals")], axis=-1),
        )

    def noise(self, prefix="rand") -> Noise:
        return Noise(jnp.asarray(self[f"{prefix}.x0"]), jnp.asarray(self[f"{prefix}.t"]))


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients(parity, name):
    v = DQCVectors(parity / f"{name}.npz")
    agent, params, batch = v.agent(), v.params(), v.batch()
    close(agent.td_target(params, batch), v["out.target_chunk"], 3e-6)
    close(agent.slow_q(v.target(), batch), v["out.backup_q"], 3e-6)
    state = State(params, v.target(), None)
    grad, metrics = jax.jit(jax.grad(agent.loss, has_aux=True))(params, state, batch, v.noise())
    names = {"td": "action_critic", "value": "value", "clone": "bc_flow", "loss": "total"}
    if agent.distilled:
        names["whole"] = "chunk_critic"
    for ours, theirs in names.items():
        close(metrics[ours], v[f"loss.{theirs}"], 3e-6)
    if v.under("grad"):
        close_trees(grad, v.params("grad"), 5e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_acting(parity, name):
    v = DQCVectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params()
    for case in ("act_single", "act_batch"):
        seen, noise = v.seen(case), jnp.asarray(v[f"{case}.noise"])
        chunk = agent.propose(params, seen, noise)
        close(chunk, v[f"{case}.actions"], 5e-6)
        scores = agent.q(params.critic, seen[None], jnp.asarray(v[f"{case}.candidates"]))
        close(scores, v[f"{case}.candidate_q"], 5e-6)
        np.testing.assert_array_equal(scores.argmax(axis=0), v[f"{case}.best_index"])


@pytest.mark.parametrize("name", UPDATES)
def test_updates(parity, name):
    """Several steps in a row, see `follow`."""
    v = DQCVectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params("before")
    follow(v, agent, State(params, v.target("before"), agent.tx.init(params)))


def test_where_nothing_is_decoupled_the_settings_are_one_method():
    """At h = h_a nothing is distilled: chunks valued as a whole, at 1 single steps."""
    make = lambda name, **settings: agents.make(name, 3, 2, **settings)
    assert make("dqc", horizon=1, policy_chunk=1) == make("dqc_one_step")
    assert make("dqc", horizon=4, policy_chunk=4) == make("dqc_naive", horizon=4, execute=4)
    assert make("dqc_n", horizon=1) == make("dqc_one_step")
    assert make("dqc", horizon=4, policy_chunk=1) != make("dqc_n", horizon=4)
