"""Decoupled Q-chunking: critics of long chunks, and a policy of short ones."""

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from chunkrl.agents import presets
from chunkrl.agents.actor_critic import State
from chunkrl.agents.ifql import Choosing, Noise
from chunkrl.agents.method import method, require_some_of
from chunkrl.blocks.networks import Tree
from chunkrl.blocks.policies import Flow, best_of_n
from chunkrl.blocks.targets import REGRESSIONS, Logistic, Regression
from chunkrl.data import chunks, goals
from chunkrl.errors import ConfigError
from chunkrl.types import Batch, ChunkDataset, GoalChunks


class Params(NamedTuple):
    critic: Tree  # of h_a actions
    value: Tree
    policy: Tree
    whole: Tree  # of h actions; None where there is no critic of whole chunks


@dataclass(frozen=True)
class DQC(Choosing):
    """Values of h steps, distilled for a policy of h_a <= h actions (arXiv 2512.10926, sec. 5).

        Q_h(s, a_{0:h}, g)   <- y = R + gamma^h mask V(s_h, g),     R = gamma^k, the goal k < h away
        Q(s, a_{0:h_a}, g)   <- expectile kappa_d of Q_h, critic by critic, over the data's chunks
        V(s, g)              <- quantile kappa_b of agg_j Q'_j(s, a_{0:h_a}, g)
        a*                   =  argmax_j agg Q(s, a_j, g),   a_j ~ the flow of s, j = 1 ... N

    Values are probabilities, their networks' outputs the logits, and ranks are those of the logits.
    Without Q_h (`distilled` = False) y itself is what Q learns: at h = h_a Q-chunking with implicit
    values, at h_a < h n-step returns, at h = h_a = 1 single steps.
    """

    policy: Flow
    chunk: int = 5  # h_a
    backup: int = 25  # h
    distilled: bool = True
    kappa_d: float = 0.8
    kappa_b: float = 0.9
    distill_loss: Regression = "expectile"
    backup_loss: Regression = "quantile"
    discount: float = 0.999
    hidden: tuple[int, ...] = (1024,) * 4
    execute: int = 5  # actions executed before acting again; fewer than h_a: DQC-naive
    goal_dim: int = 1
    value_goals: goals.GoalMixture = goals.VALUE
    head = Logistic()

    @property
    def reads(self) -> GoalChunks:
        """Chunks that end with a trajectory, or before."""
        return GoalChunks(self.backup - 1, over=True)

    def init(self, key) -> State:
        keys, seen = jax.random.split(key, 4), jnp.zeros((1, self.seen_dim))
        short, whole = (jnp.zeros((1, n * self.action_dim)) for n in (self.chunk, self.backup))
        params = Params(
            self.critic.init(keys[0], seen, short),
            self.value.init(keys[1], seen),
            self.policy.init(keys[2], seen[:, : self.obs_dim]),
            self.critic.init(keys[3], seen, whole) if self.distilled else None,
        )
        return self.begin(params)

    def draw(self, key, dataset: ChunkDataset, size: int) -> Batch:
        """`size` chunks told a goal, from all starts; goals from anywhere are starts too."""
        key_start, key_goal = jax.random.split(key)
        start = chunks.draw_starts(key_start, dataset, size, self.reads.length)
        near = dataset._replace(goal_rows=dataset.starts)
        row = goals.rows(key_goal, self.value_goals, near, start, self.discount)
        return self.take(dataset, start, row)

    def take(self, dataset: ChunkDataset, start, row) -> Batch:
        """The chunks that begin at rows `start`, told the goals of the given rows."""
        at = goals.Rows(start, row, row)
        run = goals.reach(dataset, at, self.backup, self.discount, h=self.backup)
        action = run.chunk.reshape(len(start), self.backup, -1)
        return goals.told(run, run.value_goal)._replace(action=action)

    def regression(self, output, target):
        """Of V on Q': its quantile or expectile kappa_b.  -> [B]"""
        return REGRESSIONS[self.backup_loss](self.head, output, target, self.kappa_b)

    def whole_loss(self, params: Params, batch: Batch, target):
        """mean cross entropy of Q_h on y, and what it believes.  [B] -> [], [E, B]"""
        chunk = batch.action.reshape(len(batch.action), -1)
        output = self.critic.apply(params.whole, batch.obs, chunk)
        error = self.head.error(output, jnp.broadcast_to(target, output.shape))
        return error.mean(), jax.lax.stop_gradient(self.head.value(output))

    def distill_loss_of(self, params: Params, batch: Batch, target):
        """mean over critics and chunks of Q's regression on Q_h, or on y at 1/2.  [E, B] -> []"""
        output = self.critic.apply(params.critic, batch.obs, self.flat_chunk(batch))
        tau = self.kappa_d if self.distilled else 0.5
        regression = REGRESSIONS[self.distill_loss]
        error = regression(self.head, output, jnp.broadcast_to(target, output.shape), tau)
        return (error * batch.valid[None, :, -1]).mean()

    def loss(self, params: Params, state: State, batch: Batch, noise: Noise):
        """Losses of both critics, value and flow, added.  -> [], metrics"""
        target = believed = self.td_target(state.params, batch)
        metrics = {}
        if self.distilled:
            metrics["whole"], believed = self.whole_loss(params, batch, target)
        metrics["td"] = self.distill_loss_of(params, batch, believed)
        slow = self.slow_q(state.target_critic, batch)
        metrics["value"] = self.value_loss(params, batch, slow)
        metrics["clone"] = self.policy.clone(
            params.policy,
            batch.obs[:, : self.obs_dim],
            self.flat_chunk(batch),
            batch.valid[:, -1:],
            *noise,
        )
        total = sum(metrics.values(), jnp.zeros(()))
        return total, {"loss": total, **metrics, "target": target.mean()}

    def propose(self, params: Params, obs, noise):
        """The best of N chunks, which see no goal.  [*B, O + G], [N, *B, D] -> [*B, D]"""
        proposals = self.policy.sample(params.policy, obs[None, ..., : self.obs_dim], noise)
        return best_of_n(proposals, lambda x: self.q(params.critic, obs[None], x))


