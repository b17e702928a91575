"""Monte Carlo of every estimator that `errors` treats exactly, many samples at once."""

from typing import NamedTuple

import numpy as np

from chunkrl.errors import ConfigError
from chunkrl.tabular.chunks import at_least_one, chunk_index, chunk_table
from chunkrl.tabular.mdp import MDP, absorbing


class Rollouts(NamedTuple):
    """Sampled walks of T steps."""

    state: np.ndarray  # [*B, T + 1]
    action: np.ndarray  # [*B, T]


def draw(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One index per row, with the row's probabilities.  [*B, K] -> [*B]"""
    ceiling = np.cumsum(weights, -1)
    uniform = rng.random(weights.shape[:-1]) * ceiling[..., -1]
    return (uniform[..., None] >= ceiling).sum(-1)


def rollout(
    mdp: MDP, behaviour: np.ndarray, start: np.ndarray, steps: int, rng: np.random.Generator
) -> Rollouts:
    """Walk `steps` steps from every entry of `start` [*B].

    `behaviour` [S, A] looks at every state; [S, A^h], h > 1, types a chunk blind every h steps.  In
    a learned model, or any chunked MDP, an action is a chunk.
    """
    at_least_one(steps=steps)
    if not np.allclose(mdp.transition.sum(-1), 1, rtol=0, atol=1e-9):
        raise ConfigError("cannot walk in an MDP whose rows do not sum to 1")
    actions, chunks, h = mdp.reward.shape[-1], np.shape(behaviour)[-1], 1
    while 1 < actions**h < chunks:
        h += 1
    if actions**h != chunks:
        raise ConfigError(
            f"{chunks} is not a power of {actions}: these are no chunks of its actions"
        )
    table = chunk_table(actions, h)
    state, action = [np.asarray(start)], []
    for i in range(steps):
        if i % h == 0:
            chunk = table[draw(behaviour[state[-1]], rng)]  # [*B, h]
        action.append(chunk[..., i % h])
        state.append(draw(mdp.transition[state[-1], action[-1]], rng))
    return Rollouts(np.stack(state, -1), np.stack(action, -1))


def targets(mdp: MDP, walks: Rollouts, value: np.ndarray) -> np.ndarray:
    """R^n + gamma^n V(s_{t+n}) of each walk.  -> [*B]"""
    reward = mdp.reward[walks.state[..., :-1], walks.action]
    n = walks.action.shape[-1]
    return reward @ mdp.discount ** np.arange(n) + mdp.discount**n * value[walks.state[..., -1]]


def first_chunk(walks: Rollouts, actions: int, h: int) -> np.ndarray:
    """The index of the first h actions of each walk: what a chunked critic reads.  -> [*B]"""
    return chunk_index(walks.action[..., :h], actions)


def count_model(
    mdp: MDP,
    behaviour: np.ndarray,
    transitions: int,
    seeds: int,
    rng: np.random.Generator,
    prior: float = 0.0,
) -> list[MDP]:
    """Models counted from `transitions` logged transitions each: P_m = count / total, one per seed.

    States are visited alike often (absorbing ones never), actions come from `behaviour` [S, A].  A
    pair without data is believed to stay where it is and to earn the mean logged reward; rewards of
    seen pairs are known.  A `prior` adds that many counts to every successor, P_m = (count + prior)
    / (total + S prior); the end of the episode is known all the same.
    """
    at_least_one(transitions=transitions, seeds=seeds)
    if prior < 0:
        raise ConfigError(f"prior={prior} must not be negative")
    end = absorbing(mdp)[:, None]  # [S, 1]
    visit = np.where(end, 0.0, behaviour) / max(1, (~end).sum())
    joint = (visit[..., None] * mdp.transition).ravel()
    models = []
    for counts in rng.multinomial(transitions, joint / joint.sum(), seeds):
        count = counts.reshape(mdp.transition.shape).astype(float)
        total = count.sum(-1)
        usual = (total * mdp.reward).sum() / transitions
        believed = count + np.where(end, 0.0, prior)[..., None]
        mass, still = believed.sum(-1, keepdims=True), np.eye(len(end))[:, None]
        transition = np.where(mass > 0, believed / np.where(mass > 0, mass, 1.0), still)
        reward = np.where((total == 0) & ~end, usual, mdp.reward)
        models.append(MDP(transition, reward, mdp.discount))
    return models
