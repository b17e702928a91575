"""A run's folder: config.json, metrics.csv and checkpoint.npz, each replaced in one step."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from chunkrl import disk
from chunkrl.errors import TrainingError
from chunkrl.train import checkpoint

INTEGERS = ("step", "seed", "episodes")
CONFIG, METRICS, CHECKPOINT = "config.json", "metrics.csv", "checkpoint.npz"
EVALUATION = "evaluation.json"
PROTOCOL = ("seed", "step", "execute", "success_timing", "episode_seed", "episodes")


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
    disk.write(path, lambda file: file.write(text.encode()))


def add_evaluations(folder: Path, results: list[dict]) -> None:
    """Add `results` to evaluation.json, in place of those that were found in the same way."""
    path = folder / EVALUATION
    way = lambda result: [result.get(name) for name in PROTOCOL]
    old = json.loads(path.read_text()) if path.is_file() else []
    new = [way(result) for result in results]
    write_json(path, [result for result in old if way(result) not in new] + results)


def write_csv(path: Path, rows: list[dict]) -> None:
    """One line per row; a column is empty where a row does not have it."""
    columns = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    disk.write(path, lambda file: file.write(text.getvalue().encode()))


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
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise TrainingError(f"{path} is damaged ({error}): train into another folder") from error


def require_same(folder: Path, config: dict, stored: Iterable[str] = ()) -> None:
    """Raise TrainingError where `folder` holds a run with another value of anything in `config`.

    Names of `stored` that `config` lacks differ too.  The versions of packages may.
    """
    if not (folder / CONFIG).exists():
        return
    theirs, ours = read_config(folder), json.loads(json.dumps(config))
    names = sorted((ours.keys() | set(stored)) - {"versions", "agent"})
    for name in [*names, *({"agent"} & ours.keys())]:  # it follows from the others: last
        for what, old, new in _differences(name, theirs.get(name), ours.get(name)):
            raise TrainingError(
                f"{folder} holds a run with {what} = {old!r}, not {new!r}: choose another folder,"
                " or delete this one"
            )


def _differences(name: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Where two values differ, inside dictionaries by key: "settings.horizon", 5, 10."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(f"{name}.{key}", old.get(key), new.get(key))
    elif old != new and name == "agent":  # long texts: what differs first
        pairs = zip(str(old).split(", "), str(new).split(", "), strict=False)
        yield next(((name, a, b) for a, b in pairs if a != b), (name, old, new))
    elif old != new:
        yield name, old, new


def resume(folder: Path, config: dict, states: Any) -> tuple[Any, list[dict], int]:
    """The states, rows and step to go on from; those of a fresh run where there is no checkpoint.

    Raises TrainingError where `folder` holds a run of another configuration.
    """
    config = json.loads(json.dumps(config))
    if (folder / CONFIG).exists():
        require_same(folder, config, read_config(folder).keys())
    else:
        write_json(folder / CONFIG, config)
    if not (folder / CHECKPOINT).exists():
        return states, [], 0
    states, description = checkpoint.load(folder / CHECKPOINT, states)
    rows = [row for row in read_rows(folder) if row["step"] <= description["step"]]
    if not rows:
        raise TrainingError(f"{folder} has a checkpoint but no {METRICS}: train into another one")
    return states, rows, description["step"]
