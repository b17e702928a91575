"""What every method costs on one core: its compilation, its updates, and how fast they could be.

python benchmarks/methods.py TABLE.csv [METHODS ...] [--size laptop] [--turns 5]

A row is a method in a process of its own, on the first core that this process may use; the file is
replaced whole after each row, and what has a row already is left out.  All times are CPU seconds:

smoke_init_s, smoke_first_s   to trace and compile `init`, and the many updates of a call, at smoke
                              size, as a run does (`quick`, no compilation cache)
first_s                       the same of the updates at `size`
update_ms                     the least of `turns` calls of 20 updates, over 20: batches and noise
                              are drawn, gradients and Adam's steps made
gflop                         of the matrix products of an update, 2 m k n each: those that stand in
                              the program after XLA's optimisation, loops counted in full.  (XLA's
                              own cost analysis counts the body of a loop once.)
products_ms                   the ceiling: these products alone, each of them timed by its shape in
                              a program of nothing else, on this core, with the same options of the
                              compiler, in turns with the updates; the least of `turns`, added up
gflop_per_s                   that the products alone reach: gflop / products_ms
percent                       share of the ceiling: 100 products_ms / update_ms
"""

import argparse
import csv
import json
import math
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

UPDATES = 20  # in a call
LEAST = 5e-3  # seconds that a product is repeated for

INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.-]+) = (.*?) ([\w-]+)\((.*)")
SHAPED = re.compile(r"^\w+\[([\d,]*)\]")
COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.-]+) .*\{$")
CALLED = re.compile(r"(?:calls|body|to_apply)=%?([\w.-]+)")
TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')


def products(program: str) -> Counter:
    """(shapes, dimension numbers) of each matrix product in optimised HLO -> how often it is made.

    Raises ValueError where a loop with products does not say how often it turns.
    """
    made: dict[str, Counter] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    entry = current = ""
    for line in program.splitlines():
        if head := COMPUTATION.match(line):
            current = head[2]
            made[current], shapes = Counter(), {}
            entry = current if head[1] else entry
        elif found := INSTRUCTION.match(line):
            name, kind, operation, rest = found.groups()
            if shape := SHAPED.match(kind):
                shapes[name] = numbers(shape[1])
            if operation == "dot":
                operands = re.findall(r"%([\w.-]+)", rest.partition(")")[0])
                sides = tuple(shapes[operand] for operand in operands)
                axes = lambda key, rest=rest: numbers(
                    (re.search(rf"{key}_dims={{([\d,]*)}}", rest) or ["", ""])[1]
                )
                contract = axes("lhs_contracting"), axes("rhs_contracting")
                made[current][sides, (contract, (axes("lhs_batch"), axes("rhs_batch")))] += 1
            for called in CALLED.findall(rest):  # defined above its caller
                trips = TRIPS.search(rest)
                if operation == "while" and made[called] and not trips:
                    raise ValueError(f"a loop of unknown length has products: {name}")
                for product, times in made[called].items():
                    made[current][product] += times * (int(trips[1]) if trips else 1)
    return made[entry]


# What no code is run for, or next to none.
FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "iota"}


def kernels(program: str) -> int:
    """What the body of the loop over updates starts one after the other, in optimised HLO.

    A fusion, a product, a copy, a loop, a call: one each.  Of all bodies of loops it is the one of
    most of them: a network's loop over Euler steps has fewer.
    """
    started, bodies, current = Counter(), set(), ""
    for line in program.splitlines():
        if head := COMPUTATION.match(line):
            current = head[2]
        elif (found := INSTRUCTION.match(line)) and found[3] not in FREE:
            started[current] += 1
            if found[3] == "while":
                bodies |= set(re.findall(r"body=%?([\w.-]+)", found[4]))
    return max(started[body] for body in bodies)


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in text.split(",") if n)


def flop(product) -> float:
    """2 m k n of a product."""
    (left, right), ((contract, _), (batch, _)) = product
    common = math.prod(left[axis] for axis in (*contract, *batch))
    return 2.0 * math.prod(left) * math.prod(right) / common


def cpu(run) -> tuple[object, float]:
    import jax

    begin = time.process_time()
    return jax.block_until_ready(run()), time.process_time() - begin


def alone(product, options: dict):
    """(a program of nothing but the product, over and over; how often)"""
    import jax
    import jax.numpy as jnp

    shapes, numbers = product
    count = max(2, int(LEAST * 50e9 / flop(product)))

    def run(left, right):
        def again(left, _):
            # What the next one reads depends on this one, by one number: else XLA makes it once.
            out = jax.lax.dot_general(left, right, numbers)
            return left.at[(0,) * left.ndim].set(out.ravel()[0]), None

        return jax.lax.scan(again, left, length=count)[0]

    sides = [jnp.full(shape, 1e-3) for shape in shapes]
    program = jax.jit(run, compiler_options=options)
    return (lambda: program(*sides)), count


def row(method: str, size: str, turns: int) -> dict:
    """The row of a method, measured in this process."""
    from first_command import first

    from chunkrl.train import compiler

    *_, init, smoke = first(method, "smoke", 100)
    state, update, compiled, rows, _, took = first(method, size, UPDATES)
    options = compiler.options(rows, size == "smoke")
    counts = products(compiled.as_text())
    programs_alone = {product: alone(product, options) for product in counts}
    for run, _ in programs_alone.values():
        cpu(run)  # compile
    updating, times = [], {product: [] for product in counts}
    for _ in range(turns + 1):
        state, seconds = cpu(lambda state=state: update(state))
        updating.append(seconds / UPDATES)
        for product, (run, count) in programs_alone.items():
            times[product].append(cpu(run)[1] / count)
    each, least = {p: min(seconds) for p, seconds in times.items()}, min(updating[1:])
    ceiling = sum(each[p] * n for p, n in counts.items()) / UPDATES
    work = sum(flop(p) * n for p, n in counts.items()) / UPDATES
    return {
        "method": method, "size": size, "smoke_init_s": round(init, 2),
        "smoke_first_s": round(smoke, 2), "first_s": round(took, 2),
        "updates_per_s": round(1 / least, 1), "update_ms": round(1e3 * least, 3),
        "gflop": round(work / 1e9, 4), "products_ms": round(1e3 * ceiling, 3),
        "gflop_per_s": round(work / ceiling / 1e9, 1), "percent": round(100 * ceiling / least, 1),
    }  # fmt: skip


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(row(sys.argv[2], sys.argv[3], int(sys.argv[4]))))
        return
    from chunkrl.agents import methods
    from chunkrl.train import runs

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path)
    parser.add_argument("methods", nargs="*", metavar="METHODS", help="default: all")
    parser.add_argument("--size", default="laptop")
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    wanted = [methods.named(name).name for name in options.methods or methods.ALL]
    rows = []
    if options.table.exists():
        with options.table.open(newline="") as file:
            rows = [*csv.DictReader(file)]
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    for method in wanted:
        if (method, options.size) in {(row["method"], row["size"]) for row in rows}:
            continue
        command = [sys.executable, __file__, "--one", method, options.size, str(options.turns)]
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
        rows.append(json.loads(done.stdout))
        runs.write_csv(options.table, rows)
        print(*(f"{k}={v}" for k, v in rows[-1].items()), flush=True)


if __name__ == "__main__":
    main()
