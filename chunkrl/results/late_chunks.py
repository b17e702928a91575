"""Success under latency: agents that come with the package, whose chunks are late by some steps.

Made by `python -m chunkrl.results.late_chunks` (a quarter of an hour on two cores).  QC executes
three of the five actions of its chunks, MAC five of ten; both switch naively, and go on from the
chunk before (real-time chunking).  `--figure FILE.png` draws what is stored and plays nothing.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chunkrl import command, disk
from chunkrl.results import stored

COMMAND = "python -m chunkrl.results.late_chunks"
FILE = Path(__file__).parent / "data" / "late_chunks.csv"
AGENTS = {"qc": 3, "mac": 5}  # which of `experiment.load`, and how many actions are executed
EPISODES = 100


class Played(NamedTuple):
    """Episodes of one agent with one delay."""

    method: str
    chunk: int
    execute: int
    delay: int  # steps
    rtc: int  # 1: real-time chunking; 0: naive switching
    episodes: int
    successes: int


@cache
def load() -> tuple[Played, ...]:
    """Every stored setting.  Raises DataError."""
    read = lambda row: Played(row["method"], *(int(row[k]) for k in Played._fields[1:]))
    return tuple(stored.rows(FILE, read, COMMAND))


def picture() -> bytes:
    """Success against delay, bars: 95% Wilson interval over the episodes of one agent.  -> png"""
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from chunkrl import plots
    from chunkrl.experiments.report import spelled
    from chunkrl.play.evaluate import wilson

    figure = Figure(figsize=(8.0, 3.2), dpi=150, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(1, len(AGENTS)), AGENTS, strict=True):
        for rtc, words in enumerate(("naive switching", "real-time chunking")):
            rows = [row for row in load() if (row.method, row.rtc) == (name, rtc)]
            rate = [row.successes / row.episodes for row in rows]
            ends = [wilson(row.successes, row.episodes) for row in rows]
            bars = np.abs(np.array(ends) - np.array(rate)[:, None]).T
            place = [row.delay + 0.12 * (rtc - 0.5) for row in rows]
            axes.errorbar(place, rate, yerr=bars, label=words, **plots.learned(rtc))
        row = rows[0]
        axes.set_title(
            f"{spelled(name)}: chunks of {row.chunk}, {row.execute} executed",
            loc="left", fontsize=10,
        )  # fmt: skip
        axes.set_xlabel("delay [steps of 50 ms]")
        axes.set_ylabel("success rate")
        axes.set_xticks(range(row.execute + 1)[: len(rows)])
        axes.set_ylim(0, 1.03)
        axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    stream = BytesIO()
    canvas.print_png(stream)
    return stream.getvalue()


def main(episodes: int = EPISODES, workers: int | None = None, figure: Path | None = None) -> None:
    """Play the shipped agents with every delay that their chunks bear, and store what they did."""
    if figure is not None:
        disk.write(figure, lambda file: file.write(picture()))
        return
    from chunkrl.experiments import experiment
    from chunkrl.play.latency import Late

    rows = []
    for name, execute in AGENTS.items():
        run = experiment.load(name)
        chunk, timing = run.agent.chunk, run.config["success_timing"]
        for delay in range(min(execute, chunk - execute) + 1):
            for rtc in (0, 1):
                resume = run.resume() if rtc else None
                with Late(run.task, delay, execute, resume, workers, success_timing=timing) as play:
                    found = play.run(run.act(), episodes)
                done = len(found.success), int(found.success.sum())
                rows.append(Played(name, chunk, execute, delay, rtc, *done))
                print(rows[-1], flush=True)
    stored.save_rows(FILE, Played._fields, rows)


if __name__ == "__main__":
    command.run(main, "python -m chunkrl.results.late_chunks")
