"""Notebook 05: a flow carries noise to two modes; too few steps leave it between them."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import ndtri

from chunkrl import plots
from chunkrl.blocks.integrators import INTEGRATORS, path
from chunkrl.course.controls import Choice, Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.course.worlds import flow_maps
from chunkrl.course.worlds.mixtures import Mixture, cumulative, mass, two_modes, velocity

MOST = 20  # integration steps
SHOWN: np.ndarray = ndtri((np.arange(14) + 0.5) / 14)  # noise at equally spaced ranks
FINE = 40  # steps of the exact paths
BINS: np.ndarray = np.linspace(-2.45, 2.45, 50)
NOISE = flow_maps.NOISE[::10]
REACH = 0.12  # flow time that an arrow looks ahead
LEAST = 1e-3  # %: smaller shares are drawn here, on the axis
TICKS: dict[float, str] = {1e-3: "0.001", 1e-2: "0.01", 0.1: "0.1", 1: "1", 10: "10", 100: "100"}


class Numbers(NamedTuple):
    distance: float
    width: float
    steps: int
    time: float
    integrator: str
    exact_paths: np.ndarray  # [FINE + 1, P]   where the exact flow takes SHOWN
    paths: np.ndarray  # [steps + 1, P]  where `steps` steps take it
    particles: np.ndarray  # [P]   on `paths` at `time`
    arrows: np.ndarray  # [P]   exact velocity there
    exact_bins: np.ndarray  # [B]   share of the data in each of BINS
    bins: np.ndarray  # [B]   share of the ends of `steps` steps
    exact_between: float  # share of the data in the middle half of the gap
    between: np.ndarray  # [MOST]   share of the ends there after 1 ... MOST steps


def gap(distance: float) -> tuple[float, float]:
    """The middle half of what lies between the two modes."""
    return -distance / 4, distance / 4


@lru_cache(maxsize=256)
def all_ends(distance: float, width: float, integrator: str) -> np.ndarray:
    """Where 1 ... MOST steps of the exact velocity take NOISE.  -> [MOST, Q]"""
    return flow_maps.ends_up_to(velocity(two_modes(distance, width)), NOISE, MOST, integrator)


@lru_cache(maxsize=256)
def exact_paths(distance: float, width: float) -> np.ndarray:
    """The paths of SHOWN: each keeps its rank.  -> [FINE + 1, P]"""
    mixture = two_modes(distance, width)
    return path(velocity(mixture), SHOWN[:, None], FINE, "midpoint")[..., 0]


def compute(distance: float, width: float, steps: int, time: float, integrator: str) -> Numbers:
    """Paths of a few noises, and where all of the noise ends."""
    mixture: Mixture = two_modes(distance, width)
    ends = all_ends(distance, width, integrator)
    paths = path(velocity(mixture), SHOWN[:, None], steps, integrator)[..., 0]
    at = np.arange(steps + 1) / steps
    particles = np.array([np.interp(time, at, one) for one in paths.T])
    low, high = gap(distance)
    return Numbers(
        distance,
        width,
        steps,
        time,
        integrator,
        exact_paths(distance, width),
        paths,
        particles,
        velocity(mixture)(particles[:, None], np.full((len(particles), 1), time))[:, 0],
        np.diff(cumulative(mixture, BINS)),
        np.diff(flow_maps.share_below(NOISE, ends[steps - 1], BINS[:, None])),
        mass(mixture, low, high),
        flow_maps.share_between(NOISE, ends, low, high),
    )


GREY = "#DDDDDD"
FEW: dict[str, Any] = plots.estimated(1)
THIN: dict[str, Any] = plots.EXACT | {"linewidth": 0.7}
STEPPED: dict[str, Any] = plots.reference(1) | {"linewidth": 1.3}
ARROW: dict[str, Any] = {"color": plots.BLUE}


def layout(figure: Figure) -> tuple[Axes, ...]:
    flow = plots.label(
        figure.add_axes((0.08, 0.13, 0.42, 0.69)), "flow time t", "action (at t = 0: noise)"
    )
    flow.set_xlim(-0.04, 1.16)
    flow.set_ylim(-2.4, 2.4)
    ends = plots.label(
        figure.add_axes((0.52, 0.13, 0.16, 0.69), sharey=flow),
        "share of ends [%]",
        "",
        "ends, in bins of 0.1",
    )
    ends.tick_params(labelleft=False)
    between = plots.label(
        figure.add_axes((0.79, 0.13, 0.19, 0.43)), "steps K", "", "between them [%]"
    )
    between.set_xlim(0.0, MOST + 1.0)
    between.set_yscale("log")
    between.set_ylim(LEAST, 160.0)
    between.set_yticks([*TICKS], [*TICKS.values()], minor=False)
    between.minorticks_off()
    plots.key(
        between,
        {
            "exact": plots.EXACT,
            "K steps": FEW | {"linestyle": plots.SERIES[1]["linestyle"]},
            "exact velocity": ARROW
            | {"marker": r"$\rightarrow$", "linestyle": "none", "markersize": 14},
            "between the modes": {"color": GREY, "linewidth": 8.0},
        },
        loc=(-0.3, 1.15),
    )
    return flow, ends, between


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    flow, ends, between = axes
    low, high = gap(numbers.distance)
    for part in (flow, ends):
        part.axhspan(low, high, color=GREY, zorder=0, linewidth=0)
    fine = np.linspace(0.0, 1.0, FINE + 1)
    flow.plot(*_strokes(fine, numbers.exact_paths), **THIN)
    at = np.arange(numbers.steps + 1) / numbers.steps
    flow.plot(*_strokes(at, numbers.paths), **STEPPED)
    flow.quiver(
        np.full(len(SHOWN), numbers.time),
        numbers.particles,
        np.full(len(SHOWN), REACH),
        REACH * numbers.arrows,
        **ARROW,
        angles="xy",
        scale_units="xy",
        scale=1.0,
        width=0.007,
        zorder=3,
    )
    flow.plot(np.full(len(SHOWN), numbers.time), numbers.particles, **FEW, zorder=4)

    ends.stairs(100 * numbers.exact_bins, BINS, orientation="horizontal", **plots.EXACT)
    filled = numbers.bins > 1e-3
    middle = (BINS[1:] + BINS[:-1]) / 2
    ends.plot(100 * numbers.bins[filled], middle[filled], **FEW)
    most = 100 * max(numbers.bins.max(), numbers.exact_bins.max())
    ends.set_xlim(0.0, 48.0 if most < 45 else 110.0)

    count = np.arange(1, MOST + 1)
    shown = np.maximum(100 * np.append(numbers.between, numbers.exact_between), LEAST)
    between.hlines(shown[-1], 0.0, MOST + 1.0, **plots.EXACT)
    between.plot(count, shown[:-1], **FEW)
    share = numbers.between[numbers.steps - 1]
    between.vlines(numbers.steps, LEAST, 160.0, color=plots.BLACK, linestyle=":", linewidth=1.2)
    plots.headline(
        flow,
        f"{_steps(numbers)}: {percent(share)} land between the modes "
        f"(exact: {percent(numbers.exact_between)})",
    )


def _strokes(at: np.ndarray, paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All paths as one line with gaps, which draws faster.  [K], [K, P] -> 2 x [P (K + 1)]"""
    gaps = np.full((1, paths.shape[1]), np.nan)
    times = np.append(at, np.nan)
    return np.tile(times, paths.shape[1]), np.concatenate([paths, gaps]).T.ravel()


