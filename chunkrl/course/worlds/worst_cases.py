"""Small MDPs in which the bounds of DQC are met: its Theorems 2 and 4 and Proposition 1.

The idea of all of them: a coin decides which action is right, a closed-loop policy sees it, a chunk
cannot.  Each step i of a chunk has its own coin states; after h steps the walk is back at the
start, or has left for an absorbing state.  The constructions of Theorem 2 and Proposition 1 follow
the paper's description; that of `detour` is ours (its supremum is the bound of Theorem 3).
"""

from typing import NamedTuple

import numpy as np

from chunkrl.errors import ConfigError
from chunkrl.tabular.chunks import at_least_one
from chunkrl.tabular.mdp import MDP, check


class Case(NamedTuple):
    """An MDP with the data policies that make a bound tight."""

    mdp: MDP
    behaviour: np.ndarray  # [S, A]  logged the data
    expert: np.ndarray  # [S, A]  an optimal closed-loop policy
    starts: np.ndarray  # [S] bool  where chunks start: closed under h steps


class Face(NamedTuple):
    """One side of a coin: how likely, and what each of the two actions does there."""

    chance: float
    reward: tuple[float, float]
    follow: tuple[str, str]  # after the last coin of the chunk: "start", "good" (worth H) or "bad"
    behaviour: float  # probability of action 0 in the data
    expert: float  # and by an optimal policy


def build(
    branches: list[list[Face]], discount: float, h: int, behaviour: float = 0.5, expert: float = 0.5
) -> Case:
    """From the start, action b enters branch b; each branch tosses its coin at steps 1 to h - 1.

    `behaviour` and `expert` are the probabilities of action 0 at the start, where either earns 1.
    """
    at_least_one(h=h)
    if h < 2:
        raise ConfigError("a chunk must have at least 2 actions, else there is nothing to miss")
    places = {"start": 0, "good": 1, "bad": 2}
    index, size = {}, 3
    for b, faces in enumerate(branches):
        for step in range(1, h):
            index[b, step] = range(size, size + len(faces))
            size += len(faces)
    transition, reward = np.zeros((size, 2, size)), np.zeros((size, 2))
    logs, best = np.full(size, behaviour), np.full(size, expert)  # probability of action 0
    transition[[1, 2], :, [1, 2]] = 1
    reward[[0, 1]] = 1
    for action in (0, 1):
        b = min(action, len(branches) - 1)
        transition[0, action, index[b, 1]] = [face.chance for face in branches[b]]
    for (b, step), cells in index.items():
        for cell, face in zip(cells, branches[b], strict=True):
            reward[cell] = face.reward
            logs[cell], best[cell] = face.behaviour, face.expert
            if step < h - 1:
                transition[cell][:, index[b, step + 1]] = [face.chance for face in branches[b]]
            else:
                for action in (0, 1):
                    transition[cell, action, places[face.follow[action]]] = 1
    starts = np.arange(size) < 3
    logs, best = np.stack([logs, 1 - logs], -1), np.stack([best, 1 - best], -1)
    return Case(check(MDP(transition, reward, discount)), logs, best, starts)


def coin(eps: float, discount: float, h: int, *, optimistic: bool = True) -> Case:
    """Theorem 2: data whose chunked value is wrong by exactly the bound of Theorem 1.

    eps = 2 d (1 - d), eps <= 1/2.  A coin with chance d of heads: action 0 is right at heads, 1 at
    tails, and the data always take the right one and earn 1 for ever.  Typed blind, a chunk is
    wrong with probability eps at each step; wrong at the last step is the end of all reward.  With
    optimistic=False every reward r is 1 - r, and the data under-estimate by the same amount.
    """
    _within(eps, 0.5)
    d = (1 - np.sqrt(1 - 2 * eps)) / 2
    faces = [
        Face(d, (1, 0), ("start", "bad"), 1, 1),
        Face(1 - d, (0, 1), ("bad", "start"), 0, 0),
    ]
    case = build([faces], discount, h)
    if optimistic:
        return case
    return case._replace(mdp=case.mdp._replace(reward=1 - case.mdp.reward))


def forced(eps: float, discount: float, h: int) -> Case:
    """Corollary 2: strongly consistent optimal data, and still no chunk is better than the bound.

    Heads and tails with chance eps each, and an edge, 1 - 2 eps, where both actions are right.
    Every chunk is wrong with probability eps at each step, so the best chunk policy loses Theorem
    1's bound.
    """
    _within(eps, 0.5)
    return build([_three(eps, 1.0)], discount, h)


