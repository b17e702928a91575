"""What the chunk length costs: the regret of noisy chunked critics, split by cause."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from chunkrl.tabular.chunks import chunked, logged
from chunkrl.tabular.mdp import MDP, backup, discounted_sum, optimal, policy_value
from chunkrl.tabular.propagation import entry_errors, noisy, proposals
from chunkrl.tabular.selection import best_of_n
from chunkrl.tabular.worlds import World

SETTLED = 1e-9  # a fixed point is reached when no value moves by more than this


class Critics(NamedTuple):
    """Many critics of chunks for one world: what they read, their errors, what they may pick."""

    truth: MDP  # the chunked MDP: [S, A^h, S], [S, A^h], gamma^h
    start: int
    open_loop: float  # V*(start) - V*_h(start)
    noise: np.ndarray  # [seeds, S, A^h]  N(0, 1), independent: their errors at sigma = 1
    kept: np.ndarray | None = None  # [seeds, S, A^h] bool  proposals drawn once; None: every chunk
    redrawn: tuple[np.ndarray, int] | None = None  # frequency [S, A^h] of proposals, N drawn anew


class Losses(NamedTuple):
    """What the greedy chunks of each critic cost at the start, and how far the critics lie.

    V*(start) - V(start) = open_loop + missing + picking, none of them negative.
    """

    open_loop: float  # V* - V*_h, exact: even the best chunks do not look
    missing: np.ndarray  # [seeds]  V*_h - the best of the proposed chunks
    picking: np.ndarray  # [seeds]  that - the chunks that look best to the critic
    bootstrap: np.ndarray  # [seeds]  claimed - true value of the chunks that look best

    @property
    def regret(self) -> np.ndarray:
        return self.open_loop + self.missing + self.picking


def critics(
    world: World,
    h: int,
    seeds: int,
    *,
    candidates: int | None = None,
    redrawn: bool = False,
    seed: int = 0,
) -> Critics:
    """`seeds` critics of chunks of h actions; with `candidates` N, the behaviour proposes chunks.

    N are drawn once for each cell and kept, or anew at every backup and decision (`redrawn`).
    """
    truth = chunked(world.mdp, h)
    for_noise, for_proposals = np.random.default_rng(seed).spawn(2)
    noise = entry_errors(truth, 1.0, seeds, for_noise)
    group = Critics(truth, world.start, open_loop(world, truth), noise)
    if candidates is None:
        return group
    frequency = logged(world.mdp, world.behaviour, h).frequency
    if redrawn:
        return group._replace(redrawn=(frequency, candidates))
    return group._replace(kept=proposals(frequency, candidates, seeds, for_proposals))


def open_loop(world: World, truth: MDP) -> float:
    """V*(start) - V*_h(start): what even the best chunks lose, which do not look."""
    return float((optimal(world.mdp).value - optimal(truth).value)[world.start])


def losses(group: Critics, sigmas: Sequence[float]) -> list[Losses]:
    """For each sigma the losses of every critic, its entries wrong by N(0, sigma^2)."""
    best, reachable = optimal(group.truth).value[group.start], values(group, 0.0)[1]
    return [
        Losses(group.open_loop, best - reachable, reachable - obtained, claimed - obtained)
        for claimed, obtained in (values(group, sigma) for sigma in sigmas)
    ]


def values(group: Critics, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """What the critics claim for the start, and what their chunks obtain there.  -> 2 x [seeds]"""
    error = sigma * group.noise
    if group.redrawn is not None:
        claimed, obtained = best_of_fresh(group.truth, error, *group.redrawn)
    else:
        found = noisy(group.truth, error, proposed=group.kept)
        claimed, obtained = found.value, policy_value(group.truth, found.choice)
    return claimed[:, group.start], obtained[:, group.start]


def best_of_fresh(
    mdp: MDP, error: np.ndarray, frequency: np.ndarray, candidates: int
) -> tuple[np.ndarray, np.ndarray]:
    """Claimed and true value of best-of-N whose samples are drawn anew each time.

        Q = r + error + gamma P V,    V(s) = E[max of Q(s, c_1) ... Q(s, c_N)],  c_i ~ frequency

    by policy iteration: a policy ranks the chunks, and the law of the best ranked of N samples is
    exact (`selection.best_of_n`).  [seeds, S, C], [S, C] -> 2 x [seeds, S]
    """
    wrong = mdp._replace(reward=mdp.reward + error)
    law = np.broadcast_to(frequency, wrong.reward.shape)
    value = None
    while True:
        follow = np.swapaxes(np.swapaxes(law, -3, -2) @ mdp.transition, -3, -2)
        now = discounted_sum(follow, (law * wrong.reward).sum(-1), mdp.discount)
        if value is not None and np.abs(now - value).max() <= SETTLED * (1 + np.abs(now).max()):
            true_reward = (law * mdp.reward).sum(-1)
            return now, discounted_sum(follow, true_reward, mdp.discount)
        value = now
        law = best_of_n(frequency, backup(wrong, value), candidates)


def guarantee(world: World, h: int, eps: float) -> float:
    """No critic with every error in [-eps, eps] costs more than this at the start.

    V*(s) - V(s) <= [V* - V*_h](s) + 2 eps / (1 - gamma^h)
    """
    truth = chunked(world.mdp, h)
    return open_loop(world, truth) + 2 * eps / (1 - truth.discount)
