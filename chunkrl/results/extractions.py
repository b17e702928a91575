"""One critic and several ways to act by it, and ways to reach goals: the same core-minutes each.

Made by `python -m chunkrl.results.extractions FOLDER`, which trains what is not yet trained in
FOLDER, one run after the other, and stores how each did: first four values of every method's knob,
on a seed that is not reported, then three seeds with the best of them.  Some of them then get
larger networks and three or six times the minutes, with the knob where it is.
"""

import resource
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chunkrl import command, disk
from chunkrl.agents import methods
from chunkrl.envs.ogbench import TASK
from chunkrl.errors import ConfigError
from chunkrl.results import seeds_picture, stored
from chunkrl.results.seeds_picture import Panel
from chunkrl.statistics import mean_interval

COMMAND = "python -m chunkrl.results.extractions FOLDER"
FILE = Path(__file__).parent / "data" / "extractions.csv"
TASKS = {"rewards": TASK, "goals": "cube-single-play-oraclerep-v0"}
TUNING, SEEDS = (100,), (0, 1, 2)
SECONDS = {  # of one core, for the updates of one seed
    "rewards": {TUNING: 30, SEEDS: 120},
    "goals": {TUNING: 15, SEEDS: 60},
}
EPISODES = {TUNING: 20, SEEDS: 50}
SIZES = {
    "coffee": "--preset coffee --hidden 64 64 --batch-size 64",
    "laptop": "--preset laptop --hidden 256 256 256 --num-critics 2 --transitions 50000",
}
LONGER = 360  # seconds at laptop size
TIME = "core_seconds.txt"  # in a run's folder: what its processes took, compiling included
ENSEMBLE = "--num-critics 10 --aggregate 0.5"


class Entry(NamedTuple):
    """A method: its knob, the values tried, and what an update takes with each."""

    method: str
    setting: str
    values: tuple[float, ...]
    cost: tuple[float, ...]  # ms of one core: least of six calls of 100 updates
    others: str = ""  # options of every run

    def updates(self, value: float, seconds: float) -> int:
        """As many as that time of a core makes, in whole calls of 500."""
        return 500 * round(2 * seconds / self.cost[self.values.index(value)])


class Score(NamedTuple):
    """The success of one seed at the end."""

    task: str  # of TASKS
    size: str  # of SIZES
    method: str
    setting: str
    value: float
    seed: int
    updates: int
    core_seconds: float  # of the run, a share for each of its seeds
    episodes: int
    successes: int


ENTRIES = {
    "rewards": (
        Entry("qc", "candidates", (4, 8, 16, 32), (2.25, 4.46, 5.31, 9.67), ENSEMBLE),
        Entry("qc_fql", "alpha", (30, 100, 300, 1000), (2.08,) * 4, ENSEMBLE),
        Entry("fedit", "edit_scale", (0.1, 0.3, 0.5, 0.9), (2.25,) * 4),
        Entry("dsrl", "latent_scale", (0.4, 0.7, 1.0, 1.4), (2.0,) * 4),
        Entry("qam", "beta", (0.3, 1, 3, 10), (3.83,) * 4, "--flow-steps 10"),
    ),
    "goals": (
        Entry("gciql", "alpha", (0.3, 1, 3, 10), (0.58,) * 4),
        Entry("gcsacbc_n", "alpha", (0.03, 0.1, 0.3, 1), (0.52,) * 4),
        Entry("sharsa", "horizon", (5, 10, 25, 50), (0.59,) * 4, "--candidates 8"),
        Entry("dqc", "kappa_b", (0.5, 0.7, 0.9, 0.97), (0.78,) * 4, "--candidates 8"),
        Entry("mac", "candidates", (2, 4, 8, 16), (2.7, 3.36, 4.67, 7.3)),
    ),
}
# As long as those, but with two critics: ten of every prefix would leave it a fifth of the updates.
ALSO = {
    "rewards": (Entry("acsac", "candidates", (2, 4, 8, 16), (3.92, 5.85, 11.53, 23.7)),),
    "goals": (),
}
FLOW = "--flow-steps 5 --lr 3e-4"
# Those with rewards act by one rule for the critics, as above: half of their spread is taken off.
LARGER = {
    "rewards": (
        Entry("dsrl", "latent_scale", (0.4,), (17.33,), FLOW),
        Entry("qc", "candidates", (8,), (29.78,), f"{FLOW} --aggregate 0.5"),
        Entry("qc_fql", "alpha", (1000,), (12.87,), f"{FLOW} --aggregate 0.5"),
        Entry("fedit", "edit_scale", (0.1,), (15.36,), FLOW),
        Entry("qam", "beta", (3,), (48.48,), "--flow-steps 10 --lr 3e-4"),
    ),
    "goals": (
        Entry("dqc", "kappa_b", (0.9,), (12.85,), f"{FLOW} --candidates 8"),
        Entry("gciql", "alpha", (1,), (11.92,), "--lr 3e-4"),
        Entry("sharsa", "horizon", (25,), (10.01,), f"{FLOW} --candidates 8"),
        Entry("gcsacbc_n", "alpha", (0.1,), (10.21,), "--lr 3e-4"),
        Entry("mac", "candidates", (4,), (35.28,), FLOW),
    ),
}


