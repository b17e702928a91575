"""Maximum-entropy actor-critic on logs and on what it does itself, half and half (RLPD)."""

from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp

from chunkrl.agents import presets
from chunkrl.agents.actor_critic import ChunkedActorCritic
from chunkrl.agents.method import method
from chunkrl.blocks.networks import Network, ensemble, mlp, scalar_mlp
from chunkrl.blocks.policies import Entropic
from chunkrl.types import Windows


@dataclass(frozen=True)
class MaximumEntropy(Entropic):
    """A tanh-Gaussian without norms that keeps its entropy; `alpha` has it clone as well."""

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

    def clone(self, params, obs, chunk, valid, noise, t):
        """-alpha mean log pi(a | s), of the data's chunks, those that cross an end too.  -> []

        arXiv 2507.07969, eq. 29, whose entropy term, missing there, is that of `improve`.
        """
        if not self.alpha:
            return jnp.zeros(())
        return self.alpha * super().clone(params, obs, chunk, valid, noise, t)


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


def maximum_entropy(
    chunk: int,
    obs_dim: int,
    action_dim: int,
    alpha: float = MaximumEntropy.alpha,
    target_entropy: float = MaximumEntropy.target_entropy,
    hidden: tuple[int, ...] = RLPD.hidden,
    **learning: Annotated[Any, RLPD, "candidates"],
) -> RLPD:
    """Critics of chunks and the tanh-Gaussian that climbs them, online."""
    policy = MaximumEntropy(chunk * action_dim, hidden, alpha=alpha, target_entropy=target_entropy)
    return RLPD(obs_dim, action_dim, policy, chunk, chunk, hidden=hidden, **learning)


@method(presets.ONE_STEP)
def rlpd(**settings: Annotated[Any, maximum_entropy, "alpha"]) -> RLPD:
    """Online, half of each batch from logs: SAC with ten critics (arXiv 2302.02948, alg. 1)."""
    return maximum_entropy(1, **settings)


@method(presets.ONE_STEP)
def rlpd_ac(horizon: int = 5, **settings: Annotated[Any, maximum_entropy, "alpha"]) -> RLPD:
    """`rlpd` whose actions are chunks (arXiv 2507.07969, sec. 5)."""
    return maximum_entropy(horizon, **settings)


@method(presets.ONE_STEP)
def qc_rlpd(
    horizon: int = 5, alpha: float = 0.01, **settings: Annotated[Any, maximum_entropy]
) -> RLPD:
    """`rlpd_ac` that clones the data's chunks too (arXiv 2507.07969, eq. 29)."""
    return maximum_entropy(horizon, alpha=alpha, **settings)
