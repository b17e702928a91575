"""What comes before the first update, and the first command as a whole: CPU seconds, in pairs.

python benchmarks/first_command.py TABLE.csv [--before CHECKOUT] [--parts compile command help load]
                                   [--sizes smoke laptop] [--methods qc qc_fql ...] [--pairs 1]

Each figure is of a process of its own, without a compilation cache, and a row is written as soon as
it is measured.  With `--before`, a checkout of an earlier version, the two take turns.  CPU seconds
are of all threads and of the processes that were started; on a machine that others use as well
they are larger than on a quiet one, and only their ratios mean anything.

compile   tracing and compiling `init` and the many updates of a call, as a run of that size makes
          them; the kernels of an update (`methods.kernels`); and what an update takes then
command   `chunkrl train qc-fql --preset smoke` with no data and no cache, and once more with both
help      `chunkrl --help`
load      peak memory of `load_task` of a million transitions, beyond that of its environment, as a
          multiple of the arrays that it gives
"""

import argparse
import csv
import inspect
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SMALL = 2_000
PARTS = ("compile", "command", "help", "load")


def problem(method: str, size: str):
    """A method at a preset's size, and arrays of cube-double's shapes: the values do not matter."""
    import jax
    import numpy as np

    from chunkrl.agents import make, named
    from chunkrl.data import chunks
    from chunkrl.types import Dataset, Halves, Ring, Windows

    amount, known = named(method).preset(size), named(method).parameters
    goals = {"goal_dim": 6} if known.get("goal_dim", (int, 0))[1] else {}
    agent = make(method, 37, 5, **named(method).settings("cube-double", amount), **goals)
    r, rows = np.random.default_rng(0), 20_000
    floats = lambda *shape: r.uniform(-1, 1, shape).astype(np.float32)
    obs, action, ones = floats(rows, 37), floats(rows, 5), np.ones(rows, np.float32)
    end = np.arange(rows) % 1000 == 999
    if isinstance(agent.reads, Windows):
        data = Dataset(obs, action, -ones, ones, np.float32(end), floats(rows, 37))
        if agent.reads.halves:
            data = Halves(data, Ring(data, np.int32(rows), np.int32(rows)))
    else:
        last, goal = chunks.final_rows(end), floats(rows, 6) if goals else None
        data = chunks.dataset(obs, action, -ones, ones, last, agent.reads.length, goal)
    return agent, amount, jax.device_put(data)


def first(method: str, size: str, updates: int):
    """What a run of that size compiles: first state, program of many updates, CPU s of both.

    -> (state, state -> state, the compiled program, rows, s of `init`, s of the updates)
    """
    import jax
    from methods import cpu

    from chunkrl import train
    from chunkrl.train import programs

    agent, amount, data = problem(method, size)
    rows, key = programs.most_rows(agent, amount.batch_size), jax.random.key(0)
    states, init = cpu(lambda: train.init(agent, key[None]))
    state = programs.unstack(states)[0]
    # An earlier version compiles a short run as every other.
    quick = (amount.quick,) if "quick" in inspect.signature(train.update_many).parameters else ()
    begin = time.process_time()
    program = programs.learning(programs._update_seed, 3, rows, *quick)
    compiled = program.lower(agent, updates, amount.batch_size, state, data, key).compile()
    took = time.process_time() - begin
    return state, lambda state: compiled(state, data, key)[0], compiled, rows, init, took


def compiling(method: str, size: str) -> dict[str, float]:
    from methods import cpu, kernels

    updates = {"smoke": 200, "laptop": 20}.get(size, 1)
    state, update, compiled, _, init, took = first(method, size, updates)
    times = []
    while len(times) < 2 or (len(times) < 40 and sum(times) < 8):
        state, seconds = cpu(lambda state=state: update(state))
        times.append(seconds)
    each = 1e3 * min(times) / updates
    return {
        "init": init, "update": took, "kernels": kernels(compiled.as_text()), "ms_an_update": each
    }  # fmt: skip


