"""FQL and FQL-n with QC-FQL's own pull, alpha / D = 12: the two then differ in n alone.

Made from the folders of finished runs, `chunkrl train METHOD --task
cube-single-play-singletask-task2-v0 --preset coffee --alpha 60 --seeds 0 1 2` with METHOD fql and
fql-n: `python -m chunkrl.results.robot_equal_pull RUN_FOLDERS`.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import numpy as np

from chunkrl import command
from chunkrl.results import robot_tuning, stored
from chunkrl.statistics import difference

COMMAND = "python -m chunkrl.results.robot_equal_pull RUN_FOLDERS"
FILE = Path(__file__).parent / "data" / "robot_equal_pull.csv"


@cache
def load() -> tuple[robot_tuning.Trial, ...]:
    """Every stored evaluation.  Raises DataError."""
    return tuple(stored.rows(FILE, robot_tuning.read, COMMAND))


def rates(method: str, counted: int = 1) -> np.ndarray:
    """Each seed's success, the mean of its last `counted` evaluations.  -> [S]"""
    mine = sorted(trial for trial in load() if trial.method == method)
    won = np.array([trial.successes / trial.episodes for trial in mine])
    return won.reshape(len({trial.seed for trial in mine}), -1)[:, -counted:].mean(1)


def lines(others: Mapping[str, np.ndarray], counted: int = 1) -> Iterator[str]:
    """Each seed's success, and differences with 95% intervals (Welch's), also to `others`.

    `others`: success of each seed of "qc_fql" and of "fql_n" with the alphas as tuned.
    """
    fql, fql_n = (rates(method, counted) for method in ("fql", "fql_n"))
    for name, rate in (("fql", fql), ("fql_n", fql_n)):
        yield f"{name:7s} {', '.join(f'{x:.0%}' for x in rate)}, mean {rate.mean():.1%}"
    for name, pair in {
        "qc_fql minus fql": (others["qc_fql"], fql),
        "qc_fql minus fql_n": (others["qc_fql"], fql_n),
        "fql minus fql_n": (fql, fql_n),
        "fql_n, alpha 60 minus 30": (fql_n, others["fql_n"]),
    }.items():
        gap, low, high = 100 * np.array(difference(*pair))
        yield f"  {name:24} {gap:+.1f} points [{low:+.0f}, {high:+.0f}]"


def main(folders: tuple[Path, ...], /) -> None:
    """Read the evaluations in RUN_FOLDERS and store them in the package."""
    robot_tuning.store(folders, FILE)


if __name__ == "__main__":
    command.run(main, "python -m chunkrl.results.robot_equal_pull")
