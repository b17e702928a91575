"""How values, and errors in them, travel back from the goal, one backup of h steps at a time."""

import numpy as np

from chunkrl.errors import ConfigError
from chunkrl.tabular.chunks import at_least_one
from chunkrl.tabular.mdp import MDP, Solution, absorbing, backup, chain, optimal, policy_value


def accumulated(distance: np.ndarray | int, discount: float, eps: float, h: int = 1) -> np.ndarray:
    """Error of V at `distance` steps from a known end if every backup of h steps adds eps.

    eps sum_{j<ceil(d/h)} gamma^{hj} = eps (1 - gamma^{h ceil(d/h)}) / (1 - gamma^h), which is
    eps (1 - gamma^d) / (1 - gamma^h) when h divides d: h times fewer backups, h times less error.
    At gamma = 1 it is eps times the number of backups.
    """
    at_least_one(h=h)
    if not 0 <= discount <= 1:
        raise ConfigError(f"discount {discount} must be in [0, 1]")
    backups = np.ceil(np.asarray(distance) / h)
    if discount == 1:
        return eps * backups
    return eps * (1 - discount ** (h * backups)) / (1 - discount**h)


def shortest_backup(distance: int, discount: float, eps: float, limit: float) -> int:
    """The smallest h with `accumulated` below `limit`; ConfigError if eps alone reaches it."""
    if eps >= limit:
        raise ConfigError(f"a single backup already adds {eps}, not below {limit}")
    return next(
        h for h in range(1, distance + 1) if accumulated(distance, discount, eps, h) < limit
    )


def backups_until_exact(mdp: MDP, start: int = 0, *, most: int = 10_000) -> int:
    """Synchronous backups V <- max_a (r + gamma P V), from V = 0, until V(start) is V*(start).

    In a deterministic corridor of length L: L, and ceil(L / h) with `chunked(mdp, h)`.  With chance
    in the dynamics the values only approach V*: ConfigError after `most` backups.
    """
    goal = optimal(mdp).value[start]
    value = np.zeros(len(mdp.reward))
    for count in range(most + 1):
        if abs(value[start] - goal) <= 1e-9 * max(1.0, abs(goal)):
            return count
        value = backup(mdp, value).max(-1)
    raise ConfigError(f"V({start}) is not exact after {most} backups: it only approaches V*")


def entry_errors(mdp: MDP, std: float, seeds: int, rng: np.random.Generator) -> np.ndarray:
    """A critic's fixed error per entry, N(0, std^2) independent, none at the end.  -> [seeds, S, A]

    A stand-in for function approximation, whose real errors are neither fixed nor independent.
    """
    error = std * rng.standard_normal((seeds, *mdp.reward.shape))
    return np.where(absorbing(mdp)[:, None], 0.0, error)


def noisy(
    mdp: MDP,
    error: np.ndarray,
    *,
    policy: np.ndarray | None = None,
    proposed: np.ndarray | None = None,
) -> Solution:
    """Fixed point Q = r + error + gamma P max_a Q of a critic wrong by `error` [*B, S, A].

    With `policy` [S, A] the same without a maximum: zero-mean error then gives zero-mean V.  With
    `proposed` [*B, S, A] bool the maximum is over those actions only.  It turns zero-mean error
    into drift once that is comparable to the gap between actions: an entry that is wrong by more
    than a step costs can be farmed for ever, which is a threshold, not a law.
    """
    wrong = mdp._replace(reward=mdp.reward + error)
    if policy is not None:
        value = policy_value(wrong, policy)
        q = backup(wrong, value)
        return Solution(value, q, q.argmax(-1))
    if proposed is None:
        return optimal(wrong)
    if not proposed.any(-1).all():
        raise ConfigError("every state needs at least one proposed action")
    # Below anything that the proposed actions can be worth, whatever follows.
    hopeless = -3 * (np.abs(wrong.reward).max() + 1) / (1 - mdp.discount)
    return optimal(wrong._replace(reward=np.where(proposed, wrong.reward, hopeless)))


def noisy_variance(mdp: MDP, choice: np.ndarray, std: float) -> np.ndarray:
    """Variance of the values of a policy, evaluated with `entry_errors` in its backups.  -> [S]

    The policy always takes `choice` [S].  V is linear in the errors, V = V^pi + G e with G =
    (I - gamma P_pi)^{-1}, so that Var V(s) = std^2 sum_s' G(s, s')^2 over all but the end.
    """
    follow, _ = chain(mdp, choice)
    counted = np.linalg.inv(np.eye(len(choice)) - mdp.discount * follow)
    return std**2 * (counted**2 @ ~absorbing(mdp))


def proposals(
    frequency: np.ndarray, candidates: int, seeds: int, rng: np.random.Generator
) -> np.ndarray:
    """Which chunks `candidates` draws of the behaviour contain.  [S, C] -> [seeds, S, C] bool"""
    at_least_one(candidates=candidates, seeds=seeds)
    ceiling = np.cumsum(frequency, -1)
    draws = rng.random((candidates, seeds, len(frequency)))
    proposed = np.zeros((seeds, *frequency.shape), bool)
    for state, steps in enumerate(ceiling):
        drawn = np.searchsorted(steps / steps[-1], draws[..., state], side="right")
        proposed[np.arange(seeds)[None], state, drawn] = True
    return proposed
