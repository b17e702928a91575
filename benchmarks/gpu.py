"""What an accelerator makes of the methods: a row of CSV as soon as it is measured.

python benchmarks/gpu.py gpu.csv [--size paper] [--methods qc_fql fql qc mac dqc] [--seeds 1 4 16]
                         [--precisions tensorfloat32 float32 bfloat16] [--seconds 600] [--lock FILE]

A row is one method with one precision and one number of seeds.  Updates/s of all seeds together,
in the compiled loop (`train.update_many`: data on the device, one call for many updates) and in the
usual one (a batch from the host, a call per update, one seed), both timed in turns in this process.
The ceiling is that of a large matrix product in the row's precision, measured beside it.  The first
precision comes first, and no row begins after `--seconds`: a short lease is used to its end.
Several of these at once, of different methods, compile side by side and measure one at a time where
they share a `--lock`.
"""

import argparse
import csv
import fcntl
import os
import time
from functools import partial
from pathlib import Path

import jax
import numpy as np
import speed
from first_command import problem

from chunkrl.train.runs import versions
from chunkrl.types import ChunkBatch, ChunkDataset, Windows

METHODS = ("qc_fql", "fql", "qc", "mac", "dqc")
PROPOSING = ("qc", "mac")  # several chunks, without a gradient
# Of matrix products with float32 arrays; "candidates" computes what `PROPOSING` propose in bfloat16
# (CHUNKRL_PRECISION), the rest as the first.
PRECISIONS = ("tensorfloat32", "float32", "bfloat16", "candidates")
SIZES = ("smoke", "coffee", "laptop", "paper")


def host_chunks(r: np.random.Generator, dataset: ChunkDataset, size: int, agent) -> ChunkBatch:
    """A batch as `chunks.sample` draws it, drawn in NumPy."""
    start = dataset.starts[r.integers(0, len(dataset.starts), size)]
    rows = start[:, None] + np.arange(agent.chunk)
    powers = agent.discount ** np.arange(agent.chunk, dtype=np.float32)
    goal = dataset.goal[start]
    return ChunkBatch(
        dataset.obs[start],
        dataset.action[rows].reshape(size, -1),
        dataset.reward[rows] @ powers,
        dataset.mask[rows].min(axis=1),
        dataset.obs[start + agent.chunk],
        goal,
        goal,
    )


def host_drawn(r: np.random.Generator, dataset: ChunkDataset, size: int, agent) -> ChunkBatch:
    """A batch with goals as the agent draws it, by the host's processor."""
    with jax.default_device(jax.devices("cpu")[0]):
        return jax.device_get(_drawn(agent, jax.random.key(r.integers(2**31)), dataset, size))


@partial(jax.jit, static_argnums=(0, 3))
def _drawn(agent, key, dataset, size):
    return agent.draw(key, dataset, size)


def row(method: str, size: str, precision: str, seeds: int, repeats: int, lock: Path) -> dict:
    """One row of the table."""
    agent, amount, data = problem(method, size)
    windows = isinstance(agent.reads, Windows)
    host, draw = jax.device_get(data), speed.host_windows if windows else host_chunks
    if not windows and host.goal.shape[-1]:
        host, draw = jax.device_put(data, jax.devices("cpu")[0]), host_drawn
    count = speed.updates_of(method, size) * (1 if jax.default_backend() == "cpu" else 10)
    count = max(2, count // (1 if windows else 10))
    begin = time.perf_counter()
    ours = speed.compiled_loop(agent, amount.batch_size, count, data, seeds)
    jax.block_until_ready(ours())
    compiled = time.perf_counter() - begin
    few = max(2, count // 10)
    n, products = 4096 if size == "paper" else 1024, 20
    runs = {
        "ours": ours,
        "usual": speed.usual_loop(agent, amount.batch_size, few, host, draw),
        "top": speed.matmul_ceiling(n, products),
    }
    with lock.open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        took = speed.alternate(runs, repeats)
    ours_rate, usual_rate = seeds * count / took["ours"], few / took["usual"]
    drawn = lambda: agent.draw(jax.random.key(0), data, amount.batch_size)
    flops = speed.update_flops(agent, amount.batch_size, jax.eval_shape(drawn))
    ceiling = products * 2 * n**3 / took["top"]
    device = jax.devices()[0]
    return {
        "device": getattr(device, "device_kind", device.platform),
        "jax": versions()["jax"],
        "method": method,
        "size": size,
        "precision": precision,
        "seeds": seeds,
        "updates_per_s": round(ours_rate, 2),
        "usual_updates_per_s": round(usual_rate, 2),
        "ratio": round(ours_rate / usual_rate, 2),
        "gflop_per_update": round(flops / 1e9, 3),
        "tflop_per_s": round(ours_rate * flops / 1e12, 3),
        "ceiling_tflop_per_s": round(ceiling / 1e12, 2),
        "share_of_ceiling": round(ours_rate * flops / ceiling, 4),
        "first_call_s": round(compiled, 1),
        "minutes_per_million": round(1e6 * seeds / ours_rate / 60, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", type=Path, help="CSV file to write")
    parser.add_argument("--size", choices=SIZES, default="paper")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--seeds", nargs="+", type=int, default=(1, 4, 16))
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--lock", type=Path, default=Path(os.devnull))
    options = parser.parse_args()
    begin, writer = time.perf_counter(), None
    with options.path.open("w", newline="") as file:
        for precision in options.precisions:
            candidates = precision == "candidates"
            os.environ["CHUNKRL_PRECISION"] = "bfloat16" if candidates else "float32"
            jax.clear_caches()  # which do not know of the environment
            with jax.default_matmul_precision(PRECISIONS[0] if candidates else precision):
                for method in options.methods:
                    if candidates and method not in PROPOSING:
                        continue
                    for seeds in options.seeds:
                        if time.perf_counter() - begin > options.seconds:
                            return
                        found = row(
                            method, options.size, precision, seeds, options.repeats, options.lock
                        )
                        writer = writer or csv.DictWriter(file, found)
                        if file.tell() == 0:
                            writer.writeheader()
                        writer.writerow(found)
                        file.flush()
                        print(*(f"{k}={v}" for k, v in found.items()), flush=True)


if __name__ == "__main__":
    main()
