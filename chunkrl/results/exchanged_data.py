"""Whose data are better, for whom?  Methods trained anew on logs and on what each had collected.

Made from the folders of finished runs that acted (`online_runs`), one seed each, of every method
in COLLECTORS: `python -m chunkrl.results.exchanged_data WORK_FOLDER RUN_FOLDERS` trains each of
LEARNERS on each seed's data, by 20,000 updates at the preset `coffee`, with the alpha of
`robot_tuning`.  `--figure FILE.png` in place of folders draws what is stored.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chunkrl import command, disk
from chunkrl.errors import ConfigError
from chunkrl.results import robot_tuning, seeds_picture, stored
from chunkrl.results.online_runs import collected
from chunkrl.results.seeds_picture import Panel
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


def last_two(method: str, collector: str) -> np.ndarray:
    """Success in each seed's last two evaluations together.  -> [S]"""
    trials = [t for t in load() if (t.method, t.collector) == (method, collector)]
    ends = sorted({t.step for t in trials})[-2:]
    of_seed = [
        [t for t in trials if t.seed == seed and t.step in ends]
        for seed in sorted({t.seed for t in trials})
    ]
    return np.array([sum(t.successes for t in s) / sum(t.episodes for t in s) for s in of_seed])


def picture() -> bytes:
    """Success of every seed of the four pairs, a panel for a learner.  -> png"""
    from chunkrl.experiments.report import spelled

    return seeds_picture.draw(
        *(
            Panel(
                f"{spelled(method)}, trained anew on the logs and",
                "what this method had collected",
                {spelled(c): last_two(method, c) for c in COLLECTORS},
            )
            for method in LEARNERS
        )
    )


def main(
    work_and_folders: tuple[Path, ...] = (),
    /,
    figure: Path | None = None,
    preset: str = "coffee",
    updates: int = UPDATES,
) -> None:
    """Train both methods on what each run in RUN_FOLDERS collected; store their evaluations."""
    from chunkrl.envs import family
    from chunkrl.experiments import experiment

    if (len(work_and_folders) > 1) == (figure is not None):
        raise ConfigError(
            "name a folder to work in and folders of runs, or --figure FILE.png alone"
        )
    if figure is not None:
        disk.write(figure, lambda file: file.write(picture()))
        return
    work, *folders = work_and_folders
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
