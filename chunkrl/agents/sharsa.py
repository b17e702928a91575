"""SHARSA: subgoals n steps ahead, cloned and chosen by values; and double SHARSA, actions too."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from chunkrl.agents import implicit, presets
from chunkrl.agents.actor_critic import State
from chunkrl.agents.implicit import ImplicitValues
from chunkrl.agents.method import HEADS, method
from chunkrl.agents.reaching import Reaching
from chunkrl.blocks.networks import Aggregate, Tree
from chunkrl.blocks.policies import Flow, best_of_n
from chunkrl.blocks.targets import Logistic, ValueHead
from chunkrl.data import goals
from chunkrl.types import Array, Batch, ChunkBatch, ChunkDataset


class Params(NamedTuple):
    """Of each level, the high one first; `critic` and `value` of those that have values."""

    critic: tuple[Tree, ...]
    value: tuple[Tree, ...]
    policy: tuple[Tree, Tree]


class Noise(NamedTuple):
    """All the randomness of one update."""

    high: jax.Array  # [B, G]  normal: x_0 of a subgoal
    high_t: jax.Array  # [B, 1]  uniform: flow time
    low: jax.Array  # [B, A]   normal: x_0 of an action
    low_t: jax.Array  # [B, 1]


class Runs(NamedTuple):
    """n steps, and where they lead on the way to a goal; phi(s) is what s counts as as a goal."""

    run: ChunkBatch  # see `goals.reach`
    subgoal: Array  # [B, G]        phi(s_{t+k}), at most n steps on the way to the value's goal
    actor_subgoal: Array  # [B, G]  the same to the policy's goal
    ahead: Array  # [B, G]          phi(s_{t+n}), or of the trajectory's end
    step: ChunkBatch | None = None  # the first step, told goals of the low level


@dataclass(frozen=True)
class Sarsa(ImplicitValues):
    """V(s, g) the mean of Q(s, a, g) over the data's actions, by the losses of implicit values."""

    obs_dim: int
    action_dim: int
    backup: int
    discount: float
    hidden: tuple[int, ...]
    num_critics: int
    aggregate: Aggregate
    head: ValueHead
    goal_dim: int
    chunk = 1

    def regression(self, output, target):
        return self.head.error(output, target)


