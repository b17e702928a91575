"""Notebook 12: where the hand goes, deciding at every step or committed to a chunk."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from chunkrl import plots
from chunkrl.course.controls import Choice, Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.course.explorers.robot_curves import OTHERS, OURS, SHOWN, spread
from chunkrl.experiments.report import spelled
from chunkrl.measure import traces
from chunkrl.results import robot_runs
from chunkrl.statistics import bootstrap, difference

SINGLE = "fql"
PAIR = (SINGLE, OURS)
WIDE, HIGH = 0.53, 0.60  # of the figure: the view from above
MARGIN = 0.04  # m around what is drawn
RATE = 20  # steps in a second
REACH = 0.04  # m; a cube this near to its goal is in place, says OGBench
STORED = robot_runs.load_paths()
NAMES: tuple[str, ...] = tuple(STORED.methods.tolist())
SEEDS = STORED.points.shape[1]
ALL, SUCCESSFUL, FAILED = "all episodes", "successful ones only", "failed ones only"
OVER = {ALL: "All episodes", SUCCESSFUL: "Successful episodes", FAILED: "Failed episodes"}
MEASURES: tuple[Callable[[np.ndarray], Any], ...] = (
    lambda path: 100 * traces.coherency(path, every=1),  # stored is every fifth step
    lambda path: traces.direction(path, every=1),
)


class Numbers(NamedTuple):
    episode: int
    seed: int
    steps: int
    over: str
    paths: dict[str, np.ndarray]  # method -> [points, 3]   places of the hand [m]
    arrived: dict[str, float]  # method -> second at which the cube is in place, -1: not by then
    room: np.ndarray  # [2, 2]   lowest and highest x and y of the whole paths, cube and goal [m]
    cube: np.ndarray  # [3]   where it begins [m]
    goal: np.ndarray  # [3]
    stride: dict[str, np.ndarray]  # method -> [S]   in 5 steps [cm]
    cosine: dict[str, np.ndarray]  # method -> [S]   between one such move and the next
    gap: np.ndarray  # [2, O, 3]   OURS minus another in both, and its 95% interval over seeds


@cache
def by_seed(points: int, over: str) -> np.ndarray:
    """Way and direction over the first `points` stored points, mean of episodes.  -> [2, M, S]

    nan for a seed none of whose episodes count.
    """
    found = np.full((len(MEASURES), len(NAMES), SEEDS), np.nan)
    for m, s in np.ndindex(len(NAMES), SEEDS):
        counted = np.flatnonzero((over == ALL) | (STORED.success[m, s] == (over == SUCCESSFUL)))
        paths = [robot_runs.path(STORED, m, s, int(e))[:points] for e in counted]
        if paths:
            found[:, m, s] = [np.mean([f(path) for path in paths]) for f in MEASURES]
    return found


def by_outcome(method: str) -> np.ndarray:
    """Episodes of each seed that succeed and that fail, and the sum of their strides.  [2, 2, S]"""
    m, found = NAMES.index(method), np.zeros((2, 2, SEEDS))
    for sums, done in zip(found, (True, False), strict=True):
        for s, e in np.argwhere(STORED.success[m] == done):
            sums[:, s] += 1, MEASURES[0](robot_runs.path(STORED, m, s, e))
    return found


def outcomes(method: str) -> tuple[float, float, float]:
    """The share of episodes that succeed, the mean stride in these, and in those that fail [cm]."""
    (count, won), (failed, lost) = by_outcome(method).sum(-1)
    return float(count / (count + failed)), float(won / count), float(lost / failed)


def parts() -> tuple[np.ndarray, np.ndarray]:
    """How the lead of OURS over SINGLE, over all episodes, splits [cm].  -> [4], intervals [2, 4]

    What goes with failing less often, with failed hands that go further, with successful ones that
    do; the sum, which is the difference of the means.  An identity, no cause: each part changes one
    of the three and holds the others at the mean of both methods.  95% intervals by resampling
    seeds.
    """

    def split(sums: np.ndarray, axis: int) -> np.ndarray:
        count, stride = np.moveaxis(sums.sum(axis).reshape(2, 2, 2), -1, 0)  # [method, outcome]
        share, mean = count / count.sum(1, keepdims=True), stride / count
        gained = np.diff(share, axis=0)[0] @ mean.mean(0)
        won, lost = share.mean(0) * np.diff(mean, axis=0)[0]
        return np.array([gained, lost, won, gained + lost + won])

    both = np.concatenate([by_outcome(method) for method in PAIR])
    return split(both, -1), bootstrap(both, split)


def failing_less() -> tuple[np.ndarray, np.ndarray]:
    """The share of the gap that failing less often makes up, other weights than in `parts`.

    By the strides of OURS, then those of SINGLE.  -> [2], and 95% intervals over seeds [2, 2]
    """

    def share(sums: np.ndarray, axis: int) -> np.ndarray:
        count, stride = np.moveaxis(sums.sum(axis).reshape(2, 2, 2), -1, 0)  # [method, outcome]
        often, mean = count / count.sum(1, keepdims=True), stride / count
        return (mean @ np.diff(often, axis=0)[0])[::-1] / np.diff((often * mean).sum(1))

    both = np.concatenate([by_outcome(method) for method in PAIR])
    return share(both, -1), bootstrap(both, share)


REASONS = (
    f"{spelled(OURS)} fails less often",
    "its failed hands go further",
    "its successful hands go further",
)


def split_layout(figure: Figure) -> tuple[Axes, ...]:
    axes = plots.label(
        figure.add_axes((0.30, 0.16, 0.66, 0.58)),
        "stride of 5 steps, mean over all episodes [cm]", "",
        "box: a part of the gap, no cause; whisker: its 95% interval over seeds",
    )  # fmt: skip
    axes.set_ylim(4.6, -0.6)
    axes.set_yticks(range(5), [f"{spelled(SINGLE)}", *REASONS, spelled(OURS)])
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 6.5)
    return (axes,)


def split_picture() -> plots.Picture:
    """From SINGLE's mean over all episodes to that of OURS, a bar for each of `parts`."""
    part, (low, high) = parts()
    means = [
        float(np.mean([
            MEASURES[0](robot_runs.path(STORED, NAMES.index(method), s, e))
            for s, e in np.ndindex(STORED.success.shape[1:])
        ]))
        for method in PAIR
    ]  # fmt: skip
    ends = means[0] + np.cumsum(np.append(0.0, part[:3]))

    def draw_split(axes: tuple[Axes, ...]) -> None:
        (a,) = axes
        for place, mean, series in ((0, means[0], SHOWN[SINGLE]), (4, means[1], SHOWN[OURS])):
            a.barh(place, mean, 0.6, color=plots.COLORS[series])
            a.text(mean + 0.08, place, f"{mean:.2f}", va="center")
        bar: dict[str, Any] = plots.EXACT_BAR | {"facecolor": "#CFE8F7", "edgecolor": "#777777"}
        for i in range(3):
            a.barh(i + 1, part[i], 0.6, left=ends[i], **bar)
            off = [[part[i] - low[i]], [high[i] - part[i]]]
            a.errorbar(ends[i + 1], i + 1, xerr=off, color=plots.BLACK, capsize=3.0, linewidth=1.2)
            told = f"{part[i]:+.2f} [{low[i]:.2f}, {high[i]:.2f}]"
            a.text(ends[i] - 0.08, i + 1, told, va="center", ha="right", fontsize=9)
        a.vlines(ends, np.arange(4), np.arange(1, 5), color=plots.BLACK, linewidth=0.8)
        plots.headline(
            a,
            f"{spelled(OURS)}'s hand goes {part[3]:.1f} cm further; "
            f"{part[0]:.1f} go with failing less",
        )

    told = ", ".join(f"{reason} {x:+.2f}" for reason, x in zip(REASONS, part, strict=False))
    alt = (
        f"Over all episodes {spelled(SINGLE)}'s notes lie {means[0]:.2f} cm apart, "
        f"{spelled(OURS)}'s {means[1]:.2f}. The difference: {told}."
    )
    return plots.Picture(plots.still(split_layout, draw_split), alt)


