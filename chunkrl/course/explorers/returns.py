"""Notebook 02: bias and variance of n-step targets, with a given last value and a learned one."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Choice, Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.course.worlds.returns import learning, target_bias, target_variance

CELLS, DISCOUNT, NOISE, REPLICAS = 20, 0.99, 1.0, 100
STEPS = ("0.05", "0.1", "0.2", "0.4", "0.7", "1", "1/m")
MOST = 200  # episodes
EVERY_N = np.arange(1, CELLS + 1)
SOME_N = np.array([1, 2, 4, 7, 10, 14, 17, 20])  # where estimates are drawn
GAMMA = DISCOUNT ** np.arange(CELLS + 1)


class Numbers(NamedTuple):
    n: int
    episodes: int
    step: str
    value_error: float
    bias: np.ndarray  # [20]   squared, of the mean of `episodes` targets with a fixed last value
    variance: np.ndarray  # [20]
    target: np.ndarray  # [K, 2]   the same total for SOME_N: mean over replicas, standard error
    learned_bias: np.ndarray  # [20]   squared, of the first cell's value after `episodes`
    learned_variance: np.ndarray  # [20]
    learned: np.ndarray  # [K, 2]   squared error of TD(n) that really ran, standard error


@lru_cache(maxsize=1)
def collected() -> np.ndarray:
    """gamma^k-weighted sums of the first k rewards of each episode.  [REPLICAS, MOST, CELLS + 1]

    Each step costs 1 on average, with noise of standard deviation NOISE.
    """
    reward = np.random.default_rng(0).normal(-1.0, NOISE, (REPLICAS, MOST, CELLS))
    first = np.zeros((REPLICAS, MOST, 1))
    return np.concatenate([first, np.cumsum(GAMMA[:-1] * reward, -1)], -1)


def truth() -> np.ndarray:
    """The value of every cell and of the end, (gamma^k - 1) / (1 - gamma) with k steps to go."""
    return (GAMMA[::-1] - 1) / (1 - DISCOUNT)


def targets(sums: np.ndarray, value: np.ndarray, n: np.ndarray) -> np.ndarray:
    """The n-step target of every cell along an episode.  [R, 21], [R, K, 21], [K] -> [R, K, 20]"""
    cell = np.arange(CELLS)
    last = np.minimum(cell + n[:, None], CELLS)  # [K, 20]
    rewards = (sums[:, last] - sums[:, None, :-1]) / GAMMA[:-1]
    bootstrap = np.take_along_axis(value, np.broadcast_to(last, (len(sums), *last.shape)), -1)
    return rewards + GAMMA[last - cell] * bootstrap


def step_sizes(step: str, episodes: int) -> np.ndarray:
    """eta of each episode: the same for all, or 1, 1/2, ..., 1/m.  -> [m]"""
    episode = np.arange(1.0, episodes + 1)
    return 1 / episode if step == "1/m" else np.full(episodes, float(step))


@lru_cache(maxsize=128)  # by all positions of n
def simulate(episodes: int, step: str, value_error: float) -> np.ndarray:
    """Squared error of the first cell after TD(n) on real episodes, for SOME_N.  [REPLICAS, K]"""
    value = np.tile(truth(), (REPLICAS, len(SOME_N), 1))
    value[..., :-1] += value_error
    sums = collected()
    for episode, eta in enumerate(step_sizes(step, episodes)):
        value[..., :-1] += eta * (targets(sums[:, episode], value, SOME_N) - value[..., :-1])
    return (value[..., 0] - truth()[0]) ** 2


def average(episodes: int, value_error: float) -> np.ndarray:
    """Squared error of the mean of targets whose last value is wrong, for SOME_N. [REPLICAS, K]

    Even the end of the corridor is wrong here, so that n = 20 is a target like the others.
    """
    value = np.broadcast_to(truth() + value_error, (REPLICAS, len(SOME_N), CELLS + 1))
    mean = collected()[:, :episodes].mean(1)  # a target is linear in the rewards
    return (targets(mean, value, SOME_N)[..., 0] - truth()[0]) ** 2


def summary(squared: np.ndarray) -> np.ndarray:
    """Mean and standard error over replicas.  [R, K] -> [K, 2]"""
    return np.stack([squared.mean(0), squared.std(0, ddof=1) / np.sqrt(len(squared))], -1)


def compute(n: int, episodes: int, step: str, value_error: float) -> Numbers:
    """Exact error of both settings for every n, beside what simulated episodes give."""
    exact = learning(CELLS, step_sizes(step, episodes), value_error, NOISE, DISCOUNT)
    return Numbers(
        n,
        episodes,
        step,
        value_error,
        target_bias(EVERY_N, DISCOUNT, value_error) ** 2,
        target_variance(EVERY_N, DISCOUNT, NOISE) / episodes,
        summary(average(episodes, value_error)),
        exact.bias**2,
        exact.variance,
        summary(simulate(episodes, step, value_error)),
    )


BIAS: dict[str, Any] = {"color": "0.62"}
VARIANCE: dict[str, Any] = {"color": plots.SKY}
AREA: dict[str, Any] = {"marker": "s", "markersize": 9, "linestyle": "none"}
TOTAL: dict[str, Any] = plots.EXACT | {"linewidth": 2.2}


def layout(figure: Figure) -> tuple[Axes, ...]:
    strip = figure.add_axes((0.08, 0.78, 0.40, 0.06))
    strip.set_axis_off()
    fixed, learns = (
        figure.add_axes((0.08, 0.13, 0.40, 0.48)),
        figure.add_axes((0.57, 0.13, 0.40, 0.48)),
    )
    plots.label(fixed, "n [steps]", "squared error [reward²]", "the last value is given and wrong")
    plots.label(learns, "n [steps]", "", "all values are learned from the episodes")
    for axes in (fixed, learns):
        axes.set_xlim(0.5, CELLS + 0.5)
        axes.set_xticks([1, 5, 10, 15, 20])
    entries = {
        "exact: total": TOTAL,
        "exact: its part that is bias²": BIAS | AREA,
        "exact: its part that is variance": VARIANCE | AREA,
        f"estimated: {REPLICAS} simulated runs": plots.estimated(1),
    }
    plots.key(learns, entries, loc=(0.05, 1.12))
    return strip, fixed, learns


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    strip, fixed, learns = axes
    counted = np.arange(CELLS, 0, -1) > CELLS - numbers.n  # from the start
    plots.lock_strip(strip, counted[::-1] * 0.5, 1.0, {CELLS - numbers.n} - {0})
    strip.text(CELLS, 1.2, "start", ha="left", fontsize=9)
    strip.text(0.5, 1.2, "end", ha="right", fontsize=9)
    strip.text(CELLS, -2.2, "grey: rewards counted; triangle: value read", fontsize=9)
    fixed.set_ylim(0.0, 1.5 * plots.nice_top(numbers.value_error**2))
    after = numbers.learned_bias + numbers.learned_variance
    learns.set_ylim(0.0, plots.nice_top(2.2 * max(after.min(), after[-1])))
    _panel(fixed, numbers.bias, numbers.variance, numbers.target, numbers.n)
    _panel(learns, numbers.learned_bias, numbers.learned_variance, numbers.learned, numbers.n)
    best, direction = best_n(numbers)
    size = "1/m" if numbers.step == "1/m" else f"{float(numbers.step):g}"
    plots.headline(
        strip,
        f"{_count(numbers.episodes)}, step size {size}: given, errors {direction} with n; "
        f"learned, n = {best} is best",
    )


def _panel(axes: Axes, bias: np.ndarray, variance: np.ndarray, found: np.ndarray, n: int) -> None:
    """Stacked areas of the two parts; what is higher than the axes is told at their top."""
    total, top = bias + variance, axes.get_ylim()[1]
    axes.fill_between(EVERY_N, 0.0, bias, **BIAS, linewidth=0)
    axes.fill_between(EVERY_N, bias, total, **VARIANCE, linewidth=0)
    axes.plot(EVERY_N, total, **TOTAL)
    low = found[:, 0] < top
    axes.errorbar(SOME_N[low], found[low, 0], 2 * found[low, 1], **plots.estimated(1))
    axes.vlines(n, 0.0, 0.85 * top, color=plots.BLACK, linestyle=":", linewidth=1.0)
    axes.text(CELLS, 0.93 * top, f"n = {n}: {total[n - 1]:.2f}", ha="right", fontsize=10)
    if total[0] > top:
        text = f"↑ n = 1: {total[0]:.1f}"
        axes.text(1.0, 0.93 * top, text, fontsize=10, bbox={"color": "white", "pad": 1})


def best_n(numbers: Numbers) -> tuple[int, str]:
    """The n of the smallest error when learning, and where a given value pushes the error."""
    total = numbers.bias + numbers.variance
    direction = "rise" if total[-1] > total[0] else "fall"
    return int((numbers.learned_bias + numbers.learned_variance).argmin()) + 1, direction


def _count(episodes: int) -> str:
    return f"{episodes} episode{'s' * (episodes > 1)}"


def describe(numbers: Numbers) -> str:
    best, direction = best_n(numbers)
    total = numbers.bias + numbers.variance
    after = numbers.learned_bias + numbers.learned_variance
    return (
        f"After {_count(numbers.episodes)} with step size {numbers.step}, values first wrong by "
        f"{numbers.value_error:g}: "
        f"with a given last value the squared error goes from {total[0]:.2f} at n = 1 to "
        f"{total[-1]:.2f} at n = {CELLS}, so it can only {direction}; with learned values it is "
        f"{after[0]:.2f} at n = 1, {after[best - 1]:.2f} at its best n = {best}, and "
        f"{after[-1]:.2f} at n = {CELLS}."
    )


def table(numbers: Numbers) -> Table:
    header = ("n", "given: exact", "given: estimated", "learned: exact", "learned: estimated")
    given, learned = (
        numbers.bias + numbers.variance,
        numbers.learned_bias + numbers.learned_variance,
    )
    return header, [
        (int(n), float(given[n - 1]), float(a), float(learned[n - 1]), float(b))
        for n, a, b in zip(SOME_N, numbers.target[:, 0], numbers.learned[:, 0], strict=True)
    ]


RETURNS = Explorer(
    name="returns",
    notebook="02",
    title="Where does a value come from?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("n", "steps of the target n", 1, CELLS, 1, 5),
        Slider("episodes", "episodes m", 2, MOST, 6, 50),
        Choice("step", "step size eta", STEPS, "0.2"),
        Slider("value_error", "initial error of every value [reward]", 0.5, 10.0, 0.5, 5.0),
    ),
    describe=describe,
    table=table,
    predict_first=Predict(
        "A corridor of 20 cells: every value starts wrong by 5, every reward has noise of standard "
        "deviation 1, and TD(n) learns from 50 episodes with step size 0.2. Which n from 1 to 20 "
        "leaves the smallest squared error at the start?",
        "steps",
        lambda numbers: float(best_n(numbers)[0]),
        digits=0,
        mark=lambda axes, guess: plots.guess(axes[2], guess, horizontal=False),
    ),
    named={
        "Few episodes": {"episodes": 14},
        "Many episodes": {"episodes": 200},
        "Average: step size 1/m": {"step": "1/m"},
        "Replace: step size 1": {"step": "1"},
    },
    motion="episodes",
)
