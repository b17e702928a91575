"""Training: compiled updates, exact resumption, a run's folder."""

from chunkrl.train.offline import (
    enable_compilation_cache,
    fit,
    load,
    require_device,
    require_seeds,
    restore,
)
from chunkrl.train.online import Online, require_online
from chunkrl.train.programs import act, init, policy, resume, update, update_many

__all__ = [
    "Online", "act", "enable_compilation_cache", "fit", "init", "load", "policy", "require_device",
    "require_online", "require_seeds", "restore", "resume", "update", "update_many",
]  # fmt: skip
