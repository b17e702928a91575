"""What an evaluation worker holds, with one model for all environments and with one for each.

python benchmarks/workers.py [environments] > benchmarks/workers.md

Every column is a process of its own, started as a worker is; they take turns, and a figure is the
median of each.  Memory is what Linux says: resident, and at its peak.
"""

import argparse
import contextlib
import datetime
import multiprocessing
import os
import platform
import time
from pathlib import Path
from unittest import mock

import numpy as np

from chunkrl.envs.ogbench import sharing, tasks
from chunkrl.play.slot import Slot, Start
from chunkrl.processes import ENVIRONMENT

TASK = "cube-double-play-singletask-v0"
REPEATS, ROUNDS, LENGTH = 3, 20, 5
UNITS = {
    "imports, MB": 0,
    "one environment, MB": 0,
    "all environments, MB": 0,
    "peak, MB": 0,
    "with one recorded, MB": 0,
    "make and reset, CPU s": 2,
    "a step, in chunks of 5, least CPU ms": 3,
    "a step, one each, least CPU ms": 3,
}


def memory(key: str) -> float:
    """`VmRSS` (now) or `VmHWM` (most so far) of this process, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{key}:")[1].split()[0]) * 1024 / 1e6


def milliseconds(slots: list[Slot], rounds: int, length: int) -> float:
    """Of a step, the environments in turns; the least of all rounds."""
    rng = np.random.default_rng(0)
    times = []
    for _ in range(rounds):
        actions = rng.uniform(-1, 1, (len(slots), length, 5))
        begin = time.process_time()
        for row, action in enumerate(actions):
            slots[row].step(action)
        times.append(time.process_time() - begin)
    return 1e3 * min(times) / (len(slots) * length)


def worker(pipe, count: int) -> None:
    """Send what a worker with `count` environments takes, in the order of `UNITS`."""
    task = tasks.get(TASK)
    figures, slots = [memory("VmRSS")], []
    begin = time.process_time()
    for row in range(count):
        slots.append(Slot(tasks.make_env(task)))
        slots[row].start(Start(row))
        figures += [memory("VmRSS")] if row == 0 else []
    seconds = time.process_time() - begin
    steps = [milliseconds(slots, ROUNDS, LENGTH), milliseconds(slots, ROUNDS * LENGTH, 1)]
    figures += [memory("VmRSS"), memory("VmHWM")]
    slots[0].start(Start(0, record=True))
    pipe.send([*figures, memory("VmRSS"), seconds, *steps])


def own_models(pipe, count: int) -> None:
    """The same as OGBench makes them."""
    with (
        mock.patch.object(sharing, "borrower", lambda kind: kind),
        mock.patch.object(sharing, "one_copy", contextlib.nullcontext),
    ):
        worker(pipe, count)


def measure(target, count: int, environment: dict[str, str]) -> list[float]:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    with mock.patch.dict(os.environ, environment):
        process = spawn.Process(target=target, args=(theirs, count))
        process.start()
    figures = ours.recv()
    process.join()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environments", nargs="?", type=int, default=5)
    count = parser.parse_args().environments
    plain = {key: value for key, value in ENVIRONMENT.items() if not key.startswith("MALLOC")}
    pairs = np.array(
        [
            (measure(own_models, count, plain), measure(worker, count, ENVIRONMENT))
            for _ in range(REPEATS)
        ]
    )
    print("# What an evaluation worker holds\n")
    print(f"Made by `python benchmarks/workers.py {count}`, {datetime.date.today()},")
    print(f"{platform.machine()}, {os.cpu_count()} cores.\n")
    print(f"{count} environments of {TASK} in one process;")
    print(f"medians over {REPEATS} pairs of processes, taken in turns.\n")
    print("| | a model each | one model | ratio of a pair |")
    print("|---|---|---|---|")
    for i, (name, digits) in enumerate(UNITS.items()):
        each, one = np.median(pairs[:, :, i], axis=0)
        ratio = np.median(pairs[:, 0, i] / pairs[:, 1, i])
        print(f"| {name} | {each:.{digits}f} | {one:.{digits}f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
