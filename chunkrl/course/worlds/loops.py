"""When a noisy critic walks back and forth on the lock instead of opening it."""

from typing import NamedTuple

import numpy as np

from chunkrl.tabular.chunk_length import best_of_fresh, critics, losses
from chunkrl.tabular.chunks import chunked
from chunkrl.tabular.mdp import backup, discounted_sum, optimal, policy_value
from chunkrl.tabular.propagation import noisy
from chunkrl.tabular.selection import best_of_n
from chunkrl.tabular.worlds import World, lock


def threshold(world: World, h: int = 1) -> np.ndarray:
    """Two errors together above which a loop through each cell promises more than finishing.  [L]

    A chunk of h costs (1 - gamma^h) / (1 - gamma).  Two that lead back and forth for ever are worth
    -1 / (1 - gamma) + e / (2 (1 - gamma^h)) if their entries are together wrong by e; finishing is
    worth V*_h, the errors on the way there left out.  So e > 2 (1 - gamma^h) (1 / (1 - gamma) +
    V*_h).
    """
    mdp = chunked(world.mdp, h)
    value = optimal(mdp).value[:-1]
    return 2 * (1 - mdp.discount) * (1 / (1 - world.mdp.discount) + value)


def caught(world: World, regret: np.ndarray) -> np.ndarray:
    """Whether nothing that costs this much ever opens the lock: a step costs 1 for ever.

    Regrets of files are rounded to two digits.
    """
    never = optimal(world.mdp).value[world.start] + 1 / (1 - world.mdp.discount)
    return regret > never - 0.01


def paying(world: World, noise: np.ndarray) -> np.ndarray:
    """Whether two chunks that lead back and forth, or one that stays, pay if nothing slips.

    One that ends where it began counts twice.  `noise` is what each entry of a critic is wrong by.
    [seeds, S, 2^h] -> [seeds] bool
    """
    cells, h = np.arange(noise.shape[1] - 1), noise.shape[2].bit_length() - 1
    leads = chunked(lock(len(cells)).mdp, h).transition[cells][:, :, cells] > 0.5  # [L, 2^h, L]
    largest = np.full((len(noise), len(cells), len(cells)), -np.inf)
    for cell, chunk, at in zip(*leads.nonzero(), strict=True):
        largest[:, cell, at] = np.maximum(largest[:, cell, at], noise[:, cell, chunk])
    return (largest + largest.mT > threshold(world, h)[:, None]).any((1, 2))


class Count(NamedTuple):
    """Noisy critics that are caught in loops, and those that a rule names."""

    caught: int
    cost: float  # what they add to the mean regret
    regret: float  # mean of all
    hits: int  # named and caught
    alarms: int  # named, not caught


def count(world: World, h: int, sigma: float, seeds: int) -> Count:
    """Of `seeds` critics of chunks of `h`; the rule is `paying`."""
    group = critics(world, h, seeds)
    (part,) = losses(group, [sigma])
    lost = caught(world, part.regret)
    named = paying(world, sigma * group.noise)
    return Count(
        int(lost.sum()), float((part.regret * lost).mean()), float(part.regret.mean()),
        int((named & lost).sum()), int((named & ~lost).sum()),
    )  # fmt: skip


def fresh_in(world: World, h: int, seeds: int, sigma: float, candidates: int) -> np.ndarray:
    """Regret of best-of-N whose proposals are kept or drawn anew, in backups and in decisions.

    -> [2, 2, seeds]: backups from kept proposals, then from fresh ones; of each the decisions from
    kept ones, then from fresh ones.  The critics' errors and kept proposals are those of `critics`.
    """
    kept = critics(world, h, seeds, candidates=candidates)
    group = critics(world, h, seeds, candidates=candidates, redrawn=True)
    assert kept.kept is not None
    assert group.redrawn is not None
    mdp, error = kept.truth, sigma * kept.noise
    wrong, (frequency, _) = mdp._replace(reward=mdp.reward + error), group.redrawn
    claimed = (
        noisy(mdp, error, proposed=kept.kept).value,
        best_of_fresh(mdp, error, frequency, candidates)[0],
    )
    found = []
    for value in claimed:
        q = backup(wrong, value)
        best = np.where(kept.kept, q, -np.inf).argmax(-1)
        law = best_of_n(frequency, q, candidates)
        follow = np.swapaxes(np.swapaxes(law, -3, -2) @ mdp.transition, -3, -2)
        fresh = discounted_sum(follow, (law * mdp.reward).sum(-1), mdp.discount)
        found.append([policy_value(mdp, best)[:, world.start], fresh[:, world.start]])
    return optimal(world.mdp).value[world.start] - np.array(found)
