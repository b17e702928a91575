"""Notebook 17: ways to act by one critic, each computed exactly on a grid of actions.

Actions are pairs of numbers, proposed by the flow that passes an obstacle left or right.  A critic
gives a score to every action of the grid; a way to act by it is the law of the action that it
takes.  No network is trained: each way is where its training would end.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from chunkrl.blocks.integrators import path
from chunkrl.course.worlds.flow_picks import WAYS
from chunkrl.course.worlds.mixtures import log_density, velocity
from chunkrl.tabular.selection import best_of_n

SIDE = np.linspace(-1.0, 1.0, 31)
TARGET = np.array([0.7, 0.5])  # the best action: in reach of the right way, and hardly in the data
CRASH, WIDTH = 3.0, 0.15  # what the obstacle costs, and how wide it is
RARE = 0.05  # share of the data that counts as rare
REACH = 2.4  # noise is looked at up to here in each direction
WAVES = 24


class World(NamedTuple):
    """What is known of every action of the grid.  [G] each, G = 31 x 31"""

    action: np.ndarray  # [G, 2]
    probability: np.ndarray  # of the data
    mean: float  # of the worth of the data's actions
    spread: float
    rare: float  # log density from which on data are rare
    surprise: np.ndarray  # nats by which it is less likely than the data's own actions on average
    latent: np.ndarray  # [Z, 2]   noise of a grid
    end: np.ndarray  # [Z]   the action to which the flow takes it


@cache
def world() -> World:
    """The data, and the exact flow's map from noise to actions."""
    action = np.stack(np.meshgrid(SIDE, SIDE, indexing="ij"), -1).reshape(-1, 2)
    log = log_density(WAYS, action)
    probability = np.exp(log) / np.exp(log).sum()
    worth = _worth(action)
    mean = probability @ worth
    order = np.argsort(log)
    rare = log[order][np.cumsum(probability[order]).searchsorted(RARE)]
    line = np.linspace(-REACH, REACH, 61)
    latent = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    ends = path(velocity(WAYS), latent, 20)[-1]
    place = np.abs(ends.clip(-1, 1)[:, :, None] - SIDE).argmin(-1)  # [Z, 2]
    return World(
        action, probability, mean, np.sqrt(probability @ (worth - mean) ** 2), rare,
        probability @ log - log, latent, place @ [len(SIDE), 1],
    )  # fmt: skip


def _worth(action: np.ndarray) -> np.ndarray:
    crash = CRASH * np.exp(-(action[..., 0] ** 2) / (2 * WIDTH**2))
    return -np.linalg.norm(action - TARGET, axis=-1) - crash


def value(action: np.ndarray) -> np.ndarray:
    """The true value, with mean 0 and spread 1 under the data.  [*B, 2] -> [*B]"""
    return (_worth(action) - world().mean) / world().spread


def unknown(action: np.ndarray) -> np.ndarray:
    """Near 0 where data are dense, 1 where there are none.  [*B, 2] -> [*B]"""
    return 1 / (1 + np.exp(log_density(WAYS, action) - world().rare))


