"""What an environment step with an update costs, beside either alone, all in one run.

python benchmarks/online.py [--method qc_fql] [--preset laptop] > benchmarks/online.md

In each round as many steps are made six times: in the exact order, in the overlapped order, by the
environment alone (the actions of the exact order again), by the updates alone, by these two at
once, neither waiting for the other, and in the overlapped order with an environment that takes its
time but no core (`Waiting`): what that takes longer than the updates is what the loop costs.

With --curves, instead, what is learned in either order on a line without physics, seed by seed.
"""

import argparse
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import gymnasium
import jax
import numpy as np
from speed import agent_of, random_dataset

from chunkrl import agents, statistics, train
from chunkrl.envs import family
from chunkrl.envs.ogbench import tasks
from chunkrl.play.collect import Player
from chunkrl.play.evaluate import Evaluator
from chunkrl.play.workers import Workers
from chunkrl.train.online import Online, Phase
from chunkrl.train.runs import versions
from chunkrl.types import Dataset

TASK = tasks.get("cube-double-play-singletask-task2-v0")


class Waiting(gymnasium.Env):
    """Shows `width` zeros; a step takes so many seconds, in which it does nothing."""

    def __init__(self, width: int, action_dim: int, seconds: float):
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (width,))
        self.action_space = gymnasium.spaces.Box(-1, 1, (action_dim,))
        self.seen, self.seconds = np.zeros(width, np.float32), seconds

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.seen, {}

    def step(self, action):
        time.sleep(self.seconds)
        self.t += 1
        return self.seen, 0.0, False, self.t == 200, {}


def rounds(method: str, preset: str, steps: int, count: int) -> list[dict[str, float]]:
    """Milliseconds a step of each, in `count` rounds of `steps`; what is compiled came before."""
    agent, amount = agent_of(method, preset)
    logs = jax.device_put(random_dataset())
    make_env, _ = family.maker(TASK)
    keys, found = jax.vmap(jax.random.key)(np.arange(1)), []
    with ExitStack() as stack:

        def begin(make_env, overlap):
            acting = Online(
                make_env, steps * (count + 3), steps, overlap=overlap, reward=TASK.reward
            )
            phase = Phase(acting, agent, logs, amount.batch_size, (0,), keys, steps, steps)
            return [stack.enter_context(phase), train.init(agent, keys), steps]

        loops = {"exact": begin(make_env, False), "overlapped": begin(make_env, True)}
        thread = stack.enter_context(ThreadPoolExecutor(1))
        env = Workers(1, make_env)
        stack.callback(env.close)
        player = Player(env.exchange, 0, 0, TASK.reward, logs.obs.shape[1])
        player.begin(0)
        alone = jax.tree.map(lambda x: x[0].copy(), loops["exact"][1])
        for i in range(1, count + 4):
            took = {}
            for name, loop in loops.items():
                loop[2] += steps
                start = time.perf_counter()
                loop[1], *_ = loop[0].advance(*loop[1:])
                took[name] = time.perf_counter() - start
            (seat,) = loops["exact"][0].seats
            chunks, done = [rows.action for rows in seat.fresh], seat.buffer.written

            def act(chunks=chunks):
                for player.queue in chunks:
                    player.play(len(player.queue))

            def learn(state, seat=seat, chunks=chunks, first=steps * (i - 1)):
                seat.learned = first
                for chunk in chunks:  # as many at once as were made at once
                    seat.buffer.written = seat.learned + len(chunk)
                    state = seat.learn(state)
                return jax.block_until_ready(state)

            start = time.perf_counter()
            act()
            took["environment"] = time.perf_counter() - start
            start = time.perf_counter()
            alone = learn(alone)
            took["updates"] = time.perf_counter() - start
            start = time.perf_counter()
            acting = thread.submit(act)
            alone = learn(alone)
            acting.result()
            took["at once"] = time.perf_counter() - start
            assert seat.buffer.written == done
            for phase, *_ in loops.values():
                phase.keep(0)
            if i == 1:
                sizes = logs.obs.shape[1], logs.action.shape[1], took["environment"] / steps
                loops["waiting"] = begin(partial(Waiting, *sizes), True)
            if i > 3:  # a loop makes no update in its first round, and programs are compiled
                found.append({name: 1000 * seconds / steps for name, seconds in took.items()})
    return found


