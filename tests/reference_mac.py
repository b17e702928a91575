"""Reads MAC's parity vectors: parameters, batches, noise and agents of this package."""

import jax.numpy as jnp
from reference import Vectors

from chunkrl.agents.dynamics import ChunkModel
from chunkrl.agents.model_based import (
    MACNoise,
    MACParams,
    ModelBasedActorCritic,
    OnlineValue,
    SlowValue,
)
from chunkrl.agents.rewards import Empty, GoalReward, LearnedReward
from chunkrl.blocks.policies import OneStep, OneStepParams
from chunkrl.blocks.targets import Logistic, Squared
from chunkrl.types import ChunkBatch


class MACVectors(Vectors):
    """The arrays of one file of MAC."""

    @property
    def goals(self) -> bool:
        return self.meta["goal_conditioned"]

    def agent(self, **changes) -> ModelBasedActorCritic:
        meta, hidden = self.meta, tuple(self.meta["hidden"])
        dim = meta["horizon"] * meta["action_dim"]
        settings = {
            "imagined_discount": meta["discount"] ** meta["horizon"],
            "rollout": meta["rollout_steps"],
            "rollout_batch": meta["rollout_batch_size"],
            "lam": meta["lam"],
            "candidates": meta["num_candidates_train"],
            "act_candidates": meta["num_candidates_test"],
            "execute": meta["action_chunking_test"],
            "tau": meta["tau"],
            "end": SlowValue() if meta["target_network"] else OnlineValue(),
            "head": Logistic() if meta["value_loss"] == "bce" else Squared(),
        }
        policy = OneStep(
            dim, 1.0, hidden=hidden, steps=meta["flow_steps"], norm=meta["layer_norm"], climb=False
        )
        model = ChunkModel(
            meta["obs_dim"],
            meta["action_dim"],
            meta["horizon"],
            GoalReward(meta["gc_negative"]) if self.goals else LearnedReward(),
            meta["goal_dim"],
            hidden,
            meta["discount"],
            meta["lr"],
        )
        return ModelBasedActorCritic(model, policy, **settings | changes)

    def params(self, prefix: str = "params") -> MACParams:
        net = lambda name: self.net(f"{prefix}.{name}")
        return MACParams(
            net("dynamics"),
            Empty() if self.goals else net("reward"),  # the authors train it with goals, unused
            net("success"),
            net("value"),
            net("critic"),
            OneStepParams(net("flow"), net("onestep")),
        )

    def target(self, prefix: str = "params"):
        return self.net(f"{prefix}.target_value")

    def batch(self, prefix: str = "batch") -> ChunkBatch:
        field = lambda name: jnp.asarray(self[f"{prefix}.{name}"])
        none = jnp.zeros((len(self[f"{prefix}.masks"]), 0))
        return ChunkBatch(
            field("observations"),
            field("actions"),
            field("rewards"),
            field("masks"),
            field("next_observations"),
            field("value_goals") if self.goals else none,
            field("actor_goals") if self.goals else none,
        )

    def noise(self, prefix: str = "rand") -> MACNoise:
        names = ("x0", "t", "noise", "rollout_noise")
        return MACNoise(*(jnp.asarray(self[f"{prefix}.{name}"]) for name in names))
