"""How every command of the package ends: errors are sentences, never tracebacks."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import tyro

from chunkrl import disk
from chunkrl.errors import ChunkRLError


@contextmanager
def sentences(program: str) -> Iterator[None]:
    """End the process with one line where an error was raised on purpose, a file cannot be used,
    or the user pressed Ctrl-C; warnings for users are one line too."""
    told, warnings.formatwarning = warnings.formatwarning, partial(_line, program)
    try:
        yield
        print(end="", flush=True)  # a full disk or a closed pipe shows here, not after the end
    except ChunkRLError as error:
        sys.exit(f"{program}: {error}")
    except OSError as error:
        _drop_output()
        file = f"{error.filename}: " if error.filename is not None else ""
        sys.exit(f"{program}: {file}{disk.explained(error)}")
    except KeyboardInterrupt:
        sys.exit(
            f"{program}: stopped; training and data go on where they were when the command is "
            "repeated"
        )
    finally:
        warnings.formatwarning = told


def _line(program: str, message: Warning | str, category: type[Warning], *place: Any) -> str:
    """A warning without the place in the code, which is none of a user's."""
    return f"{program}: {message}\n"


def _drop_output() -> None:
    """Forget what cannot be printed: Python would try again at the end, with a traceback."""
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(main: Callable[..., Any], program: str) -> None:
    """`main` with the arguments of the command line, as `python -m chunkrl.NAME` does."""
    with sentences(program):
        tyro.cli(main, prog=program)
