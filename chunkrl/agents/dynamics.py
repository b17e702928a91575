"""A learned model of chunks: where a chunk leads, what it pays, whether it succeeds."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from chunkrl.agents.rewards import Reward, Unrewarded
from chunkrl.blocks.networks import Network, Tree, mlp, scalar_mlp
from chunkrl.blocks.optim import State, descend
from chunkrl.types import ChunkBatch, ChunkDataset, Metrics, Reads


class ModelParams(NamedTuple):
    dynamics: Tree  # s_{t+h} - s_t
    reward: Tree
    success: Tree  # logit of the chunk reaching the goal, or solving the task


@dataclass(frozen=True)
class ChunkModel:
    """A deterministic model of h actions as one transition (MAC, arXiv 2512.08108, alg. 1).

        s_{t+h} = s_t + f(s_t, a_t ... a_{t+h-1}),      reward and mask as `reward` predicts them

    `params` is anything that has the fields of `ModelParams`: an agent that holds a model trains
    it among its own networks.  Alone, the model is an agent that never acts: `train.fit` takes it.
    """

    obs_dim: int
    action_dim: int
    chunk: int = 10  # h
    reward: Reward = field(default_factory=Unrewarded)
    goal_dim: int = 0
    hidden: tuple[int, ...] = (1024,) * 4
    discount: float = 0.999  # gamma, per action, of the rewards inside a chunk
    lr: float = 3e-4

    @property
    def reads(self) -> Reads:
        return self.reward.reads(self.chunk)

    @property
    def dynamics(self) -> Network:
        return mlp(self.hidden, self.obs_dim, norm=True)

    @property
    def head(self) -> Network:
        """The network of reward, and that of success: alike, with parameters of their own."""
        return scalar_mlp(self.hidden)

    @property
    def tx(self):
        return optax.adam(self.lr)

    def init_params(self, keys) -> ModelParams:
        """Fresh parameters of the three networks, from as many keys."""
        chunk = jnp.zeros((1, self.chunk * self.action_dim))
        obs, seen = jnp.zeros((1, self.obs_dim)), jnp.zeros((1, self.obs_dim + self.goal_dim))
        outcome = self.reward.init(self.head, keys[1], keys[2], seen, chunk)
        return ModelParams(self.dynamics.init(keys[0], obs, chunk), *outcome)

    def predict(self, params, obs, chunk):
        """s_{t+h} = s_t + f(s_t, a_{t:t+h}).  [*B, O], [*B, D] -> [*B, O]"""
        return obs + self.dynamics.apply(params.dynamics, obs.astype(chunk.dtype), chunk)

    def outcome(self, params, seen, chunk) -> tuple[jax.Array, jax.Array]:
        """Reward and mask of a chunk.  [*B, O + G], [*B, D] -> [*B] twice"""
        return self.reward.predict(self.head, params, seen, chunk)

    def dynamics_loss(self, params, batch: ChunkBatch):
        """mean (s_t + f(s_t, a) - s_{t+h})^2, over batch and dimensions.  -> []"""
        return optax.squared_error(
            self.predict(params, batch.obs, batch.chunk), batch.next_obs
        ).mean()

    def losses(self, params, batch: ChunkBatch) -> Metrics:
        """That of the dynamics, and those of `reward`."""
        seen = jnp.concatenate([batch.obs, batch.value_goal], axis=-1)
        dynamics = {"dynamics": self.dynamics_loss(params, batch)}
        return dynamics | self.reward.losses(self.head, params, seen, batch)

    def init(self, key) -> State:
        params = self.init_params(jax.random.split(key, 3))
        return State(params, self.tx.init(params))

    def draw(self, key, dataset: ChunkDataset, size: int) -> ChunkBatch:
        return self.reward.draw(key, dataset, size, self.chunk, self.discount)

    def noise(self, key, size: int) -> tuple[()]:
        """None: the losses draw nothing."""
        return ()

    def loss(self, params, batch: ChunkBatch) -> tuple[jax.Array, Metrics]:
        """All losses, added.  -> [], metrics"""
        metrics = self.losses(params, batch)
        return sum(metrics.values(), jnp.zeros(())), metrics

    def step(self, state: State, batch: ChunkBatch, noise: Any) -> tuple[State, Metrics]:
        """One step of one Adam over all losses."""
        return descend(self.tx, self.loss, state, batch)
