"""Until random chunks succeed for the first time: computed exactly, and tried out."""

from typing import NamedTuple

import numpy as np

from chunkrl.tabular.chunks import at_least_one
from chunkrl.tabular.estimate import draw
from chunkrl.tabular.worlds import probability


class Hand(NamedTuple):
    """Who types actions without looking: what it remembers decides what it does.

    It looks at the state when a chunk begins, and not again until the next one does.
    """

    begin: np.ndarray  # [S, K]   memory at the beginning of a chunk, by what is seen then
    action: np.ndarray  # [K, A]
    then: np.ndarray  # [K, A, K]   memory after an action


def dithering(states: int, actions: int = 2) -> Hand:
    """A fresh action at every step, all as probable."""
    one = np.ones((actions, 1))
    return Hand(np.ones((states, 1)), one.T / actions, one[None])


def held(states: int, keep: float = 1.0, actions: int = 2) -> Hand:
    """One action at random, kept from step to step with probability `keep`, else another one."""
    probability(keep=keep)
    others = (1 - keep) / max(actions - 1, 1)
    kept = np.where(np.eye(actions, dtype=bool), keep, others)
    return Hand(
        np.full((states, actions), 1 / actions),
        np.eye(actions),
        np.repeat(kept[:, None], actions, axis=1),
    )


def logged(transition: np.ndarray, behaviour: np.ndarray) -> Hand:
    """Chunks out of the logs of a hand that looked at every step.  [S, A, S], [S, A]

    What was logged depends on the luck that the log had on its way, which is its memory here.
    """
    return Hand(np.eye(len(behaviour)), behaviour, transition)


def corridor(length: int, slip: float = 0.0) -> np.ndarray:
    """L cells and the goal, state L: 1 moves one cell on, 0 one back (the first cell: stays).

    With probability `slip` a step goes the other way.  -> P [L + 1, 2, L + 1]
    """
    at_least_one(length=length)
    probability(slip=slip)
    cell, transition = np.arange(length), np.zeros((length + 1, 2, length + 1))
    for action, chance in ((0, slip), (1, 1 - slip)):
        transition[cell, action, cell + 1] = chance
        transition[cell, action, np.maximum(cell - 1, 0)] += 1 - chance
    transition[length, :, length] = 1
    return transition


def _step(transition: np.ndarray, hand: Hand) -> np.ndarray:
    """One action, from (state, memory) to both, the goal (the last state) left out.

    -> [L, K, L, K]
    """
    moves = transition[:-1, :, :-1]
    return np.einsum("ka,sat,kal->sktl", hand.action, moves, hand.then)


def expected_steps(transition: np.ndarray, hand: Hand, h: int) -> float:
    """Mean number of steps from state 0 to the goal in chunks of `h`; inf if it may never come.

    E = tau + P_h E with P_h(s, s') the way to s' through one chunk that does not arrive, and
    tau(s) = sum_{i < h} P(not arrived after i steps), both from the law of state and memory.
    """
    at_least_one(h=h)
    length, memories = len(transition) - 1, hand.action.shape[0]
    step = _step(transition, hand).reshape(2 * (length * memories,))
    law = np.zeros((length, length, memories))  # from s, now at s' with memory k
    law[np.arange(length), np.arange(length)] = hand.begin[:-1]
    law, within = law.reshape(length, -1), np.zeros(length)
    for _ in range(h):
        within += law.sum(-1)
        law = law @ step
    through = law.reshape(length, length, memories).sum(-1)
    met = np.linalg.matrix_power(np.eye(length) + (through > 0), length) > 0
    leaves = 1 - through.sum(-1) > 1e-12
    if not (met @ leaves)[met[0]].all():
        return float("inf")
    seen = met[0]
    return float(np.linalg.solve(np.eye(seen.sum()) - through[np.ix_(seen, seen)], within[seen])[0])


def surviving(transition: np.ndarray, hand: Hand, h: int, steps: int) -> np.ndarray:
    """P(not arrived after t steps), t = 0 ... `steps`, from state 0.  -> [steps + 1]"""
    at_least_one(h=h, steps=steps)
    step, now = _step(transition, hand), np.zeros(hand.begin[:-1].shape)
    now[0], alive = hand.begin[0], [1.0]
    for t in range(steps):
        if t % h == 0:
            now = now.sum(-1, keepdims=True) * hand.begin[:-1]
        now = np.einsum("sk,sktl->tl", now, step)
        alive.append(float(now.sum()))
    return np.array(alive)


def walks(
    transition: np.ndarray, hand: Hand, h: int, count: int, most: int, rng: np.random.Generator
) -> np.ndarray:
    """Steps that `count` walks from state 0 take; `most` + 1 where they are not there by then."""
    goal, took = len(transition) - 1, np.full(count, most + 1)
    state, memory, left = np.zeros(count, int), np.zeros(count, int), np.arange(count)
    for t in range(most):
        if t % h == 0:
            memory = draw(hand.begin[state], rng)
        action = draw(hand.action[memory], rng)
        memory = draw(hand.then[memory, action], rng)
        state = draw(transition[state, action], rng)
        there = state == goal
        took[left[there]] = t + 1
        state, memory, left = state[~there], memory[~there], left[~there]
        if not len(left):
            break
    return took