def _steps(numbers: Numbers) -> str:
    name = {"rk4": "Runge-Kutta"}.get(numbers.integrator, numbers.integrator.capitalize())
    return f"{numbers.steps} {name} step{'s' * (numbers.steps > 1)}"


def percent(share: float) -> str:
    """A share as text, with the digits that a log axis shows."""
    return f"{100 * share:.{1 if share >= 1e-3 else 3}f}%"


def describe(numbers: Numbers) -> str:
    share = numbers.between[numbers.steps - 1]
    return (
        f"A flow from noise to two modes {numbers.distance:.1f} apart, each of standard deviation "
        f"{numbers.width:.2f}, followed exactly and by {_steps(numbers)}: {percent(share)} of "
        f"the ends lie in the middle half of the gap; exact is {percent(numbers.exact_between)}."
        f" Arrows show the velocity at time {numbers.time:.2f}."
    )


def table(numbers: Numbers) -> Table:
    header = ("steps K", "between the modes [%]", "exact [%]")
    rows = [
        (k + 1, 100 * float(share), 100 * numbers.exact_between)
        for k, share in enumerate(numbers.between)
    ]
    return header, rows


FLOW = Explorer(
    name="flow",
    notebook="05",
    title="How does a flow become a policy?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("distance", "distance of the modes", 0.2, 2.0, 0.1, 1.1),
        Slider("width", "width w of each mode", 0.03, 0.5, 0.01, 0.07),
        Slider("steps", "steps K", 1, MOST, 1, 1),
        Slider("time", "flow time t of the arrows", 0.0, 1.0, 0.05, 0.0),
        Choice("integrator", "integrator", tuple(INTEGRATORS), "euler"),
    ),
    describe=describe,
    table=table,
    predict_first=Predict(
        "A robot may pass a post on either side: it steers by about -0.55 or +0.55, never in "
        "between. A flow has learned this perfectly, but there is time for only one Euler step. "
        "Which percentage of its actions lies between -0.275 and 0.275?",
        "%",
        lambda numbers: 100 * float(numbers.between[0]),
        digits=0,
        mark=lambda axes, guess: plots.guess(axes[2], max(guess, LEAST)),
    ),
    named={
        "Ten steps": {"steps": 10, "time": 0.6},
        "Midpoint, eight calls": {"steps": 4, "integrator": "midpoint"},
        "Heun, eight calls": {"steps": 4, "integrator": "heun"},
        "Wide modes": {"width": 0.5, "integrator": "midpoint"},
    },
    motion="time",
)
