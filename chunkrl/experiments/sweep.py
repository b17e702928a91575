"""A grid of runs, methods x tasks x settings: each cell a process, its seeds together."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from chunkrl import checks, disk, locks, processes
from chunkrl.agents import methods
from chunkrl.agents.settings import SIZES
from chunkrl.errors import ConfigError, TrainingError
from chunkrl.train import runs

FAILED, LOG = "failed.txt", "log.txt"  # in a cell's folder: why it ended too soon; what it said
KINDS: tuple[str, ...] = ("done", "running", "waiting", "failed")
REFRESH, GRACE = 2.0, 60.0  # seconds between two looks at the folders; from SIGTERM to the end


@dataclass(frozen=True)
class Cell:
    """One run, which goes on where it was however often it is begun.

    `cell()` makes it in a process of its own, wherever it was sent, and raises TrainingError.
    """

    words: tuple[str, ...]  # of `chunkrl train`
    folder: Path
    steps: int  # updates, and steps online, after which it is done

    def __call__(self) -> None:
        (self.folder / FAILED).unlink(missing_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, "-m", "chunkrl", "train", *self.words]
        with open(self.folder / LOG, "a") as log:
            quiet = {**os.environ, "TQDM_MININTERVAL": "60"}
            code = subprocess.run(words, stdout=log, stderr=log, env=quiet).returncode
        if code == -signal.SIGTERM:  # who takes the machine away ends this process next, and
            time.sleep(GRACE)  # begins the cell again elsewhere: it has not failed
        if code:
            said = (self.folder / LOG).read_text(errors="replace").strip().splitlines()
            why = said[-1] if code > 0 and said else f"a process {processes.explain(code)}"
            self.leave(why.removeprefix("chunkrl: "))
            raise TrainingError(f"{self.folder.name}: {why}")

    def leave(self, why: str) -> None:
        """Say in the folder why it failed."""
        disk.write(self.folder / FAILED, lambda file: file.write(why.encode()))

    def checkpoint(self) -> Any:
        """What submitit runs after a limit of time or others ended this cell: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def state(self) -> tuple[str, int, str]:
        """Which of KINDS it is, as its files say; its step; its success, or why it failed."""
        rows = runs.read_rows(self.folder)
        step = int(rows[-1]["step"]) if rows else 0
        scored = [row for row in rows if "success" in row]
        last = [row["success"] for row in scored if row["step"] == scored[-1]["step"]]
        told = f"success {runs.rate(np.mean(last))}" if last else ""
        if step >= self.steps and "success" in rows[-1]:
            return "done", step, told
        if locks.held(self.folder / runs.LOCK):
            return "running", step, told
        if (self.folder / FAILED).exists():
            return "failed", step, (self.folder / FAILED).read_text(errors="replace")
        return "waiting", step, told


def value(text: str) -> int | float | str:
    """A number where it is one, so that 30, 30.0 and 3e1 are the same."""
    try:
        return checks.number("", float(text), whole=float(text).is_integer())
    except ValueError:
        return text.strip()


def settings(texts: Sequence[str], option: str = "--set") -> dict[str, list]:
    """ "alpha=30,100" is {"alpha": [30, 100]}.  Raises ConfigError."""
    found: dict[str, list] = {}
    for text in texts:
        name, _, values = text.partition("=")
        name, listed = name.strip().replace("-", "_"), [value(x) for x in values.split(",")]
        if not name or "" in listed:
            raise ConfigError(f"{option} {text}: give NAME=VALUE; values have commas between")
        if name in found or len({*listed}) < len(listed):
            raise ConfigError(f"{option} {text}: give each name once, and each of its values once")
        found[name] = listed
    return found


def seeds(texts: Sequence[str]) -> list[int]:
    """ "0:3" is 0, 1, 2.  Raises ConfigError."""
    found: list[int] = []
    for text in texts:
        match = re.fullmatch(r"(\d+)(?::(\d+))?", text)
        first, end = (int(match[1]), int(match[2] or int(match[1]) + 1)) if match else (0, 0)
        if first >= end:
            raise ConfigError(f"--seeds {text}: give numbers, such as 0 1 2, or 0:8 for 0 to 7")
        found += range(first, end)
    return found


