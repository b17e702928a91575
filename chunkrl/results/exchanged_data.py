"""Whose data are better, for whom?  Methods trained anew on logs and on what each had collected.

Made from the folders of finished runs that acted (`online_runs`), one seed each, of every method
in COLLECTORS: `python -m chunkrl.results.exchanged_data WORK_FOLDER RUN_FOLDERS` trains each of
LEARNERS on each seed's data, by 20,000 updates at the preset `coffee`, with the alpha of
`robot_tuning`.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chunkrl import command
from chunkrl.errors import ConfigError
from chunkrl.results import robot_tuning, stored
from chunkrl.results.online_runs import collected
from chunkrl.types import Dataset, Windows

COMMAND = "python -m chunkrl.results.exchanged_data WORK_FOLDER RUN_FOLDERS"
FILE = Path(__file__).parent / "data" / "exchanged_data.csv"
COLLECTORS = LEARNERS = ("qc_fql", "fql")
STEPS = 30_000  # of acting, the same for all
UPDATES = 20_000  # half of the preset's: the curves of better data are flat by then


class Trial(NamedTuple):
    """One evaluation of one method that learned from logs and from what another had collected."""

    method: str
    collector: str
    seed: int
    step: int  # updates
    episodes: int
    successes: int
    met: int  # transitions of success among those collected


@cache
def load() -> tuple[Trial, ...]:
    """Every stored evaluation.  Raises DataError."""
    read = lambda row: Trial(
        row["method"], row["collector"], *(int(row[k]) for k in Trial._fields[2:])
    )
    return tuple(stored.rows(FILE, read, COMMAND))


def joined(logs: Dataset, met: Dataset, steps: int) -> Dataset:
    """The logs, then the first `steps` transitions that were met; what is cut there was no end."""
    if len(met.terminal) < steps:
        raise ConfigError(f"{len(met.terminal)} transitions were collected, not {steps}")
    met = Dataset(*(np.array(x[:steps]) for x in met))
    met.terminal[-1] = 1
    return Dataset(*(np.concatenate(pair) for pair in zip(logs, met, strict=True)))


def main(
    work: Path, folders: tuple[Path, ...], /, preset: str = "coffee", updates: int = UPDATES
) -> None:
    """Train both methods on what each run in RUN_FOLDERS collected; store their evaluations."""
    from chunkrl.envs import family
    from chunkrl.experiments import experiment

    rows = []
    for folder in folders:
        run = experiment.load(folder)
        collector, (seed,) = run.config["method"], run.config["seeds"]
        if collector not in COLLECTORS:
            raise ConfigError(f"{folder} is a run of {collector}, not of {' or '.join(COLLECTORS)}")
        task = family.get(run.config["task"])
        logs, _ = family.named(task.family).data(task, Windows(1), run.config["data_path"])
        (met,) = collected(folder)  # scored as the task is: online and in the logs alike
        source = joined(logs, met, STEPS)
        for method in LEARNERS:
            again = experiment.run(
                method,
                task.name,
                preset,
                [seed],
                work / f"{method}_on_{collector}_{seed}",
                source=source,
                workers=0,
                size={"updates": updates},
                settings={"alpha": robot_tuning.best(method)},
            )
            rows += [
                Trial(
                    method,
                    collector,
                    seed,
                    row["step"],
                    row["episodes"],
                    round(row["success"] * row["episodes"]),
                    int((met.mask[:STEPS] == 0).sum()),
                )
                for row in again.rows
                if "success" in row
            ]
            print(f"{method} on what {collector} met, seed {seed}: {rows[-1]}", flush=True)
    stored.save_rows(FILE, Trial._fields, sorted(rows))


if __name__ == "__main__":
    command.run(main, "python -m chunkrl.results.exchanged_data")
