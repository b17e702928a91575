"""MOPO and MOBILE against numbers made by running the authors' code (MAC's repository)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import Vectors
from test_parity import close, close_trees

from chunkrl.agents.gaussian_model import GaussianModel, Imagining, Params, State
from chunkrl.agents.gcsacbc import Regular
from chunkrl.agents.mopo import MOBILE, MOPO, Noise
from chunkrl.agents.rewards import Empty, GoalReward, LearnedReward
from chunkrl.blocks.policies import EntropicParams
from chunkrl.types import ChunkBatch

NAMES = ["mopo_rb", "mopo_gc_fixed", "mobile_rb", "mobile_gc"]
IMAGINED = 1e-5


class ModelVectors(Vectors):
    """Files of methods with an ensemble of Gaussians."""

    @property
    def goals(self) -> bool:
        return self.meta["goal_conditioned"]

    def model(self) -> GaussianModel:
        meta = self.meta
        reward = GoalReward(meta["gc_negative"]) if self.goals else LearnedReward(true_mask=True)
        return GaussianModel(
            meta["obs_dim"],
            meta["action_dim"],
            reward=reward,
            goal_dim=meta["goal_dim"] if self.goals else 0,
            hidden=tuple(meta["hidden"]),
            discount=meta["discount"],
            lr=meta["lr"],
            num_models=meta["num_dynamics"],
        )

    def networks(self, prefix, critic, policy) -> Params:
        net = lambda name, *members: self.net(f"{prefix}.{name}", *members)
        reward = Empty() if self.goals else net("reward")  # trained with goals too, unused
        dynamics = net("dynamics", self.meta["num_dynamics"])
        return Params(dynamics, reward, net("success"), critic, policy)

    def batch(self, prefix="batch") -> ChunkBatch:
        obs = self[f"{prefix}.observations"]
        field = lambda name, absent: jnp.asarray(self.get(f"{prefix}.{name}", absent))
        names = ("observations", "actions", "rewards", "masks", "next_observations")
        none = np.zeros((len(obs), 0), np.float32)
        goals = (field(f"{who}_goals", none) for who in ("value", "actor"))
        return ChunkBatch(*(field(name, obs) for name in names), *goals)

    def imagining(self, states, members, actions=None) -> Imagining:
        """Noise of those models that were drawn.  [K, E, R, O], [K, R] or [K, R, O]"""
        members = members if members.ndim == 3 else members[..., None]
        chosen = np.take_along_axis(states, members[:, None], axis=1)[:, 0]
        actions = np.zeros((*chosen.shape[:2], 0), np.float32) if actions is None else actions
        return Imagining(*map(jnp.asarray, (actions, chosen, members)))


class MOPOVectors(ModelVectors):
    def agent(self) -> MOPO:
        meta = self.meta
        policy = Regular(
            meta["action_dim"],
            tuple(meta["hidden"]),
            meta["layer_norm"],
            target_entropy=meta["target_entropy"] / meta["action_dim"],
        )
        same = {k: meta[k] for k in ("tau", "num_critics")}
        same |= {"penalty": meta["beta"], "aggregate": meta["q_agg"]}
        starts = len(self["rollout_batch.observations"])
        same |= {"rollout": meta["rollout_steps"], "rollout_batch": starts}
        if meta["case"] == "mopo":
            return MOPO(self.model(), policy, **same)
        return MOBILE(self.model(), policy, **same, samples=meta["num_samples"])

    def params(self, prefix="params") -> Params:
        policy = EntropicParams(
            self.gaussian(f"{prefix}.actor"), jnp.asarray(self[f"{prefix}.lam.log"])
        )
        critic = self.net(f"{prefix}.critic", self.meta["num_critics"])
        return self.networks(prefix, critic, policy)

    def noise(self) -> Noise:
        names = ("rollout.dynamics_noise", "rollout.member", "rollout.action_noise")
        return Noise(
            self.imagining(*(self[name] for name in names)),
            jnp.asarray(self["rand.next_noise"]),
            jnp.asarray(self["rand.noise"]),
            tuple(
                jnp.asarray(self[f"rand.penalty_{of}_noise"])
                for of in ("dyn", "actor")
                if f"rand.penalty_{of}_noise" in self
            ),
        )


@pytest.mark.parametrize("name", NAMES)
def test_imagined_steps(parity, name):
    v = MOPOVectors(parity / f"{name}.npz")
    agent, start = v.agent(), v.batch("rollout_batch")
    found = jax.jit(agent.imagine)(State(v.params(), None, None), start, v.noise().imagine)
    expected = v.batch("rollout.out")
    np.testing.assert_array_equal(found.mask, expected.mask)
    close_trees(found, expected, IMAGINED)


@pytest.mark.parametrize("name", NAMES)
def test_losses_and_gradients(parity, name):
    v = MOPOVectors(parity / f"{name}.npz")
    agent, params, noise = v.agent(), v.params(), v.noise()
    batch, imagined = v.batch(), v.batch("fake")
    state = State(params, v.target(), None)
    close(agent.doubt(state, imagined, noise.doubt), v["out.penalty"], IMAGINED)
    losses = jax.jit(jax.grad(agent.losses, has_aux=True))
    grad, metrics = losses(params, state, batch, imagined, noise)
    reward = {} if v.goals else {"reward": "reward"}
    names = {"td": "critic", "policy": "actor", "success_loss": "success", "doubt": "penalty_mean"}
    names |= {"dynamics": "dynamics", "temperature_loss": "lam", "entropy": "entropy", **reward}
    for ours, theirs in names.items():
        close(metrics[ours], v[f"loss.{theirs}"], IMAGINED)
    unused = v["loss.reward"] if v.goals else 0
    close(metrics["loss"], v["loss.total"] - unused, IMAGINED)
    if v.under("grad"):
        close_trees(grad, v.params("grad"), 5e-6)


@pytest.mark.parametrize("name", NAMES)
def test_acting(parity, name):
    v = MOPOVectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params()
    for case in ("act_single", "act_batch"):
        chunk = agent.act(State(params, None, None), v.seen(case), jax.random.key(0))
        close(chunk[..., 0, :], v[f"{case}.actions_temp0"], 5e-6)
        sample = agent.policy.sample(params.policy, v.seen(case), jnp.asarray(v[f"{case}.noise"]))
        close(sample, v[f"{case}.actions"], 5e-6)