def cells(
    names: Sequence[str], tasks: Sequence[str], preset: str, seeds: Sequence[int],
    settings: Mapping[str, Sequence], folder: Path, options: Mapping[str, Any] | None = None,
) -> list[Cell]:  # fmt: skip
    """The grid; a setting that only some of the methods have varies theirs alone.

    `options` are those of every method, with their defaults.  Raises ConfigError for a setting that
    nobody has and for a cell that is there twice.
    """
    chosen, found, options = [methods.named(name) for name in names], {}, options or {}
    for name in settings.keys() - options.keys():
        if name in SIZES or not any(name in method.parameters for method in chosen):
            raise ConfigError(
                f"--set {name}: no setting of {', '.join(names)}, and no option of `chunkrl train`"
                " that a sweep can vary"
            )
    row = len(seeds) > 1 and [*seeds] == [*range(seeds[0], seeds[-1] + 1)]
    spelled = f"{seeds[0]}to{seeds[-1]}" if row else "-".join(map(str, seeds))
    for method, task in product(chosen, tasks):
        own = {k: v for k, v in settings.items() if k in options or k in method.parameters}
        for values in product(*own.values()):
            given = dict(zip(own, values, strict=True))
            parts = [method.name, task, preset, f"seeds{spelled}"]
            parts += [f"{name}{value}" for name, value in given.items()]
            place = folder / re.sub(r"[^\w.+-]+", "_", "-".join(parts))
            if place in found:
                raise ConfigError(f"{place.name} is in this grid twice: name everything once")
            words = [method.name.replace("_", "-"), "--task", task, "--preset", preset, "--seeds"]
            words += [*map(str, seeds), "--folder", str(place)]
            for name, value in given.items():
                option, text = name.replace("_", "-"), str(value)
                several = text.split("x") if re.fullmatch(r"\d+(x\d+)+", text) else [text]
                flag = [f"--{'' if text == 'True' else 'no-'}{option}"]
                words += flag if options.get(name) is False else [f"--{option}", *several]
            amount = method.preset(preset, updates=given.get("updates"))
            steps = amount.updates + checks.whole("online", given.get("online", 0), least=0)
            found[place] = Cell(tuple(words), place, steps)
    return [*found.values()]


def table(cells: Sequence[Cell]) -> str:
    """The state of every cell, a line each, and how many there are of each kind."""
    lines, kinds = [], dict.fromkeys(KINDS, 0)
    for cell in cells:
        kind, step, told = cell.state()
        kinds[kind] += 1
        lines.append(f"{kind:8}{step:>9} of {cell.steps:<9}{told or '-':14}{cell.folder.name}")
    return "\n".join([*lines, ", ".join(f"{n} {kind}" for kind, n in kinds.items() if n)])


def run(cells: Sequence[Cell], executor: Any, jobs: int | None = None, show: bool = False) -> None:
    """Have `executor` run every cell that is not done, at most `jobs` at a time, and wait.

    It is anything whose `submit(f).result()` calls `f`, such as one of concurrent.futures, of
    submitit or a client of dask.  `show` prints the table: again and again in a terminal, else at
    the end.  Raises TrainingError where a cell did not end well.
    """

    def fault(cell: Cell) -> str:
        try:
            executor.submit(cell).result()
            return ""
        except Exception as error:  # of the cell, or of whatever was to run it
            if not (cell.folder / FAILED).exists():
                cell.leave(" ".join(str(error).split()) or type(error).__name__)
            return f"{cell.folder.name}: {(cell.folder / FAILED).read_text(errors='replace')}"

    todo = [cell for cell in cells if cell.state()[0] != "done"]
    clear = "\x1b[H\x1b[J" * sys.stdout.isatty()
    with ThreadPoolExecutor(jobs or len(todo) or 1) as pool:
        going = [pool.submit(fault, cell) for cell in todo]
        while wait(going, REFRESH).not_done:
            if show and clear:
                print(clear + table(cells), flush=True)
    if show:
        print(clear + table(cells))
    if faults := [future.result() for future in going if future.result()]:
        raise TrainingError(
            f"{len(faults)} of {len(cells)} cells did not end well; the first, {faults[0]}."
            " The same command again goes on with them"
        )


def executor(name: str | None, folder: Path, parameters: Mapping[str, Sequence]) -> Any:
    """submitit's of that name, whose files go to `folder`; None: threads.  Raises ConfigError."""
    if name is None:
        if parameters:
            raise ConfigError("--parameter is about a cluster: say which with --submit")
        return ThreadPoolExecutor()
    try:
        import submitit

        executor = submitit.AutoExecutor(folder, cluster=name)
        given = {name: v[0] if len(v) == 1 else ",".join(v) for name, v in parameters.items()}
        executor.update_parameters(**{"timeout_min": 24 * 60, **given})
    except ImportError:
        raise ConfigError("--submit needs submitit: pip install 'chunkrl[cluster]'") from None
    except (ValueError, NameError, AssertionError, RuntimeError) as error:
        raise ConfigError(f"--submit {name}: {str(error).splitlines()[0]}") from None
    return executor