def critic(
    critics: int, sigma: float, length: float, kept: int | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Critics that err where data are rare: Q + sigma u(a) g(a).  [*B, 2] -> [critics, *B]

    g is a smooth random function of each critic, of spread 1, that changes over `length`.  Of the
    `critics` that are drawn, the first `kept` are evaluated, or all.
    """
    rng = np.random.default_rng(0)
    wave = rng.standard_normal((critics, 2, WAVES)) / length
    phase = rng.uniform(0, 2 * np.pi, (critics, WAVES))
    wave, phase = wave[:kept], phase[:kept]

    def score(action: np.ndarray) -> np.ndarray:
        angle = np.einsum("...d,cdw->c...w", action, wave)
        angle += phase.reshape(len(phase), *(1,) * (action.ndim - 1), WAVES)
        g = np.sqrt(2 / WAVES) * np.cos(angle).sum(-1)
        return value(action) + sigma * unknown(action) * g

    return score


def gathered(target: np.ndarray) -> np.ndarray:
    """The law of an action that moved from `target`'s place to what stands there.  [*B, G]"""
    probability = world().probability
    flat = target.reshape(-1, len(probability))
    law = [np.bincount(to, probability, len(probability)) for to in flat]
    return np.array(law).reshape(target.shape)


def nearby(score: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """For each action x the number of the a of most score(a) - sum_i cost(x_i, a_i).

    One coordinate after the other, since costs add.  [*B, G], [31, 31] -> [*B, G]
    """
    n = len(SIDE)
    cost = cost.astype(np.float32)
    grid = score.reshape(*score.shape[:-1], n, n).astype(np.float32)
    inner = grid[..., None, :] - cost  # [*B, a_0, x_1, a_1]
    second = inner.argmax(-1)  # [*B, a_0, x_1]
    best = np.take_along_axis(inner, second[..., None], -1)[..., 0]
    outer = best[..., None, :, :] - cost[:, :, None]  # [*B, x_0, a_0, x_1]
    first = outer.argmax(-2)  # [*B, x_0, x_1]
    return (first * n + np.take_along_axis(second, first, -2)).reshape(score.shape)


def picked(score: np.ndarray, candidates: float) -> np.ndarray:
    """The best of N of the data's actions (Q-chunking)."""
    return best_of_n(world().probability, score, int(candidates))


def one_step(score: np.ndarray, alpha: float) -> np.ndarray:
    """argmax_a score(a) - alpha |a - x|^2 in place of each x (FQL)."""
    return gathered(nearby(score, alpha * (SIDE[:, None] - SIDE) ** 2))


def edited(score: np.ndarray, scale: float) -> np.ndarray:
    """The best within e of each x, in each number (FEdit without its entropy)."""
    far = np.abs(SIDE[:, None] - SIDE) > scale + 1e-9
    return gathered(nearby(score, np.where(far, np.inf, 0.0)))


def steered(score: np.ndarray, scale: float) -> np.ndarray:
    """The best end of the flow from noise within c in each number (DSRL without its entropy)."""
    known = world()
    allowed = np.abs(known.latent).max(-1) <= scale + 1e-9
    ends = known.end[allowed]
    best = ends[score[..., ends].argmax(-1)]
    return (np.arange(score.shape[-1]) == best[..., None]).astype(float)


def tilted(score: np.ndarray, beta: float) -> np.ndarray:
    """p(a) exp(beta score(a)) / Z, which adjoint matching aims at (QAM)."""
    log = np.log(world().probability) + beta * score
    law = np.exp(log - log.max(-1, keepdims=True))
    return law / law.sum(-1, keepdims=True)


class Way(NamedTuple):
    """A way to act by a critic: its law, its knob, and eleven settings from tight to loose."""

    law: Callable[[np.ndarray, float], np.ndarray]
    knob: str
    settings: tuple[float, ...]


DOUBLED = tuple(2.0**k for k in range(11))
WAYS_TO_ACT = {
    "best of N": Way(picked, "N", DOUBLED),
    "one step": Way(one_step, "alpha", tuple(100 / 2**k for k in range(11))),
    "edit": Way(edited, "e", tuple(k / 7.5 for k in range(11))),
    "steer the noise": Way(steered, "c", tuple(0.24 * k for k in range(11))),
    "tilt": Way(tilted, "beta", (0.0, *(0.1 * x for x in DOUBLED[:10]))),
}


class Obtained(NamedTuple):
    """What a way obtains by each critic.  [*B] each"""

    claimed: np.ndarray  # what the critic says of it
    true: np.ndarray
    surprise: np.ndarray  # nats


def obtained(way: str, score: np.ndarray, setting: float) -> Obtained:
    """Expectations under the law of what is done."""
    known, law = world(), WAYS_TO_ACT[way].law(score, setting)
    return Obtained((law * score).sum(-1), law @ value(known.action), law @ known.surprise)
