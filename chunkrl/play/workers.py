"""Processes that own environments and step whole chunks of actions per message.

Light to import: what a worker needs is imported where its failure can be told.
"""

import threading
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chunkrl.errors import ChunkRLError, WorkerError
from chunkrl.processes import Spawn, limit

if TYPE_CHECKING:
    import gymnasium

    from chunkrl.play.slot import Chunk, Outcome, Start

GRACE = 2.0  # seconds a worker has to leave by itself
PATIENCE = 600.0  # seconds without a sign of life; one step of an environment, or making it
STOPPED = 60.0  # seconds that a worker may be stopped by a signal
TICK = 1.0  # seconds between looks at a silent worker
GONE = (EOFError, OSError)  # the latter also ends a message that was cut in the middle
ALIVE = None
NO_MEMORY = ("annot allocate memory", "failed to map segment", "ould not allocate memory")


def serve(pipe: Connection, number: int, make_env: Callable[[], "gymnasium.Env"]) -> None:
    """Obey lists of commands until the other end of the pipe is closed, by whatever cause.

    An exception is the answer to the commands it came from.
    """
    slots: Any = None
    try:
        while True:
            message = pipe.recv_bytes()
            try:
                if slots is None:
                    from chunkrl.play.slot import Pulse, Slots

                    slots = Slots(make_env, Pulse(lambda: pipe.send(ALIVE)))
                reply = slots.handle(ForkingPickler.loads(message))  # pyright: ignore
            except Exception as error:
                reply = explained(error, f"evaluation worker {number}")
            pipe.send(reply)
    except GONE:
        return


def explained(error: Exception, where: str) -> ChunkRLError:
    """An exception in words; with its traceback where it is the environment's."""
    if isinstance(error, ChunkRLError):
        return error
    if isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY):
        cause = str(error) or type(error).__name__
        return WorkerError(
            f"memory ran out in {where} ({cause}): use fewer workers or envs{limit()}"
        )
    return WorkerError(f"{where} failed:\n{''.join(traceback.format_exception(error))}")


class Workers:
    """`count` processes, each with the environments of every `count`-th row.

    `make_env` is called in the workers, once per row; for `main` see `Spawn`.  Raises WorkerError
    where `make_env` cannot be sent.
    """

    def __init__(
        self,
        count: int,
        make_env: Callable[[], "gymnasium.Env"],
        patience: float = PATIENCE,
        main: bool = True,
    ):
        self.patience = patience
        self.spawn = Spawn(make_env, main=main)
        self.processes = self.spawn.started
        self.pipes: list[Connection] = []
        for number in range(count):
            ours, theirs = self.spawn.Pipe()
            arguments = theirs, number, make_env
            self.spawn.Process(target=serve, args=arguments, daemon=True).start()
            theirs.close()  # so that the pipe ends when the worker does
            self.pipes.append(ours)

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
                    if isinstance(reply, ChunkRLError):
                        raise reply
                    if reply is not ALIVE:
                        outcomes.update({outcome.row: outcome for outcome in reply})
                        del waiting[worker]
                elif not ready:
                    waiting[worker] += TICK  # not by the clock: this process may have been stopped
                    stopped = waiting[worker] > STOPPED and _is_stopped(self.processes[worker].pid)
                    if stopped or waiting[worker] > self.patience:
                        raise self._silent(worker, waiting[worker], stopped)
        return [outcomes[command.row] for command in commands]

    def _silent(self, worker: int, seconds: float, stopped: bool = False) -> WorkerError:
        late = "one step of its environment, or making it, takes longer (see `patience`)"
        return WorkerError(
            f"evaluation worker {worker} (process {self.processes[worker].pid}) has not moved for "
            f"{seconds:.0f} s: {'a signal, SIGSTOP, has stopped it' if stopped else late}"
        )

    def _guard(self, worker: int, act: Callable[[], Any]) -> Any:
        """Do what reads or writes a pipe, within the time that a worker has."""
        process, begin = self.processes[worker], time.monotonic()
        # The worker may have been stopped in the middle of a message.
        watch = threading.Timer(self.patience, process.kill)
        watch.daemon = True
        watch.start()
        try:
            return act()
        except GONE:
            if time.monotonic() - begin >= self.patience:
                raise self._silent(worker, self.patience) from None
            cause = self.spawn.explain(process, grace=GRACE)
            raise WorkerError(f"evaluation worker {worker} died: it {cause}") from None
        finally:
            watch.cancel()

    def close(self) -> None:
        """Stop every worker and wait until it is gone."""
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.join(GRACE)
        self.spawn.kill()


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
            raise explained(error, "the environment") from error
        finally:
            np.random.set_state(before)  # noqa: NPY002

    def close(self) -> None:
        self.slots.close()


def _is_stopped(pid: int | None) -> bool:
    """Whether a signal has stopped the process, where the system says so."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
    except OSError:
        return False
