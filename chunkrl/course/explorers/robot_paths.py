"""Notebook 12: where the hand goes, deciding at every step or committed to a chunk."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.course.explorers.robot_curves import OURS, SHOWN
from chunkrl.experiments.report import spelled
from chunkrl.measure.traces import coherency
from chunkrl.results import robot_runs

SINGLE = "fql"
PAIR = (SINGLE, OURS)
SIDES, DEPTH = (-0.4, 0.4), (0.12, 0.63)  # m; the workspace, a margin and a legend
RATE = 20  # steps in a second


class Numbers(NamedTuple):
    episode: int
    steps: int
    paths: dict[str, np.ndarray]  # method -> [points, 2]   x and y of the hand [m]
    coherency: dict[str, np.ndarray]  # method -> [S]   of each seed, mean of its episodes [m]


@cache
def by_seed(points: int) -> np.ndarray:
    """Temporal coherency over the first `points` stored points: mean of episodes.  -> [M, S]"""
    stored = robot_runs.load_paths()
    methods, seeds, episodes = stored.points.shape
    return np.array(
        [
            [
                np.mean(
                    [
                        coherency(robot_runs.path(stored, m, s, e)[:points], every=1)
                        for e in range(episodes)
                    ]
                )
                for s in range(seeds)
            ]
            for m in range(methods)
        ]
    )


def compute(episode: int, steps: int) -> Numbers:
    """Two paths from one start (the first seeds), and every method's coherency until `steps`."""
    stored, points = robot_runs.load_paths(), steps // robot_runs.EVERY + 1
    names = stored.methods.tolist()
    paths = {
        method: robot_runs.path(stored, names.index(method), 0, episode)[:points, :2]
        for method in PAIR
    }
    return Numbers(episode, steps, paths, dict(zip(names, by_seed(points), strict=True)))


def layout(figure: Figure) -> tuple[Axes, ...]:
    top = figure.add_axes((0.08, 0.13, 0.54, 0.63))
    plots.label(top, "y, across the table [m]", "x, away from the robot [m]")
    top.set_xlim(*SIDES)
    top.set_ylim(*DEPTH)
    far = plots.label(
        figure.add_axes((0.72, 0.13, 0.26, 0.63)), "", "way in 5 steps [cm]", "mean over episodes"
    )
    methods = robot_runs.load_paths().methods.tolist()
    far.set_xlim(-0.6, len(methods) - 0.4)
    far.set_xticks(range(len(methods)), [spelled(method) for method in methods], fontsize=9)
    entries = {
        f"{spelled(method)}, a point every {robot_runs.EVERY} steps": plots.learned(SHOWN[method])
        for method in PAIR
    }
    plots.key(top, entries, loc="lower left")
    return top, far


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    top, far = axes
    for method, path in numbers.paths.items():
        style: dict[str, Any] = plots.learned(SHOWN[method])
        style |= {"markersize": 4, "linestyle": "-", "linewidth": 0.8}
        top.plot(path[:, 1], path[:, 0], **style)
    start = numbers.paths[OURS][0]
    top.plot(start[1], start[0], color=plots.BLACK, marker="*", markersize=13)
    top.text(start[1], start[0] + 0.015, "start", ha="center", fontsize=10)
    for place, (method, seeds) in enumerate(numbers.coherency.items()):
        style = plots.learned(SHOWN[method])
        far.plot(place + 0.12 * np.arange(len(seeds)) - 0.12, 100 * seeds, **style)
        far.text(place, 100 * seeds.max() + 0.3, f"{100 * seeds.mean():.1f}", ha="center")
    far.set_ylim(0, plots.nice_top(110 * max(seeds.max() for seeds in numbers.coherency.values())))
    far.tick_params(axis="x", length=0)
    chunk, single = (100 * numbers.coherency[method].mean() for method in (OURS, SINGLE))
    plots.headline(
        top,
        f"Episode {numbers.episode}, {numbers.steps / RATE:.1f} s: in 5 steps the hand goes "
        f"{chunk:.1f} cm with chunks, {single:.1f} cm without",
    )


def describe(numbers: Numbers) -> str:
    parts = [
        f"{100 * seeds.mean():.2f} cm for {spelled(method)} (seeds {100 * seeds.min():.2f} to "
        f"{100 * seeds.max():.2f})"
        for method, seeds in numbers.coherency.items()
    ]
    return (
        f"Paths of the gripper in episode {numbers.episode}, seen from above, for "
        f"{numbers.steps / RATE:g} s; in 5 steps it moves on average {', '.join(parts)}."
    )


def table(numbers: Numbers) -> Table:
    rows = [
        (spelled(method), seed, 100 * value)
        for method, seeds in numbers.coherency.items()
        for seed, value in enumerate(seeds)
    ]
    return ("method", "seed", "way in 5 steps [cm]"), rows


ROBOT_PATHS = Explorer(
    name="robot_paths",
    notebook="12",
    title="Does it work on a robot?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("episode", "episode", 0, robot_runs.EPISODES - 1, 1, 0),
        Slider("steps", "steps shown", 20, robot_runs.STEPS, 20, robot_runs.STEPS),
    ),
    describe=describe,
    table=table,
    predict_first=Predict(
        "Every 5 steps (a quarter of a second) we note where the hand is. FQL decides anew at each "
        "step. How far apart are two notes of QC-FQL, which plays 5 actions to their end, if "
        f"FQL's are {100 * by_seed(robot_runs.STEPS // 5 + 1)[0].mean():.1f} cm apart?",
        "cm",
        lambda numbers: 100 * float(numbers.coherency[OURS].mean()),
        digits=1,
    ),
)
