"""Notebook 03: a maximum over noisy values drifts up once the noise pays for a loop."""

from functools import cache
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.statistics import mean_and_error
from chunkrl.tabular.chunks import chunked
from chunkrl.tabular.mdp import one_hot, optimal
from chunkrl.tabular.propagation import entry_errors, noisy
from chunkrl.tabular.worlds import lock

SEEDS = 100
SIGMAS = (0.3, 0.6, 0.9, 1.2, 1.5)


class Claims(NamedTuple):
    """How far each critic's value of the start lies from the truth.  [seeds] each"""

    maximum: np.ndarray  # each backup takes the larger of its noisy entries
    fixed: np.ndarray  # each backup follows the optimal policy


class Numbers(NamedTuple):
    length: int
    sigma: float
    backup: int
    claims: Claims  # at sigma
    curve: Claims  # at SIGMAS: [sigmas, seeds]


def overestimates(
    length: int, sigma: float, backup: int, seeds: int = SEEDS, seed: int = 0
) -> Claims:
    """V(start) - V*(start) of fitted Q on the lock whose entries err by N(0, sigma^2), fixed.

    A stand-in for function approximation; see `chunkrl.tabular.propagation.noisy`.
    """
    mdp = chunked(lock(length).mdp, backup)
    best = optimal(mdp)
    error = sigma * entry_errors(mdp, 1.0, seeds, np.random.default_rng(seed))
    policy = one_hot(best.choice, mdp.reward.shape[1])
    values = (noisy(mdp, error).value, noisy(mdp, error, policy=policy).value)
    return Claims(*(value[:, 0] - best.value[0] for value in values))


@cache
def curve(length: int, backup: int) -> Claims:
    """`overestimates` at each of SIGMAS, with the same draws scaled."""
    found = [overestimates(length, sigma, backup) for sigma in SIGMAS]
    return Claims(*(np.stack(part) for part in zip(*found, strict=True)))


def compute(length: int, sigma: float, backup: int) -> Numbers:
    """What SEEDS critics claim about the start, with and without the maximum."""
    claims = overestimates(length, sigma, backup)
    return Numbers(length, sigma, backup, claims, curve(length, backup))


MAXIMUM, FIXED = plots.learned(1), plots.learned(0)


def layout(figure: Figure) -> tuple[Axes, ...]:
    mean = plots.label(
        figure.add_axes((0.09, 0.13, 0.40, 0.66)),
        "noise of each entry sigma [reward]",
        "claimed - true value of the start [reward]",
        f"learned, mean of {SEEDS} critics",
    )
    mean.set_xlim(0.0, 1.6)
    seeds = plots.label(
        figure.add_axes((0.58, 0.13, 0.40, 0.66)),
        "critic, sorted by its error",
        "",
        f"learned, each of the {SEEDS} critics at this sigma",
    )
    seeds.set_xlim(-2.0, SEEDS + 1.0)
    plots.key(
        mean,
        {
            "exact (no noise)": plots.EXACT,
            "learned, with the max": MAXIMUM,
            "learned, fixed policy": FIXED,
        },
        loc="upper left",
    )
    return mean, seeds


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    mean, seeds = axes
    at = np.array(SIGMAS)
    for samples, style in ((numbers.curve.fixed, FIXED), (numbers.curve.maximum, MAXIMUM)):
        centre, error = mean_and_error(samples)
        mean.errorbar(at, centre, 2.0 * error, **style)
    highest = float(mean_and_error(numbers.curve.maximum)[0].max())
    mean.set_ylim(-0.15 * plots.nice_top(highest), 1.3 * plots.nice_top(highest))
    mean.hlines(0.0, 0.0, 1.6, **_line())
    mean.vlines(numbers.sigma, *mean.get_ylim(), color=plots.BLACK, linestyle=":", linewidth=1.2)

    order = np.arange(SEEDS)
    seeds.hlines(0.0, -2.0, SEEDS + 1.0, **_line())
    for samples, style in ((numbers.claims.fixed, FIXED), (numbers.claims.maximum, MAXIMUM)):
        seeds.plot(order, np.sort(samples), **{**style, "markersize": 3.0})
    top = plots.nice_top(float(numbers.claims.maximum.max()))
    low = plots.nice_top(max(-float(numbers.claims.fixed.min()), 0.05 * top))
    seeds.set_ylim(-1.05 * low, 1.05 * top)
    claim, error = mean_and_error(numbers.claims.maximum)
    free, _ = mean_and_error(numbers.claims.fixed)
    plots.headline(
        mean,
        f"h = {numbers.backup}: the max adds {claim:.1f} ± {2 * error:.1f} to the start; "
        f"a fixed policy {free:+.1f}",
    )


def _line() -> dict:
    return {"color": plots.BLACK, "linewidth": 1.5}


def describe(numbers: Numbers) -> str:
    (claim, error), (free, noise) = map(mean_and_error, numbers.claims)
    return (
        f"On a lock of {numbers.length} cells, with noise of standard deviation "
        f"{numbers.sigma:.1f} on every entry and backup length {numbers.backup}, {SEEDS} critics "
        f"that take a maximum overestimate the start by {claim:.1f} plus or minus {2 * error:.1f} "
        f"on average, and critics of a fixed policy by {free:.1f} plus or minus {2 * noise:.1f}."
    )


def table(numbers: Numbers) -> Table:
    header = ("sigma", "with the max", "2 standard errors", "fixed policy", "2 standard errors ")
    rows = []
    points = [(numbers.sigma, *numbers.claims)]
    points += zip(SIGMAS, *numbers.curve, strict=True)
    for sigma, *samples in sorted(points, key=lambda point: point[0]):
        (claim, error), (free, noise) = map(mean_and_error, samples)
        rows.append((sigma, float(claim), float(2 * error), float(free), float(2 * noise)))
    return header, rows


OPTIMISM = Explorer(
    name="optimism",
    notebook="03",
    title="Why do long horizons break Q-learning?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("length", "cells of the lock L", 6, 24, 6, 24),
        Slider("sigma", "noise of each entry sigma [reward]", 0.1, 1.5, 0.1, 1.0),
        Slider("backup", "backup length h [steps]", 1, 5, 1, 1),
    ),
    describe=describe,
    table=table,
    predict_first=Predict(
        "Now every entry of the table is wrong by noise of mean zero and standard deviation 1, on "
        "a lock of 24 cells. Each backup takes the larger of two entries. By how much is the start "
        "overestimated, on average over 100 critics?",
        "reward",
        lambda numbers: float(numbers.claims.maximum.mean()),
        digits=0,
    ),
)
