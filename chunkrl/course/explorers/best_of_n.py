"""Notebook 07: what picking the best of N samples promises, delivers, and costs in divergence."""

from functools import cache
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.statistics import mean_and_error
from chunkrl.tabular.chunks import chunk_q, logged
from chunkrl.tabular.mdp import optimal
from chunkrl.tabular.selection import (
    Pick,
    divergence_bound,
    hit_probability,
    picked,
    promised,
)
from chunkrl.tabular.worlds import lock

DOUBLINGS = 10
MOST = 2**DOUBLINGS
SAMPLED = 2 ** np.arange(DOUBLINGS + 1)  # the N that are also sampled
SIZES = np.unique(np.round(2 ** np.arange(0, DOUBLINGS + 0.01, 0.25)).astype(int))  # of the curves
ROUNDS = 500
CRITICS = 100


class Proposals(NamedTuple):
    """Chunks that the behaviour types at the start of the lock."""

    probability: np.ndarray  # [C]
    value: np.ndarray  # [C]   Q*(start, chunk) [reward]
    spread: float  # standard deviation of the value under `probability` [reward]


class Numbers(NamedTuple):
    doublings: int  # N = 2^doublings
    sigma: float
    skill: float
    h: int
    promised: np.ndarray  # [C]   at SIZES, in spreads of the true value
    delivered: np.ndarray  # [C]
    sampled: np.ndarray  # [2, S, 2]   the same two at SAMPLED: mean and standard error
    bound: np.ndarray  # [C]   KL without ties [nats]
    perfect: np.ndarray  # [C]   KL on the lock, picked by the true value
    hit: np.ndarray  # [C]   probability of the right chunk, picked by the true value
    noisy: np.ndarray  # [2, S, 2]   KL and hit of critics that err: mean and standard error

    @property
    def candidates(self) -> int:
        return 2**self.doublings


def place(candidates: int) -> int:
    """Where N stands in SIZES."""
    return int(np.flatnonzero(candidates == SIZES)[0])


@cache
def proposals(skill: float, h: int) -> Proposals:
    """The behaviour's chunks at the start of the lock without slip, and what each is worth."""
    world = lock(skill=skill)
    probability = logged(world.mdp, world.behaviour, h).frequency[0]
    value = chunk_q(world.mdp, h, optimal(world.mdp).value)[0]
    spread = np.sqrt(probability @ (value - probability @ value) ** 2)
    return Proposals(probability, value, float(spread))


@cache
def draws(h: int) -> np.ndarray:
    """The errors of each critic, one for every chunk, in units of sigma.  [CRITICS, C]"""
    return np.random.default_rng(0).standard_normal((CRITICS, 2**h))


@cache
def exact() -> tuple[np.ndarray, np.ndarray]:
    """E_N, what a perfect critic promises and delivers, and the bound on KL.  2 x [C]"""
    sizes = SIZES.tolist()
    return (
        np.abs([promised(n, 0.0) for n in sizes]),  # N = 1: 0, never -0.00
        np.array([divergence_bound(n) for n in sizes]),
    )


def noisy_picks(toy: Proposals, sigma: float, h: int, candidates: int) -> Pick:
    """The best of N by each of CRITICS critics that err by sigma spreads on every chunk."""
    score = toy.value + sigma * toy.spread * draws(h)
    return picked(toy.probability, toy.value, score, candidates)


@cache
def pairs() -> np.ndarray:
    """True values and errors of ROUNDS rounds.  -> [2, ROUNDS, MOST]"""
    return np.random.default_rng(0).standard_normal((2, ROUNDS, MOST))


@cache
def rounds(sigma: float) -> np.ndarray:
    """ROUNDS rounds of N samples, N in SAMPLED: promised and delivered.  -> [2, S, 2]"""
    true, noise = pairs()
    seen, each = true + sigma * noise, np.arange(ROUNDS)
    best = [seen[:, :n].argmax(-1) for n in SAMPLED]
    values = np.array([[x[each, pick] for pick in best] for x in (seen, true)])
    return np.stack(mean_and_error(values), -1)


def compute(doublings: int, sigma: float, skill: float, h: int) -> Numbers:
    """Order statistics of Gaussian values; chunks of the lock by enumeration."""
    toy, (top, bound), scale = proposals(skill, h), exact(), np.sqrt(1 + sigma**2)
    sizes = SIZES.tolist()
    each = [noisy_picks(toy, sigma, h, n) for n in SAMPLED.tolist()]
    found = np.array([[p.divergence for p in each], [p.hit for p in each]])
    return Numbers(
        doublings,
        sigma,
        skill,
        h,
        top * scale,
        top / scale,
        rounds(sigma),
        bound,
        np.array([picked(toy.probability, toy.value, toy.value, n).divergence for n in sizes]),
        np.array([hit_probability(skill, h, n) for n in sizes]),
        np.stack(mean_and_error(found), -1),
    )


LOG_SIZES = np.log2(SIZES)
LITTLE, MUCH = 5.4, 11.5  # tops of the value axis, for little noise and for much
PROMISED, NOISY = plots.reference(1), plots.estimated(2)


