"""Notebook 15: how often few seeds rank two methods the other way round than all of ours do."""

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Choice, Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.course.explorers.robot_curves import COUNT, EPISODES, SEEDS, SHOWN, STEPS
from chunkrl.course.worlds import seeds as luck
from chunkrl.experiments.report import spelled

MOST = 20  # seeds of each
PAIRS = {f"{spelled(a)} and {spelled(b)}": (a, b) for a, b in combinations(SHOWN, 2)}
WIDTH = 5.0  # of a bar [points]
EDGES = np.arange(-100.0 - WIDTH / 2, 100.0 + WIDTH, WIDTH)
BAR: dict[str, Any] = plots.EXACT_BAR | {"linewidth": 0.9}
NEW = plots.EXACT | {"marker": "o", "markersize": 4.0}
OLD = plots.EXACT | {"linestyle": (0, (4, 2)), "marker": "s", "markersize": 4.0}


class Numbers(NamedTuple):
    seeds: int  # of each method, in one paper
    updates: int
    ahead: str  # over all seeds
    behind: str
    means: tuple[float, float]  # success of both over all seeds
    anew: np.ndarray  # [MOST]   P(flip) with 1, 2, ... new seeds of each, like ours
    subsets: np.ndarray  # [R]   P(flip) with 1, 2, ... of ours, none twice
    gap: np.ndarray  # [G]   possible differences of the means of new seeds [points]
    law: np.ndarray  # [G]


def scores(method: str, updates: int = STEPS[-1]) -> list[int]:
    """Successes of each of our seeds."""
    return COUNT[list(SHOWN).index(method), :, STEPS.index(updates)].tolist()


def compute(seeds: int, pair: str, updates: int) -> Numbers:
    """Rankings by so many seeds of each method, and that by all seeds."""
    ahead, behind = sorted(PAIRS[pair], key=lambda method: -sum(scores(method, updates)))
    a, b = scores(ahead, updates), scores(behind, updates)
    episodes = int(EPISODES.max())
    gap, law = luck.gaps(a, b, seeds)
    return Numbers(
        seeds,
        updates,
        spelled(ahead),
        spelled(behind),
        (float(np.mean(a)) / episodes, float(np.mean(b)) / episodes),
        np.array([luck.flip_anew(a, b, k) for k in range(1, MOST + 1)]),
        np.array([luck.flip_probability(a, b, k) for k in range(1, len(a) + 1)]),
        100.0 * gap / (seeds * episodes),
        law,
    )


def layout(figure: Figure) -> tuple[Axes, ...]:
    flips = plots.label(
        figure.add_axes((0.08, 0.13, 0.4, 0.63)),
        "seeds of each method S",
        "papers [%]",
        "papers that print the other ranking",
    )
    flips.set_xlim(0, MOST + 1)
    flips.set_ylim(0.0, 0.65)
    flips.set_yticks([0.0, 0.2, 0.4, 0.6], ["0", "20", "40", "60"])
    law = plots.label(
        figure.add_axes((0.58, 0.13, 0.4, 0.63)),
        "difference of the means [points]",
        "papers [%]",
        "what they print; filled: the other ranking",
    )
    law.set_xlim(-101, 101)
    law.set_ylim(0.0, 0.5)
    law.set_yticks([0.0, 0.2, 0.4], ["0", "20", "40"])
    entries = {"new seeds, like ours": NEW, f"of our {len(SEEDS)}, none twice": OLD}
    plots.key(flips, entries, "upper right")
    return flips, law


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    flips, law = axes
    flips.axhline(0.05, color="#AAAAAA", linewidth=0.8)
    flips.text(MOST + 0.9, 0.055, "5%", color="#777777", fontsize=9, ha="right")
    flips.axvline(numbers.seeds, ymax=0.8, color="#DDDDDD", linewidth=6.0, zorder=0)
    flips.plot(np.arange(MOST) + 1, numbers.anew, **NEW)
    flips.plot(np.arange(len(numbers.subsets)) + 1, numbers.subsets, **OLD)
    heights, _ = np.histogram(numbers.gap, EDGES, weights=numbers.law)
    flipped = numbers.law * ((numbers.gap < 0) + 0.5 * (numbers.gap == 0))
    wrong, _ = np.histogram(numbers.gap, EDGES, weights=flipped)
    middle = EDGES[:-1] + WIDTH / 2
    law.bar(middle, wrong, WIDTH, color=plots.VERMILLION, linewidth=0)
    law.bar(middle, heights, WIDTH, **BAR)
    law.axvline(0.0, color=plots.BLACK, linewidth=0.8)
    share = numbers.anew[numbers.seeds - 1]
    plots.headline(
        flips, f"{_count(numbers.seeds)} of each: {share:.1%} of papers put {numbers.behind} first"
    )


def _count(seeds: int) -> str:
    return f"{seeds} seed{'s' * (seeds > 1)}"


def describe(numbers: Numbers) -> str:
    ours, share = len(numbers.subsets), numbers.anew[numbers.seeds - 1]
    text = (
        f"After {numbers.updates:,} updates all {ours} seeds put {numbers.ahead} "
        f"({numbers.means[0]:.0%}) before {numbers.behind} ({numbers.means[1]:.0%}). With "
        f"{_count(numbers.seeds)} of each, new ones like ours, {share:.1%} of the papers would "
        "print the other ranking"
    )
    if numbers.seeds <= ours:
        text += f"; with {numbers.seeds} of our {ours}, none twice, "
        text += f"{numbers.subsets[numbers.seeds - 1]:.1%}"
    return text + "."


def table(numbers: Numbers) -> Table:
    old = [*map(float, numbers.subsets), *["-"] * (MOST - len(numbers.subsets))]
    header = ("seeds of each", "new seeds", "of ours, none twice")
    return header, [*zip(range(1, MOST + 1), map(float, numbers.anew), old, strict=True)]


# The pair whose ranking flips most easily comes first.
HARDEST, *_, EASIEST = sorted(PAIRS, key=lambda pair: -compute(1, pair, STEPS[-1]).anew[2])
ORDER = compute(1, HARDEST, STEPS[-1])


RANKINGS = Explorer(
    name="rankings",
    notebook="15",
    title="What do the papers' tables really say?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("seeds", "seeds that you may see of each S", 1, MOST, 1, 3),
        Choice("pair", "methods", tuple(PAIRS), HARDEST),
        Slider("updates", "updates", STEPS[0], STEPS[-1], STEPS[1] - STEPS[0], STEPS[-1]),
    ),
    describe=describe,
    table=table,
    named={
        "One seed each": {"seeds": 1},
        "Twenty each": {"seeds": MOST},
        "The widest gap": {"pair": EASIEST},
        "First evaluation": {"updates": STEPS[0]},
    },
    motion="seeds",
    predict_first=Predict(
        "Two laboratories train the same two methods on the same task, with three new seeds of "
        f"each. All our seeds together put {ORDER.ahead} before {ORDER.behind}. Of 100 papers with "
        "three seeds of each like ours, how many print the opposite (a tie counts half)?",
        "papers of 100",
        lambda numbers: 100 * float(numbers.anew[numbers.seeds - 1]),
        digits=1,
        least=0.0,
        mark=lambda axes, value: plots.guess(axes[0], value / 100),
    ),
)
