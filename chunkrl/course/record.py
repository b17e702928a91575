"""The reader's progress in one JSON file; no error of the file stops a lesson."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

EMPTY: dict[str, dict[str, Any]] = {"exercises": {}, "guesses": {}}


def path() -> Path:
    """`progress.json` in the folder CHUNKRL_HOME or, without it, in the user's data folder."""
    from platformdirs import user_data_path

    return Path(os.environ.get("CHUNKRL_HOME") or user_data_path("chunkrl")) / "progress.json"


def load() -> tuple[dict[str, dict[str, Any]], str]:
    """What is recorded, and a sentence about a file that could not be used."""
    record, file = {kind: dict(empty) for kind, empty in EMPTY.items()}, path()
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        for name, entry in found.get("exercises", {}).items():
            counts = {field: int(entry.get(field, 0)) for field in ("attempts", "hints")}
            record["exercises"][name] = {"passed": bool(entry.get("passed"))} | counts
        for name, entry in found.get("guesses", {}).items():
            record["guesses"][name] = {field: float(entry[field]) for field in ("guess", "truth")}
    except FileNotFoundError:
        return record, ""
    except OSError as error:
        return record, f"Earlier progress could not be read: {error}."
    except (ValueError, TypeError, AttributeError, KeyError):
        return {kind: dict(empty) for kind, empty in EMPTY.items()}, set_aside(file)
    return record, ""


def attempt(exercise: str, passed: bool) -> str:
    """Note one answer to an exercise; "" or a sentence about the file."""
    return _update("exercises", exercise, lambda old: {
        "passed": passed or old.get("passed", False),
        "attempts": old.get("attempts", 0) + 1,
        "hints": old.get("hints", 0),
    })  # fmt: skip


def hint(exercise: str, level: int) -> str:
    """Note the highest hint that was asked for; "" or a sentence about the file."""
    return _update("exercises", exercise, lambda old: {
        "passed": old.get("passed", False),
        "attempts": old.get("attempts", 0),
        "hints": max(level, old.get("hints", 0)),
    })  # fmt: skip


def guess(explorer: str, guessed: float, truth: float) -> str:
    """Note what the reader predicted; "" or a sentence about the file."""
    return _update("guesses", explorer, lambda _: {"guess": guessed, "truth": truth})


def _update(kind: str, name: str, change: Any) -> str:
    record, notice = load()
    record[kind][name] = change(record[kind].get(name, {}))
    failed = save(path(), json.dumps(record, indent=1, sort_keys=True))
    return f"{notice} {failed}".strip() if failed else notice


def save(file: Path, text: str) -> str:
    """Replace a file of the reader's whole; "" or a sentence about why it was not."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, file)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        return f"Progress was not saved: {error}. Set CHUNKRL_HOME to a folder of yours."
    return ""


def set_aside(file: Path) -> str:
    """Rename a damaged file, and say so."""
    aside = next(
        name for i in range(1, 10_000) if not (name := file.with_suffix(f".damaged{i}")).exists()
    )
    try:
        os.replace(file, aside)
    except OSError as error:
        return f"The file {file} is damaged and could not be moved: {error}."
    return f"The file {file.name} was damaged; it is kept as {aside} and a new one is begun."
