"""How programs are compiled for a CPU; `benchmarks/speed.md` has what it is worth."""

import functools

import jax

# 512-bit vectors where the processor has them, and no copies of parameters that are updated.
OPTIONS = {
    "xla_cpu_prefer_vector_width": 512,
    "xla_cpu_copy_insertion_use_region_analysis": True,
}
# XLA leaves matrix products to YNNPACK, which is fast on few rows; on many rows Eigen is faster. To
# allow YNNPACK convolutions alone, of which there are none here, is to choose Eigen.
MANY_ROWS = 1024
EIGEN = {
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION",
}


def options(rows: int) -> dict:
    """Options of `jax.jit` for a program whose networks see up to `rows` rows at once.

    Empty on other devices than a CPU; without those that this version of XLA does not know.
    """
    if jax.default_backend() != "cpu":
        return {}
    wanted = OPTIONS | (EIGEN if rows >= MANY_ROWS else {})
    return {name: value for name, value in wanted.items() if known(name, value)}


@functools.cache
def known(name: str, value: object) -> bool:
    """Whether XLA compiles with this option."""
    try:
        jax.jit(lambda: 0, compiler_options={name: value})()
    except jax.errors.JaxRuntimeError:
        return False
    return True
