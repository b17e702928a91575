"""Training: compiled updates, exact resumption, a run's folder."""

from chunkrl.train.offline import (  # noqa: I001
    act, enable_compilation_cache, fit, init, load, policy, require_device, require_seeds, restore,
    update, update_many,
)  # fmt: skip

__all__ = [
    "act", "enable_compilation_cache", "fit", "init", "load", "policy", "require_device",
    "require_seeds", "restore", "update", "update_many",
]  # fmt: skip
