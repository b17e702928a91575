"""A choice whose better branch must be followed up rightly: where n-step returns pick the worse."""

import numpy as np

from chunkrl.tabular.mdp import MDP, check
from chunkrl.tabular.worlds import World, probability

SAFE, RISKY = 0, 1
START, END = 0, 3
WORTH_SAFE, WORTH_RISKY = -4.0, -2.0  # two steps: whatever follows; if followed up rightly


def fork(follow: float = 0.5, wrong: float = -8.0) -> World:
    """Two steps: safe is worth -4 whatever follows, risky -2 if action 1 follows, else `wrong`.

    States: the start, after safe, after risky, the end.  Nothing is left to chance or discounted.
    The behaviour begins with either, and follows up rightly with probability `follow`.
    """
    probability(follow=follow)
    transition = np.zeros((4, 2, 4))
    transition[START, [SAFE, RISKY], [1, 2]] = transition[1:, :, END] = 1
    reward = np.array([[-2.0, -1.0], [-2.0, -2.0], [wrong + 1, -1.0], [0.0, 0.0]])
    follows = np.array([[0.5, 0.5], [0.5, 0.5], [1 - follow, follow], [0.5, 0.5]])
    return World(check(MDP(transition, reward, 1 - 1e-9)), follows)


def long_fork(follow: float, steps: int, wrong: float = -8.0) -> World:
    """Risky is worth -2 if action 1 follows `steps` times running; the first other one: `wrong`.

    States: the start, 1 ... `steps` on the risky way, the end.  Safe is worth -4 and ends at once.
    """
    probability(follow=follow)
    way, end = np.arange(1, steps + 1), steps + 1
    transition = np.zeros((steps + 2, 2, steps + 2))
    transition[START, [SAFE, RISKY], [end, 1]] = 1
    transition[way, 0, end] = transition[way, 1, way + 1] = transition[end, :, end] = 1
    reward = np.zeros((steps + 2, 2))
    reward[START] = WORTH_SAFE, WORTH_RISKY
    reward[way, 0] = wrong - WORTH_RISKY
    follows = np.full((steps + 2, 2), 0.5)
    follows[way] = 1 - follow, follow
    return World(check(MDP(transition, reward, 1 - 1e-9)), follows)


def switch(wrong: float) -> float:
    """How often the behaviour must follow up rightly for the 2-step value of risky to reach -4.

    -2 f + wrong (1 - f) = -4
    """
    return (wrong - WORTH_SAFE) / (wrong - WORTH_RISKY)
