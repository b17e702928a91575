"""How fast the package is on this machine: every figure is a ratio within one run.

python benchmarks/speed.py [train] [seeds] [evaluate] [generate] > benchmarks/speed.md
"""

import argparse
import datetime
import platform
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from chunkrl import data, train
from chunkrl.agents import make, named
from chunkrl.envs.ogbench import tasks
from chunkrl.play.evaluate import Evaluator
from chunkrl.train.runs import versions
from chunkrl.types import Batch, Dataset

DOMAIN, OBS, ACTION = "cube-double", 37, 5
METHODS = ("qc", "qc_fql", "fql")
UPDATES = {"smoke": 400, "laptop": 60, "paper": 20}  # in a call


def agent_of(method: str, size: str):
    amount = named(method).preset(size)
    return make(method, OBS, ACTION, **named(method).settings(DOMAIN, amount)), amount


def updates_of(method: str, size: str) -> int:
    """Updates in a call; one of QC takes as long as ten of the others at paper size."""
    return UPDATES[size] // (5 if (method, size) == ("qc", "paper") else 1)


def random_dataset(rows: int = 100_000) -> Dataset:
    """Arrays of cube-double's shapes; the time of an update does not depend on the values."""
    r = np.random.default_rng(0)
    draw = lambda *shape: r.uniform(-1, 1, shape).astype(np.float32)
    terminal = (np.arange(rows) % 1000 == 999).astype(np.float32)
    ones = np.ones(rows, np.float32)
    return Dataset(draw(rows, OBS), draw(rows, ACTION), -ones, ones, terminal, draw(rows, OBS))


def host_windows(r: np.random.Generator, dataset: Dataset, size: int, agent) -> Batch:
    """The same windows drawn in NumPy, as the usual training loop does."""
    n = agent.backup
    start = r.integers(0, len(dataset.obs) - n + 1, size)
    rows = start[:, None] + np.arange(n)
    terminal = np.maximum.accumulate(dataset.terminal[rows], axis=1)
    return Batch(
        dataset.obs[start],
        dataset.action[rows],
        np.cumsum(dataset.reward[rows] * agent.discount ** np.arange(n, dtype=np.float32), axis=1),
        np.minimum.accumulate(dataset.mask[rows], axis=1),
        np.concatenate([np.ones((size, 1), np.float32), 1 - terminal[:, :-1]], axis=1),
        dataset.next_obs[rows[:, -1]],
    )


def seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - begin


def alternate(runs: dict[str, Callable[[], object]], repeats: int = 5) -> dict[str, float]:
    """The least time of each, taken in turns so that a slow moment of the machine hits them all."""
    for run in runs.values():
        run()  # compile
    times = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            times[name].append(seconds(run))
    return {name: min(values) for name, values in times.items()}


def matmul_flops(function, *args) -> float:
    """Floating-point operations of every matrix product in `function`, loops counted in full."""

    def count(jaxpr) -> float:
        total = 0.0
        for eqn in jaxpr.eqns:
            if eqn.primitive.name == "dot_general":
                (contract, _), _ = eqn.params["dimension_numbers"]
                inner = np.prod([eqn.invars[0].aval.shape[axis] for axis in contract])
                total += 2 * inner * np.prod(eqn.outvars[0].aval.shape)
            times = eqn.params.get("length", 1) if eqn.primitive.name == "scan" else 1
            for value in eqn.params.values():
                for inner in value if isinstance(value, (tuple, list)) else (value,):
                    inner = getattr(inner, "jaxpr", inner)
                    if hasattr(inner, "eqns"):
                        total += times * count(inner)
        return total

    return count(jax.make_jaxpr(function)(*args).jaxpr)


def update_flops(agent, batch_size: int, batch: Any = None) -> float:
    """Matrix-product operations of one update, on windows unless a batch is given."""
    n, zeros = agent.backup if batch is None else 0, jnp.zeros
    batch = batch or Batch(
        zeros((batch_size, OBS)),
        zeros((batch_size, n, ACTION)),
        *(zeros((batch_size, n)) for _ in range(3)),
        zeros((batch_size, OBS)),
    )
    state = jax.eval_shape(agent.init, jax.random.key(0))
    # What XLA drops as unused (the noise) has no matrix products.
    return matmul_flops(partial(train.update, agent), state, batch, jax.random.key(0))


def matmul_ceiling(n: int, count: int) -> Callable[[], jax.Array]:
    """`count` products in a row, about as long as a call of the others on a noisy machine."""
    a = jnp.full((n, n), 1 / n)
    products = jax.jit(lambda a: jax.lax.scan(lambda x, _: (x @ a, None), a, length=count)[0])
    return lambda: products(a)


def compiled_loop(agent, batch_size: int, updates: int, dataset: Dataset, seeds: int):
    """A function that trains `seeds` for `updates` more steps in one device call."""
    keys = jax.vmap(jax.random.key)(jnp.arange(seeds))
    states = train.init(agent, keys)

    def run():
        nonlocal states  # the old buffers are donated
        states, report = train.update_many(agent, updates, batch_size, states, dataset, keys)
        return states, report

    return run


def usual_loop(agent, batch_size: int, updates: int, dataset, draw: Callable = host_windows):
    """The same for one seed as it is usually done: a batch from the host, a call per update."""
    r, key = np.random.default_rng(0), jax.random.key(1)
    state = agent.init(jax.random.key(0))

    def run():
        nonlocal state
        for i in range(updates):
            batch = draw(r, dataset, batch_size, agent)
            state, metrics = train.update(agent, state, batch, jax.random.fold_in(key, i))
        return state, metrics

    return run


