"""Processes that own environments and step whole chunks of actions per message.

Light to import: what a worker needs is imported where its failure can be told.
"""

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest import mock

from chunkrl.errors import ChunkRLError, ConfigError, WorkerError

if TYPE_CHECKING:
    import gymnasium

    from chunkrl.play.slot import Chunk, Outcome, Start

# One thread per worker: the cores belong to the workers and, in turn, to the policy. A worker that
# imports a script which uses JAX leaves the accelerator alone.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    "MALLOC_MMAP_THRESHOLD_": "65536",  # glibc then returns what a compiled model leaves behind
}
GRACE = 2.0  # seconds a worker has to leave by itself
PATIENCE = 600.0  # seconds without a sign of life; one step of an environment, or making it
STOPPED = 60.0  # seconds that a worker may be stopped by a signal
TICK = 1.0  # seconds between looks at a silent worker
CLOSED = (EOFError, BrokenPipeError, ConnectionResetError)
GONE = (*CLOSED, OSError)  # an OSError also ends a message that was cut in the middle
UNGUARDED = 79  # exit code of a worker that would start workers while it starts
ALIVE = None
NO_MEMORY = ("annot allocate memory", "failed to map segment", "ould not allocate memory")


def serve(pipe: Connection, number: int) -> None:
    """Obey lists of commands until the other end of the pipe is closed, by whatever cause.

    The first message is `make_env`.  An exception is the answer to the commands it came from.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which closes the pipe
    parent: Any = multiprocessing.parent_process()
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    slots: Any = None
    failure: ChunkRLError | None = None
    make_env: Any = None
    try:
        make_env = pipe.recv()
    except GONE:
        return
    except Exception as error:
        failure = ConfigError(
            f"make_env cannot be imported by a worker ({error}): what a notebook cell, an "
            "interactive session or a script from standard input defines exists in that process "
            "alone; write it into a file that is imported, or play without processes (workers=0)"
        )
    while True:
        try:
            commands = pipe.recv()
            if slots is None and failure is None:
                from chunkrl.play.slot import Pulse, Slots

                slots = Slots(make_env, Pulse(lambda: pipe.send(ALIVE)))
        except CLOSED:
            return
        except Exception as error:
            failure, commands = explained(error, number), []
        try:
            reply = failure if slots is None or failure else slots.handle(commands)
        except Exception as error:
            reply = explained(error, number)
        try:
            pipe.send(reply)
        except GONE:
            return


def explained(error: Exception, number: int | None = None) -> ChunkRLError:
    """The exception of an environment in words; with its traceback where it is the environment's.

    `number` is the worker's.
    """
    if isinstance(error, ChunkRLError):
        return error
    where = "the environment" if number is None else f"evaluation worker {number}"
    if isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY):
        cause = str(error) or type(error).__name__
        return WorkerError(
            f"memory ran out in {where} ({cause}){_limit()}: use fewer workers or envs"
        )
    text = "".join(traceback.format_exception(error))
    return WorkerError(f"{where} failed:\n{text}")


def _limit() -> str:
    """The limit of a process' memory, if there is one."""
    if sys.platform == "win32":
        return ""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return ""
    return f"; a process may use {soft / 1e6:.0f} MB of addresses here (ulimit -v)"


def _end_with(sentinel: Any) -> None:
    """Leave at once when the parent is gone, also from within a step."""
    wait([sentinel])
    os._exit(1)


