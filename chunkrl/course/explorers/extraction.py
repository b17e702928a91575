"""Notebook 17: ways to act by one critic, what each obtains and how far from the data it acts."""

from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Choice, Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.course.worlds import extractions
from chunkrl.course.worlds.extractions import WAYS_TO_ACT, Obtained
from chunkrl.course.worlds.flow_picks import WAYS
from chunkrl.statistics import mean_and_error

CRITICS = 8
NAMES = tuple(WAYS_TO_ACT)
LAST = len(WAYS_TO_ACT[NAMES[0]].settings) - 1
LEAST = 1e-3  # probability of an action that is drawn
OCTAVES = 10  # up to 1; a dot's area says in which its probability is
LOW, HIGH = -3.3, 3.4  # of the axis of values


class Numbers(NamedTuple):
    way: str
    freedom: int  # which of a way's settings
    sigma: float
    length: float
    found: dict[str, np.ndarray]  # way -> [settings, 3, 2]  an Obtained: mean of critics and error
    honest: np.ndarray  # [settings, 2]   true value and surprise of `way` by the true values
    score: np.ndarray  # [31, 31]   of the first critic
    law: np.ndarray  # [G]   of the action that `way` takes by it

    @property
    def setting(self) -> float:
        return WAYS_TO_ACT[self.way].settings[self.freedom]

    @property
    def here(self) -> Obtained:
        """Means over the critics of what `way` obtains with the setting that is shown."""
        return Obtained(*self.found[self.way][self.freedom, :, 0])


@lru_cache(maxsize=64)
def curves(sigma: float, length: float) -> dict[str, np.ndarray]:
    """Every way with each of its settings, by critics that err so.  -> way -> [settings, 3, 2]"""
    score = extractions.critic(CRITICS, sigma, length)(extractions.world().action)
    return {
        name: np.array([
            np.stack(mean_and_error(np.array(extractions.obtained(name, score, setting))), -1)
            for setting in way.settings
        ])
        for name, way in WAYS_TO_ACT.items()
    }  # fmt: skip


@cache
def by_the_truth(way: str) -> np.ndarray:
    """True value and surprise of `way` where the critic does not err.  -> [settings, 2]"""
    score = extractions.value(extractions.world().action)
    return np.array([extractions.obtained(way, score, x)[1:] for x in WAYS_TO_ACT[way].settings])


def compute(way: str, freedom: int, sigma: float, length: float) -> Numbers:
    """Sums over the grid, for critics that err where data are rare."""
    score = extractions.critic(CRITICS, sigma, length)(extractions.world().action)[0]
    law = WAYS_TO_ACT[way].law(score, WAYS_TO_ACT[way].settings[freedom])
    side = len(extractions.SIDE)
    return Numbers(
        way, freedom, sigma, length, curves(sigma, length), by_the_truth(way),
        score.reshape(side, side), law,
    )  # fmt: skip


def ring() -> np.ndarray:
    """How far from a mode data are rare."""
    known = extractions.world()
    near = np.linalg.norm(known.action[:, None] - WAYS.mean, axis=-1).min(-1)
    return near[extractions.unknown(known.action) < 0.5].max()


