"""Notebook 04: the error of one target, split exactly into its causes, beside sampled targets."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Choice, Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.statistics import mean_and_error
from chunkrl.tabular import estimate
from chunkrl.tabular.chunks import chunked
from chunkrl.tabular.errors import Parts, data_target
from chunkrl.tabular.mdp import one_hot, optimal
from chunkrl.tabular.worlds import World, lock

WINDOWS = 2000  # logged windows from the start
FEWEST = 10  # matching windows, below which no estimate is shown
TARGETS = ("return", "chunked return", "cut return")
PARTS = ("bootstrap", "off-policy", "lucky logs", "total")

SHORT = ("boot-\nstrap", "off-\npolicy", "lucky\nlogs", "total")  # of PARTS, in a narrow panel
ROOM = len(PARTS) - 0.3  # of the x axis
MEAN: dict[str, Any] = plots.estimated(1) | {"markersize": 3.0}


class Numbers(NamedTuple):
    target: str
    steps: int
    skill: float
    slip: float
    truth: float  # Q^pi of the start and pi's first action or chunk
    length: float  # mean number of rewards in it
    parts: np.ndarray  # [4]   in the order of PARTS; the last is the sum of the others
    deviation: float  # standard deviation of one sampled target
    matching: int  # windows out of WINDOWS that the critic may use for this entry
    estimate: np.ndarray  # [0 or 1]   mean sampled target minus the truth
    standard_error: np.ndarray  # [0 or 1]


def compute(
    target: str, steps: int, skill: float, slip: float, critic: float, most: int = WINDOWS
) -> Numbers:
    """Parts of the target for Q(start, best chunk) with a critic V^pi + `critic` (0 at the goal).

    The policy is the best one that acts in chunks: of `steps` actions for the chunked return, else
    of one.  The estimate takes the first `most` of the windows that fit.
    """
    world, h = lock(slip=slip, skill=skill), steps if target == TARGETS[1] else 1
    best = optimal(chunked(world.mdp, h))
    policy = one_hot(best.choice, best.q.shape[1])
    value = best.value + critic * (np.arange(len(best.value)) < len(best.value) - 1)
    chunk = int(best.choice[0])
    found = data_target(world.mdp, policy, world.behaviour, value, n=steps, h=h).chunk
    at, length = Parts(*(part[0, chunk] for part in found)), float(steps)
    if target == TARGETS[2]:
        mean, square, length = cut(world, best.choice, value, steps)
        zero, bias = np.zeros(()), np.array(mean) - at.truth
        at = Parts(
            at.truth, np.array(mean), bias, zero, zero, zero, np.array(max(square - mean**2, 0.0))
        )
        samples = sampled(world, value, steps, h, chunk, best.choice)
    else:
        samples = sampled(world, value, steps, h, chunk)
    means = [mean_and_error(samples[:most])] if len(samples) >= FEWEST else []
    return Numbers(
        target,
        steps,
        skill,
        slip,
        float(at.truth),
        length,
        np.array([at.bootstrap, at.off_policy, at.open_loop, at.error]),
        float(np.sqrt(at.variance)),
        len(samples),
        np.array([mean - at.truth for mean, _ in means]),
        np.array([error for _, error in means]),
    )


def cut(
    world: World, choice: np.ndarray, value: np.ndarray, steps: int
) -> tuple[float, float, float]:
    """A return from the start that ends at the first action that `choice` would not take.

    At most `steps` rewards; Vhat stands for the rest.  Its mean, mean square and mean length.  All
    its actions are the policy's own: with Vhat = V^pi it is unbiased.
    """
    mdp, cells = world.mdp, np.arange(len(value))
    onward, earn = mdp.transition[cells, choice], mdp.reward[cells, choice]
    mean, square, length = value, value**2, 0.0 * value
    for left in range(steps):
        after = onward @ mean
        square = earn**2 + 2 * mdp.discount * earn * after + mdp.discount**2 * onward @ square
        mean, length = earn + mdp.discount * after, 1.0 + onward @ length
        if left < steps - 1:  # the first action is given
            keeps = world.behaviour[cells, choice]
            mean = keeps * mean + (1 - keeps) * value
            square, length = keeps * square + (1 - keeps) * value**2, keeps * length
    return float(mean[0]), float(square[0]), float(length[0])


def sampled(
    world: World,
    value: np.ndarray,
    steps: int,
    h: int,
    chunk: int,
    choice: np.ndarray | None = None,
) -> np.ndarray:
    """Targets of those of WINDOWS logged windows that begin with the h actions of `chunk`.

    Cut at the first action that `choice`, if given, would not take.
    """
    rng = np.random.default_rng(0)
    start = np.zeros(WINDOWS, int)
    walks = estimate.rollout(world.mdp, world.behaviour, start, steps, rng)
    match = estimate.first_chunk(walks, world.mdp.reward.shape[1], h) == chunk
    walks = estimate.Rollouts(*(x[match] for x in walks))
    if choice is None:
        return estimate.targets(world.mdp, walks, value)
    foreign = walks.action != choice[walks.state[:, :-1]]
    kept = np.where(foreign.any(1), foreign.argmax(1), steps)
    found = np.empty(len(kept))  # in the order of the log
    for n in range(1, steps + 1):
        short = estimate.Rollouts(walks.state[kept == n, : n + 1], walks.action[kept == n, :n])
        found[kept == n] = estimate.targets(world.mdp, short, value)
    return found


def layout(figure: Figure) -> tuple[Axes, ...]:
    bars = plots.label(
        figure.add_axes((0.09, 0.13, 0.60, 0.66)),
        "",
        "",
        "error of one target at the start [reward], by cause",
    )
    bars.set_xticks(range(len(PARTS)), PARTS)
    bars.set_xlim(-0.6, ROOM)
    spread = plots.label(
        figure.add_axes((0.80, 0.13, 0.18, 0.66)), "both: √(bias² + noise²)", "", "size [reward]"
    )
    spread.set_xticks(range(3), ("bias", "noise", "both"))
    spread.set_xlim(-0.6, 2.6)
    plots.key(
        bars,
        {
            "exact": {"color": plots.BLACK},
            "estimated: mean target of the windows that fit ± 2 s.e.": MEAN,
        },
        "upper left",
    )
    return bars, spread


def waterfall(bars: Axes, numbers: Numbers) -> float:
    """The parts of one target and their sum, its estimate beside it; the largest height."""
    heights = numbers.parts
    # Each part starts where the one before it ended; the total starts at zero again.
    begin = np.concatenate([[0.0], np.cumsum(heights[:-2]), [0.0]])
    fill = ["#F7D9C4" if height < 0 else "#CFE8F7" for height in heights]
    style: dict[str, Any] = plots.EXACT_BAR | {"facecolor": fill}
    bars.bar(range(len(PARTS)), heights, bottom=begin, width=0.6, **style)
    for place, end in enumerate((begin + heights)[:-1]):  # where the next part starts
        bars.plot([place + 0.3, place + 0.7], [end, end], color=plots.BLACK, linewidth=0.8)
    ends = np.concatenate([begin, begin + heights])
    size = plots.nice_top(max(2.0, float(np.abs(ends).max())))
    for place, (height, base) in enumerate(zip(heights, begin, strict=True)):
        above = max(base, base + height) + 0.04 * size
        bars.text(place, above, f"{height:+.2f}" if abs(height) >= 0.005 else "0", ha="center")
    bars.hlines(0.0, -0.6, ROOM, color=plots.BLACK, linewidth=0.8)
    at = np.full(len(numbers.estimate), len(PARTS) - 0.55)  # beside the bar: whiskers are short
    bars.errorbar(at, numbers.estimate, 2.0 * numbers.standard_error, capsize=4.0, **MEAN)
    return size


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    bars, spread = axes
    heights, size = numbers.parts, waterfall(bars, numbers)
    bars.set_ylim(-1.15 * size, 1.6 * size)

    bias, noise = abs(float(heights[-1])), numbers.deviation
    both = (bias, noise, float(np.hypot(bias, noise)))
    top = plots.nice_top(max(2.0, both[-1]))
    spread.bar(range(3), both, width=0.6, **plots.EXACT_BAR)
    for place, height in enumerate(both):
        spread.text(place, height + 0.03 * top, f"{height:.2f}", ha="center", fontsize=9)
    spread.set_ylim(0.0, 1.2 * top)
    used = f"{numbers.matching} of {WINDOWS} windows fit"
    used += "" if len(numbers.estimate) else ": too few for an estimate"
    bars.text(ROOM, -1.1 * size, used, ha="right", fontsize=9)
    plots.headline(
        bars,
        f"{numbers.steps}-step {numbers.target}, q = {numbers.skill:.2f}, slip {numbers.slip:.2f}: "
        f"off by {heights[-1]:+.2f} from {numbers.truth:.2f}",
    )


def three(figure: Figure) -> tuple[Axes, ...]:
    """One waterfall for each of TARGETS, on one scale."""
    panels = []
    for left, name in zip((0.075, 0.395, 0.715), TARGETS, strict=True):
        axes = figure.add_axes((left, 0.21, 0.275, 0.54))
        size = "error of one target [reward]" if name == TARGETS[0] else ""
        panels.append(plots.label(axes, "", size, f"5-step {name}"))
        axes.set_xticks(range(len(PARTS)), SHORT, fontsize=9)
        axes.set_xlim(-0.6, ROOM)
        axes.set_ylim(-2.3, 1.0)
    return tuple(panels)


def side_by_side() -> plots.Picture:
    """The three targets where the explorer begins, each estimated from equally many windows."""
    equal = min(TARGET_PARTS.numbers(target=name).matching for name in TARGETS)
    settings: list[dict[str, Any]] = [TARGET_PARTS.setting(target=name) for name in TARGETS]
    found = [compute(**setting, most=equal) for setting in settings]

    def each(axes: tuple[Axes, ...]) -> None:
        for panel, numbers in zip(axes, found, strict=True):
            waterfall(panel, numbers)
            told = f"s.d. of one target {numbers.deviation:.2f}"
            panel.text(-0.35, -2.12, told, fontsize=9)
        told = (
            "outlined: exact (orange too low, blue too high); "
            f"open square: mean of {equal} sampled targets, ± 2 s.e."
        )
        axes[0].text(0.0, -0.34, told, transform=axes[0].transAxes, fontsize=9)
        plots.headline(axes[0], "Foreign actions, luck, or neither; q = 0.9, slip 0.1")

    told = f"Each estimated from {equal} windows. "
    return plots.Picture(plots.still(three, each), told + " ".join(map(describe, found)))


def describe(numbers: Numbers) -> str:
    parts = ", ".join(
        f"{name} {part:+.2f}" for name, part in zip(PARTS, numbers.parts, strict=True)
    )
    told = f"{numbers.matching} of {WINDOWS} logged windows begin with the actions that it reads"
    for mean, error in zip(numbers.estimate, numbers.standard_error, strict=True):
        told += f"; the mean of their targets is off by {mean:+.2f} plus or minus {2 * error:.2f}"
    return (
        f"Error of a {numbers.steps}-step {numbers.target} at the start of the lock, where the "
        f"truth is {numbers.truth:.2f} and {numbers.length:.1f} rewards are added up: {parts}; "
        f"one sample scatters by {numbers.deviation:.2f}. {told}."
    )


def table(numbers: Numbers) -> Table:
    rows = [(name, float(part)) for name, part in zip(PARTS, numbers.parts, strict=True)]
    rows.append(("standard deviation of one target", numbers.deviation))
    rows.append(("rewards in it, mean", numbers.length))
    rows.append(("windows that fit", numbers.matching))
    for mean, error in zip(numbers.estimate, numbers.standard_error, strict=True):
        rows.append(("estimated total", float(mean)))
        rows.append(("2 standard errors", float(2 * error)))
    return ("of the target at the start", "value"), rows


TARGET_PARTS = Explorer(
    name="target_parts",
    notebook="04",
    title="Why not simply use n-step returns?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Choice("target", "target", TARGETS, TARGETS[0]),
        Slider("steps", "steps n", 1, 8, 1, 5),
        Slider("skill", "skill of the logging policy q", 0.5, 0.95, 0.05, 0.9),
        Slider("slip", "slip probability p", 0.0, 0.3, 0.05, 0.1),
        Slider("critic", "error of the critic [reward]", -3.0, 3.0, 0.5, -1.0),
    ),
    describe=describe,
    table=table,
    predict_first=Predict(
        "The critic is 1 too low everywhere. A 5-step return from the start of a slipping lock "
        "(p = 0.1), logged at q = 0.9, bootstraps from it: by how much is the expected target of "
        "the right first action off?",
        "reward",
        lambda numbers: float(numbers.parts[-1]),
        mark=lambda axes, value: plots.guess(axes[0], value),
    ),
    named={
        "Chunked": {"target": TARGETS[1]},
        "Cut": {"target": TARGETS[2]},
        "No critic error": {"critic": 0.0},
        "Few windows": {"target": TARGETS[1], "steps": 8, "skill": 0.5},
    },
    motion="steps",
)
