"""When a noisy critic of single actions walks back and forth on the lock instead of opening it."""

import numpy as np

from chunkrl.tabular.mdp import optimal
from chunkrl.tabular.worlds import World, right_actions


def threshold(world: World) -> np.ndarray:
    """Two errors together above which a loop through each cell promises more than finishing.  [L]

    Back and forth for ever is worth (-1 + e / 2) / (1 - gamma) if the two entries are together
    wrong by e; finishing is worth V*, the errors on the way there left out.  So e > 2 (1 + (1 -
    gamma) V*).
    """
    value = optimal(world.mdp).value[:-1]
    return 2 * (1 + (1 - world.mdp.discount) * value)


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
