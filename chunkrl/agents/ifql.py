"""IFQL: values of the data's best actions, and the best of N that a cloned flow proposes."""

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import jax

from chunkrl.agents import presets
from chunkrl.agents.actor_critic import ChunkedActorCritic, State
from chunkrl.agents.flow_q import best_of_n
from chunkrl.agents.implicit import ImplicitValues, Params
from chunkrl.agents.method import method
from chunkrl.blocks.networks import Aggregate
from chunkrl.types import Batch


class Noise(NamedTuple):
    """All the randomness of one update, D = hA."""

    flow: jax.Array  # [B, D]  normal: x_0 of flow matching
    t: jax.Array  # [B, 1]     uniform: flow time


class Choosing(ImplicitValues, ChunkedActorCritic):
    """A flow clones, the critic chooses when acting: no target asks for a sample."""

    def noise(self, key, size: int) -> Noise:
        """The noise of one update on `size` windows."""
        key_flow, key_t = jax.random.split(key)
        flow = jax.random.normal(key_flow, (size, self.chunk * self.action_dim))
        return Noise(flow, jax.random.uniform(key_t, (size, 1)))


@dataclass(frozen=True)
class IFQL(Choosing):
    """A flow clones, the critic chooses when acting (IDQL, arXiv 2304.10573, with a flow).

        V(s)  an expectile of min_k Q'_k(s, a) over the data's chunks a,   y = R^n + gamma^n V(s')
        a*    = argmax_j min_k Q_k(s, a_j),      a_j ~ the flow, j = 1 ... N

    At h = n QC-IFQL, at h = 1 < n IFQL-n (arXiv
    2507.07969, sec. 5): not released, so that the valid mask is ours in the losses of V and Q.
    """

    chunk: int = 1
    backup: int = 1
    aggregate: Aggregate = "min"
    expectile: float = 0.9

    def loss(self, params: Params, state: State, batch: Batch, noise: Noise):
        """Value, critic and flow-matching losses, added.  -> [], metrics"""
        metrics = self.value_losses(params, state, batch)
        metrics["clone"] = self.clone(params, batch, *noise)
        total = metrics["value"] + metrics["td"] + metrics["clone"]
        return total, {"loss": total, **metrics}


@method(presets.ONE_STEP)
def ifql(**settings: Annotated[Any, best_of_n, IFQL]) -> IFQL:
    """Values of `iql`, and the best of N actions of a cloned flow (arXiv 2502.02538, sec. 5)."""
    return best_of_n(1, 1, kind=IFQL, **settings)


@method(presets.ONE_STEP)
def ifql_n(horizon: int = 5, **settings: Annotated[Any, best_of_n, IFQL]) -> IFQL:
    """`ifql` with uncorrected n-step returns (arXiv 2507.07969, sec. 5)."""
    return best_of_n(1, horizon, kind=IFQL, **settings)


@method(presets.ONE_STEP)
def qc_ifql(horizon: int = 5, **settings: Annotated[Any, best_of_n, IFQL]) -> IFQL:
    """`ifql` whose actions are chunks (arXiv 2507.07969, sec. 5)."""
    return best_of_n(horizon, horizon, kind=IFQL, **settings)
