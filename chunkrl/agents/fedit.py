"""FEdit: a cloned flow whose chunks a second policy edits, within bounds."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from chunkrl.agents import presets
from chunkrl.agents.extraction import Actor, Extraction, OnFlow, extraction
from chunkrl.agents.method import method
from chunkrl.blocks.networks import Tree
from chunkrl.blocks.policies import EntropicParams


class EditedParams(NamedTuple):
    flow: Tree
    edit: EntropicParams


@dataclass(frozen=True)
class Edited(OnFlow):
    """clip(x + e d): a sample x of the cloned flow, an edit d of a tanh-Gaussian that sees it.

    arXiv 2507.07986, without its best of N.
    """

    scale: float = 0.3  # e
    target_entropy: float = Actor.target_entropy

    @property
    def edit(self) -> Actor:
        return Actor(self.dim, self.hidden, target_entropy=self.target_entropy)

    def init(self, key, obs) -> EditedParams:
        key_flow, key_edit = jax.random.split(key)
        seen = jnp.concatenate([obs, jnp.zeros((1, self.dim))], axis=-1)
        return EditedParams(self.flow.init(key_flow, obs), self.edit.init(key_edit, seen))

    def start(self, params, obs, noise):
        """x, and what the edit sees: s and x.  [*B, O], [*B, D] -> [*B, D], [*B, O + D]"""
        x = self.flow.sample(params.flow, obs, noise)
        return x, jnp.concatenate([jnp.broadcast_to(obs, (*x.shape[:-1], obs.shape[-1])), x], -1)

    def edited(self, x, d):
        """clip(x + e d).  [*B, D] twice -> [*B, D]"""
        return (x + self.scale * d).clip(-1, 1)

    def improve(self, params, frozen, obs, q, noise):
        """mean [T log pi(d | s, x) - Q(s, clip(x + e d))], and the temperature's.  -> [], metrics

        x is a constant; SAC's losses, arXiv 1812.05905, eqs. 7 and 18.  noise [2, B, D].
        """
        x, seen = self.start(frozen, obs, noise[0])
        value = lambda _, d: q(obs, self.edited(x, d))
        return self.edit.improve(params.edit, frozen.edit, seen, value, noise[1])

    def sample(self, params, obs, noise):
        """clip(x + e d).  [*B, O], [*B, 2 D] -> [*B, D]"""
        start, noise = jnp.split(noise, 2, axis=-1)
        x, seen = self.start(params, obs, start)
        return self.edited(x, self.edit.sample(params.edit, seen, noise))


@dataclass(frozen=True)
class FEdit(Extraction):
    """Ten critics of chunks, climbed by small edits of a cloned flow (arXiv 2601.14234)."""

    policy: Edited

    @property
    def noise_dim(self) -> int:
        """Normal numbers of a sample: for the flow, and for the edit."""
        return 2 * super().noise_dim


@method(presets.ONE_STEP)
def fedit(
    edit_scale: float = Edited.scale,
    target_entropy: float = Edited.target_entropy,
    **settings: Annotated[Any, extraction],
) -> FEdit:
    """Small edits of a cloned flow's chunks (arXiv 2507.07986)."""
    policy = partial(Edited, scale=edit_scale, target_entropy=target_entropy)
    return extraction(FEdit, policy, **settings)
