"""Where a paper's page and its code differ, and what that does, as far as it was measured."""

import html
from functools import cache
from typing import NamedTuple

import numpy as np

from chunkrl.results import published, robot_tuning

NOT = "not measured"
# Successes of our three MAC seeds, in percent: figures/laptop_methods.md has the commands.
EXECUTED = {1: (44, 34, 30), 10: (64, 82, 80)}
LENGTH, N, DISCOUNT = 24, 5, 0.99  # a lock without slips, as in notebook 04


class Difference(NamedTuple):
    """One of them."""

    paper: str
    page: str
    code: str
    effect: str

    @property
    def measured(self) -> bool:
        return not self.effect.startswith(NOT)


class Shown(NamedTuple):
    """Table 1 of Q-chunking, offline, beside the released curves."""

    cells: int
    at_900: int  # equal to the curve at 900 thousand updates, rounded
    at_1000: int
    largest: float  # difference to the curve at 1,000 [points]


class Table(tuple[Difference, ...]):
    """Differences that show themselves as a table."""

    def __repr__(self) -> str:
        return "\n".join(f"{i}. {' | '.join(row)}" for i, row in enumerate(self, start=1))

    def _repr_html_(self) -> str:
        header = ("paper", "its page", "its code", "effect")
        head = "".join(f"<th style='text-align:left'>{name}</th>" for name in header)
        rows = "".join(
            "<tr>"
            + "".join(f"<td style='text-align:left'>{html.escape(cell)}</td>" for cell in row)
            + "</tr>"
            for row in self
        )
        return f"<table><tr>{head}</tr>{rows}</table>"


def offline_column() -> Shown:
    """How many printed cells are the curve's value at 900, and how many that at 1,000."""
    cells = [
        (row.percent, published.curve("QC", row.method, row.domain))
        for row in published.load()
        if row.source == "QC table 1" and row.thousands == 1000
    ]
    apart = {
        step: np.array([abs(percent - curve[step].percent) for percent, curve in cells])
        for step in (900, 1000)
    }
    equal = {step: int((gaps <= 0.5 + 1e-3).sum()) for step, gaps in apart.items()}
    return Shown(len(cells), equal[900], equal[1000], float(apart[1000].max()))


def undiscounted() -> tuple[float, float]:
    """V* of the lock's first cell, and the same with gamma^n left out before the bootstrap."""
    steps = [N] * (LENGTH // N) + [LENGTH % N] * (LENGTH % N > 0)
    rewards = [-sum(DISCOUNT**i for i in range(h)) for h in steps]
    return -sum(DISCOUNT**i for i in range(LENGTH)), sum(rewards)


def _alphas() -> str:
    tried: dict[float, list[float]] = {}
    for (method, alpha, _), rate in robot_tuning.rates().items():
        if method == "qc_fql":
            tried.setdefault(alpha, []).append(rate)
    return ", ".join(f"{alpha:g}: {np.mean(rates):.0%}" for alpha, rates in sorted(tried.items()))


@cache
def table() -> Table:
    """All of them, the measured ones first."""
    shown, (right, wrong) = offline_column(), undiscounted()
    one, ten = (np.mean(EXECUTED[steps]) for steps in (1, 10))
    rows = (
        Difference(
            "QC", "table 1: offline results after 1M updates",
            "released curves: what is printed is the evaluation at 0.9M",
            f"{shown.at_900} of {shown.cells} cells equal 0.9M, {shown.at_1000} equal 1.0M; "
            f"largest difference {shown.largest:.0f} points",
        ),
        Difference(
            "MAC", "critic and value are of whole chunks", "evaluation plays 1 action of 10",
            f"ours, 3 seeds: {one:.0f}% with 1 action, {ten:.0f}% with all 10",
        ),
        Difference(
            "QC", "eq. 3: no gamma^n before the bootstrap", "it is there",
            f"exact, lock of {LENGTH} cells, n = {N}: {wrong:.2f} instead of {right:.2f}",
        ),
        Difference(
            "QC", "losses are sums over the numbers of a chunk", "they are means",
            "alpha is weaker by the numbers in a chunk (25 here); what alpha does to QC-FQL, ours: "
            + _alphas(),
        ),
        Difference(
            "MAC", "a chunk's reward is the sum of its rewards", "their mean",
            "values are 1/h of it, exactly (13.bug); success: " + NOT,
        ),
        Difference(
            "QC", "nothing about successes inside a window", "rewards after them are still summed",
            NOT + "; we keep the code's way",
        ),
        Difference(
            "QC", "noise of its own for each target critic", "one noise for all",
            NOT + "; we keep the code's way",
        ),
        Difference(
            "QC, MAC", "the slow critic follows the critic", "it follows the one of a step before",
            NOT + "; we keep the code's way",
        ),
        Difference(
            "MAC", "32 candidates in training on puzzle-4x5", "8 everywhere by default", NOT,
        ),
        Difference(
            "QC", "online: new steps are added to the data", "on cube-triple they replace the "
            "oldest logged ones", NOT + "; nothing was trained online here",
        ),
    )  # fmt: skip
    return Table(rows)
