"""Notebook 08: one network of single actions that walks to and fro, and where it has no data."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.results import lock_network
from chunkrl.tabular.mdp import optimal
from chunkrl.tabular.worlds import lock, right_actions

LENGTH = lock_network.LENGTH


class Numbers(NamedTuple):
    """A critic of single actions, cell by cell from the start."""

    seed: int
    regret: float
    claimed: np.ndarray  # [L]  max of its two entries
    best: np.ndarray  # [L]  V*
    lead: np.ndarray  # [L]  Q(right) - Q(wrong)
    true_lead: np.ndarray  # [L]
    wrong: np.ndarray  # [L]  logged windows that begin with the wrong button


def compute(seed: int | None = None) -> Numbers:
    """The network of `seed`, or that of the largest regret."""
    single = lock_network.load_single()
    (windows, candidates), _ = next(iter(lock_network.SETTINGS.items()))
    regret = lock_network.grouped()[windows, candidates, 1].regret
    at = int(regret.argmax()) if seed is None else seed
    truth = optimal(lock(LENGTH, lock_network.SLIP).mdp)
    cells, right = np.arange(LENGTH), right_actions(LENGTH)
    lead = lambda q: q[cells, right] - q[cells, 1 - right]
    q, logged = single.q[at], single.logged[at]
    return Numbers(
        at, float(regret[at]), q.max(-1), truth.value[:LENGTH], lead(q), lead(truth.q),
        logged[cells, 1 - right],
    )  # fmt: skip


GOOD: dict[str, Any] = {"facecolor": "#D9D9D9", "edgecolor": plots.BLACK, "linewidth": 0.8}
BAD: dict[str, Any] = {"facecolor": "#F7D9C4", "edgecolor": plots.VERMILLION, "linewidth": 0.8}
SAID = plots.learned(1)


def layout(figure: Figure) -> tuple[Axes, ...]:
    value = plots.label(figure.add_axes((0.09, 0.55, 0.89, 0.26)), "", "value", "what it claims")
    lead = plots.label(
        figure.add_axes((0.09, 0.17, 0.89, 0.28)),
        "",
        "lead of right",
        "Q(right) - Q(wrong): below 0 it walks back; black: the truth",
    )
    for axes in (value, lead):
        axes.set_xlim(-0.6, LENGTH - 0.4)
    value.tick_params(labelbottom=False)
    value.set_xticks(range(LENGTH))
    lead.set_xticks(range(LENGTH), [str(cell) for cell in range(LENGTH)], fontsize=8)
    figure.text(0.01, 0.129, "cell:", fontsize=8)
    figure.text(0.01, 0.073, "wrong\nlogged:", fontsize=8)
    plots.key(value, {"the network": SAID, "V*, exact": plots.EXACT}, "upper right")
    return value, lead


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    value, lead = axes
    cells = np.arange(LENGTH)
    value.plot(cells, numbers.best, **plots.EXACT)
    value.plot(cells, numbers.claimed, **SAID)
    value.hlines(0.0, -0.6, LENGTH - 0.4, color=plots.BLACK, linewidth=0.6, linestyle=":")
    value.set_ylim(-34, 1.25 * plots.nice_top(max(float(numbers.claimed.max()), 10.0)))
    for which, style in ((numbers.lead >= 0, GOOD), (numbers.lead < 0, BAD)):
        lead.bar(cells[which], numbers.lead[which], width=0.7, **style)
    lead.step(cells, numbers.true_lead, where="mid", **plots.EXACT)
    lead.hlines(0.0, -0.6, LENGTH - 0.4, color=plots.BLACK, linewidth=0.8)
    low = -plots.nice_top(max(-float(numbers.lead.min()), 2.0))
    lead.set_ylim(low, max(3.0, 1.1 * float(numbers.lead.max())))
    for cell, count in enumerate(numbers.wrong.tolist()):
        lead.text(
            cell, -0.24, str(count), ha="center", va="top", fontsize=9, clip_on=False,
            transform=lead.get_xaxis_transform(),
            color=plots.VERMILLION if count == 0 else plots.BLACK,
            weight="bold" if count == 0 else "normal",
        )  # fmt: skip
    plots.headline(
        value,
        f"Network {numbers.seed}, regret {numbers.regret:.1f}: in {(numbers.lead < 0).sum()} cells "
        "the wrong button looks better",
    )


def picture(seed: int | None = None) -> plots.Picture:
    """The network of `seed`, or that of the largest regret, with its sentence."""
    numbers = compute(seed)
    back = numbers.lead < 0
    alt = (
        f"Network {numbers.seed} of {lock_network.SETTINGS[300, 8]}, h = 1, 300 windows, regret "
        f"{numbers.regret:.1f}. It claims up to {numbers.claimed.max():+.1f} where V* lies between "
        f"{numbers.best.min():.1f} and {numbers.best.max():.1f}. In {back.sum()} of {LENGTH} cells "
        f"the wrong button looks better; in {(back & (numbers.wrong == 0)).sum()} of those it was "
        f"never logged."
    )
    return plots.Picture(plots.still(layout, lambda axes: draw(axes, numbers)), alt)
