"""Map each dimension of observations and goals to about [-1, 1], as MAC does."""

from typing import NamedTuple, Self

import numpy as np

from chunkrl.types import Array

MARGIN = 1e-3  # added to the half range, so that a constant dimension is not divided by zero


class Normaliser(NamedTuple):
    """x -> (x - centre) / scale in each dimension; arrays on the host or on the device."""

    centre: Array  # [D]
    scale: Array  # [D]

    @classmethod
    def fit(cls, x: np.ndarray, guard: bool = False) -> Self:
        """From the least and the largest value in each dimension.  [T, D]

            centre = (max + min) / 2      scale = (max - min) / 2 + 0.001

        MAC takes `x` from the validation file of the first shard and keeps these numbers for all
        others.  As published, a dimension that is constant there has the scale 0.001: any later
        variation is magnified a thousandfold.  `guard` gives such a dimension the scale 1.
        """
        low, high = x.min(axis=0), x.max(axis=0)
        scale = (high - low) / 2 + np.asarray(MARGIN, x.dtype)
        return cls((high + low) / 2, np.where(high == low, 1, scale) if guard else scale)

    @classmethod
    def identity(cls, size: int) -> Self:
        """Changes nothing, to the last bit."""
        return cls(np.zeros(size, np.float32), np.ones(size, np.float32))

    def apply(self, x: Array) -> Array:
        """Normalised `x`; nothing is clipped.  [*B, D] -> [*B, D]"""
        return (x - _rows(self.centre, x)) / _rows(self.scale, x)

    def inverse(self, x: Array) -> Array:
        """The x that `apply` maps to this one.  [*B, D] -> [*B, D]"""
        return x * _rows(self.scale, x) + _rows(self.centre, x)

    def join(self, other: "Normaliser") -> "Normaliser":
        """For [x, y] laid side by side, such as an observation and its goal.  -> [D + D']"""
        return Normaliser(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))


def _rows(values: Array, x: Array) -> Array:
    """With the axes of x in front: broadcasting is written out.  [D] -> [1, ..., D]"""
    return values.reshape((1,) * (x.ndim - 1) + values.shape)
