"""Notebook 10: a one-step model called many times against a chunk model called a few times."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Choice, Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.course.worlds.linear import (
    ChunkMap,
    covariance,
    drift,
    fit,
    population,
    record,
    spring,
    true_map,
)
from chunkrl.tabular.expansion import root_mean_square

STEPS = 50  # of a rollout, and of an episode of the logs
TOPS = (0.66, 1.5)  # of the axis of errors
REACHES = (1.8, 3.4)  # of the axis of positions
CHUNKS = (1, 2, 5, 10, 25, 50)
SIZES = ("300", "500", "2000", "10000")
OFFERED = ("2", "5", "10", "25")
END_TO_END, EVERY = "end to end", "from every step"
SYSTEM = spring()


class Numbers(NamedTuple):
    noise: float
    dynamics_noise: float
    transitions: int
    chunk: int
    every_start: bool
    unlimited: np.ndarray  # [6]   error at the end of the rollout by chunk length, infinite data
    learned: np.ndarray  # [6]   root mean square over models
    standard_error: np.ndarray  # [6]
    nothing: float  # error of a model that always answers 0
    truth: np.ndarray  # [STEPS + 1]   position along one rollout
    single: np.ndarray  # [STEPS + 1]   by the one-step model
    chunked: np.ndarray  # [STEPS / chunk + 1]   by the chunk model

    def error(self, chunk: int) -> float:
        return float(self.learned[CHUNKS.index(chunk)])


class Learned(NamedTuple):
    maps: tuple[ChunkMap, ...]  # of the first model, by chunk length
    error: np.ndarray  # [6]
    standard_error: np.ndarray  # [6]


def models_of(transitions: int) -> int:
    """How many times the logs are drawn again: large logs scatter little, and cost more."""
    return 8 if transitions <= 1000 else 3


@lru_cache(maxsize=64)
def learned(
    noise: float,
    dynamics_noise: float,
    transitions: int,
    every_start: bool,
    models: int | None = None,
) -> Learned:
    """Models of every chunk length from the same logs, and how far each drifts in 50 steps."""
    maps, errors = (), []
    for seed in range(models or models_of(transitions)):
        rng = np.random.default_rng(seed)
        logs = record(SYSTEM, transitions, STEPS, noise, dynamics_noise, rng)
        found = tuple(fit(logs, h, every_start) for h in CHUNKS)
        errors.append([drift(SYSTEM, each, STEPS, dynamics_noise)[-1] for each in found])
        maps = maps or found
    return Learned(maps, *root_mean_square(np.array(errors)[..., None] ** 2))


def unlimited(noise: float, dynamics_noise: float) -> np.ndarray:
    """The same error for models of unlimited logs, by chunk length.  -> [6]"""
    models = (population(SYSTEM, h, noise, dynamics_noise) for h in CHUNKS)
    return np.array([drift(SYSTEM, model, STEPS, dynamics_noise)[-1] for model in models])


def follow(model: ChunkMap, start: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Position after every chunk, open loop.  [O], [T, A] -> [T / h + 1]"""
    states = [start]
    for chunk in action.reshape(-1, model.action.shape[1]):
        states.append(model.state @ states[-1] + model.action @ chunk)
    return np.array(states)[:, 0]


def compute(
    noise: float, dynamics_noise: float, transitions: str, chunk: str, windows: str
) -> Numbers:
    """Errors of all chunk lengths, and one rollout by the one-step and by the chunk model."""
    size, h, every = int(transitions), int(chunk), windows == EVERY
    found, spread = learned(noise, dynamics_noise, size, every), covariance(SYSTEM, dynamics_noise)
    rng = np.random.default_rng(5)
    at_start = np.linalg.cholesky(spread)
    start, action = at_start @ rng.standard_normal(2), rng.uniform(-1, 1, (STEPS, 1))
    return Numbers(
        noise, dynamics_noise, size, h, every,
        unlimited(noise, dynamics_noise), found.error, found.standard_error,
        float(np.sqrt(np.trace(spread) / len(spread))),
        follow(true_map(SYSTEM, 1), start, action),
        follow(found.maps[0], start, action),
        follow(found.maps[CHUNKS.index(h)], start, action),
    )  # fmt: skip


NOTHING: dict[str, Any] = {"color": plots.BLACK, "linestyle": ":", "linewidth": 1.2}


