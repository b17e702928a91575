"""Notebook 04: the world in which the bias of n-step returns changes what the robot does."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.course.worlds import fork
from chunkrl.tabular.chunks import chunked, logged, n_step
from chunkrl.tabular.mdp import optimal, policy_value

CRITICS = ("1-step", "2-step", "chunks of 2")
FIRST = ("safe", "risky")
DEEPEST = -20.0  # reward


class Numbers(NamedTuple):
    follow: float
    wrong: float
    says: np.ndarray  # [CRITICS, FIRST]   of each first action; of the best chunk that begins so
    picks: np.ndarray  # [CRITICS]   which it takes
    obtains: np.ndarray  # [CRITICS]
    switch: float  # from which `follow` on 2-step takes the risky one


def compute(follow: float, wrong: float) -> Numbers:
    """Fixed points of three critics of the same data, and what their choices obtain, exact."""
    mdp, behaviour, start = fork.fork(follow, wrong)
    one, two = optimal(mdp), optimal(n_step(mdp, behaviour, 2))
    chunks = optimal(logged(mdp, behaviour, 2).mdp)
    says = np.array([one.q[start], two.q[start], chunks.q[start].reshape(2, 2).max(-1)])
    obtains = (
        policy_value(mdp, one.choice),
        policy_value(mdp, two.choice),
        policy_value(chunked(mdp, 2), chunks.choice),
    )
    picks = np.array([one.choice[start], two.choice[start], chunks.choice[start] // 2])
    obtained = np.array([each[start] for each in obtains])
    return Numbers(follow, wrong, says, picks, obtained, fork.switch(wrong))


FILL: tuple[dict[str, Any], ...] = (
    plots.EXACT_BAR | {"facecolor": "white"},
    plots.EXACT_BAR | {"facecolor": "white", "hatch": "///"},
)
NEVER, ALWAYS = 0.0, 1.0


def layout(figure: Figure) -> tuple[Axes, ...]:
    says = plots.label(
        figure.add_axes((0.09, 0.16, 0.52, 0.60)),
        "",
        "value of the first action [reward]",
        "what each critic says (plain: safe, hatched: risky), exact",
    )
    says.set_xticks(range(len(CRITICS)), CRITICS)
    says.set_xlim(-0.6, len(CRITICS) - 0.4)
    obtains = plots.label(
        figure.add_axes((0.71, 0.16, 0.27, 0.60)),
        "how often beta follows up rightly",
        "obtained [reward]",
        "what its choice obtains, exact",
    )
    obtains.set_xlim(NEVER, ALWAYS)
    obtains.set_ylim(-5.0, 0.0)
    plots.key(obtains, {"2-step": plots.EXACT, "1-step, chunks": plots.reference(0)}, "upper left")
    return says, obtains


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    says, obtains = axes
    deep = plots.nice_top(-float(numbers.says.min()))
    for first, style in enumerate(FILL):
        places = np.arange(len(CRITICS)) + (first - 0.5) * 0.36
        says.bar(places, numbers.says[:, first], width=0.34, **style)
        for place, value in zip(places.tolist(), numbers.says[:, first].tolist(), strict=True):
            says.text(place, value - 0.07 * deep, f"{value:.1f}", ha="center", fontsize=9)
    for place, (pick, value) in enumerate(zip(numbers.picks, numbers.obtains, strict=True)):
        text = f"takes {FIRST[pick]},\nobtains {value:.0f}"
        says.text(place, 0.04 * deep, text, ha="center", fontsize=9)
    says.hlines(0.0, -0.6, len(CRITICS) - 0.4, color=plots.BLACK, linewidth=0.8)
    says.set_ylim(-1.15 * deep, 0.25 * deep)

    safe, risky = fork.WORTH_SAFE, fork.WORTH_RISKY
    path = [NEVER, numbers.switch, numbers.switch, ALWAYS]
    obtains.plot(path, [safe, safe, risky, risky], **plots.EXACT)
    obtains.hlines(risky, NEVER, ALWAYS, **plots.reference(0))
    obtains.vlines(numbers.follow, -5.0, -1.2, color=plots.BLACK, linestyle=":", linewidth=1.2)
    obtains.text(numbers.follow, -1.15, "the data", ha="center", fontsize=9)
    obtains.text(numbers.switch, -4.3, f"{numbers.switch:.2f}", ha="center", fontsize=9)
    lost = risky - numbers.obtains[1]
    plots.headline(
        says,
        f"Risky: {risky:.0f} if followed up rightly, else {numbers.wrong:.0f}. 2-step Q-learning "
        f"loses {lost:.0f}",
    )


def describe(numbers: Numbers) -> str:
    told = "; ".join(
        f"{name} says {safe:.1f} of safe and {risky:.1f} of risky, takes {FIRST[pick]} and obtains "
        f"{value:.0f}"
        for name, (safe, risky), pick, value in zip(
            CRITICS, numbers.says, numbers.picks, numbers.obtains, strict=True
        )
    )
    return (
        f"Safe is worth -4, risky -2 if followed up rightly and {numbers.wrong:.0f} if not; the "
        f"data follow up rightly with probability {numbers.follow:.2f}. {told}. 2-step Q-learning "
        f"takes risky from a probability of {numbers.switch:.2f} on."
    )


def table(numbers: Numbers) -> Table:
    rows = [
        (name, *says, FIRST[pick], value)
        for name, says, pick, value in zip(
            CRITICS, numbers.says.tolist(), numbers.picks, numbers.obtains.tolist(), strict=True
        )
    ]
    return ("critic, exact", "says of safe", "says of risky", "takes", "obtains"), rows


FORK = Explorer(
    name="fork",
    notebook="04",
    title="Why not simply use n-step returns?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("follow", "how often beta follows up rightly", 0.05, 0.95, 0.05, 0.5),
        Slider("wrong", "risky, followed up wrongly [reward]", DEEPEST, -5.0, 1.0, -8.0),
    ),
    describe=describe,
    table=table,
    named={"Better data": {"follow": 0.7}, "A worse mistake": {"follow": 0.7, "wrong": -16.0}},
    motion="follow",
)
