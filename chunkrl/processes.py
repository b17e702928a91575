"""Worker processes: started alone on a core, ended with their parent, and explained when dead."""

import contextlib
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
import traceback
import types
from collections.abc import Iterator, MutableMapping
from multiprocessing import connection, resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

from chunkrl import command
from chunkrl.errors import ChunkRLError, WorkerError

# Simulations keep a core busy each: more threads in a worker only get in each other's way.  NumPy
# reads this when it is first loaded.  A worker that imports a script with JAX leaves the GPU alone.
ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1") | {
    "JAX_PLATFORMS": "cpu",
    "MALLOC_MMAP_THRESHOLD_": "65536",  # glibc then returns what a compiled model leaves behind
}
NO_MEMORY = ("annot allocate memory", "failed to map segment", "ould not allocate memory")


FEW = 4  # episodes take a process about as long as the start of another


def repaid(workers: int | None, episodes: int) -> int:
    """`workers`, but no more than there are episodes.  None: one per core, or per FEW episodes."""
    if workers is None:
        workers = min(os.cpu_count() or 1, -(-episodes // FEW))
    return min(workers, episodes)


class Worker(SpawnProcess):
    """A spawned process with `ENVIRONMENT` that ignores Ctrl-C and ends when its parent does.

    Spawned, as fork and JAX's threads deadlock.  With `main` it imports the parent's script, which
    what it is given may be defined in; without, scripts need no `__main__` guard.
    """

    main = True

    def start(self) -> None:
        main = {} if self.main else {"__main__": types.ModuleType("__main__")}
        resource_tracker.ensure_running()  # its start would let Ctrl-C through
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited, until `run`
        try:
            with command.starting, _replaced(os.environ, ENVIRONMENT), _replaced(sys.modules, main):
                super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def run(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this
        parent: Any = multiprocessing.parent_process()

        def end() -> None:
            connection.wait([parent.sentinel])
            os._exit(1)

        threading.Thread(target=end, daemon=True).start()
        super().run()


class Spawn(SpawnContext):
    """A context of `multiprocessing` whose processes are `Worker`s, kept in `started`.

    `sent` is what a caller gives to its workers, such as a function that makes an environment, and
    `main` says whether it may also need what the script does when imported, as where that registers
    environments.  Raises WorkerError, with the reason, where something cannot be sent.
    """

    def __init__(self, *sent: Any, main: bool = False):
        super().__init__()
        needed = [_from_main(thing) for thing in sent]
        self._main = any(needed) or (main and _script_is_file())
        self._kills = _memory_kills()
        self.started: list[Worker] = []

    def Process(self, *args: Any, **kwargs: Any) -> Worker:  # type: ignore[override]
        worker = Worker(*args, **kwargs)
        worker.main = self._main
        self.started.append(worker)
        return worker

    def kill(self) -> None:
        """End all workers at once."""
        for worker in self.started:
            if worker.is_alive():
                worker.kill()
        for worker in self.started:
            worker.join()

    def explain(self, *workers: Worker, grace: float = 2.0) -> str:
        """Why one of the workers (default: all) died, completing "a process ..."."""
        end = time.monotonic() + grace
        while True:
            codes = [worker.exitcode for worker in workers or self.started if worker.exitcode]
            # A pool asks the others to end because of the one that died.
            first = [code for code in codes if code != -signal.SIGTERM]
            if first or time.monotonic() > end:
                break
            time.sleep(0.02)
        code = (first or codes or [None])[0]
        return explain(code, _memory_kills() > self._kills, self._main)


def explain(code: int | None, out_of_memory: bool = False, main: bool = False) -> str:
    """What an exit code says, completing "a process ...": negative codes are signals."""
    if code is None:
        return "closed its connection without a word" + limit()
    if code == -signal.SIGTERM:
        return "was asked to end (SIGTERM)"
    if code == -signal.SIGKILL:
        killer = (
            "by the system, as memory ran out"
            if out_of_memory
            else "(SIGKILL), by somebody or by a limit of the cluster or container, often on memory"
        )
        return f"was killed {killer}: use fewer workers"
    if code < 0:
        known = -code in list(signal.Signals)  # real-time signals are not
        return f"crashed ({signal.Signals(-code).name if known else -code})" + limit()
    said = f"ended with code {code}: what it wrote above, if it did, says why"
    guard = "; a script needs its code under `if __name__ == '__main__':`, as workers read it too"
    return said + guard * main + limit()


def limit() -> str:
    """A sentence on the limit of a process' address space; empty where there is none."""
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:
        return ""
    return (
        f". Its address space is limited to {most / 1e6:,.0f} MB (`ulimit -v`): allow more, or use"
        " fewer workers"
    )


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


def _from_main(thing: Any) -> bool:
    """Whether a worker has to import the script that runs here in order to receive `thing`."""
    name = getattr(thing, "__qualname__", None) or repr(thing)
    try:
        pickled = bytes(ForkingPickler.dumps(thing))
    except Exception as error:  # each kind of object fails in its own way
        raise WorkerError(
            f"{name} cannot be sent to worker processes ({error}): they need a function or class"
            " that stands at the top of a module or script, not a lambda or one inside a function;"
            " an evaluation can also do without them (workers=0)."
        ) from error
    if b"__main__" not in pickled:
        return False
    if not _script_is_file():
        raise WorkerError(
            f"{name} is defined in a notebook, at a prompt or in a script from standard input"
            " (stdin), which worker processes cannot read: write it into a .py file and import it"
            " from there, or evaluate without them (workers=0)."
        )
    return True


def _script_is_file() -> bool:
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    return getattr(main, "__spec__", None) is not None or bool(file and Path(file).is_file())


@contextlib.contextmanager
def _replaced(mapping: MutableMapping[str, Any], values: dict[str, Any]) -> Iterator[None]:
    before = {name: mapping[name] for name in values if name in mapping}
    mapping.update(values)
    try:
        yield
    finally:
        mapping.update(before)
        for name in values.keys() - before.keys():
            del mapping[name]


def _memory_kills() -> int:
    """How many processes Linux has killed since it started, because memory ran out."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
