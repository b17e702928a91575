"""A run's folder: config.json, metrics.csv and checkpoint.npz, each replaced in one step."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from chunkrl import checkpoint
from chunkrl.data import files
from chunkrl.errors import TrainingError

INTEGERS = ("step", "seed", "episodes")
CONFIG, METRICS, CHECKPOINT = "config.json", "metrics.csv", "checkpoint.npz"


def summary(result: Any) -> dict:
    """The columns of an `Evaluation`: success with its 95% interval, mean return and length."""
    low, high = result.interval
    return {
        "episodes": len(result.success),
        "success": float(result.success_rate),
        "success_low": float(low),
        "success_high": float(high),
        "return": float(result.episode_return.mean()),
        "length": float(result.length.mean()),
        **{f"success_goal{goal}": rate for goal, rate in result.goal_success.items()},
    }


def write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=2) + "\n"
    files.write(path, lambda file: file.write(text.encode()))


def write_csv(path: Path, rows: list[dict]) -> None:
    """One line per row; a column is empty where a row does not have it."""
    columns = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    files.write(path, lambda file: file.write(text.getvalue().encode()))


def read_rows(folder: str | Path) -> list[dict]:
    """The rows of metrics.csv: numbers, without the empty columns."""
    path = Path(folder) / METRICS
    if not path.is_file():
        return []
    with open(path, newline="") as file:
        return [
            {k: int(v) if k in INTEGERS else float(v) for k, v in row.items() if v}
            for row in csv.DictReader(file)
        ]


def read_config(folder: str | Path) -> dict:
    """What `train.fit` stored about the run in `folder`.  Raises TrainingError if there is none."""
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise TrainingError(f"{folder} is not a run: it has no {CONFIG}; `chunkrl train` makes one")
    return json.loads(path.read_text())


def resume(folder: Path, config: dict, states: Any) -> tuple[Any, list[dict], int]:
    """The states, rows and step to go on from; those of a fresh run where there is no checkpoint.

    Raises TrainingError where `folder` holds a run of another configuration.
    """
    config = json.loads(json.dumps(config))
    if (folder / CONFIG).exists():
        stored = read_config(folder)
        for name in sorted((stored.keys() | config.keys()) - {"versions"}):
            if stored.get(name) != config.get(name):
                raise TrainingError(
                    f"{folder} holds a run with {name} = {stored.get(name)!r}, not "
                    f"{config.get(name)!r}: choose another folder, or delete this one"
                )
    else:
        write_json(folder / CONFIG, config)
    if not (folder / CHECKPOINT).exists():
        return states, [], 0
    states, description = checkpoint.load(folder / CHECKPOINT, states)
    rows = [row for row in read_rows(folder) if row["step"] <= description["step"]]
    return states, rows, description["step"]
