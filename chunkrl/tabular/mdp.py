"""Finite MDPs as arrays, and their exact values by linear solves and policy iteration."""

from typing import NamedTuple

import numpy as np

from chunkrl.errors import ConfigError

# A new action must beat the old one by this much, relative to the size of the values, so that
# rounding cannot make policy iteration run in a circle.
IMPROVEMENT = 1e-12


class MDP(NamedTuple):
    """A finite MDP with S states and A actions.

    The end of an episode is either an absorbing state without reward, or a row of `transition`
    that sums to less than one: the missing mass has left for good and earns nothing.
    """

    transition: np.ndarray  # [S, A, S]  P(s' | s, a)
    reward: np.ndarray  # [*B, S, A]  r(s, a); leading axes are seeds that share the transitions
    discount: float  # gamma, in [0, 1)


class Solution(NamedTuple):
    """A solved MDP: what is best, and what to do."""

    value: np.ndarray  # [*B, S]
    q: np.ndarray  # [*B, S, A]
    choice: np.ndarray  # [*B, S]  the index of the best action


def check(mdp: MDP) -> MDP:
    """The same MDP; raises ConfigError if its shapes, probabilities or discount make no sense."""
    states, actions = mdp.reward.shape[-2:] if np.ndim(mdp.reward) >= 2 else (0, 0)
    if np.shape(mdp.transition) != (states, actions, states) or 0 in (states, actions):
        raise ConfigError(
            f"transition {np.shape(mdp.transition)} and reward {np.shape(mdp.reward)} do not fit: "
            "give [S, A, S] and [S, A]"
        )
    if not np.isfinite(mdp.reward).all():
        raise ConfigError("reward must be finite everywhere")
    total = mdp.transition.sum(-1)
    if not (mdp.transition >= 0).all() or not (total <= 1 + 1e-9).all():
        raise ConfigError("every row of transition must be non-negative and sum to at most 1")
    if not 0 <= mdp.discount < 1:
        raise ConfigError(f"discount {mdp.discount} must be in [0, 1): values are infinite sums")
    return mdp


def check_policy(policy: np.ndarray, shape: tuple[int, int], name: str = "policy") -> np.ndarray:
    """The same policy [S, A]; raises ConfigError if its rows are not probabilities over actions."""
    if np.shape(policy) != shape:
        raise ConfigError(f"{name} has shape {np.shape(policy)}, expected {shape}")
    if not (policy >= 0).all() or not np.allclose(policy.sum(-1), 1, rtol=0, atol=1e-9):
        raise ConfigError(f"every row of {name} must be non-negative and sum to 1")
    return policy


def chain(mdp: MDP, policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What remains of an MDP when the policy is fixed: P_pi [*B, S, S] and r_pi [*B, S].

    A policy is either probabilities [S, A] or, per state, the index of one action [*B, S].
    """
    if np.issubdtype(policy.dtype, np.integer):
        policy = np.broadcast_to(policy, np.broadcast_shapes(policy.shape, mdp.reward.shape[:-1]))
        reward = np.broadcast_to(mdp.reward, (*policy.shape, mdp.reward.shape[-1]))
        transition = mdp.transition[np.arange(policy.shape[-1]), policy]
        return transition, np.take_along_axis(reward, policy[..., None], -1)[..., 0]
    transition = (policy[:, None, :] @ mdp.transition)[:, 0]
    return transition, (policy * mdp.reward).sum(-1)


def discounted_sum(transition: np.ndarray, reward: np.ndarray, discount: float) -> np.ndarray:
    """V = (I - gamma P)^{-1} r by one linear solve.  [*B, S, S], [*B, S] -> [*B, S]"""
    matrix = np.eye(reward.shape[-1]) - discount * transition
    return np.linalg.solve(matrix, reward[..., None])[..., 0]


def policy_value(mdp: MDP, policy: np.ndarray) -> np.ndarray:
    """V^pi = (I - gamma P_pi)^{-1} r_pi, exact up to rounding.  -> [*B, S]"""
    return discounted_sum(*chain(mdp, policy), mdp.discount)


def backup(mdp: MDP, value: np.ndarray) -> np.ndarray:
    """One Bellman backup, r(s, a) + gamma sum_s' P(s' | s, a) V(s').  [*B, S] -> [*B, S, A]"""
    states, actions, _ = mdp.transition.shape
    expected = value @ mdp.transition.reshape(states * actions, states).T
    return mdp.reward + mdp.discount * expected.reshape(*value.shape[:-1], states, actions)


def optimal(mdp: MDP) -> Solution:
    """V*, Q* and a best action, by policy iteration:  V* = max_a Q*(s, a),  Q* = r + gamma P V*.

    Evaluate the choice exactly, improve it, stop when no action improves.  To improve is to be
    greedy after S / A more backups, W = T^k V, without which good news travel one state per round:
    V <= T V <= W <= the value of that choice, so each is strictly better than the last, and there
    are finitely many.  A tie keeps the action that was chosen before.
    """
    held = lambda q: np.take_along_axis(q, choice[..., None], -1)[..., 0]
    choice = mdp.reward.argmax(-1)
    states, actions = mdp.reward.shape[-2:]
    while True:
        value = policy_value(mdp, choice)
        q = backup(mdp, value)
        if (q.max(-1) <= held(q) + IMPROVEMENT * (1 + np.abs(value).max())).all():
            return Solution(value, q, choice)
        for _ in range(states // actions):
            q = backup(mdp, q.max(-1))
        choice = np.where(q.max(-1) > held(q), q.argmax(-1), choice)


def pinned(mdp: MDP, keep: np.ndarray, value: float | np.ndarray) -> MDP:
    """The MDP in which an action outside `keep` [S, A] ends the episode and is worth `value`.

    This is what a table does that is only updated where there are data: the other entries keep
    their initial value for ever, and the backups of their neighbours read it.
    """
    return MDP(
        np.where(keep[..., None], mdp.transition, 0.0),
        np.where(keep, mdp.reward, value),
        mdp.discount,
    )


def absorbing(mdp: MDP) -> np.ndarray:
    """States that every action leaves where they are: the end of an episode.  -> [S] bool"""
    return np.diagonal(mdp.transition, axis1=0, axis2=2).min(0) == 1


def below_all(mdp: MDP) -> float:
    """A value below that of any policy, min(r, 0) / (1 - gamma) - 1: what nothing should choose."""
    return min(float(mdp.reward.min()), 0.0) / (1 - mdp.discount) - 1


def one_hot(choice: np.ndarray, actions: int) -> np.ndarray:
    """Probabilities of a policy that always takes `choice` [S].  -> [S, A]"""
    return np.eye(actions)[choice]
