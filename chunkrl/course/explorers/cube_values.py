"""Notebook 02: on real trajectories, returns that were observed against values that were fitted."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.results.real_data import Journeys, load_journeys

DISCOUNT, LOWEST = 0.99, -100.0  # -1 per step for ever is worth -1 / (1 - gamma)
WIDTH, BINS = 4, 10  # cm of distance per bin; the last bin holds all that is further
EARLY = 541  # steps after which a trajectory's end is still 459 away: gamma^459 * 100 < 1
BACKUPS = (1, 3, 10, 30, 100)
DRAWS = 200
NEAR = 1  # the bin next to the goal, 4 to 8 cm away


class Returns(NamedTuple):
    """Between what the return of each step lies: the log ends, the world does not."""

    low: np.ndarray  # [N, T]
    high: np.ndarray  # [N, T]


class Fit(NamedTuple):
    """Values by distance bin, fitted on some trajectories and judged on others."""

    value: np.ndarray  # [BINS]
    interval: np.ndarray  # [2, BINS]   95 %, resampling the trajectories of the fit
    error: float  # root mean squared, against the returns of the held-out trajectories


class Numbers(NamedTuple):
    trajectories: int  # that the values are fitted on
    td: tuple[Fit, ...]  # one for each of BACKUPS
    monte_carlo: Fit
    constant: float  # the error of one value for all distances
    observed: np.ndarray  # [BINS, 2]   held-out mean return, and its standard error


def observed_returns(solved: np.ndarray) -> Returns:
    """G_t = r_t + gamma m_t G_{t+1}, with r = -1 and m = 1 until solved, both 0 there.  [N, T]

    After the last step nothing is known but LOWEST <= G <= 0.
    """
    low, high = np.empty(solved.shape), np.empty(solved.shape)
    after_low, after_high = LOWEST, 0.0
    for t in reversed(range(solved.shape[1])):
        going = ~solved[:, t]
        low[:, t] = after_low = going * (-1.0 + DISCOUNT * after_low)
        high[:, t] = after_high = going * (-1.0 + DISCOUNT * after_high)
    return Returns(low, high)


class Counts(NamedTuple):
    """What n-step windows of each trajectory say about the bins."""

    visits: np.ndarray  # [N, BINS]
    reward: np.ndarray  # [N, BINS]   summed n-step returns of the windows that begin there
    move: np.ndarray  # [N, BINS, BINS]   gamma^n for each window from bin to bin without success


def windows(bins: np.ndarray, solved: np.ndarray, n: int) -> Counts:
    """All windows of n steps inside a trajectory; success ends a window.  [N, T] -> Counts"""
    number, length = len(bins), bins.shape[1] - n
    reward, weight = np.zeros((number, length)), np.ones((number, length))
    for i in range(n):
        weight = weight * ~solved[:, i : i + length]
        reward -= DISCOUNT**i * weight
    first = bins[:, :length] + BINS * np.arange(number)[:, None]
    pair = first * BINS + bins[:, n:]
    count = lambda index, size, weights=None: np.bincount(index.ravel(), weights, number * size)
    return Counts(
        count(first, BINS).reshape(number, BINS),
        count(first, BINS, reward.ravel()).reshape(number, BINS),
        DISCOUNT**n * count(pair, BINS**2, weight.ravel()).reshape(number, BINS, BINS),
    )


def solve(counts: Counts, weights: np.ndarray) -> np.ndarray:
    """The fixed point of V = mean (R^n + gamma^n V).  Counts, [*B, N] -> [*B, BINS]"""
    visits, reward = weights @ counts.visits, weights @ counts.reward
    move = np.tensordot(weights, counts.move, 1)
    return np.linalg.solve(visits[..., None] * np.eye(BINS) - move, reward[..., None])[..., 0]


def fit(counts: Counts, bins: np.ndarray, returns: np.ndarray) -> Fit:
    """Fit on `counts`, judge on the `bins` and `returns` of held-out trajectories."""
    number = len(counts.visits)
    value = solve(counts, np.ones(number))
    drawn = np.random.default_rng(0).multinomial(number, np.full(number, 1 / number), DRAWS)
    interval = np.quantile(solve(counts, drawn.astype(float)), (0.025, 0.975), axis=0)
    return Fit(value, interval, float(np.sqrt(((value[bins] - returns) ** 2).mean())))


def compute(logs: Journeys) -> Numbers:
    """Every third trajectory is held out; values are fitted on the others."""
    bins = np.minimum(logs.distance // WIDTH, BINS - 1).astype(int)
    low, high = observed_returns(logs.solved)
    middle = ((low + high) / 2)[:, :EARLY]
    held = np.arange(len(bins)) % 3 == 0
    seen, new = bins[~held, :EARLY], bins[held, :EARLY]
    visited = np.stack([seen == each for each in range(BINS)], -1)  # [N, T, BINS]
    whole = Counts(
        visited.sum(1),
        (visited * middle[~held][..., None]).sum(1),
        np.zeros((len(seen), BINS, BINS)),
    )
    return Numbers(
        len(seen),
        tuple(fit(windows(bins[~held], logs.solved[~held], n), new, middle[held]) for n in BACKUPS),
        fit(whole, new, middle[held]),
        float(np.sqrt(((middle[held] - middle[~held].mean()) ** 2).mean())),
        np.array([_mean_by_trajectory(new == each, middle[held]) for each in range(BINS)]),
    )


def _mean_by_trajectory(inside: np.ndarray, returns: np.ndarray) -> tuple[float, float]:
    """Mean of `returns` where `inside`, and its standard error with trajectories as units."""
    number, total = inside.sum(1), (inside * returns).sum(1)
    mean = total.sum() / number.sum()
    return mean, float(np.sqrt(((total - mean * number) ** 2).sum()) / number.sum())


def by_motion(logs: Journeys, span: int = 5) -> tuple[float, float, float]:
    """The share of steps next to the goal with the cube at rest, and the mean return of both kinds.

    At rest: its distance stays within the same centimetre from `span` steps before to `span` after.
    """
    shifted = [np.roll(logs.distance, k, axis=1) for k in range(-span, span + 1)]
    rest = np.all([each == logs.distance for each in shifted], axis=0)
    inside = slice(span, EARLY)  # where a roll does not reach over an end
    near = (logs.distance // WIDTH == NEAR)[:, inside]
    low, high = observed_returns(logs.solved)
    returns, rest = ((low + high) / 2)[:, inside], rest[:, inside]
    mean = lambda chosen: float(returns[chosen].mean())
    return float(rest[near].mean()), mean(near & rest), mean(near & ~rest)


def layout(figure: Figure) -> tuple[Axes, ...]:
    values = figure.add_axes((0.09, 0.13, 0.50, 0.66))
    near = figure.add_axes((0.70, 0.13, 0.28, 0.66))
    plots.label(values, "distance of the cube from its goal [cm]", "value [reward]")
    plots.label(
        near, "steps of the backup n", "", f"{WIDTH * NEAR} to {WIDTH * (NEAR + 1)} cm away"
    )
    values.set_xlim(0, WIDTH * BINS)
    near.set_xscale("log")
    near.set_xticks(BACKUPS, [str(n) for n in BACKUPS])
    near.minorticks_off()
    near.set_xlim(0.7, 150)
    for axes in (values, near):
        axes.set_ylim(-105, 5)
    entries = {
        "estimated: mean return, new trajectories": plots.estimated(1),
        "learned: TD, n = 1": plots.learned(0),
        "learned: TD, n = 30": plots.learned(2),
    }
    plots.key(values, entries, loc="upper right")
    return values, near


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    values, near = axes
    centre = WIDTH * (np.arange(BINS) + 0.5)
    mean, standard_error = numbers.observed.T
    values.errorbar(centre, mean, 2 * standard_error, **plots.estimated(1))
    for n, series, side in ((1, 0, -0.7), (30, 2, 0.7)):
        _learned(values, centre + side, numbers.td[BACKUPS.index(n)], slice(None), series)
    for n, found in zip(BACKUPS, numbers.td, strict=True):
        _learned(near, np.array([n]), found, slice(NEAR, NEAR + 1), 2 if n == 30 else 0)
    low, high = mean[NEAR] + 2 * standard_error[NEAR] * np.array([-1, 1])
    near.fill_between([0.7, 150], low, high, color=plots.VERMILLION, alpha=0.15, linewidth=0)
    near.plot([0.7, 150], [mean[NEAR]] * 2, **plots.reference(1))
    near.text(0.8, high + 2, "mean return", fontsize=9)
    one = numbers.td[0].value[NEAR]
    plots.headline(
        values,
        f"Near the goal, TD with n = 1 says {one:.0f}; new trajectories got {mean[NEAR]:.0f}",
    )


def _learned(axes: Axes, x: np.ndarray, found: Fit, bins: slice, series: int) -> None:
    low, high = found.interval[:, bins]
    value = found.value[bins]
    axes.errorbar(x, value, np.abs([value - low, high - value]), **plots.learned(series))


def describe(numbers: Numbers) -> str:
    near = ", ".join(
        f"{found.value[NEAR]:.0f} with n = {n}"
        for n, found in zip(BACKUPS, numbers.td, strict=True)
    )
    mean, error = numbers.observed[NEAR]
    return (
        f"With the cube {WIDTH * NEAR} to {WIDTH * (NEAR + 1)} cm from its goal, TD fitted on "
        f"{numbers.trajectories} real trajectories gives a value of {near}; the return on new ones "
        f"is {mean:.0f} plus or minus {2 * error:.0f}."
    )


def picture() -> plots.Picture:
    """Fitted values beside observed returns, with their alternative text."""
    numbers = compute(load_journeys())
    png = plots.still(layout, lambda axes: draw(axes, numbers))
    return plots.Picture(png, describe(numbers))
