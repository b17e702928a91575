"""Killed before every single change of files: the work done again succeeds, and nothing is left."""

import subprocess
import sys

import pytest
from test_data_download import NAME, address, content, files, serving, use  # noqa: F401
from test_shards import TASK
from test_shards import write as write_maze

# Counts what is about to change below FOLDER and ends the process, as kill -9 does, before number
# `last`, in a fork for each.
DRIVER = """
import os, shutil, sys, traceback
{setup}
FOLDER, count, last = sys.argv[1], 0, None
EVENTS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir")

def watch(event, arguments):
    global count
    if last is None or not (event == "open" or event in EVENTS):
        return
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & 3):
        return  # read only
    if not str(arguments[0]).startswith(FOLDER) and event != "os.remove" and event != "os.rmdir":
        return
    count += 1
    if count == last:
        os._exit(9)

sys.addaudithook(watch)

def attempt(number):
    global last, count
    child = os.fork()
    if child == 0:
        try:
            count, last = 0, number
            work(FOLDER)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def contents():
    found = {{}}
    for folder, _, names in os.walk(FOLDER):
        for name in names:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, FOLDER)] = open(path, "rb").read()
    return found

prepare(FOLDER)
work(FOLDER)  # here: what it imports and builds is there in every fork
whole, kills = contents(), 0
while True:
    shutil.rmtree(FOLDER)
    os.mkdir(FOLDER)
    prepare(FOLDER)
    kills += 1
    ended = attempt(kills)
    if ended == 0:
        break
    assert ended == 9, (kills, ended)
    assert attempt(0) == 0, f"after kill {{kills}} it does not go on"
    assert contents() == whole, (kills, sorted(contents().keys() ^ whole.keys()))
print(kills - 1)
"""

MAKE = """
import concurrent.futures
from chunkrl.envs.ogbench import oracles, recipes
import chunkrl.envs.ogbench.generate as made

class Here(concurrent.futures.Executor):
    def submit(self, function, /, *args, **kwargs):
        future = concurrent.futures.Future()
        future.set_result(function(*args, **kwargs))
        return future

def prepare(folder):
    oracles.episode(recipes.recipe("pointmaze-medium-stitch-v0", states=6), "train", 0)

def work(folder):
    made.ProcessPoolExecutor = lambda *_, **__: Here()
    made.generate("pointmaze-medium-stitch-v0", 10, folder + "/x.npz", states=6, progress=False)
"""
SHARDS = """
from chunkrl.envs.ogbench.convert import convert

def prepare(folder):
    shutil.copytree(sys.argv[2], folder, dirs_exist_ok=True)

def work(folder):
    convert(folder, sys.argv[3], progress=False)
"""
DOWNLOAD = """
from chunkrl.envs.ogbench.download import download

def prepare(folder):
    pass

def work(folder):
    download(sys.argv[2], folder, progress=False)
"""


def kills(setup, *arguments):
    """How many places there were to be killed at."""
    command = [sys.executable, "-c", DRIVER.format(setup=setup), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return int(ended.stdout)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_make(folder):
    """Three parts, two joined files, the recipe, the lock, and their removal."""
    assert kills(MAKE, folder) >= 25


def test_shards(folder, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for i in range(2):
        write_maze(source, f"maze-{i:03d}", seed=i)
    write_maze(source, "maze-000-val", seed=9)
    assert kills(SHARDS, folder, source, TASK) >= 15


def test_download(folder, files, monkeypatch):  # noqa: F811
    with serving(files) as server:
        use(monkeypatch, address(server))
        assert kills(DOWNLOAD, folder, NAME) >= 8
