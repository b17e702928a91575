"""Function approximators as pairs of pure functions; the only module that imports Flax."""

import functools
import itertools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

Tree = Any  # a pytree of arrays; never looked inside


class Network(NamedTuple):
    """A pair of pure functions: init(key, *inputs) -> params, apply(params, *inputs) -> output."""

    init: Callable[..., Tree]
    apply: Callable[..., jax.Array]
    after: tuple[str, ...] = ()  # of an `mlp`: what follows each hidden Dense, keys of AFTER


def fourier_features(t, dim):
    """[cos(t w_k), sin(t w_k)] with w_k = 10000^(-k / (dim/2 - 1)), k = 0 ... dim/2 - 1.

    [*B, 1] -> [*B, dim].  An optional embedding of flow time in the reference networks.
    """
    half = dim // 2
    frequency = jnp.exp(-jnp.log(10000.0) / (half - 1) * jnp.arange(half))
    angle = t * frequency.reshape((1,) * (t.ndim - 1) + (half,))
    return jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)


class Dense(nn.Module):
    """x W + b of the concatenated inputs.

    The share x_i W_i of an input that has a leading axis of size 1 is computed once for all.
    """

    features: int
    scale: float = 1.0

    @nn.compact
    def __call__(self, *inputs):
        groups = [list(g) for _, g in itertools.groupby(inputs, lambda x: x.shape[:-1])]
        parts = [jnp.concatenate(group, axis=-1) for group in groups]
        widths = [x.shape[-1] for x in parts]
        init = nn.initializers.variance_scaling(self.scale, "fan_avg", "uniform")  # Glorot at 1
        kernel = self.param("kernel", init, (sum(widths), self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        rows = jnp.split(kernel, np.cumsum(widths)[:-1])
        out = functools.reduce(jnp.add, map(jnp.matmul, parts, rows))
        return out + bias.reshape((1,) * (out.ndim - 1) + (-1,))


AFTER = {"gelu_tanh": nn.gelu, "relu": nn.relu, "layer_norm": lambda x: nn.LayerNorm()(x)}


class _MLP(nn.Module):
    hidden: tuple[int, ...]
    out: int
    after: tuple[str, ...]
    last_scale: float

    @nn.compact
    def __call__(self, *inputs):
        for width in self.hidden:
            x = Dense(width)(*inputs)
            for name in self.after:
                x = AFTER[name](x)
            inputs = (x,)
        return Dense(self.out, self.last_scale)(*inputs)


def mlp(
    hidden: tuple[int, ...],
    out: int,
    norm: bool = False,
    last_scale: float = 1.0,
    relu: bool = False,
) -> Network:
    """(Dense -> gelu (tanh form) -> LayerNorm if `norm`) per hidden width, then Dense.

    Inputs are concatenated: [*B, .] x ... -> [*B, out]; leading axes of size 1 broadcast.  The
    norm follows the activation, as in the FQL code; its epsilon is 1e-6.  `last_scale` is the
    variance of the last layer's initialisation relative to Glorot's.  With `relu` a hidden layer is
    Dense -> LayerNorm if `norm` -> relu.
    """
    norms = ("layer_norm",) * norm
    after = (*norms, "relu") if relu else ("gelu_tanh", *norms)
    module = _MLP(hidden, out, after, last_scale)
    return Network(module.init, module.apply, after)  # pyright: ignore[reportArgumentType]


def scalar_mlp(hidden: tuple[int, ...], norm: bool = True, relu: bool = False) -> Network:
    """An `mlp` with one output, without its axis: [*B, .] x ... -> [*B]"""
    net = mlp(hidden, 1, norm, relu=relu)
    return net._replace(apply=lambda params, *inputs: net.apply(params, *inputs)[..., 0])


def ensemble(net: Network, size: int) -> Network:
    """`size` independent copies of `net`: parameters and outputs gain an axis, [size, ...]."""

    def init(key, *inputs):
        return jax.vmap(lambda key: net.init(key, *inputs))(jax.random.split(key, size))

    def apply(params, *inputs):
        return jax.vmap(lambda params: net.apply(params, *inputs))(params)

    return Network(init, apply, net.after)


Aggregate = Literal["mean", "min"] | float


def aggregated(values, how: Aggregate):
    """The mean or the least of an ensemble, or mean - rho std for a number rho.  [E, *B] -> [*B]

    The deviation divides by E (arXiv 2601.14234, critic target); its gradient is 0 where it is.
    """
    if isinstance(how, str):
        return getattr(values, how)(axis=0)
    mean = values.mean(axis=0)
    return mean - how * optax.safe_norm(values - mean[None], 0.0, axis=0) / len(values) ** 0.5
