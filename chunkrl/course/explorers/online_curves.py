"""Notebook 16: success before and after agents begin to act, and how their hands move."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Choice, Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.course.explorers.robot_curves import spread
from chunkrl.course.explorers.robot_paths import apart
from chunkrl.experiments.report import spelled
from chunkrl.results import online_runs
from chunkrl.results.online_runs import ALL, BEGINNINGS, BIN, OFFLINE, SUCCESSFUL

OURS, OTHER = "qc_fql", "fql"
KNOWN = (OURS, OTHER, "fql_n", "qc", "rlpd", "rlpd_ac")
CURVES, MOTION = online_runs.load_curves(), online_runs.load_motion()
SHOWN = {m: i for i, m in enumerate(KNOWN) if any(row.method == m for row in CURVES)}
LAST = online_runs.STEPS


class Numbers(NamedTuple):
    begin: int  # first step of the bin
    over: str
    at: dict[str, np.ndarray]  # method -> [T]   steps of acting; updates before it count down to 0
    curve: dict[str, np.ndarray]  # method -> [T, 3]   success, mean of seeds and interval
    rate: dict[str, np.ndarray]  # method -> [S]   of each seed at the bin's end
    way: dict[str, np.ndarray]  # method -> [S]   in 5 steps [cm]; seeds with such episodes
    cosine: dict[str, np.ndarray]  # method -> [S]
    gap: np.ndarray  # [2, 3]   OURS minus OTHER in both, with the interval over seeds


@cache
def curves() -> dict[str, dict[int, np.ndarray]]:
    """Success of each seed by the time of the evaluation.  method -> time -> [S]"""
    found: dict[str, dict[int, list[float]]] = {method: {} for method in SHOWN}
    for method in SHOWN:
        rows = [row for row in CURVES if row.method == method and row.online <= LAST]
        switch = max((row.step for row in rows if row.phase == OFFLINE), default=0)
        for row in rows:
            rates = found[method].setdefault(row.step - switch, [])
            rates.append(row.successes / row.episodes)
    return {m: {t: np.array(x) for t, x in sorted(at.items())} for m, at in found.items()}


def moved(begin: int, over: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Way [cm] and cosine of the seeds that have such episodes.  method -> [S], twice"""
    rows = [m for m in MOTION if (m.begin, m.over) == (begin, over) and m.episodes]
    way, cosine = (
        {m: np.array([getattr(row, name) for row in rows if row.method == m]) for m in SHOWN}
        for name in ("way", "cosine")
    )
    return way, cosine


def compute(begin: int, over: str) -> Numbers:
    """All curves, and what the hands did in the bin that begins at step `begin`."""
    found, (way, cosine) = curves(), moved(begin, over)
    return Numbers(
        begin,
        over,
        {method: np.array([*at]) for method, at in found.items()},
        {m: np.array([spread(rates) for rates in at.values()]) for m, at in found.items()},
        {method: at[begin + BIN] for method, at in found.items()},
        way,
        cosine,
        np.array([apart(x[OURS], x[OTHER]) for x in (way, cosine)]),
    )


def layout(figure: Figure) -> tuple[Axes, ...]:
    success = plots.label(
        figure.add_axes((0.09, 0.13, 0.50, 0.63)),
        "updates on logs | steps of acting [thousands]",
        "success rate",
        "evaluations: means of the seeds, 95% over seeds",
    )
    success.set_xlim(-11.0, LAST / 1000 + 1.5)
    success.set_ylim(-0.03, 1.32)
    success.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
    success.set_xticks([-10, 0, 10, 20, 30], ["-10", "0", "10", "20", "30"])
    both = []
    for bottom, title in (
        (0.49, "way in 5 steps [cm], each seed"),
        (0.13, "cosine of successive moves"),
    ):
        axes = plots.label(figure.add_axes((0.67, bottom, 0.31, 0.27)), "", "", title)
        axes.set_xlim(-0.6, len(SHOWN) - 0.4)
        names = [spelled(m) for m in SHOWN] if bottom < 0.3 else [""] * len(SHOWN)
        axes.set_xticks(range(len(SHOWN)), names, fontsize=9 if len(SHOWN) < 5 else 7.5)
        axes.tick_params(axis="x", length=0)
        both.append(axes)
    both[0].set_ylim(0, 11.5)
    both[0].set_yticks([0, 5, 10])
    both[1].set_ylim(-0.15, 1.35)
    both[1].set_yticks([0, 0.5, 1])
    names = {spelled(m): plots.learned(i) for m, i in SHOWN.items()}
    plots.key(success, names, "upper left")
    return success, *both


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    success, *both = axes
    success.axvline(0.0, color=plots.BLACK, linewidth=0.8)
    success.axvspan(
        numbers.begin / 1000, (numbers.begin + BIN) / 1000, color="#E8E8E8", zorder=0, linewidth=0
    )
    for place, (method, series) in enumerate(SHOWN.items()):
        style: dict[str, Any] = plots.learned(series)
        mean, low, high = np.clip(numbers.curve[method].T, 0.0, 1.0)
        line: dict[str, Any] = style | {
            "linestyle": "-",
            "linewidth": 1.0,
            "elinewidth": 0.7,
            "markersize": 4.5,
        }
        aside = numbers.at[method] / 1000 + 0.25 * (place - len(SHOWN) / 2)
        success.errorbar(aside, mean, [mean - low, high - mean], **line)
        for a, found, digits in zip(both, (numbers.way, numbers.cosine), (1, 2), strict=True):
            seeds = found[method]
            if len(seeds):
                beside = np.linspace(-0.25, 0.25, len(seeds)) if len(seeds) > 1 else [0.0]
                small: dict[str, Any] = style | {"markersize": 4.0}
                a.plot(place + np.array(beside), seeds, **small)
                y = float(seeds.max()) + 0.04 * a.get_ylim()[1]
                a.text(place, y, f"{seeds.mean():.{digits}f}", ha="center", fontsize=8.5)
    names = f"{spelled(OURS)} minus {spelled(OTHER)}"
    for a, (gap, low, high), digits in zip(both, numbers.gap, (1, 2), strict=True):
        text = f"{names} {gap:+.{digits}f}"
        if low < high:
            text += f" [{low:+.{digits}f}, {high:+.{digits}f}]"
        a.text(-0.5, 0.99 * a.get_ylim()[1], text, fontsize=8, va="top")
    plots.headline(success, headline(numbers))


