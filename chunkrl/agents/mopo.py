"""Rewards that pay for the model's doubt: MOPO, and MOBILE, which doubts values."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from chunkrl.agents import presets
from chunkrl.agents.gaussian_model import GaussianModel, Imaginative, Imagining, Params, State
from chunkrl.agents.gcsacbc import Regular
from chunkrl.agents.method import method
from chunkrl.agents.rewards import GoalReward, LearnedReward
from chunkrl.blocks.networks import Aggregate, aggregated
from chunkrl.blocks.policies import Policy
from chunkrl.types import Array, ChunkBatch


class Noise(NamedTuple):
    """All the randomness of one update, F = KR."""

    imagine: Imagining
    following: Array  # [B + F, A]  normal: a' at s_{t+1}
    action: Array  # [B + F, A]     normal: a at s_t
    doubt: tuple[Array, ...] = ()  # of MOBILE: normal, see `doubt`


@dataclass(frozen=True)
class MOPO(Imaginative):
    """SAC on the data and on what a model imagines, which pays for its doubt u (MOPO).

        r(s, a) - beta u(s, a),     u = max_e ||sigma_e(s, a)||        (arXiv 2005.13239, alg. 1)

    Every update imagines K steps of the policy from R states of its batch.
    """

    # Departs from MAC's code: that imagines 50,000 times 5 steps every 1,000 updates, keeps what
    # five times gave, the first by an untrained model, and draws from it.
    model: GaussianModel
    policy: Regular
    penalty: float = 0.003  # beta
    rollout: int = 5  # K
    rollout_batch: int = 102  # R: rows of a batch that imagination starts from, at most
    tau: float = 0.005
    num_critics: int = 2
    aggregate: Aggregate = "min"  # of the target; the policy climbs the mean

    def noise(self, key, size: int) -> Noise:
        """The noise of one update on `size` transitions."""
        key_imagine, key_action, key_doubt = jax.random.split(key, 3)
        starts = min(size, self.rollout_batch)
        imagine = self.model.randomness(key_imagine, self.rollout, starts)
        rows = size + self.rollout * starts
        actions = jax.random.normal(key_action, (2, rows, self.action_dim))
        return Noise(imagine, *actions, doubt=self.doubt_noise(key_doubt, self.rollout * starts))

    def doubt_noise(self, key, rows: int) -> tuple[Array, ...]:
        return ()

    def doubt(self, state: State, x: ChunkBatch, noise: tuple[Array, ...]):
        """max_e ||sigma_e(s, a)||, of the model as it is (MOPO, arXiv 2005.13239).  -> [F]"""
        _, std = self.model.distribution(state.params, x.obs, x.chunk)
        return jnp.linalg.norm(std, axis=-1).max(axis=0)

    def imagine(self, state: State, batch: ChunkBatch, noise: Imagining) -> ChunkBatch:
        """What the policy meets in the model, told goals of the value.  [B, ...] -> [F, ...]"""
        play = partial(self.policy.sample, state.params.policy)
        x = self.model.imagine(state.params, play, self.starts(batch), noise)
        return jax.tree.map(lambda leaf: jax.lax.collapse(leaf, 0, 2), x)

    def td_target(self, state: State, batch: ChunkBatch, noise):
        """r + gamma mask min_k Q'_k(s', a', g), a' ~ pi(. | s', g), no entropy counted.  -> [B]

        With goals clipped to the values that there are, [-1/(1 - gamma), 0].
        """
        seen = jnp.concatenate([batch.next_obs, batch.value_goal], axis=-1)
        action = self.policy.sample(state.params.policy, seen, noise)
        following = aggregated(self.critic.apply(state.target_critic, seen, action), self.aggregate)
        target = batch.reward + self.discount * batch.mask * following
        return target.clip(-1 / (1 - self.discount), 0) if self.goal_dim else target

    def losses(self, params: Params, state: State, batch: ChunkBatch, x: ChunkBatch, noise: Noise):
        """Of SAC on data and imagined x, of the model on the data alone.  -> [], metrics"""
        doubt = self.doubt(state, x, noise.doubt)
        x = x._replace(reward=x.reward - self.penalty * doubt)
        both: ChunkBatch = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), batch, x)
        target = self.td_target(state, both, noise.following)
        seen, told = (
            jnp.concatenate([both.obs, goal], axis=-1)
            for goal in (both.value_goal, both.actor_goal)
        )
        td = ((self.critic.apply(params.critic, seen, both.chunk) - target[None]) ** 2).mean()
        q = lambda *at: self.critic.apply(state.params.critic, *at).mean(axis=0)
        policy, info = self.policy.improve(
            params.policy, state.params.policy, told, q, noise.action
        )
        parts = {**self.model.losses(params, batch), "td": td, "policy": policy}
        total = sum(parts.values(), jnp.zeros(()))
        return total, {"loss": total, **parts, **info, "doubt": doubt.mean()}

    def loss(self, params: Params, state: State, batch: ChunkBatch, noise: Noise):
        """All losses, added.  -> [], metrics"""
        return self.losses(params, state, batch, self.imagine(state, batch, noise.imagine), noise)


@dataclass(frozen=True)
class MOBILE(MOPO):
    """MOPO that doubts where its models disagree about values (MOBILE, ICML 2023).

    u = std_e mean_j mean_k Q'_k(s'_ej, a'_ej),    s'_ej ~ model e,  a'_ej ~ pi,  j = 1 ... S
    """

    samples: int = 5  # S

    def doubt_noise(self, key, rows: int) -> tuple[Array, ...]:
        """For states [E, S, F, O] and actions [E, S, F, A]."""
        keys, shape = jax.random.split(key), (self.model.num_models, self.samples, rows)
        dims = self.obs_dim, self.action_dim
        return tuple(jax.random.normal(k, (*shape, dim)) for k, dim in zip(keys, dims, strict=True))

    def doubt(self, state: State, x: ChunkBatch, noise: tuple[Array, ...]):
        """The deviation over models of the value that follows, its target's goal told.  -> [F]"""
        mean, std = self.model.distribution(state.params, x.obs, x.chunk)
        following = mean[:, None] + std[:, None] * noise[0]  # [E, S, F, O]
        goal = jnp.broadcast_to(x.value_goal, (*following.shape[:-1], self.goal_dim))
        seen = jnp.concatenate([following, goal], axis=-1)
        action = self.policy.sample(state.params.policy, seen, noise[1])
        values = self.critic.apply(state.target_critic, seen, action)  # [num_critics, E, S, F]
        return values.mean(axis=(0, 2)).std(axis=0)


def single_steps(
    kind: type,
    policy: Callable[..., Policy],
    obs_dim: int,
    action_dim: int,
    goal_dim: int = 0,
    num_models: int = GaussianModel.num_models,
    hidden: tuple[int, ...] = GaussianModel.hidden,
    discount: float = GaussianModel.discount,
    lr: float = GaussianModel.lr,
    **learning: Annotated[Any, MOPO],
) -> Any:
    """Learning in an ensemble, with rewards and ends of single steps as the data have them."""
    reward = GoalReward() if goal_dim else LearnedReward(true_mask=True)
    told = {"goal_dim": goal_dim, "hidden": hidden, "discount": discount, "lr": lr}
    model = GaussianModel(obs_dim, action_dim, reward=reward, num_models=num_models, **told)
    return kind(model, policy(action_dim, hidden), **learning)


@method(presets.DYNA)
def mopo(
    target_entropy: float = Regular.target_entropy, **settings: Annotated[Any, single_steps]
) -> MOPO:
    """SAC in a model, where rewards pay for its deviation (arXiv 2005.13239)."""
    return single_steps(MOPO, partial(Regular, target_entropy=target_entropy), **settings)


@method(presets.DYNA)
def mobile(
    samples: int = MOBILE.samples,
    target_entropy: float = Regular.target_entropy,
    **settings: Annotated[Any, single_steps],
) -> MOBILE:
    """`mopo` that doubts values: MOBILE (ICML 2023) as MAC has it (arXiv 2512.08108, baselines)."""
    policy = partial(Regular, target_entropy=target_entropy)
    return single_steps(MOBILE, policy, samples=samples, **settings)
