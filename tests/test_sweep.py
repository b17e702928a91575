"""Sweeps: the grid, its commands, killed cells, whatever submits them, and what is refused."""

import os
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from chunkrl import cli, locks
from chunkrl.errors import TrainingError
from chunkrl.experiments import sweep
from chunkrl.train import checkpoint, runs

TASKS = "cube-single-play-singletask-task2-v0", "cube-single-play-singletask-task1-v0"
SMALL = ("--preset", "smoke", "--set", "transitions=1000", "--set", "episodes=1", "--set",
         "workers=0")  # fmt: skip


def words(folder, *more, methods=("qc", "qc-fql"), tasks=TASKS):
    return [*methods, "--task", *tasks, "--seeds", "0:2", *SMALL, "--folder", str(folder), *more]


def grid(folder=Path("runs"), methods=("qc", "qc-fql"), tasks=TASKS[:1], **settings):
    common = {"updates": None, "online": None, "overlap": False}
    return sweep.cells(methods, tasks, "smoke", (0, 1), settings, folder, common)


def here(*words):
    """The command in this process; what it says on the way out, if that is a sentence."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["chunkrl", "sweep", *map(str, words)])
        cli.main()


def sentence(*words):
    with pytest.raises(SystemExit) as ended:
        here(*words)
    (line,) = str(ended.value.code).splitlines()
    return line


def leaves(folder):
    with np.load(folder / runs.CHECKPOINT) as file:
        return {name: file[name] for name in file.files if name != checkpoint.DESCRIPTION}


def same(one, other):
    one, other = leaves(one), leaves(other)
    assert one.keys() == other.keys()
    for name, leaf in one.items():
        np.testing.assert_array_equal(leaf, other[name])


def test_a_setting_varies_those_that_have_it():
    names = [cell.folder.name for cell in grid(alpha=[30, 100], updates=[100])]
    task = TASKS[0]
    assert names == [
        f"qc-{task}-smoke-seeds0to1-updates100",
        f"qc_fql-{task}-smoke-seeds0to1-alpha30-updates100",
        f"qc_fql-{task}-smoke-seeds0to1-alpha100-updates100",
    ]


def test_words_of_a_cell():
    (cell,) = grid(methods=["qc"], hidden=["32x32"], overlap=["True"], online=[300])
    assert cell.words[-6:] == ("--hidden", "32", "32", "--overlap", "--online", "300")
    assert cell.words[:2] == ("qc", "--task")
    assert cell.steps == 500
    (cell,) = grid(methods=["qc"], overlap=["False"])
    assert cell.words[-1] == "--no-overlap"


def test_seeds():
    assert sweep.seeds(["0:3", "7"]) == [0, 1, 2, 7]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--set", "alpha="], "--set alpha=: give NAME=VALUE"),
        (["--set", "alpha"], "--set alpha: give NAME=VALUE"),
        (["--set", "alpha=30,30.0"], "each of its values once"),
        (["--set", "alpha=30", "--set", "alpha=100"], "give each name once"),
        (["--set", "kappa_d=0.9"], "--set kappa_d: no setting of qc, qc-fql"),
        (["--set", "obs_dim=3"], "--set obs_dim: no setting of"),
        (["--set", "folder=x"], "--set folder: no setting of"),
        (["--set", "alpha=-1"], "alpha = -1"),
        (["--set", "alpha=many"], "--alpha many"),
        (["--set", "updates=7"], "updates = 7"),
        (["--set", "online=soon"], "online = 'soon'"),
        (["--set", "utd=2"], "utd is about acting"),
        (["--seeds", "0:"], "--seeds 0:: give numbers"),
        (["--seeds", "0", "0"], "each once"),
        (["--task", TASKS[0], TASKS[0]], "is in this grid twice"),
        (["--task", "cube-singl-play-v0"], "unknown task"),
        (["--submit", "nowhere"], "--submit nowhere: "),
        (["--submit", "local", "--parameter", "slurm_x=1"], "--submit local: "),
        (["--parameter", "timeout_min=1"], "--parameter is about a cluster"),
    ],
)
def test_what_is_not_understood_is_refused_before_anything_starts(tmp_path, more, said):
    assert said in sentence("qc", "qc-fql", "--preset", "smoke", "--folder", tmp_path / "x", *more)
    assert not list(tmp_path.rglob("config.json"))


def test_a_method_twice_is_refused(tmp_path):
    assert "is in this grid twice" in sentence("qc-fql", "qc_fql", "--folder", tmp_path)
    assert "there is no method 'qcc'" in sentence("qcc", "--folder", tmp_path)


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """The commands of 2 x 2 cells."""
    folder = tmp_path_factory.mktemp("printed") / "with a space"
    with pytest.MonkeyPatch.context() as patch:
        said = []
        patch.setattr(sys.stdout, "writelines", said.extend)
        here(*words(folder, "--print"))
    return [line.strip() for line in said], folder


def test_a_sweep_by_submitit_killed_and_as_printed_gives_the_same_bits(printed, tmp_path):
    """One cell is killed with -9 after its first checkpoint; the same command goes on with it."""
    commands, folder = printed
    assert len(commands) == 4
    assert not folder.exists()
    folders = [Path(word[word.index("--folder") + 1]) for word in map(shlex.split, commands)]
    cells = [tmp_path / "sweep" / cell.name for cell in folders]
    go = [sys.executable, "-m", "chunkrl", "sweep", *words(tmp_path / "sweep", "--submit", "local")]
    going = subprocess.Popen([*go, "--jobs", "1"], stdout=subprocess.PIPE, text=True)
    victim = None
    while victim is None and going.poll() is None:
        time.sleep(0.01)
        reached = [c for c in cells if (c / runs.CHECKPOINT).exists()]
        for cell in reached:
            if checkpoint.describe(cell / runs.CHECKPOINT)["step"] < 200:
                os.kill(int((cell / runs.LOCK).read_text().split()[0]), signal.SIGKILL)
                victim = cell
                break
    told = going.communicate()[0]
    assert victim is not None, told
    assert going.returncode == 1
    assert "3 done, 1 failed" in told
    assert "SIGKILL" in next(line for line in told.splitlines() if victim.name in line)
    before = {c: (c / runs.CHECKPOINT).stat().st_mtime_ns for c in cells}
    done = subprocess.run(go, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "4 done"
    again = [c for c in cells if (c / runs.CHECKPOINT).stat().st_mtime_ns != before[c]]
    assert again == [victim]  # the others are not begun again
    (command,) = [x for x in commands if victim.name in x]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(["bash", "-c", command], env={**os.environ, "PATH": path}, check=True)
    same(folder / victim.name, victim)


PYTHON = """#!/bin/sh
case "$*" in
    *bad*) echo "chunkrl: 0 of 4"; echo "chunkrl: memory ran out, choose less"; exit 1;;
    *worse*) kill -9 $$;;
    *taken*) kill -TERM $$;;
