"""A door for users: tasks and their environments."""

from chunkrl.envs.family import Spec, SuccessTiming, Task, timing
from chunkrl.envs.ogbench.sim_state import position
from chunkrl.envs.ogbench.tasks import get, make, make_env, names, reset, spec

__all__ = [
    "Spec", "SuccessTiming", "Task", "get", "make", "make_env", "names", "position", "reset",
    "spec", "timing",
]  # fmt: skip
