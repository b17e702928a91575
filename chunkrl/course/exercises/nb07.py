"""Exercises of notebook 07: the best of N samples."""

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, Number
from chunkrl.tabular.selection import (
    candidates_for,
    delivered,
    divergence_bound,
    expected_maximum,
    promised,
)

SKILL, LENGTH, WANTED = 0.7, 5, 0.95
UNROUNDED = float(np.log(1 - WANTED) / np.log(1 - SKILL**LENGTH))
EACH_ALONE = float(np.ceil(np.log(1 - WANTED ** (1 / LENGTH)) / np.log(1 - SKILL)))

OVER = promised(64, 2.0) - delivered(64, 2.0)


def worth(picker: np.ndarray, judge: np.ndarray) -> np.ndarray:
    """Mean of what `judge` says of the candidate that `picker` prefers.  [B, N], [B, N] -> []"""
    return np.take_along_axis(judge, picker.argmax(-1)[:, None], -1).mean()


PICKER = np.array([[1.0, 4.0, 2.0], [0.5, -1.0, 3.0], [2.0, 1.5, -2.0], [0.0, 2.5, 1.0]])
JUDGE = np.array([[2.0, 1.0, 3.5], [1.0, 2.0, 0.5], [-1.0, 0.0, 4.0], [3.0, -0.5, 1.0]])
WIDE = np.array([[3.0, 0.0, 1.0, 2.0, -4.0], [0.0, 5.0, 6.0, -1.0, 2.0]])

