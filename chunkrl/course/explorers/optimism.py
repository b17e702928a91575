"""Notebook 03: a maximum over noisy values drifts up once the noise pays for a loop."""

import itertools
from functools import cache, lru_cache
from typing import Any, NamedTuple

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
from chunkrl.tabular.worlds import lock, right_actions

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
    claims: Claims  # at sigma, in the order of the max's claims
    curve: Claims  # at SIGMAS: [sigmas, seeds]
    critic: int  # the one that is drawn, counted from the lowest claim
    jumps: np.ndarray  # [J + 1]   the cells that its greedy chunks visit from the start
    loop: int  # the index in `jumps` where the loop begins, or -1 if it arrives
    errors: float  # of the entries of its loop, summed
    never: float  # the share of critics whose greedy chunks never arrive


class Critics(NamedTuple):
    """Every critic on the lock, as noisy fixed points.  [seeds, ...]"""

    value: np.ndarray  # [seeds, S]
    choice: np.ndarray  # [seeds, S]
    error: np.ndarray  # [seeds, S, C]
    fixed: np.ndarray  # [seeds, S]   of the optimal policy


@lru_cache(maxsize=64)
def critics(length: int, sigma: float, backup: int, seeds: int = SEEDS, seed: int = 0) -> Critics:
    """Fitted Q on the lock whose entries err by N(0, sigma^2), fixed for each critic.

    A stand-in for function approximation; see `chunkrl.tabular.propagation.noisy`.
    """
    mdp = chunked(lock(length).mdp, backup)
    error = sigma * entry_errors(mdp, 1.0, seeds, np.random.default_rng(seed))
    policy = one_hot(optimal(mdp).choice, mdp.reward.shape[1])
    found = noisy(mdp, error)
    return Critics(found.value, found.choice, error, noisy(mdp, error, policy=policy).value)


def overestimates(length: int, sigma: float, backup: int, seeds: int = SEEDS) -> Claims:
    """V(start) - V*(start) of every critic, with the maximum and of the optimal policy."""
    found, best = critics(length, sigma, backup, seeds), optimal(lock(length).mdp).value[0]
    return Claims(found.value[:, 0] - best, found.fixed[:, 0] - best)


def journeys(length: int, backup: int, choice: np.ndarray) -> list[np.ndarray]:
    """The cells that each critic's greedy chunks visit from the start, to the goal or until one
    comes again.  [seeds, S] -> [J + 1] each
    """
    to = chunked(lock(length).mdp, backup).transition.argmax(-1)
    found = []
    for chosen in choice:
        cells = [0]
        while cells[-1] != length and cells[-1] not in cells[:-1]:
            cells.append(int(to[cells[-1], chosen[cells[-1]]]))
        found.append(np.array(cells))
    return found


def never_arrive(length: int, sigma: float, backup: int, seeds: int = SEEDS) -> float:
    """The share of critics whose greedy chunks, from the start, end in a loop."""
    choice = critics(length, sigma, backup, seeds).choice
    return float(np.mean([cells[-1] != length for cells in journeys(length, backup, choice)]))


class Loops(NamedTuple):
    """Shares of critics with single-step backups on the lock."""

    never: float  # walk for ever
    beats: float  # hold a loop of two steps (or of one, in the first cell) for better than V* there
    pays: float  # hold such a loop for worth more than 0
    positive: float  # claim a positive value somewhere, which no walk can earn
    same: float  # of which `never` and `beats` say the same


