"""Q-chunking from nothing, as notebook 14 builds it: six functions and the agent made of them.

The functions are the library's answers to the exercises of the notebook, in plain JAX; a test holds
them against `agents.actor_critic`.  arXiv 2507.07969, eqs. 9 to 11.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from chunkrl.blocks.networks import ensemble, mlp, scalar_mlp
from chunkrl.data import windows
from chunkrl.types import Batch, Dataset, Metrics, Windows


class Params(NamedTuple):
    """What gradients are taken of."""

    critic: Any
    policy: Any


class State(NamedTuple):
    params: Params
    target: Any  # the critic's slow copy
    optimiser: Any


class Noise(NamedTuple):
    """All the randomness of one update, D = hA."""

    propose: jax.Array  # [N, B, D]  normal
    flow: jax.Array  # [B, D]        normal
    t: jax.Array  # [B, 1]           uniform


@dataclass(frozen=True)
class Nets:
    """Two networks and the numbers of one agent: what is given before the reader writes."""

    obs_dim: int
    action_dim: int
    h: int = 5
    N: int = 8
    K: int = 3  # Euler steps
    discount: float = 0.99
    tau: float = 0.005
    lr: float = 1e-3
    hidden: tuple[int, ...] = (128,) * 3

    @property
    def D(self) -> int:
        """Numbers in a chunk."""
        return self.h * self.action_dim

    def velocity(self, policy, obs) -> Callable:
        """v(x, t), the flow's velocity at `obs`: [*N, B, D], [*N, B, 1] -> [*N, B, D]"""
        net = mlp(self.hidden, self.D)
        return lambda x, t: net.apply(policy, _beside(obs, x), x, t)

    def q(self, critic, obs, chunk):
        """What two critics say of chunks.  [B, O], [*N, B, D] -> [2, *N, B]"""
        return ensemble(scalar_mlp(self.hidden), 2).apply(critic, _beside(obs, chunk), chunk)

    @property
    def adam(self):
        return optax.adam(self.lr)

    def init(self, key) -> State:
        key_critic, key_policy = jax.random.split(key)
        obs, chunk = jnp.zeros((1, self.obs_dim)), jnp.zeros((1, self.D))
        critic = ensemble(scalar_mlp(self.hidden), 2).init(key_critic, obs, chunk)
        policy = mlp(self.hidden, self.D).init(key_policy, obs, chunk, jnp.zeros((1, 1)))
        params = Params(critic, policy)
        return State(params, jax.tree.map(jnp.copy, critic), self.adam.init(params))

    def noise(self, key, size: int) -> Noise:
        propose, flow, t = jax.random.split(key, 3)
        return Noise(
            jax.random.normal(propose, (self.N, size, self.D)),
            jax.random.normal(flow, (size, self.D)),
            jax.random.uniform(t, (size, 1)),
        )


def _beside(obs, x):
    """[B, O] -> [1, ..., B, O], which stands once beside all x [*N, B, D]"""
    return obs.reshape((1,) * (x.ndim - obs.ndim) + obs.shape)


def flow_loss(velocity, chunk, valid, noise, t):
    """mean of valid (v(x_t, t) - (a - x_0))^2,  x_t = (1 - t) x_0 + t a.  [B, D] -> []"""
    x = (1 - t) * noise + t * chunk
    return (valid * (velocity(x, t) - (chunk - noise)) ** 2).mean()


def sample(velocity, noise, K):
    """K Euler steps from noise at t = 0 to an action at t = 1, clipped to [-1, 1].  [*B, D]"""
    x = noise
    for k in range(K):
        x = x + velocity(x, jnp.full((*x.shape[:-1], 1), k / K)) / K
    return x.clip(-1, 1)


def best_of_n(chunks, scores):
    """The chunk of the highest score.  [N, B, D], [N, B] -> [B, D]"""
    return chunks[scores.argmax(0), jnp.arange(chunks.shape[1])]


