"""SHARSA and double SHARSA against numbers made by running the authors' code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import Vectors, goal_batch
from test_parity import close, close_trees, follow

from chunkrl.agents.sharsa import SHARSA, DoubleSHARSA, Noise, Params, Runs, State
from chunkrl.blocks.policies import Flow
from chunkrl.blocks.targets import Logistic, Squared
from chunkrl.types import ChunkBatch

LOSSES = ["sharsa", "sharsa_mean", "sharsa_squared", "dsharsa", "dsharsa_mean"]
UPDATES = ["update_sharsa_biglr", "update_dsharsa_biglr"]
CASES = ("act_single", "act_single2", "act_single3")


class SHARSAVectors(Vectors):
    @property
    def double(self) -> bool:
        return self.meta["agent"] == "dsharsa"

    def agent(self) -> SHARSA:
        meta, hidden = self.meta, tuple(self.meta["hidden"])
        flows = (
            Flow(meta[f"{x}_dim"], hidden, meta["flow_steps"], norm=meta["layer_norm"])
            for x in ("goal", "action")
        )
        agent = (DoubleSHARSA if self.double else SHARSA)(
            meta["obs_dim"],
            meta["action_dim"],
            *flows,
            backup=meta["subgoal_steps"],
            candidates=meta["num_candidates"],
            hidden=hidden,
            aggregate=meta["q_agg"],
            head=Logistic() if meta["value_loss_type"] == "bce" else Squared(),
            **{k: meta[k] for k in ("discount", "tau", "lr", "num_critics", "goal_dim")},
        )
        assert agent.negative == meta["gc_negative"]
        assert not self.double or agent.low.discount == pytest.approx(meta["low_discount"])
        return agent

    def levels(self):
        return ("high", "low") if self.double else ("high",)

    def params(self, prefix="params") -> Params:
        critic, members = self.target(prefix, ""), self.meta["num_critics"]
        assert members == 2
        value = tuple(self.net(f"{prefix}.{level}_value") for level in self.levels())
        return Params(critic, value, tuple(self.net(f"{prefix}.{x}_flow") for x in ("high", "low")))

    def target(self, prefix="params", kind="target_"):
        members = self.meta["num_critics"]
        return tuple(self.net(f"{prefix}.{kind}{level}_critic", members) for level in self.levels())

    def batch(self, prefix="batch") -> Runs:
        field = lambda name: jnp.asarray(self[f"{prefix}.{name}"])
        names = ("high_value_actions", "high_actor_actions", "low_actor_goals")
        run, low, step = goal_batch(self, prefix), "low_value_", None
        if self.double:
            names_low = ("rewards", "masks")
            goal = field(f"{low}goals")
            step = ChunkBatch(
                run.obs,
                run.chunk,
                *(field(low + name) for name in names_low),
                field("next_observations"),
                goal,
                goal,
            )
        return Runs(run, *map(field, names), step)

    def noise(self, prefix="rand") -> Noise:
        names = ("high_x0", "high_t", "low_x0", "low_t")
        return Noise(*(jnp.asarray(self[f"{prefix}.{name}"]) for name in names))


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients(parity, name):
    v = SHARSAVectors(parity / f"{name}.npz")
    agent, params, batch = v.agent(), v.params(), v.batch()
    for i, (level, window) in enumerate(zip(v.levels(), agent.windows(batch), strict=True)):
        values = agent.levels[i]
        slow = values.slow_q(v.target()[i], window)
        close(slow, v[f"out.{level}_value_target"], 3e-6)
        held = type("Values", (), {"value": params.value[i]})
        close(values.td_target(held, window), v[f"out.{level}_target_q"], 3e-6)
    state = State(params, v.target(), None)
    grad, metrics = jax.jit(jax.grad(agent.loss, has_aux=True))(params, state, batch, v.noise())
    total = lambda what: sum(v[f"loss.{level}_{what}"] for level in v.levels())
    close(metrics["value"], total("value"), 3e-6)
    close(metrics["td"], total("critic"), 3e-6)
    close(metrics["clone_subgoal"], v["loss.high_bc_flow"], 3e-6)
    close(metrics["clone"], v["loss.high_bc_flow"] + v["loss.low_bc_flow"], 3e-6)
    close(metrics["loss"], v["loss.total"], 3e-6)
    if v.under("grad"):
        close_trees(grad, v.params("grad"), 5e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_acting(parity, name):
    """Of one observation at a time, and of all as a batch."""
    v = SHARSAVectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params()
    apart = [
        (v.seen(case), *(jnp.asarray(v[f"{case}.{x}_noise"]) for x in ("high", "low")))
        for case in CASES
    ]
    stacked = zip(*apart, strict=True)
    low_axis = 1 if v.double else 0
    together = [jnp.stack(x, axis) for x, axis in zip(stacked, (0, 1, low_axis), strict=True)]
    for case, (seen, high, low) in zip((*CASES, None), (*apart, together), strict=True):
        low = low if v.double else low[None]
        subgoal = agent.choose(params, seen, high)
        told = jnp.concatenate([seen[..., : agent.obs_dim], subgoal], axis=-1)
        action = agent.follow(params, told, low)
        found = {"subgoal": subgoal, "actions": action}
        for what, ours in found.items():
            expected = [v[f"{x}.{what}"] for x in CASES] if case is None else v[f"{case}.{what}"]
            close(ours, np.asarray(expected), 5e-6)


@pytest.mark.parametrize("name", UPDATES)
def test_updates(parity, name):
    """Several steps in a row, see `follow`."""
    v = SHARSAVectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params("before")
    follow(v, agent, State(params, v.target("before"), agent.tx.init(params)))
