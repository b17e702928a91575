"""A run's folder: config.json, metrics.csv and checkpoint.npz, each replaced in one step.

The checkpoint is the truth: it holds the states, the step, every row of metrics and the name of the
run, `name(config)`.  metrics.csv shows its rows to people and is written after it, from it.
"""

import csv
import hashlib
import importlib.metadata
import io
import json
import math
import reprlib
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from numbers import Real
from pathlib import Path
from typing import Any, SupportsFloat

from chunkrl import disk, locks
from chunkrl.errors import ChunkRLWarning, ConfigError, DataError, TrainingError, WriteError
from chunkrl.train import checkpoint

INTEGERS = ("step", "seed", "episodes", "online", "collected")
CONFIG, METRICS, CHECKPOINT = "config.json", "metrics.csv", "checkpoint.npz"
EVALUATION, LOCK = "evaluation.json", ".lock"
PROTOCOL = (
    "seed", "step", "execute", "success_timing", "episode_seed", "episodes", "delay", "rtc",
)  # fmt: skip

# What config.json holds under a name, where it holds the name.
WHAT = {
    "agent": str, "batch_size": int, "every": int, "evaluate_every": int | None, "seeds": list[int],
    "data": dict[str, Any], "method": str, "task": str, "preset": str, "settings": dict[str, Any],
    "success_timing": str, "episodes": int, "data_file": str, "data_path": str,
    "versions": dict[str, str], "normaliser": dict[str, list[Real]], "shipped": dict[str, str],
}  # fmt: skip
PLAYER = {"episode": int, "taken": int, "queue": list[list[Real]]}  # of a seed that acts
CIRCUMSTANCES = {"versions", "data_path"}  # what may differ when the same run goes on

SHORT = reprlib.Repr()  # for values in a sentence
SHORT.maxlevel, SHORT.maxstring, SHORT.maxother = 3, 120, 120


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


def rate(success: SupportsFloat) -> str:
    """A success rate in words: a percentage, or "unknown" where no environment said it."""
    return "unknown" if math.isnan(success) else f"{success:.0%}"


def in_words(row: dict) -> str:
    """The success of a `summary` with its interval: "50% [9%, 91%]"."""
    bounds = f" [{rate(row['success_low'])}, {rate(row['success_high'])}]"
    return rate(row["success"]) + ("" if math.isnan(row["success"]) else bounds)


def after(row: dict) -> str:
    """How far a row of metrics is: "200 updates", "200 updates and 5000 steps online"."""
    online = row.get("online", 0)
    return f"{row['step'] - online} updates" + (f" and {online} steps online" if online else "")


def by_goal(row: dict) -> str:
    """The success rate for each goal, where the task has goals."""
    rates = [rate(x) for name, x in row.items() if name.startswith("success_goal")]
    return f", by goal {' '.join(rates)}" if rates else ""


