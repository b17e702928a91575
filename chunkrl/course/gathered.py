"""The reader's own training runs, gathered across settings in one table."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from chunkrl.course import record
from chunkrl.errors import ConfigError
from chunkrl.statistics import mean_interval

if TYPE_CHECKING:
    from chunkrl.course import Note
    from chunkrl.experiments.experiment import Experiment


class Run(NamedTuple):
    """One training run: what was set, and what came of it."""

    method: str
    task: str
    preset: str
    h: int  # actions of a chunk
    N: int  # candidates
    alpha: float  # 0 where the method has none
    updates: int
    seeds: tuple[int, ...]
    success: tuple[float, ...]  # of each seed, at its last evaluation
    episodes: int  # of each seed
    minutes: float

    @property
    def recipe(self) -> tuple[Any, ...]:
        """What was set, seeds included: a run of the same recipe takes this one's place."""
        return self[: Run._fields.index("success")]


def path() -> Path:
    """`runs.json` beside the progress file."""
    return record.path().with_name("runs.json")


def of(result: "Experiment", minutes: float) -> Run:
    """What there is to tell about a finished experiment.  Raises ConfigError."""
    evaluated = [row for row in result.rows if "success" in row]
    if not evaluated:
        raise ConfigError("this run was never evaluated: nothing can be said about its success")
    last = max(row["step"] for row in evaluated)
    final = {row["seed"]: row for row in evaluated if row["step"] == last}
    agent: Any = result.agent
    return Run(
        result.config["method"], result.config["task"], result.config["preset"],
        int(agent.chunk), int(getattr(agent, "candidates", 1)),
        float(getattr(agent.policy, "alpha", 0.0)), int(last), tuple(final),
        tuple(float(row["success"]) for row in final.values()),
        int(result.config["episodes"]), round(float(minutes), 2),
    )  # fmt: skip


def load() -> tuple[list[Run], str]:
    """Every run that was kept, and a sentence about a file that could not be used."""
    file = path()
    try:
        return [_checked(entry) for entry in json.loads(file.read_text(encoding="utf-8"))], ""
    except FileNotFoundError:
        return [], ""
    except OSError as error:
        return [], f"Earlier runs could not be read: {error}."
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError):
        return [], record.set_aside(file)


def _checked(entry: dict[str, Any]) -> Run:
    """A run out of a file that anybody may have edited.  Raises ValueError, TypeError, KeyError."""
    words = {name: str(entry[name]) for name in ("method", "task", "preset")}
    counts = {name: int(entry[name]) for name in ("h", "N", "updates", "episodes")}
    sizes = {name: float(entry[name]) for name in ("alpha", "minutes")}
    seeds = tuple(int(seed) for seed in entry["seeds"])
    success = tuple(float(rate) for rate in entry["success"])
    if not seeds or len(seeds) != len(success):
        raise ValueError(f"{len(seeds)} seeds with {len(success)} results")
    if not all(0 <= rate <= 1 for rate in success):
        raise ValueError("a success rate lies between 0 and 1")
    if min(counts.values()) < 1 or not np.isfinite(list(sizes.values())).all():
        raise ValueError("a run has whole counts and finite sizes")
    known: dict[str, Any] = {**words, **counts, **sizes}
    return Run(**known, seeds=seeds, success=success)


def keep(result: "Experiment", minutes: float) -> str:
    """Add a finished experiment to the file; "" or a sentence about the file."""
    runs, notice = load()
    new = of(result, minutes)
    runs = [*(run for run in runs if run.recipe != new.recipe), new]
    text = json.dumps([run._asdict() for run in runs], indent=1)
    return f"{notice} {record.save(path(), text)}".strip()


def table() -> "Note":
    """All runs that were kept: by task and size, the best mean first."""
    from chunkrl.course import Note

    runs, notice = load()
    header = ("method", "h", "N", "alpha", "preset", "updates", "seeds", "success", "minutes")
    order = sorted(runs, key=lambda run: (run.task, run.updates, -np.mean(run.success)))
    lines = [header, *(_cells(run) for run in order)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    text = "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    heading = "Your runs." if runs else "Your runs: none yet."
    return Note(heading, notice, code=text)


def _cells(run: Run) -> tuple[str, ...]:
    from chunkrl.play.evaluate import wilson

    mean = float(np.mean(run.success))
    if len(run.seeds) > 1:
        low, high = np.clip(mean_interval(np.array(run.success)), 0.0, 1.0)
        over = "over seeds"
    else:
        low, high = wilson(round(mean * run.episodes), run.episodes)
        over = "of its episodes"
    return (
        run.method, str(run.h), str(run.N), f"{run.alpha:g}" if run.alpha else "-", run.preset,
        str(run.updates), " ".join(map(str, run.seeds)),
        f"{mean:.0%} [{low:.0%}, {high:.0%}] {over}", f"{run.minutes:.1f}",
    )  # fmt: skip
