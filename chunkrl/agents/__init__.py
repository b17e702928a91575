"""Algorithms: hyperparameters whose methods are pure functions."""

from chunkrl.agents.methods import METHODS, MODEL_BASED, make, named

__all__ = ["METHODS", "MODEL_BASED", "make", "named"]