esac
for folder; do :; done
printf 'step,seed,success\\n200,0,0.5\\n200,1,1.0\\n' > "$folder/metrics.csv"
"""


def dask_client():
    from distributed import Client

    return Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("executor", [lambda: ThreadPoolExecutor(2), dask_client])
def test_whatever_can_submit_runs_cells(tmp_path, monkeypatch, executor, capsys):
    script = tmp_path / "python"
    script.write_text(PYTHON)
    script.chmod(0o755)
    cells = grid(tmp_path, ["qc"], ["good", "bad", "worse"])
    with executor() as machine, monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(script))
        with pytest.raises(
            TrainingError, match=r"2 of 3 cells did not end well; the first, .*bad.*: memory"
        ):
            sweep.run(cells, machine, show=True)
    good, bad, worse, counts = capsys.readouterr().out.splitlines()
    assert good.split()[:6] == ["done", "200", "of", "200", "success", "75%"]
    assert "memory ran out, choose less" in bad
    assert "was killed (SIGKILL)" in worse
    assert counts == "1 done, 2 failed"
    with ThreadPoolExecutor(1) as machine, monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(script))
        script.write_text(PYTHON.replace("*bad*) echo", "*good*) echo"))  # what is done stays so
        with pytest.raises(TrainingError, match="1 of 3 cells"):
            sweep.run(cells, machine, jobs=1)
    assert [cell.state()[0] for cell in cells] == ["done", "done", "failed"]


def test_a_cell_that_is_asked_to_end_waits_for_the_end_of_its_job(tmp_path, monkeypatch):
    """Who requeues a job ends it first, and must not find that it has failed meanwhile."""
    waited = []
    script = tmp_path / "python"
    script.write_text(PYTHON)
    script.chmod(0o755)
    (cell,) = grid(tmp_path, ["qc"], ["taken"])
    monkeypatch.setattr(time, "sleep", lambda s: waited.append((s, cell.state()[0])))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(script))
        with pytest.raises(TrainingError, match="SIGTERM"):
            cell()
    assert waited == [(sweep.GRACE, "waiting")]
    assert cell.state()[0] == "failed"


def test_what_cannot_even_be_submitted_is_told(tmp_path):
    class Full:
        def submit(self, cell):
            raise OSError("the queue\nis full")

    (cell,) = grid(tmp_path, ["qc"])
    with pytest.raises(TrainingError, match="the queue is full"):
        sweep.run([cell], Full())
    assert "the queue is full" in sweep.table([cell])


def test_the_table_is_a_function_of_the_folders(tmp_path):
    (cell,) = grid(tmp_path, ["qc"])
    assert cell.state() == ("waiting", 0, "")
    rows = [{"step": 100, "seed": seed, "success": seed / 2} for seed in (0, 1)]
    runs.write_csv(cell.folder / runs.METRICS, rows)
    with locks.hold(cell.folder / runs.LOCK, "trains"):
        assert cell.state() == ("running", 100, "success 25%")
    (cell.folder / runs.LOCK).write_text("4711 on another.host\n")
    assert cell.state()[0] == "running"
    gone = subprocess.Popen(["true"])
    gone.wait()
    (cell.folder / runs.LOCK).write_text(f"{gone.pid} on {os.uname().nodename}\n")
    assert cell.state()[0] == "waiting"
    runs.write_csv(cell.folder / runs.METRICS, [row | {"step": 200} for row in rows])
    assert cell.state() == ("done", 200, "success 25%")
    runs.write_csv(cell.folder / runs.METRICS, [{"step": 200, "seed": 0}])
    assert cell.state()[0] == "waiting"  # its last evaluation is missing


def test_a_job_that_is_ended_for_others_is_submitted_again_as_it_was(tmp_path):
    (cell,) = grid(tmp_path, ["qc"])
    assert cell.checkpoint().function == cell
