"""What a fixed dataset supports: a grid, two logged paths that cross, and tabular fitted Q."""

from typing import NamedTuple

import numpy as np

from chunkrl.errors import ConfigError
from chunkrl.tabular.mdp import MDP, Solution, absorbing, below_all, check, optimal, pinned

SIZE = 8
MOVES = {"up": (-1, 0), "right": (0, 1), "down": (1, 0), "left": (0, -1)}
START, CROSSING, GOAL = (0, 0), (3, 4), (SIZE - 1, SIZE - 1)


class Path(NamedTuple):
    """A logged walk: the cells passed, as state indices, and the actions between them."""

    state: np.ndarray  # [T + 1]
    action: np.ndarray  # [T]


def cell(row: int, column: int) -> int:
    """The state index of a cell of the grid."""
    return row * SIZE + column


def grid(discount: float = 0.99) -> MDP:
    """8 x 8 cells, four moves, -1 per step, walls hold, and the goal in the far corner absorbs."""
    states = SIZE * SIZE
    transition, reward = np.zeros((states, 4, states)), np.full((states, 4), -1.0)
    for state in range(states):
        row, column = divmod(state, SIZE)
        for action, (down, right) in enumerate(MOVES.values()):
            to = np.clip([row + down, column + right], 0, SIZE - 1)
            transition[state, action, cell(*to)] = 1
    goal = cell(*GOAL)
    transition[goal], reward[goal] = np.eye(states)[goal], 0
    return check(MDP(transition, reward, discount))


def walk(start: tuple[int, int], moves: str) -> Path:
    """The path of moves such as "right*4 down*3" from `start`."""
    names, here = list(MOVES), np.array(start)
    states, actions = [cell(*here)], []
    for leg in moves.split():
        name, _, times = leg.partition("*")
        for _ in range(int(times or 1)):
            here = here + MOVES[name]
            states.append(cell(*here))
            actions.append(names.index(name))
    return Path(np.array(states), np.array(actions))


def logged_paths(wiggle: int = 4) -> tuple[Path, Path]:
    """Two walks to the goal that cross once.

    The long one starts in the corner, reaches the crossing without detour, and then loses 2
    `wiggle` steps (0 to 4): 14 + 2 wiggle steps.  The short one starts two cells left of the
    crossing and goes straight to the goal: 9 steps.  Neither contains the best path from the
    corner: the first half of one and the second half of the other do, 14 steps.
    """
    if wiggle not in range(5):
        raise ConfigError(f"wiggle={wiggle} must be 0, 1, 2, 3 or 4: the grid has no more room")
    there, back = f"left*{wiggle}", f"right*{wiggle}"
    long = walk(START, f"right*4 down*4 {there} down {back} down*2 right*3")
    return long, walk((CROSSING[0], CROSSING[1] - 2), "right*5 down*4")


def count(paths: tuple[Path, ...], repeats: tuple[int, ...] = (1, 1)) -> np.ndarray:
    """How often each state-action pair was logged, path i `repeats[i]` times.  -> [64, 4]"""
    counts = np.zeros((SIZE * SIZE, len(MOVES)), int)
    for path, times in zip(paths, repeats, strict=True):
        np.add.at(counts, (path.state[:-1], path.action), times)
    return counts


def logged_return(mdp: MDP, path: Path) -> float:
    """sum_t gamma^t r_t along the path."""
    reward = mdp.reward[path.state[:-1], path.action]
    return float(reward @ mdp.discount ** np.arange(len(reward)))


def in_support(mdp: MDP, counts: np.ndarray, threshold: int = 1) -> Solution:
    """The best policy on actions logged at least `threshold` times: DP on the data graph.

    A state from which the data do not lead on has a value below all others.
    """
    known = (counts >= threshold) | absorbing(mdp)[:, None]
    return optimal(pinned(mdp, known, below_all(mdp)))


def fitted_q(
    mdp: MDP, counts: np.ndarray, unseen: float, *, threshold: int = 1, mask: bool = True
) -> Solution:
    """Fixed point of tabular fitted Q: pairs with data are backed up, the others stay at `unseen`.

    Q(s, a) = r + gamma max_a' Q(s', a') where logged.  At the goal nothing follows (mask); with
    mask=False the target bootstraps there too, from entries that are never updated.
    """
    known = counts >= threshold
    if mask:
        known = known | absorbing(mdp)[:, None]
    return optimal(pinned(mdp, known, unseen))


class Logs(NamedTuple):
    """Each logged pair once, with what followed it: the grid has no chance, so once is enough."""

    state: np.ndarray  # [M]
    action: np.ndarray  # [M]
    reward: np.ndarray  # [M]
    after: np.ndarray  # [M]   the next state
    alive: np.ndarray  # [M]   0 where the episode ended there, else 1


def logs(mdp: MDP, counts: np.ndarray) -> Logs:
    """The pairs of `counts` [S, A] that were logged, as five lists."""
    state, action = np.nonzero(counts)
    after = mdp.transition[state, action].argmax(-1)
    alive = (~absorbing(mdp)[after]).astype(float)
    return Logs(state, action, mdp.reward[state, action], after, alive)


def behaviour(q: np.ndarray, counts: np.ndarray, threshold: int = 1) -> np.ndarray:
    """Greedy in a learned table: ties go to logged actions, else to chance.  -> [S, A]"""
    best = q >= q.max(-1, keepdims=True) - 1e-9
    logged = best & (counts >= threshold)
    chosen = np.where(logged.any(-1, keepdims=True), logged, best)
    return chosen / chosen.sum(-1, keepdims=True)


def one_walk(mdp: MDP, policy: np.ndarray, steps: int, seed: int = 0, start: int = 0) -> np.ndarray:
    """The states of one walk of `policy` [S, A], up to the goal or for `steps`."""
    rng, end, states = np.random.default_rng(seed), absorbing(mdp), [start]
    while not end[states[-1]] and len(states) <= steps:
        action = rng.choice(policy.shape[1], p=policy[states[-1]])
        states.append(int(mdp.transition[states[-1], action].argmax()))
    return np.array(states)


class Greedy(NamedTuple):
    """What following the largest Q leads to."""

    path: Path  # up to the goal, the first unsupported action, or a cell seen before
    leaves: bool  # took an action without data
    claimed: float  # max_a Q(start, a)


def greedy_path(
    mdp: MDP, solution: Solution, counts: np.ndarray, *, threshold: int = 1, start: int = 0
) -> Greedy:
    """Follow the greedy action from `start`.  A tie between a logged and an unlogged action goes to
    the logged one, so the path leaves the support only for a strictly better unseen value.
    """
    known, end = counts >= threshold, absorbing(mdp)
    states, actions, leaves = [start], [], False
    while not (end[states[-1]] or leaves or states[-1] in states[:-1]):
        here = states[-1]
        close = solution.q[here] >= solution.q[here].max() - 1e-9
        best = np.flatnonzero(close & known[here])
        leaves = len(best) == 0
        action = np.flatnonzero(close)[0] if leaves else best[0]
        actions.append(action)
        states.append(mdp.transition[here, action].argmax())
    path = Path(np.array(states), np.array(actions, int))
    return Greedy(path, leaves, float(solution.q[start].max()))
