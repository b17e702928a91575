"""When chunking is right: open-loop consistency measured, and the bounds on its cost.

Source: Li, Park, Levine, Decoupled Q-Chunking, arXiv 2512.10926, section 4.  Rewards lie in [0, 1];
for any other range multiply a bound by max r - min r.  H = 1/(1 - gamma), Hbar = 1/(1 - gamma^h).
"""

from typing import NamedTuple

import numpy as np

from chunkrl.tabular.chunks import at_least_one, chunked, logged
from chunkrl.tabular.mdp import MDP, chain, one_hot, optimal, policy_value


class Consistency(NamedTuple):
    """The smallest eps_h for which data are open-loop consistent, state by state.

    The theorems need the largest over the states in which chunks start.
    """

    weak: np.ndarray  # [S]
    strong: np.ndarray  # [S]  at least `weak`


def total_variation(p: np.ndarray, q: np.ndarray, axes: int = 1) -> np.ndarray:
    """TV(p, q) = 1/2 sum |p - q| over the last `axes` axes."""
    return 0.5 * np.abs(p - q).sum(tuple(range(-axes, 0)))


def consistency(mdp: MDP, behaviour: np.ndarray, h: int) -> Consistency:
    """Open-loop consistency of the data of a closed-loop behaviour [S, A] (DQC, Definition 2).

    P_D is the law of the data from s_t on; P_B that of typing the same chunks blind.  Weak: TV of
    (s_{t+i}, a_{t+i}), 0 < i < h, and of s_{t+h}, between P_B and P_D.  Strong: also, for each
    logged chunk, TV(T(s_{t+i} | s_t, chunk), P_D(s_{t+i} | s_t, chunk)), 0 < i <= h.
    """
    at_least_one(h=h)
    states, actions = mdp.reward.shape
    data, follow = [logged(mdp, behaviour, i) for i in range(1, h + 1)], chain(mdp, behaviour)[0]
    frequency = data[-1].frequency
    weak = strong = np.zeros(states)
    arrive = np.eye(states)  # P_D(s_{t+i} | s_t)
    for i, before in enumerate(data, 1):
        arrive = arrive @ follow
        typed = chunked(mdp, i).transition  # [S, A^i, S]
        if i == h:
            blind = (frequency[:, None] @ typed)[:, 0]
            weak = np.maximum(weak, total_variation(blind, arrive))
            gap = total_variation(typed, before.mdp.transition)
        else:
            begins = frequency.reshape(states, actions**i, -1)  # [S, A^i, A^{h-i}]
            first = begins.reshape(states, actions**i, actions, -1).sum(-1)
            blind = np.einsum("sca,sct->sta", first, typed)
            weak = np.maximum(weak, total_variation(blind, arrive[..., None] * behaviour, 2))
            passing = before.frequency[..., None] * before.mdp.transition
            joint = passing[:, :, None, :] * data[h - i - 1].frequency.T  # [S, A^i, A^{h-i}, S]
            given = joint / np.where(begins > 0, begins, 1.0)[..., None]
            gap = total_variation(given, typed[:, :, None]).reshape(states, -1)
        strong = np.maximum(strong, np.where(frequency > 0, gap, 0).max(-1))
    return Consistency(weak, np.maximum(weak, strong))


def value_bias(eps: float, discount: float, h: int) -> float:
    """Theorem 1: |V_ac - Vhat_ac| <= gamma eps H / (1 - (1 - eps) gamma^h) <= eps H Hbar.

    V_ac is what the behaviour's chunks, typed blind, are worth; Vhat_ac what chunked backups on its
    data make of them.  Weak consistency suffices.  Tight (Theorem 2): `worst_cases.coin`.  Also
    V* - V*_ac <= the same, for the best chunk policy and optimal data (Corollary 1; tight).
    """
    return discount * eps / ((1 - discount) * (1 - (1 - eps) * discount**h))


def greedy_regret(eps: float, discount: float, h: int) -> float:
    """Theorem 3: V* - V+_ac <= B(2 eps) + B(eps), B the bound of Theorem 1; at most 3 eps H Hbar.

    V+_ac is the true value of the chunk policy that is greedy for the chunked critic, typed blind.
    eps is the strong consistency of the data and of an optimal policy's data, whose chunks must lie
    in the data.   Tight (Theorem 4): `worst_cases.detour`.
    """
    return value_bias(2 * eps, discount, h) + value_bias(eps, discount, h)


class Regret(NamedTuple):
    """What a chunked critic fitted to infinite data leads to, [S] each."""

    best: np.ndarray  # V*
    claimed: np.ndarray  # Vhat+_ac, the fixed point of the chunked backup on the data
    obtained: np.ndarray  # V+_ac, its greedy chunks typed blind
    reactive: np.ndarray  # V., only the first action of the greedy chunk, asked again at every step


def learned_chunks(mdp: MDP, behaviour: np.ndarray, h: int) -> Regret:
    """Fit chunks to the data of `behaviour` ([S, A] or [S, A^h]), then execute the greedy ones."""
    claimed = optimal(logged(mdp, behaviour, h).mdp)
    first = claimed.choice // mdp.reward.shape[1] ** (h - 1)
    return Regret(
        optimal(mdp).value,
        claimed.value,
        policy_value(chunked(mdp, h), claimed.choice),
        policy_value(mdp, first),
    )


class Verdict(NamedTuple):
    """What Theorems 1 and 3 bound, the largest over states, beside the bounds."""

    weak: float  # eps of the data
    strong: float  # eps of the data or of an expert's, whichever is larger
    bias: float  # |V_ac - Vhat_ac|
    bias_bound: float
    regret: float  # V* - V+_ac
    regret_bound: float


def verdict(mdp: MDP, behaviour: np.ndarray, h: int) -> Verdict:
    """Measure data of a closed-loop behaviour [S, A] against Theorems 1 and 3.

    Theorem 3 asks that the expert's chunks lie in the data: true if `behaviour` takes every action.
    """
    data, typed, best = logged(mdp, behaviour, h), chunked(mdp, h), optimal(mdp)
    eps = consistency(mdp, behaviour, h)
    expert = consistency(mdp, one_hot(best.choice, mdp.reward.shape[1]), h)
    weak, strong = eps.weak.max(), max(eps.strong.max(), expert.strong.max())
    bias = policy_value(data.mdp, data.frequency) - policy_value(typed, data.frequency)
    regret = best.value - learned_chunks(mdp, behaviour, h).obtained
    scale = np.ptp(mdp.reward)
    bias_bound = scale * value_bias(weak, mdp.discount, h)
    regret_bound = scale * greedy_regret(strong, mdp.discount, h)
    found = (weak, strong, np.abs(bias).max(), bias_bound, regret.max(), regret_bound)
    return Verdict(*map(float, found))
