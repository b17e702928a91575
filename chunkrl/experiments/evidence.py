"""What finished runs show together: scores of methods over tasks and seeds, with intervals.

One page of HTML that needs nothing beside it.  The score of a run is the success of its last
evaluation; all intervals resample seeds, never episodes (`statistics`).
"""

import base64
import csv
import html
import io
import itertools
import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from chunkrl import disk, plots, statistics
from chunkrl.errors import ConfigError, TrainingError
from chunkrl.experiments.report import spelled
from chunkrl.train import runs

SHAPES = ("obs_dim", "action_dim")  # what the task decides
LEVELS = np.linspace(0.0, 1.0, 101)


class Cell(NamedTuple):
    """All seeds of one method, with one choice of settings, on one task."""

    method: str
    task: str
    choice: dict[str, Any]  # settings, preset and data
    curves: dict[int, dict[int, float]]  # seed -> step -> success

    @property
    def scores(self) -> np.ndarray:
        """Of each seed at the last step that all reached.  [seeds]"""
        return self.at(self.steps[-1])

    @property
    def steps(self) -> list[int]:
        """At which every seed was evaluated."""
        return sorted(set.intersection(*(set(curve) for curve in self.curves.values())))

    def at(self, step: int) -> np.ndarray:
        return np.array([self.curves[seed][step] for seed in sorted(self.curves)])


def gather(folders: Iterable[Path]) -> list[Cell]:
    """The runs in `folders`, one cell for those that differ in their seeds alone.

    Raises TrainingError for what is no evaluated run, ConfigError for a seed that is there twice.
    """
    cells: dict[str, Cell] = {}
    for folder in folders:
        config = runs.read_config(folder, ("method", "task", "preset", "seeds", "settings"))
        choice = {k: v for k, v in config["settings"].items() if k not in SHAPES}
        choice |= {"preset": config["preset"], "data": config.get("data_file", "")}
        new = Cell(spelled(config["method"]), config["task"], choice, {})
        cell = cells.setdefault(json.dumps(new, sort_keys=True), new)
        rows = [row for row in runs.read_rows(folder) if "success" in row]
        if not rows:
            raise TrainingError(f"{folder} has no evaluation yet: train for longer")
        if any(math.isnan(row["success"]) for row in rows):
            raise TrainingError(f"{folder} has no success rates: its task does not say what solves")
        for seed in config["seeds"]:
            if seed in cell.curves:
                raise ConfigError(f"{folder}: seed {seed} of {cell.method} is there twice")
            cell.curves[seed] = {row["step"]: row["success"] for row in rows if row["seed"] == seed}
    for cell in cells.values():
        if not cell.steps:
            raise TrainingError(f"the seeds of {cell.method} share no step of evaluation")
    return sorted(cells.values(), key=lambda cell: (cell.task, cell.method))


