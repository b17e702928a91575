"""The error of a value target, split exactly into its causes."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from chunkrl.errors import ConfigError
from chunkrl.tabular.chunks import at_least_one, chunked, logged, moments
from chunkrl.tabular.mdp import MDP, backup, check_policy, policy_value

CAUSES = ("bootstrap", "off_policy", "open_loop", "model")


class Parts(NamedTuple):
    """The error of a target at every state [S], or at every state and chunk [S, A^h].

    error = target - truth = bootstrap + off_policy + open_loop + model, signed (positive: too
    optimistic).  `variance` is that of one sampled target around `target`.
    """

    truth: np.ndarray
    target: np.ndarray  # the expected target, by a recursion of its own: the parts do not enter it
    bootstrap: np.ndarray
    off_policy: np.ndarray
    open_loop: np.ndarray
    model: np.ndarray
    variance: np.ndarray

    @property
    def error(self) -> np.ndarray:
        return self.target - self.truth


class Decomposition(NamedTuple):
    """The parts of a target for V(s), and of the same target for Q(s, chunk)."""

    state: Parts  # [S]      the first chunk is drawn like all others
    chunk: Parts  # [S, A^h]  the first chunk is given; NaN where the data never log it


def data_target(
    mdp: MDP,
    policy: np.ndarray,
    behaviour: np.ndarray,
    value: np.ndarray,
    *,
    n: int,
    h: int = 1,
) -> Decomposition:
    """The target R^n + gamma^n Vhat(s_{t+n}) along logged data, for a critic that reads h actions.

    Truth is V^pi of `policy` [S, A^h], which types each chunk open loop, and its Q^pi(s, c) =
    r_h(s, c) + gamma^h P_h V^pi.  Data are logged by `behaviour`, as for `logged`.  `value` [S] is
    Vhat.  h = 1 is the uncorrected n-step return, h = n the chunked backup; h must divide n.  Write
    (r_D, P_D) for what the data say about a chunk, mu(c | s) for how often they log it, and w_k for
    the law of s_{t+kh} in the data.  With K = n / h, adding and subtracting V^pi at every chunk
    boundary gives, at a state,

        bootstrap   gamma^n w_K [Vhat - V^pi]
        off_policy  sum_{k<K} gamma^{kh} w_k sum_c (mu(c | s) - pi(c | s)) Q^pi(s, c)
        open_loop   sum_{k<K} gamma^{kh} w_k sum_c mu [(r_D - r_h) + gamma^h (P_D - P_h) V^pi](s, c)
        model       0

    and at a given first chunk the same without the off-policy term of k = 0.  bootstrap is zero if
    Vhat = V^pi; off_policy if mu = pi or, for a given chunk, n = h; open_loop if h = 1, nothing
    is random, or chunks were typed blind.
    """
    if n < h or n % h:
        raise ConfigError(f"{n} steps are not a whole number of chunks of {h}")
    truth, data = chunked(mdp, h), logged(mdp, behaviour, h)
    reacts = np.shape(behaviour) == mdp.reward.shape
    moments_of = partial(moments, mdp, h, behaviour=behaviour if reacts else None)
    state, chunk = _decompose(
        truth, policy, data.mdp, data.frequency, value, n // h, "open_loop", moments_of
    )
    never = data.frequency == 0
    return Decomposition(state, Parts(*(np.where(never, np.nan, part) for part in chunk)))


def model_target(
    mdp: MDP, policy: np.ndarray, model: MDP, value: np.ndarray, *, steps: int
) -> Decomposition:
    """The target of a rollout of K = `steps` steps in a learned `model`, then gamma^K Vhat.

    Truth is V^pi of `policy` [S, A], which also chooses in the model, and its Q^pi.  With w_k the
    law of the imagined state after k steps,

        bootstrap   gamma^K w_K [Vhat - V^pi]
        model       sum_{k<K} gamma^k w_k sum_a pi(a | s) [(r_m - r) + gamma (P_m - P) V^pi](s, a)

    and nothing is off-policy or open loop.  For chunks of h actions give `chunked(mdp, h)` and a
    model of those.
    """
    if model.transition.shape != mdp.transition.shape or model.discount != mdp.discount:
        raise ConfigError(
            f"the model must be one of this MDP: transition {mdp.transition.shape}, discount "
            f"{mdp.discount}; it has {model.transition.shape}, {model.discount}"
        )
    return _decompose(mdp, policy, model, policy, value, steps, "model", partial(moments, model, 1))


def _decompose(
    truth: MDP,
    policy: np.ndarray,
    world: MDP,
    acting: np.ndarray,
    value: np.ndarray,
    chunks: int,
    cause: str,
    path: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> Decomposition:
    """Chunks in `world` chosen by `acting`, then `value`; `path` gives a chunk's moments.

    `cause` names what is wrong where `world` differs from `truth`.
    """
    at_least_one(steps=chunks)
    check_policy(policy, truth.reward.shape)
    v = policy_value(truth, policy)
    q = backup(truth, v)
    fresh_off = ((acting - policy) * q).sum(-1)  # made by each chunk, as `fresh` is
    fresh = np.zeros((len(CAUSES), *q.shape))
    fresh[CAUSES.index(cause)] = backup(world, v) - q

    carried = world._replace(reward=np.zeros_like(q))
    parts = np.zeros((len(CAUSES), len(v)))
    parts[0] = value - v
    first, second = value, value**2
    for _ in range(chunks):
        at_chunk = backup(carried, parts) + fresh  # [4, S, A^h]
        parts = (acting * at_chunk).sum(-1)
        parts[1] += fresh_off
        m1, m2 = path(first, second)
        first, second = (acting * m1).sum(-1), (acting * m2).sum(-1)
    return Decomposition(
        Parts._make((v, first, *parts, np.maximum(second - first**2, 0))),
        Parts._make((q, m1, *at_chunk, np.maximum(m2 - m1**2, 0))),
    )
