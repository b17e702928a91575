"""Function approximators as pairs of pure functions; the only module that imports Flax."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

Params = Any  # a pytree of arrays; never looked inside


class Network(NamedTuple):
    """A pair of pure functions: init(key, *inputs) -> params, apply(params, *inputs) -> output."""

    init: Callable[..., Params]
    apply: Callable[..., jax.Array]


# Glorot uniform, for every layer including the last.
kernel_init = nn.initializers.variance_scaling(1.0, "fan_avg", "uniform")


def fourier_features(t, dim):
    """[cos(t w_k), sin(t w_k)] with w_k = 10000^(-k / (dim/2 - 1)), k = 0 ... dim/2 - 1.

    [*B, 1] -> [*B, dim].  An optional embedding of flow time in the reference networks.
    """
    half = dim // 2
    angle = t * jnp.exp(-jnp.log(10000.0) / (half - 1) * jnp.arange(half)).reshape(
        (1,) * (t.ndim - 1) + (half,)
    )
    return jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)


class _MLP(nn.Module):
    hidden: tuple[int, ...]
    out: int
    norm: bool

    @nn.compact
    def __call__(self, *inputs):
        x = jnp.concatenate(inputs, axis=-1)
        for width in self.hidden:
            x = nn.gelu(nn.Dense(width, kernel_init=kernel_init)(x))
            x = nn.LayerNorm()(x) if self.norm else x
        return nn.Dense(self.out, kernel_init=kernel_init)(x)


def mlp(hidden: tuple[int, ...], out: int, norm: bool = False) -> Network:
    """(Dense -> gelu (tanh form) -> LayerNorm if `norm`) per hidden width, then Dense.

    Inputs are concatenated: [*B, .] x ... -> [*B, out].  Normalisation comes after the activation,
    as in the FQL code; its epsilon is 1e-6.
    """
    module = _MLP(hidden, out, norm)
    return Network(module.init, module.apply)  # pyright: ignore[reportArgumentType]


def scalar_mlp(hidden: tuple[int, ...], norm: bool = True) -> Network:
    """An `mlp` with one output, without its axis: [*B, .] x ... -> [*B]"""
    net = mlp(hidden, 1, norm)
    return Network(net.init, lambda params, *inputs: net.apply(params, *inputs)[..., 0])


def ensemble(net: Network, size: int) -> Network:
    """`size` independent copies of `net`: parameters and outputs gain an axis, [size, ...]."""

    def init(key, *inputs):
        return jax.vmap(lambda key: net.init(key, *inputs))(jax.random.split(key, size))

    def apply(params, *inputs):
        return jax.vmap(lambda params: net.apply(params, *inputs))(params)

    return Network(init, apply)


def num_params(params: Params) -> int:
    """How many numbers a pytree of parameters holds."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
