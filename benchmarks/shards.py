"""Does an update cost more when the data are shards that take turns?  One run, one ratio.

python benchmarks/shards.py [smoke] [laptop] [paper] > benchmarks/shards.md

A shard of 50,000 states is replaced every INTERVAL updates, far more often than a published one of
1,000,000 states every 1,000; at smoke size an update costs least, so that replacing shows most.
"""

import argparse
import datetime
import platform
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

from chunkrl import agents, train
from chunkrl.data import shards
from chunkrl.data.shards import Resident
from chunkrl.envs.ogbench.convert import convert

TASK, DOMAIN, OBS, ACTION, GOAL = "cube-double-play-oraclerep-v0", "cube-double", 37, 5, 6
SHARDS, TRAJECTORIES, STATES = 20, 50, 1001
EVERY, ROTATIONS = 10, 8
INTERVAL = {"smoke": 500, "laptop": 50, "paper": 10}  # updates


def write_shards(folder: Path) -> Path:
    """A converted set of cube-double's shapes; the values do not matter for the speed."""
    r = np.random.default_rng(0)
    rows = TRAJECTORIES * STATES
    draw = lambda *shape: r.uniform(-1, 1, (rows, *shape)).astype(np.float32)
    ends = np.arange(rows) % STATES == STATES - 1
    for i in range(SHARDS):
        arrays = {"qpos": draw(28), "qvel": draw(26), "terminals": ends}
        arrays |= {"observations": draw(OBS), "actions": draw(ACTION)}
        for suffix in ("", "-val")[: 2 - (i > 0)]:
            np.savez(folder / f"cube-double-play-v0-{i:03d}{suffix}.npz", **arrays)
    return convert(folder, TASK)


def updates_per_second(agent, source, batch_size: int, first: int, count: int, states) -> tuple:
    """`count` updates from number `first` on, as `train.fit` makes them.  -> rate, states"""
    begin = time.perf_counter()
    for step in range(first, first + count, EVERY):
        keys = jax.random.split(jax.random.key(step), 1)
        resident = source.at(step)
        states, report = train.update_many(agent, EVERY, batch_size, states, resident, keys)
        jax.block_until_ready(report)
    return count / (time.perf_counter() - begin), states


def measure(size: str, folder: Path) -> tuple[float, float, float]:
    """Updates/s on one resident shard and on all of them; the median ratio of the pairs."""
    amount, interval = agents.named("mac").preset(size), INTERVAL[size]
    settings = agents.named("mac").settings(DOMAIN, amount)
    agent = agents.make("mac", OBS, ACTION, goal_dim=GOAL, **settings)
    many = shards.Shards(folder, agent.chunk, interval)
    one = Resident(many.read(0))
    states = train.init(agent, jax.random.split(jax.random.key(0), 1))
    rates = {"one": [], "many": []}
    for i in range(ROTATIONS + 1):  # in turns: what else the machine does hits both
        for name, source in (("one", one), ("many", many)):
            start = i * interval
            rate, states = updates_per_second(
                agent, source, amount.batch_size, start, interval, states
            )
            rates[name].append(rate)
    one_rates, many_rates = (np.array(rates[name][1:]) for name in rates)  # the first compiles
    return np.median(one_rates), np.median(many_rates), np.median(many_rates / one_rates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", default=["smoke", "laptop"], choices=tuple(INTERVAL))
    sizes = parser.parse_args().sizes
    train.enable_compilation_cache()
    print("# Shards that take turns against one that stays\n")
    print(f"Made by `python benchmarks/shards.py {' '.join(sizes)}`, {datetime.date.today()},")
    print(f"{platform.machine()}, devices: {jax.devices()}.\n")
    print(f"MAC with goals, one seed; {SHARDS} shards of {TRAJECTORIES * STATES} states of {OBS}")
    print(f"numbers.  Medians over {ROTATIONS} pairs of intervals, taken in turns.\n")
    print("| size | replaced every | updates/s, one shard | 20 shards | ratio of a pair |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        target = write_shards(Path(folder))
        for size in sizes:
            one, many, ratio = measure(size, target)
            print(f"| {size} | {INTERVAL[size]} updates | {one:.4g} | {many:.4g} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