@cache
def load() -> tuple[Score, ...]:
    """Every stored score.  Raises DataError."""
    kinds = Score.__annotations__
    read = lambda row: Score(*(kinds[name](row[name]) for name in Score._fields))
    return tuple(stored.rows(FILE, read, COMMAND))


def usual(method: str, setting: str) -> float:
    """What the method takes where nobody tunes it: tuned by a paper for cube-single, or default."""
    known = methods.named(method)
    return known.settings("cube-single", known.presets["paper"]).get(
        setting, known.parameters[setting][1]
    )


def best(task: str, method: str, scores: tuple[Score, ...] | None = None) -> float:
    """The value of most successes on the seeds for tuning; of equals the nearest to the `usual`."""
    total: dict[float, int] = {}
    for score in sorted(load() if scores is None else scores):
        if (score.task, score.method) == (task, method) and score.seed in TUNING:
            total[score.value] = total.get(score.value, 0) + score.successes
    if not total:
        raise ConfigError(f"nothing of {method!r} was tuned on the task with {task}")
    (setting,) = (entry.setting for entry in tuned(task) if entry.method == method)
    near = usual(method, setting)
    return max(total, key=lambda value: (total[value], -abs(np.log(value / near))))


def reported(task: str, plan: Mapping[str, tuple[Entry, ...]] | None = None) -> dict:
    """Success of each reported seed, of the methods of `plan`.  -> method -> [S]"""
    found = {}
    for entry in (ENTRIES if plan is None else plan)[task]:
        of = (task, size_of(task, entry), entry.method)
        rates = [
            score.successes / score.episodes
            for score in load()
            if (score.task, score.size, score.method) == of and score.seed in SEEDS
        ]
        if rates:
            found[entry.method] = np.array(rates)
    return found


def tried(task: str, method: str) -> dict[float, float]:
    """Success of the seeds for tuning.  -> value of the knob -> rate"""
    (entry,) = (entry for entry in tuned(task) if entry.method == method)
    known = [s for s in load() if (s.task, s.method) == (task, method) and s.seed in TUNING]
    return {
        value: float(np.mean([s.successes / s.episodes for s in known if s.value == value]))
        for value in entry.values
    }


def tuned(task: str) -> tuple[Entry, ...]:
    """All of whose knobs four values are tried."""
    return (*ENTRIES[task], *ALSO[task])


def size_of(task: str, entry: Entry) -> str:
    """The size at which the plan has it."""
    return "laptop" if entry in LARGER[task] else "coffee"


def seconds_of(task: str, entry: Entry, seeds: tuple[int, ...] = SEEDS) -> int:
    """How long a core works on the updates of one seed."""
    return LONGER if entry in LARGER[task] else SECONDS[task][seeds]


def lines(task: str, plan: Mapping[str, tuple[Entry, ...]]) -> Iterator[str]:
    """What each method of `plan` reached, best first: percent, and its 95% interval over seeds."""
    from chunkrl.experiments.report import spelled

    found = reported(task, plan)
    for entry in sorted(plan[task], key=lambda entry: -found[entry.method].mean()):
        rates, value = 100 * found[entry.method], best(task, entry.method)
        (low, high), each = mean_interval(rates), " ".join(f"{rate:.0f}" for rate in rates)
        made = entry.updates(value, seconds_of(task, entry))
        yield (
            f"{spelled(entry.method):13s}{rates.mean():4.0f} [{low:.0f}, {high:.0f}]  seeds: {each}"
            f"  ({entry.setting} {value:g}, {made:,} updates)"
        )


