"""Notebook 03: errors of backups add up along the horizon; longer backups make fewer."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.tabular.propagation import accumulated

SEEDS = 100
LONGEST = 50


class Numbers(NamedTuple):
    length: int
    discount: float
    error: float
    backup: int
    exact: np.ndarray  # [L]   error of the value 1 ... L steps from the goal
    single: np.ndarray  # [L]   the same with a backup length of 1
    by_backup: np.ndarray  # [LONGEST]   error at the start for h = 1 ... LONGEST
    bootstraps: np.ndarray  # [K]   steps to the goal of the cells that the start's value rests on
    estimate: np.ndarray  # [K]   mean over SEEDS of the error there when each backup errs at random
    standard_error: np.ndarray  # [K]
    sweeps: int  # done since nothing was known
    reached: int  # steps from the goal that its news has come


def noisy_chain(
    backups: int, discount: float, error: float, backup: int, rng: np.random.Generator
) -> np.ndarray:
    """Errors after 1 ... K backups that each err by a draw of N(error, error^2).  [SEEDS, K]"""
    made = rng.normal(error, error, (SEEDS, backups))
    for k in range(1, backups):
        made[:, k] += discount**backup * made[:, k - 1]
    return made


def compute(length: int, discount: float, error: float, backup: int, sweeps: int) -> Numbers:
    """Exact errors along a chain, and what random errors of the same mean come to."""
    distance = np.arange(1, length + 1)
    bootstraps = np.arange(length, 0, -backup)[::-1]
    chains = noisy_chain(len(bootstraps), discount, error, backup, np.random.default_rng(0))
    return Numbers(
        length,
        discount,
        error,
        backup,
        accumulated(distance, discount, error, backup),
        accumulated(distance, discount, error),
        np.array([accumulated(length, discount, error, h) for h in range(1, LONGEST + 1)]),
        bootstraps,
        chains.mean(0),
        chains.std(0, ddof=1) / np.sqrt(SEEDS),
        sweeps,
        min(length, sweeps * backup),
    )


NO_NEWS: dict[str, Any] = {"color": plots.BLUE, "alpha": 0.12, "linewidth": 0}


def layout(figure: Figure) -> tuple[Axes, ...]:
    strip = figure.add_axes((0.08, 0.76, 0.54, 0.08))
    strip.set_axis_off()
    errors = plots.label(
        figure.add_axes((0.08, 0.13, 0.54, 0.57), sharex=strip),
        "steps to the goal",
        "error of the value [reward]",
    )
    start = plots.label(
        figure.add_axes((0.70, 0.13, 0.28, 0.57), sharey=errors),
        "backup length h [steps]",
        "",
        "error at the start, exact",
    )
    start.tick_params(labelleft=False)
    start.set_xlim(0.0, LONGEST + 1)
    plots.key(
        errors,
        {
            "exact, chosen h": plots.EXACT,
            "exact, h = 1": plots.reference(0),
            f"estimated, {SEEDS} noisy chains": plots.estimated(1),
            "one backup": plots.MARK,
            "no news of the goal yet": {
                "color": plots.BLUE,
                "alpha": 0.12,
                "marker": "s",
                "markersize": 9,
                "linestyle": "none",
            },
        },
        loc="upper right",
    )
    return strip, errors, start


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    strip, errors, start = axes
    length, at_start = numbers.length, numbers.exact[-1]
    top = plots.nice_top(numbers.single[-1])

    known = numbers.bootstraps[numbers.bootstraps <= numbers.reached]
    come = np.arange(1, length + 1) <= numbers.reached
    plots.lock_strip(strip, np.where(come, numbers.exact, 0.0), top, known)
    if numbers.reached < length:
        strip.fill_between([numbers.reached + 0.5, length + 0.5], 0, 1, **NO_NEWS)
        errors.fill_between([numbers.reached + 0.5, length + 0.5], 0, 1.1 * top, **NO_NEWS)
    strip.text(length, 1.25, "start", ha="left", fontsize=9)
    strip.text(0.5, 1.25, "goal", ha="right", fontsize=9)

    cells = np.arange(1, length + 1)
    errors.step(cells[come], numbers.exact[come], where="mid", **plots.EXACT)
    errors.plot(cells, numbers.single, **plots.reference(0))
    few = np.unique(np.linspace(0, max(len(known) - 1, 0), 12).round().astype(int))[: len(known)]
    errors.errorbar(
        numbers.bootstraps[few],
        numbers.estimate[few],
        2.0 * numbers.standard_error[few],
        **plots.estimated(1),
    )
    errors.set_ylim(0.0, 1.1 * top)

    start.step(np.arange(1, LONGEST + 1), numbers.by_backup, where="mid", **plots.EXACT)
    start.vlines(numbers.backup, 0.0, at_start, color=plots.BLACK, linestyle=":", linewidth=1.2)
    for backup in sorted({1, numbers.backup}):
        error = numbers.by_backup[backup - 1]
        side = "left" if backup < 0.6 * LONGEST else "right"
        start.text(
            backup + 1, error + 0.03 * top, f"h = {backup}: {error:.2f}", ha=side, fontsize=10
        )
    start.text(LONGEST, 0.8 * top, f"discount {numbers.discount:.2f}", ha="right", fontsize=10)
    start.text(LONGEST, 0.7 * top, f"each off by {numbers.error:.2f}", ha="right", fontsize=10)
    sweeps = f"After {numbers.sweeps} sweeps of {numbers.backup}-step backups"
    if numbers.reached < length:
        plots.headline(strip, f"{sweeps} the goal is known {numbers.reached} steps around it")
    else:
        made = len(numbers.bootstraps)
        text = f"{sweeps} the start rests on {made} of them and is off by {at_start:.2f}"
        plots.headline(strip, text)


def describe(numbers: Numbers) -> str:
    return (
        f"With {numbers.length} steps to the goal, discount {numbers.discount:.2f} and an error of "
        f"{numbers.error:.2f} in every backup, the value of the start is wrong by "
        f"{numbers.exact[-1]:.2f} at "
        f"backup length {numbers.backup} and by {numbers.single[-1]:.2f} at backup length 1; "
        f"{SEEDS} noisy chains give {numbers.estimate[-1]:.2f} plus or minus "
        f"{2 * numbers.standard_error[-1]:.2f}. After {numbers.sweeps} sweeps the goal's news has "
        f"come {numbers.reached} steps."
    )


def table(numbers: Numbers) -> Table:
    header = ("steps to the goal", "exact", "exact, h = 1", "estimated", "2 standard errors")
    rows = [
        (int(d), numbers.exact[d - 1], numbers.single[d - 1], mean, 2 * error)
        for d, mean, error in zip(
            numbers.bootstraps, numbers.estimate, numbers.standard_error, strict=True
        )
    ]
    return header, rows


HORIZON = Explorer(
    name="horizon",
    notebook="03",
    title="Why do long horizons break Q-learning?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("length", "steps to the goal L", 10, 200, 10, 100),
        Slider("discount", "discount gamma", 0.90, 1.0, 0.01, 0.99),
        Slider("error", "error of each backup [reward]", 0.0, 1.0, 0.05, 0.1),
        Slider("backup", "backup length h [steps]", 1, LONGEST, 1, 1),
        Slider("sweeps", "sweeps of backups done", 2, 100, 2, 100),
    ),
    describe=describe,
    table=table,
    predict_first=Predict(
        "A value is learned over 100 steps with backups of 1 step and discount 0.99. Every backup "
        "is wrong by 0.1. "
        "By how much is the value of the start wrong?",
        "reward",
        lambda numbers: float(numbers.single[-1]),
        mark=lambda axes, guess: plots.guess(axes[1], guess),
    ),
    named={
        "Ten steps": {"backup": 10},
        "Ten sweeps of one step": {"sweeps": 10},
        "Ten sweeps of ten steps": {"backup": 10, "sweeps": 10},
        "Nothing forgives: discount 1": {"discount": 1.0},
    },
    motion="sweeps",
)
