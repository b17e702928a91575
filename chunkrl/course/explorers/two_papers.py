"""Notebook 15: one method in two papers that give it another number of critics; published."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Choice, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.results import published
from chunkrl.results.published import DOMAINS

PAIRS = {  # name in the first paper (Q-chunking, 2 critics), in the second (QAM, 10 critics)
    "QC-FQL": ("QC-FQL", "FQL"),
    "QC-IFQL": ("QC-IFQL", "IFQL"),
    "ReBRAC (chunks in the second only)": ("ReBRAC", "ReBRAC"),
}
ONLINE = 1000  # from here on the agents act [thousand updates]
LAST = 1500
STEPS = tuple(range(100, LAST + 1, 100))
FIRST, SECOND = plots.estimated(0), plots.estimated(1)


class Numbers(NamedTuple):
    method: str
    thousands: int
    first: np.ndarray  # [domains, 3]   success, low, high with 2 critics [%]
    second: np.ndarray  # [domains, 3]   with 10
    curves: np.ndarray  # [2, steps]   means over the domains

    @property
    def apart(self) -> np.ndarray:
        """Domains in which the two 95% intervals do not touch.  [domains] bool"""
        return (self.first[:, 1] > self.second[:, 2]) | (self.second[:, 1] > self.first[:, 2])


def numbers_of(source: str, method: str) -> np.ndarray:
    """-> [domains, steps, 3]: success, low, high"""
    rows = [published.curve(source, method, domain) for domain in DOMAINS]
    return np.array([[at[step][4:] for step in STEPS] for at in rows])


def compute(method: str, thousands: int) -> Numbers:
    """Both publications of a method at the same number of updates."""
    both = [numbers_of(s, m) for s, m in zip(("QC", "QAM"), PAIRS[method], strict=True)]
    at = STEPS.index(thousands)
    means = np.array([found[..., 0].mean(0) for found in both])
    return Numbers(method, thousands, both[0][:, at], both[1][:, at], means)


def layout(figure: Figure) -> tuple[Axes, ...]:
    means = plots.label(
        figure.add_axes((0.08, 0.13, 0.36, 0.63)),
        "updates [thousands]; shaded: online",
        "success [%]",
        "mean of the five domains, published",
    )
    means.set_xlim(0, LAST + 40)
    means.set_ylim(-2, 102)
    each = plots.label(
        figure.add_axes((0.6, 0.13, 0.38, 0.63)),
        "success [%]",
        "",
        "each domain, 95% as published",
    )
    each.set_xlim(-3, 103)
    each.set_ylim(len(DOMAINS) - 0.5, -0.5)
    each.set_yticks(range(len(DOMAINS)), DOMAINS, fontsize=9)
    each.tick_params(axis="y", length=0)
    plots.key(means, {"2 critics (QC)": FIRST, "10 critics (QAM)": SECOND}, "upper left")
    return means, each


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    means, each = axes
    means.axvspan(ONLINE, LAST + 40, color="#EEEEEE", zorder=0, linewidth=0)
    means.axvline(numbers.thousands, ymax=0.8, color="#CCCCCC", linewidth=6.0, zorder=0.5)
    for series, (style, values) in enumerate(zip((FIRST, SECOND), numbers.curves, strict=True)):
        means.plot(STEPS, values, **plots.reference(series))
        means.plot(numbers.thousands, values[STEPS.index(numbers.thousands)], **style)
    for place, (a, b) in enumerate(zip(numbers.first, numbers.second, strict=True)):
        dark = plots.BLACK if numbers.apart[place] else "#BBBBBB"
        each.plot([a[0], b[0]], [place, place], color=dark, linewidth=1.0, zorder=1)
        for found, style, aside in ((a, FIRST, -0.13), (b, SECOND, 0.13)):
            mean, low, high = found
            sides = [[max(mean - low, 0.0)], [max(high - mean, 0.0)]]
            each.errorbar(mean, place + aside, xerr=sides, elinewidth=1.2, **style)
    before, after = numbers.curves[:, STEPS.index(numbers.thousands)]
    name = numbers.method.split(" (")[0]
    plots.headline(
        means,
        f"{name}, {numbers.thousands:,} thousand updates: {before:.0f}% in one paper, {after:.0f}% "
        "in the other",
    )


def describe(numbers: Numbers) -> str:
    each = ", ".join(
        f"{domain} {a[0]:.0f} and {b[0]:.0f}{'' if apart else ' (intervals touch)'}"
        for domain, a, b, apart in zip(
            DOMAINS, numbers.first, numbers.second, numbers.apart, strict=True
        )
    )
    before, after = numbers.curves[:, STEPS.index(numbers.thousands)]
    return (
        f"{numbers.method}, published twice, after {numbers.thousands:,} thousand updates: "
        f"{before:.1f}% over five domains with 2 critics (Q-chunking), {after:.1f}% with 10 (QAM). "
        f"Each domain: {each}."
    )


def table(numbers: Numbers) -> Table:
    header = ("domain", "2 critics", "from", "to", "10 critics", "from", "to")
    rows = zip(DOMAINS, numbers.first.tolist(), numbers.second.tolist(), strict=True)
    return header, [(domain, *a, *b) for domain, a, b in rows]


TWO_PAPERS = Explorer(
    name="two_papers",
    notebook="15",
    title="What do the papers' tables really say?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Choice("method", "method", tuple(PAIRS), "QC-IFQL"),
        Slider("thousands", "updates [thousands]", STEPS[0], LAST, 100, LAST),
    ),
    describe=describe,
    table=table,
    named={
        "Offline only": {"thousands": ONLINE},
        "QC-FQL": {"method": "QC-FQL"},
        "QC-FQL, early": {"method": "QC-FQL", "thousands": 500},
    },
    motion="thousands",
)
