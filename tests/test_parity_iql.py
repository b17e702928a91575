"""Gaussian policies and IQL against numbers made by running the authors' code."""

import jax
import jax.numpy as jnp
import pytest
from reference import Vectors
from test_parity import close, close_trees, follow

from chunkrl.agents.iql import IQL, Climbing, Params, State, Weighting
from chunkrl.blocks.policies import Gaussian

LOSSES = ["iql_awr", "iql_awr_cap", "iql_awr_std", "iql_ddpgbc", "iql_ddpgbc_std"]
UPDATES = ["update_iql_awr", "update_iql_awr_biglr"]
STEEP = {"iql_awr_cap", "iql_awr_std"}  # weights up to 100


class IQLVectors(Vectors):
    @property
    def weighted(self) -> bool:
        return self.meta["actor_loss"] == "awr"

    def agent(self) -> IQL:
        meta, hidden = self.meta, tuple(self.meta["hidden"])
        std = "one" if meta["const_std"] else "free"
        policy = Gaussian(meta["action_dim"], hidden, meta["actor_layer_norm"], False, std)
        extraction = Weighting(meta["alpha"]) if self.weighted else Climbing(meta["alpha"])
        same = {k: meta[k] for k in ("expectile", "discount", "tau", "lr", "num_critics")}
        return IQL(meta["obs_dim"], meta["action_dim"], policy, extraction, hidden=hidden, **same)

    def params(self, prefix="params") -> Params:
        critic = self.net(f"{prefix}.critic", self.meta["num_critics"])
        return Params(critic, self.net(f"{prefix}.value"), self.gaussian(f"{prefix}.actor"))

    def noise(self, prefix="rand"):
        """Of the sampled action, drawn by one extraction where the deviation is free."""
        shape = (self.meta["batch"], self.meta["action_dim"])
        return jnp.asarray(self.get(f"{prefix}.noise", jnp.full(shape, jnp.nan)))


@pytest.mark.parametrize("name", ["nets_gauss"])
@pytest.mark.parametrize("kind", ["squash", "free_std", "const_std"])
def test_gaussian_policies(parity, kind):
    v = Vectors(parity / "nets_gauss.npz")
    std = {"squash": "state", "free_std": "free", "const_std": "one"}[kind]
    policy = Gaussian(
        v.meta["action_dim"], tuple(v.meta["hidden"]), squash=kind == "squash", std=std
    )
    params, out = v.gaussian(f"params.actor_{kind}"), f"out.actor_{kind}."
    obs = jnp.concatenate([v["in.observations"], v["in.goals"]], axis=-1)
    mean, log_std = policy.distribution(params, obs)
    close(mean, v[out + "all_mean"])
    close(jnp.exp(log_std), v[out + "all_std"])
    rows = len(obs) - len(v[out + "mean"])  # the first are far out
    obs, mean, log_std = obs[rows:], mean[rows:], log_std[rows:]
    noise, given = jnp.asarray(v[out + "noise"]), jnp.asarray(v["in.given_actions"][rows:])
    close(mean, v[out + "mean"])
    close(policy.mode(params, obs), v[out + "mode"])
    close(policy.log_prob(params, obs, given), v[out + "log_prob_given"], 5e-6)
    for suffix, temperature in [("", 1.0), ("_temp05", 0.5)]:
        log_std = log_std + jnp.log(temperature)
        u = mean + jnp.exp(log_std) * noise
        close(policy.action(u), v[f"{out}sample{suffix}"], 3e-6)
        expected = v[f"{out}sample{suffix}"].clip(-1, 1)
        close(policy.sample(params, obs, temperature * noise), expected, 3e-6)
        close(policy.density(u, mean, log_std), v[f"{out}sample_log_prob{suffix}"], 5e-6)
        u = jnp.arctanh(given) if policy.squash else given
        close(policy.density(u, mean, log_std), v[f"{out}log_prob_given{suffix}"], 5e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_targets(parity, name):
    v = IQLVectors(parity / f"{name}.npz")
    agent, params, batch = v.agent(), v.params(), v.batch()
    obs, action = batch.obs, batch.action[:, 0]
    slow = agent.critic.apply(v.target(), obs, action)
    close(slow, v["out.target_q_ensemble"], 3e-6)
    value = agent.value.apply(params.value, obs)
    close(value, v["out.v"], 3e-6)
    close(agent.q(v.target(), obs, action) - value, v["out.value_diff"], 3e-6)
    close(agent.td_target(params, batch), v["out.target_q"], 3e-6)
    close(agent.critic.apply(params.critic, obs, action), v["out.q"], 3e-6)
    mean, log_std = agent.policy.distribution(params.policy, obs)
    close(mean, v["out.mean"], 3e-6)
    close(jnp.exp(log_std), v["out.std"], 3e-6)
    close(agent.policy.log_prob(params.policy, obs, action), v["out.log_prob"], 5e-6)
    if v.weighted:
        advantage = agent.q(params.critic, obs, action) - value
        close(advantage, v["out.adv"], 3e-6)
        close(agent.extraction.weight(advantage), v["out.awr_weight"], 5e-6)
        assert name != "iql_awr_cap" or (v["out.awr_weight"] == agent.extraction.most).any()


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients(parity, name):
    v = IQLVectors(parity / f"{name}.npz")
    agent, params, batch = v.agent(), v.params(), v.batch()
    state = State(params, v.target(), None)
    grad, metrics = jax.grad(agent.loss, has_aux=True)(params, state, batch, v.noise())
    for ours, theirs in {"value": "value", "td": "critic", "policy": "actor"}.items():
        close(metrics[ours], v[f"loss.{theirs}"], 5e-6)
    close(metrics["loss"], v["loss.total"], 5e-6)
    if v.under("grad"):
        close_trees(grad, v.params("grad"), 2e-5 if name in STEEP else 5e-6)
    assert not any(x.any() for key, x in v.items() if key.startswith("grad.target_critic."))


@pytest.mark.parametrize("name", LOSSES)
def test_acting(parity, name):
    v = IQLVectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params()
    for case in ("act_single", "act_batch"):
        obs = jnp.asarray(v[f"{case}.observations"])
        sample = agent.policy.sample(params.policy, obs, jnp.asarray(v[f"{case}.noise"]))
        close(sample, v[f"{case}.actions"], 5e-6)
        chunk = agent.act(State(params, None, None), obs, jax.random.key(0))
        close(chunk[..., 0, :], v[f"{case}.actions_temp0"], 5e-6)


@pytest.mark.parametrize("name", UPDATES)
def test_updates(parity, name):
    """Several steps in a row, see `follow`."""
    v = IQLVectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params("before")
    follow(v, agent, State(params, v.target("before"), agent.tx.init(params)))
