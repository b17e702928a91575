"""Errors of targets, split into causes, and their means over states."""

from typing import NamedTuple

import numpy as np

from chunkrl.statistics import mean_and_error


class Causes(NamedTuple):
    """The errors of targets, by state and rollout: target - truth = model + bootstrap.

        model      target - what it would be along a real rollout
        bootstrap  what it would be along a real rollout - truth

    Each part changes one thing, so nothing is left over: the first swaps the learned model for the
    simulator and keeps the learned value at the end, the second swaps that value for the true one.
    """

    model: np.ndarray  # [*B, H + 1, S, M]
    bootstrap: np.ndarray  # [*B, H + 1, S, M]

    @property
    def error(self) -> np.ndarray:
        return self.model + self.bootstrap


def split(target: np.ndarray, real: np.ndarray, truth: np.ndarray) -> Causes:
    """From `imagined` and `realised` targets [*B, H + 1, S, M] and true values [*B, S, M]."""
    return Causes(target - real, real - np.expand_dims(truth, -3))


def mean(errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over states and rollouts; the standard error is clustered by state.  [.., S, M] -> [..]

    The rollouts of a state share its luck.
    """
    return mean_and_error(errors.mean(-1))


def squares(errors: np.ndarray) -> np.ndarray:
    """(expected error)^2 of each state, without bias.  [.., S, M] -> [.., S]

    The average of e_m e_m' over pairs of different rollouts, so that the noise of a rollout does
    not count as error; it needs M >= 2 and may be below 0.
    """
    repeats = errors.shape[-1]
    return (errors.sum(-1) ** 2 - (errors**2).sum(-1)) / (repeats * (repeats - 1))


class Root(NamedTuple):
    """Root mean square over states, with an interval of two standard errors of the square."""

    rms: np.ndarray
    low: np.ndarray
    high: np.ndarray


def root(by_state: np.ndarray) -> Root:
    """From `squares`; a mean below 0 counts as 0.  [.., S] -> [..]"""
    square, error = mean_and_error(by_state)
    bounds = (square, square - 2 * error, square + 2 * error)
    return Root(*(np.sqrt(np.maximum(x, 0)) for x in bounds))
