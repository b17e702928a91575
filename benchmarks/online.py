"""What an environment step with an update costs, beside either alone, all in one run.

python benchmarks/online.py [--method qc_fql] [--preset laptop] > benchmarks/online.md

In each round the same steps are made four times: in the exact order, in the overlapped order, by
the environment alone (the actions of the exact order again), and by the updates alone.
"""

import argparse
import platform
import time

import jax
import numpy as np
from speed import agent_of, random_dataset

from chunkrl import train
from chunkrl.envs import family
from chunkrl.envs.ogbench import tasks
from chunkrl.play.collect import Player
from chunkrl.play.workers import Workers
from chunkrl.train.online import Online, Phase
from chunkrl.train.runs import versions

TASK = tasks.get("cube-double-play-singletask-task2-v0")


def rounds(method: str, preset: str, steps: int, count: int) -> list[dict[str, float]]:
    """Milliseconds a step of each, in `count` rounds of `steps`; what is compiled came before."""
    agent, amount = agent_of(method, preset)
    logs = jax.device_put(random_dataset())
    make_env, _ = family.maker(TASK)
    keys = jax.vmap(jax.random.key)(np.arange(1))
    begin = lambda overlap: Phase(
        Online(make_env, steps * (count + 2), steps, overlap=overlap, reward=TASK.reward),
        agent, logs, amount.batch_size, (0,), keys, steps, steps,
    )  # fmt: skip
    found = []
    with begin(False) as exact, begin(True) as overlapped:
        env = Workers(1, make_env)
        player = Player(env.exchange, 0, 0, TASK.reward, logs.obs.shape[1])
        player.begin(0)
        states = {"exact": train.init(agent, keys), "overlapped": train.init(agent, keys)}
        alone = jax.tree.map(lambda x: x[0].copy(), states["exact"])
        for i in range(1, count + 3):
            took = {}
            for name, phase in (("exact", exact), ("overlapped", overlapped)):
                start = time.perf_counter()
                states[name], *_ = phase.advance(states[name], steps * (i + 1))
                took[name] = time.perf_counter() - start
            (seat,) = exact.seats
            start = time.perf_counter()
            for rows in seat.fresh:
                player.queue = rows.action
                player.play(len(rows.action))
            took["environment"] = time.perf_counter() - start
            start = time.perf_counter()
            done, seat.learned = seat.buffer.written, steps * (i - 1)
            for rows in seat.fresh:  # as many at once as were made at once
                seat.buffer.written = seat.learned + len(rows.action)
                alone = seat.learn(alone)
            jax.block_until_ready(alone)
            took["updates"] = time.perf_counter() - start
            assert seat.buffer.written == done
            exact.keep(0)
            overlapped.keep(0)
            if i > 2:  # in the first, no update is made; in the second, programs are compiled
                found.append({name: 1000 * seconds / steps for name, seconds in took.items()})
        env.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", nargs="+", default=["qc_fql", "fql", "qc"])
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--steps", type=int, default=300, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"`python benchmarks/online.py --method {' '.join(options.method)} --preset", end=" ")
    print(f"{options.preset} --steps {options.steps} --rounds {options.rounds}`\n")
    print(f"{platform.processor() or platform.machine()}, {jax.devices()[0].device_kind},", end=" ")
    print(", ".join(f"{name} {version}" for name, version in versions().items()))
    print(f"\n{TASK.name}, one seed; ms a step with one update, median over rounds;")
    print("ratios by round, median [least, most].\n")
    names = ("environment", "updates", "exact", "overlapped")
    print("|", " | ".join(["method", *names, "exact / sum", "overlapped / max"]), "|")
    print("|---" * 7 + "|")
    for method in options.method:
        found = rounds(method, options.preset, options.steps, options.rounds)
        ratios = [
            [x["exact"] / (x["environment"] + x["updates"]) for x in found],
            [x["overlapped"] / max(x["environment"], x["updates"]) for x in found],
        ]
        cells = [f"{np.median([x[name] for x in found]):.2f}" for name in names]
        cells += [f"{np.median(x):.2f} [{min(x):.2f}, {max(x):.2f}]" for x in ratios]
        print("|", " | ".join([method.replace("_", "-"), *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
