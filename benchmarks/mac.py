"""What an update of MAC costs, against a straightforward version of the same mathematics.

python benchmarks/mac.py [laptop] [paper] > benchmarks/mac.md
"""

import argparse
import dataclasses
import datetime
import platform
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from speed import ACTION, DOMAIN, OBS, matmul_ceiling, matmul_flops

from chunkrl import train
from chunkrl.agents import make, named
from chunkrl.agents.model_based import ModelBasedActorCritic
from chunkrl.blocks import backend
from chunkrl.blocks.policies import best_of_n
from chunkrl.train.runs import versions
from chunkrl.types import ChunkBatch

BLOCK = backend.ROWS


class Straightforward(ModelBasedActorCritic):
    """As the formulas are written: all candidates, states and values at once, each in full."""

    def propose(self, params, seen, noise):
        """Every candidate carries its own copy of the state."""
        seen = jnp.broadcast_to(seen[None], (*noise.shape[:-1], seen.shape[-1]))
        chunks = self.policy.sample(params.policy, seen, noise)
        return best_of_n(chunks, lambda chunks: self.q(params.critic, seen, chunks))

    def returns(self, state, x):
        """Generalised advantages plus values, both of all imagined states."""
        discount = self.imagined_discount * x.mask
        value, following = (self.v(state.target_value, s) for s in (x.seen, x.next_seen))
        delta = x.reward + discount * following - value

        def step(advantage, x):
            advantage = x[0] + x[1] * self.lam * advantage
            return advantage, advantage

        zeros = jnp.zeros_like(value[0])
        return value + jax.lax.scan(step, zeros, (delta, discount), reverse=True)[1]

    def value_losses(self, params, state, batch, x):
        """The value's error on all imagined states in one call."""
        first = jax.tree.map(lambda leaf: leaf[0], x)
        target = self.td_target(state.params, first)
        td = optax.squared_error(self.q(params.critic, first.seen, first.chunk), target).mean()
        returns = self.returns(state, x)
        value = optax.squared_error(self.v(params.value, x.seen), returns).mean()
        return {"value": value, "td": td, "imagined_return": returns.mean()}


def straightforward(agent: ModelBasedActorCritic) -> Straightforward:
    fields = {field.name: getattr(agent, field.name) for field in dataclasses.fields(agent)}
    return Straightforward(**fields)


def problem(size: str):
    """MAC at `size` on arrays of cube-double's shapes; the values do not change the time."""
    amount = named("mac").preset(size)
    agent = make("mac", OBS, ACTION, **named("mac").settings(DOMAIN, amount))
    r, b = np.random.default_rng(0), amount.batch_size
    draw = lambda *shape: jnp.asarray(r.uniform(-1, 1, shape), jnp.float32)
    shapes = ((b, OBS), (b, agent.chunk * ACTION), (b,), (b,), (b, OBS), (b, 0), (b, 0))
    batch = ChunkBatch(*(draw(*shape) for shape in shapes))
    return agent, batch._replace(mask=jnp.ones(b))


# On a CPU that others use as well, only the time that the cores spent here can be compared.
ON_CPU = jax.default_backend() == "cpu"
clock = time.process_time if ON_CPU else time.perf_counter


def seconds(run) -> float:
    begin = clock()
    jax.block_until_ready(run())
    return clock() - begin


def measure(size: str, repeats: int) -> dict[str, tuple[float, float]]:
    """FLOP and least seconds of one update of each version, taken in turns; of a matrix product."""
    agent, batch = problem(size)
    state, runs, flops = agent.init(jax.random.key(0)), {}, {}
    for name, version in {"ours": agent, "straightforward": straightforward(agent)}.items():
        backend.ROWS = BLOCK if version is agent else 10**9  # read while a program is traced
        compiled = train.update.lower(version, state, batch, jax.random.key(1)).compile()
        runs[name] = lambda f=compiled: f(state, batch, jax.random.key(1))
        flops[name] = matmul_flops(partial(train.update, version), state, batch, jax.random.key(0))
    n = 4096  # its cores are busy long enough that starting them does not count
    runs["ceiling"], flops["ceiling"] = matmul_ceiling(n, 1), 2 * n**3
    runs["ceiling"]()  # compile
    times = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            times[name].append(seconds(run))
    return {name: (flops[name], min(values)) for name, values in times.items()}


def table(size: str, repeats: int) -> None:
    results = measure(size, repeats)
    flops, least = results.pop("ceiling")
    ceiling, slow = flops / least, results["straightforward"][1]
    for name, (flops, least) in results.items():
        print(
            f"| {size} | {name} | {flops / 1e9:.4g} | {least:.3g} | {1 / least:.3g} "
            f"| {flops / least / 1e9:.3g} | {flops / least / ceiling:.0%} | {slow / least:.2f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sizes", nargs="*", choices=["laptop", "paper", []], help="default: both")
    sizes = parser.parse_args().sizes or ["laptop", "paper"]
    unit = "core second" if ON_CPU else "second"
    print("# Speed of MAC\n")
    print(f"{datetime.date.today()}, {platform.machine()}, devices: {jax.devices()}.  ")
    print(", ".join(f"{k} {v}" for k, v in versions().items()) + ".\n")
    print(f"| size | version | GFLOP/update | {unit}s/update | updates/{unit} ", end="")
    print(f"| GFLOP/{unit} | share of ceiling | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for size in sizes:
        table(size, 10 if size == "laptop" else 2)


if __name__ == "__main__":
    main()
