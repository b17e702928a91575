"""A second task, on which agents first learn from logs and then act: each seed's success.

Made from the folders of finished runs, one or more seeds each, `chunkrl train METHOD
--task scene-play-singletask-task2-v0 --preset laptop --hidden 128 128 128 --lr 5e-4 --flow-steps 3
--updates 45000 --online 30000 --evaluate-every 15000 --episodes 20` (RLPD and RLPD-AC with
`--updates 0` and without `--flow-steps`): `python -m chunkrl.results.online_scene RUN_FOLDERS`;
with `--figure FILE.png` in their place it draws what is stored.
"""

from functools import cache
from pathlib import Path

import numpy as np

from chunkrl import command, disk
from chunkrl.errors import ConfigError
from chunkrl.results import online_runs, seeds_picture, stored
from chunkrl.results.online_runs import Evaluation
from chunkrl.results.seeds_picture import Panel

COMMAND = "python -m chunkrl.results.online_scene RUN_FOLDERS"
FILE = Path(__file__).parent / "data" / "online_scene.csv"
TASK = "scene-play-singletask-task2-v0"
METHODS = ("qc_fql", "fql", "fql_n", "qc", "rlpd", "rlpd_ac")
STAGES = {0: "before acting", 15_000: "after 15,000 steps", 30_000: "after 30,000 steps"}


@cache
def load() -> tuple[Evaluation, ...]:
    """Every stored evaluation.  Raises DataError."""
    return tuple(stored.rows(FILE, online_runs.reader(Evaluation), COMMAND))


def rates(acted: int) -> dict[str, np.ndarray]:
    """Success of each seed at its last evaluation after so many steps.  -> method -> [S]"""
    found: dict[str, dict[int, float]] = {}
    for row in sorted(load()):
        if row.online == acted:
            found.setdefault(row.method, {})[row.seed] = row.successes / row.episodes
    return {m: np.array([*found[m].values()]) for m in METHODS if m in found}


def picture() -> bytes:
    """Each seed's success before acting, half way and at the end.  -> png"""
    from chunkrl.experiments.report import spelled

    panels = []
    for acted, title in STAGES.items():
        at = rates(acted)
        named = {spelled(method): rate for method, rate in at.items()}
        panels.append(Panel(title, "", named, [METHODS.index(method) for method in at]))
    return seeds_picture.draw(*panels)


def main(folders: tuple[Path, ...] = (), /, figure: Path | None = None) -> None:
    """Read the evaluations in RUN_FOLDERS and store them in the package."""
    from chunkrl.experiments import experiment

    if bool(folders) == (figure is not None):
        raise ConfigError("name folders of runs, or --figure FILE.png alone")
    if figure is not None:
        disk.write(figure, lambda file: file.write(picture()))
        return
    rows: list[Evaluation] = []
    for folder in folders:
        run = experiment.load(folder)
        if (task := run.config["task"]) != TASK:
            raise ConfigError(f"{folder} is of {task}: name runs of {TASK}")
        rows += online_runs.evaluations(run.config["method"], run.rows)
    stored.save_rows(FILE, Evaluation._fields, sorted(rows))


if __name__ == "__main__":
    command.run(main, "python -m chunkrl.results.online_scene")
