"""How commands end: whatever becomes of standard output, and at Ctrl-C."""

import os
import signal
import subprocess
import sys
import time

import pytest

from chunkrl import machine
from chunkrl.errors import ConfigError

PRINTS = """
from chunkrl import command
with command.sentences("chunkrl"):
    print({text})
    open({path!r}, "w").write("done")
    {more}
"""


def script(code, **kwargs):
    kwargs = {"env": {**os.environ, "PYTHONUNBUFFERED": ""}} | kwargs
    return subprocess.run(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, timeout=120, **kwargs
    )


@pytest.mark.parametrize("text", ["'short'", "'long' * 10_000"])
def test_a_full_standard_output_is_a_sentence(tmp_path, text):
    with open("/dev/full", "w") as full:
        done = script(PRINTS.format(text=text, path=str(tmp_path / "x"), more=""), stdout=full)
    assert done.returncode == 1
    assert done.stderr == (
        "chunkrl: No space left on device. Free some space, or choose a place on another disk, "
        "then repeat what was done.\n"
    )
    assert (tmp_path / "x").exists() == (text == "'short'")


@pytest.mark.parametrize("text", ["'short'", "'long' * 100_000"])
def test_a_closed_pipe_is_a_sentence(tmp_path, text):
    read, write = os.pipe()
    os.close(read)
    done = script(PRINTS.format(text=text, path=str(tmp_path / "x"), more=""), stdout=write)
    os.close(write)
    assert done.returncode == 1
    assert done.stderr.startswith("chunkrl: Broken pipe. ")
    assert done.stderr.count("\n") == 1


def test_an_error_is_told_though_nothing_can_be_printed(tmp_path):
    more = "from chunkrl.errors import ConfigError; raise ConfigError('no')"
    with open("/dev/full", "w") as full:
        code = PRINTS.format(text="'a'", path=str(tmp_path / "x"), more=more)
        done = script(code, stdout=full)
    assert (done.returncode, done.stderr) == (1, "chunkrl: no\n")


def test_names_that_ascii_lacks_are_printed_all_the_same(tmp_path):
    code = PRINTS.format(text="'läufe/動'", path=str(tmp_path / "x"), more="")
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = script(code, stdout=subprocess.PIPE, env=ascii_only)
    assert (done.returncode, done.stdout) == (0, "l\\xe4ufe/\\u52d5\n")
    more = "from chunkrl.errors import ConfigError; raise ConfigError('läufe')"
    code = PRINTS.format(text="'a'", path=str(tmp_path / "x"), more=more)
    done = script(code, stdout=subprocess.PIPE, env=ascii_only)
    assert (done.returncode, done.stderr) == (1, "chunkrl: l\\xe4ufe\n")


def test_warnings_of_ours_are_one_line():
    code = """
import warnings
from chunkrl import command, errors
with command.sentences("chunkrl"):
    warnings.warn("look", errors.ChunkRLWarning)
"""
    assert script(code).stderr == "chunkrl: look\n"


# Also where these tests run in the background, whose processes ignore Ctrl-C from the beginning.
HEARS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"

# Python's own handler would be asleep in the first, and its exception be lost in the others.
BUSY = {
    "compiled code": "import hashlib; hashlib.pbkdf2_hmac('sha256', b'a', b'b', 2**31 - 1)",
    "swallowed": """
while True:
    try:
        time.sleep(0.1)
    except BaseException:
        pass""",
    "a destructor": """
class Slow:
    def __del__(self):
        time.sleep(60)
del_ = Slow()
del del_
time.sleep(60)""",
    "a thread that is waited for": """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(1) as pool:
    pool.submit(time.sleep, 60)""",
    "worker processes": """
import multiprocessing
spawn = multiprocessing.get_context("spawn")
lock = spawn.Lock()
worker = spawn.Process(target=time.sleep, args=(60,))
worker.start()
print(worker.pid, flush=True)
worker.join()""",
    "another program": """
import subprocess, sys
subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"])""",
    "processes that are begun one after the other": """
import multiprocessing.util as util, psutil
from chunkrl.processes import Spawn
def slow(function, seconds):
    return lambda *args, **kwargs: (function(*args, **kwargs), time.sleep(seconds))[0]
util.spawnv_passfds = slow(util.spawnv_passfds, 0.4)
psutil.Process.children = slow(psutil.Process.children, 0.6)
spawn = Spawn()
while True:
    spawn.Process(target=time.sleep, args=(60,)).start()""",
    "the end": "import atexit; atexit.register(time.sleep, 60)",
}