def detour(eps: float, discount: float, h: int, *, leak: float = 1e-9) -> Case:
    """Theorem 4: the greedy chunk loses all that Theorem 3 allows, in the limit leak -> 0.

    Action 0 at the start enters the branch of `forced`, but the data take the *wrong* action at
    heads and tails: its chunks are wrong with probability eps when typed, and 2 eps in the data
    (two thirds of the bound).  Action 1 enters a branch whose blank face earns just enough for the
    data to claim as much; there, action 0 was logged when a rare face (chance `leak`) led to
    paradise, and typed blind meets, with probability eps, a face that ends all reward (the last
    third). The gap to the bound is O(leak); eps must be small enough for a blank reward in [0, 1]
    to exist.
    """
    _within(eps, 0.5)
    inner = sum(discount**i for i in range(1, h))  # discounted weight of the coin steps
    last = discount**h
    claim = (1 + (1 - 2 * eps) * inner) / (1 - last * (1 - 2 * eps))
    # In the data action 0 of the detour meets: paradise eps + leak, blank the rest.
    lucky, goal = eps + leak, 1 / (1 - discount)
    blank_total = claim * (1 - last * (1 - lucky)) - 1 - last * lucky * goal - lucky * inner
    blank = blank_total / ((1 - lucky) * inner) * (1 + 1e-9)  # a hair more, to break the tie
    if not 0 <= blank <= 1:
        raise ConfigError(f"eps={eps} is too large for gamma={discount}, h={h}: take a smaller one")
    # Action 0 is this rare in the data, so that seeing it raises the odds of paradise to `lucky`.
    chance = leak / lucky
    rest = 1 - leak - eps
    lead = [
        Face(leak, (1, 0), ("good", "bad"), 1, 1),
        Face(eps, (0, 0), ("bad", "bad"), 0, 0),
        Face(rest, (blank, 0), ("start", "bad"), (chance - leak) / rest, 1),
    ]
    return build([_three(eps, 0.0), lead], discount, h, expert=1.0)


def lucky_chunk(eps: float, discount: float, payoff: float) -> Case:
    """Proposition 1: weak consistency alone does not protect a greedy chunk.

    V* - V+_ac = gamma (1 - d) payoff / (1 - gamma), any payoff < 1 and d <= 1/2: a share c < 1/2 of
    all there is to win can always be lost.  With chance d (eps = 2 d (1 - d)) action 0 leads to
    paradise, otherwise action 1 leads to `payoff` < 1 for ever; the data always know which.  So the
    chunk (., 0) is only ever logged with luck and claims gamma / (1 - gamma); typed blind it is
    worth d of that.  h = 2.
    """
    _within(eps, 0.5)
    d = (1 - np.sqrt(1 - 2 * eps)) / 2
    transition, reward = np.zeros((6, 2, 6)), np.zeros((6, 2))
    start, heads, tails, paradise, bad, fair = range(6)
    transition[start, :, heads], transition[start, :, tails] = d, 1 - d
    transition[heads, 0, paradise] = transition[heads, 1, bad] = 1
    transition[tails, 0, bad] = transition[tails, 1, fair] = 1
    for place, r in ((paradise, 1.0), (bad, 0.0), (fair, payoff)):
        transition[place, :, place], reward[place] = 1, r
    reward[heads, 0], reward[tails, 1] = 1, payoff
    policy = np.full((6, 2), 0.5)
    policy[heads], policy[tails] = [1, 0], [0, 1]
    starts = ~np.isin(np.arange(6), [heads, tails])
    return Case(check(MDP(transition, reward, discount)), policy, policy, starts)


def _three(eps: float, right: float) -> list[Face]:
    """Heads and tails, where the data are right with probability `right`, and edge."""
    return [
        Face(eps, (1, 0), ("start", "bad"), right, 1),
        Face(eps, (0, 1), ("bad", "start"), 1 - right, 0),
        Face(1 - 2 * eps, (1, 1), ("start", "start"), 0.5, 0.5),
    ]


def _within(eps: float, largest: float) -> None:
    if not 0 < eps <= largest:
        raise ConfigError(f"eps={eps} must be above 0 and at most {largest}")
