"""ReBRAC: TD3 held to the data twice, where the policy acts and where the critic looks ahead."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from chunkrl.agents import presets
from chunkrl.agents.actor_critic import Params, SingleActions
from chunkrl.agents.method import method
from chunkrl.blocks.networks import Aggregate
from chunkrl.blocks.optim import descend
from chunkrl.blocks.policies import Gaussian, magnitude
from chunkrl.data import windows
from chunkrl.types import Batch, Dataset, Metrics


class State(NamedTuple):
    params: Params
    target: Params  # slow copies of both
    opt_state: optax.OptState
    updates: jax.Array  # [] int32


class Transitions(NamedTuple):
    """Single transitions, with the data's next action."""

    window: Batch
    next_action: jax.Array  # [B, A]  a_{t+1} by row, of the next trajectory where one ends


@dataclass(frozen=True, repr=False)
class ReBRAC(SingleActions):
    """A Gaussian's mode up the critic, close to the data (ReBRAC, arXiv 2305.09836)."""

    obs_dim: int
    action_dim: int
    policy: Gaussian
    alpha: float = 0.1  # beta_1 of the paper: the policy's distance from the data
    alpha_critic: float = 0.0  # beta_2: the next action's
    policy_every: int = 2  # updates per update of policy and target networks
    action_noise: float = 0.2
    noise_clip: float = 0.5
    discount: float = 0.99
    tau: float = 0.005
    lr: float = 3e-4
    hidden: tuple[int, ...] = (512,) * 4
    num_critics: int = 2
    aggregate: Aggregate = "min"

    def init(self, key) -> State:
        params = Params(*self.init_networks(*jax.random.split(key)))
        target = jax.tree.map(jnp.copy, params)
        return State(params, target, self.tx.init(params), jnp.zeros((), jnp.int32))

    def draw(self, key, dataset: Dataset, size: int) -> Transitions:
        """`size` single transitions with the action of the following row of the data."""
        start = windows.draw_starts(key, dataset, size, 1)
        following = jnp.minimum(start + 1, windows.size(dataset) - 1)
        window = windows.take(dataset, start, 1, self.discount)
        return Transitions(window, windows.pick(dataset, "action", following))

    def perturbed(self, policy, obs, noise):
        """clip(mu(s) + clip(sigma z)), TD3's smoothing (arXiv 1802.09477, eq. 14).  -> [*B, A]"""
        limit = self.noise_clip
        noise = (noise * self.action_noise).clip(-limit, limit)
        return (self.policy.mode(policy, obs) + noise).clip(-1, 1)

    def explore(self, state: State, obs, key):
        """mu(s) with the noise of the targets, where the agent learns by it.  -> [*B, 1, A]"""
        noise = jax.random.normal(key, (*obs.shape[:-1], self.action_dim))
        return self.perturbed(state.params.policy, obs, noise)[..., None, :]

    def td_target(self, target: Params, batch: Transitions, next_action):
        """r + gamma mask (min_k Q'_k(s', a') - alpha_critic |a' - a_{t+1}|^2) (sec. 3).  -> [B]"""
        window = batch.window
        distance = ((next_action - batch.next_action) ** 2).sum(axis=-1)
        following = self.q(target.critic, window.next_obs, next_action)
        return self.discounted(window, following - self.alpha_critic * distance)

    def critic_loss(self, params: Params, batch: Transitions, target):
        """mean over critics and transitions of (Q_k(s, a) - y)^2 (sec. 3).  [B] -> []"""
        return self.td_errors(params.critic, batch.window, target).mean()

    def policy_loss(self, params: Params, batch: Transitions, q):
        """-mean min_k Q_k(s, mu(s)) / mean |Q| + alpha mean |mu(s) - a|^2 (sec. 3).  -> []"""
        action = self.policy.mode(params.policy, batch.window.obs)
        value = q(batch.window.obs, action)
        distance = ((action - batch.window.action[:, 0]) ** 2).sum(axis=-1)
        return -(value.mean() / magnitude(value)) + self.alpha * distance.mean()

    def full(self, state: State):
        """Whether the coming update is one of policy and target networks too.  -> [] bool"""
        return (state.updates + 1) % self.policy_every == 0

    def loss(self, params: Params, state: State, batch: Transitions, noise):
        """The critic's loss, in every `policy_every`-th update the policy's too.  -> [], metrics"""
        next_action = self.perturbed(state.target.policy, batch.window.next_obs, noise)
        target = self.td_target(state.target, batch, next_action)
        td = self.critic_loss(params, batch, target)
        q = partial(self.q, state.params.critic)
        policy = jnp.where(self.full(state), self.policy_loss(params, batch, q), 0.0)
        total = td + policy
        return total, {"loss": total, "td": td, "policy": policy, "target": target.mean()}

    def step(self, state: State, batch: Transitions, noise) -> tuple[State, Metrics]:
        """One step of one Adam, whose momentum moves the policy in between too, as published."""
        after, metrics = descend(self.tx, self.loss, state, state, batch, noise)
        # As published, the targets follow the networks of *before* this step.
        tau = jnp.where(self.full(state), self.tau, 0.0)
        target = optax.incremental_update(state.params, state.target, tau)
        return after._replace(target=target, updates=state.updates + 1), metrics


@method(presets.ONE_STEP, alpha_critic=presets.PENALTY)
def rebrac(
    obs_dim: int,
    action_dim: int,
    hidden: tuple[int, ...] = ReBRAC.hidden,
    **settings: Annotated[Any, ReBRAC],
) -> ReBRAC:
    """TD3+BC with a penalty in the critic's target too (arXiv 2305.09836, sec. 3)."""
    policy = Gaussian(action_dim, hidden, norm=False, std="one")
    return ReBRAC(obs_dim, action_dim, policy, hidden=hidden, **settings)