ENDINGS = ((SUCCESSFUL, "Both solve it", "successes"), (FAILED, "Neither does", "failures"))
VIEW = (0.41, 0.375)  # of the figure: width and height of a view beside another
LONGEST = 11.0  # cm, of the axis of strides


def endings_layout(figure: Figure) -> tuple[Axes, ...]:
    panels = []
    for left in (0.085, 0.57):
        place = "x, away from the robot [m]" if not panels else ""
        top = figure.add_axes((left, 0.44, *VIEW))
        panels.append(plots.label(top, "y, across the table [m]", place))
        below = figure.add_axes((left, 0.10, VIEW[0], 0.185))
        panels.append(plots.label(below, "stride of 5 steps [cm]; right: mean (episodes)", "", ""))
        below.set_xlim(0, LONGEST)
        below.set_ylim(len(SHOWN) - 0.5, -0.7)
        names = [spelled(method) if left < 0.1 else "" for method in SHOWN]
        below.set_yticks(range(len(SHOWN)), names, fontsize=9)
        below.tick_params(axis="y", length=0)
    marks = {spelled(method): plots.learned(SHOWN[method]) for method in PAIR}
    plots.key(panels[0], marks | ENDS, loc="upper right")
    return tuple(panels)


def typical_failure() -> int:
    """The episode that the first seed of neither solves and that is nearest to the mean strides."""
    pair = [NAMES.index(method) for method in PAIR]
    mean = np.nanmean(by_seed(WHOLE, FAILED)[0, pair], axis=-1)
    both = np.flatnonzero((~STORED.success[pair, 0]).all(0))
    stride = [[MEASURES[0](robot_runs.path(STORED, m, 0, int(e))) for m in pair] for e in both]
    return int(both[np.abs(stride - mean).sum(-1).argmin()])


