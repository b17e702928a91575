"""The error of a value target, split exactly into its causes."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from chunkrl.errors import ConfigError
from chunkrl.tabular.chunks import Logged, chunked, logged, moments
from chunkrl.tabular.mdp import MDP, backup, check_policy, policy_value


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

    def squared_error(self, samples: int = 1) -> np.ndarray:
        """Expected squared error of the mean of `samples` independent targets."""
        return self.error**2 + self.variance / samples


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
    reward_std: float = 0.0,
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
    data, reacts = logged(mdp, behaviour, h), np.shape(behaviour) == mdp.reward.shape
    path = behaviour if reacts else None
    state, chunk = _decompose(
        chunked(mdp, h), policy, data, data.mdp, data.frequency, value, n, h,
        lambda m1, m2: moments(mdp, h, m1, m2, path, reward_std),
    )  # fmt: skip
    never = data.frequency == 0
    return Decomposition(state, Parts(*(np.where(never, np.nan, part) for part in chunk)))


def model_target(
    mdp: MDP,
    policy: np.ndarray,
    model: MDP,
    value: np.ndarray,
    *,
    steps: int,
    h: int = 1,
    behaviour: np.ndarray | None = None,
    acting: np.ndarray | None = None,
) -> Decomposition:
    """The target of a rollout of `steps` = K h steps in a learned model, then gamma^steps Vhat.

    Truth is V^pi as in `data_target`.  `model` is an MDP over chunks, fitted to data of
    `behaviour`: what those say without limit, (r_D, P_D), would be a perfect model; without
    `behaviour` (and for chunks never logged) the true (r_h, P_h).  `acting` [S, A^h] chooses in the
    model, by default pi.  With w_k the law of the imagined state after k chunks,

        bootstrap   gamma^{Kh} w_K [Vhat - V^pi]
        off_policy  sum_{k<K} gamma^{kh} w_k sum_c (acting - pi) Q^pi
        open_loop   sum_{k<K} gamma^{kh} w_k sum_c acting [(r_D - r_h) + gamma^h (P_D - P_h) V^pi]
        model       sum_{k<K} gamma^{kh} w_k sum_c acting [(r_m - r_D) + gamma^h (P_m - P_D) V^pi]
    """
    truth = chunked(mdp, h)
    if model.transition.shape != truth.transition.shape or model.discount != truth.discount:
        raise ConfigError(
            f"the model must be an MDP over chunks of {h}: transition {truth.transition.shape}, "
            f"discount {truth.discount}; it has {model.transition.shape}, {model.discount}"
        )
    data = None if behaviour is None else logged(mdp, behaviour, h)
    return _decompose(
        truth, policy, data, model, policy if acting is None else acting, value,
        steps, h, lambda m1, m2: moments(model, 1, m1, m2),
    )  # fmt: skip


def _decompose(
    truth: MDP,
    policy: np.ndarray,
    data: Logged | None,
    world: MDP,
    acting: np.ndarray,
    value: np.ndarray,
    steps: int,
    h: int,
    path: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> Decomposition:
    """K chunks in `world` chosen by `acting`, then `value`; `path` gives a chunk's moments."""
    if steps < h or steps % h:
        raise ConfigError(f"{steps} steps are not a whole number of chunks of {h}")
    check_policy(policy, truth.reward.shape)
    check_policy(acting, truth.reward.shape, "acting")
    v = policy_value(truth, policy)
    q = backup(truth, v)
    says = q if data is None else np.where(data.frequency > 0, backup(data.mdp, v), q)
    nothing = np.zeros_like(q)
    fresh = np.stack([nothing, nothing, says - q, backup(world, v) - says])  # made by each chunk
    fresh_off = ((acting - policy) * q).sum(-1)

    carried = world._replace(reward=nothing)
    parts = np.zeros((4, len(v)))  # bootstrap, off-policy, open-loop, model
    parts[0] = value - v
    first, second = value, value**2
    for _ in range(steps // h):
        at_chunk = backup(carried, parts) + fresh  # [4, S, A^h]
        parts = (acting * at_chunk).sum(-1)
        parts[1] += fresh_off
        m1, m2 = path(first, second)
        first, second = (acting * m1).sum(-1), (acting * m2).sum(-1)
    return Decomposition(
        Parts._make((v, first, *parts, np.maximum(second - first**2, 0))),
        Parts._make((q, m1, *at_chunk, np.maximum(m2 - m1**2, 0))),
    )
