"""FQL and FQL-n with QC-FQL's own pull, alpha / D = 12: the two then differ in n alone.

Made from the folders of finished runs, `chunkrl train METHOD --task
cube-single-play-singletask-task2-v0 --preset coffee --alpha 60 --seeds 0 1 2` with METHOD fql and
fql-n: `python -m chunkrl.results.robot_equal_pull RUN_FOLDERS`.
"""

from functools import cache
from pathlib import Path

import numpy as np

from chunkrl import command
from chunkrl.results import robot_tuning, stored

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


def main(folders: tuple[Path, ...], /) -> None:
    """Read the evaluations in RUN_FOLDERS and store them in the package."""
    robot_tuning.store(folders, FILE)


if __name__ == "__main__":
    command.run(main, "python -m chunkrl.results.robot_equal_pull")