def versions() -> dict[str, str]:
    """The installed versions that a result depends on."""
    found = {}
    for package in ("chunkrl", "jax", "flax", "optax", "ogbench", "mujoco", "numpy"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def warn_of_versions(folder: Path, config: dict) -> None:
    """Say in one line which packages are not those that the run in `folder` began with."""
    now = versions()
    other = [
        f"{package} {old} (here {now[package]})"
        for package, old in config.get("versions", {}).items()
        if now.get(package, old) != old
    ]
    if other:
        text = f"{folder} began with {', '.join(other)}: its numbers may differ in the last digits"
        warnings.warn(text, ChunkRLWarning, stacklevel=3)


def read_json(path: Path) -> Any:
    """What a JSON file holds.  Raises TrainingError, naming it, where it is damaged."""
    try:
        return disk.read_json(path)
    except DataError as error:
        raise TrainingError(f"{error}: bring it back, or choose another folder") from error


def read_evaluations(folder: Path) -> list[dict]:
    """What evaluation.json holds, nothing where there is none.  Raises TrainingError."""
    path = folder / EVALUATION
    found = read_json(path) if path.exists() else []
    if not is_a(list[dict[str, Any]], found):
        raise TrainingError(f"{path} is not a list of evaluations: move it out of the way")
    return found


def add_evaluations(folder: Path, results: list[dict]) -> None:
    """Add `results` to evaluation.json, in place of those that were found in the same way.

    One process at a time, so that none loses what another adds.
    """
    way = lambda result: [result.get(name) for name in PROTOCOL]
    new = [way(result) for result in results]
    lock, doing = folder / f".{EVALUATION}.lock", f"adds to {folder / EVALUATION}"
    with disk.writing(folder), locks.hold(lock, doing, note=lambda _: None):  # for milliseconds
        disk.sweep(folder, EVALUATION)
        old = [result for result in read_evaluations(folder) if way(result) not in new]
        if results:
            disk.write_json(folder / EVALUATION, old + results)


def write_csv(path: Path, rows: list[dict]) -> None:
    """One line per row; a column is empty where a row does not have it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, dict.fromkeys(name for row in rows for name in row))
    writer.writeheader()
    writer.writerows(rows)
    disk.write(path, lambda file: file.write(text.getvalue().encode()))


def read_rows(folder: str | Path) -> list[dict]:
    """The rows of metrics.csv: numbers, without the empty columns.  Raises TrainingError."""
    path = Path(folder) / METRICS
    if not path.exists():
        return []
    try:
        with open(path, newline="") as file:
            rows = [
                {k: int(v) if k in INTEGERS else float(v) for k, v in row.items() if v}
                for row in csv.DictReader(file, strict=True)
            ]
        if not all({"step", "seed"} <= row.keys() for row in rows):
            raise ValueError("a row has no step or no seed")
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise TrainingError(
            f"{path} is damaged ({error}): delete it, and `chunkrl train` writes it anew"
        ) from error
    return rows


def read_config(folder: str | Path, needs: Iterable[str] = ()) -> dict:
    """What `train.fit` stored about the run in `folder`, of the types in WHAT.

    Raises TrainingError where there is none, where it is damaged and where it lacks one of `needs`.
    """
    path = Path(folder) / CONFIG
    if not path.is_file():
        if (path.parent / CHECKPOINT).exists():
            raise TrainingError(
                f"{folder} has a checkpoint but no {CONFIG}, which says of what: bring it back, or"
                " choose another folder"
            )
        raise TrainingError(f"{folder} is not a run: it has no {CONFIG}; `chunkrl train` makes one")
    config = read_json(path)
    if not isinstance(config, dict):
        raise TrainingError(f"{path} is {SHORT.repr(config)}, which describes no run")
    for key in sorted(WHAT.keys() & config.keys()):
        if not is_a(WHAT[key], config[key]):
            raise TrainingError(f"{path}: {key} = {SHORT.repr(config[key])} is not as a run has it")
    seeds = config.get("seeds", [0])
    if not seeds or len(set(seeds)) < len(seeds) or not 0 <= min(seeds) <= max(seeds) < 2**31:
        raise TrainingError(f"{path}: seeds = {SHORT.repr(seeds)} are not those of a run")
    for key in set(needs) - config.keys():
        raise TrainingError(f"{path} lacks {key!r}: bring it back, or train into another folder")
    return config


def is_a(kind: Any, value: Any) -> bool:
    """Whether `value`, out of JSON, is of the type `kind`; True and False are no numbers."""
    arguments = getattr(kind, "__args__", ())
    if kind is Any or value is None:
        return kind is Any or type(None) in arguments
    if isinstance(kind, type(int | None)):
        return any(is_a(one, value) for one in arguments if one is not type(None))
    origin = getattr(kind, "__origin__", kind)
    if not isinstance(value, origin) or isinstance(value, bool):
        return False
    inside = value.values() if isinstance(value, dict) else value if arguments else ()
    return all(is_a(arguments[-1], x) for x in inside) if arguments else True


def plain(config: dict) -> dict:
    """`config` as JSON gives it back.  Raises ConfigError for what JSON does not know."""
    try:
        return json.loads(json.dumps(config))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"config = {SHORT.repr(config)} cannot be kept as JSON ({error}): give texts, Python's"
            " numbers, lists and dictionaries"
        ) from None


def name(config: dict) -> str:
    """A hash of everything in a run's configuration but CIRCUMSTANCES."""
    same = {k: v for k, v in config.items() if k not in CIRCUMSTANCES}
    text = json.dumps(same, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def require_same(folder: Path, config: dict, whole: bool = False) -> None:
    """Raise TrainingError where `folder` holds a run with another value of anything in `config`.

    If `config` is the `whole` of it, what the run has beyond that differs too.  CIRCUMSTANCES may.
    """
    if not any((folder / file).exists() for file in (CONFIG, CHECKPOINT)):
        return
    theirs, ours = read_config(folder), plain(config)
    names = (ours.keys() | theirs.keys() if whole else ours.keys()) - CIRCUMSTANCES
    for key in sorted(names, key=lambda key: (key == "agent", key)):  # which follows from the rest
        _require_equal(folder, key, theirs.get(key), ours.get(key))


def _require_equal(folder: Path, name: str, old: Any, new: Any) -> None:
    """Raise TrainingError where two values differ, telling what differs first."""
    for what, theirs, ours in _differences(name, old, new):
        raise TrainingError(
            f"{folder} holds a run with {what} = {SHORT.repr(theirs)}, not {SHORT.repr(ours)}:"
            " choose another folder, or delete this one"
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


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Train in `folder` alone.  Raises BusyError, which names the process that does already."""
    with ExitStack() as stack:
        with disk.writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locks.hold(folder / LOCK, f"trains in {folder}"))
        for file in (CONFIG, METRICS, CHECKPOINT):
            disk.sweep(folder, file)
        yield


def resume(
    folder: Path, config: dict, states: Any, online: dict | None = None
) -> tuple[Any, list[dict], int, list[dict]]:
    """The states, rows and step to go on from; those of a fresh run where there is no checkpoint.

    And where the environments were, if the run acts by the settings `online`.  For whoever holds
    `folder`.  Raises TrainingError where it holds a run of another configuration.
    """
    require_same(folder, config, whole=True)
    if not (folder / CONFIG).exists():
        disk.write_json(folder / CONFIG, config)
    elif name(read_config(folder)) != name(config):  # such as a name with the value null
        raise TrainingError(f"{folder / CONFIG} was changed: bring it back, or delete this folder")
    if not (folder / CHECKPOINT).exists():
        return states, [], 0, []
    states, rows, step = restore(folder, states)
    description = checkpoint.describe(folder / CHECKPOINT)
    theirs, players = description.get("online"), description.get("players", [])
    shaped = is_a(dict[str, Any] | None, theirs) and is_a(list[dict[str, Any]], players)
    wanted = [(player, key) for player in (players if shaped else ()) for key in PLAYER]
    count = len(config["seeds"]) if theirs else 0
    fine = shaped and len(players) == count
    if not fine or not all(is_a(PLAYER[key], player.get(key)) for player, key in wanted):
        raise TrainingError(
            f"{folder / CHECKPOINT} does not say where its environments were: bring it back, or"
            " choose another folder"
        )
    if theirs and online is None:
        raise TrainingError(
            f"{folder} holds a run that acts and learns online since update {theirs['updates']}:"
            " say with `online` for how many steps, or choose another folder"
        )
    if theirs:
        _require_equal(folder, "online", theirs, online)
    write_csv(folder / METRICS, rows)  # a run that was killed wrote the checkpoint last
    return states, rows, step, players


def restore(folder: Path, like: Any) -> tuple[Any, list[dict], int]:
    """The states, in the structure of `like`, rows and step of the checkpoint in `folder`.

    Raises ChunkRLError as `stored` does, and where the checkpoint is of another agent.
    """
    config, rows, step = stored(folder)
    states, _ = checkpoint.load(folder / CHECKPOINT, like)
    warn_of_versions(folder, config)
    return states, rows, step


def stored(folder: Path) -> tuple[dict, list[dict], int]:
    """The configuration, rows and step of the checkpoint in `folder`.

    Raises TrainingError where there is none, where a file is damaged and where config.json is of
    another run.  Checkpoints made before they had the name of their run are taken for that of
    config.json, with the rows of metrics.csv up to their step.
    """
    config = read_config(folder, ("seeds", "every"))
    path = folder / CHECKPOINT
    if not path.exists():
        raise TrainingError(f"{folder} has no checkpoint yet: train for longer")
    description = checkpoint.describe(path)
    if description.get("run", name(config)) != name(config):
        raise TrainingError(
            f"{path} and {CONFIG} beside it are not of the same run: bring back the one that was"
            " changed, or choose another folder"
        )
    step, rows = description.get("step"), description.get("rows")
    if not isinstance(step, int) or step < 1:
        raise TrainingError(f"{path} is at no step of a run: delete it, and training begins anew")
    if rows is None:
        rows = [row for row in read_rows(folder) if row["step"] <= step]
    _require_rows(path, rows, config, step)
    acting = {"online": description["online"]} if "online" in description else {}
    return config | acting, rows, step


def _require_rows(path: Path, rows: Any, config: dict, step: int) -> None:
    """Raise TrainingError unless there is a row of numbers for each seed at each step."""
    every, seeds = config["every"], config["seeds"]
    fine = every > 0 and is_a(list[dict[str, Real]], rows)
    # Counted first: the step of a damaged file may be huge.
    if (
        not fine
        or len(rows) * every != step * len(seeds)
        or [(row.get("step"), row.get("seed")) for row in rows]
        != [(at, seed) for at in range(every, step + 1, every) for seed in seeds]
    ):
        raise TrainingError(
            f"{path} is at update {step}, for which {METRICS} does not have a row for each seed at "
            f"every {every} updates: bring back what was changed, or choose another folder"
        )


def save(
    folder: Path, config: dict, states: Any, rows: list[dict], step: int, more: dict | None = None
) -> None:
    """Replace the checkpoint, in whose description is also what `more` says, then metrics.csv.

    Raises WriteError where they cannot be written, TrainingError where the run is no more there.
    """
    if not (folder / CONFIG).exists() or name(read_config(folder)) != name(config):
        raise TrainingError(
            f"{folder} was deleted or changed while its run went on: train into another folder"
        )
    description = {"run": name(config), "step": step, "rows": rows, **(more or {})}
    try:
        checkpoint.save(folder / CHECKPOINT, states, description)
        write_csv(folder / METRICS, rows)
    except WriteError as error:
        raise WriteError(f"{error} Training goes on from the last checkpoint.") from error
