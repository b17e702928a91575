"""Worker processes: what can be sent to them, how they end, and what is said of it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from chunkrl import processes
from chunkrl.errors import WorkerError
from chunkrl.processes import Spawn, explain


def told(queue):
    queue.put((os.environ["OMP_NUM_THREADS"], os.environ["JAX_PLATFORMS"]))


def test_a_worker_has_one_thread_and_its_parent_as_before(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    spawn = Spawn()
    queue = spawn.SimpleQueue()
    worker = spawn.Process(target=told, args=(queue,))
    worker.start()
    assert queue.get() == ("1", "cpu")
    worker.join()
    assert (os.environ["OMP_NUM_THREADS"], "JAX_PLATFORMS" in os.environ) == ("3", False)
    assert sys.modules["__main__"].__name__ == "__main__"
    assert spawn.explain(grace=0).startswith("closed its connection")


class Local:
    pass


@pytest.mark.parametrize("thing", [lambda: 1, type("Inner", (), {}), open(os.devnull)])  # noqa: SIM115
def test_what_cannot_be_sent_is_named(thing):
    with pytest.raises(WorkerError, match=r"cannot be sent to worker processes .* not a lambda"):
        Spawn(thing)


def test_what_modules_define_needs_no_script():
    assert Spawn(Local, told, {"a": 1})._main is False


SCRIPT = """
import sys, time
from chunkrl.errors import WorkerError
from chunkrl.processes import Spawn

def wait(): time.sleep(60)
def fine(): print("fine", flush=True)

def main(target):
    try:
        spawn = Spawn(target)
    except WorkerError as error:
        sys.exit(f"sentence: {error}")
    worker = spawn.Process(target=target)
    worker.start()
    print(worker.pid, flush=True)
    worker.join()
    if worker.exitcode:
        sys.exit(f"sentence: a process {spawn.explain()}")
"""
GUARD = "if __name__ == '__main__':\n    "


@pytest.mark.parametrize("how", ["-", "-c", "file"])
@pytest.mark.parametrize("guard", [True, False])
def test_what_the_script_defines(tmp_path, how, guard):
    """Works from a file; else the sentence names the notebook, the prompt and stdin."""
    code = SCRIPT + GUARD * guard + "main(fine)\n"
    (tmp_path / "script.py").write_text(code)
    command = {"-": ["-"], "-c": ["-c", code], "file": [str(tmp_path / "script.py")]}[how]
    ended = subprocess.run(
        [sys.executable, *command], input=code * (how == "-"), capture_output=True, text=True
    )
    last = (ended.stderr.splitlines() or [""])[-1]
    if how != "file":
        assert "notebook" in last
        assert "stdin" in last
    elif guard:
        assert ended.returncode == 0
        assert "fine" in ended.stdout
    else:
        assert last.startswith("sentence: a process ended with code 1")
        assert "if __name__ == '__main__'" in last


def test_workers_end_with_a_killed_parent_and_ignore_ctrl_c(tmp_path):
    """Also with one that is killed while its worker is still starting."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT + GUARD + "main(wait)\n")
    for pause in (0, 1.5):
        with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) as parent:
            worker = int(parent.stdout.readline())
            os.kill(worker, signal.SIGINT)
            time.sleep(pause)
            assert alive(worker)
            parent.kill()
        end = time.monotonic() + 10
        while alive(worker):
            assert time.monotonic() < end, "the worker outlived its parent"
            time.sleep(0.05)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_exit_codes_in_words(monkeypatch):
    assert "killed by the system, as memory ran out" in explain(-9, out_of_memory=True)
    assert "killed (SIGKILL), by somebody" in explain(-9)
    assert "SIGTERM" in explain(-15)
    assert "crashed (SIGBUS)" in explain(-7)
    assert "`ulimit -v`" not in explain(-11)
    assert "__main__" not in explain(1)
    monkeypatch.setattr(processes.resource, "getrlimit", lambda kind: (400 * 10**6, -1))
    for code in (1, -11, -6, None):
        assert "limited to 400 MB (`ulimit -v`)" in explain(code)
    assert "ulimit" not in explain(-15)


@pytest.mark.parametrize(
    ("workers", "episodes", "count"),
    [(None, 3, 1), (None, 5, 2), (None, 100, 2), (3, 2, 2), (0, 9, 0)],
)
def test_processes_are_started_for_as_many_episodes_as_repay_them(
    monkeypatch, workers, episodes, count
):
    monkeypatch.setattr(processes.os, "cpu_count", lambda: 2)
    assert processes.repaid(workers, episodes) == count
