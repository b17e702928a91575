"""Notebook 13: how wrong values and targets of a trained agent are, measured in the simulator.

The measurement is `chunkrl/course/data/robot_values.npz`, made of a trained run by
`python -m chunkrl.measure RUN_FOLDER OUT.npz`; any other run's can take its place.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Choice, Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.measure.parts import Causes, Root, root, split, squares
from chunkrl.measure.record import Record, load
from chunkrl.statistics import mean_and_error, mean_interval

STORED = Path(__file__).parents[2] / "results" / "data" / "robot_values.npz"
DEEPEST = 20  # chunks
SHOWN = np.array([0, 1, 2, 3, 5, 7, 10, 15, 20])  # with their intervals


class Drift(NamedTuple):
    """How far models put the cube from its real place along real chunks, over seeds."""

    step: np.ndarray  # [K]  multiples of the policy's chunk
    mean: np.ndarray  # [K]  cm
    low: np.ndarray  # [K]  of the best seed
    high: np.ndarray  # [K]  of the worst


class Errors(NamedTuple):
    """Root mean square errors of the target by imagined chunks, over states and seeds."""

    total: Root  # [DEEPEST + 1] each
    model: Root
    bootstrap: Root


class Numbers(NamedTuple):
    depth: int
    steps: int  # of a call of the model
    chunk: int  # of the policy
    candidates: int
    errors: Errors
    drifts: dict[int, Drift]  # by steps of the model


@lru_cache(maxsize=1)
def record() -> Record:
    """The measurement that comes with the package."""
    return load(STORED)


def drifts(measured: Record) -> dict[int, Drift]:
    """How far each model puts the cube from its place, after each chunk of the policy."""
    from chunkrl.results.model_drift import POSITIONS, UNIT_CM

    found = {}
    for j in np.argsort(measured.steps):
        square = measured.drift[:, j, 1:, POSITIONS["cube_cm"]].sum(-1)  # no error at the start
        off = UNIT_CM * np.sqrt(square)  # [seeds, K]
        step = measured.chunk * np.arange(1, off.shape[1] + 1)
        found[int(measured.steps[j])] = Drift(step, off.mean(0), off.min(0), off.max(0))
    return found


def errors(measured: Record, steps: int, candidates: int) -> Errors:
    """Errors of the target in models of `steps` actions, for the policy with N `candidates`.

    Squares are averaged over seeds first, so that the intervals are over states.
    """
    found = _causes(measured, steps, candidates)
    parts = (found.error, found.model, found.bootstrap)
    return Errors(*(root(squares(part).mean(0)) for part in parts))


def _causes(measured: Record, steps: int, candidates: int) -> Causes:
    """Leaves [seeds, H + 1, S, M]."""
    c, j = (
        int(np.flatnonzero(among == wanted)[0])
        for among, wanted in ((measured.candidates, candidates), (measured.steps, steps))
    )
    values = measured.values
    return split(values.target[:, c, j], values.real[:, c], values.truth[:, c])


def removed(measured: Record, steps: int, candidates: int, few: int, many: int) -> np.ndarray:
    """Squared error that `many` imagined chunks take off that of `few`.  -> [seeds, S]

    Below 0 where they add to it.  The same states, seeds and random numbers stand on both sides.
    """
    square = squares(_causes(measured, steps, candidates).error)
    return square[:, few] - square[:, many]


def over_states(found: np.ndarray) -> tuple[float, float]:
    """Mean of [seeds, S], and two standard errors over states, these seeds being given."""
    average, error = mean_and_error(found.mean(0))
    return float(average), float(2 * error)


def over_seeds(found: np.ndarray) -> tuple[float, float]:
    """Mean of [seeds, S], and half its 95% interval over seeds by Student's t: another agent."""
    low, high = mean_interval(found.mean(-1))
    return (low + high) / 2, (high - low) / 2


@lru_cache(maxsize=64)
def _errors(steps: int, candidates: int) -> Errors:
    return errors(record(), steps, candidates)


@lru_cache(maxsize=1)
def _top() -> float:
    """One height for all settings, so that pictures can be compared."""
    found = (_errors(int(h), int(n)) for h in record().steps for n in record().candidates)
    return 1.3 * plots.nice_top(max(float(x.high[SHOWN].max()) for each in found for x in each))


def compute(depth: int, steps: str, candidates: str) -> Numbers:
    """All curves of the chosen model and policy."""
    found, h, n = record(), int(steps), int(candidates)
    return Numbers(depth, h, found.chunk, n, _errors(h, n), drifts(found))


