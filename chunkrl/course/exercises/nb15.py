"""Exercises of notebook 15: what few seeds, a tuning budget and a second change do to a table."""

from collections.abc import Callable
from itertools import combinations, product
from typing import Any

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, MultipleChoice, Number
from chunkrl.course.worlds.seeds import flip_probability

AHEAD, BEHIND = (44, 18, 34), (30, 28, 22)  # successes in 50 episodes, q1
BETTER, WORSE = 0.8, 0.5  # success of two alphas, q2


def _judged(a, b, seeds, judge, draw: Callable[..., Any] = combinations):
    """The mean of `judge(sums of b, sums of a)` over all pairs of draws."""
    ours, theirs = ([sum(chosen) for chosen in draw(x, seeds)] for x in (a, b))
    return float(np.mean(judge(*np.meshgrid(theirs, ours))))


def _half(x, y):
    return (x > y) + 0.5 * (x == y)


def _strict(a, b, seeds):
    return _judged(a, b, seeds, np.greater)


def _ties_whole(a, b, seeds):
    return _judged(a, b, seeds, np.greater_equal)


def _kept(a, b, seeds):
    return 1.0 - flip_probability(a, b, seeds)


def _put_back(a, b, seeds):
    return _judged(a, b, seeds, _half, lambda x, k: product(x, repeat=k))


def fresh_score(tried: np.ndarray, fresh: np.ndarray) -> float:
    """Mean success, on fresh seeds, of the alpha that was best on those tried.  [K, S], [K, T]"""
    return float(fresh[tried.mean(1).argmax()].mean())


RNG = np.random.default_rng(15)
TABLES = tuple(tuple(RNG.integers(0, 51, (4, seeds)) / 50 for seeds in (2, 5)) for _ in range(3))

