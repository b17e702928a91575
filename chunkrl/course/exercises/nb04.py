"""Exercises of notebook 04: n-step returns along data of another policy."""

from math import comb

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, Number
from chunkrl.course.worlds import windows
from chunkrl.course.worlds.fork import RISKY, long_fork
from chunkrl.course.worlds.returns import n_step_target
from chunkrl.course.worlds.windows import MISSING
from chunkrl.tabular.chunks import n_step
from chunkrl.tabular.mdp import optimal, policy_value
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


RARE, WINDOWS = 0.1, 12  # of 04.q3: how often risky is followed up rightly, and its windows


def share_of_logs(least: int, most: int = WINDOWS) -> float:
    """How many logs of 04.q3 hold `least` to `most` right follow-ups.  Binomial."""
    counts = range(least, most + 1)
    return sum(comb(WINDOWS, k) * RARE**k * (1 - RARE) ** (WINDOWS - k) for k in counts)


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

    going [M, n] is 0 at the step that reached the goal: that step's reward counts, later ones and
    the bootstrap are the next episode's.
    """
    begun = np.ones((len(going), 1))
    counts = np.concatenate([begun, going.cumprod(1)[:, :-1]], 1)
    return one_round(Q, cell, read, counts * reward, after, going.min(1), discount)


def every_reward(Q, cell, read, reward, after, going, discount):
    return one_round(Q, cell, read, reward, after, going.min(1), discount)


def free_arrival(Q, cell, read, reward, after, going, discount):
    return one_round(Q, cell, read, going.cumprod(1) * reward, after, going.min(1), discount)


def one_reward_less(Q, cell, read, reward, after, going, discount):
    return one_round(Q, cell, read, going * reward, after, going.min(1), discount)


def step_before(Q, cell, read, reward, after, going, discount):
    begun = np.ones((len(going), 1))
    counts = np.concatenate([begun, going[:, :-1]], 1)
    return one_round(Q, cell, read, counts * reward, after, going.min(1), discount)


def streams() -> tuple[tuple, ...]:
    """Windows of 3 steps of a lock of 4 cells and, by hand, one of 2 with two goals in a row."""
    log = windows.stream(lock(4), 3)
    rng = np.random.default_rng(0)
    Q = rng.normal(-3.0, 1.0, (4, 8))
    hand = (
        np.array([[-3.0, -2.0, -1.0, -4.0], [-1.0, -2.0, -3.0, -5.0]]),
        np.array([0, 1, 1]),
        np.array([2, 3, 0]),
        np.array([[-1.0, -1.0], [-1.0, -2.0], [-1.0, -3.0]]),
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
            "V1 = -1, with d cells to go: V2 = -2.2 + 0.2 (0.8 V1 + 0.2 V3), "
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
            "The fork, where safe is worth -4 and risky -2 if followed up rightly, else -8; the "
            "data do so with f = 0.1. Risky has 12 windows. A robot takes the plain mean of w y "
            "over the 12 as its value of risky (pi always follows up rightly, y is the window's "
            "return, w = pi/beta of its follow-up) and compares it with -4. How likely is it, "
            "over logs, that the robot takes safe?"
        ),
        kind=Number(share_of_logs(3), 0.0006, "of all logs"),
        hints=(
            "What are w and y of a window that was followed up rightly, and of one that was not? "
            "Then what is the mean if K of the 12 were?",
            "w y is -2/0.1 or 0, so the mean is -20 K/12. It lies below -4 from a certain K on, "
            "and K is binomial: 12 windows, 0.1 each.",
            "from math import comb\n"
            "answer = sum(comb(12, k) * 0.1**k * 0.9 ** (12 - k) for k in range(..., 13))",
        ),
        solution=(
            "from math import comb\n"
            "below = [k for k in range(13) if -2 / 0.1 * k / 12 < -4]\n"
            "answer = sum(comb(12, k) * 0.1**k * 0.9 ** (12 - k) for k in below)"
        ),
        misconceptions=(
            Misconception(
                share_of_logs(0, 0),
                "You let it take safe where no window was followed up rightly. All weights are 0 "
                "then, and so is the mean: far above -4.",
            ),
            Misconception(
                0.0,
                "Unbiased is the mean over all logs: -2. One log of 12 windows scatters about it.",
            ),
            Misconception(
                share_of_logs(0, 7),
                "This is the uncorrected mean, of -2 and -8: it lies below -4 unless 8 of the 12 "
                "were right. Here a right window counts ten times and a wrong one not at all.",
            ),
            Misconception(share_of_logs(0, 2), "This is how likely it is to take risky. And safe?"),
            Misconception(
                share_of_logs(2),
                "Two right follow-ups say -20 * 2/12 = -3.33 of risky: still above -4.",
            ),
            Misconception(
                share_of_logs(4), "Three right follow-ups already say -20 * 3/12 = -5 of risky."
            ),
            Misconception(
                share_of_logs(3, 3),
                "This is exactly three. With more than three the mean is lower still.",
            ),
        ),
        why=(
            "A window that counts brings -20, and the sum is divided by all 12: the *more* often "
            "the log followed up rightly, the worse risky looks, and a log without a single right "
            "follow-up says 0. Over all logs the mean is -2; the scatter is what it costs. "
            "Divided by the sum of the weights it says -2 as soon as one window counts. And the "
            "uncorrected mean takes safe in all but 3 of a million logs."
        ),
    ),
    Exercise(
        id="04.bug",
        objective="You can tell a critic where an episode ends inside its window.",
        question=(
            "A log is one stream: the step behind a goal is the first of the next episode. "
            "going[m, i] is 0 where step i of window m reached the goal, else 1. "
            "Each entry has one window. This round is right at the start of the lock and wrong "
            "near the goal:\n\n"
            "    def stream_round(Q, cell, read, reward, after, going, discount):\n"
            "        n, new = reward.shape[1], Q.copy()\n"
            "        alive = going.min(1)\n"
            "        target = reward @ discount ** np.arange(n)\n"
            "        new[cell, read] = target + discount**n * alive * Q.max(-1)[after]\n"
            "        return new\n\n"
            "Repair it and answer with the function."
        ),
        kind=Function(one_round_of_stream, streams()),
        hints=(
            "Take the cell before the goal and the chunk whose first press is right. Write down "
            "its three rewards: whose are they?",
            "The step that reaches the goal is paid for, those behind it are not this episode's: "
            "reward i counts if every step *before* i went on.",
            "counts = np.ones_like(reward)\n"
            "counts[:, 1:] = np.cumprod(going, 1)...\n"
            "target = (counts * reward) @ discount ** np.arange(n)",
        ),
        solution=(
            "import numpy as np\n"
            "def answer(Q, cell, read, reward, after, going, discount):\n"
            "    n, new = reward.shape[1], Q.copy()\n"
            "    alive = going.min(1)\n"
            "    counts = np.ones_like(reward)\n"
            "    counts[:, 1:] = np.cumprod(going, 1)[:, :-1]\n"
            "    target = (counts * reward) @ discount ** np.arange(n)\n"
            "    new[cell, read] = target + discount**n * alive * Q.max(-1)[after]\n"
            "    return new"
        ),
        misconceptions=(
            Misconception(
                every_reward,
                "The bootstrap was right already: one goal inside removes it. What else of the "
                "target belongs to the next episode?",
            ),
            Misconception(
                free_arrival,
                "This drops the reward of the press that reached the goal as well. That press is "
                "paid for; the ones *behind* it are not.",
            ),
            Misconception(
                one_reward_less,
                "This drops the reward of the press that reached the goal, and keeps those behind "
                "it: it should be the other way round.",
            ),
            Misconception(
                step_before,
                "This drops one reward behind the goal. All that follow are the next episode's.",
            ),
        ),
        why=(
            "The bill of a window ends with its episode. The faulty critic makes whoever arrives "
            "early pay for the rest of the chunk, so that being 1, 2 or 3 presses away is all the "
            "same to it. From the start of this lock, four whole chunks away, that costs nothing, "
            "which hides the fault from whoever looks at one value. The published code of "
            "Q-chunking sums such rewards too (notebook 12 counts them)."
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