def chunk_target(returns, mask, next_q, discount):
    """R^h + gamma^h mask_h mean_k Q_k(s_h, a').  [B, h], [B, h], [2, B] -> [B]"""
    h = returns.shape[1]
    return returns[:, -1] + discount**h * mask[:, -1] * next_q.mean(0)


def loss(nets, params, state, batch, noise):
    """The critic's squared error and the flow's loss, added.  -> []"""
    old = state.params
    chunks = sample(nets.velocity(old.policy, batch.next_obs), noise.propose, nets.K)
    next_chunk = best_of_n(chunks, nets.q(old.critic, batch.next_obs, chunks).mean(0))
    next_q = nets.q(state.target, batch.next_obs, next_chunk)
    y = chunk_target(batch.returns, batch.mask, next_q, nets.discount)
    chunk = batch.action.reshape(len(batch.action), -1)
    error = nets.q(params.critic, batch.obs, chunk) - y[None]
    td = (batch.valid[None, :, -1] * error**2).mean()
    valid = jnp.repeat(batch.valid, nets.action_dim, axis=1)
    velocity = nets.velocity(params.policy, batch.obs)
    return td + flow_loss(velocity, chunk, valid, noise.flow, noise.t)


def update(loss, nets, state, batch, noise):
    """One step of Adam, then target <- (1 - tau) target + tau critic, with the critic of before.

    -> state, loss []
    """
    value, gradient = jax.value_and_grad(lambda params: loss(nets, params, state, batch, noise))(
        state.params
    )
    changes, optimiser = nets.adam.update(gradient, state.optimiser)
    params = jax.tree.map(lambda p, change: p + change, state.params, changes)
    slow = lambda target, critic: (1 - nets.tau) * target + nets.tau * critic
    return State(params, jax.tree.map(slow, state.target, state.params.critic), optimiser), value


def play(plan, step, obs, h):
    """The number of steps until `step(action) -> obs, done` says done, h actions a plan."""
    steps, done = 0, False
    while not done:
        for action in plan(obs)[:h]:
            obs, done = step(action)
            steps += 1
            if done:
                break
    return steps


class Pieces(NamedTuple):
    """The functions of an agent, the reader's or the library's."""

    sample: Callable = sample
    best_of_n: Callable = best_of_n
    loss: Callable = loss
    update: Callable = update


LIBRARY = Pieces()


@dataclass(frozen=True)
class Written:
    """An agent made of the functions of notebook 14, for `train.fit` and `Evaluator`."""

    nets: Nets
    pieces: Pieces = LIBRARY

    @property
    def reads(self) -> Windows:
        return Windows(self.nets.h)

    @property
    def chunk(self) -> int:
        return self.nets.h

    execute = chunk

    def init(self, key) -> State:
        return self.nets.init(key)

    def draw(self, key, dataset: Dataset, size: int) -> Batch:
        return windows.sample(key, dataset, size, self.nets.h, self.nets.discount)

    def noise(self, key, size: int) -> Noise:
        return self.nets.noise(key, size)

    def step(self, state: State, batch: Batch, noise: Noise) -> tuple[State, Metrics]:
        state, value = self.pieces.update(self.pieces.loss, self.nets, state, batch, noise)
        return state, {"loss": value}

    def act(self, state: State, obs, key):
        """The chunk to execute at one observation, or at many.  [*B, O] -> [*B, h, A]"""
        nets, rows = self.nets, obs.reshape(-1, obs.shape[-1])
        noise = jax.random.normal(key, (nets.N, len(rows), nets.D))
        chunks = self.pieces.sample(nets.velocity(state.params.policy, rows), noise, nets.K)
        chunk = self.pieces.best_of_n(chunks, nets.q(state.params.critic, rows, chunks).mean(0))
        return chunk.reshape(*obs.shape[:-1], nets.h, nets.action_dim)
