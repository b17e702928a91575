"""Runs that went on online: each seed's success before and after, and where its hand went.

Made from the folders of finished runs, `chunkrl train METHOD --preset coffee --updates 10000
--online 30000 --evaluate-every 5000 --seeds SEED` each (RLPD and RLPD-AC with `--updates 0`):
`python -m chunkrl.results.online_runs RUN_FOLDERS`; with `--figure FILE.png` in their place it
draws the success by the chunk's length that is stored.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chunkrl import command, disk
from chunkrl.errors import ConfigError
from chunkrl.measure import traces
from chunkrl.results import seeds_picture, stored
from chunkrl.results.real_data import EFFECTOR, metres
from chunkrl.results.seeds_picture import Panel
from chunkrl.train.online import FOLDER
from chunkrl.types import Dataset

COMMAND = "python -m chunkrl.results.online_runs RUN_FOLDERS"
HERE = Path(__file__).parent / "data"
CURVES, MOTION = HERE / "online_runs.csv", HERE / "online_coherency.csv"
BIN = 5_000  # steps of acting; an episode belongs to the bin in which it begins
STEPS = 30_000  # of acting, that every run has: of those that went on, motion is looked at so far
EVERY = 5  # steps between noted positions, as in the paper
EARLY = 40  # steps of "the first steps": before most successes end an episode
OFFLINE, ONLINE = "offline", "online"
LENGTHS = {1: "fql", 2: "qc_fql_h2", 5: "qc_fql", 10: "qc_fql_h10", 25: "qc_fql_h25"}
ALL, SUCCESSFUL, BEGINNINGS = "all episodes", "successful ones only", f"first {EARLY} steps of all"


class Evaluation(NamedTuple):
    """One seed's evaluation, and the episodes that it collected since the one before."""

    method: str  # "qc_fql_h2" where the chunk length is not the method's own
    seed: int
    phase: str
    step: int  # updates and steps of acting so far
    online: int  # of these, steps of acting
    episodes: int
    successes: int
    collected: int
    collected_successes: int


class Motion(NamedTuple):
    """How the hand moved in the episodes that one seed collected, means of the episodes."""

    method: str
    seed: int
    begin: int  # first step of the bin
    over: str
    episodes: int
    way: float  # mean distance of positions 5 steps apart [cm]; nan without an episode
    cosine: float  # between one such move and the next


def reader(kind: Any) -> Callable[[dict[str, str]], Any]:
    types = kind.__annotations__
    return lambda row: kind(**{name: types[name](row[name]) for name in kind._fields})


@cache
def load_curves() -> tuple[Evaluation, ...]:
    """Every stored evaluation.  Raises DataError."""
    return tuple(stored.rows(CURVES, reader(Evaluation), COMMAND))


@cache
def load_motion() -> tuple[Motion, ...]:
    """Every stored bin.  Raises DataError."""
    return tuple(stored.rows(MOTION, reader(Motion), COMMAND))


def evaluations(name: str, rows: list[dict]) -> Iterator[Evaluation]:
    """Those among the rows of a run's metrics."""
    met: dict[int, list[float]] = {}  # seed -> collected since the last evaluation, successes
    for row in rows:
        so_far = met.setdefault(row["seed"], [0, 0])
        so_far[0] += (collected := row.get("collected", 0))
        so_far[1] += collected * row.get("collected_success", 0)
        if "success" in row:
            acted = row.get("online", 0)
            yield Evaluation(
                name,
                row["seed"],
                ONLINE if acted else OFFLINE,
                row["step"],
                acted,
                row["episodes"],
                round(row["success"] * row["episodes"]),
                int(so_far[0]),
                round(so_far[1]),
            )
            met[row["seed"]] = [0, 0]


def episodes(rows: Dataset) -> Iterator[tuple[int, bool, np.ndarray]]:
    """The first step of every finished episode, whether it succeeded, and the hand's path [m]."""
    ends = np.flatnonzero(rows.terminal)
    for first, last in zip(np.r_[0, ends + 1][: len(ends)], ends, strict=True):
        seen = np.concatenate([rows.obs[first : last + 1], rows.next_obs[last : last + 1]])
        yield int(first), bool(rows.mask[last] == 0), metres(seen[:, EFFECTOR])


def motions(name: str, seed: int, rows: Dataset) -> Iterator[Motion]:
    """Way and direction of the hand by bin.  An episode of less than two moves has neither."""
    paths = [episode for episode in episodes(rows) if len(episode[2]) > 2 * EVERY]
    for begin in range(0, len(rows.terminal), BIN):
        inside = [(done, path) for first, done, path in paths if begin <= first < begin + BIN]
        for over, kept in (
            (ALL, [path for _, path in inside]),
            (SUCCESSFUL, [path for done, path in inside if done]),
            (BEGINNINGS, [path[: EARLY + 1] for _, path in inside]),
        ):
            way = [100 * traces.coherency(path, EVERY) for path in kept]
            cosine = [traces.direction(path, EVERY) for path in kept]
            mean = lambda values: round(float(np.mean(values)), 4) if values else float("nan")
            yield Motion(name, seed, begin, over, len(kept), mean(way), mean(cosine))


def collected(folder: Path) -> list[Dataset]:
    """What each seed of the run in `folder` collected, in order.  Raises DataError."""
    files = sorted((folder / FOLDER).glob("*.npz"))
    if not files:
        raise ConfigError(f"{folder} holds nothing that was collected: train it with --online")
    parts = [disk.read(file, Dataset._fields) for file in files]
    whole = {k: np.concatenate([part[k] for part in parts], axis=1) for k in Dataset._fields}
    return [Dataset(*(whole[k][i] for k in Dataset._fields)) for i in range(len(whole["obs"]))]


def by_length() -> dict[int, np.ndarray]:
    """Success of each seed after STEPS of acting.  chunk's length -> [S]"""
    ends = [row for row in load_curves() if row.online == STEPS]
    return {
        h: np.array([row.successes / row.episodes for row in ends if row.method == name])
        for h, name in LENGTHS.items()
    }


def picture() -> bytes:
    """Success of every seed by the chunk's length.  -> png"""
    title = f"after {STEPS:,} steps of acting"
    rates = {str(h): rates for h, rates in by_length().items()}
    return seeds_picture.draw(Panel(title, "chunk's length h (1: FQL; else QC-FQL)", rates))


def main(folders: tuple[Path, ...] = (), /, figure: Path | None = None) -> None:
    """Read the metrics and the collected transitions in RUN_FOLDERS; store both in the package."""
    from chunkrl.experiments import experiment

    if bool(folders) == (figure is not None):
        raise ConfigError("name folders of runs, or --figure FILE.png alone")
    if figure is not None:
        disk.write(figure, lambda file: file.write(picture()))
        return
    rows: list[Evaluation] = []
    motion: list[Motion] = []
    for folder in folders:
        run = experiment.load(folder)
        chunk = run.config["settings"].get("horizon")
        name = run.config["method"] + (f"_h{chunk}" if chunk else "")
        rows += evaluations(name, run.rows)
        for seed, met in zip(run.config["seeds"], collected(folder), strict=True):
            motion += motions(name, seed, Dataset(*(x[:STEPS] for x in met)))
        print(f"{folder}: {len(rows)} evaluations, {len(motion)} means of motion", flush=True)
    stored.save_rows(CURVES, Evaluation._fields, sorted(rows))
    stored.save_rows(MOTION, Motion._fields, sorted(motion, key=lambda m: m[:4]))


if __name__ == "__main__":
    command.run(main, "python -m chunkrl.results.online_runs")