def layout(figure: Figure) -> tuple[Axes, ...]:
    value = plots.label(
        figure.add_axes((0.075, 0.13, 0.42, 0.66)),
        "candidates N",
        "value of the pick [spreads]",
        "exact; open: 500 sampled rounds",
    )
    cost = plots.label(
        figure.add_axes((0.62, 0.49, 0.36, 0.20)), "", "KL [nats]", "divergence from the behaviour"
    )
    hit = plots.label(
        figure.add_axes((0.62, 0.13, 0.36, 0.20)),
        "candidates N",
        "probability",
        "the pick is the right chunk",
    )
    for axes in (value, cost, hit):
        axes.set_xlim(-0.2, LOG_SIZES[-1] + 0.2)
        axes.set_xticks(np.log2(SAMPLED[::2]), SAMPLED[::2].astype(str))
    cost.set_ylim(0.0, 6.2)
    hit.set_ylim(0.0, 1.05)
    open_circle = plots.estimated(0) | {"markeredgecolor": plots.BLUE} | plots.EXACT
    plots.key(
        value,
        {
            "promised: the critic's value": plots.estimated(1) | PROMISED,
            "delivered: the true value": open_circle | {"linestyle": "-"},
        },
        loc="upper left",
    )
    plots.key(
        cost,
        {
            "no ties: log N - (N - 1)/N": plots.reference(0),
            "lock, perfect critic": plots.EXACT,
            f"lock, {CRITICS} noisy critics": NOISY,
        },
        loc=(-0.04, 1.16),  # above both axes: inside there is no room
    )
    return value, cost, hit


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    value, cost, hit = axes
    sampled = np.log2(SAMPLED)
    top = LITTLE if numbers.promised[-1] < LITTLE else MUCH
    value.fill_between(
        LOG_SIZES, numbers.delivered, numbers.promised, color=plots.SKY, alpha=0.25, linewidth=0
    )
    value.plot(LOG_SIZES, numbers.promised, **PROMISED)
    value.plot(LOG_SIZES, numbers.delivered, **plots.EXACT)
    for series, (mean, error) in zip((1, 0), np.moveaxis(numbers.sampled, -1, 1), strict=True):
        value.errorbar(sampled, mean, 2 * error, **plots.estimated(series))
    value.set_ylim(-0.1 * top, top)

    cost.plot(LOG_SIZES, numbers.bound, **plots.reference(0))
    cost.plot(LOG_SIZES, numbers.perfect, **plots.EXACT)
    hit.plot(LOG_SIZES, numbers.hit, **plots.EXACT)
    for part, (mean, error) in zip((cost, hit), np.moveaxis(numbers.noisy, -1, 1), strict=True):
        part.errorbar(sampled, mean, 2 * error, **NOISY)
    at = place(numbers.candidates)
    for part, curve in zip(axes, (numbers.promised, numbers.bound, numbers.hit), strict=True):
        ends = part.get_ylim()[0], curve[at]
        part.plot([LOG_SIZES[at]] * 2, ends, color=plots.BLACK, linestyle=":", linewidth=1)
    plots.headline(
        value,
        f"N = {numbers.candidates}: promised {numbers.promised[at]:.2f}, delivered "
        f"{numbers.delivered[at]:.2f}; right chunk ({numbers.skill:.2f}^{numbers.h}) drawn: "
        f"{numbers.hit[at]:.2f}",
    )


def describe(numbers: Numbers) -> str:
    at = place(numbers.candidates)
    return (
        f"The best of {numbers.candidates} by a critic with noise {numbers.sigma:.1f} is promised "
        f"to be {numbers.promised[at]:.2f} spreads above the average and truly is "
        f"{numbers.delivered[at]:.2f}; it diverges by at most {numbers.bound[at]:.2f} nats from "
        f"the behaviour. On the lock, with skill {numbers.skill:.2f}, the right chunk of "
        f"{numbers.h} is among the candidates with probability {numbers.hit[at]:.2f}; critics that "
        f"err pick it with probability {numbers.noisy[1, numbers.doublings, 0]:.2f}."
    )


def table(numbers: Numbers) -> Table:
    header = (
        "N",
        "promised",
        "sampled",
        "delivered",
        "sampled",
        "KL, no ties",
        "KL on the lock",
        "noisy critics",
        "right chunk drawn",
        "picked by noisy critics",
    )
    at = [place(n) for n in SAMPLED.tolist()]
    (seen, true), (cost, hit) = numbers.sampled[..., 0], numbers.noisy[..., 0]
    exact = (numbers.promised, numbers.delivered, numbers.bound, numbers.perfect, numbers.hit)
    promise, delivery, bound, perfect, drawn = (curve[at] for curve in exact)
    columns = (promise, seen, delivery, true, bound, perfect, cost, drawn, hit)
    rows = list(zip(SAMPLED.tolist(), *(column.tolist() for column in columns), strict=True))
    return header, rows


BEST_OF_N = Explorer(
    name="best_of_n",
    notebook="07",
    title="How far can picking the best sample go?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("doublings", "candidates N = 2^i, i", 0, DOUBLINGS, 1, 3),
        Slider("sigma", "critic noise sigma [spreads]", 0.0, 3.0, 0.1, 1.0),
        Slider("skill", "skill of the behaviour q", 0.5, 1.0, 0.05, 0.7),
        Slider("h", "chunk length h [steps]", 1, 8, 1, 5),
    ),
    describe=describe,
    table=table,
    predict_first=Predict(
        "A policy proposes 8 actions, a critic picks one. The critic is as noisy as the actions "
        "differ: noise and true values both have standard deviation 1. It scores its pick 2.01 "
        "above the average action. How far above the average is the pick in truth?",
        "spreads",
        lambda numbers: float(numbers.delivered[place(8)]),
        mark=lambda axes, guess: plots.guess(axes[0], guess),
    ),
    named={
        "Perfect critic": {"sigma": 0.0},
        "1,024 candidates": {"doublings": DOUBLINGS},
        "More does harm": {"doublings": 6, "sigma": 2.0, "skill": 0.9, "h": 8},
        "An expert": {"skill": 1.0},
    },
)