def layout(figure: Figure) -> tuple[Axes, ...]:
    seen = figure.add_axes((0.075, 0.13, 0.335, 0.63))
    plots.label(seen, "first number", "second", "one critic (dark: high) and the law of an action")
    worth = figure.add_axes((0.51, 0.13, 0.475, 0.63))
    plots.label(
        worth,
        "less likely than the data by [nats]",
        "true value [spreads]",
        f"open: mean of {CRITICS} critics that err",
    )
    for set_limits in (seen.set_xlim, seen.set_ylim):
        set_limits(-1.03, 1.03)
    worth.set_xlim(-1.0, 9.0)
    worth.set_ylim(LOW, HIGH)
    entries = {name: plots.estimated(i) for i, name in enumerate(NAMES)}
    plots.key(worth, entries | {"by a critic that does not err": plots.EXACT}, "lower right")
    return seen, worth


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    seen, worth = axes
    seen.imshow(
        numbers.score.T, origin="lower", extent=(-1.03, 1.03, -1.03, 1.03), cmap="Greys",
        vmin=-5.0, vmax=6.0, aspect="auto", interpolation="bilinear", zorder=0,
    )  # fmt: skip
    angle = np.linspace(0, 2 * np.pi, 60)
    for mean in WAYS.mean:
        seen.plot(mean[0] + RING * np.cos(angle), mean[1] + RING * np.sin(angle), **plots.EXACT)
    series = NAMES.index(numbers.way)
    octave = np.floor(np.log2(np.maximum(numbers.law, LEAST / 2) / LEAST))
    for k in range(OCTAVES):  # dots of one size are one mark
        at = extractions.world().action[octave == k]
        size = np.sqrt(4 + 400 * LEAST * 2 ** (k + 0.5))
        seen.plot(*at.T, "o", markersize=size, color=plots.COLORS[series], mew=0, zorder=3)
    seen.plot(*extractions.TARGET, marker="*", markersize=11, color=plots.YELLOW,
              markeredgecolor=plots.BLACK, linestyle="none")  # fmt: skip

    for i, name in enumerate(NAMES):
        claim, truth, far = numbers.found[name][..., 0].T
        shown = name == numbers.way
        line: dict[str, Any] = plots.reference(i) | {"linewidth": 2.2 if shown else 1.0}
        worth.plot(far, truth, **line)
        at = numbers.freedom
        if truth[at] > LOW:
            error = 2 * numbers.found[name][at, 1, 1]
            worth.errorbar(far[at], truth[at], error, **plots.estimated(i))
        if shown and claim[at] > LOW:
            up = min(claim[at], HIGH - 0.1)
            worth.plot([far[at]] * 2, [max(truth[at], LOW), up], color=plots.COLORS[i], linewidth=1)
            worth.text(far[at], up, " claimed", fontsize=9, color=plots.COLORS[i], va="center")
    truth, far = numbers.honest.T
    worth.plot(far, truth, **plots.EXACT)
    worth.plot(far[numbers.freedom], truth[numbers.freedom], **plots.EXACT, marker="s",
               markerfacecolor="white")  # fmt: skip
    here = numbers.here
    knob = WAYS_TO_ACT[numbers.way].knob
    plots.headline(
        seen,
        f"{numbers.way}, {knob} = {numbers.setting:.3g}, errors {numbers.sigma:g} over "
        f"{numbers.length:g}: claims {here.claimed:.2f}, obtains {here.true:.2f}",
    )


def describe(numbers: Numbers) -> str:
    here, honest = numbers.here, numbers.honest[numbers.freedom]
    others = ", ".join(f"{name} {numbers.found[name][:, 1, 0].max():.2f}" for name in NAMES)
    return (
        f"{numbers.way[0].upper()}{numbers.way[1:]} with {WAYS_TO_ACT[numbers.way].knob} = "
        f"{numbers.setting:.3g}, by critics that err where data are rare (sigma = "
        f"{numbers.sigma:g} spreads), smoothly over {numbers.length:g}: claims "
        f"{here.claimed:.2f}, obtains {here.true:.2f} spreads, "
        f"{here.surprise:.1f} nats less likely than the data; by the true values it obtains "
        f"{honest[0]:.2f}. Most that each way obtains with any setting: {others}."
    )


def table(numbers: Numbers) -> Table:
    header = ("way", "knob", "claimed", "true", "nats")
    rows = [
        (name, f"{WAYS_TO_ACT[name].knob} = {setting:.3g}", *map(float, found[:, 0]))
        for name in NAMES
        for setting, found in zip(WAYS_TO_ACT[name].settings, numbers.found[name], strict=True)
    ]
    return header, rows


RING = ring()

EXTRACTION = Explorer(
    name="extraction",
    notebook="17",
    title="Rejection sampling or gradient?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Choice("way", "a way to act", NAMES, "one step"),
        Slider("freedom", "its knob, from tight to free", 0, LAST, 1, 8),
        Slider("sigma", "error where data are rare [spreads]", 0.0, 3.0, 0.25, 1.0),
        Slider("length", "over which errors change", 0.1, 1.0, 0.1, 0.3),
    ),
    describe=describe,
    table=table,
    named={
        "A critic that does not err": {"sigma": 0.0},
        "Best of 256": {"way": "best of N"},
        "Between the ways": {"way": "steer the noise", "freedom": 0},
        "Rough and wrong": {"sigma": 2.0, "length": 0.1},
    },
    motion="freedom",
    predict_first=Predict(
        "A critic is right where data are dense, and errs by 1 spread where they are rare. A "
        "policy climbs it with little to hold it back (one step, alpha = 0.39), and the critic "
        "claims 2.48 spreads above the average of the data. How many does it obtain?",
        "spreads",
        lambda numbers: float(numbers.here.true),
        mark=lambda axes, guess: plots.guess(axes[1], guess),
    ),
)