def endings_picture() -> plots.Picture:
    """An episode that both solve beside one that neither does, and every seed's stride in such."""
    found = [
        ROBOT_PATHS.numbers(episode=episode, over=over)
        for (over, *_), episode in zip(ENDINGS, (FIRST, typical_failure()), strict=True)
    ]
    shape = VIEW[0] * 8.0 / (VIEW[1] * 4.4)
    wide = max(half(numbers, shape) for numbers in found)

    def each(axes: tuple[Axes, ...]) -> None:
        for top, below, numbers, (_, name, those) in zip(
            axes[::2], axes[1::2], found, ENDINGS, strict=True
        ):
            view(top, numbers, shape, wide)
            for place, method in enumerate(SHOWN):
                seeds = numbers.stride[method]
                style: dict[str, Any] = plots.learned(SHOWN[method])
                across = place + np.linspace(0.25, -0.05, len(seeds))
                small: dict[str, Any] = style | {"markersize": 3.0}
                below.plot(seeds, across, **small)
                mean, low, high = spread(seeds)
                bold: dict[str, Any] = style | {"markersize": 6.0, "elinewidth": 1.8}
                below.errorbar(mean, place - 0.28, xerr=[[mean - low], [high - mean]], **bold)
                count = int((STORED.success[NAMES.index(method)] == (name == ENDINGS[0][1])).sum())
                told = f"{mean:.1f} cm ({count})"
                below.text(LONGEST, place, told, ha="right", va="center", fontsize=9)
            gap, low, high = numbers.gap[0, 0]
            title = f"{name}: episode {numbers.episode}, seed {numbers.seed}"
            top.text(0.0, 1.05, title, transform=top.transAxes, fontsize=10)
            told = f"all {those}: difference {gap:+.1f} cm [{low:+.1f}, {high:+.1f}]"
            below.text(0.0, 1.08, told, transform=below.transAxes, fontsize=10)
        solved, failed = (numbers.gap[0, 0] for numbers in found)
        told = "not told apart" if solved[1] <= 0 <= solved[2] else f"{solved[0]:+.1f} cm"
        headline = (
            f"{spelled(OURS)} minus {spelled(SINGLE)}: successes {told}, "
            f"failures {failed[0]:+.1f} cm (95% over seeds)"
        )
        plots.headline(axes[0], headline)

    return plots.Picture(plots.still(endings_layout, each), " ".join(map(describe, found)))


def compute(episode: int, seed: int, steps: int, over: str) -> Numbers:
    """Two paths from one start, and every method's stride and direction until `steps`."""
    points, scene = steps // robot_runs.EVERY + 1, robot_runs.load_scene()
    cube, goal = scene.cube[episode], scene.goal[episode]
    paths, arrived, seen = {}, {}, [cube[:2], goal[:2]]
    for method in PAIR:
        at = NAMES.index(method), seed, episode
        path = robot_runs.path(STORED, *at)
        done = STORED.success[at] and len(path) <= points
        paths[method] = path[:points]
        seen += [path[:, :2].min(0), path[:, :2].max(0)]
        arrived[method] = (len(path) - 1) * robot_runs.EVERY / RATE if done else -1.0
    stride, cosine = (
        {name: row[np.isfinite(row)] for name, row in zip(NAMES, rows, strict=True)}
        for rows in by_seed(points, over)
    )
    gap = np.array([
        [apart(found[OURS], found[other]) for other in OTHERS] for found in (stride, cosine)
    ])  # fmt: skip
    room = np.array([np.min(seen, 0), np.max(seen, 0)])
    where = arrived, room, cube, goal
    return Numbers(episode, seed, steps, over, paths, *where, stride, cosine, gap)


