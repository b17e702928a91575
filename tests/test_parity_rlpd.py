"""The RLPD family against numbers made by running the authors' code."""

import jax
import jax.numpy as jnp
import pytest
from reference import Vectors
from test_parity import close, close_trees

from chunkrl.agents.actor_critic import Noise, Params, State
from chunkrl.agents.rlpd import RLPD, MaximumEntropy
from chunkrl.blocks.policies import EntropicParams

LOSSES = ["rlpd_h1", "rlpdac", "qcrlpd_bc", "qcrlpd_bc1_qmin"]
UPDATES = ["update_qcrlpd", "update_qcrlpd_biglr"]


class RLPDVectors(Vectors):
    def agent(self) -> RLPD:
        meta, hidden = self.meta, tuple(self.meta["hidden"])
        chunk = meta["horizon"]
        policy = MaximumEntropy(chunk * meta["action_dim"], hidden, alpha=meta["bc_alpha"])
        assert policy.target_entropy * policy.dim == meta["target_entropy"]
        settings = {k: meta[k] for k in ("discount", "tau", "lr", "num_critics")}
        settings |= {"hidden": hidden, "aggregate": meta["q_agg"]}
        return RLPD(meta["obs_dim"], meta["action_dim"], policy, chunk, chunk, **settings)

    def policy(self, prefix="params") -> EntropicParams:
        log = jnp.asarray(self[f"{prefix}.temperature.log"])
        return EntropicParams(self.gaussian(f"{prefix}.actor"), log)

    def params(self, prefix="params") -> Params:
        critic = self.net(f"{prefix}.critic", self.meta["num_critics"])
        return Params(critic, self.policy(prefix))

    def noise(self, prefix="rand") -> Noise:
        """The flow's is not used."""
        following, noise = (jnp.asarray(self[f"{prefix}.{k}"]) for k in ("next_noise", "noise"))
        unused = jnp.full_like(noise, jnp.nan)
        return Noise(following[None], unused, unused[:, :1], noise)


