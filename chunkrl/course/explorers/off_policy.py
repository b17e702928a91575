"""Notebook 04: what uncorrected n-step returns and chunks make of another policy's data."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.tabular.chunks import chunked, logged, n_step
from chunkrl.tabular.mdp import optimal, policy_value
from chunkrl.tabular.worlds import lock

LENGTH = 24
LONGEST = 8


class Numbers(NamedTuple):
    steps: int
    skill: float
    slip: float
    best: float  # V*(start)
    logging: float  # V_beta(start)
    n_step: float  # fixed point of uncorrected n-step Q at the start
    pressed: float  # what its greedy policy obtains
    claimed: float  # fixed point of the chunked backup on the data
    obtained: float  # its greedy chunks, executed without looking
    shortfall: np.ndarray  # [L]   V* - n-step fixed point, 1 ... L steps from the goal


def compute(steps: int, skill: float, slip: float) -> Numbers:
    """Exact values of the start of the lock, by linear solves and policy iteration."""
    world = lock(LENGTH, slip, skill)
    best = optimal(world.mdp).value
    critic = optimal(n_step(world.mdp, world.behaviour, steps))
    chunks = optimal(logged(world.mdp, world.behaviour, steps).mdp)
    typed = policy_value(chunked(world.mdp, steps), chunks.choice)
    return Numbers(
        steps,
        skill,
        slip,
        float(best[0]),
        float(policy_value(world.mdp, world.behaviour)[0]),
        float(critic.value[0]),
        float(policy_value(world.mdp, critic.choice)[0]),
        float(chunks.value[0]),
        float(typed[0]),
        np.maximum((best - critic.value)[:LENGTH][::-1], 0.0),
    )


BARS = (
    "logging\n$V_\\beta$", "n-step Q\nsays", "its policy\nobtains", "chunks\nclaim",
    "chunks\nobtain",
)  # fmt: skip
LEFT = -1.1  # of the bars: the word "value" stands there
FAINTEST = 0.1  # reward: a strip of cells that are all nearer to V* than this stays white


def bars(numbers: Numbers) -> tuple[float, ...]:
    """The values of the start in the order of BARS."""
    return (
        numbers.logging,
        numbers.n_step,
        numbers.pressed,
        numbers.claimed,
        numbers.obtained,
    )


def layout(figure: Figure) -> tuple[Axes, ...]:
    strip = figure.add_axes((0.09, 0.79, 0.52, 0.06))
    strip.set_axis_off()
    values = plots.label(
        figure.add_axes((0.09, 0.16, 0.88, 0.52)),
        "",
        "value of the start - V* [reward]",
        "how far from V* (the line at 0), all exact",
    )
    values.set_xticks(range(len(BARS)), BARS, fontsize=9)
    values.set_xlim(LEFT, len(BARS) - 0.4)
    figure.text(0.63, 0.785, "triangles: bootstraps, if all presses are right", fontsize=9)
    return strip, values


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    strip, values = axes
    darkest = plots.nice_top(max(float(numbers.shortfall.max()), FAINTEST))
    plots.lock_strip(
        strip,
        numbers.shortfall,
        darkest,
        range(LENGTH - numbers.steps, 0, -numbers.steps),
    )
    shades = f"white cell: n-step Q is V*; black: {1.2 * darkest:.3g} below it"
    strip.text(-1.0, 0.62, shades, fontsize=9)
    strip.text(LENGTH + 0.5, 1.25, "start", fontsize=9)
    strip.text(0.5, 1.25, "goal", ha="right", fontsize=9)

    errors = np.array(bars(numbers)) - numbers.best
    values.bar(range(len(errors)), errors, width=0.72, **plots.EXACT_BAR)
    deep = plots.nice_top(max(4.0, float(-errors.min()), 4.0 * float(errors.max())))
    for place, (error, value) in enumerate(zip(errors, bars(numbers), strict=True)):
        beyond = error - 0.11 * deep if error < -0.01 * deep else max(error, 0.0) + 0.03 * deep
        values.text(place, beyond, f"{_signed(error)}", ha="center")
        values.text(place, -1.35 * deep, f"{value:.2f}", ha="center", fontsize=9)
    values.text(LEFT + 0.05, -1.35 * deep, "value", fontsize=9)
    values.hlines(0.0, LEFT, len(errors) - 0.4, color=plots.BLACK, linewidth=1.5)
    if abs(errors[4] - errors[3]) > 0.01:  # what is claimed, carried over to what is obtained
        values.plot([3.36, 4.46, 4.46], [errors[3], errors[3], errors[4]], **plots.reference(1))
        told = f"dots: {abs(errors[4] - errors[3]):.2g} more claimed than obtained"
        values.text(len(errors) - 0.4, 0.36 * deep, told, ha="right", fontsize=8)
    values.set_ylim(-1.4 * deep, 0.45 * deep)
    slip = f", slip {numbers.slip:.2f}" if numbers.slip else ""
    plots.headline(
        strip,
        f"q = {numbers.skill:.2f}{slip}, V* {numbers.best:.2f}: {_finding(numbers)}",
    )


def _finding(numbers: Numbers) -> str:
    """Without slip the n-step critic is wrong; with slip the chunked one, and it costs."""
    if numbers.slip > 0:
        return (
            f"chunks of {numbers.steps} claim {_against(numbers.claimed - numbers.best)}, "
            f"obtain {_against(numbers.obtained - numbers.best)}"
        )
    return (
        f"{numbers.steps}-step Q says {_size(numbers.best - numbers.n_step)} too little, "
        f"its policy loses {_size(numbers.best - numbers.pressed)}"
    )


def _against(error: float) -> str:
    if abs(error) < 0.005:
        return "V*"
    return f"{abs(error):.2f} {'above' if error > 0 else 'below'} V*"


def _size(loss: float) -> str:
    return f"{loss:.2f}" if abs(loss) >= 0.005 else "nothing"


def _signed(error: float) -> str:
    return f"{error:+.2f}" if abs(error) >= 0.005 else "0"


def describe(numbers: Numbers) -> str:
    return (
        f"With data of a policy that is right with probability {numbers.skill:.2f} and slip "
        f"{numbers.slip:.2f}, the start is worth {numbers.best:.2f} at best and "
        f"{numbers.logging:.2f} to the policy that logged the data; uncorrected "
        f"{numbers.steps}-step Q-learning says {numbers.n_step:.2f} and its policy obtains "
        f"{numbers.pressed:.2f}; chunked Q-learning with {numbers.steps} actions says "
        f"{numbers.claimed:.2f}, and its chunks obtain {numbers.obtained:.2f}."
    )


def table(numbers: Numbers) -> Table:
    rows = [
        (name.replace("\n", " ").replace("$V_\\beta$", "V_beta"), value, value - numbers.best)
        for name, value in zip(("best V*", *BARS), (numbers.best, *bars(numbers)), strict=True)
    ]
    return ("start of the lock, exact", "value", "minus V*"), rows


OFF_POLICY = Explorer(
    name="off_policy",
    notebook="04",
    title="Why not simply use n-step returns?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("steps", "steps n of return and chunk", 1, LONGEST, 1, 3),
        Slider("skill", "skill of the logging policy q", 0.5, 1.0, 0.05, 0.9),
        Slider("slip", "slip probability p", 0.0, 0.5, 0.05, 0.0),
    ),
    describe=describe,
    table=table,
    predict_first=Predict(
        "A lock of 24 cells is worth -21.43 at the start. Data: a policy that presses the right "
        "button with probability 0.9. Q-learning bootstraps after 3 logged steps, and takes the "
        "best action there. What value of the start does it end up with?",
        "reward",
        lambda numbers: numbers.n_step,
        mark=lambda axes, value: plots.guess(axes[1], value + 21.43),
    ),
    named={
        "Expert's data": {"skill": 1.0},
        "Careless data": {"skill": 0.7},
        "It slips": {"slip": 0.1, "steps": 8},
        "n = 1": {"steps": 1},
    },
    motion="steps",
)
