"""LEQ against numbers made by running the authors' code (MAC's repository)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_parity import close, close_trees
from test_parity_mopo import IMAGINED, ModelVectors

from chunkrl.agents.gaussian_model import Params, State
from chunkrl.agents.leq import LEQ, Noise
from chunkrl.blocks.policies import Gaussian

NAMES = ["leq_gc", "leq_gc_fixed", "leq_rb"]


class LEQVectors(ModelVectors):
    def agent(self) -> LEQ:
        meta = self.meta
        hidden, norm = tuple(meta["hidden"]), meta["layer_norm"]
        policy = Gaussian(meta["action_dim"], hidden, norm, meta["tanh_squash"], "one")
        return LEQ(
            self.model(),
            policy,
            meta["expectile"],
            meta["lam"],
            meta["model_batch_ratio"],
            fit_imagined=not meta["as_released"],
            rollout=meta["rollout_steps"],
            tau=meta["tau"],
        )

    def params(self, prefix="params") -> Params:
        critic = self.alone(f"{prefix}.critic")
        return self.networks(prefix, critic, self.gaussian(f"{prefix}.actor"))

    def target(self, prefix="params"):
        return self.alone(f"{prefix}.target_critic")

    def noise(self) -> Noise:
        parts = ("rollout_noise", "rollout_member")
        return Noise(
            *(self.imagining(*(self[f"rand.{w}{part}"] for part in parts)) for w in ("", "actor_"))
        )


@pytest.mark.parametrize("name", NAMES)
def test_imagined_trajectories(parity, name):
    """Both: of rows, and of rows whose states mix models; returns and their slopes by actions."""
    v = LEQVectors(parity / f"{name}.npz")
    agent, params, batch, noise = v.agent(), v.params(), v.batch(), v.noise()
    told = batch._replace(value_goal=batch.actor_goal)
    paths = [("", "", batch, noise.critic), ("actor_", "actor_", told, noise.policy)]
    for imagined, weights, start, draws in paths:
        x = jax.jit(agent.imagine)(params, start, draws)
        obs = jnp.concatenate([x.step.obs, x.step.next_obs[-1:]])
        close(obs, v[f"out.{imagined}rollout_observations"], IMAGINED)
        close(x.action, v[f"out.{imagined}rollout_actions"], IMAGINED)
        np.testing.assert_array_equal(x.alive, v[f"out.{weights}mask_weights"])
        returns = v[f"out.{weights}lambda_returns"][: agent.rollout]
        close(agent.returns(params, x), returns, IMAGINED)
    slope, weight = jax.jit(agent.slopes)(params, x, noise.policy)
    close(slope, v["out.action_gradient"], IMAGINED)
    close(weight, v["out.actor_weights"], 0)


@pytest.mark.parametrize("name", NAMES)
def test_losses_and_gradients(parity, name):
    v = LEQVectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params()
    losses = jax.jit(jax.grad(agent.loss, has_aux=True))
    grad, metrics = losses(params, State(params, v.target(), None), v.batch(), v.noise())
    of_data = (1 - agent.imagined_share) * (v["loss.critic_data"] + v["loss.reg_data"])
    close(metrics["td"], of_data, IMAGINED)
    close(metrics["td"] + metrics["imagined"], v["loss.critic"], IMAGINED)
    close(metrics["policy"], v["loss.actor"], IMAGINED)
    unused = v["loss.reward"] if v.goals else 0
    close(metrics["loss"], v["loss.total"] - unused, IMAGINED)
    if v.under("grad"):
        close_trees(grad, v.params("grad"), 5e-6)


@pytest.mark.parametrize("name", NAMES)
def test_acting(parity, name):
    v = LEQVectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params()
    for case in ("act_single", "act_batch"):
        chunk = agent.act(State(params, None, None), v.seen(case), jax.random.key(0))
        close(chunk[..., 0, :], v[f"{case}.actions"], 5e-6)
