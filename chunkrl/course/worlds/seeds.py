"""What luck does to a table: rankings by few seeds, and what is picked by few episodes. Exact."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np


def flip_probability(a: Sequence[int], b: Sequence[int], seeds: int) -> float:
    """How probable it is that so many seeds of each show the opposite of all: b's sum above a's.

    `a` holds the scores of the method that is ahead over all seeds, `b` those of the other.  Every
    subset of a meets every subset of b, each pair counts once, and a tie counts half.
    """
    ours, theirs = ([sum(chosen) for chosen in combinations(x, seeds)] for x in (a, b))
    gaps = np.subtract.outer(theirs, ours)
    return float(((gaps > 0) + 0.5 * (gaps == 0)).mean())


def sums(scores: Sequence[int], seeds: int) -> np.ndarray:
    """P(sum of so many draws, each score as probable every time).  [R] -> [1 + seeds * largest]"""
    one = np.bincount(scores) / len(scores)
    law = np.ones(1)
    for _ in range(seeds):
        law = np.convolve(law, one)
    return law


def gaps(a: Sequence[int], b: Sequence[int], seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Possible differences between sums of so many draws of a and of b, and their law."""
    first, second = sums(a, seeds), sums(b, seeds)
    law = np.convolve(first, second[::-1])
    return np.arange(len(law)) - (len(second) - 1), law


def flip_anew(a: Sequence[int], b: Sequence[int], seeds: int) -> float:
    """`flip_probability` for *new* seeds, each like one of ours: drawn with putting back."""
    gap, law = gaps(a, b, seeds)
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
