"""Algorithms: hyperparameters whose methods are pure functions."""

from chunkrl.agents.methods import METHODS, make, named

__all__ = ["METHODS", "make", "named"]
