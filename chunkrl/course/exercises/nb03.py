"""Exercises of notebook 03: errors of backups along a horizon."""

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, MultipleChoice, Number
from chunkrl.course.worlds.returns import n_step_target
from chunkrl.tabular.propagation import accumulated, shortest_backup


def error_at(length: int, discount: float, error: float, backup: int) -> np.ndarray:
    return accumulated(length, discount, error, backup)


def track(target: np.ndarray, online: np.ndarray, tau: float) -> np.ndarray:
    """(1 - tau) target + tau online.  [*B], [*B] -> [*B]"""
    return (1.0 - tau) * target + tau * online


def sweep(value, reward, after, error, discount):
    """One h-step backup of every cell by a critic that errs: V(s) = max_c [sum_i gamma^i r_i +
    gamma^h V(after) + error].  value [S]; reward [S, C, h]; after, error [S, C] -> [S]
    """
    return (n_step_target(reward, value[after], discount) + error).max(-1)


def single_discount(value, reward, after, error, discount):
    h = reward.shape[-1]
    return sweep(discount ** (1 - h) * value, reward, after, error, discount)


def mean_of_chunks(value, reward, after, error, discount):
    return (n_step_target(reward, value[after], discount) + error).mean(-1)


def no_error(value, reward, after, error, discount):
    return sweep(value, reward, after, np.zeros_like(error), discount)


def own_cell(value, reward, after, error, discount):
    h = reward.shape[-1]
    ahead = reward @ discount ** np.arange(h) + discount**h * value[:, None]
    return (ahead + error).max(-1)


def luck_apart(value, reward, after, error, discount):
    return sweep(value, reward, after, np.zeros_like(error), discount) + error.max(-1)


def small_case() -> tuple:
    """Three cells, three chunks of two steps; the last cell is the goal."""
    value = np.array([-3.0, -2.0, 0.0])
    reward = np.array([[[-1.0, -9], [-1, -1], [-1, -3]], [[-1, 0], [-2, -1], [-1, -1]],
                       [[0, 0], [0, 0], [0, 0]]])  # fmt: skip
    after = np.array([[2, 1, 0], [2, 0, 1], [2, 2, 2]])
    error = np.array([[0.5, -0.3, 0.2], [-0.4, 2.0, 0.1], [0.0, 0.0, 0.0]])
    return value, reward, after, error, 0.9


BELOW_ONE = shortest_backup(100, 0.99, 0.1, limit=1.0)