def named(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Cells by method, and by those settings in which a method differs on one task.

    What the papers tune by domain, and so differs between tasks alone, is part of the method.
    """
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        rivals = [c for c in cells if c.method == cell.method]
        keys = {
            key
            for a, b in itertools.combinations(rivals, 2)
            if a.task == b.task
            for key in a.choice.keys() | b.choice.keys()
            if a.choice.get(key) != b.choice.get(key)
        }
        told = "".join(f", {key} {cell.choice.get(key, 'default')}" for key in sorted(keys))
        found.setdefault(cell.method + told, []).append(cell)
    return found


def table(cells: Sequence[Cell]) -> np.ndarray:
    """Scores of one method.  -> [seeds, tasks].  Raises ConfigError where seeds are missing."""
    counts = {cell.task: len(cell.curves) for cell in cells}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{n} on {task}" for task, n in counts.items())
        raise ConfigError(f"{cells[0].method} has not as many seeds on each task: {told}")
    return np.stack([cell.scores for cell in cells], axis=1)


def tuned(cells: Sequence[Cell]) -> np.ndarray:
    """Expected score of the best of k settings, k = 1 ... K, of one method on one task.  -> [K]

    k of the K settings, drawn at random, are compared by the mean of all seeds but one, and the
    best is scored by that one; mean over the seeds.  Exact: in order of those means the setting
    of rank r is the best of k with probability C(K - 1 - r, k - 1) / C(K, k).
    """
    seeds = sorted(set.intersection(*(set(cell.curves) for cell in cells)))
    if len(seeds) < 2:
        return np.zeros(0)
    step = max(set.intersection(*(set(cell.steps) for cell in cells)))
    scores = np.array([[cell.curves[seed][step] for seed in seeds] for cell in cells])  # [K, S]
    count = len(cells)
    best = np.array(
        [
            [math.comb(count - 1 - r, k - 1) / math.comb(count, k) for r in range(count)]
            for k in range(1, count + 1)
        ]
    )
    each = []
    for left_out in range(len(seeds)):
        others = np.delete(scores, left_out, axis=1).mean(1)
        order = np.argsort(-others, kind="stable")
        # Of equals none is the better one: each takes the mean of their scores.
        equal = others[order][:, None] == others[order]
        each.append(best @ (equal @ scores[order, left_out] / equal.sum(1)))
    return np.mean(each, axis=0)


class Sheet(NamedTuple):
    """A part of the page: a picture or not, and the numbers in it."""

    title: str
    words: str
    header: tuple[str, ...]
    rows: list[tuple]
    picture: plots.Picture | None = None


def aggregates(methods: dict[str, list[Cell]]) -> Sheet:
    """IQM and mean of every method that was run on all tasks."""
    rows = []
    for name, cells in methods.items():
        scores = table(cells)
        for what, statistic in (("IQM", statistics.iqm), ("mean", lambda x: x.mean((-2, -1)))):
            low, high = statistics.stratified(statistic, scores)
            after = " ".join(str(step) for step in sorted({cell.steps[-1] for cell in cells}))
            rows.append((name, what, *scores.shape, after, float(statistic(scores)), low, high))
    words = (
        "IQM: mean of the middle half of all runs. Interval: 95%, seeds of each task resampled by"
        " themselves. With few seeds it is too narrow: three have ten different resamples, and one"
        " has none."
    )
    return Sheet("Scores", words, HEADER, rows)


SPREAD = ("value", "low", "high")
HEADER = ("method", "statistic", "seeds", "tasks", "after steps", *SPREAD)


def improvements(methods: dict[str, list[Cell]]) -> Sheet:
    """The probability that a run of one method beats one of another."""
    rows = []
    for (a, x), (b, y) in itertools.combinations(methods.items(), 2):
        both = table(x), table(y)
        low, high = statistics.stratified(statistics.improvement, *both)
        rows.append((a, b, float(statistics.improvement(*both)), low, high))
    words = "P(X > Y) + P(X = Y) / 2 of two runs on the same task, mean over tasks."
    return Sheet("Probability of improvement", words, ("X", "Y", *SPREAD), rows)


def profiles(methods: dict[str, list[Cell]]) -> Sheet:
    """Share of runs that score more than each level."""

    def draw(axes) -> None:
        for i, cells in enumerate(methods.values()):
            scores = table(cells)
            band = statistics.stratified(lambda x: statistics.profile(x, LEVELS), scores)
            axes.step(LEVELS, statistics.profile(scores, LEVELS), where="post", **line(i))
            axes.fill_between(LEVELS, *band, step="post", color=line(i)["color"], alpha=0.15)
        axes.set_xlabel("success rate")
        axes.set_ylabel("share of runs above it")

    rows = [
        (name, float(level), float(share))
        for name, cells in methods.items()
        for level, share in zip(LEVELS, statistics.profile(table(cells), LEVELS), strict=True)
    ]
    words = "Higher is better at every level; a curve that falls late has no bad runs."
    header = ("method", "level", "share")
    return Sheet("Performance profile", words, header, rows, picture(draw, methods, words))


def curves(task: str, methods: dict[str, list[Cell]]) -> Sheet:
    """Success on one task by step, mean of the seeds with its interval."""
    here = {name: cell for name, cells in methods.items() for cell in cells if cell.task == task}
    rows = [
        (name, seed, step, cell.curves[seed][step])
        for name, cell in here.items()
        for seed in sorted(cell.curves)
        for step in cell.steps
    ]

    def draw(axes) -> None:
        for i, name in enumerate(methods):
            if name in here:
                seeds = np.stack([here[name].at(step) for step in here[name].steps])  # [T, S]
                low, high = statistics.bootstrap(seeds, np.mean)
                axes.plot(here[name].steps, seeds.mean(1), **line(i), marker=mark(i))
                axes.fill_between(here[name].steps, low, high, color=line(i)["color"], alpha=0.15)
        axes.set_xlabel("updates, and steps of acting")
        axes.set_ylabel("success rate")

    words = "Mean of the seeds; band: 95%, seeds resampled. Every seed is in the numbers."
    header = ("method", "seed", "step", "success")
    return Sheet(task, words, header, rows, picture(draw, methods, words))


def tuning(cells: Sequence[Cell]) -> Sheet:
    """Score against the number of settings that were tried, where there is more than one."""
    rows: list[tuple] = []
    for task, method in sorted({(cell.task, cell.method) for cell in cells}):
        rivals = [cell for cell in cells if (cell.task, cell.method) == (task, method)]
        if len(rivals) > 1:
            rows += [(task, method, k, float(x)) for k, x in enumerate(tuned(rivals), start=1)]
    words = (
        "Expected score of the best of k settings drawn from those that were run, chosen by all"
        " seeds but one and scored by that one."
    )
    return Sheet("Score against tuning", words, ("task", "method", "settings tried", "score"), rows)


def line(i: int) -> dict[str, Any]:
    return plots.reference(i % len(plots.SERIES))


def mark(i: int) -> str:
    return plots.SERIES[i % len(plots.SERIES)]["marker"]


def picture(draw: Callable, methods: Iterable[str], words: str) -> plots.Picture:
    """One panel with a key of all methods."""
    figure = Figure(figsize=(8.0, 3.6), dpi=150, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    draw(axes)
    axes.set_ylim(-0.03, 1.03)
    axes.spines[["top", "right"]].set_visible(False)
    for i, name in enumerate(methods):
        axes.plot([], [], **line(i), marker=mark(i), label=name)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    stream = io.BytesIO()
    canvas.print_png(stream)
    return plots.Picture(stream.getvalue(), f"{words} {', '.join(methods)}.")


def page(folders: Sequence[Path]) -> str:
    """The report of the runs in `folders`.  Raises ChunkRLError."""
    if not folders:
        raise ConfigError("name the folders of one or more runs")
    cells = gather(folders)
    methods, tasks = named(cells), sorted({cell.task for cell in cells})
    whole = {name: own for name, own in methods.items() if len(own) == len(tasks)}
    sheets = [curves(task, methods) for task in tasks]
    if whole:
        sheets = [aggregates(whole), improvements(whole), profiles(whole), *sheets]
    sheets.append(tuning(cells))
    partly = sorted(methods.keys() - whole.keys())
    note = f"Not on every task, and so in no aggregate: {'; '.join(partly)}." if partly else ""
    about = (
        f"{len(folders)} run folders, {len(tasks)} tasks, {len(methods)} methods. Score: success"
        f" of the last evaluation that all seeds of a method have. {note}"
    )
    body = "".join(_section(sheet) for sheet in sheets if sheet.rows)
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>chunkrl report</title>'
        f"<style>{STYLE}</style><h1>What these runs show</h1><p>{html.escape(about)}</p>{body}\n"
    )


STYLE = """
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif }
img { max-width: 100%; background: white }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
td, th { padding: .15rem .8rem .15rem 0; text-align: left; border-bottom: 1px solid #8884 }
:root { color-scheme: light dark }
"""
SHOWN = 40  # rows that a page shows unfolded


def _section(sheet: Sheet) -> str:
    drawn = ""
    if sheet.picture:
        data = base64.b64encode(sheet.picture.png).decode()
        alt = html.escape(sheet.picture.alt, quote=True)
        drawn = f'<img alt="{alt}" src="data:image/png;base64,{data}">'
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([sheet.header, *sheet.rows])
    raw = base64.b64encode(text.getvalue().encode()).decode()
    cells = lambda row, tag: "".join(f"<{tag}>{html.escape(_told(x))}</{tag}>" for x in row)
    lines = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in sheet.rows)
    numbers = f"<table><tr>{cells(sheet.header, 'th')}</tr>{lines}</table>"
    if sheet.picture or len(sheet.rows) > SHOWN:
        numbers = (
            f"<details><summary>{len(sheet.rows)} rows of numbers</summary>{numbers}</details>"
        )
    file = f"{sheet.title.lower().replace(' ', '_')}.csv"
    link = f'<a download="{html.escape(file)}" href="data:text/csv;base64,{raw}">{file}</a>'
    title, words = html.escape(sheet.title), html.escape(sheet.words)
    return f"<h2>{title}</h2><p>{words}</p>{drawn}{numbers}<p>{link}</p>"


def _told(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return "none" if math.isnan(value) else f"{value:.3f}"


def write(folders: Sequence[Path], path: Path) -> Path:
    """Write `page` to `path`.  Raises ChunkRLError."""
    text = page(folders)
    disk.write(path, lambda file: file.write(text.encode()))
    return path
