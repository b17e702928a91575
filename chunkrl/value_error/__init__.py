"""How wrong an agent's values are, measured: the simulator is reset to states of the dataset."""

from chunkrl.value_error.beliefs import Beliefs, Model
from chunkrl.value_error.targets import Parts, imagined, mean, mean_square, realised, split
from chunkrl.value_error.truth import Rollouts, Simulator

__all__ = [
    "Beliefs",
    "Model",
    "Parts",
    "Rollouts",
    "Simulator",
    "imagined",
    "mean",
    "mean_square",
    "realised",
    "split",
]