def headline(numbers: Numbers) -> str:
    rates = ", ".join(
        f"{spelled(m)} {numbers.rate[m].mean():.0%}" for m in (OURS, OTHER) if m in numbers.rate
    )
    until = (numbers.begin + BIN) / 1000
    return f"After {until:g} thousand steps {rates}; right: {numbers.over}"


def describe(numbers: Numbers) -> str:
    rates = "; ".join(
        f"{spelled(m)} {x.mean():.0%} ({', '.join(f'{r:.0%}' for r in x)})"
        for m, x in numbers.rate.items()
    )
    moves = "; ".join(
        f"{spelled(m)} {numbers.way[m].mean():.1f} cm and {numbers.cosine[m].mean():.2f}"
        for m in SHOWN
        if len(numbers.way[m])
    )
    begin, end = numbers.begin, numbers.begin + BIN
    return (
        f"Success evaluated after {end:,} steps of acting, mean of the seeds (each seed): {rates}. "
        f"Steps {begin:,} to {end:,}, {numbers.over}: way in 5 steps and cosine between such moves "
        f"{moves}; {_gaps(numbers)}."
    )


def _gaps(numbers: Numbers) -> str:
    parts = (
        f"{gap:+.2f} [{low:+.2f}, {high:+.2f}] {unit}"
        for (gap, low, high), unit in zip(numbers.gap, ("cm", "of the cosine"), strict=True)
    )
    return f"{spelled(OURS)} minus {spelled(OTHER)} {' and '.join(parts)} (95% over seeds)"


def table(numbers: Numbers) -> Table:
    header = ("method", "what", "mean of seeds", "95% from", "to")
    rows = [
        (spelled(m), f"success after {t:+,}", *map(float, row))
        for m in SHOWN
        for t, row in zip(numbers.at[m].tolist(), numbers.curve[m], strict=True)
    ]
    for what, found in (("way [cm]", numbers.way), ("cosine", numbers.cosine)):
        rows += [(spelled(m), what, *spread(x)) for m, x in found.items() if len(x)]
    return header, rows


BEFORE = curves()[OURS][0].mean()

ONLINE_CURVES = Explorer(
    name="online_curves",
    notebook="16",
    title="Does acting in chunks explore better?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("begin", "hands from step of acting", 0, LAST - BIN, BIN, 0),
        Choice("over", "means over", (ALL, SUCCESSFUL, BEGINNINGS), ALL),
    ),
    describe=describe,
    table=table,
    named={
        "Successes only": {"over": SUCCESSFUL},
        "First 2 seconds of each": {"over": BEGINNINGS},
        "At the end": {"begin": LAST - BIN},
    },
    motion="begin",
    predict_first=Predict(
        f"After 10,000 updates on logs {spelled(OURS)} puts the cube in its place in "
        f"{100 * BEFORE:.0f} of 100 episodes. Now it acts, for {BIN:,} steps to begin with, "
        "and learns on. So does FQL, which chooses anew at each step: its hand moves "
        f"{compute(0, ALL).way[OTHER].mean():.1f} cm in 5 steps, mean of all episodes. How "
        f"many does {spelled(OURS)}'s?",
        "cm",
        lambda numbers: float(numbers.way[OURS].mean()),
        digits=1,
        least=0.0,
        mark=lambda axes, value: plots.guess(axes[1], value),
    ),
)
