"""Maximum-entropy actor-critic on logs and on what it does itself, half and half (RLPD)."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from chunkrl.agents.actor_critic import ChunkedActorCritic
from chunkrl.blocks.networks import Network, Tree, ensemble, mlp, scalar_mlp
from chunkrl.blocks.policies import Gaussian
from chunkrl.types import Windows


class MaximumEntropyParams(NamedTuple):
    net: Tree
    log_temperature: jax.Array  # []


@dataclass(frozen=True)
class MaximumEntropy(Gaussian):
    """A tanh-Gaussian that climbs the critic and keeps its entropy (SAC, arXiv 1812.05905, alg. 1).

    The temperature T = exp(log T), 1 at first, is learned beside it.
    """

    norm: bool = False
    alpha: float = 0.0  # weight of cloning, QC-RLPD's
    target_entropy: float = -0.5  # per number of the chunk, half of SAC's
    least = -20

    @property
    def net(self) -> Network:
        # One last layer for both heads, whose initial range is that of a layer for each.
        inputs, heads = self.hidden[-1], 2 * self.dim
        scale = (inputs + heads) / (inputs + self.dim)
        return mlp(self.hidden, heads, self.norm, scale, relu=True)

    def init(self, key, obs) -> MaximumEntropyParams:
        return MaximumEntropyParams(super().init(key, obs), jnp.zeros(()))

    def distribution(self, params: MaximumEntropyParams, obs):
        return super().distribution(params.net, obs)

    def clone(self, params, obs, chunk, valid, noise, t):
        """-alpha mean log pi(a | s), of the data's chunks, those that cross an end too.  -> []

        arXiv 2507.07969, eq. 29, whose entropy term, missing there, is that of `improve`.
        """
        if not self.alpha:
            return jnp.zeros(())
        return self.alpha * super().clone(params, obs, chunk, valid, noise, t)

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


@dataclass(frozen=True)
class RLPD(ChunkedActorCritic):
    """Ten critics with layer norm, learned on logs and own steps (arXiv 2302.02948, alg. 1).

    The target is that of Q-chunking, without entropy, at the policy's own a' (arXiv 2507.07969,
    sec. 5):  sum_{i<h} gamma^i r_{t+i} + gamma^h mask mean_k Q'_k(s_{t+h}, a').
    """

    # Departs from RLPD's code, as Q-chunking's does: all critics count in the target, not a random
    # few, and every update is one of the policy too.
    candidates: int = 1
    num_critics: int = 10

    @property
    def reads(self) -> Windows:
        """Windows of as many transitions as the target counts, half of them new."""
        return Windows(self.backup, halves=True)

    @property
    def critic(self) -> Network:
        return ensemble(scalar_mlp(self.hidden, relu=True), self.num_critics)
