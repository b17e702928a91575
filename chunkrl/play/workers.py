"""Processes that own environments and step whole chunks of actions per message.

Light to import: what a worker needs is imported where its failure can be told.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, Any

import psutil

from chunkrl.errors import ChunkRLError, WorkerError
from chunkrl.processes import Spawn, explained

if TYPE_CHECKING:
    import gymnasium
    import numpy as np

    from chunkrl.play.slot import Outcome, Start

GRACE = 2.0  # seconds a worker has to leave by itself
PATIENCE = 600.0  # seconds without a sign of life; one step of an environment, or making it
STOPPED = 60.0  # seconds that a worker may be stopped by a signal
TICK = 1.0  # seconds between looks at a silent worker
GONE = (EOFError, OSError)  # the latter also ends a message that was cut in the middle
ALIVE = None


def serve(pipe: Connection, where: str, make_env: Callable[[], "gymnasium.Env"]) -> None:
    """Obey commands until the other end of the pipe is closed, by whatever cause.

    An exception is the answer to the commands it came from.
    """
    slots = None
    try:
        while True:
            message = pipe.recv_bytes()
            try:
                if slots is None:
                    from chunkrl.play.slot import Pulse, Slots

                    slots = Slots(make_env, Pulse(lambda: pipe.send(ALIVE)), where)
                reply = slots.exchange(ForkingPickler.loads(message))  # pyright: ignore
            except Exception as error:
                reply = explained(error, where)
            pipe.send(reply)
    except GONE:
        return


class Workers:
    """`count` processes, each with the environments of every `count`-th row.

    `make_env` is called in the workers, once per row; for `main` see `Spawn`; `name` is what errors
    call a worker.  Raises WorkerError where `make_env` cannot be sent.
    """

    def __init__(
        self,
        count: int,
        make_env: Callable[[], "gymnasium.Env"],
        patience: float = PATIENCE,
        main: bool = True,
        name: str = "evaluation worker",
    ):
        self.patience, self.name = patience, name
        self.spawn = Spawn(make_env, main=main)
        self.processes = self.spawn.started
        self.pipes: list[Connection] = []
        for number in range(count):
            ours, theirs = self.spawn.Pipe()
            arguments = theirs, f"{name} {number}", make_env
            self.spawn.Process(target=serve, args=arguments, daemon=True).start()
            theirs.close()  # so that the pipe ends when the worker does
            self.pipes.append(ours)

    def exchange(self, commands: "dict[int, Start | np.ndarray]") -> "dict[int, Outcome]":
        """Send each worker the commands for its rows in one message.  -> what they led to, by row

        Raises WorkerError, which says what is known of a worker that failed, and what the
        environments raise for users.
        """
        waiting: dict[int, float] = {}  # worker -> seconds without a sign of life
        for worker, pipe in enumerate(self.pipes):
            batch = {row: c for row, c in commands.items() if row % len(self.pipes) == worker}
            if batch:
                self._guard(worker, lambda pipe=pipe, batch=batch: pipe.send(batch))
                waiting[worker] = 0.0
        outcomes: dict[int, Outcome] = {}
        while waiting:
            sentinels = [self.processes[worker].sentinel for worker in waiting]
            ready = wait([*(self.pipes[worker] for worker in waiting), *sentinels], TICK)
            for worker in list(waiting):
                pipe, process = self.pipes[worker], self.processes[worker]
                if pipe in ready or process.sentinel in ready:
                    reply = self._guard(worker, pipe.recv)
                    waiting[worker] = 0.0
                    if isinstance(reply, ChunkRLError):
                        raise reply
                    if reply is not ALIVE:
                        outcomes |= reply
                        del waiting[worker]
                elif not ready:
                    waiting[worker] += TICK  # not by the clock: this process may have been stopped
                    if waiting[worker] > min(STOPPED, self.patience):
                        self._give_up(worker, waiting[worker])
        return outcomes

    def _give_up(self, worker: int, seconds: float) -> None:
        """Raise WorkerError where a worker is silent for too long, or has been stopped."""
        pid, stopped = self.processes[worker].pid, False
        with suppress(psutil.Error):
            stopped = psutil.Process(pid).status() == psutil.STATUS_STOPPED
        if stopped or seconds >= self.patience:
            late = "one step of its environment, or making it, takes longer (see `patience`)"
            raise WorkerError(
                f"{self.name} {worker} (process {pid}) has not moved for {seconds:.0f} s: "
                f"{'a signal, SIGSTOP, has stopped it' if stopped else late}"
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
                self._give_up(worker, self.patience)
            cause = self.spawn.explain(process, grace=GRACE)
            raise WorkerError(f"{self.name} {worker} died: it {cause}") from None
        finally:
            watch.cancel()

    def close(self) -> None:
        """Stop every worker and wait until it is gone."""
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.join(GRACE)
        self.spawn.kill()
