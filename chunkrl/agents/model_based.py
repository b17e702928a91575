"""Model-based value learning with chunks (MAC, arXiv 2512.08108), its ablations, and MVE."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from chunkrl.agents.imagination import Imagined, Noise, in_blocks
from chunkrl.agents.rewards import Reward
from chunkrl.blocks import targets
from chunkrl.blocks.networks import Params as Tree
from chunkrl.blocks.networks import mlp, scalar_mlp
from chunkrl.blocks.optim import descend, mean_of_blocks, polyak
from chunkrl.blocks.policies import Policy, best_of_n
from chunkrl.types import ChunkBatch, ChunkDataset, Chunks, GoalChunks, Metrics


class Params(NamedTuple):
    dynamics: Tree  # s_{t+h} - s_t
    reward: Tree
    success: Tree  # logit of the chunk reaching the goal, or solving the task
    value: Tree
    critic: Tree
    policy: Tree


class State(NamedTuple):
    params: Params  # differentiated and optimised
    target_value: Tree  # no gradient, no slots in the optimiser
    opt_state: optax.OptState


@dataclass(frozen=True)
class ModelBasedActorCritic:
    """V regressed on returns that the policy earns in a learned model of whole chunks.

    Goal-conditioned with `goal_dim` > 0; "seen" is then the state and the goal side by side, which
    every network but the model gets.  Defaults are those of MAC's code.  Methods are pure;
    `params` is differentiated, `state` constant.
    """

    obs_dim: int
    action_dim: int
    policy: Policy
    reward: Reward
    goal_dim: int = 0
    chunk: int = 10  # h
    rollout: int = 10  # K: imagined chunks
    rollout_batch: int = 1024  # R: rows of a batch that imagination starts from, at most
    lam: float = 1.0
    candidates: int = 8  # N: chunks that the critic chooses from while imagining
    act_candidates: int = 32  # N when acting
    execute: int = 1  # actions executed before acting again
    discount: float = 0.999  # gamma, per action: a chunk counts gamma^h
    tau: float = 0.005
    lr: float = 3e-4
    hidden: tuple[int, ...] = (1024,) * 4
    climb_imagined: bool = False  # the policy improves on imagined states, not on those of the data
    critic_on_data: bool = False  # the critic also learns from the data's chunks
    clone_value_goal: bool = (
        False  # the policy is cloned for the goals that the value is learned for
    )
    step_discount: bool = False  # MAC (FQL)'s code: returns count an imagined chunk gamma
    slow_value: bool = True  # returns end in the target value, not in the value
    logistic: bool = False  # values are probabilities: cross entropy on logits, returns in [0, 1]
    half: bool = False  # imagine in bfloat16, which some accelerators do faster
    rows: int = 1024  # that a network is given at once while imagining on a CPU

    @property
    def reads(self) -> Chunks | GoalChunks:
        return self.reward.reads(self.chunk)

    @property
    def dynamics(self):
        return mlp(self.hidden, self.obs_dim, norm=True)

    @property
    def scalar(self):
        """Success, value and critic, each with parameters of its own."""
        return scalar_mlp(self.hidden, norm=True)

    @property
    def tx(self):
        return optax.adam(self.lr)

    @property
    def chunk_discount(self) -> float:
        return self.discount**self.chunk

    def init(self, key) -> State:
        keys = jax.random.split(key, 6)
        chunk = jnp.zeros((1, self.chunk * self.action_dim))
        obs, seen = jnp.zeros((1, self.obs_dim)), jnp.zeros((1, self.obs_dim + self.goal_dim))
        value = self.scalar.init(keys[3], seen)
        params = Params(
            self.dynamics.init(keys[0], obs, chunk),
            self.reward.init(keys[1], seen, chunk),
            self.scalar.init(keys[2], seen, chunk),
            value,
            self.scalar.init(keys[4], seen, chunk),
            self.policy.init(keys[5], seen),
        )
        return State(params, jax.tree.map(jnp.copy, value), self.tx.init(params))

    def draw(self, key, dataset: ChunkDataset, size: int) -> ChunkBatch:
        return self.reward.draw(key, dataset, size, self.chunk, self.discount)

    def noise(self, key, size: int) -> Noise:
        """The noise of one update on `size` chunks."""
        key_flow, key_t, key_improve, key_rollout = jax.random.split(key, 4)
        dim, starts = self.chunk * self.action_dim, min(self.rollout_batch, size)
        improve = (self.rollout, starts, dim) if self.climb_imagined else (size, dim)
        return Noise(
            jax.random.normal(key_flow, (size, dim)),
            jax.random.uniform(key_t, (size, 1)),
            jax.random.normal(key_improve, improve),
            jax.random.normal(key_rollout, (self.rollout, self.candidates, starts, dim)),
        )

    def v(self, value, seen):
        """State value, from parameters of the value or its slow copy.  [*B, O + G] -> [*B]"""
        output = self.scalar.apply(value, seen)
        return jax.nn.sigmoid(output) if self.logistic else output

    def q(self, critic, seen, chunk):
        """Action value.  [*B, O + G], [*B, D] -> [*B]"""
        output = self.scalar.apply(critic, seen, chunk)
        return jax.nn.sigmoid(output) if self.logistic else output

    def predict(self, dynamics, obs, chunk):
        """s_{t+h} = s_t + f(s_t, a_{t:t+h}).  [*B, O], [*B, D] -> [*B, O]"""
        return obs + self.dynamics.apply(dynamics, obs.astype(chunk.dtype), chunk)

    def propose(self, params: Params, seen, noise):
        """argmax_j Q(s, a_j) over N samples a_j.  [*B, O + G], [N, *B, D] -> [*B, D]"""
        if len(noise) == 1:
            return self.policy.sample(params.policy, seen, noise[0])
        proposals = self.policy.sample(params.policy, seen[None], noise)
        return best_of_n(proposals, lambda chunks: self.q(params.critic, seen[None], chunks))

    def imagine(self, params: Params, obs, goal, noise) -> Imagined:
        """K chunks of the policy inside the model.  [R, O], [R, G], [K, N, R, D]

        Trajectories go on after a success; its mask cuts their returns.
        """
        dtype = jnp.bfloat16 if self.half else jnp.float32
        params, noise = jax.tree.map(lambda leaf: leaf.astype(dtype), (params, noise))

        def step(obs, noise):
            seen = jnp.concatenate([obs, goal], axis=-1)
            low = seen.astype(dtype)
            chunk = in_blocks(partial(self.propose, params), low, noise, self.rows)
            next_obs = self.predict(params.dynamics, obs, chunk)
            success = (self.scalar.apply(params.success, low, chunk) > 0).astype(jnp.float32)
            reward = self.reward.predict(params.reward, low, chunk, success)
            following = jnp.concatenate([next_obs, goal], axis=-1)
            return next_obs, Imagined(seen, chunk, following, reward, 1 - success)

        x = jax.lax.scan(step, obs, noise)[1]
        return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), x)

    def error(self, output, target):
        """The mean error of outputs of the value or the critic.  -> []"""
        loss = targets.cross_entropy if self.logistic else targets.squared
        return loss(output, target).mean()

    def returns(self, state: State, x: Imagined):
        """lambda-returns of every imagined state, at their ends the target value.  -> [K, R]"""
        end = state.target_value if self.slow_value else state.params.value
        discount = (self.discount if self.step_discount else self.chunk_discount) * x.mask
        if self.lam == 1:  # the values in between cancel
            return targets.value_expansion(x.reward, discount, self.v(end, x.next_seen[-1]))
        return targets.lambda_return(x.reward, discount, self.v(end, x.next_seen), self.lam)

    def td_target(self, params: Params, reward, mask, next_seen):
        """r + gamma^h mask V(s'), with the value itself, not its slow copy.  [*B] -> [*B]"""
        return reward + self.chunk_discount * mask * self.v(params.value, next_seen)

    def model_losses(self, params: Params, batch: ChunkBatch) -> dict:
        """Regression of the model, its reward and its success on the data's chunks."""
        seen = jnp.concatenate([batch.obs, batch.value_goal], axis=-1)
        predicted = self.predict(params.dynamics, batch.obs, batch.chunk)
        logit = self.scalar.apply(params.success, seen, batch.chunk)
        return {
            "dynamics": ((predicted - batch.next_obs) ** 2).mean(),
            "reward": self.reward.loss(params.reward, seen, batch.chunk, batch.reward),
            "success_loss": targets.cross_entropy(logit, 1 - batch.mask).mean(),
        }

    def value_losses(self, params: Params, state: State, batch: ChunkBatch, x: Imagined) -> Metrics:
        """The value on all imagined states, the critic on the chunks chosen at those of the data.

        "td" is the critic's; it counts the data's own chunks only with `critic_on_data`.
        """
        frozen, scalar = state.params, self.scalar
        target = self.td_target(frozen, x.reward[0], x.mask[0], x.next_seen[0])
        td = self.error(scalar.apply(params.critic, x.seen[0], x.chunk[0]), target)
        if self.critic_on_data:
            seen, next_seen = (
                jnp.concatenate([obs, batch.value_goal], axis=-1)
                for obs in (batch.obs, batch.next_obs)
            )
            target = self.td_target(frozen, batch.reward, batch.mask, next_seen)
            td += self.error(scalar.apply(params.critic, seen, batch.chunk), target)
        returns = self.returns(state, x)
        step_error = lambda params, x: self.error(scalar.apply(params, x[0]), x[1])
        value = mean_of_blocks(step_error)(params.value, (x.seen, returns))
        return {"value": value, "td": td, "imagined_return": returns.mean()}

    def policy_losses(self, params: Params, state: State, batch: ChunkBatch, x: Imagined, noise):
        """Cloning on the data, improvement there or on the imagined states.  -> metrics"""
        goal = batch.value_goal if self.clone_value_goal else batch.actor_goal
        seen = jnp.concatenate([batch.obs, goal], axis=-1)
        clone = self.policy.clone(params.policy, seen, batch.chunk, 1.0, noise.flow, noise.t)
        frozen, where = state.params, x.seen if self.climb_imagined else seen
        q = partial(self.q, frozen.critic)
        improve, info = self.policy.improve(params.policy, frozen.policy, where, q, noise.improve)
        return {"clone": clone, "improve": improve, **info}

    def loss(self, params: Params, state: State, batch: ChunkBatch, noise: Noise):
        """All losses, added: no parameters are shared, so that weights would not matter.

        -> [], metrics
        """
        n = noise.rollout.shape[2]
        x = self.imagine(state.params, batch.obs[:n], batch.value_goal[:n], noise.rollout)
        metrics = self.model_losses(params, batch)
        metrics |= self.value_losses(params, state, batch, x)
        metrics |= self.policy_losses(params, state, batch, x, noise)
        terms = ("dynamics", "reward", "success_loss", "value", "td", "clone", "improve")
        total = sum(metrics[name] for name in terms)
        return total, {"loss": total, **metrics}

    def step(self, state: State, batch: ChunkBatch, noise: Noise) -> tuple[State, Metrics]:
        """One step of one Adam over all losses, then one of the target value."""
        params, opt_state, metrics = descend(
            self.tx, self.loss, state.params, state.opt_state, state, batch, noise
        )
        # As published, the target follows the value of *before* this step.
        target_value = polyak(state.params.value, state.target_value, self.tau)
        return State(params, target_value, opt_state), metrics

    def act(self, state: State, obs, key):
        """The chunk to execute at `obs`, with the goal appended.  [*B, O + G] -> [*B, h, A]"""
        shape = (self.act_candidates, *obs.shape[:-1], self.chunk * self.action_dim)
        chunk = self.propose(state.params, obs, jax.random.normal(key, shape))
        return chunk.reshape(*obs.shape[:-1], self.chunk, self.action_dim)