@pytest.mark.parametrize("name", ["nets_rlpd"])
def test_networks(parity):
    v = RLPDVectors(parity / "nets_rlpd.npz")
    hidden, members = tuple(v.meta["hidden"]), v.meta["num_critics"]
    obs, chunk = jnp.asarray(v["in.observations"]), jnp.asarray(v["in.actions"])
    policy = MaximumEntropy(chunk.shape[-1], hidden)
    agent = RLPD(obs.shape[-1], chunk.shape[-1], policy, 1, 1, hidden=hidden, num_critics=members)
    close(agent.critic.apply(v.net("params.critic", members), obs, chunk), v["out.critic"], 2e-6)
    for actor, out, rows in [("actor", "out.", 0), ("actor2", "out.actor2_", 1)]:
        params = EntropicParams(v.gaussian(f"params.{actor}"), jnp.zeros(()))
        seen, noise = obs[rows:], jnp.asarray(v[f"{out}noise"])
        mean, log_std = policy.distribution(params, seen)
        close(mean, v[f"{out}mean"], 2e-6)
        close(jnp.exp(log_std), v[f"{out}std"], 2e-6)
        close(mean + jnp.exp(log_std) * noise, v[f"{out}pre_tanh"], 2e-6)
        sample, log_prob = policy.draw(params, seen, noise)
        close(sample, v[f"{out}sample"], 2e-6)
        if actor == "actor":
            clipped = v["out.log_std_clipped"]
            close(log_std, clipped, 2e-6)
            assert policy.least in clipped
            close(policy.mode(params, seen), v["out.mode"], 2e-6)
        else:
            close(log_prob, v[f"{out}sample_log_prob"], 5e-6)
            given = policy.log_prob(params, seen, jnp.asarray(v["in.given_actions"]))
            close(given, v[f"{out}log_prob_given"], 5e-6)
    close(jnp.exp(v["params.temperature.log"]), v["out.temperature"], 2e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_targets(parity, name):
    v = RLPDVectors(parity / f"{name}.npz")
    agent, params, batch, noise = v.agent(), v.params(), v.batch(), v.noise()
    state = State(params, v.target(), None)
    mean, log_std = agent.policy.distribution(params.policy, batch.next_obs)
    close(mean, v["out.next_mean"], 2e-6)
    close(jnp.exp(log_std), v["out.next_std"], 2e-6)
    following = agent.propose(params, batch.next_obs, noise.propose)
    close(following, v["out.next_actions"], 2e-6)
    q = agent.critic.apply(state.target_critic, batch.next_obs, following)
    close(q, v["out.next_q_ensemble"], 2e-6)
    close(agent.q(state.target_critic, batch.next_obs, following), v["out.next_q"], 2e-6)
    target = agent.td_target(state, batch, following)
    close(target, v["out.target_q"], 2e-6)
    q = agent.critic.apply(params.critic, batch.obs, agent.flat_chunk(batch))
    close(q, v["out.q"], 2e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_the_policy(parity, name):
    v = RLPDVectors(parity / f"{name}.npz")
    agent, params, batch = v.agent(), v.params(), v.batch()
    mean, log_std = agent.policy.distribution(params.policy, batch.obs)
    close(mean, v["out.mean"], 2e-6)
    close(jnp.exp(log_std), v["out.std"], 2e-6)
    action, log_prob = agent.policy.draw(params.policy, batch.obs, v.noise().improve)
    close(action, v["out.actions"], 2e-6)
    close(log_prob, v["out.log_prob"], 5e-6)
    close(agent.critic.apply(params.critic, batch.obs, action), v["out.q_pi"], 2e-6)
    given = agent.policy.log_prob(params.policy, batch.obs, agent.flat_chunk(batch))
    close(given, v["out.bc_log_prob"], 5e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients(parity, name):
    v = RLPDVectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params()
    state = State(params, v.target(), None)
    loss = jax.jit(jax.grad(agent.loss, has_aux=True))
    grad, metrics = loss(params, state, v.batch(), v.noise())
    names = {
        "td": "critic",
        "clone": "bc",
        "climb": "actor_sac",
        "entropy": "entropy",
        "temperature": "temperature_value",
        "temperature_loss": "temperature",
        "loss": "total",
    }
    for ours, theirs in names.items():
        close(metrics[ours], v[f"loss.{theirs}"], 2e-6)
    close_trees(grad, v.params("grad"), 5e-6)
    assert not any(x.any() for key, x in v.items() if key.startswith("grad.target_critic."))


@pytest.mark.parametrize("name", LOSSES)
def test_acting(parity, name):
    v = RLPDVectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params()
    for case in ("act_single", "act_batch"):
        obs, noise = (jnp.asarray(v[f"{case}.{k}"]) for k in ("observations", "noise"))
        close(agent.propose(params, obs, noise[None]), v[f"{case}.actions"], 2e-6)


@pytest.mark.parametrize("name", UPDATES)
def test_updates(parity, name):
    """Several steps in a row: parameters and target critic, one step late.

    Adam's first step is lr g / (|g| + eps): of a gradient that is itself rounding it says nothing.
    """
    v = RLPDVectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params("before")
    assert v.meta["adam"] == {"b1": 0.9, "b2": 0.999, "eps": 1e-8}  # optax's defaults
    state = State(params, v.target("before"), agent.tx.init(params))
    step = jax.jit(agent.step)
    first = v.params("grad1")
    rounding = jax.tree.map(lambda g: (g != 0) & (jnp.abs(g) < 1e-6), first)
    assert sum(x.sum() for x in jax.tree.leaves(rounding)) < 5
    for k in range(1, v.meta["steps"] + 1):
        state, metrics = step(state, v.batch(f"batch{k}"), v.noise(f"rand{k}"))
        close(metrics["loss"], v[f"loss{k}.total"], 5e-6)
        after, slow = v.params(f"after{k}"), v.target(f"after{k}")
        ours = jax.tree.map(jnp.where, rounding, after, state.params)
        close_trees(ours, after, 1e-6)
        ours = jax.tree.map(jnp.where, rounding.critic, slow, state.target_critic)
        close_trees(ours, slow, 3e-7)