EXERCISES = (
    Exercise(
        id="07.q1",
        objective="You can say how many candidates a chunk needs before the right one is there.",
        question=(
            "A behaviour takes the right action with probability 0.7, whatever came before. How "
            "many chunks of 5 actions must be drawn so that at least one is right throughout with "
            "probability at least 0.95? The smallest N."
        ),
        kind=Number(candidates_for(SKILL, LENGTH, WANTED), 1e-9, "candidates"),
        hints=(
            "How likely is one chunk right throughout? And how likely are N of them all wrong "
            "somewhere?",
            "1 - (1 - q^h)^N >= 0.95, so N >= log(0.05) / log(1 - q^h)",
            "import numpy as np\nanswer = np.ceil(np.log(...) / np.log(1 - ...))",
        ),
        solution=("import numpy as np\nanswer = np.ceil(np.log(1 - 0.95) / np.log(1 - 0.7**5))"),
        misconceptions=(
            Misconception(
                candidates_for(SKILL, 1, WANTED),
                "This is enough for a single action. All 5 actions of one chunk must be right: "
                "0.7 ** 5.",
            ),
            Misconception(
                EACH_ALONE,
                "This would do if each action had its own N candidates. A chunk is picked whole: "
                "its 5 right actions must come from one draw.",
            ),
            Misconception(
                float(np.ceil(WANTED / SKILL**LENGTH)),
                "N q^h is the expected number of right chunks. Sometimes there are two, sometimes "
                "none: what you want is the probability of at least one.",
            ),
            Misconception(
                UNROUNDED,
                "The inequality is right. A number of candidates is whole: which is the first that "
                "satisfies it?",
            ),
            Misconception(
                float(np.floor(UNROUNDED)),
                "Just short of it: with one fewer than needed the probability is below 0.95. Round "
                "up.",
            ),
            Misconception(
                float(np.ceil(np.log(1 - WANTED) / np.log(1 - (1 - SKILL) ** LENGTH))),
                "This uses 0.3 ** 5, the probability that every action is wrong. One chunk is "
                "right with probability 0.7 ** 5.",
            ),
        ),
    ),
    Exercise(
        id="07.q2",
        objective="You can say how much a noisy critic over-promises, and that N makes it worse.",
        question=(
            "64 candidates; the critic's noise has twice the spread of the true values. By how "
            "many spreads does the critic's value of its pick exceed the true value, on average?"
        ),
        kind=Number(OVER, 0.006, "spreads"),
        hints=(
            "The critic's scores are spread by sqrt(1 + sigma^2). Of what it sees in its pick, "
            "which part is true?",
            "E_N sqrt(1 + sigma^2) - E_N / sqrt(1 + sigma^2)",
            "from chunkrl.tabular.selection import delivered, promised\n"
            "answer = promised(64, ...) - ...",
        ),
        solution=(
            "from chunkrl.tabular.selection import delivered, promised\n"
            "answer = promised(64, 2.0) - delivered(64, 2.0)"
        ),
        misconceptions=(
            Misconception(
                promised(64, 2.0),
                "This is what the critic promises. Part of it is true: take off what is delivered.",
            ),
            Misconception(
                delivered(64, 2.0),
                "This is what is delivered. By how much does the promise exceed it?",
            ),
            Misconception(
                promised(64, 2.0) - expected_maximum(64),
                "This compares with the best of 64 by a perfect critic. The noisy critic picks a "
                "worse one than that.",
            ),
            Misconception(
                2 * expected_maximum(64),
                "This is the largest of 64 draws of the noise alone. The critic picks the largest "
                "sum of value and noise, and only part of that sum is noise.",
            ),
            Misconception(
                promised(64, 2.0) / delivered(64, 2.0),
                "The promise is this many times the delivery, 1 + sigma^2. What is asked is the "
                "difference.",
            ),
            Misconception(-OVER, "The size is right. The promise is above the delivery."),
        ),
    ),
    Exercise(
        id="07.q3",
        objective="You can read N as a trust region: how far from the data the pick may stray.",
        question=(
            "MAC picks the best of 32 when it acts. By at most how many nats does the pick diverge "
            "from the flow that proposes?"
        ),
        kind=Number(divergence_bound(32), 0.006, "nats"),
        hints=(
            "The formula is in the text; log is the natural one.",
            "log N - (N - 1) / N",
            "import numpy as np\nanswer = np.log(32) - ...",
        ),
        solution="import numpy as np\nanswer = np.log(32) - 31 / 32",
        misconceptions=(
            Misconception(
                float(np.log(32)),
                "This is log N: the divergence if the pick were the best for sure. Being only "
                "likely to be the best costs less, by (N - 1)/N.",
            ),
            Misconception(
                float(np.log(32) - 1),
                "Nearly: this is the limit for large N. At N = 32 the last term is 31/32.",
            ),
            Misconception(
                divergence_bound(32) / float(np.log(2)),
                "These are bits. A nat uses the natural logarithm, np.log.",
            ),
            Misconception(
                5 - 31 / 32,
                "The logarithm is to base 2 here and the other term is in nats. Use np.log.",
            ),
            Misconception(divergence_bound(8), "This is N = 8. What does N = 32 give?"),
        ),
    ),
    Exercise(
        id="07.bug",
        objective="You can recognise an evaluation that repeats the promise of the pick.",
        question=(
            "Two critics with independent errors scored the same candidates, [B, N] each. This "
            "should estimate what `picker`'s choice is truly worth, and it is far too high:\n\n"
            "    def worth(picker, judge):\n"
            "        best = picker.argmax(axis=1)\n"
            "        return picker[np.arange(len(best)), best].mean()\n\n"
            "Repair it and answer with the function."
        ),
        kind=Function(worth, ((PICKER, JUDGE), (JUDGE, PICKER), (WIDE, WIDE[:, ::-1].copy()))),
        hints=(
            "Whose error made this candidate win? Is that error also in the number that is "
            "returned?",
            "mean_b judge[b, argmax_n picker[b, n]]",
            "def answer(picker, judge):\n    best = picker.argmax(axis=1)\n    return ...",
        ),
        solution=(
            "import numpy as np\n"
            "def answer(picker, judge):\n"
            "    best = picker.argmax(axis=1)\n"
            "    return judge[np.arange(len(best)), best].mean()"
        ),
        misconceptions=(
            Misconception(
                lambda picker, judge: picker.max(1).mean(),
                "The error that made a candidate win is still in the number: this is the promise. "
                "Let the other critic say what the winner is worth.",
            ),
            Misconception(
                lambda picker, judge: judge.max(1).mean(),
                "Now the judge picks for itself, and promises. The judge must score the candidate "
                "that `picker` chose.",
            ),
            Misconception(
                lambda picker, judge: np.minimum(picker, judge).max(1).mean(),
                "The minimum of two critics lowers the promise by some amount, and nobody knows "
                "which. An independent judge needs no correction.",
            ),
            Misconception(
                lambda picker, judge: ((picker + judge) / 2).max(1).mean(),
                "The average of two critics is a better critic, but it still judges its own pick.",
            ),
            Misconception(
                lambda picker, judge: judge.mean(),
                "This is what the behaviour is worth on average: nothing was picked.",
            ),
        ),
    ),
)
