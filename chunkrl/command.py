"""How every command of the package ends: errors are sentences, never tracebacks."""

import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from chunkrl.errors import ChunkRLError, ChunkRLWarning

STOPPED = "stopped; training and data go on where they were when the command is repeated"
NARROWEST = 40  # columns of help; tyro searches for ever where its words do not fit

starting = threading.Lock()  # held while a worker is started: left alone then, it would complain


def listen(program: str) -> None:
    """End this process with a sentence and the exit code 130 at Ctrl-C, whatever it is doing.

    A thread does it.  Python's own handler waits until compiled code returns, and its exception is
    lost where a library calls back.  Files are replaced in one step and what is half done is swept
    later, so that any instant is as good as another.
    """
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # such as by nohup
    if ignored or threading.current_thread() is not threading.main_thread():
        return
    # What workers shared is given back by a process of Python's own, which would complain.
    quiet = [os.environ.get("PYTHONWARNINGS"), "ignore:resource_tracker"]
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, quiet))
    heard, told = os.pipe()
    os.set_blocking(told, False)

    def wait() -> None:
        while os.read(heard, 1) != bytes([signal.SIGINT]):
            pass
        stop(program)

    threading.Thread(target=wait, name="Ctrl-C", daemon=True).start()
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, lambda *_: None)


def stop(program: str) -> NoReturn:
    """End this process and those that it started at once, as after Ctrl-C."""
    starting.acquire(timeout=3)
    started = []
    with suppress(Exception):
        import psutil

        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                # One of Python's own gives back what workers shared, once this process is gone.
                if "resource_tracker" not in " ".join(child.cmdline()):
                    started.append(child.pid)
    with suppress(OSError):
        os.write(2, f"\n{program}: {STOPPED}\n".encode())
    for pid in started:  # last, and without a pause in which another thread could notice
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    os._exit(130)


@contextmanager
def sentences(program: str) -> Iterator[None]:
    """End the process with one line where an error was raised on purpose, a file cannot be used or
    nothing can be printed."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files that ASCII lacks
    if os.environ.get("COLUMNS", "").isdigit():
        os.environ["COLUMNS"] = str(max(NARROWEST, int(os.environ["COLUMNS"])))
    usual = warnings.formatwarning
    warnings.formatwarning = lambda message, category, *place, **line: (
        f"{program}: {message}\n"
        if issubclass(category, ChunkRLWarning)
        else usual(message, category, *place, **line)
    )
    try:
        yield
        print(end="", flush=True)  # a full disk or a closed pipe shows here, not after the end
    except ChunkRLError as error:
        sys.exit(f"{program}: {error}")
    except OSError as error:
        from chunkrl import disk

        file = f"{error.filename}: " if error.filename is not None else ""
        sys.exit(f"{program}: {file}{disk.explained(error)}")
    finally:
        _drop_output()
        warnings.formatwarning = usual


def _drop_output() -> None:
    """Forget what cannot be printed: Python would try again at the end, with a traceback."""
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(main: Callable[..., Any], program: str) -> None:
    """`main` with the arguments of the command line, as `python -m chunkrl.NAME` does."""
    listen(program)
    with sentences(program):
        import tyro

        tyro.cli(main, prog=program)