@dataclass(frozen=True)
class SHARSA(Reaching):
    """A flow proposes subgoals, values choose one, a second flow acts (arXiv 2506.04168, alg. 1).

        V(s, g) <- Q'(s, w, g),    Q(s, w, g) <- R + gamma^n mask V(s_{t+n}, g),    w = phi(s_{t+n})
        w* = argmax_j min_k Q_k(s, w_j, g),      w_j ~ the flow of (s, g),  j = 1 ... N
        a  ~ the flow of (s, w*), decided anew in every step

    R is gamma^k where g is k < n steps away, and a value the probability that its network's output
    is the logit of; or -1 a step, with the output itself.
    """

    # As released, subgoals are ranked by the least critic whatever the target aggregates, and end
    # unclipped.
    obs_dim: int
    action_dim: int
    subgoals: Flow
    policy: Flow
    backup: int = 25  # n
    candidates: int = 32  # N
    discount: float = 0.999
    tau: float = 0.005
    lr: float = 3e-4
    hidden: tuple[int, ...] = (1024,) * 4
    num_critics: int = 2
    aggregate: Aggregate = "min"  # of the target
    goal_dim: int = 1
    head: ValueHead = field(default_factory=Logistic)
    false_ends: bool = True
    value_goals: goals.GoalMixture = goals.VALUE
    actor_goals: goals.GoalMixture = goals.ACTOR
    chunk = execute = 1

    @property
    def high(self) -> Sarsa:
        """Of subgoals as actions."""
        names = ("obs_dim", "goal_dim", "backup", "discount", "hidden", "num_critics")
        same = {name: getattr(self, name) for name in (*names, "aggregate", "head")}
        return Sarsa(action_dim=self.goal_dim, **same)

    @property
    def levels(self) -> tuple[Sarsa, ...]:
        """Those that have values."""
        return (self.high,)

    def init(self, key) -> State:
        key_high, key_low, *keys = jax.random.split(key, 2 + 2 * len(self.levels))
        seen, pairs = jnp.zeros((1, self.seen_dim)), zip(self.levels, keys[::2], strict=True)
        critic = (x.critic.init(k, seen, jnp.zeros((1, x.action_dim))) for x, k in pairs)
        value = (x.value.init(k, seen) for x, k in zip(self.levels, keys[1::2], strict=True))
        policy = self.subgoals.init(key_high, seen), self.policy.init(key_low, seen)
        return self.begin(Params(tuple(critic), tuple(value), policy))

    def draw(self, key, dataset: ChunkDataset, size: int) -> Runs:
        """`size` runs of n steps, each with a goal for the values and one for the policies."""
        return self.take(dataset, self.draw_rows(key, dataset, size))

    def take(self, dataset: ChunkDataset, at: goals.Rows) -> Runs:
        """The runs that begin at rows `at`, told the goals of those rows."""
        ends = (goals.steps(dataset, at.start, row, self.backup) for row in (*at[1:], -1))
        goal, actor_goal, ahead = (jnp.asarray(dataset.goal)[at.start + k] for k in ends)
        return Runs(self.reach(dataset, at), goal, actor_goal, ahead)

    def noise(self, key, size: int) -> Noise:
        """The noise of one update on `size` runs."""
        key_high, key_high_t, key_low, key_low_t = jax.random.split(key, 4)
        return Noise(
            jax.random.normal(key_high, (size, self.goal_dim)),
            jax.random.uniform(key_high_t, (size, 1)),
            jax.random.normal(key_low, (size, self.action_dim)),
            jax.random.uniform(key_low_t, (size, 1)),
        )

    def windows(self, batch: Runs) -> tuple[Batch, ...]:
        """What the values of each level learn from: of the high one, a subgoal is the action."""
        run = batch.run._replace(chunk=batch.subgoal)
        return (goals.told(run, run.value_goal),)

    def cloning(self, params: Params, batch: Runs, noise: Noise):
        """Flow matching of phi(s_{t+k}) from (s, g), of a_t from (s, phi(s_{t+n})).  -> [] twice"""
        run, (high, low) = batch.run, params.policy
        seen, told = (
            jnp.concatenate([run.obs, goal], axis=-1) for goal in (run.actor_goal, batch.ahead)
        )
        subgoal = self.subgoals.clone(
            high, seen, batch.actor_subgoal, 1.0, noise.high, noise.high_t
        )
        return subgoal, self.policy.clone(low, told, run.chunk, 1.0, noise.low, noise.low_t)

    def loss(self, params: Params, state: State, batch: Runs, noise: Noise):
        """Losses of values and flows, added over the levels.  -> [], metrics"""
        metrics = {"td": jnp.zeros(()), "value": jnp.zeros(())}
        for i, (level, window) in enumerate(zip(self.levels, self.windows(batch), strict=True)):
            of_level = lambda p, i=i: implicit.Params(p.critic[i], p.value[i], ())
            frozen = State(of_level(state.params), state.target_critic[i], ())
            found = level.value_losses(of_level(params), frozen, window)
            metrics |= {name: metrics[name] + found[name] for name in ("td", "value")}
        subgoal, action = self.cloning(params, batch, noise)
        metrics["clone"] = subgoal + action
        total = sum(metrics.values(), jnp.zeros(()))
        return total, {"loss": total, **metrics, "clone_subgoal": subgoal}

    def best(self, params: Params, i: int, seen, candidates):
        """The candidate that the least critic of a level ranks highest.  [N, *B, D] -> [*B, D]"""
        critic = partial(self.levels[i].critic.apply, params.critic[i], seen[None])
        return best_of_n(candidates, lambda x: critic(x).min(axis=0))

    def choose(self, params: Params, seen, noise):
        """The subgoal of the best of N.  [*B, O + G], [N, *B, G] -> [*B, G]"""
        proposals = self.subgoals.end(params.policy[0], seen[None], noise)
        return self.best(params, 0, seen, proposals)

    def follow(self, params: Params, told, noise):
        """An action towards the subgoal told.  [*B, O + G], [N, *B, A] -> [*B, A]"""
        return self.policy.sample(params.policy[1], told, noise[0])

    def act(self, state: State, obs, key):
        """The action at `obs`, with the goal appended.  [*B, O + G] -> [*B, 1, A]"""
        key_high, key_low = jax.random.split(key)
        shape = (self.candidates, *obs.shape[:-1])
        noise = jax.random.normal(key_high, (*shape, self.goal_dim))
        subgoal = self.choose(state.params, obs, noise)
        told = jnp.concatenate([obs[..., : self.obs_dim], subgoal], axis=-1)
        noise = jax.random.normal(key_low, (*shape, self.action_dim))
        return self.follow(state.params, told, noise)[..., None, :]