def layout(figure: Figure) -> tuple[Axes, ...]:
    curve = plots.label(
        figure.add_axes((0.08, 0.13, 0.36, 0.59)),
        "steps per model call h",
        "error after 50 steps [its unit]",
        "",
    )
    curve.set_xticks(range(len(CHUNKS)), [str(h) for h in CHUNKS])
    curve.set_xlim(-0.4, len(CHUNKS) - 0.6)
    ghost = plots.label(
        figure.add_axes((0.54, 0.13, 0.44, 0.59)), "steps imagined", "position [its unit]"
    )
    ghost.set_xlim(-1.0, STEPS + 1.0)
    plots.key(
        curve,
        {
            "unlimited logs (exact)": plots.EXACT,
            "one-step model, learned": plots.learned(1),
            "chunk models, learned": plots.learned(0),
            "a model that answers 0": NOTHING,
        },
        loc=(0.0, 1.02),  # above the axes: inside, the curves may be anywhere
    )
    plots.key(
        ghost,
        {
            "true": plots.EXACT,
            "one-step model, learned": plots.learned(1) | plots.reference(1),
            "chunk model, learned": plots.learned(0) | plots.reference(0),
        },
        loc=(0.0, 1.02),
    )
    return curve, ghost


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    curve, ghost = axes
    place, at = np.arange(len(CHUNKS)), CHUNKS.index(numbers.chunk)
    highest = max(numbers.learned.max(), numbers.unlimited.max(), numbers.nothing)
    curve.axhline(numbers.nothing, **NOTHING)
    curve.plot(place, numbers.unlimited, **plots.EXACT)
    for series, part in ((1, slice(0, 1)), (0, slice(1, None))):  # colours as in the other panel
        curve.errorbar(
            place[part],
            numbers.learned[part],
            2 * numbers.standard_error[part],
            **plots.learned(series),
        )
    curve.vlines(at, 0.0, numbers.learned[at], color=plots.BLACK, linestyle=":", linewidth=1.2)
    top = TOPS[int(highest > 0.95 * TOPS[0])]
    curve.set_ylim(-0.02 * top, top)

    steps = np.arange(STEPS + 1)
    ghost.plot(steps, numbers.truth, **plots.EXACT)
    ghost.plot(steps, numbers.single, **plots.reference(1))
    ghost.plot(steps[::5], numbers.single[::5], **plots.learned(1))
    ends = steps[:: numbers.chunk]
    ghost.plot(ends, numbers.chunked, **plots.learned(0) | plots.reference(0))
    per_episode = STEPS // numbers.chunk
    if numbers.every_start:
        per_episode = STEPS - numbers.chunk + 1
    count = numbers.transitions // STEPS * per_episode
    furthest = max(np.abs(path).max() for path in (numbers.truth, numbers.single, numbers.chunked))
    reach = REACHES[int(furthest > REACHES[0])]
    ghost.set_ylim(-reach, reach)
    ghost.text(STEPS, 0.9 * reach, f"{count} chunks from {numbers.transitions} steps", ha="right")
    curve.text(
        0.0,
        1.37,
        f"after 50 steps off by {numbers.error(1):.2f} with h = 1, by "
        f"{numbers.error(numbers.chunk):.2f} with h = {numbers.chunk}",
        transform=curve.transAxes,
        fontsize=12,
    )


def describe(numbers: Numbers) -> str:
    at = CHUNKS.index(numbers.chunk)
    return (
        f"With observation noise {numbers.noise:.2f}, dynamics noise {numbers.dynamics_noise:.2f} "
        f"and {numbers.transitions} logged steps cut into chunks "
        f"{EVERY if numbers.every_start else END_TO_END}, the one-step model is off by "
        f"{numbers.error(1):.2f} after 50 steps and the model of {numbers.chunk} steps by "
        f"{numbers.learned[at]:.2f} plus or minus {2 * numbers.standard_error[at]:.2f}; with "
        f"unlimited logs {numbers.unlimited[0]:.2f} and {numbers.unlimited[at]:.2f}."
    )


def table(numbers: Numbers) -> Table:
    header = ("steps per call", "learned", "2 standard errors", "unlimited logs")
    rows = list(
        zip(
            CHUNKS,
            numbers.learned,
            2 * numbers.standard_error,
            numbers.unlimited,
            strict=True,
        )
    )
    return header, rows


DRIFT = Explorer(
    name="drift",
    notebook="10",
    title="One step or a whole chunk: which model drifts less?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("noise", "observation noise sigma_o", 0.0, 0.2, 0.05, 0.1),
        Slider("dynamics_noise", "dynamics noise sigma_w", 0.0, 0.1, 0.01, 0.0),
        Choice("transitions", "logged steps", SIZES, "500"),
        Choice("chunk", "steps per model call h", OFFERED, "10"),
        Choice("windows", "chunks are cut", (END_TO_END, EVERY), END_TO_END),
    ),
    describe=describe,
    table=table,
    predict_first=Predict(
        "A hand moves without any chance, but its position and velocity (of typical size 0.6 and "
        "0.3) are logged with noise 0.1. Least squares finds a model of one step, from as much "
        "data as you like. Fed the true actions for 50 steps, how far off is it?",
        "the unit of the state",
        lambda numbers: float(numbers.unlimited[0]),
        mark=lambda axes, guess: plots.guess(axes[0], guess),
    ),
    named={
        "No noise": {"noise": 0.0},
        "Every start": {"windows": EVERY, "chunk": "25"},
        "Too little data": {"transitions": "300", "chunk": "25"},
        "Shaken, exact sensors": {
            "noise": 0.0,
            "dynamics_noise": 0.03,
            "transitions": "300",
            "chunk": "25",
        },
    },
)
