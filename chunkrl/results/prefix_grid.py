"""Regret of noisy critics that may choose a chunk's length as well, computed once (notebook 08).

`python -m chunkrl.results.prefix_grid` writes prefix_grid.npz: minutes on one quiet core.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chunkrl import command
from chunkrl.results import stored
from chunkrl.results.chunk_grid import SIGMAS, SLIPS
from chunkrl.tabular.chunks import chunked, prefixes
from chunkrl.tabular.mdp import absorbing, chain, discounted_sum, optimal, policy_value
from chunkrl.tabular.propagation import noisy
from chunkrl.tabular.worlds import lock

COMMAND = "python -m chunkrl.results.prefix_grid"
FILE = Path(__file__).parent / "data" / "prefix_grid.npz"

CELLS, LONGEST, SEEDS = 16, 6, 200
MANY = 2 ** np.arange(1, LONGEST + 1)  # chunks of each length
KINDS = ("fixed", "chosen")


class Grid(NamedTuple):
    """Axes [slip, kind, h, sigma], at the start of the lock; means over SEEDS critics; float32.

    Of `chosen` any chunk of 1 to h actions may be picked in each cell, of `fixed` those of h.
    """

    regret: np.ndarray  # [5, 2, 6, 11]  V* - true value of what looks best
    regret_error: np.ndarray  # standard error
    claim: np.ndarray  # claimed - true value
    claim_error: np.ndarray
    length: np.ndarray  # actions between two looks, on average over an episode


def cell(slip: float, kind: str, h: int, sigmas=SIGMAS) -> np.ndarray:
    """The numbers of one setting for each of `sigmas`, in the order of Grid.  -> [sigmas, 5]"""
    world, rng, found = lock(CELLS, slip), np.random.default_rng(0), []
    mdp = {"fixed": chunked, "chosen": prefixes}[kind](world.mdp, h)
    length = np.full(2**h, h) if kind == "fixed" else np.repeat(range(1, h + 1), MANY[:h])
    best, over = optimal(world.mdp).value, absorbing(world.mdp)
    noise = np.where(over[:, None], 0.0, rng.standard_normal((SEEDS, *mdp.reward.shape)))
    for sigma in sigmas:
        claimed, _, choice = noisy(mdp, sigma * noise)
        true, (follow, _) = policy_value(mdp, choice), chain(mdp, choice)
        # Both discounted, so that an episode that never ends has a mean as well.
        looks, acted = (
            discounted_sum(follow, np.where(over, 0.0, x), mdp.discount)
            for x in (np.ones(choice.shape), length[choice])
        )
        regret, claim = (x[:, world.start] for x in (best - true, claimed - true))
        size = (acted / np.maximum(looks, 1.0))[:, world.start]
        error = lambda x: x.std(ddof=1) / SEEDS**0.5
        found.append([regret.mean(), error(regret), claim.mean(), error(claim), size.mean()])
    return np.array(found)


def build() -> Grid:
    """Every setting."""
    numbers = [
        [[cell(slip, kind, h) for h in range(1, LONGEST + 1)] for kind in KINDS] for slip in SLIPS
    ]
    return Grid(*np.moveaxis(np.float32(numbers), -1, 0))


@cache
def load() -> Grid:
    """The committed grid."""
    return Grid(**stored.arrays(FILE, Grid._fields, COMMAND))


def main() -> None:
    """Compute and write the grid."""
    stored.save_arrays(FILE, build()._asdict())


if __name__ == "__main__":
    command.run(main, COMMAND)