def training() -> None:
    print("## Training: the compiled loop against the usual loop\n")
    print("The usual loop samples on the host and makes one dispatch per update, for one seed. The")
    print("compiled loop trains one seed, and two in one call (their updates are added).\n")
    print("| size | method | usual loop | one seed | ratio | two seeds | ratio ", end="")
    print("| GFLOP/update | share of ceiling: one seed | two |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    host = random_dataset()
    device = jax.device_put(host)
    for size in UPDATES:
        for method in METHODS:
            agent, amount = agent_of(method, size)
            count = updates_of(method, size)
            one, two = (compiled_loop(agent, amount.batch_size, count, device, n) for n in (1, 2))
            usual = usual_loop(agent, amount.batch_size, count, host)
            n, products = 2048, 8
            top = matmul_ceiling(n, products)
            times = alternate({"usual": usual, "one": one, "two": two, "top": top})
            flops = update_flops(agent, amount.batch_size)
            usual_rate, one_rate, two_rate = (
                seeds * count / times[name]
                for name, seeds in (("usual", 1), ("one", 1), ("two", 2))
            )
            per_update = flops / (products * 2 * n**3 / times["top"])  # seconds at the ceiling
            print(
                f"| {size} | {method} | {usual_rate:.4g} "
                f"| {one_rate:.4g} | {one_rate / usual_rate:.2f} "
                f"| {two_rate:.4g} | {two_rate / usual_rate:.2f} "
                f"| {flops / 1e9:.3g} | {one_rate * per_update:.0%} "
                f"| {two_rate * per_update:.0%} |",
                flush=True,
            )


def seeds() -> None:
    counts = (1, 4, 16) if jax.default_backend() == "gpu" else (1, 4)
    print("\n## Several seeds in one call (updates/s, summed over seeds)\n")
    print("| size | method | " + " | ".join(f"{s} seeds" for s in counts) + " | ratio |")
    print("|---|---|" + "---|" * (len(counts) + 1))
    device = jax.device_put(random_dataset())
    for size in UPDATES:
        for method in METHODS:
            agent, amount = agent_of(method, size)
            count = updates_of(method, size)
            runs = {
                str(s): compiled_loop(agent, amount.batch_size, count, device, s) for s in counts
            }
            times = alternate(runs, 3)
            rates = [s * count / times[str(s)] for s in counts]
            cells = " | ".join(f"{rate:.4g}" for rate in rates)
            print(f"| {size} | {method} | {cells} | {rates[-1] / rates[0]:.2f} |", flush=True)


def play_alone(env, act, episodes: int) -> None:
    """One environment, the policy called at every step: what the reference code does."""
    key = jax.random.key(0)
    for episode in range(episodes):
        obs, done, t, queue = tasks.reset(env, episode), False, 0, []
        while not done:
            keys = jax.random.split(jax.random.fold_in(key, t), 1)
            chunk = np.asarray(act(obs[None], keys))[0]  # thrown away while the queue lasts
            queue = queue or list(chunk)
            obs, _, terminated, truncated, _ = env.step(np.clip(queue.pop(0), -1, 1))
            done, t = terminated or truncated, t + 1


def evaluation() -> None:
    print("\n## Evaluation on cube-double (untrained agents, whole episodes of 500 steps)\n")
    print("| size | method | workers | s/episode | one environment, every step | ratio |")
    print("|---|---|---|---|---|---|")
    task = tasks.get("cube-double-play-singletask-task2-v0")
    env = tasks.make_env(task)
    with Evaluator(task, workers=2) as evaluator:
        for size in ("laptop", "paper"):
            for method in ("qc", "qc_fql"):
                agent, _ = agent_of(method, size)
                act = train.policy(agent, train.init(agent, jax.random.split(jax.random.key(0), 1)))
                episodes = 2 * evaluator.envs
                times = alternate(
                    {
                        "ours": lambda act=act, episodes=episodes: evaluator.run(act, episodes),
                        "alone": lambda act=act: play_alone(env, act, 2),
                    },
                    2,
                )
                ours, alone = times["ours"] / episodes, times["alone"] / 2
                print(
                    f"| {size} | {method} | 2 | {ours:.2f} | {alone:.2f} | {alone / ours:.1f} |",
                    flush=True,
                )


def generation(episodes: int = 32) -> None:
    print(f"\n## Data generation, cube-single-play, {episodes} episodes, from the first process\n")
    print("| workers | transitions/s | ratio |")
    print("|---|---|---|")
    total = 1000 * (episodes + episodes // 10)  # with the validation split
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        for workers in (1, 2):
            path = Path(folder) / f"{workers}.npz"
            begin = time.perf_counter()
            data.generate(
                "cube-single-play-v0", 1000 * episodes, path, workers=workers, progress=False
            )
            rates[workers] = total / (time.perf_counter() - begin)
            print(
                f"| {workers} | {rates[workers]:.0f} | {rates[workers] / rates[1]:.2f} |",
                flush=True,
            )


PARTS = {"train": training, "seeds": seeds, "evaluate": evaluation, "generate": generation}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    chosen = parser.parse_args().parts or list(PARTS)
    print("# Speed\n")
    print(f"{datetime.date.today()}, {platform.machine()}, devices: {jax.devices()}.  ")
    print(", ".join(f"{k} {v}" for k, v in versions().items()) + ".\n")
    for name in chosen:
        PARTS[name]()


if __name__ == "__main__":
    main()
