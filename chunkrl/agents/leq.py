"""LEQ: lower expectiles of what imagined trajectories return."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from chunkrl.agents import presets
from chunkrl.agents.gaussian_model import GaussianModel, Imaginative, Imagining, Params, State
from chunkrl.agents.method import method
from chunkrl.agents.mopo import single_steps
from chunkrl.blocks.networks import Aggregate
from chunkrl.blocks.policies import Gaussian
from chunkrl.blocks.targets import asymmetry
from chunkrl.types import ChunkBatch, Metrics


class Noise(NamedTuple):
    """All the randomness of one update."""

    critic: Imagining  # of the trajectories that the critic is fitted along
    policy: Imagining  # of those that the policy improves along


class Path(NamedTuple):
    """K imagined steps and the state they lead to; constant."""

    step: ChunkBatch  # [K, R, ...]
    seen: jax.Array  # [K + 1, R, O + G]  s_k and g
    action: jax.Array  # [K + 1, R, A]
    alive: jax.Array  # [K + 1, R]  0 once the task has been solved


@dataclass(frozen=True)
class LEQ(Imaginative):
    """Q a lower expectile of returns in a model, a = pi(s) up their gradient (LEQ).

        G_k = (Q_k + lam w_{k+1} (r_k + gamma G_{k+1})) / w_k,    w_k = 1 + lam w_{k+1}
        G_K = Q_K,   w_K = 1,   Q_k = Q(s_k, a_k, g),   k = 0 ... K

    arXiv 2407.00699; as in MAC's code, where all networks learn at once.
    """

    # Departs from MAC's code, whose lam is 1, imagined_share 0.95 and expectile 0.5, the mean: here
    # are lam and imagined_share of LEQ's own code, which tunes the expectile by task.
    model: GaussianModel
    policy: Gaussian
    expectile: float = 0.3
    lam: float = 0.95
    imagined_share: float = 0.25  # beta, of the critic's loss
    fit_imagined: bool = True  # without, as released, the critic learns from the data alone
    mixed_models: bool = False  # as released, each number of a policy's state by a model of its own
    rollout: int = 10  # K
    rollout_batch: int = 1024  # R
    tau: float = 0.005
    num_critics: int = 1
    aggregate: Aggregate = "mean"

    def noise(self, key, size: int) -> Noise:
        """The noise of one update on `size` transitions."""
        key_critic, key_policy = jax.random.split(key)
        sizes = self.rollout, min(size, self.rollout_batch)
        critic = self.model.randomness(key_critic, *sizes)
        return Noise(critic, self.model.randomness(key_policy, *sizes, self.mixed_models))

    def imagine(self, params: Params, start: ChunkBatch, noise: Imagining) -> Path:
        """What the policy meets in the model on the way to the goals of the value."""
        play = lambda seen, _: self.policy.mode(params.policy, seen)
        x = self.model.imagine(params, play, start, noise)
        last = jnp.concatenate([x.next_obs[-1], start.value_goal], axis=-1)
        seen = jnp.concatenate([x.obs, x.value_goal], axis=-1)
        alive = jnp.concatenate([jnp.ones_like(x.mask[:1]), jnp.cumprod(x.mask, axis=0)])
        action = jnp.concatenate([x.chunk, play(last, None)[None]])
        return Path(x, jnp.concatenate([seen, last[None]]), action, alive)

    def mixture(self, q, reward, alive, following, weight):
        """G_k and w_k from G_{k+1} and w_{k+1}; nothing is earned once the task is solved."""
        now, later = alive
        ahead = self.lam * weight
        earned = now * reward + later * self.discount * following
        return (q + ahead * earned) / (1 + ahead), 1 + ahead

    def returns(self, params: Params, x: Path):
        """G_k of above, k < K.  -> [K, R]"""
        q = self.q(params.critic, x.seen, x.action)

        def step(carry, at):
            carry = self.mixture(*at, *carry)
            return carry, carry[0]

        alive, start = (x.alive[:-1], x.alive[1:]), (q[-1], jnp.ones(()))
        return jax.lax.scan(step, start, (q[:-1], x.step.reward, alive), reverse=True)[1]

    def slopes(self, params: Params, x: Path, noise: Imagining):
        """dG_k / da_k through all that follows, and weights.  -> [K + 1, R, A], [K + 1, R]

        The weight is tau where G_k > Q_k, else 1 - tau, and 1/2 at the end.  Backwards in time,
        what follows is known to first order: G_{k+1} + <dG_{k+1} / ds_{k+1}, s - s_{k+1}>.
        """
        goal = x.step.value_goal[0]
        see = lambda obs: jnp.concatenate([obs, goal], axis=-1)
        q = lambda obs, action: self.q(params.critic, see(obs), action)

        def along(obs, by_state, by_action):
            """The slope by s of what has these slopes by s and by a = pi(s)."""
            pull = jax.vjp(lambda obs: self.policy.mode(params.policy, see(obs)), obs)[1]
            return by_state + pull(by_action)[0]

        def step(carry, at):
            following, slope, weight = carry
            x, alive, noise = at

            def earned(obs, action):
                next_obs = self.model.follow(params, obs, action, noise.state, noise.member)
                after = following + ((next_obs - x.next_obs) * slope).sum(axis=-1)
                reward, _ = self.model.outcome(params, see(obs), action)
                total, w = self.mixture(q(obs, action), reward, alive, after, weight)
                return total.sum(), (total, w)

            slopes, (total, w) = jax.grad(earned, (0, 1), has_aux=True)(x.obs, x.chunk)
            lean = asymmetry(total - q(x.obs, x.chunk), self.expectile)
            return (total, along(x.obs, *slopes), w), (slopes[1], lean)

        end, last = x.step.next_obs[-1], x.action[-1]
        slopes = jax.grad(lambda *at: q(*at).sum(), (0, 1))(end, last)
        start = q(end, last), along(end, *slopes), jnp.ones(())
        alive = x.alive[:-1], x.alive[1:]
        _, (found, lean) = jax.lax.scan(step, start, (x.step, alive, noise), reverse=True)
        half = jnp.full_like(lean[:1], 0.5)
        return jnp.concatenate([found, slopes[1][None]]), jnp.concatenate([lean, half])

    def critic_losses(self, params: Params, state: State, batch: ChunkBatch, x: Path) -> Metrics:
        """beta times that along imagined trajectories, 1 - beta times that at the data.

            imagined = mean c_k (|tau - 1[G_k < Q_k]| (G_k - Q_k)^2 + (Q_k - Q'_k)^2)
            td       = mean (r + gamma mask Q(s', pi(s'), g) - Q(s, a, g))^2 / 2 + (Q - Q')^2

        c_k is gamma^k, and 0 once the task is solved; Q' is the slow copy of Q.
        """
        frozen, slow = state.params, state.target_critic
        seen, next_seen = (
            jnp.concatenate([obs, batch.value_goal], axis=-1) for obs in (batch.obs, batch.next_obs)
        )
        following = self.q(frozen.critic, next_seen, self.policy.mode(frozen.policy, next_seen))
        target = batch.reward + self.discount * batch.mask * following
        at = lambda critic: self.critic.apply(critic, seen, batch.chunk)  # [E, B]
        q, held = at(params.critic), at(slow)
        td = ((q - target[None]) ** 2 / 2 + (q - held) ** 2).mean()
        critic = params.critic if self.fit_imagined else frozen.critic
        along = lambda critic: self.critic.apply(critic, x.seen[:-1], x.action[:-1])  # [E, K, R]
        q, held = along(critic), along(slow)
        error = self.returns(frozen, x)[None] - q
        lower = asymmetry(error, self.expectile) * error**2
        count = self.discount ** jnp.arange(self.rollout)[:, None] * x.alive[:-1]
        imagined = (count[None] * (lower + (q - held) ** 2)).mean()
        return {"td": (1 - self.imagined_share) * td, "imagined": self.imagined_share * imagined}

    def policy_loss(self, params: Params, frozen: Params, x: Path, noise: Imagining):
        """-sum_k mean over trajectories of weight_k <dG_k / da_k, pi(s_k, g)>.  -> []"""
        slope, weight = self.slopes(frozen, x, noise)
        action = self.policy.mode(params.policy, x.seen)
        return -(weight * (slope * action).sum(axis=-1)).mean(axis=1).sum()

    def loss(self, params: Params, state: State, batch: ChunkBatch, noise: Noise):
        """All losses, added.  -> [], metrics"""
        frozen, start = state.params, self.starts(batch)
        x = self.imagine(frozen, start, noise.critic)
        told = start._replace(value_goal=start.actor_goal)
        ahead = self.imagine(frozen, told, noise.policy)
        parts = self.model.losses(params, batch) | self.critic_losses(params, state, batch, x)
        parts["policy"] = self.policy_loss(params, frozen, ahead, noise.policy)
        total = sum(parts.values(), jnp.zeros(()))
        return total, {"loss": total, **parts}


@method(presets.MODEL_BASED)
def leq(
    expectile: float = LEQ.expectile,
    lam: float = LEQ.lam,
    imagined_share: float = LEQ.imagined_share,
    fit_imagined: bool = LEQ.fit_imagined,
    mixed_models: bool = LEQ.mixed_models,
    rollout: int = LEQ.rollout,
    rollout_batch: int = LEQ.rollout_batch,
    num_critics: int = LEQ.num_critics,
    aggregate: Aggregate = LEQ.aggregate,
    **settings: Annotated[Any, single_steps, "penalty"],
) -> LEQ:
    """Lower expectiles of returns in a model, and a policy up their slope (arXiv 2407.00699)."""
    own = {"expectile": expectile, "lam": lam, "imagined_share": imagined_share}
    own |= {"fit_imagined": fit_imagined, "mixed_models": mixed_models}
    own |= {"rollout": rollout, "rollout_batch": rollout_batch}
    own |= {"num_critics": num_critics, "aggregate": aggregate}
    return single_steps(LEQ, partial(Gaussian, std="one"), **own, **settings)