class Workers:
    """`count` processes, each with the environments of every `count`-th row.

    `make_env` is called in the workers, once per row, and has to be picklable.  The program's main
    script is imported there only if `main`, as the environments of its user may need.  Raises
    ConfigError where `make_env` cannot be sent.
    """

    def __init__(
        self,
        count: int,
        make_env: Callable[[], "gymnasium.Env"],
        patience: float = PATIENCE,
        main: bool = True,
    ):
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            sys.exit(UNGUARDED)  # a worker imports a script that starts workers
        try:
            message = ForkingPickler.dumps(make_env)
        except Exception as error:  # each kind of object fails in its own way
            raise ConfigError(
                f"make_env cannot be sent to another process ({error}): a lambda or what a "
                "function defines stays in its own; define it at the top of a file, or play "
                "without processes (workers=0)"
            ) from None
        self.patience = patience
        self.processes: list[BaseProcess] = []
        self.pipes: list[Connection] = []
        self.heard: set[int] = set()  # the workers that have answered
        self.late: set[int] = set()  # those that were given up
        spawn = multiprocessing.get_context("spawn")  # fork and JAX's threads deadlock
        with mock.patch.dict(os.environ, ENVIRONMENT), _main(main):
            for number in range(count):
                ours, theirs = spawn.Pipe()
                process = spawn.Process(target=serve, args=(theirs, number), daemon=True)
                process.start()
                theirs.close()  # so that the pipe ends when the worker does
                self.processes.append(process)
                self.pipes.append(ours)
        for worker, pipe in enumerate(self.pipes):
            self._guard(worker, lambda pipe=pipe: pipe.send_bytes(message))

    def exchange(self, commands: Sequence["Start | Chunk"]) -> list["Outcome"]:
        """Send each worker its commands in one message; the outcomes in the order of `commands`.

        Raises WorkerError, which says what is known of a worker that failed, and what the
        environments raise for users.
        """
        waiting: dict[int, float] = {}  # worker -> seconds without a sign of life
        for worker, pipe in enumerate(self.pipes):
            batch = [c for c in commands if c.row % len(self.pipes) == worker]
            if batch:
                self._guard(worker, lambda pipe=pipe, batch=batch: pipe.send(batch))
                waiting[worker] = 0.0
        outcomes: dict[int, Outcome] = {}
        while waiting:
            sentinels = [self.processes[worker].sentinel for worker in waiting]
            ready = wait([*(self.pipes[worker] for worker in waiting), *sentinels], TICK)
            for worker in list(waiting):
                pipe = self.pipes[worker]
                if pipe in ready or self.processes[worker].sentinel in ready:
                    reply = self._guard(worker, pipe.recv)
                    waiting[worker] = 0.0
                    self.heard.add(worker)
                    if isinstance(reply, ChunkRLError):
                        raise reply
                    if reply is not ALIVE:
                        outcomes.update({outcome.row: outcome for outcome in reply})
                        del waiting[worker]
                elif not ready:
                    waiting[worker] += TICK  # not by the clock: this process may have been stopped
                    self._require_moving(worker, waiting[worker])
        return [outcomes[command.row] for command in commands]

    def _require_moving(self, worker: int, seconds: float) -> None:
        stopped = seconds > STOPPED and _is_stopped(self.processes[worker].pid)
        if stopped or seconds > self.patience:
            raise WorkerError(self._silent(worker, seconds, stopped))

    def _silent(self, worker: int, seconds: float, stopped: bool = False) -> str:
        late = "one step of its environment, or making it, takes longer (see `patience`)"
        return (
            f"evaluation worker {worker} (process {self.processes[worker].pid}) has not moved for "
            f"{seconds:.0f} s: {'a signal, SIGSTOP, has stopped it' if stopped else late}"
        )

    def _guard(self, worker: int, act: Callable[[], Any]) -> Any:
        """Do what reads or writes a pipe, within the time that a worker has."""
        process = self.processes[worker]

        def give_up() -> None:  # it was stopped in the middle of a message
            self.late.add(worker)
            process.kill()

        watch = threading.Timer(self.patience, give_up)
        watch.daemon = True
        watch.start()
        try:
            return act()
        except GONE:
            process.join(GRACE)
            raise WorkerError(self._died(worker)) from None
        finally:
            watch.cancel()

    def _died(self, worker: int) -> str:
        """What is known of a worker that is gone."""
        code = self.processes[worker].exitcode
        told = f"evaluation worker {worker} died (exit code {code})"
        if code == UNGUARDED:
            return (
                f"{told}: it imports the script that is run here, and that starts workers itself. "
                "Put the script's code under `if __name__ == '__main__':`."
            )
        if worker in self.late:
            return self._silent(worker, self.patience)
        if code == -9:
            return (
                f"{told}: it was killed, most often by the system because memory ran out{_limit()}:"
                " use fewer workers or envs."
            )
        if code is not None and code < 0:
            return f"{told}: it crashed ({signal.strsignal(-code)}){_limit()}."
        if worker not in self.heard:
            return (
                f"{told} while it started{_limit()}; what it printed above says why. If this comes "
                "from a script of your own, put its code under `if __name__ == '__main__':`."
            )
        return f"{told}: something in its environment ended the process."

    def close(self) -> None:
        """Stop every worker and wait until it is gone."""
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.join(GRACE)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()
        self.pipes, self.processes = [], []


class Here:
    """The same without processes: environments in this one.  The results are the same bits."""

    def __init__(self, make_env: Callable[[], "gymnasium.Env"]):
        from chunkrl.play.slot import Slots

        self.slots = Slots(make_env, lambda: None)

    def exchange(self, commands: Sequence["Start | Chunk"]) -> list["Outcome"]:
        import numpy as np

        before = np.random.get_state()  # noqa: NPY002
        try:
            return self.slots.handle(commands)
        except Exception as error:
            raise explained(error) from error
        finally:
            np.random.set_state(before)  # noqa: NPY002

    def close(self) -> None:
        self.slots.close()


@contextmanager
def _main(wanted: bool) -> Iterator[None]:
    """Whether processes that start import the main script; one that is no file they cannot."""
    module = sys.modules["__main__"]
    path = getattr(module, "__file__", None)
    if wanted and (getattr(module, "__spec__", None) or (path and os.path.exists(path))):
        yield
        return
    with mock.patch.dict(sys.modules, {"__main__": ModuleType("__main__")}):
        yield


def _is_stopped(pid: int | None) -> bool:
    """Whether a signal has stopped the process, where the system says so."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
    except OSError:
        return False
