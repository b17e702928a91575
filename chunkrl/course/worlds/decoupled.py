"""Critics of long chunks and players of short ones, exactly: what decoupling the two costs."""

import numpy as np

from chunkrl.errors import ConfigError
from chunkrl.tabular.chunks import chunked, logged
from chunkrl.tabular.mdp import backup, optimal, policy_value
from chunkrl.tabular.propagation import entry_errors, noisy
from chunkrl.tabular.worlds import World

SETTLED = 1e-7
RULES = ("look at each step", "whole chunks", "first action of them", "first action, DQC")


def expectile(values: np.ndarray, weight: np.ndarray, kappa: float) -> np.ndarray:
    """m with sum w |kappa - 1[x < m]| (x - m) = 0, over the last axis.  [*B, K] twice -> [*B]

    By Newton's method: a weighted mean in which what lies above counts kappa, the rest 1 - kappa.
    """
    found = (values * weight).sum(-1)
    while True:
        pull = weight * np.where(values >= found[..., None], kappa, 1 - kappa)
        moved = (pull * values).sum(-1) / pull.sum(-1)
        if np.abs(moved - found).max() < SETTLED:
            return moved
        found = moved


def distilled(
    world: World, h: int, error: np.ndarray, kappa_d: float = 0.8, kappa_b: float = 0.9
) -> np.ndarray:
    """Q of single actions, from values of chunks of h (arXiv 2512.10926, sec. 5).  -> [*B, S, A]

        Q_h = r_h + error + gamma^h P_h V     Q(s, a) = expectile kappa_d of Q_h over what follows a
        V(s) = expectile kappa_b of Q(s, a)   in the logs, both by their frequencies

    `error` [*B, S, A^h] is what each entry of Q_h is wrong by.  Raises ConfigError where the logs
    lack an action in some cell: of nothing there is no expectile.
    """
    truth, law = chunked(world.mdp, h), logged(world.mdp, world.behaviour, h).frequency
    wrong, actions = truth._replace(reward=truth.reward + error), world.mdp.reward.shape[1]
    law = law.reshape(len(law), actions, -1)
    first = law.sum(-1)
    if not first.all():
        raise ConfigError("every action must be in the logs of every cell: skill within (0, 1)")
    rest = law / first[..., None]
    value = np.zeros(wrong.reward.shape[:-1])
    while True:
        q = backup(wrong, value).reshape(*value.shape, actions, -1)
        q = expectile(q, np.broadcast_to(rest, q.shape), kappa_d)
        now = expectile(q, np.broadcast_to(first, q.shape), kappa_b)
        if np.abs(now - value).max() < SETTLED:
            return q
        value = now


def regrets(world: World, h: int, sigma: float, seeds: int) -> dict[str, np.ndarray]:
    """V* - V at the start by each of RULES, of critics wrong by N(0, sigma^2).  -> [seeds] each"""
    best, found = optimal(world.mdp).value[world.start], {}
    for rule in RULES:
        truth = chunked(world.mdp, h if rule != RULES[0] else 1)
        error = sigma * entry_errors(truth, 1.0, seeds, np.random.default_rng(0))
        if rule == RULES[3]:
            played, choice = world.mdp, distilled(world, h, error).argmax(-1)
        else:
            played, choice = truth, noisy(truth, error).choice
            if rule == RULES[2]:
                played, choice = world.mdp, choice // world.mdp.reward.shape[1] ** (h - 1)
        found[rule] = best - policy_value(played, choice)[:, world.start]
    return found


def table(world: World, h: int, sigmas: tuple[float, ...], seeds: int = 60) -> str:
    """A row for each sigma: mean regret and 2 standard errors by rule."""
    lines = [f"{'regret, h = ' + str(h):12}" + "".join(f"{rule:>22}" for rule in RULES)]
    for sigma in sigmas:
        cells = (
            f"{x.mean():.1f} ± {2 * x.std(ddof=1) / seeds**0.5:.1f}"
            for x in regrets(world, h, sigma, seeds).values()
        )
        lines.append(f"sigma {sigma:<6}" + "".join(f"{cell:>22}" for cell in cells))
    return "\n".join(lines).replace("-0.0 ±", " 0.0 ±")
