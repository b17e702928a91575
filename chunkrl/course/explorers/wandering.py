"""Notebook 16: how long random behaviour takes to succeed once, dithering or in chunks."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Choice, Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.course.worlds import wander
from chunkrl.tabular.worlds import lock

LENGTH, KEEP, SKILL = 8, 0.9, 0.7
MOST = 30  # chunk length
H = np.arange(1, MOST + 1)
WALKS, PATIENCE = 300, 1_000  # tried out; steps after which a walk is given up
SHOWN, EVERY = 200, 20  # steps of the right panel; between its estimates
NEVER = 1e5  # steps that stand for never
BOTTOM, TOP, ROOF = 6.0, 2_000.0, 30_000.0  # steps; what takes longer than TOP stands there
CORRIDOR, LOCK = "corridor", "lock"
DITHER, HELD, LOGS = "a fresh action at every step", "one action, held", "chunks of the logs"
HANDS = (DITHER, HELD, LOGS)


class Numbers(NamedTuple):
    h: int
    slip: float
    world: str
    steps: np.ndarray  # [3, MOST]   mean steps to the first success by hand and h, exact
    alive: np.ndarray  # [3, SHOWN + 1]   share of walks not there yet, exact
    found: np.ndarray  # [3]   mean steps of the walks, 0 where one of them was given up
    error: np.ndarray  # [3]   its standard error
    share: np.ndarray  # [3, SHOWN / EVERY]   of walks not there yet


def setting(world: str, slip: float) -> tuple[np.ndarray, dict[str, wander.Hand]]:
    """Transitions, and the three that type blindly."""
    blind = {DITHER: wander.dithering(LENGTH + 1), HELD: wander.held(LENGTH + 1)}
    if world == CORRIDOR:
        return wander.corridor(LENGTH, slip), blind | {LOGS: wander.held(LENGTH + 1, KEEP)}
    found = lock(LENGTH, slip, SKILL)
    transition = found.mdp.transition
    return transition, blind | {LOGS: wander.logged(transition, found.behaviour)}


@lru_cache(maxsize=32)
def exact(slip: float, world: str) -> np.ndarray:
    """Mean steps to the first success by hand and chunk length, or NEVER.  -> [3, MOST]"""
    transition, hands = setting(world, slip)
    times = [
        [wander.expected_steps(transition, hand, int(k)) for k in H] for hand in hands.values()
    ]
    return np.minimum(times, NEVER)


def compute(h: int, slip: float, world: str) -> Numbers:
    """Exact mean times for every chunk length, and walks with chunks of `h`."""
    transition, hands = setting(world, slip)
    alive = [wander.surviving(transition, hand, h, SHOWN) for hand in hands.values()]
    found, error, share = np.zeros(3), np.zeros(3), np.zeros((3, SHOWN // EVERY))
    for i, hand in enumerate(hands.values()):
        rng = np.random.default_rng(16)
        took = wander.walks(transition, hand, h, WALKS, PATIENCE, rng)
        if took.max() <= PATIENCE:
            found[i], error[i] = took.mean(), took.std(ddof=1) / np.sqrt(WALKS)
        share[i] = (took[None] > np.arange(EVERY, SHOWN + 1, EVERY)[:, None]).mean(-1)
    return Numbers(h, slip, world, exact(slip, world), np.array(alive), found, error, share)


def layout(figure: Figure) -> tuple[Axes, ...]:
    mean = plots.label(
        figure.add_axes((0.085, 0.13, 0.46, 0.63)),
        "chunk length h [steps]",
        "steps",
        "mean steps to the first success; lines: exact",
    )
    mean.set_yscale("log")
    mean.set_ylim(BOTTOM, ROOF)
    mean.set_yticks([10, 30, 100, 300, TOP], ["10", "30", "100", "300", "2000+"])
    mean.minorticks_off()
    mean.set_xlim(0, MOST + 1)
    alive = plots.label(
        figure.add_axes((0.63, 0.13, 0.35, 0.63)),
        "steps",
        "not there yet",
        "share of walks; lines: exact",
    )
    alive.set_xlim(0, SHOWN + 4)
    alive.set_ylim(-0.02, 1.05)
    alive.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
    plots.key(mean, {hand: plots.estimated(i) for i, hand in enumerate(HANDS)}, "upper right")
    return mean, alive


def line(series: int) -> dict[str, Any]:
    """An exact curve: black, with the dashes of its walks."""
    return plots.EXACT | {"linestyle": ("-", *(s["linestyle"] for s in plots.SERIES))[series]}


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    mean, alive = axes
    mean.axvline(numbers.h, color="#DDDDDD", linewidth=6.0, zorder=0)
    times = np.arange(EVERY, SHOWN + 1, EVERY)
    for i in range(len(HANDS)):
        walks: dict[str, Any] = plots.estimated(i)
        dots: dict[str, Any] = walks | {"color": plots.BLACK, "markersize": 3.0}
        steps = np.minimum(numbers.steps[i], TOP)
        mean.plot(H, np.where(steps < TOP, steps, np.nan), **line(i))
        mean.plot(H, steps, **dots)
        if numbers.found[i]:
            mean.errorbar(numbers.h, numbers.found[i], 2 * numbers.error[i], **walks)
        alive.plot(np.arange(SHOWN + 1), numbers.alive[i], **line(i))
        alive.plot(times, numbers.share[i], **walks)
    plots.headline(mean, headline(numbers))


def headline(numbers: Numbers) -> str:
    dither, held, logs = (
        "never" if x >= NEVER else f"{x:.0f}" for x in numbers.steps[:, numbers.h - 1]
    )
    return (
        f"{numbers.world.capitalize()}, slip {numbers.slip:g}, h = {numbers.h}: "
        f"dithering {dither} steps, held {held}, chunks of the logs {logs}"
    )


def describe(numbers: Numbers) -> str:
    parts = []
    for i, hand in enumerate(HANDS):
        mean, found = numbers.steps[i, numbers.h - 1], numbers.found[i]
        tried = f"{found:.1f} ± {2 * numbers.error[i]:.1f}" if found else "not all there"
        least = int(numbers.steps[i].argmin())
        text = f"{hand} {'may never arrive' if mean >= NEVER else f'{mean:.1f}'} ({tried}"
        text += f", in {WALKS} walks)"
        if i and numbers.steps[i].max() > numbers.steps[i].min() + 1e-6:
            text += f", fastest with h = {least + 1}: {numbers.steps[i, least]:.1f}"
        parts.append(text)
    return (
        f"Mean steps to the first success in the {numbers.world} of {LENGTH} cells with slip "
        f"{numbers.slip:g} and h = {numbers.h}: {'; '.join(parts)}."
    )


def table(numbers: Numbers) -> Table:
    header = ("h", *(f"{hand} [steps]" for hand in HANDS))
    cells = [["never" if x >= NEVER else float(x) for x in row] for row in numbers.steps.T]
    return header, [(int(h), *row) for h, row in zip(H, cells, strict=True)]


WANDERING = Explorer(
    name="wandering",
    notebook="16",
    title="Does acting in chunks explore better?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("h", "chunk length h [steps]", 1, MOST, 1, LENGTH),
        Slider("slip", "a step slips with probability", 0.0, 0.5, 0.05, 0.0),
        Choice("world", "world", (CORRIDOR, LOCK), CORRIDOR),
    ),
    describe=describe,
    table=table,
    named={
        "Too long": {"h": MOST},
        "Half of all steps slip": {"slip": 0.5},
        "The lock": {"world": LOCK, "h": 5},
        "The lock slips": {"world": LOCK, "h": 15, "slip": 0.2},
    },
    motion="h",
    predict_first=Predict(
        f"A corridor of {LENGTH} cells, the goal at its end. Who draws a fresh direction at every "
        f"step needs {LENGTH * (LENGTH + 1)} steps on average. Now a direction is drawn, kept for "
        f"{LENGTH} steps, and then drawn anew. How many steps until the goal, on average?",
        "steps",
        lambda numbers: float(numbers.steps[1, numbers.h - 1]),
        digits=0,
        least=0.0,
        mark=lambda axes, value: plots.guess(axes[0], max(value, BOTTOM)),
    ),
)
