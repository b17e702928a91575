"""Notebook 05: where noise goes, exactly, by a learned flow, and by the student of that flow."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import ndtri

from chunkrl import plots
from chunkrl.course.explorers.flow import GREY, LEAST, TICKS, gap
from chunkrl.course.worlds import flow_maps
from chunkrl.course.worlds.mixtures import mass, two_modes, velocity

NOISE: np.ndarray = flow_maps.NOISE
MARKED = np.searchsorted(NOISE, ndtri((np.arange(40) + 0.5) / 40))  # equally spaced ranks
ROWS = ("data", "exact velocity", "learned flow", "one-step student")


class Maps(NamedTuple):
    """Where each of NOISE ends, and how much of the mass ends between the modes."""

    steps: int  # of both flows
    distance: float
    exact: np.ndarray  # [Q]
    flow: np.ndarray  # [Q]  learned, `steps` Euler steps
    student: np.ndarray  # [Q]  learned, one network call
    between: np.ndarray  # [4]  shares, in the order of ROWS


def maps(distance: float, width: float, steps: int, flow, student) -> Maps:
    """Compare two learned maps of NOISE, [Q] or [Q, 1] each, with the exact flow."""
    mixture, (low, high) = two_modes(distance, width), gap(distance)
    followed = flow_maps.ends(velocity(mixture), NOISE, steps)
    flow, student = (np.asarray(end, float).reshape(-1) for end in (flow, student))
    share = flow_maps.share_between(NOISE, np.stack([followed, flow, student]), low, high)
    between = np.append(mass(mixture, low, high), share)
    return Maps(steps, distance, flow_maps.monotone(mixture, NOISE), flow, student, between)


def steepest(end: np.ndarray, apart: float = 0.01) -> float:
    """The largest slope of a map of NOISE between points `apart` or a little more."""
    even = np.arange(-3.0, 3.0, apart)
    return float(np.diff(np.interp(even, NOISE, np.asarray(end, float).reshape(-1))).max() / apart)


MARKS = (plots.EXACT, plots.estimated(1), plots.learned(0), plots.learned(2))


def layout(figure: Figure) -> tuple[Axes, ...]:
    curve = plots.label(figure.add_axes((0.08, 0.13, 0.48, 0.69)), "noise z", "action")
    curve.set_xlim(-2.5, 2.5)
    share = plots.label(figure.add_axes((0.75, 0.13, 0.21, 0.42)), "ends between the modes [%]", "")
    share.set_xscale("log")
    share.set_xlim(LEAST, 160.0)
    share.set_xticks([*TICKS][::2], [*TICKS.values()][::2])
    share.minorticks_off()
    share.set_ylim(len(ROWS) - 0.5, -0.5)
    share.set_yticks(range(len(ROWS)), ROWS)
    share.tick_params(axis="y", length=0)
    plots.key(
        share,
        {
            "exact": plots.EXACT,
            "learned flow": MARKS[2],
            "one-step student": MARKS[3],
            "between the modes": {"color": GREY, "linewidth": 8.0},
        },
        loc=(-0.3, 1.1),
    )
    return curve, share


def draw(axes: tuple[Axes, ...], numbers: Maps) -> None:
    curve, share = axes
    curve.axhspan(*gap(numbers.distance), color=GREY, zorder=0, linewidth=0)
    curve.plot(NOISE, numbers.exact, **plots.EXACT)
    curve.plot(NOISE[MARKED], numbers.flow[MARKED], **MARKS[2])
    curve.plot(NOISE[MARKED], numbers.student[MARKED], **MARKS[3])
    percent = np.maximum(100 * numbers.between, LEAST)
    share.vlines(percent[0], -0.35, 0.35, **plots.EXACT)
    for row in range(1, len(ROWS)):
        share.plot(percent[row], row, **MARKS[row])
    plots.headline(
        curve,
        f"A student of one step leaves {percent[3]:.1f}% between the modes, its flow "
        f"{percent[2]:.1f}%",
    )


def picture(numbers: Maps) -> plots.Picture:
    """The figure with its sentence."""
    percent = 100 * numbers.between
    alt = (
        f"The exact flow takes noise to one of two modes with a jump at z = 0. {percent[0]:.1f}% "
        f"of the data lie between the modes; {numbers.steps} Euler steps leave {percent[1]:.1f}% "
        f"there with the exact velocity and {percent[2]:.1f}% with a learned one, and a one-step "
        f"student of the learned flow leaves {percent[3]:.1f}%."
    )
    return plots.Picture(plots.still(layout, lambda axes: draw(axes, numbers)), alt)
