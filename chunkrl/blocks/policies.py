"""Policy extraction: clone the data, improve on it with the critic, sample a chunk.

`obs` is whatever the policy looks at: the state, or the state and a goal side by side.  It may have
leading axes of size 1 where the noise has more, and is then looked at once for all of them.  Noise
is always an argument.  `params` is differentiated; `frozen`, the same parameters, is not;
`q(obs, chunk) -> [*B]` is a constant function.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from chunkrl.blocks import flow
from chunkrl.blocks.networks import Tree, fourier_features, mlp


class Imitating:
    """A policy that only imitates: improvement is left to best-of-n sampling."""

    def improve(self, params, frozen, obs, q, noise):
        return 0.0, {}


@dataclass(frozen=True)
class Flow(Imitating):
    """A flow-matching clone of the data (QC, BFN).

    arXiv 2210.02747, theorem 2; as a policy arXiv 2507.07969, eqs. 9 to 11.
    """

    dim: int
    hidden: tuple[int, ...] = (512,) * 4
    steps: int = 10
    fourier_dim: int = 0  # features of flow time; 0 feeds t itself, as the papers do
    norm: bool = False  # LayerNorm, as MAC's policies have it

    @property
    def net(self):
        return mlp(self.hidden, self.dim, self.norm)

    def init(self, key, obs):
        return self.net.init(key, obs, jnp.zeros((1, self.dim)), self.embed(jnp.zeros((1, 1))))

    def embed(self, t):
        return fourier_features(t, self.fourier_dim) if self.fourier_dim else t

    def velocity(self, params, obs) -> flow.Velocity:
        return lambda x, t: self.net.apply(params, obs, x, self.embed(t))

    def clone(self, params, obs, chunk, valid, noise, t):
        """mean of valid (v(s, x_t, t) - (a - x_0))^2 over batch and dimensions.

        [B, O], [B, D], [B, D], [B, D], [B, 1] -> [].  Masked entries stay in the denominator.
        """
        return (flow.matching_error(self.velocity(params, obs), chunk, noise, t) * valid).mean()

    def end(self, params, obs, noise):
        """The end of the flow from `noise`.  [*B, O], [*B, D] -> [*B, D]"""
        return flow.integrate(self.velocity(params, obs), noise, self.steps)

    def sample(self, params, obs, noise):
        """The same clipped, as actions are.  [*B, O], [*B, D] -> [*B, D]"""
        return self.end(params, obs, noise).clip(-1, 1)

    def resume(self, params, obs, noise, known, weight):
        """A sample that goes on from what is `known` of it: see `flow.guided`.  -> [*B, D]

        The limit is the paper's 5 of 5 steps, and with fewer their number: a first step that
        closes more than the gap would go beyond it.
        """
        field = flow.guided(self.velocity(params, obs), known, weight, min(self.steps, 5))
        return flow.integrate(field, noise, self.steps).clip(-1, 1)


def magnitude(value):
    """mean |Q|, a constant to divide by, for any scale (arXiv 2106.06860, eq. 5).  [B] -> []"""
    return jax.lax.stop_gradient(jnp.abs(value).mean())


class OneStepParams(NamedTuple):
    flow: Tree
    head: Tree


@dataclass(frozen=True)
class OneStep:
    """A one-step network distilled from the cloned flow.

    It climbs the critic as well (FQL, arXiv 2502.02538, alg. 1; QC-FQL, arXiv 2507.07969, alg. 2;
    MAC (FQL)), or only imitates (MAC, arXiv 2512.08108, alg. 1).
    """

    dim: int
    alpha: float = 100.0  # weight of distillation against the critic
    normalize_q: bool = False  # divide the critic term by mean |Q|, an option of the FQL code
    hidden: tuple[int, ...] = (512,) * 4
    steps: int = 10
    norm: bool = False
    climb: bool = True  # whether the critic pushes

    @property
    def flow(self):
        return Flow(self.dim, self.hidden, self.steps, norm=self.norm)

    @property
    def head(self):
        return mlp(self.hidden, self.dim, self.norm)

    def init(self, key, obs):
        key_flow, key_head = jax.random.split(key)
        head = self.head.init(key_head, obs, jnp.zeros((1, self.dim)))
        return OneStepParams(self.flow.init(key_flow, obs), head)

    def clone(self, params, obs, chunk, valid, noise, t):
        return self.flow.clone(params.flow, obs, chunk, valid, noise, t)

    def improve(self, params, frozen, obs, q, noise):
        """alpha mean (mu(s, z) - Flow(s, z))^2 - mean Q(s, clip mu(s, z)), one z for both.

        Chunks that cross the end of a trajectory count too: the target is the flow, a constant.
        `normalize_q` divides the second term by mean |Q|, over states the mean of a column [K, B].
        """
        proposal = self.head.apply(params.head, obs, noise)
        distill = ((proposal - self.flow.sample(frozen.flow, obs, noise)) ** 2).mean()
        if not self.climb:
            return self.alpha * distill, {"distill": distill}
        value, weight = q(obs, proposal.clip(-1, 1)), 1.0
        if self.normalize_q:
            weight = 1 / magnitude(value.reshape(-1, value.shape[-1]).mean(axis=0))
        loss = self.alpha * distill - weight * value.mean()
        return loss, {"distill": distill, "q_policy": value.mean()}

    def sample(self, params, obs, noise):
        """clip mu(s, z).  [*B, O], [*B, D] -> [*B, D]"""
        return self.head.apply(params.head, obs, noise).clip(-1, 1)

    def resume(self, params, obs, noise, known, weight):
        """As `Flow.resume`, of the head as a flow of one step: mu(s, z) = z + v.  -> [*B, D]"""
        velocity = lambda x, t: self.head.apply(params.head, obs, x) - x
        return flow.integrate(flow.guided(velocity, known, weight, 1), noise, 1).clip(-1, 1)


class GaussianParams(NamedTuple):
    net: Tree
    log_std: jax.Array  # [D], before it is clipped


@dataclass(frozen=True)
class Gaussian(Imitating):
    """A Gaussian, squashed by tanh (SAC, arXiv 1801.01290, appendix C) or clipped.

    It is cloned by likelihood; its deviation is a function of the state, free parameters, or one.
    """

    dim: int
    hidden: tuple[int, ...] = (512,) * 4
    norm: bool = True
    squash: bool = True
    std: Literal["state", "free", "one"] = "state"
    least = -5  # of the log deviation

    @property
    def net(self):
        # Departs from MAC's code: one last layer for both heads, so that its initial range counts
        # the outputs of both.
        heads = 2 if self.std == "state" else 1
        return mlp(self.hidden, heads * self.dim, self.norm, last_scale=0.01)

    def init(self, key, obs):
        net = self.net.init(key, obs)
        return GaussianParams(net, jnp.zeros(self.dim)) if self.std == "free" else net

    def distribution(self, params, obs):
        """Mean and log deviation before the squashing, the latter clipped.  -> [*B, D] twice"""
        net, log_std = params if self.std == "free" else (params, jnp.zeros(self.dim))
        mean = self.net.apply(net, obs)
        if self.std == "state":
            mean, log_std = jnp.split(mean, 2, axis=-1)
        return mean, jnp.broadcast_to(log_std, mean.shape).clip(self.least, 2)

    def mode(self, params, obs):
        """The most likely action before squashing, squashed.  [*B, O] -> [*B, D]"""
        return self.action(self.distribution(params, obs)[0])

    def action(self, u):
        """tanh u, or u itself."""
        return jnp.tanh(u) if self.squash else u

    def density(self, u, mean, log_std):
        """log N(u; mean, std^2) - [squashed] log (1 - a^2), summed, a = tanh u.  [*B, D] -> [*B]

        1 - a^2 = 1 / cosh^2 u, and its logarithm is 2 (log 2 - u - softplus(-2 u)).
        """
        normal = -0.5 * ((u - mean) * jnp.exp(-log_std)) ** 2 - log_std - 0.5 * jnp.log(2 * jnp.pi)
        squash = 2 * (jnp.log(2.0) - u - jax.nn.softplus(-2 * u))
        return (normal - squash if self.squash else normal).sum(axis=-1)

    def log_prob(self, params, obs, chunk):
        """log pi(a | s), with u = arctanh a where the policy is squashed.  [*B, D] -> [*B]"""
        u = jnp.arctanh(chunk.clip(-1 + 1e-5, 1 - 1e-5)) if self.squash else chunk
        return self.density(u, *self.distribution(params, obs))

    def clone(self, params, obs, chunk, valid, noise, t):
        """-mean over the batch of log pi(a | s).  Uses no noise; every row counts."""
        return -self.log_prob(params, obs, chunk).mean()

    def draw(self, params, obs, noise):
        """a = tanh u, or u, of u = mean + std z, and log pi(a | s).  -> [*B, D], [*B]

        The density is that of u itself: arctanh a is infinite where tanh u rounds to 1.
        """
        mean, log_std = self.distribution(params, obs)
        u = mean + jnp.exp(log_std) * noise
        return self.action(u), self.density(u, mean, log_std)

    def sample(self, params, obs, noise):
        """tanh(mean + std z), or clip(mean + std z).  [*B, O], [*B, D] -> [*B, D]"""
        return self.draw(params, obs, noise)[0].clip(-1, 1)


class EntropicParams(NamedTuple):
    net: Tree
    log_temperature: jax.Array  # []


class Entropic(Gaussian):
    """A tanh-Gaussian that climbs the critic and keeps its entropy (SAC, arXiv 1812.05905, alg. 1).

    The temperature T = exp(log T), 1 at first, is learned beside it.
    """

    target_entropy: float  # per number of the chunk

    def init(self, key, obs) -> EntropicParams:
        return EntropicParams(super().init(key, obs), jnp.zeros(()))

    def distribution(self, params: EntropicParams, obs):
        return super().distribution(params.net, obs)

    def improve(self, params, frozen, obs, q, noise):
        """mean [T log pi(a | s) - Q(s, a)] + T (H - H'), a = tanh(mean + std z).  -> [], metrics

        arXiv 1812.05905, eqs. 7 and 18: T is constant in the first term, H = -mean log pi(a | s) in
        the second, which lowers T where H is above H' = `target_entropy` D.
        """
        action, log_prob = self.draw(params, obs, noise)
        entropy = -log_prob.mean()
        climb = (jnp.exp(frozen.log_temperature) * log_prob - q(obs, action)).mean()
        excess = jax.lax.stop_gradient(entropy) - self.target_entropy * self.dim
        temperature = jnp.exp(params.log_temperature)
        loss = temperature * excess
        info = {"climb": climb, "temperature_loss": loss, "temperature": temperature}
        return climb + loss, {**info, "entropy": entropy}


Policy = Flow | OneStep | Gaussian


def choose(policy: Policy, params, obs, noise, q: Callable):
    """argmax_j q(s, a_j) of N samples a_j ~ pi(. | s).  [*B, O], [N, *B, D] -> [*B, D]"""
    if len(noise) == 1:
        return policy.sample(params, obs, noise[0])
    chunks = policy.sample(params, obs[None], noise)
    return best_of_n(chunks, partial(q, obs[None]))


def best_of_n(chunks, score: Callable):
    """The chunk of the highest score among n candidates.  [n, *B, D] -> [*B, D]"""
    best = score(chunks).argmax(axis=0)  # [*B]
    return jnp.take_along_axis(chunks, best[None, ..., None], axis=0)[0]
