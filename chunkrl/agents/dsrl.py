"""DSRL: a cloned flow that is left as it is, and its noise chosen."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from chunkrl.agents import presets
from chunkrl.agents.extraction import Actor, OnFlow, SlowFlow, extraction
from chunkrl.agents.method import method
from chunkrl.blocks.networks import Network, Tree, scalar_mlp
from chunkrl.blocks.policies import EntropicParams


class LatentParams(NamedTuple):
    flow: Tree
    critic: Tree  # of noise
    actor: EntropicParams


@dataclass(frozen=True)
class Latent(OnFlow):
    """A chunk is the end of the flow from noise z = c tanh(u), u of a Gaussian.

    arXiv 2506.15799: SAC on the value of noise, so that no gradient passes through the flow.
    """

    scale: float = 1.0  # c
    target_entropy: float = Actor.target_entropy

    @property
    def critic(self) -> Network:
        # Departs from the code: one network for the mean of the critics, in place of one for each.
        return scalar_mlp(self.hidden)

    @property
    def actor(self) -> Actor:
        return Actor(self.dim, self.hidden, target_entropy=self.target_entropy)

    def init(self, key, obs) -> LatentParams:
        keys = jax.random.split(key, 3)
        critic = self.critic.init(keys[1], obs, jnp.zeros((1, self.dim)))
        return LatentParams(self.flow.init(keys[0], obs), critic, self.actor.init(keys[2], obs))

    def improve(self, params, frozen, obs, q, noise):
        """mean (Q_z(s, z) - Q(s, clip Flow(s, z)))^2, z ~ N(0, I), and SAC's losses on Q_z.

        mean [T log pi(a | s) - Q_z(s, c a)], a = tanh u, and the temperature's (arXiv 1812.05905,
        eqs. 7 and 18).  noise [2, B, D] -> [], metrics
        """
        value = q(obs, self.flow.sample(frozen.flow, obs, noise[0]))
        latent = ((self.critic.apply(params.critic, obs, noise[0]) - value) ** 2).mean()
        q_z = lambda obs, a: self.critic.apply(frozen.critic, obs, self.scale * a)
        climb, info = self.actor.improve(params.actor, frozen.actor, obs, q_z, noise[1])
        return latent + climb, {"latent": latent, **info}

    def sample(self, params, obs, noise):
        """clip Flow(s, c a), a ~ pi.  [*B, O], [*B, D] -> [*B, D]"""
        z = self.scale * self.actor.sample(params.actor, obs, noise)
        return self.flow.sample(params.flow, obs, z)


@dataclass(frozen=True)
class DSRL(SlowFlow):
    """Ten critics of chunks, climbed in the noise of a slow copy of the cloned flow.

    arXiv 2601.14234, where it is compared.
    """

    policy: Latent


@method(presets.ONE_STEP)
def dsrl(
    latent_scale: float = Latent.scale,
    target_entropy: float = Latent.target_entropy,
    **settings: Annotated[Any, extraction],
) -> DSRL:
    """Noise chosen for a cloned flow, by SAC (arXiv 2506.15799)."""
    policy = partial(Latent, scale=latent_scale, target_entropy=target_entropy)
    return extraction(DSRL, policy, **settings)
