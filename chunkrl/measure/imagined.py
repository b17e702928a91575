"""Targets for the value of a state: imagined in a learned model, or made along real rollouts."""

import jax.numpy as jnp
import numpy as np

from chunkrl.errors import ConfigError
from chunkrl.measure.beliefs import Beliefs, Model
from chunkrl.measure.truth import Rollouts
from chunkrl.play.lockstep import decision_keys


def imagined(
    beliefs: Beliefs,
    obs: np.ndarray,
    depth: int,
    repeats: int,
    seed: int = 0,
    model: Model | None = None,
) -> np.ndarray:
    """Targets of H = 0 ... `depth` imagined chunks and then the learned value.

        T_H = sum_{k<H} gamma^{kh} rhat(s_k, a_k) + gamma^{Hh} V(s_H),    s_0 = obs

    [S, O] -> [H + 1, S, M].  Once the model believes the task solved, nothing is added any more.
    a_k is what the policy chooses in the imagined state s_k with the key of decision k of the same
    rollout in the simulator.  `model` replaces the agent's own; its steps must divide h.
    """
    model = model or beliefs.model
    if model is None or beliefs.chunk % model.steps:
        raise ConfigError("an imagined target needs a model whose steps divide the chunk")
    state = jnp.asarray(np.repeat(obs, repeats, axis=0))
    earned, left = jnp.zeros(len(state)), jnp.ones(len(state))
    episode, targets = np.arange(len(state), dtype=np.int32), []
    for k in range(depth + 1):
        chunks = beliefs.act(state, decision_keys(seed, episode, np.full_like(episode, k)))
        targets.append(earned + left * beliefs.value(state, chunks))
        for i in range(0, beliefs.chunk if k < depth else 0, model.steps):
            actions = chunks[:, i : i + model.steps]
            earned += left * model.reward(state, actions)
            left *= beliefs.discount**model.steps
            if model.mask is not None:
                left *= model.mask(state, actions)
            state = model.predict(state, actions)
    return np.array(targets, float).reshape(depth + 1, -1, repeats)


def realised(beliefs: Beliefs, rollouts: Rollouts, depth: int, seed: int = 0) -> np.ndarray:
    """Targets of H = 0 ... `depth` real decisions and then the learned value.  -> [H + 1, S, M]

        T_H = sum_{t<t_H} gamma^t r_t + gamma^{t_H} V(s_{t_H}),    t_H = rollouts.at[H]

    What `imagined` gives with a perfect model.  Along rollouts that begin with n logged actions,
    T_1 is the n-step target; with n = h, the chunked one.  An episode that has ended earns nothing.
    """
    if not 0 <= depth < len(rollouts.at):
        raise ConfigError(f"depth {depth}: the rollouts made {len(rollouts.at) - 1} decisions")
    *shape, horizon = rollouts.reward.shape
    discounted = rollouts.reward * beliefs.discount ** np.arange(horizon)
    episode, targets = np.arange(np.prod(shape), dtype=np.int32), []
    for k, t in enumerate(rollouts.at[: depth + 1]):
        obs = rollouts.obs[:, :, k].reshape(len(episode), -1)
        chunks = beliefs.act(obs, decision_keys(seed, episode, np.full_like(episode, k)))
        value = np.asarray(beliefs.value(obs, chunks), float).reshape(shape)
        over = rollouts.solved & (rollouts.steps <= t)
        last = np.where(over, 0.0, beliefs.discount**t * value)
        targets.append(discounted[..., :t].sum(-1) + last)
    return np.array(targets)