def loops(length: int, sigma: float, seeds: int = SEEDS) -> Loops:
    """How many critics loop, and how many ought to by the worth of their best loop.

    Two steps with errors e1 and e2, back and forth, are worth (e1 - 1 + gamma (e2 - 1)) / (1 -
    gamma^2) if repeated for ever.
    """
    found, mdp, cell = critics(length, sigma, 1, seeds), lock(length).mdp, np.arange(length)
    right, best = right_actions(length), optimal(mdp).value
    on, back = found.error[:, cell, right] - 1, found.error[:, cell, 1 - right] - 1
    worth = np.concatenate([
        (on[:, :-1] + mdp.discount * back[:, 1:]) / (1 - mdp.discount**2),
        back[:, :1] / (1 - mdp.discount),  # the wrong button of the first cell stays there
    ], 1)  # fmt: skip
    at_most = np.append(best[: length - 1], best[0])
    lost = np.array([cells[-1] != length for cells in journeys(length, 1, found.choice)])
    beats, pays = (worth > at_most).any(-1), (worth > 0).any(-1)
    positive = (found.value > 1e-9).any(-1)
    return Loops(*(float(each.mean()) for each in (lost, beats, pays, positive, lost == beats)))


@cache
def curve(length: int, backup: int) -> Claims:
    """`overestimates` at each of SIGMAS, with the same draws scaled."""
    found = [overestimates(length, sigma, backup) for sigma in SIGMAS]
    return Claims(*(np.stack(part) for part in zip(*found, strict=True)))


def compute(length: int, sigma: float, backup: int, critic: int) -> Numbers:
    """What SEEDS critics claim about the start, and where one of them would walk."""
    claims, found = overestimates(length, sigma, backup), critics(length, sigma, backup)
    order = np.argsort(claims.maximum, kind="stable")
    shown = order[critic - 1]
    (jumps,) = journeys(length, backup, found.choice[[shown]])
    loop = int(np.flatnonzero(jumps == jumps[-1])[0]) if jumps[-1] != length else -1
    inside = jumps[loop:-1] if loop >= 0 else jumps[:0]
    return Numbers(
        length,
        sigma,
        backup,
        Claims(claims.maximum[order], np.sort(claims.fixed)),
        curve(length, backup),
        critic,
        jumps,
        loop,
        float(found.error[shown, inside, found.choice[shown, inside]].sum()),
        never_arrive(length, sigma, backup),
    )


MAXIMUM, FIXED = plots.learned(1), plots.learned(0)


WALK: dict[str, Any] = plots.learned(0) | {"marker": "", "linestyle": "-", "linewidth": 1.4}
LOOP: dict[str, Any] = plots.learned(1) | {"marker": "", "linestyle": "-", "linewidth": 2.6}
CHOSEN: dict[str, Any] = MAXIMUM | {"markersize": 9}


def layout(figure: Figure) -> tuple[Axes, ...]:
    strip = figure.add_axes((0.09, 0.66, 0.89, 0.20))
    strip.set_axis_off()
    strip.set_ylim(-1.6, 3.6)
    mean = plots.label(
        figure.add_axes((0.09, 0.13, 0.40, 0.42)),
        "noise of each entry sigma [reward]",
        "claimed - true [reward]",
        f"value of the start, mean of {SEEDS} critics",
    )
    mean.set_xlim(0.0, 1.6)
    mean.set_ylim(-25, 150)
    seeds = plots.label(
        figure.add_axes((0.58, 0.13, 0.40, 0.42)),
        "critic, sorted by its error",
        "",
        "each critic at this sigma; large: the one above",
    )
    seeds.set_xlim(-2.0, SEEDS + 1.0)
    entries = {
        "exact (no noise)": plots.EXACT,
        "learned, with the max": MAXIMUM,
        "learned, fixed policy": FIXED,
    }
    plots.key(mean, entries, loc="upper left")
    return strip, mean, seeds


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    strip, mean, seeds = axes
    _draw_walk(strip, numbers)
    at = np.array(SIGMAS)
    for samples, style in ((numbers.curve.fixed, FIXED), (numbers.curve.maximum, MAXIMUM)):
        centre, error = mean_and_error(samples)
        mean.errorbar(at, centre, 2.0 * error, **style)
    mean.hlines(0.0, 0.0, 1.6, **_line())
    mean.vlines(numbers.sigma, *mean.get_ylim(), color=plots.BLACK, linestyle=":", linewidth=1.2)

    order = np.arange(1, SEEDS + 1)
    seeds.hlines(0.0, -2.0, SEEDS + 1.0, **_line())
    for samples, style in ((numbers.claims.fixed, FIXED), (numbers.claims.maximum, MAXIMUM)):
        seeds.plot(order, samples, **{**style, "markersize": 3.0})
    seeds.plot(numbers.critic, numbers.claims.maximum[numbers.critic - 1], **CHOSEN)
    top = plots.nice_top(float(numbers.claims.maximum.max()))
    low = plots.nice_top(max(-float(numbers.claims.fixed.min()), 0.05 * top))
    seeds.set_ylim(-1.05 * low, 1.05 * top)
    claim, error = mean_and_error(numbers.claims.maximum)
    free, _ = mean_and_error(numbers.claims.fixed)
    plots.headline(
        strip,
        f"h = {numbers.backup}: the max adds {claim:.1f} ± {2 * error:.1f} to the start, a fixed "
        f"policy {free:+.1f}; {numbers.never:.0%} never arrive",
    )


