"""SAC+BC with goals, of one and of n steps, against numbers made by running the authors' code."""

import jax
import jax.numpy as jnp
import pytest
from reference import Vectors, goal_batch
from test_parity import close, close_trees, follow

from chunkrl.agents.actor_critic import Params, State
from chunkrl.agents.gcsacbc import GCSACBC, Noise, Regular
from chunkrl.blocks.policies import EntropicParams
from chunkrl.blocks.targets import Logistic, Squared

LOSSES = ["gcsacbc", "ngcsacbc", "ngcsacbc_mean", "ngcsacbc_squared"]
UPDATES = ["update_ngcsacbc_biglr"]


class GCSACBCVectors(Vectors):
    def agent(self) -> GCSACBC:
        meta, hidden = self.meta, tuple(self.meta["hidden"])
        target_entropy = meta["target_entropy"] / meta["action_dim"]
        policy = Regular(
            meta["action_dim"], hidden, meta["layer_norm"], target_entropy=target_entropy
        )
        same = {k: meta[k] for k in ("alpha", "discount", "tau", "lr", "num_critics", "goal_dim")}
        agent = GCSACBC(
            meta["obs_dim"],
            meta["action_dim"],
            policy,
            backup=meta.get("subgoal_steps", 1),
            hidden=hidden,
            aggregate=meta["q_agg"],
            head=Logistic() if meta["value_loss_type"] == "bce" else Squared(),
            **same,
        )
        assert agent.negative == meta["gc_negative"]
        return agent

    def params(self, prefix="params") -> Params:
        policy = EntropicParams(
            self.gaussian(f"{prefix}.actor"), jnp.asarray(self[f"{prefix}.lam.log"])
        )
        return Params(self.net(f"{prefix}.critic", self.meta["num_critics"]), policy)

    def batch(self, prefix="batch"):
        return goal_batch(self, prefix)

    def noise(self, prefix="rand") -> Noise:
        return Noise(*(jnp.asarray(self[f"{prefix}.{k}"]) for k in ("next_noise", "noise")))


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients(parity, name):
    v = GCSACBCVectors(parity / f"{name}.npz")
    agent, params, batch, noise = v.agent(), v.params(), v.batch(), v.noise()
    state = State(params, v.target(), None)
    close(agent.td_target(state, batch, noise.following), v["out.target_q"], 3e-6)
    grad, metrics = jax.jit(jax.grad(agent.loss, has_aux=True))(params, state, batch, noise)
    names = {
        "td": "critic",
        "policy": "actor",
        "temperature_loss": "lam",
        "temperature": "lam_value",
        "climb": "actor_sac",
        "entropy": "entropy",
        "loss": "total",
    }
    for ours, theirs in names.items():
        close(metrics[ours], v[f"loss.{theirs}"], 5e-6)
    if v.under("grad"):
        close_trees(grad, v.params("grad"), 5e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_acting(parity, name):
    v = GCSACBCVectors(parity / f"{name}.npz")
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
    v = GCSACBCVectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params("before")
    follow(v, agent, State(params, v.target("before"), agent.tx.init(params)))
