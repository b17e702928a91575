"""Exercises of notebook 04: n-step returns along data of another policy."""

from collections.abc import Callable

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, Number
from chunkrl.course.worlds import windows
from chunkrl.course.worlds.fork import RISKY, long_fork
from chunkrl.course.worlds.returns import importance_variance, n_step_target
from chunkrl.course.worlds.windows import MISSING
from chunkrl.tabular.chunks import n_step
from chunkrl.tabular.mdp import one_hot, optimal, policy_value
from chunkrl.tabular.worlds import lock

# Of 04.q1: short enough for a sheet of paper, and without a discount.
LOCK = lock(4, slip=0.0, skill=0.8, discount=1 - 1e-9)
BEST = optimal(LOCK.mdp)
LOGGING = float(policy_value(LOCK.mdp, LOCK.behaviour)[0])
FOLLOW, FOLLOWS = 0.85, 4  # of 04.q2


def bias(n: int, skill: float = 0.8) -> float:
    """What uncorrected n-step Q-learning says of the start, minus V*."""
    world = lock(4, slip=0.0, skill=skill, discount=1 - 1e-9)
    return float(optimal(n_step(world.mdp, world.behaviour, n)).value[0] - BEST.value[0])


def risky(n: int) -> float:
    """What uncorrected n-step Q-learning says of the risky action of 04.q2."""
    world = long_fork(FOLLOW, FOLLOWS)
    return float(optimal(n_step(world.mdp, world.behaviour, n)).q[0, RISKY])


WINDOWS = 200  # of one entry, in 04.q3


def windows_needed(n: int, ratios: int | None = None, bias_at: int | None = None) -> float:
    """From how many weighted n-step returns on their mean is as good as the uncorrected one's.

    V*^2 Var[w] / M = bias^2, with w the product of n - 1 ratios; 04.q3
    """
    world = lock(24, slip=0.0, skill=0.9)
    best = optimal(world.mdp)
    greedy, ratios = one_hot(best.choice, 2), n - 1 if ratios is None else ratios
    variance = importance_variance(world.mdp, greedy, world.behaviour, ratios)[0]
    found = optimal(n_step(world.mdp, world.behaviour, bias_at or n)).value[0]
    return float(best.value[0] ** 2 * variance / (found - best.value[0]) ** 2)


def dearest(needed: Callable[[int], float] = windows_needed) -> int:
    """The first n at which WINDOWS windows are too few to correct it."""
    return next(n for n in range(2, 100) if needed(n) > WINDOWS)


IMPORTS = (
    "from chunkrl.tabular.chunks import n_step\n"
    "from chunkrl.tabular.mdp import optimal\n"
    "from chunkrl.tabular.worlds import lock\n"
    "world = lock(4, slip=0.0, skill=0.8, discount=1 - 1e-9)\n"
)


