"""FMPC against numbers made by running the authors' code (MAC's repository)."""

import jax
import jax.numpy as jnp
import pytest
from reference import Vectors
from test_parity import close, close_trees

from chunkrl.agents.fmpc import FMPC, Futures, Noise, Params
from chunkrl.agents.rewards import GoalReward, LearnedReward
from chunkrl.blocks.optim import State
from chunkrl.blocks.policies import Flow
from chunkrl.types import ChunkBatch

NAMES = ["fmpc_gc", "fmpc_gc_fixed", "fmpc_rb", "fmpc_rb_fixed"]
EXACT, GRADIENT, ACTING = 3e-6, 5e-6, 5e-6


class FMPCVectors(Vectors):
    @property
    def goals(self) -> bool:
        return self.meta["goal_conditioned"]

    def agent(self) -> FMPC:
        meta, hidden = self.meta, tuple(self.meta["hidden"])
        flow = lambda dim: Flow(dim, hidden, meta["flow_steps"], norm=meta["layer_norm"])
        h, chunk, o = meta["action_chunking"], meta["action_chunking_actor"], meta["obs_dim"]
        return FMPC(
            o,
            meta["action_dim"],
            flow(chunk * meta["action_dim"]),
            flow(h * o),
            chunk,
            h,
            meta["num_samples"],
            GoalReward(meta["gc_negative"]) if self.goals else LearnedReward(),
            meta["goal_dim"] if self.goals else 0,
            hidden,
            meta["discount"],
            meta["lr"],
            logit_bootstrap=meta["as_released"],
            mean_to_go=meta["as_released"],
        )

    def params(self, prefix="params") -> Params:
        names = ("dynamics_flow", "flow", "value")
        nets = (self.net(f"{prefix}.{name}") for name in names)
        return Params(*nets, self.alone(f"{prefix}.critic"))

    def batch(self) -> Futures:
        field = lambda name: jnp.asarray(self[f"batch.{name}"])
        future, to_go = field("next_observations"), field("returns_to_go")
        none = jnp.zeros((len(future), 0))
        run = ChunkBatch(
            *(field(name) for name in ("observations", "actions", "rewards", "masks")),
            future[:, -self.meta["obs_dim"] :],
            *(field(f"{w}_goals") if self.goals else none for w in ("value", "actor")),
        )
        return Futures(run, future, to_go.reshape(-1, len(future)).T)

    def noise(self) -> Noise:
        names = ("dynamics_x0", "dynamics_t", "x0", "t")
        return Noise(*(jnp.asarray(self[f"rand.{name}"]) for name in names))


@pytest.mark.parametrize("name", NAMES)
def test_losses_and_gradients(parity, name):
    v = FMPCVectors(parity / f"{name}.npz")
    agent, params, batch = v.agent(), v.params(), v.batch()
    state = State(params, None)
    target = agent.td_target(params, batch.run)
    close(target.clip(0, 1) if v.goals else target, v["out.target_q"], EXACT)
    grad, metrics = jax.jit(jax.grad(agent.loss, has_aux=True))(params, state, batch, v.noise())
    names = {"dynamics": "dynamics", "clone": "bc_flow", "value": "value", "td": "critic"}
    for ours, theirs in {**names, "loss": "total"}.items():
        close(metrics[ours], v[f"loss.{theirs}"], EXACT)
    if v.under("grad"):
        close_trees(grad, v.params("grad"), GRADIENT)


@pytest.mark.parametrize("name", NAMES)
def test_acting(parity, name):
    v = FMPCVectors(parity / f"{name}.npz")
    agent, params = v.agent(), v.params()
    for case in ("act_single", "act_batch"):
        noise = (jnp.asarray(v[f"{case}.{n}"]) for n in ("noise", "dynamics_noise"))
        close(agent.propose(params, v.seen(case), *noise), v[f"{case}.actions"], ACTING)
