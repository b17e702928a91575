"""Notebook 09: what a chunk critic claims from a log of somebody who looked, and what it obtains.

The gap is the subject of Decoupled Q-chunking (Li, Park, Levine, arXiv 2512.10926); what it says
about it in general is in `chunkrl.tabular.bounds`.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.course.worlds.luck import Arrival, NoSlip, along, no_slip
from chunkrl.tabular.bounds import Regret, learned_chunks
from chunkrl.tabular.mdp import policy_value
from chunkrl.tabular.worlds import lock, right_actions

LENGTH = 24
LONGEST = 8


class Numbers(NamedTuple):
    slip: float
    skill: float
    h: int
    best: float  # V*(start)
    demonstrator: float  # V_beta(start)
    claimed: np.ndarray  # [LONGEST]   h = 1 ... LONGEST, at the start
    obtained: np.ndarray  # [LONGEST]
    press: int  # how many of the h right actions are done
    place: Arrival  # where the lock is then, given that all h were logged, and when executed
    lucky: NoSlip


@cache
def values(slip: float, skill: float) -> tuple[float, np.ndarray, list[Regret]]:
    """V_beta at the start, and what infinite data lead to for every h."""
    world = lock(LENGTH, slip, skill)
    found = [learned_chunks(world.mdp, world.behaviour, h) for h in range(1, LONGEST + 1)]
    return float(policy_value(world.mdp, world.behaviour)[0]), found[0].best, found


def compute(slip: float, skill: float, h: int, press: int) -> Numbers:
    """Exact values of the start and exact laws of where a chunk is after so many presses."""
    world, press = lock(LENGTH, slip, skill), min(press, h)
    demonstrator, best, found = values(slip, skill)
    ways = along(world, right_actions(LENGTH)[:h])
    return Numbers(
        slip,
        skill,
        h,
        float(best[0]),
        demonstrator,
        np.array([each.claimed[0] for each in found]),
        np.array([each.obtained[0] for each in found]),
        press,
        Arrival(*(way[press] for way in ways)),
        no_slip(world, h),
    )


BARS = ("the critic\nclaims", "best possible\nV*", "the chunks\nobtain")


DARKEST = 0.5  # probability
WRITTEN = 0.045  # a cell that is at least so likely carries its percent


def layout(figure: Figure) -> tuple[Axes, ...]:
    strips = [figure.add_axes((0.15, y, 0.83, 0.11)) for y in (0.73, 0.59)]
    names = ("the log says", "executed")
    for strip, name in zip(strips, names, strict=True):
        strip.set_axis_off()
        figure.text(0.02, strip.get_position().y0 + 0.055, name, fontsize=10)
    for x, name in ((0.15, "start"), (0.925, "goal")):
        figure.text(x, 0.855, name, fontsize=9)
    figure.text(
        0.27, 0.855, "where the lock is, in percent; triangle: if nothing slipped", fontsize=9
    )
    bars = plots.label(
        figure.add_axes((0.09, 0.13, 0.38, 0.38)),
        "",
        "",
        "value [reward], exact; dashes: demonstrator",
    )
    bars.set_xticks(range(len(BARS)), BARS, fontsize=9)
    bars.set_xlim(-0.6, len(BARS) - 0.4)
    gap = plots.label(
        figure.add_axes((0.60, 0.13, 0.38, 0.38)),
        "chunk length h [steps]",
        "value - V* [reward]",
        "the same for every chunk length, exact",
    )
    gap.set_xlim(0.5, LONGEST + 0.5)
    plots.key(gap, {"claimed": plots.reference(1), "obtained": plots.EXACT}, loc="lower left")
    return *strips, bars, gap


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    *strips, bars, gap = axes
    for strip, law in zip(strips, numbers.place, strict=True):
        shown = law[:LENGTH][::-1]
        plots.lock_strip(strip, np.minimum(shown, DARKEST), DARKEST, (LENGTH - numbers.press,))
        for cell in np.flatnonzero(law[:LENGTH] >= WRITTEN).tolist():
            colour = "white" if law[cell] > 0.55 * DARKEST else plots.BLACK
            at = (LENGTH - cell, 0.5, f"{100 * law[cell]:.0f}")
            strip.text(*at, ha="center", va="center", fontsize=8, color=colour)

    at = numbers.h - 1
    claimed, obtained = numbers.claimed[at], numbers.obtained[at]
    heights = (claimed, numbers.best, obtained)
    bars.bar(range(len(heights)), heights, width=0.72, **plots.EXACT_BAR)
    floor = plots.nice_top(-min(*heights, numbers.demonstrator))
    for place, height in enumerate(heights):
        bars.text(place, height + 0.03 * floor, f"{height:.2f}", ha="center")
    bars.hlines(numbers.demonstrator, -0.6, len(BARS) - 0.4, **plots.reference(0))
    bars.set_ylim(-floor, 0.0)

    lengths = np.arange(1, LONGEST + 1)
    gap.step(lengths, numbers.claimed - numbers.best, where="mid", **plots.reference(1))
    gap.step(lengths, numbers.obtained - numbers.best, where="mid", **plots.EXACT)
    deep = plots.nice_top(max(1.0, float((numbers.best - numbers.obtained).max())))
    gap.set_ylim(-1.1 * deep, 0.25 * deep)
    gap.plot([numbers.h] * 2, gap.get_ylim(), color=plots.BLACK, linestyle=":", linewidth=1)
    plots.headline(
        strips[0],
        f"After {numbers.press} of {numbers.h} presses; the critic claims {claimed:.2f}, its "
        f"chunks "
        f"obtain {obtained:.2f}",
    )


def describe(numbers: Numbers) -> str:
    at = numbers.h - 1
    return (
        f"On a lock that slips with probability {numbers.slip:.2f}, logged by somebody who looks "
        f"and is right with probability {numbers.skill:.2f}, a critic of {numbers.h}-step chunks "
        f"claims {numbers.claimed[at]:.2f} for the start; the best possible is {numbers.best:.2f}, "
        f"and its chunks obtain {numbers.obtained[at]:.2f}. Given that the right chunk was logged, "
        f"nothing slipped with probability {numbers.lucky.logged:.2f}; when it is executed, with "
        f"{numbers.lucky.executed:.2f}. After {numbers.press} presses the lock is at its start in "
        f"{100 * numbers.place.logged[0]:.0f}% of these logs and "
        f"{100 * numbers.place.executed[0]:.0f}% of the executions."
    )


def table(numbers: Numbers) -> Table:
    header = ("h", "claimed", "V*", "obtained", "claimed - obtained")
    pairs = zip(numbers.claimed, numbers.obtained, strict=True)
    rows = [
        (h, claimed, numbers.best, obtained, claimed - obtained)
        for h, (claimed, obtained) in enumerate(pairs, start=1)
    ]
    return header, rows


OPEN_LOOP = Explorer(
    name="open_loop",
    notebook="09",
    title="When does a chunk critic lie?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("slip", "slip probability p", 0.0, 0.5, 0.05, 0.2),
        Slider("skill", "skill of the demonstrator q", 0.5, 1.0, 0.05, 0.9),
        Slider("h", "chunk length h [steps]", 1, LONGEST, 1, 8),
        Slider("press", "presses done (at most h)", 0, LONGEST, 1, 8),
    ),
    describe=describe,
    table=table,
    predict_first=Predict(
        "A lock of 24 cells slips with probability 0.2; at best it is worth -26.00 at the start. A "
        "demonstrator who watches it logs endless data. A critic of 8-step chunks learns from all "
        "of it, exactly, and claims -24.22. What do its best chunks obtain when a robot executes "
        "them without looking?",
        "reward",
        lambda numbers: float(numbers.obtained[7]),
        mark=lambda axes, value: plots.guess(axes[2], value),
    ),
    named={
        "No slip": {"slip": 0.0},
        "h = 1": {"h": 1},
        "Blind demonstrator": {"skill": 0.5},
        "Rare slip": {"slip": 0.05},
    },
    motion="press",
)
