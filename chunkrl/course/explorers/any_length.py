"""Notebook 08: what a critic does that may choose how long a chunk is, cell by cell."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.results import prefix_grid

SIGMAS = np.array(prefix_grid.SIGMAS)
TICKS = (0, 1, 3, 10, 30, 100)
APART = 0.012  # between what has the same sigma


class Numbers(NamedTuple):
    """By rule (h = 1, h alone, 1 to h) and sigma; means over critics, in reward."""

    h: int
    slip: float
    sigma: float
    regret: np.ndarray  # [3, 11]
    regret_error: np.ndarray  # standard errors
    claim: np.ndarray  # [3, 11]
    claim_error: np.ndarray
    length: np.ndarray  # [3, 11]  actions between two looks


def compute(h: int, slip: float, sigma: float) -> Numbers:
    """Three rows of the grid that `chunkrl.results.prefix_grid` computed."""
    i = int(np.abs(np.subtract(prefix_grid.SLIPS, slip)).argmin())
    rules = ([0, 0, 1], [0, h - 1, h - 1])
    return Numbers(h, slip, sigma, *(x[i][rules].astype(float) for x in prefix_grid.load()))


def names(h: int) -> tuple[str, str, str]:
    return "1 action", f"{h} action{'s' * (h > 1)}", f"1 to {h}, as it likes"


def layout(figure: Figure) -> tuple[Axes, ...]:
    regret = plots.label(
        figure.add_axes((0.075, 0.14, 0.52, 0.62)),
        "critic noise sigma [reward]",
        "regret: V* - true value [reward]",
        "what the choice loses",
    )
    claim = plots.label(
        figure.add_axes((0.68, 0.14, 0.30, 0.62)),
        "critic noise sigma [reward]",
        "claimed - true value [reward]",
        "what the critic claims too much",
    )
    for axes in (regret, claim):
        axes.set_xlim(-0.04, SIGMAS[-1] + 0.04)
        axes.set_yscale("symlog", linthresh=1.0)
        axes.set_ylim(-0.7, 200.0)
        axes.set_yticks(TICKS, [str(tick) for tick in TICKS])
        axes.minorticks_off()
    rules = ("1 action", "h actions", "1 to h, as it likes")
    entries = {rule: plots.estimated(i) for i, rule in enumerate(rules)}
    plots.key(regret, entries, "upper left")
    return regret, claim


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    for part, values, errors in (
        (axes[0], numbers.regret, numbers.regret_error),
        (axes[1], numbers.claim, numbers.claim_error),
    ):
        part.axvline(numbers.sigma, color="#DDDDDD", linewidth=6.0, zorder=0)
        part.axhline(0.0, color=plots.BLACK, linewidth=1.5, zorder=1)
        for i in range(3):
            style: dict[str, Any] = plots.estimated(i)
            part.errorbar(SIGMAS + APART * (i - 1), values[i], 2 * errors[i], **style)
    at = int(np.abs(SIGMAS - numbers.sigma).argmin())
    one, fixed, free = numbers.regret[:, at]
    free = f"{free:.1f} (1 to {numbers.h}: {numbers.length[2, at]:.1f} a look)"
    told = f"Lost at sigma {numbers.sigma:.1f}: {one:.1f} (1 action), {fixed:.1f} ({numbers.h})"
    plots.headline(axes[0], f"{told}, {free}")


def describe(numbers: Numbers) -> str:
    at = int(np.abs(SIGMAS - numbers.sigma).argmin())
    parts = [
        f"{name} lose {numbers.regret[i, at]:.1f} plus or minus "
        f"{2 * numbers.regret_error[i, at]:.1f} and claim {numbers.claim[i, at]:.1f} too much"
        for i, name in enumerate(names(numbers.h))
    ]
    return (
        f"On a lock of {prefix_grid.CELLS} cells with slip {numbers.slip:.2f} and critic noise "
        f"{numbers.sigma:.1f}, chunks of {'; of '.join(parts)}. Where the length is free, "
        f"{numbers.length[2, at]:.1f} actions lie between two looks on average."
    )


def table(numbers: Numbers) -> Table:
    rules = names(numbers.h)
    header = ["sigma"]
    columns: list[np.ndarray] = []
    for i, rule in enumerate(rules):
        # A fixed h of 1 is the first rule again.
        same = " again" if i == 1 and numbers.h == 1 else ""
        header += [f"{rule}{same}: {what}" for what in ("regret", "2 s.e.", "claimed - true")]
        columns += [numbers.regret[i], 2 * numbers.regret_error[i], numbers.claim[i]]
    header.append("steps between looks where free")
    return tuple(header), [*zip(SIGMAS.tolist(), *columns, numbers.length[2], strict=True)]


ANY_LENGTH = Explorer(
    name="any_length",
    notebook="08",
    title="Which chunk length?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("h", "longest chunk h [steps]", 1, prefix_grid.LONGEST, 1, 3),
        Slider("slip", "slip probability p", 0.0, prefix_grid.SLIPS[-1], 0.05, 0.1),
        Slider("sigma", "critic noise sigma [reward]", 0.0, float(SIGMAS[-1]), 0.1, 0.5),
    ),
    describe=describe,
    table=table,
    predict_first=Predict(
        f"A lock of {prefix_grid.CELLS} cells, slip 0.1, noise 0.5 on every entry of the critic. "
        "Chunks of exactly 3 lose 0.8 against the best policy, single actions 10.9. Now the "
        "critic may pick any chunk of 1, 2 or 3 actions in each cell. What does that lose?",
        "reward",
        lambda numbers: float(numbers.regret[2, np.abs(SIGMAS - numbers.sigma).argmin()]),
        digits=1,
        least=0.0,
        mark=lambda axes, value: plots.guess(axes[0], value),
    ),
    named={
        "A perfect critic": {"sigma": 0.0},
        "Little noise": {"sigma": 0.3},
        "No slip": {"slip": 0.0},
        "Up to 6": {"h": 6},
    },
    motion="sigma",
)