@dataclass(frozen=True)
class DoubleSHARSA(SHARSA):
    """SHARSA whose actions are the best of N too, by values of single steps to subgoals.

    They count 1 - 1/n a step and learn from goals geometrically far ahead (arXiv 2506.04168).
    """

    @property
    def low(self) -> Sarsa:
        """Of actions."""
        discount = 1 - 1 / self.backup
        return replace(self.high, action_dim=self.action_dim, backup=1, discount=discount)

    @property
    def levels(self) -> tuple[Sarsa, ...]:
        return self.high, self.low

    def draw(self, key, dataset: ChunkDataset, size: int) -> Runs:
        """And the first step of each, with a goal of its own."""
        key_run, key_step = jax.random.split(key)
        at = self.draw_rows(key_run, dataset, size)
        near = replace(self.value_goals, geometric=True)
        row = goals.rows(key_step, near, dataset, at.start, self.low.discount)
        return self.take(dataset, at)._replace(step=self.single(dataset, at.start, row))

    def single(self, dataset: ChunkDataset, start, row) -> ChunkBatch:
        """The step from rows `start`, told the goals of the given rows."""
        return goals.take(dataset, start, 1, row, row, self.negative)

    def windows(self, batch: Runs) -> tuple[Batch, ...]:
        assert batch.step is not None
        return *super().windows(batch), goals.told(batch.step, batch.step.value_goal)

    def follow(self, params: Params, told, noise):
        """The best of N actions, clipped once it is chosen.  [*B, O + G], [N, *B, A] -> [*B, A]"""
        proposals = self.policy.end(params.policy[1], told[None], noise)
        return self.best(params, 1, told, proposals).clip(-1, 1)


def hierarchical(
    obs_dim: int,
    action_dim: int,
    horizon: int = SHARSA.backup,
    goal_dim: int = 1,
    flow_steps: int = 10,
    value_loss: Literal["squared", "logistic"] = "logistic",
    hidden: tuple[int, ...] = SHARSA.hidden,
    kind: type = SHARSA,
    **learning: Annotated[Any, SHARSA],
) -> Any:
    """Flows of subgoals and of actions, chosen by values."""
    flows = (Flow(dim, hidden, flow_steps, norm=True) for dim in (goal_dim, action_dim))
    told = {"goal_dim": goal_dim, "head": HEADS[value_loss], "hidden": hidden}
    return kind(obs_dim, action_dim, *flows, backup=horizon, **told, **learning)


@method(presets.GOALS)
def sharsa(**settings: Annotated[Any, hierarchical]) -> SHARSA:
    """The best of N subgoals, and a cloned flow towards it (arXiv 2506.04168, alg. 1)."""
    return hierarchical(**settings)


@method(presets.GOALS)
def double_sharsa(**settings: Annotated[Any, hierarchical]) -> SHARSA:
    """`sharsa` whose actions are the best of N as well (arXiv 2506.04168, sec. 6)."""
    return hierarchical(kind=DoubleSHARSA, **settings)