def _draw_walk(strip: Axes, numbers: Numbers) -> None:
    """The lock, start left, and an arc for every chunk that the critic would play."""
    edges = np.arange(numbers.length + 2) - 0.5
    strip.vlines(edges, 0, 1, color="0.6", linewidth=0.8)
    strip.hlines([0, 1], edges[0], edges[-1], color=plots.BLACK, linewidth=1.2)
    ends = len(numbers.jumps) - 1
    first = numbers.loop if numbers.loop >= 0 else ends
    for jumps, style in ((numbers.jumps[: first + 1], WALK), (numbers.jumps[first:], LOOP)):
        strip.plot(*_arcs(jumps), clip_on=False, **style)
    for cell, name in ((0, "start"), (numbers.length, "goal")):
        strip.text(cell, -0.3, name, ha="center", va="top", fontsize=9)
    strip.text(0.5 * numbers.length, -0.3, _told(numbers), ha="center", va="top", fontsize=10)
    strip.set_xlim(-0.6, numbers.length + 0.6)


def _arcs(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half ellipses from cell to cell, above the strip forwards and lower backwards."""
    angle = np.linspace(np.pi, 0, 13)
    across, height = [], []
    for a, b in itertools.pairwise(cells):
        width = abs(b - a) / 2 if a != b else 0.3
        across += [*((a + b) / 2 + np.cos(angle) * (width if b >= a else -width)), np.nan]
        height += [*(1.0 + np.sin(angle) * (0.7 + 0.35 * abs(b - a) + 0.5 * (b <= a))), np.nan]
    return np.array(across), np.array(height)


def _told(numbers: Numbers) -> str:
    claim = numbers.claims.maximum[numbers.critic - 1]
    who = f"critic {numbers.critic} (off by {claim:+.1f})"
    if numbers.loop < 0:
        return f"{who}: its greedy chunks reach the goal"
    steps = numbers.backup * (len(numbers.jumps) - 1 - numbers.loop)
    size = f"{steps} step{'s' * (steps > 1)}"
    return f"{who}: a loop of {size}, whose errors sum to {numbers.errors:+.1f}"


def _line() -> dict:
    return {"color": plots.BLACK, "linewidth": 1.5}


def describe(numbers: Numbers) -> str:
    (claim, error), (free, noise) = map(mean_and_error, numbers.claims)
    return (
        f"On a lock of {numbers.length} cells, with noise of standard deviation "
        f"{numbers.sigma:.1f} on every entry and backup length {numbers.backup}, {SEEDS} critics "
        f"that take a maximum overestimate the start by {claim:.1f} plus or minus {2 * error:.1f} "
        f"on average, and critics of a fixed policy by {free:.1f} plus or minus {2 * noise:.1f}; "
        f"{numbers.never:.0%} of the former never arrive. Drawn: {_told(numbers)}."
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
        Slider("critic", "critic that is drawn", 1, SEEDS, 3, 49),
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
        mark=lambda axes, guess: plots.guess(axes[1], guess),
    ),
    named={
        "Little noise": {"sigma": 0.3},
        "A loop that costs": {"sigma": 0.5, "critic": 79},
        "Chunks of three": {"backup": 3},
    },
    motion="critic",
)
