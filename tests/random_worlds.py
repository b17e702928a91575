"""Worlds for tests of the exact answers: random ones, and two counterexamples."""

import numpy as np

from chunkrl.tabular.mdp import MDP, check
from chunkrl.tabular.worlds import World, probability


def random_mdp(
    rng: np.random.Generator, states: int, actions: int, discount: float, noise: float = 1.0
) -> MDP:
    """P = (1 - noise) [one next state] + noise Dirichlet(0.3),  r ~ U(0, 1).

    noise=0 is deterministic; noise=eps is eps-deterministic in the sense of DQC (Prop. 4).
    """
    probability(noise=noise)
    target = rng.integers(0, states, (states, actions))
    cloud = rng.dirichlet(np.full(states, 0.3), (states, actions))
    transition = (1 - noise) * np.eye(states)[target] + noise * cloud
    return check(MDP(transition, rng.random((states, actions)), discount))


def random_policy(rng: np.random.Generator, states: int, actions: int) -> np.ndarray:
    """A stochastic policy, each row from Dirichlet(1).  -> [S, A]"""
    return rng.dirichlet(np.ones(actions), states)


def two_step(good: float = 0.1, *, discount: float = 0.99) -> World:
    """Counterexample to n-step returns: s0 -> s1 for sure; at s1 action 0 earns 1, the other 0.

    The behaviour takes action 0 with probability `good`.  The 2-step return teaches
    Q(s0, a) = gamma * good, whatever the policy does next; the chunked one teaches
    Q(s0, (a, 0)) = gamma, and the best chunk is optimal.
    """
    probability(good=good)
    transition = np.zeros((3, 2, 3))
    transition[0, :, 1] = transition[1, :, 2] = transition[2, :, 2] = 1
    reward = np.zeros((3, 2))
    reward[1, 0] = 1
    behaviour = np.array([[0.5, 0.5], [good, 1 - good], [0.5, 0.5]])
    return World(check(MDP(transition, reward, discount)), behaviour)


def left_right(left: float = 0.5, *, discount: float = 0.99) -> World:
    """Counterexample to chunks: s0 -> L with probability `left`, else R; the expert looks first.

    Action 0 earns 1 at L, action 1 at R, and the closed-loop expert always picks the right one.
    So every logged chunk earned gamma, and the chunked critic claims gamma for (a, 0) and (a, 1)
    alike; executed without looking they earn gamma * left and gamma * (1 - left).
    """
    probability(left=left)
    transition = np.zeros((4, 2, 4))
    transition[0, :, 1], transition[0, :, 2] = left, 1 - left
    transition[1:, :, 3] = 1
    reward = np.zeros((4, 2))
    reward[1, 0] = reward[2, 1] = 1
    behaviour = np.array([[0.5, 0.5], [1, 0], [0, 1], [0.5, 0.5]])
    return World(check(MDP(transition, reward, discount)), behaviour)
