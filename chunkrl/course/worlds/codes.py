"""Notebooks 04 and 08: how far what chunks lose depends on the lock's code."""

import numpy as np

from chunkrl.results.chunk_grid import LONGEST, SEEDS, proposing
from chunkrl.tabular.chunk_length import critics, guarantee, losses
from chunkrl.tabular.chunks import chunked, logged
from chunkrl.tabular.mdp import optimal, policy_value
from chunkrl.tabular.worlds import lock, right_actions

CELLS, CODES = 24, 20  # the first code is that of every other table
LENGTHS = range(1, LONGEST + 1)
MANY = 100  # critics of a code at most; fewer where SEEDS has fewer


def code(secret: int = 0) -> str:
    """The right buttons of the lock, cell by cell."""
    return "".join(map(str, right_actions(CELLS, secret)))


def open_loop(slip: float) -> np.ndarray:
    """V* - V*_h at the start, exact.  -> [CODES, LONGEST]"""
    worlds = [lock(CELLS, slip, secret=secret) for secret in range(CODES)]
    return np.array([[guarantee(world, h, 0.0) for h in LENGTHS] for world in worlds])


def regrets(slip: float, sigmas: tuple[float, ...], choice: str) -> np.ndarray:
    """Mean regret of critics, other ones for each code.  -> [sigmas, CODES, LONGEST]"""
    found = np.zeros((len(sigmas), CODES, LONGEST))
    for secret in range(CODES):
        world = lock(CELLS, slip, secret=secret)
        for h in LENGTHS:
            group = critics(world, h, min(SEEDS[h], MANY), seed=secret, **proposing(choice))
            each = losses(group, sigmas)
            found[:, secret, h - 1] = [part.regret.mean() for part in each]
    return found


def spread(values: np.ndarray) -> str:
    """The mean over codes, the least and the largest."""
    return f"{values.mean():4.1f} ({values.min():.1f} to {values.max():.1f})"


def line(regret: np.ndarray) -> str:
    """On how many codes each h has the lowest mean, and what 1, that h, 5 and 8 lose."""
    best = regret.argmin(1)
    counts = np.bincount(best, minlength=LONGEST)
    which = ", ".join(f"{h}: {n}" for h, n in zip(LENGTHS, counts.tolist(), strict=True) if n)
    losing = (regret[:, 0], regret.min(1), regret[:, 4], regret[:, -1])
    return f"{which:17}" + "".join(f"{spread(x):>21}" for x in losing)


def table(slip: float, settings: dict[str, tuple[float, ...]]) -> str:
    """A row for each proposal and sigma of `settings`."""
    names = ("lost at h = 1", "at the lowest", "at h = 5", "at h = 8")
    head = "proposals, sigma  lowest: codes".ljust(34) + "".join(f"{name:>21}" for name in names)
    told = "mean over codes (least to most); at h = 1 only their critics differ"
    lines = [f"slip {slip}, {CODES} codes: {told}", head]
    for choice, sigmas in settings.items():
        for sigma, regret in zip(sigmas, regrets(slip, sigmas, choice), strict=True):
            lines.append(f"{choice.replace('redrawn', 'anew'):>10}, {sigma}   {line(regret)}")
    return "\n".join(lines)


def lucky(slip: float, h: int) -> np.ndarray:
    """What chunks lose that look best to a critic of logs in which the operator looked.  [CODES]"""
    lost = []
    for secret in range(CODES):
        world = lock(CELLS, slip, secret=secret)
        picked = optimal(logged(world.mdp, world.behaviour, h).mdp).choice
        obtained = policy_value(chunked(world.mdp, h), picked)
        lost.append((optimal(world.mdp).value - obtained)[world.start])
    return np.array(lost)
