"""Measurements of one policy: true values, and what the agent and its targets say instead."""

from collections.abc import Sequence

import numpy as np

from chunkrl.envs.ogbench import sim_state as states
from chunkrl.errors import ConfigError
from chunkrl.measure.beliefs import Beliefs, Model
from chunkrl.measure.imagined import imagined, realised
from chunkrl.measure.record import Backups, Values
from chunkrl.measure.truth import Rollouts, Simulator
from chunkrl.play.lockstep import decision_keys


def measure_values(
    beliefs: Beliefs,
    simulator: Simulator,
    logged: states.Logged,
    repeats: int,
    depth: int,
    models: Sequence[Model] = (),
    seed: int = 0,
) -> Values:
    """Play the agent's chunks open loop from `logged` states, and imagine the same.

    The agent's own model comes first, then `models`; without any, `target` is empty.
    """
    if simulator.ends != beliefs.ends:
        raise ConfigError(
            f"the agent learned that a solved task {'ends' if beliefs.ends else 'goes on'}: give "
            f"the simulator ends={beliefs.ends}"
        )
    rollouts = simulator.play(beliefs.act, logged, repeats, beliefs.chunk, seed=seed)
    models = [*([beliefs.model] if beliefs.model else []), *models]
    targets = [imagined(beliefs, logged.obs, depth, repeats, seed, model) for model in models]
    return Values(
        truth=rollouts.value(beliefs.discount),
        excess=rollouts.truncation(beliefs.discount),
        solved=solved(rollouts),
        critic=at_chosen(beliefs, logged.obs, repeats, seed),
        real=realised(beliefs, rollouts, depth, seed),
        target=np.array(targets).reshape(-1, depth + 1, len(logged.row), repeats),
    )


def measure_backups(
    beliefs: Beliefs,
    simulator: Simulator,
    logged: states.Logged,
    repeats: int,
    backups: Sequence[int],
    seed: int = 0,
) -> Backups:
    """Play n logged actions, then the policy, for every n of `backups`.

    With n = h the truth is Q(s, the logged chunk), and the target the chunked backup; with n > h,
    the truth of n - that of h is what the actions after the first h cost: the off-policy part.
    """
    truth, target = [], []
    for n in backups:
        rollouts = simulator.play(beliefs.act, logged, repeats, beliefs.chunk, n, seed)
        truth.append(rollouts.value(beliefs.discount))
        target.append(realised(beliefs, rollouts, 1, seed)[1])
    critic = beliefs.critic(logged.obs, logged.action[:, : beliefs.chunk])
    return Backups(np.array(truth), np.array(target), np.asarray(critic, float))


def at_chosen(beliefs: Beliefs, obs: np.ndarray, repeats: int, seed: int = 0) -> np.ndarray:
    """Q(s, a) at the chunk a that each rollout began with.  [S, O] -> [S, M]"""
    number = np.arange(len(obs) * repeats, dtype=np.int32)
    obs = np.repeat(obs, repeats, axis=0)
    chunks = beliefs.act(obs, decision_keys(seed, number, np.zeros_like(number)))
    return np.asarray(beliefs.critic(obs, chunks), float).reshape(-1, repeats)


def solved(rollouts: Rollouts) -> np.ndarray:
    """Whether a step of the rollout began in a solved state: its reward was 0.  -> [S, M]"""
    executed = np.arange(rollouts.reward.shape[-1]) < rollouts.steps[..., None]
    return ((rollouts.reward == 0) & executed).any(-1)