@pytest.mark.parametrize("code", BUSY.values(), ids=BUSY)
def test_ctrl_c_ends_whatever_is_done(tmp_path, code):
    file = tmp_path / "busy.py"
    file.write_text(
        f"{HEARS}\nimport time\nfrom chunkrl import command\nif __name__ == '__main__':\n"
        "    command.listen('chunkrl')\n    print('begun', flush=True)\n    "
        + code.strip().replace("\n", "\n    ")
    )
    process = subprocess.Popen(
        [sys.executable, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "begun\n"
    worker = int(process.stdout.readline()) if "worker" in code else None
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    _, told = process.communicate(timeout=60)
    assert time.monotonic() - begin < 5
    assert process.returncode == 130
    assert told.startswith("\nchunkrl: stopped;")
    assert told.count("\n") == 2
    if worker:
        for _ in range(50):
            try:
                os.kill(worker, 0)
            except ProcessLookupError:
                break
            time.sleep(0.1)
        else:
            pytest.fail("the worker goes on")


@pytest.mark.parametrize("module", ["command", "errors", "cli", "experiments"])
def test_ctrl_c_at_the_import_of_any_module(module):
    """From the first of our lines on; before it, Python ends in its own way."""
    code = f"""
{HEARS}
import importlib.abc, os, runpy, sys, time

class Presses(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "chunkrl.{module}":
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)

sys.meta_path.insert(0, Presses())
sys.argv = ["chunkrl", "train", "fql", "--preset", "paper"]
runpy.run_module("chunkrl", run_name="__main__", alter_sys=True)
"""
    done = script(code, stdout=subprocess.DEVNULL)
    assert done.returncode == 130
    assert done.stderr.startswith("\nchunkrl: stopped;")
    assert done.stderr.count("\n") == 2


def test_ctrl_c_that_the_shell_ignores_stays_ignored():
    code = """
import os, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
from chunkrl import command
command.listen("chunkrl")
os.kill(os.getpid(), signal.SIGINT)
print("fine")
"""
    assert script(code, stdout=subprocess.PIPE).stdout == "fine\n"


@pytest.mark.parametrize("columns", ["0", "1", "7", "-5", "wide"])
def test_help_ends_in_the_narrowest_window(columns):
    done = subprocess.run(
        [sys.executable, "-m", "chunkrl", "data", "make", "--help"],
        env={**os.environ, "COLUMNS": columns}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "transitions" in done.stdout


def broken(message, kind=ImportError):
    def fail(*_, **__):
        raise kind(message)

    return fail


@pytest.mark.parametrize(
    ("module", "name", "error", "finding"),
    [
        ("jax", "devices", RuntimeError("no cuda\nhere"), "devices"),
        ("jax", "devices", AssertionError(), "devices"),
        ("chunkrl.envs.rendering", "rendering_backend", ImportError("mujoco: libGL"), "rendering"),
        ("chunkrl.envs.rendering", "rendering_backend", ConfigError("MUJOCO_GL"), "rendering"),
        (
            "chunkrl.envs.ogbench.files",
            "data_dir",
            RuntimeError("Could not determine home"),
            "data",
        ),
        ("os", "walk", PermissionError(13, "Permission denied"), "data"),
        ("pathlib.Path", "home", RuntimeError("No home"), ""),
    ],
)
def test_info_answers_whatever_is_broken(monkeypatch, module, name, error, finding):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(f"{module}.{name}", fail, raising=False)
    lines = machine.report().splitlines()
    first = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert {"python", "jax", "devices", "rendering", "data"} <= set(first)
    found = next(line for line in lines if line.startswith(finding))
    assert not finding or (str(error) or "JAX finds no device").split("\n")[0] in found


def test_info_names_a_data_folder_that_cannot_be_used(tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("CHUNKRL_DATA", str(tmp_path / "taken"))
    assert "Not a directory" in machine.report()
    monkeypatch.setenv("CHUNKRL_DATA", str(tmp_path / "new" / "data"))
    assert "cannot be written" not in machine.report()
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    assert "cannot be written" in machine.report()


def test_info_names_a_package_that_is_not_installed(monkeypatch):
    import importlib.metadata

    monkeypatch.setattr(
        importlib.metadata, "version", broken("ogbench", importlib.metadata.PackageNotFoundError)
    )
    assert "ogbench    not installed" in machine.report()


@pytest.mark.parametrize(("platform", "command"), [("cuda", ["info"]), ("gpu", ["train", "fql"])])
def test_a_platform_that_is_not_here_is_a_sentence(platform, command, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "chunkrl", *command],
        env={**os.environ, "JAX_PLATFORMS": platform}, cwd=tmp_path,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == int(command != ["info"])
    assert "JAX finds no device of the platform" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["data", "make", "--help"]])
def test_help_waits_for_no_library_that_it_does_not_need(words):
    code = f"""
import runpy, sys
sys.argv = ["chunkrl", *{words}]
try:
    runpy.run_module("chunkrl", run_name="__main__")
finally:
    heavy = {{"jax", "gymnasium", "ogbench", "mujoco", "scipy", "matplotlib"}} & {{*sys.modules}}
    sys.exit(f"imported: {{heavy}}" if heavy else 0)
"""
    done = script(code, stdout=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, "")
