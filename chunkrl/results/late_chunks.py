"""Success under latency: agents that come with the package, whose chunks are late by some steps.

Made by `python -m chunkrl.results.late_chunks` (a quarter of an hour on two cores).  QC executes
three of the five actions of its chunks, MAC five of ten; both switch naively, and go on from the
chunk before (real-time chunking).
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

from chunkrl import command
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


def main(episodes: int = EPISODES, workers: int | None = None) -> None:
    """Play the shipped agents with every delay that their chunks bear, and store what they did."""
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
