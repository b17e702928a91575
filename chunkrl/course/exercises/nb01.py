"""Exercises of notebook 01: what two logged paths support."""

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, Number
from chunkrl.course.worlds import support

MDP, PATHS = support.grid(), support.logged_paths()
COUNTS = support.count(PATHS)
UNLOGGED = int((COUNTS == 0).sum())
LOGGED = support.logged_return(MDP, PATHS[0])
BEST = float(support.in_support(MDP, COUNTS).value[0])


def td_target(reward: np.ndarray, mask: np.ndarray, next_q: np.ndarray) -> np.ndarray:
    """r + 0.99 mask max_a' Q(s', a').  [B], [B], [B, A] -> [B]"""
    return reward + 0.99 * mask * next_q.max(-1)


EXERCISES = (
    Exercise(
        id="01.q1",
        objective="You can say which state-action pairs a dataset says nothing about.",
        question=(
            "The grid has 64 cells and 4 actions. How many of its state-action pairs occur in "
            "neither logged path?"
        ),
        kind=Number(UNLOGGED, 1e-9, "pairs"),
        hints=(
            "`counts` has a row per cell and a column per action. What marks a pair without data?",
            "64 * 4 - (number of pairs with counts > 0)",
            "answer = (counts == ...).sum()",
        ),
        solution=(
            "from chunkrl.course.worlds import support\n"
            "counts = support.count(support.logged_paths())\n"
            "answer = (counts == 0).sum()"
        ),
        misconceptions=(
            Misconception(
                int((COUNTS > 0).sum()),
                "These are the pairs with data. The question asks for all the others.",
            ),
            Misconception(
                int((COUNTS.sum(-1) == 0).sum()),
                "These are cells that no path leaves. A visited cell has unseen actions, too: "
                "support belongs to pairs of a state and an action.",
            ),
            Misconception(
                int(64 - (COUNTS > 0).sum()),
                "There are 64 cells, but 64 * 4 pairs of a cell and an action.",
            ),
        ),
    ),
    Exercise(
        id="01.q2",
        objective="You can tell how much stitching gains over the best logged trajectory.",
        question=(
            "How much better is the best path on logged actions than the logged path from the "
            "start, in discounted return?"
        ),
        kind=Number(BEST - LOGGED, 0.006, "reward"),
        hints=(
            "Both numbers are printed above; the better one is less negative.",
            "V of the best in-support policy at the start, minus the return of the long path",
            "answer = support.in_support(...).value[0] - support.logged_return(...)",
        ),
        solution=(
            "from chunkrl.course.worlds import support\n"
            "mdp, paths = support.grid(), support.logged_paths()\n"
            "best = support.in_support(mdp, support.count(paths)).value[0]\n"
            "answer = best - support.logged_return(mdp, paths[0])"
        ),
        misconceptions=(
            Misconception(
                LOGGED - BEST,
                "The size is right, the sign is not: a return of -13 is better than one of -20.",
            ),
            Misconception(
                8,
                "Stitching saves 8 steps, but the return is discounted: the last steps of a long "
                "path cost less than 1 each.",
            ),
            Misconception(
                BEST,
                "This is the value of the stitched path. How much more is it than the logged "
                "return?",
            ),
        ),
    ),
    Exercise(
        id="01.q3",
        objective=(
            "You can predict when a learner that maximises over unseen actions leaves the data."
        ),
        question=(
            "Unseen actions keep their initial value. Above which initial value does the greedy "
            "path from the start take an action that nobody logged?"
        ),
        kind=Number(BEST, 0.006, "reward"),
        hints=(
            "Move the first slider. Where do crosses appear, and what is the black line there?",
            "The greedy action is unseen when initial value > max over logged actions of Q(s, a).",
            "answer = support.in_support(mdp, counts).value[0]",
        ),
        solution=(
            "from chunkrl.course.worlds import support\n"
            "counts = support.count(support.logged_paths())\n"
            "answer = support.in_support(support.grid(), counts).value[0]"
        ),
        misconceptions=(
            Misconception(
                0.0,
                "Zero is above every value of this world, so it is already far too optimistic. "
                "What must an unseen action beat at the start?",
            ),
            Misconception(
                LOGGED,
                "The learner does not compare with what was logged, but with the best that it can "
                "stitch from it.",
            ),
            Misconception(-14, "14 steps at -1, but discounted: sum of -0.99^t for t = 0 ... 13."),
            Misconception(
                -100,
                "-100 is the value of never arriving. Unseen actions are taken long after that.",
            ),
        ),
    ),
    Exercise(
        id="01.bug",
        objective="You can recognise a target that bootstraps from a state after the end.",
        question=(
            "`mask` is 0 where the episode ended and 1 elsewhere. This target reads the value of "
            "the state after the end, which nothing ever updates:\n\n"
            "    def target(reward, mask, next_q):\n"
            "        return reward + 0.99 * next_q.max(-1)\n\n"
            "Repair it and answer with the function."
        ),
        kind=Function(
            td_target,
            (
                (
                    np.array([-1.0, -1.0]),
                    np.array([1.0, 0.0]),
                    np.array([[-3.0, -2.0], [5.0, 7.0]]),
                ),
                (np.zeros(3), np.array([0.0, 1.0, 0.0]), np.arange(12.0).reshape(3, 4)),
            ),
        ),
        hints=(
            "What follows an end is worth nothing. Which term must vanish there?",
            "y = r + gamma * mask * max_a' Q(s', a')",
            "def answer(reward, mask, next_q):\n    return reward + 0.99 * ... * next_q.max(-1)",
        ),
        solution=(
            "def answer(reward, mask, next_q):\n    return reward + 0.99 * mask * next_q.max(-1)"
        ),
        misconceptions=(
            Misconception(
                lambda reward, mask, next_q: reward + 0.99 * next_q.max(-1),
                "The end still reads a value after it. An initial value that no data can correct "
                "now flows into every cell.",
            ),
            Misconception(
                lambda reward, mask, next_q: mask * (reward + 0.99 * next_q.max(-1)),
                "The last reward was earned; only the value after the end is not. The mask belongs "
                "to the bootstrap.",
            ),
            Misconception(
                lambda reward, mask, next_q: reward + 0.99 * (1 - mask) * next_q.max(-1),
                "Here mask = 0 marks the end (it is 1 - done), so this bootstraps only there.",
            ),
            Misconception(
                lambda reward, mask, next_q: reward + 0.99 * mask * next_q.mean(-1),
                "The mask is right, but fitted Q takes the largest value of the next state.",
            ),
        ),
    ),
)
