"""What luck does to a table: rankings by few seeds, and what is picked by few episodes. Exact."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np


def flip_probability(a: Sequence[int], b: Sequence[int], n: int) -> float:
    """How probable n seeds of each show the opposite of all: that b's sum is larger than a's.

    `a` holds the scores of the method that is ahead over all seeds, `b` those of the other.  Every
    n of a meet every n of b, each pair of subsets counts once, and a tie counts half.
    """
    ours, theirs = ([sum(chosen) for chosen in combinations(x, n)] for x in (a, b))
    gaps = np.subtract.outer(theirs, ours)
    return float(((gaps > 0) + 0.5 * (gaps == 0)).mean())


def sums(scores: Sequence[int], n: int) -> np.ndarray:
    """P(sum of n draws, each seed as probable every time).  [m] whole numbers -> [1 + n max]"""
    one = np.bincount(scores) / len(scores)
    law = np.ones(1)
    for _ in range(n):
        law = np.convolve(law, one)
    return law


def gaps(a: Sequence[int], b: Sequence[int], n: int) -> tuple[np.ndarray, np.ndarray]:
    """The differences that are possible between sums of n draws of a and of b, and their law."""
    first, second = sums(a, n), sums(b, n)
    law = np.convolve(first, second[::-1])
    return np.arange(len(law)) - (len(second) - 1), law


def flip_anew(a: Sequence[int], b: Sequence[int], n: int) -> float:
    """`flip_probability` for n *new* seeds, each like one of ours: drawn with putting back."""
    gap, law = gaps(a, b, n)
    return float(law[gap < 0].sum() + 0.5 * law[gap == 0].sum())


def picked(rates: Sequence[float], episodes: int) -> np.ndarray:
    """P(each is picked), where each succeeds at its rate and the most successes win.  [K] -> [K]

    With X_k ~ Binomial(episodes, rate_k) and ties drawn by lot,
    P(k) = sum_x P(X_k = x) int_0^1 prod_{j != k} [P(X_j < x) + u P(X_j = x)] du.
    """
    from scipy.stats import binom

    x = np.arange(episodes + 1)
    equal = binom.pmf(x, episodes, np.asarray(rates)[:, None])
    below = equal.cumsum(1) - equal
    won = []
    for k in range(len(rates)):
        others = np.ones((1, episodes + 1))  # coefficients of u, for each x
        for j in set(range(len(rates))) - {k}:
            stay, tie = others * below[j], others * equal[j]
            others = np.pad(stay, ((0, 1), (0, 0))) + np.pad(tie, ((1, 0), (0, 0)))
        won.append(equal[k] @ (others / np.arange(1, len(rates) + 1)[:, None]).sum(0))
    return np.array(won)
