"""Notebook 07: round after round, the winner by what the critic sees falls back to its truth."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.tabular.selection import delivered, promised

ROUNDS, MOST = 40, 32


class Numbers(NamedTuple):
    round: int
    candidates: int
    sigma: float
    true: np.ndarray  # [N]   of the candidates of this round [spreads]
    seen: np.ndarray  # [N]   what the critic says of them
    claims: np.ndarray  # [round]   what it said of each winner so far
    truths: np.ndarray  # [round]   what each was worth
    exact: tuple[float, float]  # promised, delivered


@cache
def draws() -> np.ndarray:
    """True values and errors of the critic.  -> [2, ROUNDS, MOST]"""
    return np.random.default_rng(3).standard_normal((2, ROUNDS, MOST))


def compute(round: int, candidates: int, sigma: float) -> Numbers:
    """The draws of this round, and the winners of all rounds up to it."""
    true, noise = draws()[:, :round, :candidates]
    seen = true + sigma * noise
    rows, best = np.arange(round), seen.argmax(-1)
    return Numbers(
        round,
        candidates,
        sigma,
        true[-1],
        seen[-1],
        seen[rows, best],
        true[rows, best],
        (promised(candidates, sigma), delivered(candidates, sigma)),
    )


CLAIM: dict[str, Any] = plots.estimated(1)
TRUTH: dict[str, Any] = plots.estimated(0)
REACH = 7.6


def layout(figure: Figure) -> tuple[Axes, ...]:
    fall = plots.label(
        figure.add_axes((0.08, 0.13, 0.36, 0.66)), "", "value [spreads]", "candidates of this round"
    )
    fall.set_xlim(-0.25, 1.25)
    fall.set_xticks([0.0, 1.0], ["critic sees", "truth"])
    fall.set_ylim(-REACH, REACH)
    mean = plots.label(
        figure.add_axes((0.55, 0.13, 0.42, 0.66)),
        "rounds so far",
        "mean over the winners [spreads]",
    )
    mean.set_xlim(0.0, ROUNDS + 1.0)
    mean.set_ylim(-2.9, 5.4)
    plots.key(
        mean,
        {
            "promised, exact": plots.reference(1),
            "delivered, exact": plots.EXACT,
            "the winners' scores": CLAIM,
            "what they were worth": TRUTH,
        },
        loc="lower right",
    )
    return fall, mean


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    fall, mean = axes
    for seen, true in zip(numbers.seen, numbers.true, strict=True):
        fall.plot([0.0, 1.0], [seen, true], color="#BBBBBB", linewidth=1.0)
    claim, truth = numbers.claims[-1], numbers.truths[-1]
    fall.plot([0.0, 1.0], [claim, truth], color=plots.BLACK, linewidth=2.0)
    fall.plot(0.0, claim, **CLAIM)
    fall.plot(1.0, truth, **TRUTH)
    fall.text(-0.05, claim, f"{claim:.1f}", ha="right", va="center", fontsize=10)
    fall.text(1.05, truth, f"{truth:.1f}", ha="left", va="center", fontsize=10)

    count = np.arange(1, numbers.round + 1)
    mean.axhline(numbers.exact[0], **plots.reference(1))
    mean.axhline(numbers.exact[1], **plots.EXACT)
    for values, style in ((numbers.claims, CLAIM), (numbers.truths, TRUTH)):
        mean.plot(count, values.cumsum() / count, **style)
    plots.headline(
        fall,
        f"Round {numbers.round}: the winner of {numbers.candidates} looks worth {claim:.1f} and is "
        f"worth {truth:.1f}",
    )


def describe(numbers: Numbers) -> str:
    return (
        f"In {numbers.round} round{'s' * (numbers.round > 1)} a critic with noise "
        f"{numbers.sigma:.1f} picks the best of {numbers.candidates}: its scores of the winners "
        f"have the mean {numbers.claims.mean():.2f} (exact {numbers.exact[0]:.2f}), their true "
        f"values {numbers.truths.mean():.2f} (exact {numbers.exact[1]:.2f})."
    )


def table(numbers: Numbers) -> Table:
    header = ("round", "the winner's score", "its true value")
    rows = zip(
        range(1, numbers.round + 1), numbers.claims.tolist(), numbers.truths.tolist(), strict=True
    )
    return header, [*rows]


WINNERS = Explorer(
    name="winners",
    notebook="07",
    title="How far can picking the best sample go?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("round", "round", 1, ROUNDS, 1, 12),
        Slider("candidates", "candidates N", 2, MOST, 1, 8),
        Slider("sigma", "critic noise sigma [spreads]", 0.0, 2.0, 0.1, 1.0),
    ),
    describe=describe,
    table=table,
    named={
        "First round": {"round": 1},
        "Perfect critic": {"sigma": 0.0},
        "Much noise": {"round": 40, "sigma": 2.0},
    },
    motion="round",
)
