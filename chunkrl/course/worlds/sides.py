"""A hidden side, kept or drawn again: exact laws of where a robot goes that must pass a board.

The operator means right with probability b, keeps the side, and moves s_t a + sigma w_t sideways in
each step (s_t = +-1, w_t normal) while going ahead at constant speed.  A policy that cannot see the
side draws it: once for each chunk of h actions.  All single actions then have the law of the data,
whatever h is; sums of actions have not.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit, ndtr

from chunkrl.tabular.chunks import at_least_one

STEPS = 10  # from the start to the board
AHEAD = SIDEWAYS = 0.1  # m in each step
HALF_WIDTH = 0.75  # m: the board spans [-0.75, 0.75]; who keeps a side arrives at 1 m


class World(NamedTuple):
    """What the operator does; everything that the data depend on."""

    balance: float = 0.5  # b: probability that the hidden side is right
    noise: float = 0.02  # sigma [m]: of each sideways step

    @property
    def mean(self) -> float:
        """Of a sideways step: a (2 b - 1) [m]."""
        return SIDEWAYS * (2 * self.balance - 1)

    @property
    def std(self) -> float:
        """Of a sideways step: sqrt(4 b (1 - b) a^2 + sigma^2) [m]."""
        return float(
            np.hypot(SIDEWAYS * 2 * np.sqrt(self.balance * (1 - self.balance)), self.noise)
        )


class Mixture(NamedTuple):
    """Normals of one width: sum_k weight_k N(mean_k, std^2); std 0 is a law of points."""

    weight: np.ndarray  # [K]
    mean: np.ndarray  # [K]
    std: float

    @property
    def spread(self) -> float:
        """The standard deviation of the mixture."""
        centre = self.weight @ self.mean
        return float(np.sqrt(self.weight @ (self.mean - centre) ** 2 + self.std**2))

    def below(self, x: np.ndarray | float) -> np.ndarray:
        """P(X < x).  [*B] -> [*B]"""
        gap = np.asarray(x, float)[..., None] - self.mean
        if self.std == 0:
            return (gap > 0) @ self.weight
        return ndtr(gap / self.std) @ self.weight

    def expect(self, f) -> float:
        """E f(X) for a smooth f, by Gauss-Hermite quadrature with 60 nodes."""
        node, weight = np.polynomial.hermite_e.hermegauss(60)
        values = f(self.mean[:, None] + self.std * node)  # [K, 60]
        return float(self.weight @ (values @ (weight / weight.sum())))


def no_switch(balance: float, draws: int) -> float:
    """Chance that `draws` independent draws of the side agree: b^n + (1 - b)^n.

    With b = 1/2 it is 2^{-(n-1)}: how often a policy that draws in every step keeps its side.
    """
    at_least_one(draws=draws)
    return balance**draws + (1 - balance) ** draws


def held(h: int, start: int, stop: int) -> list[int]:
    """How many of the steps start, ..., stop - 1 each draw lasts, with draws at multiples of h."""
    at_least_one(h=h)
    edges = [start, *range(start - start % h + h, stop, h), stop]
    return [int(n) for n in np.diff(edges)]


def net_steps(lengths: list[int], balance: float) -> np.ndarray:
    """The law of sum_j s_j n_j, steps to the right minus steps to the left.  -> [2 sum n + 1]

    Entry sum n + k is the probability of k.
    """
    law = np.ones(1)
    for n in lengths:
        wider = np.zeros(len(law) + 2 * n)
        wider[: len(law)] += (1 - balance) * law
        wider[2 * n :] += balance * law
        law = wider
    return law


def displacement(world: World, h: int, start: int = 0, stop: int = STEPS) -> Mixture:
    """Sideways way from step `start` to `stop` of a policy that draws the side every h steps [m].

    The operator is h = infinity: any h >= stop.
    """
    law = net_steps(held(h, start, stop), world.balance)
    reach = stop - start
    return Mixture(
        law, SIDEWAYS * np.arange(-reach, reach + 1), world.noise * float(np.sqrt(reach))
    )


def gaussian_displacement(world: World, start: int = 0, stop: int = STEPS) -> Mixture:
    """The same for a Gaussian fitted to single steps: n steps are N(n mean, n std^2)."""
    n = stop - start
    return Mixture(np.ones(1), np.array([n * world.mean]), float(np.sqrt(n)) * world.std)


def collision(where: Mixture, half_width: float = HALF_WIDTH) -> float:
    """P(-w < X < w): the sideways position at the board is not beside it."""
    return float(where.below(half_width) - where.below(-half_width))


def mean_path_collides(world: World, half_width: float = HALF_WIDTH) -> bool:
    """Whether a robot that executes the mean of the data in each step runs into the board."""
    return abs(STEPS * world.mean) < half_width


def coherency(ways: list[Mixture], every: int) -> float:
    """The expected temporal coherency of runs whose sideways ways between samples are `ways` [m].

    mean_i E sqrt(dx_i^2 + (every AHEAD)^2)
    """
    ahead = every * AHEAD
    return float(np.mean([way.expect(lambda dx: np.hypot(dx, ahead)) for way in ways]))


def coverage(places: list[Mixture], cell: float, runs: int) -> float:
    """How many cells of width `cell` hold one of `runs` independent positions, a row per place.

    sum over rows and cells of 1 - (1 - P(cell))^runs; cell edges are at whole multiples of `cell`.
    """
    total = 0.0
    for place in places:
        reach = float(np.abs(place.mean).max()) + 9 * place.std + cell
        edges = cell * np.arange(-np.ceil(reach / cell), np.ceil(reach / cell) + 1)
        inside = np.diff(place.below(edges)).clip(0, 1)
        total += float((1 - (1 - inside) ** runs).sum())
    return total


def sample(
    world: World, h: int, runs: int, steps: int, rng: np.random.Generator, memory: int = 0
) -> np.ndarray:
    """Sideways steps of a policy that draws the side every h steps [m].  -> [runs, steps]

    The draw is from P(side | the last `memory` steps): each tells 2 s a x / sigma^2 in log odds.
    With memory of every step this is the law of the data, as it is with h >= steps.
    """
    luck, jitter = rng.random((runs, steps)), rng.standard_normal((runs, steps))
    moves = world.noise * jitter
    prior = logit(world.balance)
    for start in range(0, steps, h):
        seen = moves[:, max(0, start - memory) : start].sum(1)
        told = 2 * SIDEWAYS * seen / max(world.noise, 1e-3) ** 2  # finite also without noise
        right = luck[:, start] < expit(prior + told)
        moves[:, start : start + h] += SIDEWAYS * (2 * right[:, None] - 1)
    return moves


def sample_gaussian(world: World, runs: int, steps: int, rng: np.random.Generator) -> np.ndarray:
    """Sideways steps of a Gaussian with the mean and spread of the data [m].  -> [runs, steps]"""
    return world.mean + world.std * rng.standard_normal((runs, steps))


def sample_seeing(
    world: World, runs: int, rng: np.random.Generator, gaussian: bool = False
) -> np.ndarray:
    """Sideways steps of a policy that sees its sideways position and remembers nothing [m].

    -> [runs, STEPS].  Every run starts at 0, so the position is the sum of all steps and tells
    2 a x / sigma^2 in log odds.  `gaussian`: a step has the mean and spread of the data there, not
    their two modes.
    """
    x, moves = np.zeros(runs), np.zeros((runs, STEPS))
    for step in range(STEPS):
        right = expit(logit(world.balance) + 2 * SIDEWAYS * x / max(world.noise, 1e-3) ** 2)
        side = 2.0 * (rng.random(runs) < right) - 1
        if gaussian:
            side = 2 * right - 1 + 2 * np.sqrt(right * (1 - right)) * rng.standard_normal(runs)
        moves[:, step] = SIDEWAYS * side + world.noise * rng.standard_normal(runs)
        x += moves[:, step]
    return moves


def passes(world: World) -> dict[int, float]:
    """How the runs that pass have drawn, side by side: {draws that agree: share of them}.

    Each of STEPS steps draws its own side, and the noise helps or hinders.
    """
    law, std = net_steps([1] * STEPS, world.balance), world.noise * float(np.sqrt(STEPS))
    found: dict[int, float] = {}
    for net in range(-STEPS, STEPS + 1, 2):
        here = Mixture(np.ones(1), np.array([SIDEWAYS * net]), std)
        agree = (STEPS + abs(net)) // 2
        got = float(law[STEPS + net] * (1 - collision(here)))
        found[agree] = found.get(agree, 0.0) + got
    total = sum(found.values())
    return {agree: got / total for agree, got in sorted(found.items())}
