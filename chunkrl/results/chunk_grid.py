"""Regret of noisy chunked critics over every setting of notebook 08's sliders, computed once.

`python -m chunkrl.results.chunk_grid` writes chunk_grid.npz: minutes on two quiet cores.
"""

from functools import cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chunkrl import command
from chunkrl.results import stored
from chunkrl.tabular.chunk_length import critics, losses
from chunkrl.tabular.mdp import optimal
from chunkrl.tabular.worlds import lock

COMMAND = "python -m chunkrl.results.chunk_grid"
FILE = Path(__file__).parent / "data" / "chunk_grid.npz"

CELLS = (8, 16, 24)
SLIPS = (0.0, 0.05, 0.1, 0.15, 0.2)
CHOICES = ("2", "8", "8 redrawn", "all chunks")
SIGMAS = tuple(round(0.1 * i, 1) for i in range(11))
LONGEST = 8
SEEDS = {1: 200, 2: 200, 3: 200, 4: 100, 5: 60, 6: 30, 7: 30, 8: 30}  # long chunks scatter less
QUIET = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # the sigmas of `seeds`


class Grid(NamedTuple):
    """Axes [cells, slip, choice, h] and, where critics are noisy, [..., sigma]; float16.

    Means over `seeds` critics, with their standard errors; all in units of reward, at the start.
    """

    open_loop: np.ndarray  # [3, 5, 8]   exact
    missing: np.ndarray  # [3, 5, 4, 8]
    regret: np.ndarray  # [3, 5, 4, 8, 11]
    regret_error: np.ndarray
    bootstrap: np.ndarray
    bootstrap_error: np.ndarray
    stuck: np.ndarray  # share of critics whose chunks never open the lock


class Cell(NamedTuple):
    """One setting of the grid."""

    open_loop: float
    missing: float
    regret: float
    regret_error: float
    bootstrap: float
    bootstrap_error: float
    stuck: float


def proposing(choice: str) -> dict:
    """Keyword arguments of `critics` for one of CHOICES."""
    if choice == "all chunks":
        return {}
    number, *redrawn = choice.split()
    return {"candidates": int(number), "redrawn": bool(redrawn)}


def seeds(slip: float, choice: str, h: int, sigma: float) -> int:
    """How many critics a mean is over: more where most lose nothing, and few all the more.

    Of single actions little noise catches one critic in a hundred, at all that it can lose: of 200
    none may be caught, and their mean and standard error are 0.  So with long chunks that nothing
    disturbs: four of 7 hold 28 presses for 24 cells.  With 2 kept, what they lack outweighs it.
    """
    if choice == "2" or sigma not in QUIET:
        return SEEDS[h]
    return 10_000 if h == 1 else 1_000 if h > 4 and slip == 0 else SEEDS[h]


def cell(length: int, slip: float, choice: str, h: int, sigmas=SIGMAS) -> list[Cell]:
    """The numbers of one setting for each of `sigmas`, as the file stores them."""
    world, found = lock(length, slip), []
    best = optimal(world.mdp).value[0]
    for count, some in groupby(sigmas, lambda sigma: seeds(slip, choice, h, sigma)):
        group = critics(world, h, count, **proposing(choice))
        for part in losses(group, list(some)):
            obtained = best - part.regret
            stuck = obtained < -1 / (1 - world.mdp.discount) + 1e-6
            samples = (part.regret, part.bootstrap)
            (regret, bootstrap), (off, wide) = (
                [x.mean() for x in samples],
                [x.std(ddof=1) / np.sqrt(count) for x in samples],
            )
            lost = (part.open_loop, part.missing.mean(), regret, off)
            found.append(Cell(*map(float, (*lost, bootstrap, wide, stuck.mean()))))
    return found


def build() -> Grid:
    """Every setting; prints each length of the lock as it is done."""
    shape = (len(CELLS), len(SLIPS), len(CHOICES), LONGEST, len(SIGMAS), len(Cell._fields))
    numbers = np.zeros(shape)
    for i, length in enumerate(CELLS):
        for j, slip in enumerate(SLIPS):
            for k, choice in enumerate(CHOICES):
                for h in range(1, LONGEST + 1):
                    numbers[i, j, k, h - 1] = cell(length, slip, choice, h)
            print(f"{length} cells, slip {slip}", flush=True)
    parts = dict(zip(Cell._fields, np.moveaxis(numbers.astype(np.float16), -1, 0), strict=True))
    parts["open_loop"] = parts["open_loop"][:, :, 0, :, 0]
    parts["missing"] = parts["missing"][..., 0]
    return Grid(**parts)


@cache
def load() -> Grid:
    """The committed grid."""
    return Grid(**stored.arrays(FILE, Grid._fields, COMMAND))


def settings(choice: str, length: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Regret of every slip and sigma, and its standard error.  -> [slip and sigma, h] each"""
    at = CELLS.index(length), slice(None), CHOICES.index(choice)
    found = load().regret[at], load().regret_error[at]
    mean, error = (np.moveaxis(x, 1, -1).reshape(-1, LONGEST).astype(float) for x in found)
    return mean, error


def best_lengths(regret: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """In how many settings each h has the lowest regret.  [settings, h] each -> [h] each

    Clearly: its mean + 2 standard errors is below the mean - 2 of every other; and not told apart:
    its mean - 2 standard errors is at most the mean + 2 of the lowest.
    """
    low, least = regret - 2 * error, regret.argmin(1)[:, None]
    near = low <= np.take_along_axis(regret + 2 * error, least, 1)
    return near[near.sum(1) == 1].sum(0), near.sum(0)


def main() -> None:
    """Compute and write the grid."""
    stored.save_arrays(FILE, build()._asdict())


if __name__ == "__main__":
    command.run(main, "python -m chunkrl.results.chunk_grid")