def run(folder: Path, task: str, entry: Entry, value: float, seeds: tuple[int, ...]):
    """A run of the plan, to be made in a process of its own.  -> Cell"""
    from chunkrl.experiments.sweep import Cell

    size = size_of(task, entry)
    updates = entry.updates(value, seconds_of(task, entry, seeds))
    listed = " ".join(map(str, seeds))
    place = folder / f"{task}-{entry.method}-{value:g}-{listed.replace(' ', '-')}"
    if size != "coffee":
        place = place.with_name(f"{place.name}-{size}")
    words = (
        f"{entry.method.replace('_', '-')} --task {TASKS[task]} {SIZES[size]} {entry.others}"
        f" --workers 0 --{entry.setting.replace('_', '-')} {value:g} --updates {updates}"
        f" --evaluate-every {updates} --episodes {EPISODES[seeds]} --seeds {listed}"
        f" --folder {place}"
    )
    return Cell(tuple(words.split()), place, updates)


def scores(folder: Path, task: str, entry: Entry, value: float, seeds: tuple[int, ...]):
    """What a run says at its end; nothing where it is not done.  -> scores"""
    from chunkrl.train import runs

    cell = run(folder, task, entry, value, seeds)
    if cell.state()[0] != "done":
        return
    took = sum(map(float, (cell.folder / TIME).read_text().split())) / len(seeds)
    for row in runs.read_rows(cell.folder):
        if row["step"] == cell.steps:
            episodes = row["episodes"]
            yield Score(
                task, size_of(task, entry), entry.method, entry.setting, value, row["seed"],
                cell.steps, round(took, 1), episodes, round(row["success"] * episodes),
            )  # fmt: skip


def train(cell) -> None:
    """Make a run that is not done, and note what it took."""
    if cell.state()[0] == "done":
        return
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        cell()
    finally:
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        with open(cell.folder / TIME, "a") as file:
            file.write(f"{took:.1f}\n")


def every(folder: Path) -> Iterator[Score]:
    """The scores of all that is done in `folder`."""
    for task in ENTRIES:
        for entry in tuned(task):
            for value in entry.values:
                for seeds in (TUNING, SEEDS):
                    yield from scores(folder, task, entry, value, seeds)
        for entry in LARGER[task]:
            yield from scores(folder, task, entry, entry.values[0], SEEDS)


def picture() -> bytes:
    """Each reported seed's success, a panel for a task, and below at laptop size.  -> png"""
    from chunkrl.experiments.report import spelled

    panels = []
    for title, plan in (("", ENTRIES), ("larger networks, ", LARGER)):
        for task, entries in ENTRIES.items():
            rates, listed = reported(task, plan), [entry.method for entry in entries]
            named = {spelled(m).replace(" ", "\n"): rate for m, rate in rates.items()}
            marks = [listed.index(method) for method in rates]
            if rates:
                panels.append(Panel(f"{title}the task with {task}", "", named, marks))
    return seeds_picture.draw(*panels)


def main(
    folder: Path, /, tasks: tuple[str, ...] = tuple(TASKS), figure: Path | None = None
) -> None:
    """Make what is not done of the plan in FOLDER, and store the scores in the package.

    Of no `tasks` it makes nothing, and stores what is done.
    """
    for task in tasks:
        if task not in TASKS:
            raise ConfigError(f"there is no task {task!r}; choose from {', '.join(TASKS)}")
    for task in tasks:
        for entry in tuned(task):
            for value in entry.values:
                train(run(folder, task, entry, value, TUNING))
        for entry in tuned(task):
            found = tuple(every(folder))
            train(run(folder, task, entry, best(task, entry.method, found), SEEDS))
        for entry in LARGER[task]:
            train(run(folder, task, entry, entry.values[0], SEEDS))
    stored.save_rows(FILE, Score._fields, sorted(every(folder)))
    if figure is not None:
        load.cache_clear()
        disk.write(figure, lambda file: file.write(picture()))


if __name__ == "__main__":
    command.run(main, "python -m chunkrl.results.extractions")