EXERCISES = (
    Exercise(
        id="15.q1",
        objective="You can say how often a table of few seeds shows the opposite of many.",
        question=(
            f"A has {AHEAD[0]}, {AHEAD[1]} and {AHEAD[2]} successes of 50 with its three seeds, B "
            f"{BEHIND[0]}, {BEHIND[1]} and {BEHIND[2]}. A paper shows two of the three seeds of "
            "each, none twice, any two as probable. With what probability does it rank B before "
            "A, where a tie counts half? Two decimals."
        ),
        kind=Number(flip_probability(AHEAD, BEHIND, 2), 0.005),
        hints=(
            "List the three sums of two for A, and the three for B.",
            "(pairs of sums with B ahead + half of the ties) / 9",
            "answer = (... + 0.5 * ...) / 9",
        ),
        solution="answer = (1 + 0.5 * 1) / 9",
        misconceptions=(
            Misconception(_strict(AHEAD, BEHIND, 2), "A tie counts half: 52 against 52 is one."),
            Misconception(
                _ties_whole(AHEAD, BEHIND, 2), "A tie counts half, not whole: 52 against 52."
            ),
            Misconception(
                flip_probability(AHEAD, BEHIND, 1), "That is for one seed of each. Sum two."
            ),
            Misconception(
                _kept(AHEAD, BEHIND, 2), "That is how often the ranking stays. Take 1 minus it."
            ),
            Misconception(
                _put_back(AHEAD, BEHIND, 2), "There a seed may be shown twice. Here none is."
            ),
        ),
        why=(
            "Of nine papers one is wrong and one undecided, though all nine saw two thirds of the "
            "seeds. Next: with three of three the answer is 0 by construction, which says nothing "
            "about three *new* seeds."
        ),
    ),
    Exercise(
        id="15.write",
        objective="You can compute how far a ranking depends on which seeds were shown.",
        question=(
            "Write flip_probability(a, b, seeds). a and b hold the successes of each seed; a is "
            "ahead over all of them. A paper shows so many seeds of a and as many of b, none twice "
            "and all choices as probable: how probable is it that those of b have the larger sum? "
            "A tie counts half."
        ),
        kind=Function(
            flip_probability,
            (
                ([25, 45, 40], [30, 35, 20], 1),
                ([25, 45, 40], [30, 35, 20], 2),
                ([44, 18, 34, 50, 21], [30, 28, 22, 41, 33], 3),
                ([10, 40, 30, 20], [5, 45, 20, 25], 2),
                ([7, 9], [7, 8], 2),
                ([44, 18, 34, 29], [30, 28, 22], 2),
            ),
        ),
        hints=(
            "itertools.combinations(a, seeds) gives the subsets. How many pairs of them are there?",
            "mean over subsets A of a, B of b, of 1 if sum B > sum A, 1/2 if equal, else 0",
            "from itertools import combinations\n"
            "def answer(a, b, seeds):\n"
            "    ours = [sum(x) for x in combinations(a, seeds)]\n"
            "    theirs = ...\n"
            "    flips = [(y > x) + ... for x in ours for y in theirs]\n"
            "    return sum(flips) / len(flips)",
        ),
        solution=(
            "from itertools import combinations\n"
            "def answer(a, b, seeds):\n"
            "    ours = [sum(x) for x in combinations(a, seeds)]\n"
            "    theirs = [sum(y) for y in combinations(b, seeds)]\n"
            "    flips = [(y > x) + 0.5 * (y == x) for x in ours for y in theirs]\n"
            "    return sum(flips) / len(flips)"
        ),
        misconceptions=(
            Misconception(_strict, "A tie counts half, and you count it not at all."),
            Misconception(_ties_whole, "A tie counts half, and you count it whole."),
            Misconception(_kept, "That is how often the ranking stays as it is."),
            Misconception(
                _put_back, "Your papers may show a seed twice. Subsets, combinations, do not."
            ),
            Misconception(
                lambda a, b, seeds: flip_probability(a, b, 1),
                "Your papers show one seed of each, whatever number is asked for.",
            ),
        ),
        why=(
            "No normal distribution and no simulation: with ten seeds there are 252 subsets of "
            "five, and all 63,504 pairs are counted. Next: the explorer does it for new seeds, "
            "which may come twice."
        ),
    ),
    Exercise(
        id="15.q2",
        objective="You can say what tuning with few evaluations is worth.",
        question=(
            f"Two agents succeed in {BETTER:.0%} and in {WORSE:.0%} of all episodes. You let each "
            "play one episode and keep the one with more successes, by lot if they are equal. In "
            "what share of all episodes does the kept agent succeed, on average? Three decimals."
        ),
        kind=Number(0.695, 0.002),
        hints=(
            "First: with what probability is the better one kept? Four cases.",
            "P(kept) = P(1, 0) + (P(1, 1) + P(0, 0)) / 2, then average the two rates with it",
            "p = 0.8 * 0.5 + (0.8 * 0.5 + ...) / 2\nanswer = p * 0.8 + ...",
        ),
        solution="p = 0.8 * 0.5 + (0.8 * 0.5 + 0.2 * 0.5) / 2\nanswer = p * 0.8 + (1 - p) * 0.5",
        misconceptions=(
            Misconception(0.65, "That is the mean of both, which a lot reaches as well."),
            Misconception(0.8, "One episode does not always find the better one."),
            Misconception(0.9, "That is what the kept agent *showed*: the best of two looks good."),
            Misconception(
                0.37, "In half of all cases they are equal, and one of them is kept by lot."
            ),
        ),
        why=(
            "The first episode of each buys 4.5 points over the lot, and 10.5 are still missing. "
            "Next: what it showed is 0.9, what it is worth 0.695; notebook 07 calls that the "
            "winner's regression."
        ),
    ),
    Exercise(
        id="15.q3",
        objective="You can name the run that takes two changes apart.",
        question=(
            "QC-FQL stands in two papers: with 2 critics and a target without pessimism, and with "
            "10 critics and a target of their mean minus half their spread. Which runs would say "
            "what the *number* of critics is worth?"
        ),
        kind=MultipleChoice(
            {
                "a": "the second paper's code once more, with 2 critics and nothing else changed",
                "b": "the first paper's code once more, with 12 seeds instead of 4",
                "c": "FQL and IFQL of the second paper, which both have 10 critics",
                "d": "none: take both papers at 1,000 thousand updates, before anything is online",
            },
            "a",
        ),
        hints=(
            "How many things differ between the two runs of each option?",
            "an effect = two runs that differ in one thing",
            'answer = "..."',
        ),
        solution='answer = "a"',
        misconceptions=(
            Misconception(
                "b", "More seeds make the interval of one number narrower; the cause stays open."
            ),
            Misconception(
                "c",
                "They share the critics, so their gap shows policies. It says nothing of critics.",
            ),
            Misconception(
                "d",
                "Then the replay is alike, but critics, pessimism and tuning change at once.",
            ),
        ),
        why=(
            "Only there one thing differs (a spread of two is still a spread). Next: the same with "
            "the pessimism, and with both: four cells, as in any experiment with two causes."
        ),
    ),
    Exercise(
        id="15.bug",
        objective="You can report a tuned method without reporting its luck.",
        question=(
            "`tried[k]` holds the success of the seeds on which alpha number k was tried, "
            "`fresh[k]` that of seeds nobody looked at before. This function reports a tuned "
            "method, and what it reports is too good:\n\n"
            "    def report(tried, fresh):\n"
            "        best = tried.mean(1).argmax()\n"
            "        return tried[best].mean()\n\n"
            "Repair it and answer with the function."
        ),
        kind=Function(fresh_score, TABLES),
        hints=(
            "Which seeds chose, and which are reported?",
            "best = argmax over tried; the report = mean over fresh",
            "def answer(tried, fresh):\n    best = tried.mean(1).argmax()\n    return ...",
        ),
        solution=(
            "def answer(tried, fresh):\n"
            "    best = tried.mean(1).argmax()\n"
            "    return fresh[best].mean()"
        ),
        misconceptions=(
            Misconception(
                lambda tried, fresh: tried.mean(1).max(),
                "That is the code as it stands: the seeds that chose are reported.",
            ),
            Misconception(
                lambda tried, fresh: fresh.mean(1).max(),
                "Now the fresh seeds choose as well, and are fresh no longer.",
            ),
            Misconception(
                lambda tried, fresh: np.concatenate([tried, fresh], 1)[
                    tried.mean(1).argmax()
                ].mean(),
                "The seeds that chose still count. Report the fresh ones alone.",
            ),
        ),
        why=(
            "Whoever was chosen for its luck has some, and it stays behind with those seeds. Next: "
            "compare the two scores in the second explorer."
        ),
    ),
)
