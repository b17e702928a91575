"""What a logged chunk says about the luck on the way, and logs that say less about it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from chunkrl.tabular.chunks import Logged, chunk_index, chunk_table, chunked, logged
from chunkrl.tabular.mdp import MDP, policy_value
from chunkrl.tabular.worlds import World, probability, right_actions


class Arrival(NamedTuple):
    """Where a chunk ends: what its log says, and what executing it does.  [S] each"""

    logged: np.ndarray  # P_D(s_h | s_0, chunk)
    executed: np.ndarray  # P_h(s_h | s_0, chunk)


def arrival(world: World, chunk: np.ndarray) -> Arrival:
    """The two laws of s_h after `chunk` [h] from the start: conditioning and intervening."""
    index, h = chunk_index(np.asarray(chunk), world.mdp.reward.shape[1]), len(chunk)
    data = logged(world.mdp, world.behaviour, h).mdp
    laws = (mdp.transition[world.start, index] for mdp in (data, chunked(world.mdp, h)))
    return Arrival(*laws)


def along(world: World, chunk: np.ndarray) -> Arrival:
    """The two laws of s_0 ... s_h on the way through `chunk` [h] from the start.  [h + 1, S] each

    In the log, s_i is weighted by how probable it is that the rest of the chunk follows from it:
    what was pressed later tells where the lock was before.
    """
    laws = []
    for chosen in (world.behaviour, np.ones_like(world.behaviour)):
        steps = [chosen[:, a, None] * world.mdp.transition[:, a] for a in chunk]
        before = [np.eye(len(chosen))[world.start]]
        for step in steps:
            before.append(before[-1] @ step)
        after = [np.ones(len(chosen))]
        for step in steps[::-1]:
            after.insert(0, step @ after[0])
        both = np.array(before) * np.array(after)
        laws.append(both / both.sum(-1, keepdims=True))
    return Arrival(*laws)


class NoSlip(NamedTuple):
    """Probability that none of the h right actions from the start of the lock slips."""

    logged: float  # given that they were logged
    executed: float  # when they are typed


def no_slip(world: World, h: int) -> NoSlip:
    """On the lock: P(no slip | the h right actions were logged), and (1 - p)^h.

    By Bayes' rule, with P(no slip, logged) = ((1 - p) q)^h over P_D(chunk).  Without a slip, and
    only then, h right actions end h cells on.
    """
    after = arrival(world, right_actions(len(world.behaviour) - 1)[:h])
    return NoSlip(float(after.logged[h]), float(after.executed[h]))


def claim(
    chunk: np.ndarray,
    start: int,
    value: np.ndarray,
    transition: np.ndarray,
    reward: np.ndarray,
    behaviour: np.ndarray,
    discount: float,
) -> float:
    """E_D[R^h + gamma^h V(s_h) | s_0 = start, chunk], step by step along the chunk.

    weight(s) is the probability that the first i actions were logged and led to s, earned(s) the
    discounted reward on the way, times that probability.  [h], (), [S], [S, A, S], [S, A], [S, A]
    """
    weight = (np.arange(len(value)) == start).astype(float)
    earned = np.zeros(len(value))
    for i, action in enumerate(chunk):
        now = earned + discount**i * reward[:, action] * weight
        earned = (now * behaviour[:, action]) @ transition[:, action]
        weight = (weight * behaviour[:, action]) @ transition[:, action]
    return float((earned + discount ** len(chunk) * value * weight).sum() / weight.sum())


Claim = Callable[..., float]  # with the arguments of `claim`


class Fitted(NamedTuple):
    """What a critic built on a claim ends up with, at the start."""

    claimed: float
    obtained: float  # by its greedy chunks, executed


def fit(world: World, h: int, claims: Claim, sweeps: int = 60, settled: float = 1e-6) -> Fitted:
    """V(s) = max over chunks of claims(chunk, s, V, ...), swept until nothing moves; V(end) = 0."""
    mdp, chunks = world.mdp, chunk_table(world.mdp.reward.shape[1], h)
    end = len(world.behaviour) - 1
    value, q = np.zeros(end + 1), np.zeros((end + 1, len(chunks)))
    for _ in range(sweeps):
        for cell in range(end):
            q[cell] = [
                claims(chunk, cell, value, *mdp[:2], world.behaviour, mdp.discount)
                for chunk in chunks
            ]
        before, value = value, np.append(q[:end].max(-1), 0.0)
        if np.abs(value - before).max() < settled:
            break
    obtained = policy_value(chunked(mdp, h), q.argmax(-1))
    return Fitted(float(value[world.start]), float(obtained[world.start]))


def partly_blind(mdp: MDP, behaviour: np.ndarray, h: int, share: float) -> Logged:
    """The log of `behaviour` [S, A] if a `share` of its chunks is replayed without looking.

    The chunks and their frequencies stay the same, so that given the chunk, a share of the data is
    what executing it does: P = share P_h + (1 - share) P_D, and the rewards alike.
    """
    probability(share=share)
    log, typed = logged(mdp, behaviour, h), chunked(mdp, h)
    seen = log.frequency > 0
    mixed = (share * a + (1 - share) * b for a, b in zip(typed[:2], log.mdp[:2], strict=True))
    transition, reward = mixed
    return Logged(
        MDP(
            np.where(seen[..., None], transition, log.mdp.transition),
            np.where(seen, reward, log.mdp.reward),
            typed.discount,
        ),
        log.frequency,
    )
