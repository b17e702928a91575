"""Locks between processes: one owner, who may die; nothing is left of a lock."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from chunkrl import locks
from chunkrl.errors import BusyError

COUNT = """
import sys, time
from pathlib import Path
from chunkrl import locks
locks.POLL, number = 1e-4, Path(sys.argv[1])
for _ in range(40):
    with locks.hold(number.with_name(".number.lock"), "counts", note=str):
        found = int(number.read_text())
        time.sleep(0.0003)
        number.write_text(str(found + 1))
"""
SLEEP = """
import os, sys, time
from chunkrl import locks
child = False
with locks.hold(sys.argv[1], "sleeps"):
    if "fork" in sys.argv:
        child = os.fork() == 0
    if not child:
        print(os.getpid(), flush=True)
    if not child or "stays" in sys.argv:
        time.sleep(30)
"""


@pytest.fixture
def start():
    """Starts a script; whatever still runs ends with the test."""
    with contextlib.ExitStack() as stack:

        def begin(script, *arguments):
            command = [sys.executable, "-c", script, *map(str, arguments)]
            process = stack.enter_context(
                subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            )
            stack.callback(process.kill)
            return process

        yield begin


@pytest.fixture
def sleeper(start):
    def begin(lock, *how):
        process = start(SLEEP, lock, *how)
        assert int(process.stdout.readline()) == process.pid
        return process

    return begin


def test_four_processes_that_count_lose_nothing(tmp_path, start):
    """Releasing removes the file, and two who had it open might both believe in theirs."""
    number = tmp_path / "number"
    number.write_text("0")
    processes = [start(COUNT, number) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert number.read_text() == "160"
    assert os.listdir(tmp_path) == ["number"]


@pytest.mark.parametrize("how", [[], ["fork", "stays"]])
def test_a_killed_owner_blocks_nobody(tmp_path, sleeper, how):
    """Nor does a child that it had forked, and that lives on."""
    lock = tmp_path / ".x.lock"
    owner = sleeper(lock, *how)
    named = pytest.raises(BusyError, match=f"Process {owner.pid} on .* sleeps. Wait until")
    with named, locks.hold(lock, "sleeps"):
        pass
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    assert lock.exists()
    begin = time.monotonic()
    while lock.exists():  # a child that was just forked takes a moment to drop what it inherited
        assert time.monotonic() - begin < 5
        with contextlib.suppress(BusyError), locks.hold(lock, "sleeps"):
            pass


def test_who_waits_is_told_for_whom(tmp_path, sleeper):
    lock, notes = tmp_path / ".x.lock", []
    owner = sleeper(lock)
    threading.Timer(1.5, owner.terminate).start()
    with locks.hold(lock, "sleeps", note=notes.append):
        assert owner.wait() != 0
    assert len(notes) == 1
    assert notes[0].startswith(f"Process {owner.pid} on ")
    assert notes[0].endswith(" sleeps: waiting for it")


def test_threads_exclude_each_other(tmp_path):
    inside, together = [], []

    def work():
        with locks.hold(tmp_path / ".x.lock", "works", note=str):
            inside.append(1)
            together.append(len(inside))
            time.sleep(0.05)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [1, 1, 1]


def test_an_error_inside_releases(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyError), locks.hold(tmp_path / ".x.lock", "fails"):
            raise KeyError
    assert not list(tmp_path.iterdir())


def test_a_forked_child_that_leaves_takes_nothing_along(tmp_path, sleeper):
    lock = tmp_path / ".x.lock"
    owner = sleeper(lock, "fork")
    time.sleep(0.3)  # the child is gone by now
    assert lock.exists()
    with pytest.raises(BusyError), locks.hold(lock, "sleeps"):
        pass
    owner.kill()
    owner.wait()


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / ".x.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="lock"), locks.hold(tmp_path / ".x.lock", "writes"):
        pass
    assert (tmp_path / "precious").read_text() == "mine"


def test_file_systems_without_locks_keep_nobody_out(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def flock(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with locks.hold(tmp_path / ".x.lock", "writes"), locks.hold(tmp_path / ".x.lock", "writes"):
        pass
    assert not list(tmp_path.iterdir())
