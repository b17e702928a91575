"""Exercises of notebook 04: n-step returns along data of another policy."""

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, Number
from chunkrl.course.worlds.returns import importance_variance, n_step_target
from chunkrl.course.worlds.windows import MISSING
from chunkrl.tabular.chunks import n_step, n_step_limit
from chunkrl.tabular.mdp import one_hot, optimal, policy_value
from chunkrl.tabular.worlds import lock

LOCK = lock(12, slip=0.0, skill=0.8)
BEST = optimal(LOCK.mdp)
LOGGING = float(policy_value(LOCK.mdp, LOCK.behaviour)[0])


def bias(n: int) -> float:
    """What uncorrected n-step Q-learning says of the start, minus V*."""
    return float(optimal(n_step(LOCK.mdp, LOCK.behaviour, n)).value[0] - BEST.value[0])


LIMIT = float(optimal(n_step_limit(LOCK.mdp, LOCK.behaviour)).value[0])
# Of the lock that the notebook shows: 24 cells, q = 0.9.
SHOWN = lock(24, slip=0.0, skill=0.9)
SHOWN_BEST = float(optimal(SHOWN.mdp).value[0])
SHOWN_BIAS = float(optimal(n_step(SHOWN.mdp, SHOWN.behaviour, 4)).value[0]) - SHOWN_BEST
SHOWN_LIMIT = float(optimal(n_step_limit(SHOWN.mdp, SHOWN.behaviour)).value[0]) - SHOWN_BEST


def weights(n: int) -> float:
    """Variance of the product of n ratios of the greedy to the logging policy."""
    greedy = one_hot(BEST.choice, 2)
    return float(importance_variance(LOCK.mdp, greedy, LOCK.behaviour, n)[0])


IMPORTS = (
    "from chunkrl.tabular.chunks import n_step, n_step_limit\n"
    "from chunkrl.tabular.mdp import optimal\n"
    "from chunkrl.tabular.worlds import lock\n"
    "world = lock(12, slip=0.0, skill=0.8)\n"
)


def averaged(q: np.ndarray, cell: np.ndarray, read: np.ndarray, target: np.ndarray) -> np.ndarray:
    """q [S, K] with each entry replaced by the mean target [M] of its windows, if it has any."""
    found, total = np.zeros(q.shape), np.zeros(q.shape)
    np.add.at(found, (cell, read), 1)
    np.add.at(total, (cell, read), target)
    return np.divide(total, found, out=q.copy(), where=found > 0)


def one_round(q, cell, read, reward, after, alive, discount):
    """One round of fitted Q-learning: Q(s, read) = mean of sum_i gamma^i r_i + gamma^n max Q.

    q [S, K]; cell, read, after, alive [M]; reward [M, n] -> [S, K]
    """
    best = alive * q.max(-1)[after]
    return averaged(q, cell, read, n_step_target(reward, best, discount))


def goal_goes_on(q, cell, read, reward, after, alive, discount):
    return one_round(q, cell, read, reward, after, np.ones_like(alive), discount)


def one_discount(q, cell, read, reward, after, alive, discount):
    n = reward.shape[1]
    return one_round(q, cell, read, reward, after, alive * discount ** (1 - n), discount)


def last_window(q, cell, read, reward, after, alive, discount):
    new = q.copy()
    new[cell, read] = n_step_target(reward, alive * q.max(-1)[after], discount)
    return new


def small_case() -> tuple:
    """Six windows of two steps in three cells, of which the last is the goal."""
    q = np.array([[-3.0, -2.0], [-1.0, MISSING], [0.5, 0.5]])
    cell, read = np.array([0, 0, 0, 1, 1, 0]), np.array([0, 0, 1, 0, 0, 1])
    reward = np.array([[-1.0, -1], [-1, -2], [-1, -1], [-1, 0], [-1, 0], [-1, 0]])
    after, alive = np.array([0, 1, 1, 2, 2, 2]), np.array([1.0, 1, 1, 0, 0, 0])
    return q, cell, read, reward, after, alive, 0.9