def apart(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """The difference of two means and its interval; of no width where seeds are too few for one."""
    if min(len(a), len(b)) < 2:
        gap = float(a.mean() - b.mean()) if len(a) and len(b) else 0.0
        return gap, gap, gap
    return difference(a, b)


RING: dict[str, Any] = {"color": "#777777", "markerfacecolor": "none", "linestyle": "none"}
RING |= {"markersize": 8, "markeredgewidth": 2}
ENDS = {"cube in place": RING | {"marker": "o"}, "not in place": RING | {"marker": "x"}}


def layout(figure: Figure) -> tuple[Axes, ...]:
    top = figure.add_axes((0.09, 0.13, WIDE, HIGH))
    plots.label(top, "y, across the table [m]", "x, away from the robot [m]")
    axes = figure.add_axes((0.71, 0.13, 0.27, 0.40))
    stride = plots.label(axes, "", "stride of 5 steps [cm]", "each seed; right: mean, 95%")
    stride.set_xlim(-0.6, len(SHOWN) - 0.4)
    stride.set_xticks(range(len(SHOWN)), [spelled(m) for m in SHOWN], fontsize=9)
    stride.tick_params(axis="x", length=0)
    stride.set_ylim(0, 12)
    stride.set_yticks([0, 4, 8, 12])
    entries = {
        f"{spelled(method)}, every {robot_runs.EVERY} steps": plots.learned(SHOWN[method])
        for method in PAIR
    }
    plots.key(stride, entries | ENDS, loc=(-0.02, 1.17))
    return top, stride


BLACK: dict[str, Any] = {"color": plots.BLACK, "markersize": 11, "markerfacecolor": "none"}


def half(numbers: Numbers, shape: float) -> float:
    """Metres up and down from the middle that show everything, `shape` times as many aside."""
    low, high = numbers.room[:, :2]
    return float(np.ceil(20 * max(*(high - low) / 2 / [1, shape]) + 20 * MARGIN) / 20)


def view(top: Axes, numbers: Numbers, shape: float, half: float) -> None:
    """Both paths from above, x upwards, with cube, goal and start."""
    middle = numbers.room[:, :2].mean(0)
    top.set_ylim(middle[0] - half, middle[0] + half)
    top.set_xlim(middle[1] - shape * half, middle[1] + shape * half)
    reach = Circle((numbers.goal[1], numbers.goal[0]), REACH, facecolor="#DDDDDD", zorder=0)
    top.add_patch(reach)
    named = {"cube": (numbers.cube, "s"), "goal": (numbers.goal, "+")}
    named["start"] = (numbers.paths[OURS][0], "*")
    for place, marker in named.values():
        top.plot(place[1], place[0], marker=marker, **BLACK)
    for name, right, up, side in (
        ("cube", 0.0, -0.26, "center"),
        ("goal", -0.30, -0.03, "right"),
        ("start", 0.0, 0.08, "center"),
    ):
        place, _ = named[name]
        top.text(place[1] + right * half, place[0] + up * half, name, ha=side, fontsize=10)
    for method, path in numbers.paths.items():
        style: dict[str, Any] = plots.learned(SHOWN[method])
        style |= {"markersize": 4, "linestyle": "-", "linewidth": 0.8}
        top.plot(path[:, 1], path[:, 0], **style)
        end = path[-1]
        mark = "o" if numbers.arrived[method] >= 0 else "x"
        ring = {"color": style["color"], "markerfacecolor": "none", "markeredgewidth": 2.0}
        ring |= {"zorder": 4}
        top.plot(end[1], end[0], marker=mark, markersize=12, **ring)


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    top, beside = axes
    shape = WIDE * 8.0 / (HIGH * 4.4)
    view(top, numbers, shape, half(numbers, shape))
    for place, (method, series) in enumerate(SHOWN.items()):
        seeds = numbers.stride[method]
        if len(seeds):
            across = np.linspace(-0.35, 0.12, len(seeds)) if len(seeds) > 1 else np.zeros(1)
            small: dict[str, Any] = plots.learned(series) | {"markersize": 3.5}
            beside.plot(place + across, seeds, **small)
            mean, least, most = np.clip(spread(seeds), 0.0, 12.0)
            thick: dict[str, Any] = plots.learned(series) | {"elinewidth": 1.8, "markersize": 6.0}
            beside.errorbar(place + 0.3, mean, [[mean - least], [most - mean]], **thick)
            y = max(float(seeds.max()), most) + 0.4
            beside.text(place, y, f"{mean:.1f}", ha="center", va="bottom", fontsize=9)
    gap, least, most = numbers.gap[0, 0]
    told = f"{OVER[numbers.over]}: {spelled(OURS)} minus {spelled(OTHERS[0])} {gap:+.1f} cm"
    plots.headline(top, f"{told}, 95% [{least:+.1f}, {most:+.1f}]")
    top.text(0.0, 1.04, headline(numbers), transform=top.transAxes, fontsize=10)


def headline(numbers: Numbers) -> str:
    """What happens in the episode that is drawn."""
    parts = [
        f"{spelled(method)} {f'done after {at:.1f} s' if at >= 0 else 'not done'}"
        for method in (OURS, SINGLE)
        for at in [numbers.arrived[method]]
    ]
    if max(numbers.arrived.values()) < 0:
        parts = ["neither has the cube in place"]
    return (
        f"Episode {numbers.episode}, seed {numbers.seed}, {numbers.steps / RATE:g} s: "
        f"{', '.join(parts)}"
    )


def describe(numbers: Numbers) -> str:
    def means(found: dict[str, np.ndarray], digits: int) -> str:
        return ", ".join(
            f"{spelled(method)} {found[method].mean():.{digits}f}"
            for method in SHOWN
            if len(found[method])
        )

    (stride, *_), (cosine, *_) = numbers.gap
    against = f"{spelled(OURS)} minus {spelled(OTHERS[0])}"
    return (
        f"{headline(numbers)} (paths of the gripper from above, with cube and goal). Means over "
        f"{numbers.over}, until then: stride of 5 steps {means(numbers.stride, 2)} cm, {against} "
        f"{stride[0]:+.2f} [{stride[1]:+.2f}, {stride[2]:+.2f}]; cosine between such moves "
        f"{means(numbers.cosine, 2)}, {against} {cosine[0]:+.2f} [{cosine[1]:+.2f}, "
        f"{cosine[2]:+.2f}] (95% over seeds)."
    )


def table(numbers: Numbers) -> Table:
    stride, cosine = by_seed(numbers.steps // robot_runs.EVERY + 1, numbers.over)
    rows = [
        (spelled(method), str(seed), float(stride[m, seed]), float(cosine[m, seed]))
        for method in SHOWN
        for m in [NAMES.index(method)]
        for seed in np.flatnonzero(np.isfinite(stride[m]))
    ]
    rows += [
        (f"{spelled(OURS)} minus {spelled(other)}", part, *map(float, numbers.gap[:, o, i]))
        for o, other in enumerate(OTHERS)
        for i, part in enumerate(("difference", "95% from", "to"))
    ]
    return ("method", "seed", "stride of 5 steps [cm]", "cosine"), rows


# In which the first seed of both succeeds: paths that ended alike.
FIRST = int(STORED.success[[NAMES.index(method) for method in PAIR], 0].all(0).argmax())
WHOLE = robot_runs.STEPS // robot_runs.EVERY + 1
FOUND = np.nanmean(by_seed(WHOLE, SUCCESSFUL)[0, NAMES.index(SINGLE)])

ROBOT_PATHS = Explorer(
    name="robot_paths",
    notebook="12",
    title="Does it work on a robot?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("episode", "episode", 0, robot_runs.EPISODES - 1, 1, FIRST),
        Slider("seed", "seed", 0, SEEDS - 1, 1, 0),
        Slider("steps", "steps shown", 20, robot_runs.STEPS, 20, robot_runs.STEPS),
        Choice("over", "means over", (SUCCESSFUL, FAILED, ALL), SUCCESSFUL),
    ),
    describe=describe,
    table=table,
    named={
        "Failures only": {"over": FAILED, "episode": 0},
        "First second": {"steps": 20},
    },
    motion="steps",
    predict_first=Predict(
        "Every 5 steps (a quarter of a second) we note where the hand is. FQL decides anew at each "
        "step. How far apart are two notes of QC-FQL, which plays 5 actions to their end, if "
        f"FQL's are {FOUND:.1f} cm apart (means over the episodes in which each succeeds)?",
        "cm",
        lambda numbers: float(numbers.stride[OURS].mean()),
        digits=1,
        mark=lambda axes, value: plots.guess(axes[1], value),
    ),
)