class Line(gymnasium.Env):
    """x' = x + 0.2 a, from |x| < 1, for 20 steps; done within 0.05 of the place 0.7, else -1."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.t = self.np_random.uniform(-1, 1, 1).astype(np.float32), 0
        return self.x.copy(), {}

    def step(self, action):
        self.x, self.t = np.float32(self.x + 0.2 * action), self.t + 1
        done = bool(abs(self.x[0] - 0.7) < 0.05)
        return self.x.copy(), float(done) - 1, done, self.t == 20, {"success": done}


def wandering(count: int = 1000) -> Dataset:
    """Logs of uniform actions."""
    env, r, rows = Line(), np.random.default_rng(0), []
    obs, _ = env.reset(seed=0)
    for _ in range(count):
        action = r.uniform(-1, 1, 1).astype(np.float32)
        following, reward, done, cut, _ = env.step(action)
        rows.append((obs, action, reward, not done, done or cut, following))
        obs = env.reset()[0] if done or cut else following
    return Dataset(*(np.asarray(x, np.float32) for x in zip(*rows, strict=True)))


def curves(method: str, steps: int, seeds: int, every: int = 250) -> dict[str, np.ndarray]:
    """Success of each seed after every so many steps from nothing.  -> [rows, seeds] each"""
    small = {"hidden": (32, 32), "lr": 1e-3, "candidates": 8, "flow_steps": 5, "alpha": 3.0}
    known = {k: v for k, v in small.items() if k in agents.named(method).parameters}
    agent, logs, found = agents.named(method)(1, 1, **known), wandering(), {}
    with Evaluator(TASK, 0, 50, make_env=Line) as play:
        for order in ("exact", "overlapped"):
            acting = train.Online(
                Line, steps, start_training=250, overlap=order == "overlapped", workers=0
            )
            _, rows = train.fit(
                agent, logs, 0, 64, range(seeds), every, lambda act, seed: play.run(act, 50, seed),
                every, progress=False, online=acting,
            )  # fmt: skip
            success = np.array([row["success"] for row in rows])
            found[order] = success.reshape(-1, seeds)
    return found


def print_curves(methods: list[str], steps: int, seeds: int) -> None:
    print(
        f"`python benchmarks/online.py --curves --method {' '.join(methods)} --steps {steps}",
        end="",
    )
    print(f" --seeds {seeds}`\n")
    print(f"Success in 50 episodes on a line without physics, mean of {seeds} seeds with its 95%")
    print("interval over them; exact less overlapped, with that of Welch's t.\n")
    print("| method | steps | exact | overlapped | difference |\n|---|---|---|---|---|")
    for method in methods:
        found = curves(method, steps, seeds)
        rows = [*zip(found["exact"], found["overlapped"], strict=True)]
        rows += [[x.mean(axis=0) for x in found.values()]]
        for i, pair in enumerate(rows):
            cells = ["{:.2f} [{:.2f}, {:.2f}]".format(x.mean(), *statistics.mean_interval(x))
                     for x in pair]  # fmt: skip
            cells += ["{:+.2f} [{:+.2f}, {:+.2f}]".format(*statistics.difference(*pair))]
            at = str((i + 1) * steps // (len(rows) - 1)) if i < len(rows) - 1 else "mean of all"
            print("|", " | ".join([method.replace("_", "-"), at, *cells]), "|", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", nargs="+", default=["qc_fql", "fql", "qc"])
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--steps", type=int, default=300, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--curves", action="store_true")
    parser.add_argument("--seeds", type=int, default=8, help="of --curves")
    options = parser.parse_args()
    if options.curves:
        print_curves(options.method, options.steps, options.seeds)
        return
    print(f"`python benchmarks/online.py --method {' '.join(options.method)} --preset", end=" ")
    print(f"{options.preset} --steps {options.steps} --rounds {options.rounds}`\n")
    print(f"{platform.processor() or platform.machine()}, {jax.devices()[0].device_kind},", end=" ")
    print(", ".join(f"{name} {version}" for name, version in versions().items()))
    print(f"\n{TASK.name}, one seed; ms a step with one update, median over rounds;")
    print("ratios by round, median [least, most].\n")
    names = ("environment", "updates", "exact", "overlapped", "at once", "waiting")
    divided = ("exact / sum", "overlapped / max", "at once / max", "waiting / max")
    print("|", " | ".join(["method", *names, *divided]), "|")
    print("|---" * 11 + "|")
    for method in options.method:
        found = rounds(method, options.preset, options.steps, options.rounds)
        ratios = [
            [x["exact"] / (x["environment"] + x["updates"]) for x in found],
            [x["overlapped"] / max(x["environment"], x["updates"]) for x in found],
            [x["at once"] / max(x["environment"], x["updates"]) for x in found],
            [x["waiting"] / max(x["environment"], x["updates"]) for x in found],
        ]
        cells = [f"{np.median([x[name] for x in found]):.2f}" for name in names]
        cells += [f"{np.median(x):.2f} [{min(x):.2f}, {max(x):.2f}]" for x in ratios]
        print("|", " | ".join([method.replace("_", "-"), *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
