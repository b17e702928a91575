"""The flow-Q family, chunk length x backup x policy extraction: QC, QC-FQL, BFN(-n), FQL(-n)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from chunkrl.agents.settings import Recorded
from chunkrl.blocks import backend
from chunkrl.blocks.networks import Aggregate, Network, Tree, aggregated, ensemble, scalar_mlp
from chunkrl.blocks.optim import descend
from chunkrl.blocks.policies import Policy, choose
from chunkrl.blocks.targets import Squared, ValueHead
from chunkrl.data import windows
from chunkrl.types import Batch, Metrics, Windows


class Params(NamedTuple):
    critic: Tree
    policy: Tree


class State(NamedTuple):
    params: Any  # differentiated and optimised: a tuple with a field `critic`
    target_critic: Tree  # no gradient, no slots in the optimiser
    opt_state: optax.OptState


class Noise(NamedTuple):
    """All the randomness of one update, D = hA."""

    propose: jax.Array  # [N, B, D]  normal: candidates at s_{t+n}
    flow: jax.Array  # [B, D]        normal: x_0 of flow matching
    t: jax.Array  # [B, 1]           uniform: flow time
    improve: jax.Array  # [B, D]     normal: z of the one-step policy


class Critics(Recorded):
    """An ensemble of critics beside a policy, one Adam for all networks, and a slow copy."""

    obs_dim: int
    action_dim: int
    chunk: int
    backup: int
    discount: float
    policy: Any
    hidden: tuple[int, ...]
    num_critics: int
    aggregate: Aggregate
    lr: float
    tau: float
    loss: Callable
    goal_dim = 0
    head: ValueHead = Squared()

    @property
    def seen_dim(self) -> int:
        """Numbers of what the networks see: the state, and a goal beside it where there are any."""
        return self.obs_dim + self.goal_dim

    @property
    def critic(self) -> Network:
        return ensemble(scalar_mlp(self.hidden), self.num_critics)

    @property
    def tx(self) -> optax.GradientTransformation:
        return optax.adam(self.lr)

    @property
    def reads(self) -> Any:
        """Windows of as many transitions as the target counts."""
        return Windows(self.backup)

    def draw(self, key, dataset: Any, size: int) -> Any:
        """`size` windows of as many transitions as the target counts."""
        return windows.sample(key, dataset, size, self.backup, self.discount)

    def init_networks(self, key_critic, key_policy):
        """Fresh parameters of critics and policy."""
        obs, chunk = jnp.zeros((1, self.seen_dim)), jnp.zeros((1, self.chunk * self.action_dim))
        return self.critic.init(key_critic, obs, chunk), self.policy.init(key_policy, obs)

    def init(self, key) -> State:
        return self.begin(Params(*self.init_networks(*jax.random.split(key))))

    def begin(self, params) -> State:
        """What training starts from, the target critic a copy."""
        return State(params, jax.tree.map(jnp.copy, params.critic), self.tx.init(params))

    def q(self, critic, obs, chunk):
        """Action value, aggregated over the ensemble.  [*B, O], [*B, hA] -> [*B]"""
        return aggregated(self.critic.apply(critic, obs, chunk), self.aggregate)

    def flat_chunk(self, batch: Batch):
        """The first h actions, time-major: [a_t, a_{t+1}, ...].  [B, n, A] -> [B, hA]"""
        return batch.action[:, : self.chunk].reshape(len(batch.action), -1)

    def discounted(self, batch: Batch, following):
        """sum_{i<n} gamma^i r_{t+i} + gamma^n mask `following`.  [B] -> [B]"""
        return batch.returns[:, -1] + self.discount**self.backup * batch.mask[:, -1] * following

    def td_errors(self, critic, batch: Batch, target):
        """(Q_k(s, a) - y)^2 of each critic, or the head's own error.  [B] or [E, B] -> [E, B]"""
        output = self.critic.apply(critic, batch.obs, self.flat_chunk(batch))
        return self.head.error(output, jnp.broadcast_to(target, output.shape))

    def step(self, state, batch, noise) -> tuple[Any, Metrics]:
        """One step of one Adam over all losses, then one of the target critic."""
        after, metrics = descend(self.tx, self.loss, state, state, batch, noise)
        # As published, the target follows the critic of *before* this step.
        target = optax.incremental_update(state.params.critic, state.target_critic, self.tau)
        return after._replace(target_critic=target), metrics


class SingleActions(Critics):
    """Critics of single actions beside a Gaussian policy, which plays its mean."""

    chunk = execute = backup = 1
    later = ("aggregate",)

    def noise(self, key, size: int):
        """Normal numbers for the actions of the policy.  -> [B, A]"""
        return jax.random.normal(key, (size, self.action_dim))

    def act(self, state, obs, key):
        """mu(s), clipped.  [*B, O] -> [*B, 1, A]"""
        return self.policy.mode(state.params.policy, obs).clip(-1, 1)[..., None, :]

    def explore(self, state, obs, key):
        """What is played where the agent learns by it: a ~ pi(s).  [*B, O] -> [*B, 1, A]"""
        noise = jax.random.normal(key, (*obs.shape[:-1], self.action_dim))
        return self.policy.sample(state.params.policy, obs, noise)[..., None, :]