def decoupled(
    horizon: int,
    policy_chunk: int,
    obs_dim: int,
    action_dim: int,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = DQC.hidden,
    **learning: Annotated[Any, DQC],
) -> DQC:
    """Values of `horizon` steps, and a critic that picks among proposals of a cloned flow."""
    if policy_chunk > horizon:
        raise ConfigError(
            f"policy_chunk = {policy_chunk}: must be between 1 and the {horizon} steps of values"
        )
    flow = Flow(policy_chunk * action_dim, hidden, flow_steps, norm=True)
    told = {"hidden": hidden, "execute": policy_chunk, **learning}
    return DQC(obs_dim, action_dim, flow, policy_chunk, horizon, **told)


PLAIN = ("kappa_d", "distill_loss")  # of what is distilled; without, Q learns the target itself


@method(presets.DECOUPLED)
def dqc(
    horizon: int = 25, policy_chunk: int = 5, **settings: Annotated[Any, decoupled, "execute"]
) -> DQC:
    """Decoupled Q-chunking: long chunks valued, short ones played (arXiv 2512.10926, sec. 5).

    Where both are as long, nothing is distilled.
    """
    if horizon == policy_chunk and settings.keys() & {*PLAIN}:
        raise ConfigError(
            f"horizon = policy_chunk = {horizon}: nothing is distilled, leave out kappa_d and"
            " distill_loss"
        )
    return decoupled(horizon, policy_chunk, distilled=horizon > policy_chunk, **settings)


@method(presets.DECOUPLED)
def dqc_naive(
    horizon: int = 25,
    execute: int = 1,
    **settings: Annotated[Any, decoupled, "policy_chunk", *PLAIN],
) -> DQC:
    """The first actions of a chunk that is valued as a whole (arXiv 2512.10926, sec. 6)."""
    require_some_of(horizon, execute)
    return decoupled(horizon, horizon, execute=execute, distilled=False, **settings)


@method(presets.DECOUPLED)
def dqc_n(
    horizon: int = 25,
    policy_chunk: int = 1,
    **settings: Annotated[Any, decoupled, "execute", *PLAIN],
) -> DQC:
    """`dqc` by uncorrected n-step returns, without whole chunks (arXiv 2512.10926, sec. 6)."""
    return decoupled(horizon, policy_chunk, distilled=False, **settings)


@method(presets.DECOUPLED)
def dqc_one_step(
    **settings: Annotated[Any, decoupled, "horizon", "policy_chunk", "execute", *PLAIN],
) -> DQC:
    """`dqc` at h = 1, of single steps (arXiv 2512.10926, sec. 6)."""
    return decoupled(1, 1, distilled=False, **settings)
