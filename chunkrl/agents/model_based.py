"""Model-based value learning with chunks (MAC, arXiv 2512.08108), its ablations, and MVE."""

from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from chunkrl.agents.dynamics import ChunkModel
from chunkrl.agents.settings import Recorded
from chunkrl.blocks import backend, targets
from chunkrl.blocks.networks import Aggregate, Network, Tree, aggregated, ensemble
from chunkrl.blocks.optim import descend, mean_of_blocks
from chunkrl.blocks.policies import Policy, choose
from chunkrl.types import Array, ChunkBatch, ChunkDataset, Metrics, Reads


class MACParams(NamedTuple):
    dynamics: Tree  # those of the model, as in `ModelParams`
    reward: Tree
    success: Tree
    value: Tree
    critic: Tree
    policy: Tree


class MACState(NamedTuple):
    params: MACParams  # differentiated and optimised
    target_value: Tree  # no gradient, no slots in the optimiser
    opt_state: optax.OptState


class MACNoise(NamedTuple):
    """All the randomness of one update, D = hA."""

    flow: jax.Array  # [B, D]           normal: x_0 of flow matching
    t: jax.Array  # [B, 1]              uniform: flow time
    improve: jax.Array  # [B, D] or [K, R, D]  normal: z of the one-step policy
    rollout: jax.Array  # [K, N, R, D]  normal: candidates along the R imagined trajectories


class Transitions(NamedTuple):
    """Chunks as transitions, of the data [B] or along R imagined trajectories [K, R]; constant."""

    seen: Array  # [*B, O + G]  s and g, side by side
    chunk: Array  # [*B, D]
    next_seen: Array  # [*B, O + G]
    reward: Array  # [*B]
    mask: Array  # [*B]         0 where the chunk succeeds, or is thought to


@dataclass(frozen=True)
class OnImagined:
    """Losses at what was imagined (MAC, arXiv 2512.08108, alg. 1; of the policy: MAC (FQL))."""

    def shape(self, size: int, starts: int, rollout: int) -> tuple[int, ...]:
        """Of the states: K rows of R."""
        return rollout, starts

    def states(self, batch: ChunkBatch, x: Transitions):
        """All imagined states, with the goals of the value.  -> [K, R, O + G]"""
        return x.seen

    def transitions(self, batch: ChunkBatch, x: Transitions) -> Transitions:
        """The first imagined chunks, chosen in states of the data.  -> [R, ...]"""
        return jax.tree.map(lambda leaf: leaf[0], x)


@dataclass(frozen=True)
class OnData:
    """Losses at the data (MAC's policy, arXiv 2512.08108, alg. 1; of the critic: an option)."""

    def shape(self, size: int, starts: int, rollout: int) -> tuple[int, ...]:
        """Of the states: B."""
        return (size,)

    def states(self, batch: ChunkBatch, x: Transitions):
        """The states of the batch, with the goals of the policy.  -> [B, O + G]"""
        return jnp.concatenate([batch.obs, batch.actor_goal], axis=-1)

    def transitions(self, batch: ChunkBatch, x: Transitions) -> Transitions:
        """The chunks of the batch, with the goals of the value.  -> [B, ...]"""
        seen, next_seen = (
            jnp.concatenate([obs, batch.value_goal], axis=-1) for obs in (batch.obs, batch.next_obs)
        )
        return Transitions(seen, batch.chunk, next_seen, batch.reward, batch.mask)


Where = OnData | OnImagined


@dataclass(frozen=True)
class SlowValue:
    """Returns end in V', the moving average of V (MAC, arXiv 2512.08108, alg. 1)."""

    def params(self, state: MACState) -> Tree:
        return state.target_value


@dataclass(frozen=True)
class OnlineValue:
    """Returns end in V itself (`target_network=False` of MAC's code)."""

    def params(self, state: MACState) -> Tree:
        return state.params.value


