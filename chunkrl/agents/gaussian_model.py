"""Models that know their doubt: ensembles of Gaussians, and single steps imagined in them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.scipy.stats import norm

from chunkrl.agents.actor_critic import SingleActions
from chunkrl.agents.dynamics import ChunkModel
from chunkrl.blocks.networks import Network, Tree, ensemble, mlp
from chunkrl.types import Array, ChunkBatch, ChunkDataset, Reads


class Imagining(NamedTuple):
    """All the randomness of K steps from R states."""

    action: Array  # [K, R, A]  normal: of the policy
    state: Array  # [K, R, O]   normal: of what follows
    member: Array  # [K, R, 1]  whole numbers below E: which model; [K, R, O]: of each number


@dataclass(frozen=True)
class GaussianModel(ChunkModel):
    """E Gaussians of where an action leads, all fitted to the same data (PETS, arXiv 1805.12114).

    s_{t+1} ~ N(s_t + f_e(s_t, a_t), sigma_e(s_t, a_t)^2),  log sigma_e = -5 + 6 sigmoid(x_e)
    """

    chunk: int = 1
    num_models: int = 7  # E

    @property
    def dynamics(self) -> Network:
        return ensemble(mlp(self.hidden, 2 * self.obs_dim, norm=True), self.num_models)

    def distribution(self, params, obs, chunk) -> tuple[jax.Array, jax.Array]:
        """Means and deviations of all models.  [*B, O], [*B, D] -> [E, *B, O] twice"""
        mean, x = jnp.split(self.dynamics.apply(params.dynamics, obs, chunk), 2, axis=-1)
        return obs[None] + mean, jnp.exp(6 * jax.nn.sigmoid(x) - 5)

    def follow(self, params, obs, chunk, noise, member):
        """What follows by one model for each row, mean + std z.  -> [*B, O]

        Where `member` has a number for each number of the state, by one model for each of them.
        """
        mean, std = self.distribution(params, obs, chunk)
        pick = lambda x: jnp.take_along_axis(x, member[None], axis=0)[0]
        return pick(mean) + pick(std) * noise

    def dynamics_loss(self, params, batch: ChunkBatch):
        """-mean over models and transitions of log N(s_{t+1}; mean, std^2), all numbers.  -> []"""
        mean, std = self.distribution(params, batch.obs, batch.chunk)
        return -norm.logpdf(batch.next_obs[None], mean, std).sum(axis=-1).mean()

    def randomness(self, key, steps: int, rows: int, mixed: bool = False) -> Imagining:
        """The noise of `steps` steps from `rows` states, the model drawn by row, or by number."""
        key_action, key_state, key_member = jax.random.split(key, 3)
        members = (steps, rows, self.obs_dim if mixed else 1)
        return Imagining(
            jax.random.normal(key_action, (steps, rows, self.chunk * self.action_dim)),
            jax.random.normal(key_state, (steps, rows, self.obs_dim)),
            jax.random.randint(key_member, members, 0, self.num_models),
        )

    def imagine(self, params, play: Callable, start: ChunkBatch, noise: Imagining) -> ChunkBatch:
        """K steps of a_k = `play`([s_k, g], z_k) from where `start` is.  [R, ...] -> [K, R, ...]

        Towards its goals of the value, with rewards and masks as the model predicts them.
        """

        def step(obs, noise: Imagining):
            seen = jnp.concatenate([obs, start.value_goal], axis=-1)
            action = play(seen, noise.action)
            next_obs = self.follow(params, obs, action, noise.state, noise.member)
            goals = start.value_goal, start.actor_goal
            outcome = self.outcome(params, seen, action)
            return next_obs, ChunkBatch(obs, action, *outcome, next_obs, *goals)

        return jax.lax.scan(step, start.obs, noise)[1]


class Params(NamedTuple):
    dynamics: Tree  # those of the model, as in `ModelParams`
    reward: Tree
    success: Tree
    critic: Tree
    policy: Tree


class State(NamedTuple):
    params: Params
    target_critic: Tree
    opt_state: optax.OptState


class Imaginative(SingleActions):
    """Critics and a policy of single actions beside a model, all of them trained at once."""

    model: GaussianModel
    rollout: int
    rollout_batch: int

    # Of the model's, what the critics and the policy share with it.
    obs_dim = property(lambda self: self.model.obs_dim)  # pyright: ignore[reportAssignmentType]
    action_dim = property(lambda self: self.model.action_dim)  # pyright: ignore[reportAssignmentType]
    goal_dim = property(lambda self: self.model.goal_dim)  # pyright: ignore[reportAssignmentType]
    hidden = property(lambda self: self.model.hidden)  # pyright: ignore[reportAssignmentType]
    discount = property(lambda self: self.model.discount)  # pyright: ignore[reportAssignmentType]
    lr = property(lambda self: self.model.lr)  # pyright: ignore[reportAssignmentType]

    @property
    def reads(self) -> Reads:
        """Those of the model, offline."""
        return replace(self.model.reads, over=True)  # pyright: ignore[reportCallIssue]

    def init(self, key) -> State:
        *keys, key_critic, key_policy = jax.random.split(key, 5)
        networks = self.init_networks(key_critic, key_policy)
        params = Params(*self.model.init_params(keys), *networks)
        return State(params, jax.tree.map(jnp.copy, params.critic), self.tx.init(params))

    def draw(self, key, dataset: ChunkDataset, size: int) -> ChunkBatch:
        return self.model.draw(key, dataset, size)

    def starts(self, batch: ChunkBatch) -> ChunkBatch:
        """The first rows of a batch, from which imagination starts.  [B, ...] -> [R, ...]"""
        return jax.tree.map(lambda leaf: leaf[: self.rollout_batch], batch)
