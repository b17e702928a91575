"""How wrong a value target is after H imagined steps: the model's share and the value's share."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from chunkrl.errors import ConfigError
from chunkrl.tabular.mdp import MDP, absorbing, chain, policy_value


class Expansion(NamedTuple):
    """Squared errors of the H-step target for H = 0 ... `longest`, in states that do not end.

    The value at its end errs by independent noise of standard deviation sigma (0 at the end of the
    episode).  Over that noise, the expected squared error is model + sigma^2 imagined.
    """

    model: np.ndarray  # [M, longest + 1, S]   with the true value at the end of each rollout
    imagined: np.ndarray  # [M, longest + 1, S]   sum over s' of (gamma^H P_m^H)(s, s')^2
    real: np.ndarray  # [longest + 1, S]   the same through the true dynamics

    def error(self, std: float) -> np.ndarray:
        """Expected squared error of the target.  -> [M, longest + 1, S]"""
        return self.model + std**2 * self.imagined

    def bootstrap(self, std: float) -> np.ndarray:
        """The same if the model were true: the share of the value alone.  -> [longest + 1, S]"""
        return std**2 * self.real


class Curve(NamedTuple):
    """Root mean square over states and models, with the standard error over models.  [H]"""

    mean: np.ndarray
    standard_error: np.ndarray


def expansion(mdp: MDP, policy: np.ndarray, models: Sequence[MDP], longest: int) -> Expansion:
    """The H-step model-expanded target, H = 0 ... `longest`, in every one of `models` at once.

        T_0 = Vhat,   T_{H+1} = r_m + gamma P_m T_H,   error T_H - V^pi

    where P_m, r_m follow `policy` [S, A] in the model and Vhat = V^pi + noise, which arrives
    multiplied by gamma^H P_m^H: its expected square needs no sampling.
    """
    if longest < 0 or not models:
        raise ConfigError(f"give at least one model and no negative length, not {longest}")
    live, truth = ~absorbing(mdp), policy_value(mdp, policy)
    chains = [chain(model, policy) for model in (mdp, *models)]
    step, earned = (np.stack(part) for part in zip(*chains, strict=True))  # [1 + M, S, S], [.., S]
    model, carried = squared_errors(step, earned, mdp.discount, truth, live, longest)
    return Expansion(model[1:], carried[1:], carried[0])


def squared_errors(
    step: np.ndarray,
    earned: np.ndarray,
    discount: float,
    truth: np.ndarray,
    live: np.ndarray,
    longest: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Of the targets with a perfect value, and of unit noise that is carried along.

    step [M, S, S], earned [M, S], truth and live [S] -> 2 x [M, H + 1, live states]
    """
    target = np.broadcast_to(truth, earned.shape)
    weight = np.broadcast_to(np.diag(live.astype(float)), step.shape)
    wrong, carried = [], []
    for steps in range(longest + 1):
        wrong.append((target - truth)[:, live] ** 2)
        carried.append(np.einsum("mij,mij->mi", weight, weight)[:, live])
        if steps < longest:
            target = earned + discount * (step @ target[..., None])[..., 0]
            weight = discount * (step @ weight)
    return np.stack(wrong, 1), np.stack(carried, 1)


def root_mean_square(squares: np.ndarray) -> Curve:
    """sqrt(E x^2) over models and states, its error se(x^2) / (2 rms).  [M, H, S] -> [H]"""
    each = squares.mean(-1)  # [M, H]
    rms = np.sqrt(each.mean(0))
    spread = each.std(0, ddof=1) if len(each) > 1 else np.zeros(len(rms))
    safe = np.where(rms > 0, rms, 1.0)
    return Curve(rms, spread / np.sqrt(len(each)) / (2 * safe))