def layout(figure: Figure) -> tuple[Axes, ...]:
    drift = plots.label(
        figure.add_axes((0.08, 0.13, 0.24, 0.60)),
        "steps along real chunks",
        "cube misplaced by [cm]",
        "1, 5 or 10 steps a call, new logs",
    )
    curve = plots.label(
        figure.add_axes((0.42, 0.13, 0.56, 0.60)),
        f"imagined chunks H of {record().chunk} steps before the value is trusted",
        "error of the target [reward]",
        "targets in logged states, against the simulator",
    )
    curve.set_xlim(-0.6, DEEPEST + 0.6)
    drift.set_xlim(0.0, 114.0)
    plots.key(
        curve,
        {
            "total": plots.learned(0) | plots.reference(0),
            "model part": plots.learned(1) | plots.reference(1),
            "bootstrap part (real rollout, learned value)": plots.learned(2) | plots.reference(2),
        },
        loc="upper right",
    )
    return drift, curve


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    drift, curve = axes
    found, chosen = numbers.errors, numbers.depth
    for h, line in numbers.drifts.items():
        mine, few = h == numbers.steps, line.step % 20 == 0
        style: dict[str, Any] = plots.reference(1) | ({} if mine else {"color": "0.6"})
        drift.plot(line.step, line.mean, **style)
        if mine:
            drift.plot(line.step[few], line.mean[few], **plots.learned(1))
            drift.fill_between(line.step, line.low, line.high, color=plots.VERMILLION, alpha=0.2)
    highest = plots.nice_top(max(float(line.high.max()) for line in numbers.drifts.values()))
    free = 0.0  # the least height at which a label does not touch the one below it
    for h, line in sorted(numbers.drifts.items(), key=lambda item: item[1].mean[-1]):
        free = max(float(line.mean[-1]), free)
        drift.text(102.0, free, f"{h}", fontsize=9, va="center")
        free += 0.06 * highest
    drift.set_ylim(0.0, highest)

    for series, part in enumerate(found):
        curve.plot(np.arange(DEEPEST + 1), part.rms, **plots.reference(series))
        spread = (part.rms - part.low)[SHOWN], (part.high - part.rms)[SHOWN]
        style = plots.learned(series) | {"elinewidth": 0.9}
        # Beside each other: three bars in one place would hide each other.
        curve.errorbar(SHOWN + 0.2 * (series - 1), part.rms[SHOWN], yerr=spread, **style)
    at = found.total.rms[chosen]
    curve.vlines(chosen, 0.0, at, color=plots.BLACK, linestyle=":", linewidth=1.2)
    curve.set_ylim(0.0, _top())
    chunks = f"{chosen} chunk{'s' * (chosen != 1)}"
    plots.headline(
        drift,
        f"imagine {chunks}: off by {at:.1f} ({found.total.low[chosen]:.1f} to "
        f"{found.total.high[chosen]:.1f}), model {found.model.rms[chosen]:.1f}, value "
        f"{found.bootstrap.rms[chosen]:.1f}; V alone {found.total.rms[0]:.1f}",
    )


def describe(numbers: Numbers) -> str:
    found, at = numbers.errors, numbers.depth
    return (
        f"Against the simulator, a target of {at} imagined chunks of {numbers.chunk} steps, made "
        f"with a model of {numbers.steps} steps by the best of {numbers.candidates}, is off by "
        f"{found.total.rms[at]:.1f} (interval {found.total.low[at]:.1f} to "
        f"{found.total.high[at]:.1f}): the model's part is {found.model.rms[at]:.1f}, the value's "
        f"{found.bootstrap.rms[at]:.1f}. The value alone is off by {found.total.rms[0]:.1f}."
    )


def table(numbers: Numbers) -> Table:
    header = ("imagined chunks", "total", "low", "high", "model part", "bootstrap part")
    total, model, bootstrap = numbers.errors
    rows = [
        (h, total.rms[h], total.low[h], total.high[h], model.rms[h], bootstrap.rms[h])
        for h in range(DEEPEST + 1)
    ]
    return header, rows


STEPS = tuple(str(x) for x in sorted(record().steps))
CANDIDATES = tuple(str(x) for x in sorted(record().candidates))

ROBOT_VALUES = Explorer(
    name="robot_values",
    notebook="13",
    title="How wrong is a value on a robot?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("depth", "imagined chunks H", 0, DEEPEST, 1, 5),
        Choice("steps", "steps per model call h", STEPS, str(record().steps[0])),
        Choice("candidates", "candidates N", CANDIDATES, CANDIDATES[-1]),
    ),
    describe=describe,
    table=table,
    predict_first=Predict(
        "An agent learned from 150,000 logged steps. Its value network was taught what a policy "
        "earns that plays the best of 4 proposed chunks: between -100, if it never succeeds, and "
        "0. The agent acts with the best of 32. The simulator is put into logged states, the best "
        "of 32 is played, and the network's value is held against what that earns. By how much "
        "is it off (root mean square over states, so at least 0)?",
        "reward",
        lambda numbers: float(numbers.errors.total.rms[0]),
        digits=1,
        least=0.0,
        mark=lambda axes, guess: plots.guess(axes[1], guess),
    ),
    named={
        "V alone": {"depth": 0},
        "To the end": {"depth": DEEPEST},
        "A model of single steps": {"steps": STEPS[0], "depth": DEEPEST},
        "The policy that V was taught": {"candidates": CANDIDATES[0]},
    },
    motion="depth",
)
