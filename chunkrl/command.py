"""How every command of the package ends: errors are sentences, never tracebacks."""

import _thread
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tyro

from chunkrl.errors import ChunkRLError, VersionWarning


@contextmanager
def sentences(program: str) -> Iterator[None]:
    """End the process with one line where an error was raised on purpose, a file cannot be used,
    or the user pressed Ctrl-C; other versions of packages are said in a line too."""
    usual = warnings.formatwarning
    warnings.formatwarning = lambda message, category, *place, **line: (
        f"{program}: {message}\n"
        if issubclass(category, VersionWarning)
        else usual(message, category, *place, **line)
    )
    ignored = sys.unraisablehook
    sys.unraisablehook = lambda what: _once_more(what, ignored)
    try:
        yield
    except ChunkRLError as error:
        sys.exit(f"{program}: {error}")
    except OSError as error:
        if error.filename is None:  # no file of the user's: a defect
            raise
        sys.exit(f"{program}: {error.filename}: {error.strerror}. Choose another path.")
    except KeyboardInterrupt:
        sys.exit(
            f"{program}: stopped; training and data go on where they were when the command is "
            "repeated"
        )
    finally:
        warnings.formatwarning, sys.unraisablehook = usual, ignored


def _once_more(what: Any, usual: Callable[[Any], object]) -> None:
    """Ctrl-C again, soon, where it fell into code whose exceptions Python ignores.

    JAX runs such code at every collection of garbage.
    """
    if not issubclass(what.exc_type, KeyboardInterrupt):
        usual(what)
        return
    timer = threading.Timer(0.1, _thread.interrupt_main)
    timer.daemon = True
    timer.start()


def run(main: Callable[..., Any], program: str) -> None:
    """`main` with the arguments of the command line, as `python -m chunkrl.NAME` does."""
    with sentences(program):
        tyro.cli(main, prog=program)