@dataclass(frozen=True)
class ChunkedActorCritic(Critics):
    """Q(s_t, a_{t:t+h}) regressed on an n-step target; a policy that proposes chunks (Q-chunking).

    QC's best of N is arXiv 2507.07969, eqs. 9 to 11, its one-step policy alg. 2; at h = 1 these are
    BFN and FQL (arXiv 2502.02538, alg. 1).  Equation numbers below are of arXiv 2507.07969.
    Every method is a pure function of its arguments; `params` is differentiated, `state` constant.
    """

    obs_dim: int
    action_dim: int
    policy: Policy
    chunk: int = 5  # h: actions per critic input
    backup: int = 5  # n: rewards per TD target; QC has n = h, the "-n" baselines h = 1 < n
    candidates: int = 32  # N: proposals that the critic chooses from; 1 takes the proposal
    discount: float = 0.99
    tau: float = 0.005
    lr: float = 3e-4
    hidden: tuple[int, ...] = (512,) * 4
    num_critics: int = 2
    aggregate: Aggregate = "mean"  # of the critics in the target (q_agg of the code)

    @property
    def execute(self) -> int:
        """Actions executed before acting again: the whole chunk."""
        return self.chunk

    @property
    def noise_dim(self) -> int:
        """Normal numbers of a sample of the policy."""
        return self.chunk * self.action_dim

    def noise(self, key, size: int) -> Noise:
        """The noise of one update on `size` windows."""
        key_propose, key_flow, key_t, key_improve = jax.random.split(key, 4)
        dim = self.chunk * self.action_dim
        return Noise(
            jax.random.normal(key_propose, (self.candidates, size, self.noise_dim)),
            jax.random.normal(key_flow, (size, dim)),
            jax.random.uniform(key_t, (size, 1)),
            jax.random.normal(key_improve, (size, dim)),
        )

    def propose(self, params, obs, noise):
        """The chunk to execute: argmax_j Q(s, a_j), N samples.  [*B, O], [N, *B, hA] -> [*B, hA]

        The online critic chooses (eq. 11); `td_target` evaluates its choice with the target critic.
        """
        return choose(self.policy, params.policy, obs, noise, partial(self.q, params.critic))

    def td_target(self, state: State, batch: Batch, next_chunk):
        """sum_{i<n} gamma^i r_{t+i} + gamma^n mask Q'(s_{t+n}, a').  [B, hA] -> [B]

        With n = h the critic has seen every action that made the rewards (eqs. 6, 7 and 11); h < n
        is the uncorrected n-step target (eq. 4): the actions after the first h are the data's.
        """
        return self.discounted(batch, self.q(state.target_critic, batch.next_obs, next_chunk))

    def critic_loss(self, params: Params, batch: Batch, target):
        """mean over critics and windows of valid (Q_k(s, a) - y)^2 (eqs. 4, 7 and 11).  [B] -> []

        Windows that cross the end of a trajectory weigh 0 but stay in the denominator.
        """
        return (self.td_errors(params.critic, batch, target) * batch.valid[None, :, -1]).mean()

    def clone(self, params, batch: Batch, noise, t):
        """The policy's cloning of the data's chunks, their actions beyond an end masked.  -> []"""
        valid = jnp.repeat(batch.valid[:, : self.chunk], self.action_dim, axis=-1)
        return self.policy.clone(params.policy, batch.obs, self.flat_chunk(batch), valid, noise, t)

    def loss(self, params: Params, state: State, batch: Batch, noise: Noise):
        """Critic loss, and those of `policies`, added (algs. 1 and 2).  -> [], metrics"""
        seen = state.params, batch.next_obs, noise.propose
        next_chunk = self.propose(*backend.lowered(seen)).astype(jnp.float32)
        target = self.td_target(state, batch, next_chunk)
        td = self.critic_loss(params, batch, target)
        clone = self.clone(params, batch, noise.flow, noise.t)

        def q(obs, chunk):  # always the mean, whatever the target takes (reference code)
            return self.critic.apply(state.params.critic, obs, chunk).mean(axis=0)

        improve, info = self.policy.improve(
            params.policy, state.params.policy, batch.obs, q, noise.improve
        )
        total = td + clone + improve
        return total, {"loss": total, "td": td, "clone": clone, "target": target.mean(), **info}

    def act(self, state: State, obs, key):
        """The chunk to execute at `obs`.  [*B, O] -> [*B, h, A]"""
        shape = (self.candidates, *obs.shape[:-1], self.noise_dim)
        chunk = self.propose(state.params, obs, jax.random.normal(key, shape))
        return chunk.reshape(*obs.shape[:-1], self.chunk, self.action_dim)