def children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def chunkrl(*words: str) -> float:
    """CPU seconds of the command line, with the processes that it starts."""
    before, run = children(), [sys.executable, "-m", "chunkrl", *words]
    # Elsewhere: Python would take the package of the folder that it is started in.
    subprocess.run(run, check=True, capture_output=True, cwd=tempfile.gettempdir())
    return children() - before


def command() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ.pop("JAX_ENABLE_COMPILATION_CACHE")
        os.environ |= {"HOME": folder, "XDG_CACHE_HOME": folder, "CHUNKRL_DATA": f"{folder}/data"}
        words = "train", "qc-fql", "--preset", "smoke", "--folder"
        return {name: chunkrl(*words, f"{folder}/{name}") for name in ("fresh", "again")}


def helping() -> dict[str, float]:
    return {"help": min(chunkrl("--help") for _ in range(3))}


def loading() -> dict[str, float]:
    import numpy as np

    from chunkrl.envs.ogbench import tasks
    from chunkrl.envs.ogbench.relabel import load_task

    status = lambda key: int(Path("/proc/self/status").read_text().split(key)[1].split()[0]) / 1024
    task, rows = "cube-double-play-singletask-task2-v0", 1_001_000
    r = np.random.default_rng(0)
    widths = {"observations": 37, "actions": 5, "qpos": 28, "qvel": 26}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.npz"
        arrays = {k: r.uniform(-1, 1, (rows, n)).astype(np.float32) for k, n in widths.items()}
        np.savez(path, **arrays, terminals=np.arange(rows) % 1001 == 1000)
        del arrays
        env = tasks.make(tasks.get(task).env_name)
        env.reset(seed=0)
        env.close()
        del env
        base = status("VmRSS:")
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        size = sum(array.nbytes for array in load_task(task, path)) / 2**20
        peak = status("VmHWM:") - base
    return {"arrays_MB": size, "peak_MB": peak, "multiple": peak / size}


def one(part: str, *about: str) -> dict[str, float]:
    return {"compile": compiling, "command": command, "help": helping, "load": loading}[part](
        *about
    )


def measured(tree: Path, part: str, about: tuple[str, ...]) -> dict[str, float]:
    """What `one` says in a process of its own, with the package of `tree`."""
    mine = {"PYTHONPATH": str(tree.resolve()), "JAX_ENABLE_COMPILATION_CACHE": "false"}
    done = subprocess.run(
        [sys.executable, __file__, "--one", part, *about],
        env={**os.environ, **mine, "TQDM_DISABLE": "1"}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return {k: float(v) for k, v in (line.split("=") for line in done.stdout.split())}


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(*(f"{k}={v}" for k, v in one(*sys.argv[2:]).items()))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--sizes", nargs="+", default=("smoke", "laptop"))
    parser.add_argument("--methods", nargs="+", default=None)
    parser.add_argument("--pairs", type=int, default=1)
    options = parser.parse_args()
    here = Path(__file__).parents[1]
    trees = {**({"before": options.before} if options.before else {}), "after": here}
    if options.methods is None and "compile" in options.parts:
        from chunkrl.agents import methods

        options.methods = list(methods.ALL)
    cells = [(part,) for part in options.parts if part != "compile"]
    if "compile" in options.parts:
        cells += [("compile", m, s) for s in options.sizes for m in options.methods]
    with options.table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["part", "method", "size", "figure", "pair", *trees])
        for part, *about in cells:
            for pair in range(options.pairs):
                found = [measured(tree, part, tuple(about)) for tree in trees.values()]
                for name in found[-1]:
                    values = [f"{x[name]:.3f}" for x in found]
                    writer.writerow([part, *(about or ["", ""]), name, pair, *values])
                    print(part, *about, name, *values, flush=True)
                file.flush()


if __name__ == "__main__":
    main()
