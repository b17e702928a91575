"""Planning with flows: what might be done, what would follow, and the better of it."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from chunkrl.agents import presets
from chunkrl.agents.actor_critic import Critics
from chunkrl.agents.method import method, require_use
from chunkrl.agents.rewards import GoalReward, LearnedReward
from chunkrl.blocks.networks import Aggregate, Network, Tree, scalar_mlp
from chunkrl.blocks.optim import State, descend
from chunkrl.blocks.policies import Flow, best_of_n
from chunkrl.blocks.targets import Logistic, Squared
from chunkrl.data import chunks, goals
from chunkrl.errors import ConfigError
from chunkrl.types import Array, ChunkBatch, ChunkDataset, Metrics, Reads


class Params(NamedTuple):
    dynamics: Tree  # flow of what follows
    policy: Tree  # flow of what is done
    value: Tree
    critic: Tree


class Noise(NamedTuple):
    """All the randomness of one update."""

    future: Array  # [B, hO]      normal: x_0 of what follows
    future_t: Array  # [B, 1]     uniform: flow time
    action: Array  # [B, D]       normal: x_0 of what is done
    action_t: Array  # [B, 1]


class Futures(NamedTuple):
    """h steps as one, of whose actions the policy chooses the first h_a; D = h_a A."""

    run: ChunkBatch
    future: Array  # [B, hO]  s_{t+1} ... s_{t+h}
    to_go: Array  # [B, 1]    what is earned from s_t on; [B, h + 1]: from each of s_t ... s_{t+h}


def beside(*parts):
    return jnp.concatenate(parts, axis=-1)


@dataclass(frozen=True)
class FMPC(Critics):
    """The best of N cloned actions by what a flow of states says of each (FMPC).

        V(s, g) <- what the data earn from s on
        Q(s', g, a) <- r + gamma^h mask V(s_{t+h}, g)
        a_j ~ the flow of (s, g)        s'_j = s_{t+1} ... s_{t+h} ~ the flow of (s, a_j)
        a*  = argmax_j Q(s'_j, g, a_j),  j = 1 ... N

    D-MPC (arXiv 2410.05364) with flows, as MAC (arXiv 2512.08108) compares with it.  V is fitted to
    undiscounted sums; with goals it is the probability that g comes later in the trajectory.
    """

    # Departs from MAC's code, which draws the noise of a_j and s'_j from one key.
    obs_dim: int
    action_dim: int
    policy: Flow
    future: Flow
    chunk: int = 1  # h_a: 1 as released; D-MPC proposes sequences of actions
    backup: int = 32  # h
    act_candidates: int = 64  # N
    reward: GoalReward | LearnedReward = field(default_factory=LearnedReward)
    goal_dim: int = 0
    hidden: tuple[int, ...] = (1024,) * 4
    discount: float = 0.999
    lr: float = 3e-4
    num_critics: int = 1
    aggregate: Aggregate = "mean"  # of the critics that choose
    logit_bootstrap: bool = False  # with goals; as released, y has V's logit for V
    mean_to_go: bool = False  # with rewards; as released, V(s_t) is of all sums in `to_go`

    @property
    def reads(self) -> Reads:
        return replace(self.reward.reads(self.backup), over=True)

    @property
    def head(self) -> Squared | Logistic:
        """Of value and critic: probabilities with goals."""
        return Logistic() if self.goal_dim else Squared()

    @property
    def execute(self) -> int:
        """Actions executed before planning again: those planned."""
        return self.chunk

    @property
    def seen_dim(self) -> int:
        """Numbers of what the critic sees beside the action: the states that follow, and a goal."""
        return self.future.dim + self.goal_dim

    @property
    def value(self) -> Network:
        return scalar_mlp(self.hidden)

    def init(self, key) -> State:
        keys = jax.random.split(key, 4)
        zeros = lambda dim: jnp.zeros((1, dim))
        state, goal, chunk = (zeros(n) for n in (self.obs_dim, self.goal_dim, self.policy.dim))
        params = Params(
            self.future.init(keys[0], beside(state, chunk)),
            self.policy.init(keys[1], seen := beside(state, goal)),
            self.value.init(keys[2], seen),
            self.critic.init(keys[3], zeros(self.seen_dim), chunk),
        )
        return State(params, self.tx.init(params))

    def draw(self, key, dataset: ChunkDataset, size: int) -> Futures:
        """`size` runs of h steps, their starts uniform, with goals one for V and one to clone."""
        h = self.backup
        if isinstance(self.reward, LearnedReward):
            start = chunks.draw_starts(key, dataset, size, h)
            run = self.reward.pay(chunks.take(dataset, start, h, self.discount), h)
            to_go = self.to_go(dataset, start)
        else:
            mixtures = self.reward.value_goals, self.reward.actor_goals or self.reward.value_goals
            at = goals.draw_rows(key, dataset, size, h, self.discount, *mixtures)
            run, start = goals.take(dataset, *at[:1], h, *at[1:], self.reward.negative), at.start
            later = (start <= at.value) & (at.value < jnp.asarray(dataset.last)[start])
            to_go = later.astype(jnp.float32)[:, None]
        rows = start[:, None] + jnp.arange(1, h + 1)[None]
        future = jnp.asarray(dataset.obs)[rows].reshape(size, -1)
        return Futures(run._replace(chunk=run.chunk[:, : self.policy.dim]), future, to_go)

    def to_go(self, dataset: ChunkDataset, start):
        """sum_{j >= i} r_j to the trajectory's end, a difference of sums over all.  -> [B, .]"""
        reward, last = jnp.asarray(dataset.reward), jnp.asarray(dataset.last)
        rows = start[:, None] + jnp.arange(self.backup + 1 if self.mean_to_go else 1)[None]
        total = jnp.cumsum(reward)  # exact up to 2^24 where rewards are whole numbers
        return total[last[rows]] - total[rows] + reward[rows]

    def noise(self, key, size: int) -> Noise:
        """The noise of one update on `size` runs."""
        draws = (jax.random.normal, jax.random.uniform) * 2
        dims, keys = (self.future.dim, 1, self.policy.dim, 1), jax.random.split(key, 4)
        return Noise(*(x(k, (size, n)) for x, k, n in zip(draws, keys, dims, strict=True)))

    def td_target(self, params: Params, run: ChunkBatch):
        """r + gamma^h mask V(s_{t+h}, g), of V itself.  -> [B]"""
        output = self.value.apply(params.value, run.next_obs, run.value_goal)
        value = output if self.logit_bootstrap else self.head.value(output)
        return run.reward + self.discount**self.backup * run.mask * value

    def loss(self, params: Params, state: State, batch: Futures, noise: Noise):
        """Flow matching of what follows and of what was done; errors of V and Q.  -> [], metrics"""
        run, future, action = batch.run, noise[:2], noise[2:]
        known, told = (beside(run.obs, x) for x in (run.chunk, run.actor_goal))
        value = self.value.apply(params.value, run.obs, run.value_goal)[:, None]
        critic = self.critic.apply(params.critic, beside(batch.future, run.value_goal), run.chunk)
        target = jnp.broadcast_to(self.td_target(state.params, run), critic.shape)
        value = self.head.error(jnp.broadcast_to(value, batch.to_go.shape), batch.to_go)
        parts = {
            "dynamics": self.future.clone(params.dynamics, known, batch.future, 1.0, *future),
            "clone": self.policy.clone(params.policy, told, run.chunk, 1.0, *action),
            "value": value.mean(),
            "td": self.head.error(critic, target).mean(),
        }
        total = sum(parts.values(), jnp.zeros(()))
        return total, {"loss": total, **parts}

    def step(self, state: State, batch: Futures, noise: Noise) -> tuple[State, Metrics]:
        """One step of one Adam over all losses."""
        return descend(self.tx, self.loss, state, state, batch, noise)

    def propose(self, params: Params, obs, noise, future):
        """The best of N by what each leads to.  [*B, O + G], [N, *B, D], [N, *B, hO] -> [*B, D]"""
        chunk = self.policy.sample(params.policy, obs[None], noise)
        state, goal = jnp.split(
            jnp.broadcast_to(obs, (*chunk.shape[:-1], obs.shape[-1])), [self.obs_dim], axis=-1
        )
        future = self.future.end(params.dynamics, beside(state, chunk), future)
        return best_of_n(chunk, lambda x: self.q(params.critic, beside(future, goal), x))

    def act(self, state: State, obs, key):
        """The chunk to execute at `obs`, with the goal appended.  [*B, O + G] -> [*B, h_a, A]"""
        shape = (self.act_candidates, *obs.shape[:-1])
        key_action, key_future = jax.random.split(key)
        noise = jax.random.normal(key_action, (*shape, self.policy.dim))
        future = jax.random.normal(key_future, (*shape, self.future.dim))
        chunk = self.propose(state.params, obs, noise, future)
        return chunk.reshape(*obs.shape[:-1], self.chunk, self.action_dim)


@method(presets.GOALS)
def fmpc(
    obs_dim: int,
    action_dim: int,
    horizon: int = FMPC.backup,
    policy_chunk: int = FMPC.chunk,
    goal_dim: int = 0,
    sum_reward: bool = False,
    true_mask: bool = False,
    logit_bootstrap: bool = FMPC.logit_bootstrap,
    mean_to_go: bool = FMPC.mean_to_go,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = FMPC.hidden,
    **learning: Annotated[Any, FMPC, "execute"],
) -> FMPC:
    """The best of N cloned actions, by a flow of what follows (arXiv 2410.05364, with flows)."""
    if policy_chunk > horizon:
        raise ConfigError(f"policy_chunk = {policy_chunk}: must be at most the horizon's {horizon}")
    ends = {"sum_reward": sum_reward, "true_mask": true_mask, "mean_to_go": mean_to_go}
    require_use(goal_dim, ends, {"logit_bootstrap": logit_bootstrap})
    reward = GoalReward(negative=False) if goal_dim else LearnedReward(sum_reward, true_mask)
    flow = partial(Flow, hidden=hidden, steps=flow_steps, norm=True)
    policy, future = flow(policy_chunk * action_dim), flow(horizon * obs_dim)
    told = {"reward": reward, "goal_dim": goal_dim, "hidden": hidden, "backup": horizon}
    told |= {"logit_bootstrap": logit_bootstrap, "mean_to_go": mean_to_go}
    return FMPC(obs_dim, action_dim, policy, future, policy_chunk, **told, **learning)
