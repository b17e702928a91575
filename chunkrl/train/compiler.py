"""How programs are compiled for a CPU; `benchmarks/speed.md` has what it is worth."""

import functools
import os

import jax

# Of LLVM's levels the first: it compiles in two thirds of the time what is as fast.
LEVEL = "xla_backend_optimization_level"
# 512-bit vectors where the processor has them, and no copies of parameters that are updated.
OPTIONS = {
    LEVEL: 1,
    "xla_cpu_prefer_vector_width": 512,
    "xla_cpu_copy_insertion_use_region_analysis": True,
}
# What runs for less than a second repays nothing but a quick compilation: in less than half of the
# time it gives a program of a quarter of the speed.
QUICK = {LEVEL: 0, "xla_cpu_use_fusion_emitters": False}
# XLA leaves matrix products to YNNPACK, which is fast on few rows; on many rows Eigen is faster. To
# allow YNNPACK convolutions alone, of which there are none here, is to choose Eigen.
MANY_ROWS = 1024
EIGEN = {
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION",
}


def options(rows: int, quick: bool = False) -> dict:
    """Options of `jax.jit` for a program whose networks see up to `rows` rows at once.

    `quick` is for what runs for less than a second.  They decide the last digits of what it gives.
    Empty on other devices than a CPU; without those that this version of XLA does not know, and
    those that XLA_FLAGS sets for every program.
    """
    wanted = OPTIONS | (EIGEN if rows >= MANY_ROWS else {}) | (QUICK if quick else {})
    if jax.default_backend() != "cpu":
        return {}
    flags = os.environ.get("XLA_FLAGS", "")
    return {k: value for k, value in wanted.items() if k not in flags and known(k, value)}


@functools.cache
def known(name: str, value: object) -> bool:
    """Whether XLA compiles with this option."""
    try:
        jax.jit(lambda: 0, compiler_options={name: value})()
    except jax.errors.JaxRuntimeError:
        return False
    return True
