"""Reads the parity vectors: parameters into this package's trees, batches, noise, agents."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from reduce_parity import unpack

from chunkrl.agents.actor_critic import ChunkedActorCritic, Noise, Params
from chunkrl.blocks.policies import Flow, GaussianParams, OneStep, OneStepParams
from chunkrl.types import Batch, ChunkBatch


class Vectors(dict):
    """The arrays of one file by key, and its `meta`."""

    def __init__(self, path: Path):
        with np.load(path, allow_pickle=False) as file:
            super().__init__(unpack({k: file[k] for k in file.files}))
        self.meta = json.loads(str(self.pop("meta")))

    def under(self, prefix: str) -> list[str]:
        """The rest of every key that begins with `prefix` and a dot."""
        return [key.removeprefix(f"{prefix}.") for key in self if key.startswith(f"{prefix}.")]

    def net(self, prefix: str, members: int = 0):
        """The parameters stored under `prefix`, members stacked, named as Flax names them."""
        if members:
            nets = [self.net(f"{prefix}.{e}") for e in range(members)]
            return {
                "params": {
                    layer: {k: jnp.stack([n["params"][layer][k] for n in nets]) for k in leaf}
                    for layer, leaf in nets[0]["params"].items()
                }
            }
        tree = {}
        for key, value in self.items():
            if key.startswith((f"{prefix}.layer", f"{prefix}.ln")):
                layer, leaf = key[len(prefix) + 1 :].split(".")
                kind = "Dense" if layer.startswith("layer") else "LayerNorm"
                number = int(layer.lstrip("layern")) - 1
                tree.setdefault(f"{kind}_{number}", {})[leaf] = jnp.asarray(value)
        assert tree, prefix
        return {"params": tree}

    def alone(self, prefix: str):
        """The same as an ensemble of one."""
        return jax.tree.map(lambda leaf: leaf[None], self.net(prefix))

    def gaussian(self, prefix: str):
        """The parameters of a `Gaussian`: the heads of mean and deviation are one last layer."""
        heads = [f"{prefix}.{head}" for head in ("mean", "log_std")]
        last = {
            leaf: jnp.concatenate(
                [self[f"{head}.{leaf}"] for head in heads if f"{head}.{leaf}" in self], axis=-1
            )
            for leaf in ("kernel", "bias")
        }
        layers = self.net(prefix)["params"]
        depth = sum(name.startswith("Dense") for name in layers)
        net = {"params": {**layers, f"Dense_{depth}": last}}
        free = self.get(f"{prefix}.log_stds")
        return net if free is None else GaussianParams(net, jnp.asarray(free))

    def seen(self, case: str):
        """The observations of an acting case, with their goals."""
        obs = self[f"{case}.observations"]
        goals = self.get(f"{case}.goals", np.zeros((*obs.shape[:-1], 0)))
        return jnp.concatenate([obs, goals], axis=-1, dtype=jnp.float32)

    @property
    def one_step(self) -> bool:
        return self.meta.get("actor_type", "distill-ddpg") == "distill-ddpg"

    def params(self, prefix: str = "params") -> Params:
        flow = self.net(f"{prefix}.flow")
        policy = OneStepParams(flow, self.net(f"{prefix}.onestep")) if self.one_step else flow
        return Params(self.net(f"{prefix}.critic", self.meta["num_critics"]), policy)

    def target(self, prefix: str = "params"):
        return self.net(f"{prefix}.target_critic", self.meta["num_critics"])

    def agent(self, **changes) -> ChunkedActorCritic:
        meta = self.meta
        horizon = meta.get("horizon", 1)
        chunk = horizon if meta.get("action_chunking", True) else 1
        hidden = tuple(meta["hidden"])
        dim = chunk * meta["action_dim"]
        policy = (
            OneStep(
                dim,
                meta["alpha"],
                meta.get("normalize_q_loss", False),
                hidden,
                meta["flow_steps"],
            )
            if self.one_step
            else Flow(dim, hidden, meta["flow_steps"])
        )
        settings = {
            "chunk": chunk,
            "backup": horizon,
            "candidates": 1 if self.one_step else meta["num_candidates"],
            "discount": meta["discount"],
            "tau": meta["tau"],
            "lr": meta["lr"],
            "hidden": hidden,
            "num_critics": meta["num_critics"],
            "aggregate": meta["q_agg"],
        }
        return ChunkedActorCritic(meta["obs_dim"], meta["action_dim"], policy, **settings | changes)

    def batch(self, prefix: str = "batch") -> Batch:
        field = lambda name: jnp.asarray(self[f"{prefix}.{name}"])
        if self[f"{prefix}.rewards"].ndim == 1:  # the FQL repository: single transitions
            return Batch(
                field("observations"),
                field("actions")[:, None],
                field("rewards")[:, None],
                field("masks")[:, None],
                jnp.ones((len(field("masks")), 1)),
                field("next_observations"),
            )
        return Batch(
            field("observations"),
            field("actions"),
            field("rewards"),
            field("masks"),
            field("valid"),
            field("next_observations")[:, -1],
        )

    def noise(self, prefix: str = "rand") -> Noise:
        following = jnp.asarray(self[f"{prefix}.next_noise"])
        propose = following[None] if following.ndim == 2 else following.swapaxes(0, 1)
        x0 = jnp.asarray(self[f"{prefix}.x0"])
        improve = self[f"{prefix}.noise"] if self.one_step else np.zeros_like(x0)
        return Noise(propose, x0, jnp.asarray(self[f"{prefix}.t"]), jnp.asarray(improve))


def goal_batch(v: Vectors, prefix: str) -> ChunkBatch:
    """Transitions with goals, of one step, or of several where the names begin with "high"."""
    several = f"{prefix}.high_value_goals" in v
    names = ["rewards", "masks", "next_observations"]
    names = [f"high_value_{name}" if several else name for name in names]
    names += ["high_value_goals", "high_actor_goals"] if several else ["value_goals", "actor_goals"]
    fields = ["observations", "actions", *names]
    return ChunkBatch(*(jnp.asarray(v[f"{prefix}.{name}"]) for name in fields))
