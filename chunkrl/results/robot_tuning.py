"""What was tried before the reported runs: alphas of each method, on seeds that nobody reports.

Made from the folders of finished runs, `chunkrl train METHOD --preset coffee --alpha ALPHA --seeds
100 101` each: `python -m chunkrl.results.robot_tuning RUN_FOLDERS`.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

from chunkrl import command
from chunkrl.errors import ConfigError
from chunkrl.results import stored

COMMAND = "python -m chunkrl.results.robot_tuning RUN_FOLDERS"
COUNTED = 3  # evaluations at the end of a run: one alone, of 20 episodes, is mostly luck
FILE = Path(__file__).parent / "data" / "robot_tuning.csv"


class Trial(NamedTuple):
    """One evaluation of one seed with one alpha."""

    method: str
    alpha: float
    seed: int
    step: int  # updates
    episodes: int
    successes: int


def read(row: dict[str, str]) -> Trial:
    """A row of a csv file of trials."""
    counts = (int(row[name]) for name in Trial._fields[2:])
    return Trial(row["method"], float(row["alpha"]), *counts)


@cache
def load() -> tuple[Trial, ...]:
    """Every stored evaluation.  Raises DataError."""
    return tuple(stored.rows(FILE, read, COMMAND))


def rates() -> dict[tuple[str, float, int], float]:
    """Success of each (method, alpha, seed) over its last COUNTED evaluations."""
    steps = sorted({trial.step for trial in load()})[-COUNTED:]
    found: dict[tuple[str, float, int], list[Trial]] = {}
    for trial in sorted(load()):
        if trial.step in steps:
            found.setdefault((trial.method, trial.alpha, trial.seed), []).append(trial)
    return {
        which: sum(t.successes for t in trials) / sum(t.episodes for t in trials)
        for which, trials in found.items()
    }


def best(method: str) -> float:
    """The alpha of most success by `rates`, summed over seeds; of equals the least."""
    total: dict[float, float] = {}
    for (name, alpha, _), rate in rates().items():
        if name == method:
            total[alpha] = round(total.get(alpha, 0.0) + rate, 9)
    if not total:
        raise ConfigError(f"no alpha of {method!r} is stored in {FILE.name}")
    return max(total, key=lambda alpha: total[alpha])


def trials(folder: Path) -> list[Trial]:
    """The evaluations in the folder of a finished run.  Raises ChunkRLError."""
    from chunkrl.experiments import experiment

    run = experiment.load(folder)
    alpha = run.config["settings"].get("alpha")
    if alpha is None:
        raise ConfigError(f"{folder} was trained without --alpha: it says nothing about tuning")
    return [
        Trial(
            run.config["method"],
            float(alpha),
            row["seed"],
            row["step"],
            row["episodes"],
            round(row["success"] * row["episodes"]),
        )
        for row in run.rows
        if "success" in row
    ]


def store(folders: tuple[Path, ...], file: Path) -> None:
    """Write the evaluations in `folders` of finished runs to a csv file.  Raises ChunkRLError."""
    rows = sorted(trial for folder in folders for trial in trials(folder))
    stored.save_rows(file, Trial._fields, rows)
    print(f"{file.name}: {len(rows)} evaluations of {len(folders)} runs")


def main(folders: tuple[Path, ...], /) -> None:
    """Read the evaluations in RUN_FOLDERS and store them in the package."""
    store(folders, FILE)


if __name__ == "__main__":
    command.run(main, "python -m chunkrl.results.robot_tuning")