def averaged(Q: np.ndarray, cell: np.ndarray, read: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Q [S, K] with each entry replaced by the mean target [M] of its windows, if it has any."""
    found, total = np.zeros(Q.shape), np.zeros(Q.shape)
    np.add.at(found, (cell, read), 1)
    np.add.at(total, (cell, read), target)
    return np.divide(total, found, out=Q.copy(), where=found > 0)


def one_round(Q, cell, read, reward, after, alive, discount):
    """One round of fitted Q-learning: Q(s, read) = mean of sum_i gamma^i r_i + gamma^n max Q.

    Q [S, K]; cell, read, after, alive [M]; reward [M, n] -> [S, K]
    """
    best = alive * Q.max(-1)[after]
    return averaged(Q, cell, read, n_step_target(reward, best, discount))


def goal_goes_on(Q, cell, read, reward, after, alive, discount):
    return one_round(Q, cell, read, reward, after, np.ones_like(alive), discount)


def one_discount(Q, cell, read, reward, after, alive, discount):
    n = reward.shape[1]
    return one_round(Q, cell, read, reward, after, alive * discount ** (1 - n), discount)


def last_window(Q, cell, read, reward, after, alive, discount):
    new = Q.copy()
    new[cell, read] = n_step_target(reward, alive * Q.max(-1)[after], discount)
    return new


def one_round_of_stream(Q, cell, read, reward, after, going, discount):
    """`one_round` for windows of a log in which the next episode follows the goal.

    going [M, n] is 0 at the step that reached the goal; one such step ends the window's episode.
    """
    return one_round(Q, cell, read, reward, after, going.min(1), discount)


def last_step(Q, cell, read, reward, after, going, discount):
    return one_round(Q, cell, read, reward, after, going[:, -1], discount)


def most_steps(Q, cell, read, reward, after, going, discount):
    return one_round(Q, cell, read, reward, after, going.mean(1), discount)


def no_goal(Q, cell, read, reward, after, going, discount):
    return one_round(Q, cell, read, reward, after, going.max(1), discount)


def streams() -> tuple[tuple, ...]:
    """Windows of 3 steps of a lock of 4 cells and, by hand, one of 2 with two goals in a row."""
    log = windows.stream(lock(4), 3)
    rng = np.random.default_rng(0)
    Q = rng.normal(-3.0, 1.0, (4, 8))
    hand = (
        np.array([[-3.0, -2.0, -1.0, -4.0], [-1.0, -2.0, -3.0, -5.0]]),
        np.array([0, 1, 1]),
        np.array([2, 3, 0]),
        np.array([[-1.0, -1.0], [-1.0, 0.0], [-1.0, -1.0]]),
        np.array([1, 0, 0]),
        np.array([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]),
        0.9,
    )
    return (Q, *log, 0.99), hand


def small_case() -> tuple:
    """Six windows of two steps in three cells, of which the last is the goal."""
    Q = np.array([[-3.0, -2.0], [-1.0, MISSING], [0.5, 0.5]])
    cell, read = np.array([0, 0, 0, 1, 1, 0]), np.array([0, 0, 1, 0, 0, 1])
    reward = np.array([[-1.0, -1], [-1, -2], [-1, -1], [-1, 0], [-1, 0], [-1, 0]])
    after, alive = np.array([0, 1, 1, 2, 2, 2]), np.array([1.0, 1, 1, 0, 0, 0])
    return Q, cell, read, reward, after, alive, 0.9


EXERCISES = (
    Exercise(
        id="04.q1",
        objective="You can compute what uncorrected n-step Q-learning converges to, and its bias.",
        question=(
            "A lock of 4 cells, no slip, no discount, logged with skill q = 0.8. What does "
            "uncorrected 3-step Q-learning say of the start, minus V*?"
        ),
        kind=Number(bias(3), 0.006, "reward"),
        hints=(
            "Press right once, then let the data press twice: four cases, two of which end in the "
            "same cell. One equation for each cell from which the goal is more than one step away.",
            "V1 = -1, with c cells to go: V2 = -2.2 + 0.2 (0.8 V1 + 0.2 V3), "
            "V3 = -3 + 0.32 V2 + 0.04 V4, V4 = -3 + 0.64 V1 + 0.32 V3 + 0.04 V4",
            "world = lock(4, slip=0.0, skill=0.8, discount=1 - 1e-9)\n"
            "answer = optimal(n_step(...)).value[0] - optimal(...).value[0]",
        ),
        solution=(
            f"{IMPORTS}"
            "answer = optimal(n_step(world.mdp, world.behaviour, 3)).value[0]\n"
            "answer -= optimal(world.mdp).value[0]"
        ),
        misconceptions=(
            Misconception(
                -bias(3),
                "The size is right; the sign is that of the claim minus the truth. The logged "
                "mistakes cost time, so the claim is too low.",
            ),
            Misconception(
                bias(3) + float(BEST.value[0]),
                "This is the fixed point itself. How far is it from V*?",
            ),
            Misconception(
                LOGGING - float(BEST.value[0]),
                "This is V_beta - V*: what the logging policy loses when it never improves. 3-step "
                "Q-learning still chooses every third action itself.",
            ),
            Misconception(
                bias(4), "This is n = 4. With n = 3, one action is your own and two are logged."
            ),
            Misconception(
                bias(2), "This is n = 2. With n = 3, one action is your own and two are logged."
            ),
            Misconception(
                bias(3, 0.9),
                "This is q = 0.9, as in the example above. Here the data are right with 0.8.",
            ),
        ),
        why=(
            "One action is the critic's own and two of every three are the operator's, mistakes "
            "included. The error feeds on itself: V3 reads V4, and V4 reads V3. Next: does the "
            "robot do anything worse for it?"
        ),
    ),
    Exercise(
        id="04.q2",
        objective="You can say when the bias changes only a number, and when what a robot does.",
        question=(
            "A longer fork: safe is worth -4; risky is worth -2 if four right follow-ups come "
            "after it, and -8 from the first wrong one on. The data follow up rightly with "
            "probability 0.85 each time. What does 3-step Q-learning, learned to its end, say of "
            "risky?"
        ),
        kind=Number(risky(3), 0.006, "reward"),
        hints=(
            "Number the actions a0 (risky) to a4. A target of three steps begins at a0 and another "
            "one at a3. Which of a1 to a4 does the critic choose itself, and which are logged?",
            "a1, a2 and a4 are logged, a3 is the critic's own: all is right with probability "
            "0.85^3.",
            "right = 0.85**...\nanswer = -2 * right - 8 * (1 - right)",
        ),
        solution="right = 0.85**3\nanswer = -2 * right - 8 * (1 - right)",
        misconceptions=(
            Misconception(
                risky(2),
                "You counted the two logged actions of one target. It bootstraps from a value that "
                "is learned with the same targets: after the critic's own a3, a4 is logged again.",
            ),
            Misconception(
                risky(5),
                "With n = 3 not all four follow-ups are logged: after three steps the critic "
                "chooses once itself.",
            ),
            Misconception(
                -2 * FOLLOW - 8 * (1 - FOLLOW),
                "This is one logged follow-up. How many of the four does 3-step Q-learning leave "
                "to the data?",
            ),
            Misconception(
                -2.0,
                "This is the truth, and what 1-step Q-learning says: every follow-up its own.",
            ),
            Misconception(-4.0, "This is safe. What does it say of risky?"),
        ),
        why=(
            "Three of the four follow-ups are the operator's, so risky looks worse than -4 and the "
            "robot takes safe: it loses 2. One target shows two foreign actions; the fixed point "
            "has them in every target on the way. With n = 2 it would be two, -3.67, and risky."
        ),
    ),
    Exercise(
        id="04.q3",
        objective="You can say what it costs to correct a return instead of biasing it.",
        question=(
            "Importance weights make an n-step return of Q(s, a) unbiased: multiply it by the "
            "product w of pi/beta over its n - 1 later actions. pi always presses right, beta with "
            "q = 0.9 (the lock of 24 cells, no slip). An entry has 200 windows. Take every return "
            "as -21.43 for the scatter of the weighted mean; of the uncorrected critic count its "
            "bias at the start alone. What is the smallest n at which the uncorrected critic has "
            "the smaller squared error?"
        ),
        kind=Number(dearest(), 1e-9, "steps"),
        hints=(
            "Compare two squared errors at each n. One is the bias of that n, squared. The other "
            "is the variance of a mean of 200 weighted returns.",
            "The second is 21.43^2 (0.9^-(n - 1) - 1) / 200. The first comes from n_step, as in "
            "the table under *Exact*: 2.06^2 at n = 2, 3.78^2 at n = 8.",
            "world = lock(24, slip=0.0, skill=0.9)\n"
            "best = optimal(world.mdp).value[0]\n"
            "for n in range(2, 30):\n"
            "    bias = optimal(n_step(world.mdp, world.behaviour, n)).value[0] - best\n"
            "    print(n, bias**2, best**2 * (...) / 200)",
        ),
        solution=(
            "from chunkrl.tabular.chunks import n_step\n"
            "from chunkrl.tabular.mdp import optimal\n"
            "from chunkrl.tabular.worlds import lock\n"
            "world = lock(24, slip=0.0, skill=0.9)\n"
            "best = optimal(world.mdp).value[0]\n"
            "for answer in range(2, 30):\n"
            "    bias = optimal(n_step(world.mdp, world.behaviour, answer)).value[0] - best\n"
            "    if best**2 * (0.9 ** -(answer - 1) - 1) / 200 > bias**2:\n"
            "        break"
        ),
        misconceptions=(
            Misconception(
                dearest(lambda n: windows_needed(n, ratios=n)),
                "Either this is the last n at which correcting still wins, or it weights n "
                "actions: the first one is given, and n - 1 are left to the data.",
            ),
            Misconception(
                dearest(lambda n: windows_needed(n, bias_at=8)),
                "This takes the bias of n = 8 at every n. It grows with n, though ever slower.",
            ),
            Misconception(
                2,
                "At n = 2 the variance of the mean is 21.43^2 (1/0.9 - 1) / 200 = 0.26, and the "
                "squared bias 4.2. Is it the weights' variance that you took, or E[w^2]? And is it "
                "divided by 200?",
            ),
        ),
        why=(
            "The bias comes to rest (4.34 at most), while the weights' variance grows by a factor "
            "of 1/q for each step, exponentially. So the windows that correcting takes go from 13 "
            "at n = 2 to 36 at n = 8 and 217 at n = 22. More windows pay off any variance, and no "
            "number of windows the bias."
        ),
    ),
    Exercise(
        id="04.bug",
        objective="You can tell a critic where an episode ends inside its window.",
        question=(
            "A log is one stream: behind a goal stands the start of the next episode, and "
            "going[m, i] is 0 where step i of window m reached the goal (rewards behind it are 0). "
            "Each entry has one window. This round is right at the start of the lock and wrong "
            "near the goal:\n\n"
            "    def stream_round(Q, cell, read, reward, after, going, discount):\n"
            "        n, new = reward.shape[1], Q.copy()\n"
            "        alive = going[:, -1]\n"
            "        target = reward @ discount ** np.arange(n)\n"
            "        new[cell, read] = target + discount**n * alive * Q.max(-1)[after]\n"
            "        return new\n\n"
            "Repair it and answer with the function."
        ),
        kind=Function(one_round_of_stream, streams()),
        hints=(
            "Take the cell before the goal and the chunk whose first press is right. Where does "
            "its window end, and from what does its target bootstrap?",
            "The goal may be reached at any step of the window: one 0 among going[m] is enough.",
            "alive = going....(1)",
        ),
        solution=(
            "import numpy as np\n"
            "def answer(Q, cell, read, reward, after, going, discount):\n"
            "    n, new = reward.shape[1], Q.copy()\n"
            "    alive = going.min(1)\n"
            "    target = reward @ discount ** np.arange(n)\n"
            "    new[cell, read] = target + discount**n * alive * Q.max(-1)[after]\n"
            "    return new"
        ),
        misconceptions=(
            Misconception(
                last_step,
                "Still the last step alone is asked. A window that reached the goal with its first "
                "press ends in the next episode, and pays for that one too.",
            ),
            Misconception(
                most_steps,
                "One goal inside ends the episode: the bootstrap goes altogether, not by a share.",
            ),
            Misconception(
                no_goal,
                "This asks whether *some* step went on. One that reached the goal is enough to "
                "end the episode.",
            ),
        ),
        why=(
            "The least of the masks decides, as in the published code of Q-chunking (notebook 12). "
            "The faulty critic dawdles: it learns to reach the goal with the last press of a "
            "chunk, since only then is the bill closed. From the start that costs nothing, which "
            "hides the fault from whoever looks at one value."
        ),
    ),
    Exercise(
        id="04.write",
        objective="You can write the round of fitted Q-learning that makes both kinds of critic.",
        question=(
            "Write one_round(Q, cell, read, reward, after, alive, discount): the new Q, in which "
            "each entry (cell, read) is the mean of the targets of its windows."
        ),
        kind=Function(one_round, (small_case(),)),
        hints=(
            "First the target of each window, all at once: its rewards, then the best entry of the "
            "cell where it ends. Then the mean of the targets that share (cell, read).",
            "y_m = sum_i gamma^i r_mi + gamma^n alive_m max_k Q(after_m, k);  Q(s, k) = mean of "
            "y_m over the windows with cell_m = s and read_m = k",
            "n = reward.shape[1]\n"
            "target = reward @ discount ** np.arange(n) + ...\n"
            "new = Q.copy()\n"
            "for s, k in set(zip(cell, read)):\n"
            "    new[s, k] = target[(cell == s) & (read == k)].mean()",
        ),
        solution=(
            "import numpy as np\n"
            "def answer(Q, cell, read, reward, after, alive, discount):\n"
            "    n = reward.shape[1]\n"
            "    target = reward @ discount ** np.arange(n)\n"
            "    target = target + discount**n * alive * Q.max(-1)[after]\n"
            "    new = Q.copy()\n"
            "    for s, k in set(zip(cell, read)):\n"
            "        new[s, k] = target[(cell == s) & (read == k)].mean()\n"
            "    return new"
        ),
        misconceptions=(
            Misconception(
                goal_goes_on,
                "A window that reached the goal has nothing after it: alive is 0 there, and the "
                "bootstrap goes with it.",
            ),
            Misconception(
                one_discount,
                "The bootstrap lies n steps ahead and is discounted by gamma^n, not by gamma.",
            ),
            Misconception(
                last_window,
                "Of several windows with the same entry the last one won. The critic learns their "
                "mean.",
            ),
        ),
        why=(
            "The targets share their rewards; the number under which each is filed decides what "
            "is averaged, and with it what the critic believes. Run the next cell, and notebook "
            "08 for the same target in a network."
        ),
    ),
)
