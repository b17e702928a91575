"""The methods of the flow-Q family: chunk length, backup and policy extraction, by name."""

from typing import Annotated, Any

from chunkrl.agents import presets
from chunkrl.agents.actor_critic import ChunkedActorCritic
from chunkrl.agents.method import method
from chunkrl.agents.presets import strength
from chunkrl.blocks.policies import Flow, OneStep


def best_of_n(
    chunk: int,
    backup: int,
    obs_dim: int,
    action_dim: int,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = ChunkedActorCritic.hidden,
    fourier_dim: int = 0,
    kind: type = ChunkedActorCritic,
    **learning: Annotated[Any, ChunkedActorCritic],
) -> Any:
    """A critic that picks among proposals of a cloned flow."""
    flow = Flow(chunk * action_dim, hidden, flow_steps, fourier_dim)
    return kind(obs_dim, action_dim, flow, chunk, backup, hidden=hidden, **learning)


def one_step(
    chunk: int,
    backup: int,
    obs_dim: int,
    action_dim: int,
    alpha: float = OneStep.alpha,
    normalize_q: bool = False,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = ChunkedActorCritic.hidden,
    **learning: Annotated[Any, ChunkedActorCritic, "candidates"],
) -> ChunkedActorCritic:
    """A critic and the one-step policy that climbs it, distilled from a cloned flow."""
    policy = OneStep(chunk * action_dim, alpha, normalize_q, hidden, flow_steps)
    return ChunkedActorCritic(
        obs_dim, action_dim, policy, chunk, backup, candidates=1, hidden=hidden, **learning
    )


@method(presets.BEST_OF_N, candidates=strength("qc"))
def qc(horizon: int = 5, **settings: Annotated[Any, best_of_n]) -> ChunkedActorCritic:
    """Q-chunking: the best of N chunks of a cloned flow (arXiv 2507.07969, eqs. 9 to 11)."""
    return best_of_n(horizon, horizon, **settings)


@method(presets.ONE_STEP, alpha=strength("qc_fql"))
def qc_fql(horizon: int = 5, **settings: Annotated[Any, one_step]) -> ChunkedActorCritic:
    """Q-chunking with a one-step policy distilled from the flow (arXiv 2507.07969, alg. 2)."""
    return one_step(horizon, horizon, **settings)


@method(presets.BEST_OF_N, candidates=strength("bfn"))
def bfn(**settings: Annotated[Any, best_of_n]) -> ChunkedActorCritic:
    """The best of N single actions of a cloned flow: `qc` at h = 1 (arXiv 2507.07969, sec. 5)."""
    return best_of_n(1, 1, **settings)


@method(presets.BEST_OF_N, candidates=strength("bfn_n"))
def bfn_n(horizon: int = 5, **settings: Annotated[Any, best_of_n]) -> ChunkedActorCritic:
    """`bfn` with uncorrected n-step returns (arXiv 2507.07969, eq. 4)."""
    return best_of_n(1, horizon, **settings)


@method(presets.ONE_STEP, alpha=strength("fql"))
def fql(**settings: Annotated[Any, one_step]) -> ChunkedActorCritic:
    """Flow Q-learning: a one-step policy distilled from a flow (arXiv 2502.02538, alg. 1)."""
    return one_step(1, 1, **settings)


@method(presets.ONE_STEP, alpha=strength("fql_n"))
def fql_n(horizon: int = 5, **settings: Annotated[Any, one_step]) -> ChunkedActorCritic:
    """`fql` with uncorrected n-step returns (arXiv 2507.07969, eq. 4)."""
    return one_step(1, horizon, **settings)
