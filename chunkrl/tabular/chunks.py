"""Chunks of actions: what executing one does, and what logged data say that it does."""

from typing import NamedTuple

import numpy as np

from chunkrl.errors import ConfigError
from chunkrl.tabular.mdp import MDP, below_all, chain, check_policy, discounted_sum, pinned


class Logged(NamedTuple):
    """What infinite data say about chunks: expectations given the chunk that was logged."""

    mdp: MDP  # P_D(s_{t+h} | s_t, chunk) [S, A^h, S],  E_D[R^h | s_t, chunk] [S, A^h],  gamma^h
    frequency: np.ndarray  # [S, A^h]  P_D(chunk | s_t)


def at_least_one(**settings: int) -> None:
    """Raise ConfigError for the first setting that is not a positive whole number."""
    for name, number in settings.items():
        if number < 1 or int(number) != number:
            raise ConfigError(f"{name}={number} must be a whole number of at least 1")


def chunk_table(actions: int, h: int) -> np.ndarray:
    """The actions of every chunk, a_0 the most significant digit of its index.  -> [A^h, h]"""
    return np.indices((actions,) * h).reshape(h, -1).T


def chunk_index(chunk: np.ndarray, actions: int) -> np.ndarray:
    """The index of a chunk given its actions.  [*B, h] -> [*B]"""
    return chunk @ actions ** np.arange(chunk.shape[-1])[::-1]


def chunked(mdp: MDP, h: int) -> MDP:
    """The MDP whose actions are open-loop chunks of `h` primitive actions.

    Executing a = (a_0, ..., a_{h-1}) from s without looking at the states in between gives

        P_h(s' | s, a) = [P_{a_0} P_{a_1} ... P_{a_{h-1}}](s, s')
        r_h(s, a)      = sum_{i<h} gamma^i [P_{a_0} ... P_{a_{i-1}}] r_{a_i} (s)

    and discount gamma^h.  A chunk is indexed in base A with a_0 the most significant digit.  The
    result is again an MDP, so every solver in this package applies to it unchanged: V* of
    `chunked(mdp, h)` is the best value any open-loop-for-h policy can reach.

    Shapes: [S, A, S], [S, A] -> [S, A^h, S], [S, A^h].  Memory is S^2 A^h.
    """
    at_least_one(h=h)
    transition = mdp.transition
    for _ in range(h - 1):
        transition = _before(mdp.transition, transition)
    return MDP(transition, chunk_q(mdp, h, np.zeros(len(transition))), mdp.discount**h)


def prefixes(mdp: MDP, h: int) -> MDP:
    """The MDP whose actions are the open-loop chunks of 1, 2, ... h actions, the short ones first.

    A chunk of k actions is that of `chunked(mdp, k)`; as all actions share one discount, gamma,
    the rest, gamma^(k-1), is in its transitions, whose rows sum to that.  With chunks of one action
    among them nothing is lost by not looking: V* is that of `mdp`.

    Shapes: [S, A, S], [S, A] -> [S, A + A^2 + ... + A^h, S], [S, A + ... + A^h].
    """
    parts = [chunked(mdp, k) for k in range(1, h + 1)]
    counted = [part.transition * mdp.discount**k for k, part in enumerate(parts)]
    reward = np.concatenate([part.reward for part in parts], axis=1)
    return MDP(np.concatenate(counted, axis=1), reward, mdp.discount)


