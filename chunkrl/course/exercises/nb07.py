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


LIMIT = 2.0  # nats
LARGEST = max(n for n in range(1, 100) if divergence_bound(n) <= LIMIT)


def best_of(propose, critic, n):
    """The candidate of the highest score in every round.

    propose: n -> [n, B, D]; critic: [..., D] -> [...].  -> [B, D]
    """
    candidates = propose(n)
    best = critic(candidates).argmax(0)  # [B]
    return candidates[best, np.arange(len(best))]


def one_for_all(propose, critic, n):
    candidates = propose(n)
    return candidates[critic(candidates).mean(1).argmax()]


def lowest(propose, critic, n):
    return best_of(propose, lambda actions: -critic(actions), n)


def blended(propose, critic, n):
    candidates = propose(n)
    score = critic(candidates)
    weight = np.exp(score - score.max(0))
    return (weight[..., None] * candidates).sum(0) / weight.sum(0)[:, None]


def number_by_number(propose, critic, n):
    return propose(n).max(0)


def first(propose, critic, n):
    return propose(n)[0]


def made_up(n: int) -> np.ndarray:
    """n candidates in each of 3 rounds, two numbers each.  -> [n, 3, 2]"""
    return np.random.default_rng(1).standard_normal((7, 3, 2))[:n]


def likes(actions: np.ndarray) -> np.ndarray:
    return actions[..., 0] - actions[..., 1] ** 2


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
                10,
                "Ten chunks hold a right one with probability 1 - (1 - 0.168)^10 = 0.84. At which "
                "N does this reach 0.95?",
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
        why=(
            "All 17 chunks miss with probability (1 - 0.168)^17 = 0.044; a chunk is right as a "
            "whole or not at all. Next: set q = 0.9 and h = 5 and see how little skill it takes "
            "to need few."
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
        why=(
            "Of the promise 5.28 only a fifth, 1 / (1 + sigma^2), is true, so 4.19 is not there. "
            "Next: this excess becomes the target of the next update if the critic trains on its "
            "own picks."
        ),
    ),
    Exercise(
        id="07.q3",
        objective="You can choose N as a trust region: how far from the data the pick may stray.",
        question=(
            "A robot's picks may diverge from the policy that proposes by at most 2 nats, whatever "
            "the critic says. Which is the largest N that is sure to keep to it?"
        ),
        kind=Number(LARGEST, 1e-9, "candidates"),
        hints=(
            "The bound grows with N. Try some, or let a loop do it.",
            "the largest N with log N - (N - 1) / N <= 2; log is the natural one",
            "from math import log\nanswer = max(N for N in range(1, 100) if ... <= 2)",
        ),
        solution=(
            "from math import log\n"
            "answer = max(N for N in range(1, 100) if log(N) - (N - 1) / N <= 2)"
        ),
        misconceptions=(
            Misconception(
                float(np.floor(np.exp(LIMIT))),
                "This holds log N to 2. The pick is only likely to be the best, which costs less, "
                "by (N - 1)/N; or did you take the logarithm to base 2?",
            ),
            Misconception(
                float(np.floor(np.exp(LIMIT + 1))),
                "Nearly: log N - 1 is the limit for large N. At N = 20 the last term is 19/20, and "
                "the bound 2.05.",
            ),
            Misconception(
                max(n for n in range(1, 100) if np.log10(n) - (n - 1) / n <= LIMIT),
                "This is beyond any doubt too large: a nat uses the natural logarithm, np.log.",
            ),
            Misconception(8, "At N = 8 the bound is 1.20 nats: there is room left up to 2."),
        ),
        why=(
            "At 19 the bound is 2.00 from below, at 20 it is 2.05, and it holds whatever the "
            "critic says. Next: ask whether 2 nats away from your data is a place where you trust "
            "your critic."
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
        why=(
            "The error that made a candidate win is in the picker's number and not in the "
            "judge's, if the two err independently. Next: ask how independent two critics are "
            "that learned from the same data."
        ),
    ),
    Exercise(
        id="07.write",
        objective="You can write the best of N, which acts without a gradient.",
        question=(
            "Write best_of(propose, critic, n): draw n candidates for every round, let the critic "
            "score them, and return the winner of each round."
        ),
        kind=Function(best_of, ((made_up, likes, 7), (made_up, likes, 2), (made_up, likes, 1))),
        hints=(
            "Which axis counts the candidates, and which the rounds? The winner differs from "
            "round to round.",
            "candidates[n*, b] with n* = argmax_n critic(candidates)[n, b], for every round b",
            "candidates = propose(n)\n"
            "best = critic(candidates).argmax(axis=...)\n"
            "return candidates[best, np.arange(...)]",
        ),
        solution=(
            "import numpy as np\n"
            "def answer(propose, critic, n):\n"
            "    candidates = propose(n)\n"
            "    best = critic(candidates).argmax(axis=0)\n"
            "    return candidates[best, np.arange(len(best))]"
        ),
        misconceptions=(
            Misconception(
                one_for_all,
                "One index wins in all rounds here. Each round has candidates of its own, and a "
                "winner of its own: argmax over the first axis.",
            ),
            Misconception(
                lowest, "This picks the worst by the critic. A value is not a cost: argmax."
            ),
            Misconception(
                blended,
                "This averages the candidates by how good they look. A blend of two ways past a "
                "post hits the post: return one that was proposed.",
            ),
            Misconception(
                number_by_number,
                "This takes the largest of each number of the actions. Nobody proposed such an "
                "action; a candidate is picked whole, by its score.",
            ),
            Misconception(
                first, "This is one draw: nothing was picked. Score all n, keep the best."
            ),
        ),
        why=(
            "One argmax over candidates, one per round: no gradient enters, and every action "
            "comes from the policy that proposes. Next: with a smooth critic the promise is "
            "nearer to the truth; the section on the flow says why."
        ),
    ),
)
