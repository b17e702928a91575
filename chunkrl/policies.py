"""Policy extraction: clone the data, improve on it with the critic, sample a chunk.

Noise is always an argument, so every function here is deterministic.  `params` is differentiated;
`frozen`, the same parameters, is not; `q(obs, chunk) -> [*B]` is a constant function.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from chunkrl import flow
from chunkrl.networks import Params, fourier_features, mlp


@dataclass(frozen=True)
class Flow:
    """A flow-matching clone of the data; improvement is left to best-of-n sampling (QC, BFN)."""

    dim: int
    hidden: tuple[int, ...] = (512,) * 4
    steps: int = 10
    fourier_dim: int = 0  # features of flow time; 0 feeds t itself, as the papers do

    @property
    def net(self):
        return mlp(self.hidden, self.dim)

    def init(self, key, obs):
        x = jnp.zeros((1, self.dim))
        return self.net.init(key, obs, x, self.embed(jnp.zeros((1, 1))))

    def embed(self, t):
        return fourier_features(t, self.fourier_dim) if self.fourier_dim else t

    def velocity(self, params, obs) -> flow.Velocity:
        return lambda x, t: self.net.apply(params, obs, x, self.embed(t))

    def clone(self, params, obs, chunk, valid, noise, t):
        """mean of valid (v(s, x_t, t) - (a - x_0))^2 over batch and dimensions.

        [B, O], [B, D], [B, D], [B, D], [B, 1] -> [].  Masked entries stay in the denominator.
        """
        return (flow.matching_error(self.velocity(params, obs), chunk, noise, t) * valid).mean()

    def improve(self, params, frozen, obs, q, noise):
        return 0.0, {}

    def sample(self, params, obs, noise):
        """The end of the flow from `noise`, clipped only there.  [*B, O], [*B, D] -> [*B, D]"""
        return flow.integrate(self.velocity(params, obs), noise, self.steps).clip(-1, 1)


class OneStepParams(NamedTuple):
    flow: Params
    head: Params


@dataclass(frozen=True)
class OneStep:
    """A one-step network distilled from the cloned flow and pushed up the critic (FQL, QC-FQL)."""

    dim: int
    alpha: float = 100.0  # weight of distillation against the critic
    normalize_q: bool = False  # divide the critic term by mean |Q|, an option of the FQL code
    hidden: tuple[int, ...] = (512,) * 4
    steps: int = 10

    @property
    def flow(self):
        return Flow(self.dim, self.hidden, self.steps)

    @property
    def head(self):
        return mlp(self.hidden, self.dim)

    def init(self, key, obs):
        key_flow, key_head = jax.random.split(key)
        head = self.head.init(key_head, obs, jnp.zeros((1, self.dim)))
        return OneStepParams(self.flow.init(key_flow, obs), head)

    def clone(self, params, obs, chunk, valid, noise, t):
        return self.flow.clone(params.flow, obs, chunk, valid, noise, t)

    def improve(self, params, frozen, obs, q, noise):
        """alpha mean (mu(s, z) - Flow(s, z))^2 - mean Q(s, clip mu(s, z)), one z for both.

        The flow is a constant here.  Chunks that cross the end of a trajectory are distilled too:
        the target is the flow, not the data.
        """
        proposal = self.head.apply(params.head, obs, noise)
        distill = ((proposal - self.flow.sample(frozen.flow, obs, noise)) ** 2).mean()
        value = q(obs, proposal.clip(-1, 1))
        weight = 1 / jax.lax.stop_gradient(jnp.abs(value).mean()) if self.normalize_q else 1.0
        loss = self.alpha * distill - weight * value.mean()
        return loss, {"distill": distill, "q_policy": value.mean()}

    def sample(self, params, obs, noise):
        """clip mu(s, z).  [*B, O], [*B, D] -> [*B, D]"""
        return self.head.apply(params.head, obs, noise).clip(-1, 1)


Policy = Flow | OneStep


def best_of_n(chunks, score: Callable):
    """The chunk of the highest score among n candidates.  [n, *B, D] -> [*B, D]"""
    best = score(chunks).argmax(axis=0)  # [*B]
    return jnp.take_along_axis(chunks, best[None, ..., None], axis=0)[0]
