"""Notebook 00: the four choices that span the algorithms here, and what two of them do in time."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from chunkrl import plots
from chunkrl.agents import METHODS
from chunkrl.agents.methods import AGENTS
from chunkrl.blocks.policies import Flow, OneStep
from chunkrl.course.controls import Choice, Predict, Slider, Table
from chunkrl.course.explorer import Explorer

STEPS, SHOWN, DISCOUNT = 100, 20, 0.99
POLICY = {Flow: "flow, many steps", OneStep: "flow, one step"}
EXTRACTION = {Flow: "best of N samples", OneStep: "climb the critic"}
HEADER = ("method", "chunk", "backup", "policy class", "extraction")
ROWS = {
    name: (str(chunk), str(backup), POLICY[policy], EXTRACTION[policy])
    for name, (chunk, backup, policy) in METHODS.items()
}
MAC = AGENTS["mac"]  # model-based: what its critic's target counts is imagined
ROWS["mac"] = ("h", "h, imagined", POLICY[OneStep], EXTRACTION[Flow])


LOOK: dict[str, Any] = plots.MARK | {"markersize": 8}
READ: dict[str, Any] = plots.learned(0) | {"markersize": 8}


class Numbers(NamedTuple):
    method: str
    horizon: int
    chunk: int  # actions that the policy emits at once, and that the critic is given
    backup: int  # rewards in the critic's target
    played: int  # actions until it looks again
    looks: int  # decisions in STEPS steps


def compute(method: str, horizon: int) -> Numbers:
    """A row of the table of methods, with its h filled in."""
    chunk, backup = (horizon if x[0] == "h" else int(x) for x in ROWS[method][:2])
    played = MAC.execute if method == "mac" else chunk
    return Numbers(method, horizon, chunk, backup, played, -(-STEPS // played))


def layout(figure: Figure) -> tuple[Axes, ...]:
    table = figure.add_axes((0.03, 0.43, 0.94, 0.40))
    table.set_xlim(0, 1)
    table.set_ylim(len(ROWS), -1)
    table.set_axis_off()
    columns = (0.01, 0.16, 0.28, 0.42, 0.68)
    for row, cells in enumerate([HEADER, *((name, *rest) for name, rest in ROWS.items())]):
        for x, cell in zip(columns, cells, strict=True):
            weight = "bold" if row == 0 else "normal"
            place = table.transData
            figure.text(x, row - 0.5, cell, transform=place, va="center", weight=weight)
    time = figure.add_axes((0.24, 0.13, 0.73, 0.26))
    time.set_xlim(-0.3, SHOWN + 0.3)
    time.set_ylim(-0.6, 2.6)
    plots.label(time, "time [steps]", "")
    time.spines["left"].set_visible(False)
    time.set_yticks([2, 1, 0], ["the policy looks", "the critic is given", "its target counts"])
    time.tick_params(axis="y", length=0)
    return table, time


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    table, time = axes
    row = list(ROWS).index(numbers.method)
    table.add_patch(Rectangle((0, row), 1, 1, fill=False, edgecolor=plots.BLACK, linewidth=1.5))
    looks = np.arange(0, SHOWN + 1, numbers.played)
    time.plot(looks, np.full(len(looks), 2), **LOOK)
    for level, length in ((1, numbers.chunk), (0, numbers.backup)):
        for step in range(length):
            time.add_patch(Rectangle((step, level - 0.3), 1, 0.6, **plots.EXACT_BAR))
    time.plot(numbers.backup, 0, **READ)
    text = f"dot: a learned value, times {DISCOUNT**numbers.backup:.2f}"
    time.text(SHOWN, 0.5, text, ha="right", va="center", fontsize=9)
    actions = f"{numbers.chunk} action{'s' * (numbers.chunk > 1)}"
    played = f", {numbers.played} played" if numbers.played < numbers.chunk else ""
    text = (
        f"{numbers.method}, h = {numbers.horizon}: {actions} a time{played}, {numbers.looks} looks"
    )
    plots.headline(table, f"{text} in {STEPS} steps")


def describe(numbers: Numbers) -> str:
    policy, extraction = ROWS[numbers.method][2:]
    emitted, counted = (
        f"{n} {word}{'s' * (n > 1)}"
        for n, word in ((numbers.chunk, "action"), (numbers.backup, "reward"))
    )
    played = f", plays {numbers.played}" if numbers.played < numbers.chunk else ""
    return (
        f"{numbers.method} with h = {numbers.horizon} emits {emitted} at a time{played} and looks "
        f"{numbers.looks} times in {STEPS} steps; its critic is given {emitted} and its target "
        f"counts {counted}, then a value times {DISCOUNT**numbers.backup:.2f}; policy class: "
        f"{policy}; extraction: {extraction}."
    )


def table(numbers: Numbers) -> Table:
    return HEADER, [(name, *cells) for name, cells in ROWS.items()]


CHOICES = Explorer(
    name="choices",
    notebook="00",
    title="Set-up and how to read these",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Choice("method", "method", tuple(ROWS), next(iter(ROWS))),
        Slider("horizon", "h [steps]", 1, SHOWN, 1, 5),
    ),
    describe=describe,
    table=table,
    predict_first=Predict(
        "A robot's policy emits chunks of 5 actions and plays each to its end before it looks "
        "again. How often does it look at its sensors in 100 steps?",
        "looks",
        lambda numbers: float(numbers.looks),
        digits=0,
        least=0.0,
    ),
    named={
        "Rewards of others": {"method": "fql_n"},
        "Imagined, looks at every step": {"method": "mac"},
        "One second blind": {"horizon": SHOWN},
    },
    motion="horizon",
)
