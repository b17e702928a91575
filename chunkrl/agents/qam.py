"""QAM: a flow that the critic's slope tilts, without a gradient through its own steps."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from chunkrl.agents import presets
from chunkrl.agents.extraction import OnFlow, SlowFlow, State, extraction
from chunkrl.agents.method import method
from chunkrl.blocks.flow import Velocity
from chunkrl.blocks.networks import Tree


def times(noise):
    """t = 0, dt ... 1 - dt at every number's row, and dt = 1 / T.  [T, *B, D] -> [T, *B, 1], dt"""
    steps = len(noise)
    t = jnp.arange(steps).reshape(-1, *(1,) * (noise.ndim - 1)) / steps
    return jnp.broadcast_to(t, (*noise.shape[:-1], 1)), 1 / steps


def memoryless(fine: Velocity, base: Velocity, noise):
    """A path whose end knows nothing of its start.  [T, *B, D] -> [T + 1, *B, D]

        x_{t+dt} = x_t + dt (2 f(x_t, t) - x_t / (t + dt)) + sqrt(dt) sigma_t eps_t
        sigma_t^2 = 2 (1 - t + dt) / (t + dt)

    The last step follows the flow: x_1 = x_t + dt f_b(x_t, t).  `noise` is x_0, then every eps.
    """
    t, dt = times(noise)

    def step(x, now):
        t, noise = now
        drift = 2 * fine(x, t) - x / (t + dt)
        return x + dt * drift + (dt * variance(t, dt)) ** 0.5 * noise, x

    last, path = jax.lax.scan(step, noise[0], (t[:-1], noise[1:]))
    return jnp.concatenate([path, last[None], (last + dt * base(last, t[-1]))[None]])


def variance(t, dt):
    """sigma_t^2."""
    return 2 * (1 - t + dt) / (t + dt)


def lean_adjoint(base: Velocity, path, end):
    """What a change of each x_t changes at the end, had the cloned flow made the path.

        g_t = g_{t+dt} + dt J^T g_{t+dt},    J = d/dx [2 f_b(x, t + dt) - x / (t + dt)] at x_t

    [T, *B, D], [*B, D] -> [T, *B, D]; g_1 = `end`, x_1 is no part of `path`.
    """
    t, dt = times(path)

    def step(g, now):
        x, t = now
        _, pull = jax.vjp(lambda x: 2 * base(x, t + dt) - x / (t + dt), x)
        g = g + dt * pull(g)[0]
        return g, g

    return jax.lax.scan(step, end, (path, t), reverse=True)[1]


class FineParams(NamedTuple):
    flow: Tree  # f_b, which clones
    fine: Tree  # f, which is played


@dataclass(frozen=True)
class AdjointMatching(OnFlow):
    """A second flow, whose chunks are as likely as the cloned flow's times exp(beta Q).

    The adjoint is lean (arXiv 2409.08861): it leaves the fine field's own slope out.
    """

    beta: float = 3.0

    @property
    def rounds(self) -> int:
        return self.steps

    def init(self, key, obs) -> FineParams:
        return FineParams(*(self.flow.init(key, obs) for key in jax.random.split(key)))

    def improve(self, params, frozen, obs, q, noise):
        """mean over the batch of sum_t |2 (f - f_b) / sigma_t + sigma_t g_t|^2.  -> [], metrics

        g_1 = -beta dQ(s, clip x_1) / dx_1 on a path of f, a constant.  noise [T, B, D].
        """
        base, fine = (self.flow.velocity(tree, obs) for tree in frozen)
        path = memoryless(fine, base, noise)
        slope = jax.grad(lambda x: q(obs, x.clip(-1, 1)).sum())(path[-1])
        path, (t, dt) = path[:-1], times(noise)
        adjoint, sigma = lean_adjoint(base, path, -self.beta * slope), variance(t, dt) ** 0.5
        base, fine = (self.flow.velocity(x, obs[None]) for x in (frozen.flow, params.fine))
        error = 2 / sigma * (fine(path, t) - base(path, t)) + sigma * adjoint
        match = (error**2).sum(axis=(0, 2)).mean()
        return match, {"match": match, "adjoint": jnp.abs(adjoint).mean()}

    def sample(self, params, obs, noise):
        """The end of f, of f_b where beta = 0, clipped.  [*B, O], [*B, D] -> [*B, D]"""
        return self.flow.sample(params.fine if self.beta else params.flow, obs, noise)


@dataclass(frozen=True)
class QAM(SlowFlow):
    """Q-learning with adjoint matching: pi(a | s) = pi_b(a | s) exp(beta Q(s, a)) / Z(s).

    arXiv 2601.14234, without its variants that edit or distill.  Q and pi_b are slow copies.
    """

    policy: AdjointMatching

    @property
    def tx(self) -> optax.GradientTransformation:
        return optax.chain(optax.clip_by_global_norm(1.0), super().tx)  # as published

    def slow(self, state: State) -> Any:
        """`state` with slow copies in the places of flow and critic."""
        state = super().slow(state)
        return state._replace(params=state.params._replace(critic=state.target_critic))


@method(presets.ONE_STEP)
def qam(beta: float = AdjointMatching.beta, **settings: Annotated[Any, extraction]) -> QAM:
    """A flow that adjoint matching tilts towards high values (arXiv 2601.14234)."""
    return extraction(QAM, partial(AdjointMatching, beta=beta), **settings)
