"""What becomes of workers that cannot start, die or stop, and of those whose parent dies."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from toy_envs import Toy

from chunkrl.envs.family import Task
from chunkrl.errors import WorkerError
from chunkrl.play import workers as processes
from chunkrl.play.evaluate import Evaluator
from chunkrl.play.slot import Pulse, Slots, Start

TASK = Task("toy", "toy", "toy", "toy", sparse=False)
HERE = Path(__file__).parent


def act(obs, keys):
    return jnp.zeros((len(obs), 5, 2))


def play(make_env, workers=1, envs=2, **settings):
    with Evaluator(TASK, workers, envs, make_env=make_env, **settings) as evaluator:
        return evaluator.run(act, episodes=2)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("kill", r"died: it was killed \(SIGKILL\), .* memory"),
        ("leave", r"died: it ended with code 3"),
        ("cut", r"died: it was killed \(SIGKILL\)"),
        ("memory", r"memory ran out in evaluation worker 0 .* fewer workers or envs"),
        ("map", r"memory ran out in evaluation worker 0 \(.*failed to map segment"),
        ("raise", r"(?s)worker 0 failed:\nTraceback.*the toy fell off the table"),
    ],
)
def test_the_end_of_a_worker_names_its_cause(fault, message):
    with pytest.raises(WorkerError, match=message):
        play(partial(Toy, broken=fault))


def test_a_killed_worker_is_reported_at_once():
    began = time.monotonic()
    with pytest.raises(WorkerError, match=r"died"):
        play(partial(Toy, broken="kill"), workers=2)
    assert time.monotonic() - began < 60  # start-up included; a hang would be for ever


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads process states from /proc")
def test_a_stopped_worker_is_given_up(monkeypatch):
    monkeypatch.setattr(processes, "STOPPED", 2.0)
    with pytest.raises(WorkerError, match="has not moved for 3 s: a signal, SIGSTOP"):
        play(partial(Toy, broken="stop"))


def test_a_step_that_takes_too_long_is_given_up():
    with pytest.raises(WorkerError, match=r"has not moved for .* s: one step of its environment"):
        play(partial(Toy, broken="sleep"), patience=5)


def test_a_worker_shows_that_it_moves_at_every_step():
    beats = []
    slots = Slots(Toy, Pulse(lambda: beats.append(1), seconds=0.0))
    slots.exchange({0: Start(0), 1: Start(0)})
    before = len(beats)
    slots.exchange(dict.fromkeys((0, 1), np.zeros((5, 2))))
    assert len(beats) - before >= 10
    quiet = Slots(Toy, Pulse(lambda: beats.append(2)))
    quiet.exchange({0: Start(0)})
    quiet.exchange({0: np.zeros((5, 2))})
    assert 2 not in beats  # not faster than once a second


@pytest.mark.parametrize("kind", ["lambda", "closure", "object"])
def test_what_cannot_be_sent_is_refused_and_plays_without_processes(kind):
    class Mine(Toy):
        pass

    lock = open(os.devnull)  # noqa: SIM115  (nothing that can be pickled)
    make_env = {"lambda": lambda: Toy(), "closure": Mine, "object": partial(held, lock)}[kind]
    with lock:
        with pytest.raises(WorkerError, match=r"cannot be sent to worker processes .*workers=0"):
            play(make_env)
        np.testing.assert_array_equal(play(make_env, workers=0).length, 7)


def held(lock):
    return Toy()


SCRIPT = """
import numpy as np
from toy_envs import Toy
from chunkrl.envs.family import Task
from chunkrl.errors import ChunkRLError
from chunkrl.play.evaluate import Evaluator

class Mine(Toy):
    pass

def play(make_env, workers=1):
    try:
        with Evaluator(Task("m", "m", "m", "m", False), workers, 1, make_env=make_env) as player:
            print(player.run(lambda obs, keys: np.zeros((len(obs), 5, 2)), 1).length[0])
    except ChunkRLError as error:
        print(type(error).__name__, error)
"""


def run(*command, stdin=None):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)])}
    done = subprocess.run(
        [sys.executable, *command],
        input=stdin,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("source", ["stdin", "command"])
def test_a_script_that_is_no_file_plays_what_a_file_defines(source):
    """And what it defines itself only without processes."""
    text = SCRIPT + "play(Toy)\nplay(Mine)\nplay(Mine, workers=0)\n"
    told = run("-", stdin=text) if source == "stdin" else run("-c", text)
    first, second, third = told.splitlines()
    assert (first, third) == ("7", "7")
    assert second.startswith("WorkerError Mine is defined in a notebook")
    assert all(word in second for word in ("Mine", "standard input", "notebook", "workers=0"))


def test_a_script_without_a_guard_is_told_so(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT + "play(Mine)\n")
    told = run(str(script))
    assert told.startswith("WorkerError")
    assert "a script needs its code under `if __name__ ==" in told
    script.write_text(SCRIPT + "if __name__ == '__main__':\n    play(Mine)\n")
    assert run(str(script)) == "7"


def test_ogbench_s_tasks_need_no_guard(tmp_path):
    """Their workers do not import the script."""
    script = tmp_path / "script.py"
    script.write_text("""
import numpy as np
from chunkrl import tasks
from chunkrl.evaluate import Evaluator

task = tasks.get("pointmaze-medium-navigate-singletask-v0")
with Evaluator(task, 1, 1, max_episode_steps=4) as player:
    print(player.run(lambda obs, keys: np.zeros((len(obs), 2, 2)), 1).length[0])
""")
    assert run(str(script)) == "4"


def memory_for_nothing():
    """An environment in a process whose address space is used up."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (400_000_000, 400_000_000))
    np.ones(10**9)
    return Toy()


def test_a_limit_on_memory_is_named():
    with pytest.raises(WorkerError, match=r"memory ran out .*limited to 400 MB .*ulimit -v"):
        play(memory_for_nothing)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].startswith(" Z")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads process states from /proc")
@pytest.mark.parametrize("fault", ["", "sleep"])
def test_workers_do_not_outlive_a_killed_parent(fault):
    """Neither while they wait for commands nor in the middle of a step."""
    script = f"""
        import time
        from functools import partial
        import numpy as np
        from toy_envs import Toy
        from chunkrl.play.slot import Start
        from chunkrl.play.workers import Workers
        if __name__ == "__main__":
            workers = Workers(2, partial(Toy, broken="{fault}"))
            workers.exchange({{0: Start(0), 1: Start(0)}})
            print(*[process.pid for process in workers.processes], flush=True)
            workers.exchange(dict.fromkeys((0, 1), np.zeros((5, 2))))
            time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(
        command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(alive(pid) for pid in pids)
        time.sleep(1)  # the workers are in their third step
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in pids)
