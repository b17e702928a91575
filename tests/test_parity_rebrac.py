"""ReBRAC against numbers made by running the authors' code."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest
from reference import Vectors
from test_parity import close, close_trees

from chunkrl.agents.rebrac import Params, ReBRAC, State, Transitions
from chunkrl.blocks.policies import Gaussian

LOSSES = ["rebrac", "rebrac_alpha0", "rebrac_critic_only", "rebrac_nosquash"]
UPDATES = ["update_rebrac", "update_rebrac_biglr"]


class ReBRACVectors(Vectors):
    def agent(self) -> ReBRAC:
        meta, hidden = self.meta, tuple(self.meta["hidden"])
        norm, squash = meta["actor_layer_norm"], meta["tanh_squash"]
        policy = Gaussian(meta["action_dim"], hidden, norm, squash, "one")
        same = {k: meta[k] for k in ("alpha_critic", "discount", "tau", "lr", "num_critics")}
        names = {
            "alpha": "alpha_actor",
            "policy_every": "actor_freq",
            "action_noise": "actor_noise",
            "noise_clip": "actor_noise_clip",
        }
        same |= {ours: meta[theirs] for ours, theirs in names.items()}
        return ReBRAC(meta["obs_dim"], meta["action_dim"], policy, hidden=hidden, **same)

    def params(self, prefix="params", slow="") -> Params:
        critic = self.net(f"{prefix}.{slow}critic", self.meta["num_critics"])
        return Params(critic, self.gaussian(f"{prefix}.{slow}actor"))

    def transitions(self, prefix="batch") -> Transitions:
        return Transitions(self.batch(prefix), jnp.asarray(self[f"{prefix}.next_actions"]))

    def noise(self, prefix="rand"):
        return jnp.asarray(self[f"{prefix}.next_noise"])

    def state(self, agent, prefix="params", before=0) -> State:
        """After `before` updates."""
        params = self.params(prefix)
        slow = self.params(prefix, "target_")
        return State(params, slow, agent.tx.init(params), jnp.int32(before))


@pytest.mark.parametrize("name", LOSSES)
def test_targets(parity, name):
    v = ReBRACVectors(parity / f"{name}.npz")
    agent, batch = v.agent(), v.transitions()
    params, slow = v.params(), v.params(slow="target_")
    window = batch.window
    close(agent.policy.mode(slow.policy, window.next_obs), v["out.next_mode"], 3e-6)
    following = agent.perturbed(slow.policy, window.next_obs, v.noise())
    close(following, v["out.next_actions"], 3e-6)
    q = agent.critic.apply(slow.critic, window.next_obs, following)
    close(q, v["out.next_q_ensemble"], 3e-6)
    close(agent.td_target(slow, batch, following), v["out.target_q"], 3e-6)
    close(agent.critic.apply(params.critic, window.obs, window.action[:, 0]), v["out.q"], 3e-6)
    if v.meta["full_update"]:
        action = agent.policy.mode(params.policy, window.obs)
        close(action, v["out.actions"], 3e-6)
        close(agent.critic.apply(params.critic, window.obs, action), v["out.q_pi"], 3e-6)
        loss = agent.policy_loss(params, batch, partial(agent.q, params.critic))
        close(loss, v["loss.actor"], 3e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients(parity, name):
    v = ReBRACVectors(parity / f"{name}.npz")
    agent = v.agent()
    before = agent.policy_every - 1 if v.meta["full_update"] else 0
    state = v.state(agent, before=before)
    assert agent.full(state) == v.meta["full_update"]
    grad, metrics = jax.grad(agent.loss, has_aux=True)(
        state.params, state, v.transitions(), v.noise()
    )
    close(metrics["td"], v["loss.critic"], 3e-6)
    close(metrics["policy"], v.get("loss.actor", jnp.zeros(())), 3e-6)
    close(metrics["loss"], v["loss.total"], 3e-6)
    if v.under("grad"):
        close_trees(grad, v.params("grad"), 5e-6)
    assert not any(x.any() for key, x in v.items() if key.startswith("grad.target_"))


@pytest.mark.parametrize("name", [n for n in LOSSES if n != "rebrac_critic_only"])
def test_acting(parity, name):
    v = ReBRACVectors(parity / f"{name}.npz")
    agent = v.agent()
    state = v.state(agent)
    for case in ("act_single", "act_batch"):
        obs = jnp.asarray(v[f"{case}.observations"])
        noisy = agent.perturbed(state.params.policy, obs, jnp.asarray(v[f"{case}.noise"]))
        close(noisy, v[f"{case}.actions"], 5e-6)
        chunk = agent.act(state, obs, jax.random.key(0))
        close(chunk[..., 0, :], v[f"{case}.actions_temp0"], 5e-6)


@pytest.mark.parametrize("name", UPDATES)
def test_updates(parity, name):
    """Policy and targets only in every second update; its momentum moves the policy in all."""
    v = ReBRACVectors(parity / f"{name}.npz")
    agent = v.agent()
    assert v.meta["adam"] == {"b1": 0.9, "b2": 0.999, "eps": 1e-8}  # optax's defaults
    state = v.state(agent, "before")
    for k, full in enumerate(v.meta["full_update"], start=1):
        assert agent.full(state) == full
        old = state
        state, metrics = agent.step(state, v.transitions(f"batch{k}"), v.noise(f"rand{k}"))
        close(metrics["loss"], v[f"loss{k}.total"], 3e-6)
        if v.under(f"after{k}"):
            close_trees(state.params, v.params(f"after{k}"), 1e-6)
            close_trees(state.target, v.params(f"after{k}", "target_"), 3e-7)
        if not full:
            close_trees(state.target, old.target, 0.0)
    assert v.under(f"after{k}")
    if v.under("adam_mu"):
        adam = state.opt_state[0]
        close_trees(adam.mu, v.params("adam_mu"), 5e-6)
        close_trees(adam.nu, v.params("adam_nu"), 5e-6)
