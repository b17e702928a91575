"""What a logged chunk says about the luck on the way, and logs that say less about it."""

from typing import NamedTuple

import numpy as np

from chunkrl.tabular.chunks import Logged, chunk_index, chunked, logged
from chunkrl.tabular.mdp import MDP
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