def _before(step: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """sum_u step(s, a, u) rest(u, c, .): one more action.  [S, A, S], [S, C, K] -> [S, AC, K]"""
    states, actions, _ = step.shape
    ahead = step.reshape(states * actions, states) @ rest.reshape(states, -1)
    return ahead.reshape(states, -1, rest.shape[-1])


def chunk_q(mdp: MDP, h: int, value: np.ndarray) -> np.ndarray:
    """E[R^h + gamma^h V(s_h)] when the chunk is executed.  [*B, S] -> [*B, S, A^h]

    From the last action to the first, so that chunks with the same ending share its work.
    """
    states, actions = mdp.reward.shape
    total = value.reshape(-1, states).T[:, None, :]  # [S, 1, B]
    for _ in range(h):
        earned = np.repeat(mdp.reward, total.shape[1], axis=1)[..., None]
        total = earned + mdp.discount * _before(mdp.transition, total)  # [S, A^i, B]
    return np.moveaxis(total, -1, 0).reshape(*value.shape[:-1], states, actions**h)


def logged(mdp: MDP, behaviour: np.ndarray, h: int) -> Logged:
    """What data of `behaviour` say about chunks: conditioning, not intervening.

    A behaviour [S, A] looks at every state.  P_D(s', a | s) = sum over paths of prod_i beta(a_i |
    s_i) P(s_{i+1} | s_i, a_i), divided by its sum over s'.  Later actions were chosen after seeing
    the states before them, and tell something about those: P_D = P_h if the dynamics are
    deterministic, beta(a | s) = beta(a), or h = 1, and in general not otherwise.  A behaviour [S,
    A^h] types each chunk blind: then P_D = P_h.  A chunk that is never logged ends the episode at a
    value below all others, so that a maximum over chunks is one over the support.
    """
    at_least_one(h=h)
    if np.shape(behaviour) != mdp.reward.shape:
        truth = chunked(mdp, h)
        check_policy(behaviour, truth.reward.shape, "behaviour")
        return Logged(pinned(truth, behaviour > 0, below_all(mdp)), behaviour)
    check_policy(behaviour, mdp.reward.shape, "behaviour")
    if not np.allclose(mdp.transition.sum(-1), 1, rtol=0, atol=1e-9):
        raise ConfigError("logged data need an absorbing end: rows of transition must sum to 1")
    states, actions = behaviour.shape
    step, earn = behaviour[..., None] * mdp.transition, (behaviour * mdp.reward)[..., None]
    joint, seen, earned = np.eye(states)[:, None], np.ones((states, 1, 1)), np.zeros((states, 1, 1))
    for _ in range(h):
        # The reward of an action counts in so far as the rest of the chunk follows it.
        follows = _before(mdp.transition, seen).reshape(states, actions, -1)
        earned = (earn * follows).reshape(states, -1, 1) + mdp.discount * _before(step, earned)
        joint, seen = _before(step, joint), _before(step, seen)
    given = np.divide(earned, seen, where=seen > 0, out=np.full_like(earned, below_all(mdp)))
    joint = joint / np.where(seen > 0, seen, 1.0)
    return Logged(MDP(joint, given[..., 0], mdp.discount**h), seen[..., 0])


def n_step(mdp: MDP, behaviour: np.ndarray, n: int) -> MDP:
    """What uncorrected n-step returns believe in: one own action, then n - 1 of the data's.

        P_n = P P_beta^{n-1},   r_n = r + sum_{0<i<n} gamma^i P P_beta^{i-1} r_beta

    and discount gamma^n.  Its Q* is the fixed point of Q(s, a) = E_D[R^n + gamma^n max_a' Q(s_n,
    a')], its Q^pi that with a' ~ pi.  n = 1 gives the MDP itself.
    """
    at_least_one(n=n)
    check_policy(behaviour, mdp.reward.shape, "behaviour")
    follow, earn = chain(mdp, behaviour)
    where, total = mdp.transition, mdp.reward
    for i in range(1, n):
        total = total + mdp.discount**i * where @ earn
        where = where @ follow
    return MDP(where, total, mdp.discount**n)


def n_step_limit(mdp: MDP, behaviour: np.ndarray) -> MDP:
    """`n_step` for n -> infinity: one own action, then the behaviour for ever; no bootstrap."""
    later = discounted_sum(*chain(mdp, behaviour), mdp.discount)
    reward = mdp.reward + mdp.discount * mdp.transition @ later
    return MDP(np.zeros_like(mdp.transition), reward, 0.0)


def moments(
    mdp: MDP,
    h: int,
    first: np.ndarray,
    second: np.ndarray,
    behaviour: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """E[y | s, chunk] and E[y^2 | s, chunk] of y = R^h + gamma^h y'.  [S], [S] -> 2 x [S, A^h]

    `first` and `second` are the moments of y' given s_h.  From the last action to the first,

        E[y]   = r + gamma E[y'],    E[y^2] = r^2 + 2 gamma r E[y'] + gamma^2 E[y'^2]

    With `behaviour` [S, A] the chunk was logged by it and every term is weighted as in `logged`;
    without, the chunk is executed.
    """
    weight = np.ones_like(mdp.reward) if behaviour is None else behaviour
    r, seen = mdp.reward[..., None], np.ones((len(first), 1))
    first, second = first[:, None], second[:, None]
    for _ in range(h):
        ahead = _before(mdp.transition, np.stack([seen, first, second], -1))
        follows, m1, m2 = np.moveaxis(ahead.reshape(*weight.shape, -1, 3), -1, 0)
        if behaviour is None:
            follows = np.ones_like(follows)
        second = r**2 * follows + 2 * mdp.discount * r * m1 + mdp.discount**2 * m2
        first = r * follows + mdp.discount * m1
        seen, first, second = (
            (weight[..., None] * x).reshape(len(weight), -1) for x in (follows, first, second)
        )
    safe = np.where(seen > 0, seen, 1.0)
    return first / safe, second / safe