EXERCISES = (
    Exercise(
        id="03.q1",
        objective=(
            "You can say how far one error per backup moves a value, for every horizon and backup "
            "length."
        ),
        question=(
            "Write answer(length, discount, error, backup): how wrong the value is `length` steps "
            "from the goal when every backup of `backup` steps adds `error`. `backup` divides "
            "`length`, and discount < 1."
        ),
        kind=Function(
            error_at,
            ((100, 0.99, 0.1, 1), (100, 0.99, 0.1, 10), (24, 0.9, 0.5, 8), (60, 0.95, -0.2, 60)),
        ),
        hints=(
            "Start at the goal. The last backup is wrong by `error`. What is the one before it "
            "wrong by?",
            "E(d) = error + gamma^h E(d - h) with E(0) = 0: a geometric series of length/backup "
            "terms with ratio gamma^h.",
            "def answer(length, discount, error, backup):\n"
            "    ratio = ...\n"
            "    return error * (1 - ...) / (1 - ...)",
        ),
        solution=(
            "def answer(length, discount, error, backup):\n"
            "    return error * (1 - discount**length) / (1 - discount**backup)"
        ),
        misconceptions=(
            Misconception(
                lambda length, discount, error, backup: (
                    error * (1 - discount**length) / (1 - discount)
                ),
                "This is the error with backups of 1 step. A longer backup bootstraps less often: "
                "the ratio of the series is discount**backup.",
            ),
            Misconception(
                lambda length, discount, error, backup: error * length / backup,
                "This adds one full error per backup. An error made h steps later arrives "
                "multiplied by discount**h.",
            ),
            Misconception(
                lambda length, discount, error, backup: error / (1 - discount**backup),
                "This is the error infinitely far from the goal. The chain has only length/backup "
                "backups.",
            ),
            Misconception(
                lambda length, discount, error, backup: (
                    error * (1 - discount ** (length // backup)) / (1 - discount)
                ),
                "The number of backups is right, but a backup of h steps shrinks what it "
                "bootstraps from by discount**h, not by discount.",
            ),
        ),
        why=(
            "The series has length/h terms and ratio gamma^h, so gamma^length is left above the "
            "line whatever h is. Next: 03.q2 turns it round and asks for h."
        ),
    ),
    Exercise(
        id="03.q2",
        objective="You can choose a backup length from an error that you can bear.",
        question=(
            "100 steps to the goal, discount 0.99, an error of 0.1 in each backup: which is the "
            "smallest backup length h that keeps the error of the value at the start below 1?"
        ),
        kind=Number(BELOW_ONE, 1e-9, "steps"),
        hints=(
            "The error falls as h grows. Try values of h with your answer to q1, or move the "
            "slider.",
            "0.1 (1 - 0.99^100) / (1 - 0.99^h) < 1",
            "answer = next(h for h in range(1, 101) if ... < 1)",
        ),
        solution=(
            "answer = next(h for h in range(1, 101) if 0.1 * (1 - 0.99**100) / (1 - 0.99**h) < 1)"
        ),
        misconceptions=(
            Misconception(
                6,
                "At h = 6 the error is still above 1: solving for h gives 6.52, and only a larger "
                "h helps.",
            ),
            Misconception(
                6.52, "Solved rightly, but a backup takes a whole number of steps: the next one up."
            ),
            Misconception(
                10,
                "This solves 0.1 * 100 / h = 1, one full error per backup; errors further away are "
                "discounted.",
            ),
            Misconception(
                11, "This solves 0.1 / (1 - 0.99^h) < 1, as if the goal were infinitely far away."
            ),
            Misconception(8, "h = 8 keeps the error below 1, but a shorter backup does so, too."),
        ),
        why=(
            "0.0634 / (1 - 0.99^h) falls below 1 at h = 6.52. Next: this h is right only as long "
            "as a backup of 7 steps is no harder to fit than one of a single step."
        ),
    ),
    Exercise(
        id="03.q3",
        objective=(
            "You can tell which part of Q-learning turns noise without a sign into optimism with "
            "one."
        ),
        question=(
            "The error of each backup is now noise with mean zero. Is the expected value of the "
            "start biased when a "
            "fixed policy is evaluated, and when each backup takes the max over actions?"
        ),
        kind=MultipleChoice(
            {
                "a": "neither",
                "b": "only with the max, upwards",
                "c": "both, upwards",
                "d": "only with the max, downwards",
            },
            "b",
        ),
        hints=(
            "Which of the two operations is linear in the errors?",
            "E[a + b] = E[a] + E[b], but E[max(a, b)] >= max(E[a], E[b]).",
            "noise = rng.normal(size=(10_000, 2))\nnoise[:, 0].mean(), noise.max(1).mean()",
        ),
        solution='answer = "b"',
        misconceptions=(
            Misconception(
                "a",
                "It averages out only through linear operations. Compare the mean of one draw "
                "with the mean of the larger of two draws.",
            ),
            Misconception(
                "c",
                "Evaluating a fixed policy is linear in the errors, so their mean of zero stays "
                "zero; only the max prefers the errors that are too high.",
            ),
            Misconception(
                "d",
                "The max chooses whichever estimate is too high, so it can only raise the expected "
                "value.",
            ),
        ),
        why=(
            "The learned value is the best of the noisy values of all policies, and one of these "
            "is the best policy, right on average. Next: how could one take the max with one set "
            "of errors and read the value with another?"
        ),
    ),
    Exercise(
        id="03.bug",
        objective="You can recognise a target network that does not lag.",
        question=(
            "With tau = 0.005 this target network is a copy of the online network after one "
            "update:\n\n"
            "    def track(target, online, tau):\n"
            "        return tau * target + (1 - tau) * online\n\n"
            "Repair it and answer with the function."
        ),
        kind=Function(
            track,
            (
                (np.zeros(3), np.ones(3), 0.005),
                (np.array([1.0, -2.0]), np.array([3.0, 5.0]), 0.2),
                (np.array([[2.0]]), np.array([[2.0]]), 0.5),
            ),
        ),
        hints=(
            "tau is small. Which of the two networks should be multiplied by something small?",
            "target <- (1 - tau) target + tau online",
            "def answer(target, online, tau):\n    return ... * target + ... * online",
        ),
        solution=("def answer(target, online, tau):\n    return (1 - tau) * target + tau * online"),
        misconceptions=(
            Misconception(
                lambda target, online, tau: tau * target + (1 - tau) * online,
                "tau and 1 - tau still stand the wrong way round: with a small tau the target "
                "jumps to the online network, and nothing holds the bootstrap still.",
            ),
            Misconception(
                lambda target, online, tau: target,
                "This target never learns: it must move a little towards the online network.",
            ),
            Misconception(
                lambda target, online, tau: target + tau * online,
                "The two weights must sum to one, or the target grows without bound even when both "
                "networks agree.",
            ),
        ),
        why=(
            "With tau = 0.005 half of the way is gone after 138 updates: a target moves on that "
            "scale, not at every step. Next: which tau would make a target that never lags?"
        ),
    ),
    Exercise(
        id="03.write",
        objective="You can write one sweep of h-step backups by a critic that errs.",
        question=(
            "Write sweep(value, reward, after, error, discount): the new value of every cell, "
            "after one backup of h steps with a maximum over its chunks."
        ),
        kind=Function(sweep, (small_case(),)),
        hints=(
            "First what each chunk of each cell is worth: its rewards, the value of the cell where "
            "it ends, its error. Then the best chunk of each cell.",
            "V(s) <- max_c [ sum_{i<h} gamma^i r_i(s, c) + gamma^h V(after(s, c)) + error(s, c) ]",
            "h = reward.shape[-1]\nq = reward @ discount ** np.arange(h) + ...\nreturn q.max(-1)",
        ),
        solution=(
            "import numpy as np\n"
            "def answer(value, reward, after, error, discount):\n"
            "    h = reward.shape[-1]\n"
            "    q = reward @ discount ** np.arange(h)\n"
            "    q = q + discount**h * value[after] + error\n"
            "    return q.max(-1)"
        ),
        misconceptions=(
            Misconception(
                single_discount,
                "The value after the chunk lies h steps ahead: it is discounted by gamma^h.",
            ),
            Misconception(
                mean_of_chunks,
                "This is the mean over the chunks: the value of choosing blindly. Q-learning takes "
                "the maximum.",
            ),
            Misconception(
                no_error,
                "The error of each entry belongs to what the maximum sees; here it is lost.",
            ),
            Misconception(
                own_cell,
                "This bootstraps from the cell where the chunk begins, not where it ends.",
            ),
            Misconception(
                luck_apart,
                "This takes the best target and the luckiest error, each by itself. One chunk has "
                "both: add first, then take the maximum.",
            ),
        ),
        why=(
            "The maximum stands after the error was added, so it picks lucky errors. Next: your "
            "sweep, repeated below, shows how long they need to add up."
        ),
    ),
)
