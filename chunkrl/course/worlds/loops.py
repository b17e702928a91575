"""When a noisy critic walks back and forth on the lock instead of opening it."""

import numpy as np

from chunkrl.tabular.chunk_length import Critics, best_of_fresh, critics
from chunkrl.tabular.chunks import chunked
from chunkrl.tabular.mdp import backup, discounted_sum, optimal, policy_value
from chunkrl.tabular.propagation import noisy
from chunkrl.tabular.selection import best_of_n
from chunkrl.tabular.worlds import World, lock, right_actions


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
    """Whether some loop of two neighbours, or of the first cell alone, pays.  [seeds, S, 2] -> bool

    `noise` is what each entry of a critic is wrong by.
    """
    least, cells = threshold(world), np.arange(noise.shape[1] - 1)
    right = right_actions(len(cells))
    on, back = noise[:, cells, right], noise[:, cells, 1 - right]
    pairs = on[:, :-1] + back[:, 1:] > least[:-1]
    return pairs.any(-1) | (2 * back[:, 0] > least[0])


def sizes(group: Critics, sigma: float) -> np.ndarray:
    """Of how many chunks the loop is that each critic's greedy chunks enter; 0: they open the lock.

    Slips are left out: they free some of the critics that loop here.  -> [seeds]
    """
    states, chunks = group.truth.reward.shape
    sure = chunked(lock(states - 1).mdp, chunks.bit_length() - 1)  # 2^h chunks
    choice = noisy(group.truth, sigma * group.noise, proposed=group.kept).choice
    follow = sure.transition.argmax(-1)[np.arange(states), choice]
    seeds, at = np.arange(len(follow)), np.full(len(follow), group.start)
    for _ in range(states):  # by then in the loop
        at = follow[seeds, at]
    inside = np.zeros(follow.shape, bool)
    for _ in range(states):
        inside[seeds, at] = True
        at = follow[seeds, at]
    return np.where(at == states - 1, 0, inside.sum(-1))


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
