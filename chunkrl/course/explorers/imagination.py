"""Notebook 11: a longer imagined rollout trusts the value less and the learned model more."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Choice, Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.tabular.estimate import count_model
from chunkrl.tabular.expansion import Curve, Expansion, expansion, root_mean_square
from chunkrl.tabular.worlds import World, lock

SLIP = 0.1
LONGEST = 80
MODELS = 60
# What a model believes of a place and button that it has no data of, as counts per successor.
GUESSES = {"leads anywhere": 0.01, "stays put": 0.0}
ANYWHERE, STAYS = GUESSES
SHOWN = np.array([0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 60, 70, 80])


class Numbers(NamedTuple):
    length: int
    transitions: int
    value_error: float
    total: np.ndarray  # [LONGEST + 1]   root mean square error of the target by rollout length
    standard_error: np.ndarray  # [LONGEST + 1]   of `total`, over models
    model: np.ndarray  # [LONGEST + 1]   with the true value at the end
    bootstrap: np.ndarray  # [LONGEST + 1]   with the true model on the way
    squares: np.ndarray  # [2, LONGEST + 1]   mean square made by the model, and by the value
    cells: np.ndarray  # [L]   root mean square error at each cell for the chosen length

    @property
    def best(self) -> int:
        return int(self.total.argmin())

    @property
    def blame(self) -> float:
        """Share of the model in the mean square error at the chosen length."""
        model, value = self.squares[:, self.length]
        return float(model / (model + value)) if model + value > 0 else 0.0


@lru_cache(maxsize=64)
def errors(skill: float, transitions: int, unseen: str, models: int = MODELS) -> Expansion:
    """Rollouts of the policy that logged the data, in models counted from them."""
    world, rng = world_of(skill), np.random.default_rng(0)
    counted = count_model(
        world.mdp, world.behaviour, transitions, models, rng, prior=GUESSES[unseen]
    )
    return expansion(world.mdp, world.behaviour, counted, LONGEST)


def world_of(skill: float) -> World:
    """The lock that is imagined, and a behaviour that is right with probability `skill`."""
    return lock(slip=SLIP, skill=skill)


def curves(found: Expansion, value_error: float) -> tuple[Curve, np.ndarray, np.ndarray]:
    """Total, model part and bootstrap part of the error of the target, by rollout length."""
    return (
        root_mean_square(found.error(value_error)),
        root_mean_square(found.model).mean,
        np.sqrt(found.bootstrap(value_error).mean(-1)),
    )


def compute(
    length: int, transitions: int, value_error: float, skill: float, unseen: str
) -> Numbers:
    """Errors for every rollout length; at each cell for the chosen one."""
    found = errors(skill, transitions, unseen)
    total, model, bootstrap = curves(found, value_error)
    at_cell = np.sqrt(found.error(value_error)[:, length].mean(0))
    shares = [part.mean((0, 2)) for part in (found.model, value_error**2 * found.imagined)]
    return Numbers(
        length, transitions, value_error,
        total.mean, total.standard_error, model, bootstrap, np.array(shares), at_cell,
    )  # fmt: skip


TOPS = (7.5, 17.0, 36.0)  # of the axis of errors
MODEL_PART: dict[str, Any] = plots.learned(1) | plots.reference(1)


def layout(figure: Figure) -> tuple[Axes, ...]:
    strip = figure.add_axes((0.08, 0.76, 0.90, 0.08))
    strip.set_axis_off()
    figure.text(0.53, 0.875, "error of the target at each place", ha="center", fontsize=9)
    curve = plots.label(
        figure.add_axes((0.08, 0.13, 0.70, 0.57)),
        "imagined steps H before the value is trusted",
        "error of the target [reward]",
    )
    curve.set_xlim(-1.0, LONGEST + 1.0)
    blame = plots.label(figure.add_axes((0.87, 0.13, 0.11, 0.57)), "", "", "fault of")
    blame.set_xlim(0.0, 1.0)
    blame.set_xticks([])
    blame.set_ylim(0.0, 100.0)
    blame.set_yticks([0, 50, 100], ["0%", "50%", "100%"])
    plots.key(
        curve,
        {
            "total: learned model, wrong value": plots.learned(0) | plots.reference(0),
            "model part: learned model, true value": MODEL_PART,
            "bootstrap part: true model, wrong value (exact)": plots.EXACT,
            "the best H": BEST,
        },
        loc="upper right",
    )
    return strip, curve, blame


BEST: dict[str, Any] = {
    "color": plots.GREEN, "marker": "v", "markersize": 9, "linestyle": "none",
}  # fmt: skip


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    strip, curve, blame = axes
    chosen, at = numbers.length, numbers.total[numbers.length]
    highest = float(max(numbers.total.max(), numbers.bootstrap.max()))
    top = next(top for top in TOPS if highest <= 0.72 * top or top == TOPS[-1])

    plots.lock_strip(strip, numbers.cells[::-1], 0.72 * top)
    strip.text(len(numbers.cells), 1.25, "start", ha="left", fontsize=9)
    strip.text(0.5, 1.25, "goal", ha="right", fontsize=9)

    steps = np.arange(LONGEST + 1)
    curve.plot(steps, numbers.bootstrap, **plots.EXACT)
    for series, part in enumerate((numbers.total, numbers.model)):
        curve.plot(steps, part, **plots.reference(series))
        curve.plot(SHOWN, part[SHOWN], **plots.learned(series))
    curve.fill_between(
        steps,
        numbers.total - 2 * numbers.standard_error,
        numbers.total + 2 * numbers.standard_error,
        color=plots.SERIES[0]["color"],
        alpha=0.2,
        linewidth=0.0,
    )
    curve.plot(numbers.best, numbers.total[numbers.best] + 0.05 * top, **BEST)
    curve.vlines(chosen, 0.0, at, color=plots.BLACK, linestyle=":", linewidth=1.2)
    curve.set_ylim(0.0, top)

    share = 100 * numbers.blame
    for low, high, name, color in (
        (0.0, share, "model", plots.VERMILLION),
        (share, 100.0, "value", "white"),
    ):
        blame.bar(
            0.5, high - low, 0.9, low, color=color, edgecolor=plots.BLACK, alpha=0.9, linewidth=1.2
        )
        if high - low > 8:
            text = {"ha": "center", "va": "center", "fontsize": 9}
            blame.text(0.5, (low + high) / 2, f"{name}\n{high - low:.0f}%", **text)
    plots.headline(
        strip,
        f"imagine {chosen} steps: off by {at:.2f} (model {numbers.model[chosen]:.2f}, "
        f"value {numbers.bootstrap[chosen]:.2f}); the best H is {numbers.best}",
    )


def describe(numbers: Numbers) -> str:
    chosen = numbers.length
    return (
        f"With a model counted from {numbers.transitions} transitions and a value that errs by "
        f"{numbers.value_error:.1f}, a target that imagines {chosen} steps is off by "
        f"{numbers.total[chosen]:.2f} plus or minus {2 * numbers.standard_error[chosen]:.2f}: "
        f"{numbers.model[chosen]:.2f} with the true value, {numbers.bootstrap[chosen]:.2f} with "
        f"the true model, and {100 * numbers.blame:.0f}% of the squared error is the model's. The "
        f"best length is {numbers.best}. Without imagining it is off by {numbers.total[0]:.2f}, "
        f"after {LONGEST} steps by {numbers.total[-1]:.2f}."
    )


def table(numbers: Numbers) -> Table:
    header = ("imagined steps", "total", "2 standard errors", "model part", "bootstrap part")
    rows = [
        (
            int(h),
            numbers.total[h],
            2 * numbers.standard_error[h],
            numbers.model[h],
            numbers.bootstrap[h],
        )
        for h in SHOWN
    ]
    return header, rows


IMAGINATION = Explorer(
    name="imagination",
    notebook="11",
    title="How far should you imagine?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("length", "imagined steps H", 0, LONGEST, 1, 10),
        Slider("transitions", "logged transitions M", 100, 4000, 100, 400),
        Slider("value_error", "error of the value sigma_V [reward]", 0.0, 10.0, 0.5, 5.0),
        Slider("skill", "skill of the policy q", 0.6, 1.0, 0.05, 0.9),
        Choice("unseen", "without data, the model", tuple(GUESSES), ANYWHERE),
    ),
    describe=describe,
    table=table,
    predict_first=Predict(
        "The value of every place is off by 5. A model was counted from 400 logged steps of a "
        "policy that is right nine times out of ten, about 17 steps for each place. A target "
        "imagines H steps in it and then trusts the value. Which H from 0 to 80 is best?",
        "steps",
        lambda numbers: float(numbers.best),
        digits=0,
        mark=lambda axes, guess: plots.guess(axes[1], guess, horizontal=False),
    ),
    named={
        "The best H": {"length": 7},
        "Little data": {"transitions": 100, "length": 2},
        "Much data": {"transitions": 4000, "length": 49},
        "A good value": {"value_error": 1.0, "length": 1},
    },
    motion="length",
)