@dataclass(frozen=True, repr=False)
class ModelBasedActorCritic(Recorded):
    """V regressed on returns that the policy earns in a learned model of chunks (MAC).

    arXiv 2512.08108, alg. 1; at h = 1 model-based value expansion (MVE, arXiv 1803.00101).
    `seen` is [s, g], the state and the goal side by side; every network but the dynamics reads it.
    `params` is differentiated, `state` constant.
    """

    model: ChunkModel
    policy: Policy
    imagined_discount: float  # of a chunk in the returns: gamma^h, or gamma as in MAC (FQL)'s code
    rollout: int = 10  # K: imagined chunks
    rollout_batch: int = 1024  # R: rows of a batch that imagination starts from, at most
    lam: float = 1.0
    candidates: int = 8  # N: chunks that the critic chooses from while imagining
    act_candidates: int = 32  # N when acting
    execute: int = 1  # actions executed before acting again
    tau: float = 0.005
    end: SlowValue | OnlineValue = field(default_factory=SlowValue)
    head: targets.ValueHead = field(default_factory=targets.Squared)  # of value and critic
    improve_on: Where = field(default_factory=OnData)  # states that the policy improves at
    critic_on: tuple[Where, ...] = (OnImagined(),)  # chunks that the critic is fitted at
    num_critics: int = 1
    aggregate: Aggregate = "mean"  # of the critics that choose
    later = ("num_critics", "aggregate")

    @property
    def chunk(self) -> int:
        return self.model.chunk

    @property
    def discount(self) -> float:
        """gamma, per action: a chunk counts gamma^h."""
        return self.model.discount

    @property
    def reads(self) -> Reads:
        return self.model.reads

    @property
    def value(self) -> Network:
        return self.model.head

    @property
    def critic(self) -> Network:
        """Like the value, with parameters of its own; an ensemble where there are several."""
        return self.value if self.num_critics == 1 else ensemble(self.value, self.num_critics)

    @property
    def tx(self):
        return self.model.tx

    @property
    def dim(self) -> int:
        """D = hA"""
        return self.chunk * self.model.action_dim

    def init(self, key) -> MACState:
        keys = jax.random.split(key, 6)
        chunk = jnp.zeros((1, self.dim))
        seen = jnp.zeros((1, self.model.obs_dim + self.model.goal_dim))
        value = self.value.init(keys[3], seen)
        params = MACParams(
            *self.model.init_params(keys[:3]),
            value,
            self.critic.init(keys[4], seen, chunk),
            self.policy.init(keys[5], seen),
        )
        return MACState(params, jax.tree.map(jnp.copy, value), self.tx.init(params))

    def draw(self, key, dataset: ChunkDataset, size: int) -> ChunkBatch:
        return self.model.draw(key, dataset, size)

    def noise(self, key, size: int) -> MACNoise:
        """The noise of one update on `size` chunks."""
        key_flow, key_t, key_improve, key_rollout = jax.random.split(key, 4)
        starts = min(self.rollout_batch, size)
        improve = self.improve_on.shape(size, starts, self.rollout)
        return MACNoise(
            jax.random.normal(key_flow, (size, self.dim)),
            jax.random.uniform(key_t, (size, 1)),
            jax.random.normal(key_improve, (*improve, self.dim)),
            jax.random.normal(key_rollout, (self.rollout, self.candidates, starts, self.dim)),
        )

    def v(self, value, seen):
        """State value, from parameters of the value or its slow copy.  [*B, O + G] -> [*B]"""
        return self.head.value(self.value.apply(value, seen))

    def q(self, critic, seen, chunk):
        """Action value, aggregated over the ensemble.  [*B, O + G], [*B, D] -> [*B]"""
        value = self.head.value(self.critic.apply(critic, seen, chunk))
        return value if self.num_critics == 1 else aggregated(value, self.aggregate)

    def propose(self, params: MACParams, seen, noise):
        """argmax_j Q(s, a_j), N samples a_j (MAC, alg. 1).  [*B, O + G], [N, *B, D] -> [*B, D]"""
        return choose(self.policy, params.policy, seen, noise, partial(self.q, params.critic))

    def imagine(self, params: MACParams, obs, goal, noise) -> Transitions:
        """K chunks of the policy inside the model (MAC, arXiv 2512.08108, alg. 1), from s_0 = s:

            a_k     = argmax_j Q(s_k, g, a_k^j),      a_k^j ~ pi(. | s_k, g),  j = 1 ... N
            s_{k+1} = s_k + f(s_k, a_k)
            y_k     = [c(s_k, g, a_k) > 0],           mask_k = 1 - y_k
            r_k     = y_k - 1 with goals,             r(s_k, a_k) with rewards

        [R, O], [R, G], [K, N, R, D] -> [K, R, ...].  Losses get it from the state's parameters: it
        is a constant of theirs.  Trajectories go on after a success; its mask cuts their returns.
        """
        params, noise = backend.lowered((params, noise))

        def step(obs, noise):
            seen = jnp.concatenate([obs, goal], axis=-1)
            low = backend.lowered(seen)
            chunk = backend.in_blocks(partial(self.propose, params), low, noise)
            next_obs = self.model.predict(params, obs, chunk)
            reward, mask = self.model.outcome(params, low, chunk)
            following = jnp.concatenate([next_obs, goal], axis=-1)
            return next_obs, Transitions(seen, chunk, following, reward, mask)

        x = jax.lax.scan(step, obs, noise)[1]
        return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), x)

    def returns(self, state: MACState, x: Transitions):
        """G_k = r_k + d mask_k ((1 - lam) V'(s_{k+1}) + lam G_{k+1}), G_K = V'(s_K).  -> [K, R]

        d is `imagined_discount`; at lam = 1 the values in between cancel (MAC, alg. 1).
        """
        discount, value = self.imagined_discount * x.mask, partial(self.v, self.end.params(state))
        counted = x.next_seen[-1] if self.lam == 1 else x.next_seen
        following = jnp.broadcast_to(value(counted), x.reward.shape)
        return targets.lambda_return(x.reward, discount, following, self.lam)

    def td_target(self, params: MACParams, x: Transitions):
        """r + gamma^h mask V(s'), with V itself, not its slow copy (MAC, alg. 1).  -> [*B]"""
        following = self.v(params.value, x.next_seen)
        return x.reward + self.discount**self.chunk * x.mask * following

    def value_losses(
        self, params: MACParams, state: MACState, batch: ChunkBatch, x: Transitions
    ) -> Metrics:
        """mean (V(s_k) - G_k)^2 at all imagined states; mean (Q(s, a) - y)^2, y of `td_target`.

        MAC, alg. 1; cross entropy in place of the squares with a logistic head.  The critic's is
        added up over `critic_on`: as published, at the chunks chosen in the states of the data.
        """
        td = jnp.zeros(())
        for where in self.critic_on:
            at = where.transitions(batch, x)
            output = self.critic.apply(params.critic, at.seen, at.chunk)
            target = jnp.broadcast_to(self.td_target(state.params, at), output.shape)
            td += self.head.error(output, target).mean()
        returns = self.returns(state, x)
        error = lambda value, x: self.head.error(self.value.apply(value, x[0]), x[1]).mean()
        value = mean_of_blocks(error)(params.value, (x.seen, returns))
        return {"value": value, "td": td, "imagined_return": returns.mean()}

    def policy_losses(
        self, params: MACParams, state: MACState, batch: ChunkBatch, x: Transitions, noise: MACNoise
    ) -> dict:
        """Cloning of the data's chunks, and what the policy makes of the critic at `improve_on`.

        MAC, alg. 1: flow matching, and distillation into one step; `policies` has the equations.
        """
        frozen, seen = state.params, OnData().states(batch, x)
        clone = self.policy.clone(params.policy, seen, batch.chunk, 1.0, noise.flow, noise.t)
        where, q = self.improve_on.states(batch, x), partial(self.q, frozen.critic)
        improve, info = self.policy.improve(params.policy, frozen.policy, where, q, noise.improve)
        return {"clone": clone, "improve": improve, **info}

    def loss(self, params: MACParams, state: MACState, batch: ChunkBatch, noise: MACNoise):
        """All losses, added: they share no parameters, weights would not matter.  -> [], metrics"""
        n = noise.rollout.shape[2]
        x = self.imagine(state.params, batch.obs[:n], batch.value_goal[:n], noise.rollout)
        model = self.model.losses(params, batch)
        metrics = model | self.value_losses(params, state, batch, x)
        metrics |= self.policy_losses(params, state, batch, x, noise)
        total = sum(metrics[name] for name in (*model, "value", "td", "clone", "improve"))
        return total, {"loss": total, **metrics}

    def step(self, state: MACState, batch: ChunkBatch, noise: MACNoise) -> tuple[MACState, Metrics]:
        """One step of one Adam over all losses, then V' = tau V + (1 - tau) V'."""
        after, metrics = descend(self.tx, self.loss, state, state, batch, noise)
        # As published, the target follows the value of *before* this step.
        target = optax.incremental_update(state.params.value, state.target_value, self.tau)
        return after._replace(target_value=target), metrics

    def act(self, state: MACState, obs, key):
        """The chunk to execute at `obs`, with the goal appended.  [*B, O + G] -> [*B, h, A]"""
        shape = (self.act_candidates, *obs.shape[:-1], self.dim)
        chunk = self.propose(state.params, obs, jax.random.normal(key, shape))
        return chunk.reshape(*obs.shape[:-1], self.chunk, self.model.action_dim)