EXERCISES = (
    Exercise(
        id="04.q1",
        objective="You can compute what uncorrected n-step Q-learning converges to, and its bias.",
        question=(
            "Another lock: 12 cells, no slip, logged with skill q = 0.8. What does uncorrected "
            "4-step Q-learning say of the start, minus V*?"
        ),
        kind=Number(bias(4), 0.006, "reward"),
        hints=(
            "n_step(mdp, behaviour, n) is an MDP in which one own action is followed by n - 1 "
            "logged ones. Its optimal value is the fixed point.",
            "V_n(start) - V*(start), both from optimal(...).value[0]",
            "world = lock(12, slip=0.0, skill=0.8)\n"
            "answer = optimal(n_step(...)).value[0] - optimal(...).value[0]",
        ),
        solution=(
            f"{IMPORTS}"
            "answer = optimal(n_step(world.mdp, world.behaviour, 4)).value[0]\n"
            "answer -= optimal(world.mdp).value[0]"
        ),
        misconceptions=(
            Misconception(
                -bias(4),
                "The size is right; the sign is that of the claim minus the truth. The logged "
                "mistakes cost time, so the claim is too low.",
            ),
            Misconception(
                bias(4) + float(BEST.value[0]),
                "This is the fixed point itself. How far is it from V*?",
            ),
            Misconception(
                LOGGING - float(BEST.value[0]),
                "This is V_beta - V*: what the logging policy loses when it never improves. 4-step "
                "Q-learning still chooses every fourth action itself.",
            ),
            Misconception(
                bias(5), "This is n = 5. With n = 4, one action is your own and three are logged."
            ),
            Misconception(
                SHOWN_BIAS,
                "This is the lock above, with 24 cells and q = 0.9. Here it has 12, and q = 0.8.",
            ),
        ),
        why=(
            "One action is the critic's own and three of every four are the operator's, mistakes "
            "included. The bias is larger than above although the lock is half as long, because q "
            "is "
            "smaller. Next, let n grow."
        ),
    ),
    Exercise(
        id="04.q2",
        objective="You can say what is left of Q-learning when the return grows without end.",
        question=(
            "On the lock of 04.q1, what does the bias of n-step Q-learning at the start tend to as "
            "n grows?"
        ),
        kind=Number(LIMIT - float(BEST.value[0]), 0.006, "reward"),
        hints=(
            "No bootstrap is left. Whose actions make the return, and which one may you still "
            "choose?",
            "max_a [r(s, a) + gamma V_beta(s')] - V*(s) at the start",
            "answer = optimal(n_step_limit(...)).value[0] - optimal(...).value[0]",
        ),
        solution=(
            f"{IMPORTS}"
            "answer = optimal(n_step_limit(world.mdp, world.behaviour)).value[0]\n"
            "answer -= optimal(world.mdp).value[0]"
        ),
        misconceptions=(
            Misconception(
                LOGGING - float(BEST.value[0]),
                "This is V_beta - V*. The first action is still yours: one greedy step, then the "
                "logging policy.",
            ),
            Misconception(
                LOGGING,
                "This is a value. How far is it from V*? And is it V_beta, or is the first action "
                "still yours?",
            ),
            Misconception(bias(8), "This is n = 8. The error still grows after it."),
            Misconception(
                SHOWN_LIMIT,
                "This is the lock above, with 24 cells and q = 0.9. Here it has 12, and q = 0.8.",
            ),
        ),
        why=(
            "With no bootstrap left, one greedy step is all that remains of Q-learning; the rest "
            "of the return is the operator's. The gap to V_beta - V* is what that one step is "
            "worth."
        ),
    ),
    Exercise(
        id="04.q3",
        objective="You can say what it costs to correct a return instead of biasing it.",
        question=(
            "Importance weights make the n-step return of V(s) unbiased: multiply it by the "
            "product of pi/beta over all n = 5 of its actions. pi always presses the right button, "
            "beta with q = 0.8. What is the variance of that product along the data?"
        ),
        kind=Number(weights(5), 0.006),
        hints=(
            "The product takes only two values. Which, and how often?",
            "It is q^-n with probability q^n, else 0. Variance = E[w^2] - E[w]^2.",
            "q = 0.8\nanswer = q**... - 1",
        ),
        solution="answer = 0.8**-5 - 1",
        misconceptions=(
            Misconception(
                weights(4),
                "This is right for a target of Q(s, a), whose first action is given: 4 factors. "
                "The return of V(s) has 5.",
            ),
            Misconception(
                weights(5) + 1.0,
                "This is E[w^2]. The mean of the weights is 1, and its square goes off.",
            ),
            Misconception(
                5 * weights(1),
                "Variances of factors do not add up in a product; their second moments multiply.",
            ),
            Misconception(
                weights(5) ** 0.5, "This is the standard deviation; the variance is its square."
            ),
        ),
        why=(
            "w is q^-n with probability q^n, so E[w^2] = q^-n and the variance q^-n - 1: it grows "
            "exponentially in n. At n = 20 it is 0.8^-20 - 1 = 86 already."
        ),
    ),
    Exercise(
        id="04.bug",
        objective="You can recognise an n-step target that discounts its rewards twice over.",
        question=(
            "This n-step target is wrong:\n\n"
            "    def target(rewards, value, discount):\n"
            "        n = len(rewards)\n"
            "        total = sum(discount**i * r for i, r in enumerate(rewards))\n"
            "        return discount**n * (total + value)\n\n"
            "Repair it and answer with the function."
        ),
        kind=Function(
            lambda rewards, value, discount: n_step_target(rewards, np.asarray(value), discount),
            (
                (np.array([-1.0, -1.0, -1.0, -1.0, -1.0]), -20.0, 0.99),
                (np.array([0.0, 0.0, 1.0]), 3.0, 0.5),
                (np.array([2.0]), 0.0, 0.9),
            ),
        ),
        hints=(
            "Give it one reward of 1, a value of 0 and discount 0.5. What should come out?",
            "sum_{i<n} gamma^i r_i + gamma^n V",
            "def answer(rewards, value, discount):\n    return total + ... * value",
        ),
        solution=(
            "def answer(rewards, value, discount):\n"
            "    total = sum(discount**i * r for i, r in enumerate(rewards))\n"
            "    return total + discount ** len(rewards) * value"
        ),
        misconceptions=(
            Misconception(
                lambda rewards, value, discount: (
                    discount ** len(rewards)
                    * (rewards @ discount ** np.arange(len(rewards)) + value)
                ),
                "gamma^n still multiplies the rewards, which were discounted already. It belongs "
                "to the value alone.",
            ),
            Misconception(
                lambda rewards, value, discount: (
                    rewards @ discount ** np.arange(len(rewards)) + value
                ),
                "Now the value is not discounted at all: it is n steps away.",
            ),
            Misconception(
                lambda rewards, value, discount: (
                    rewards @ discount ** np.arange(len(rewards)) + discount * value
                ),
                "The value is n steps away, not one: gamma^n.",
            ),
            Misconception(
                lambda rewards, value, discount: rewards.sum() + discount ** len(rewards) * value,
                "The value is right, but the reward of step i is to be discounted by gamma^i.",
            ),
        ),
        why=(
            "Reward i lies i steps ahead, the value n: each is discounted once. A factor of "
            "0.99^5 is only 5%, so that learning curves do not show such a bug."
        ),
    ),
    Exercise(
        id="04.write",
        objective="You can write the round of fitted Q-learning that makes both kinds of critic.",
        question=(
            "Write one_round(q, cell, read, reward, after, alive, discount): the new q, in which "
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
            "new = q.copy()\n"
            "for s, k in set(zip(cell, read)):\n"
            "    new[s, k] = target[(cell == s) & (read == k)].mean()",
        ),
        solution=(
            "import numpy as np\n"
            "def answer(q, cell, read, reward, after, alive, discount):\n"
            "    n = reward.shape[1]\n"
            "    target = reward @ discount ** np.arange(n)\n"
            "    target = target + discount**n * alive * q.max(-1)[after]\n"
            "    new = q.copy()\n"
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
