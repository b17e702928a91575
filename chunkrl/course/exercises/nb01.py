"""Exercises of notebook 01: what logged walks support, and fitted Q-learning on them."""

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, Number
from chunkrl.course.worlds import support

MDP, PATHS = support.grid(), support.logged_paths()
THIRD = support.walk(support.START, "right*7 down*7")
THREE = support.count((*PATHS, THIRD), (1, 1, 1))
UNLOGGED = int((THREE == 0).sum())
TWO_ONLY = int((support.count(PATHS) == 0).sum())

# 01.q2: another discount, another long walk
SHORT = support.grid(discount=0.9)
SHORT_PATHS = support.logged_paths(wiggle=2)
SHORT_LOGGED = support.logged_return(SHORT, SHORT_PATHS[0])
SHORT_BEST = float(support.in_support(SHORT, support.count(SHORT_PATHS)).value[0])

# 01.q3: the long walk alone
ALONE = float(support.in_support(MDP, support.count(support.logged_paths(2), (1, 0))).value[0])
BEST = float(support.in_support(MDP, support.count(PATHS)).value[0])


def td_target(reward: np.ndarray, mask: np.ndarray, next_q: np.ndarray) -> np.ndarray:
    """r + 0.99 mask max_a' Q(s', a').  [B], [B], [B, A] -> [B]"""
    return reward + 0.99 * mask * next_q.max(-1)


def fitted_q(q, state, action, reward, after, alive, discount, rounds):
    """Fitted Q-learning on logged pairs: Q(s, a) = r + gamma alive max_a' Q(s', a'), again and
    again; other entries keep what they were.  q [S, A]; state, ..., alive [M] -> [S, A]
    """
    q = q.copy()
    for _ in range(rounds):
        q[state, action] = reward + discount * alive * q.max(-1)[after]
    return q


def goal_goes_on(q, state, action, reward, after, alive, discount, rounds):
    return fitted_q(q, state, action, reward, after, np.ones_like(alive), discount, rounds)


def no_discount(q, state, action, reward, after, alive, discount, rounds):
    return fitted_q(q, state, action, reward, after, alive, 1.0, rounds)


def whole_cell(q, state, action, reward, after, alive, discount, rounds):
    q = q.copy()
    for _ in range(rounds):
        q[state] = (reward + discount * alive * q.max(-1)[after])[:, None]
    return q


def mean_of_next(q, state, action, reward, after, alive, discount, rounds):
    q = q.copy()
    for _ in range(rounds):
        q[state, action] = reward + discount * alive * q.mean(-1)[after]
    return q


def one_round(q, state, action, reward, after, alive, discount, rounds):
    return fitted_q(q, state, action, reward, after, alive, discount, 1)


def small_case() -> tuple:
    """Three cells in a row and a goal; four pairs are logged, one of them a step back."""
    q = np.array([[-4.0, -4.0], [-4.0, -4.0], [-4.0, -2.5], [-1.0, -1.0]])
    state, action = np.array([0, 1, 2, 1]), np.array([0, 0, 0, 1])
    reward, after = np.array([-1.0, -1.0, -1.0, -3.0]), np.array([1, 2, 3, 0])
    return q, state, action, reward, after, np.array([1.0, 1.0, 0.0, 1.0]), 0.9, 8


EXERCISES = (
    Exercise(
        id="01.q1",
        objective="You can say which state-action pairs a dataset says nothing about.",
        question=(
            "A third walk is logged: from the start seven times right, then seven times down. How "
            "many of the 256 state-action pairs are now without data?"
        ),
        kind=Number(UNLOGGED, 1e-9, "pairs"),
        hints=(
            "Only steps that no walk has taken yet add a pair. How many of the 14 are new?",
            "225 - (steps of the third walk that neither other walk has taken)",
            'third = support.walk(support.START, "right*7 down*7")\n'
            "counts = support.count((*paths, third), (1, 1, 1))\n"
            "answer = (counts == ...).sum()",
        ),
        solution=(
            "from chunkrl.course.worlds import support\n"
            'third = support.walk(support.START, "right*7 down*7")\n'
            "counts = support.count((*support.logged_paths(), third), (1, 1, 1))\n"
            "answer = (counts == 0).sum()"
        ),
        misconceptions=(
            Misconception(
                int((THREE > 0).sum()),
                "These are the pairs with data. The question asks for all the others.",
            ),
            Misconception(
                TWO_ONLY - 14,
                "This counts all 14 steps as new. The third walk begins like the long one and ends "
                "like the short one: those pairs had data before.",
            ),
            Misconception(
                TWO_ONLY,
                "This is the number before the third walk. Some of its steps are new.",
            ),
            Misconception(
                int((THREE.sum(-1) == 0).sum()),
                "These are cells that no walk leaves. A visited cell has unseen actions, too: "
                "support belongs to pairs of a state and an action.",
            ),
        ),
        why=(
            "Of its 14 steps 8 were logged before, 6 pairs are new. Next: it is a best path of the "
            "whole world, yet it makes the best value on logged actions no better. Why?"
        ),
    ),
    Exercise(
        id="01.q2",
        objective="You can tell how much stitching gains over the best logged trajectory.",
        question=(
            "Discount 0.9, and a long walk with wiggle 2 (18 steps). How much better is the best "
            "path on logged actions than that walk, in discounted return?"
        ),
        kind=Number(SHORT_BEST - SHORT_LOGGED, 0.006, "reward"),
        hints=(
            "The stitched path still has 14 steps. What do n steps of -1 cost at discount 0.9?",
            "n steps return -(1 - 0.9^n) / (1 - 0.9)",
            "cost = lambda n: (1 - 0.9**n) / (1 - 0.9)\nanswer = cost(...) - cost(...)",
        ),
        solution=(
            "from chunkrl.course.worlds import support\n"
            "mdp, paths = support.grid(discount=0.9), support.logged_paths(wiggle=2)\n"
            "best = support.in_support(mdp, support.count(paths)).value[0]\n"
            "answer = best - support.logged_return(mdp, paths[0])"
        ),
        misconceptions=(
            Misconception(
                SHORT_LOGGED - SHORT_BEST,
                "The size is right, the sign is not: the less negative return is the better one.",
            ),
            Misconception(
                4,
                "Stitching saves 4 steps, but the return is discounted: these are the last steps "
                "of a long walk, and count little.",
            ),
            Misconception(
                SHORT_BEST,
                "This is the value of the stitched path. How much more is it than the logged "
                "return?",
            ),
            Misconception(
                BEST - support.logged_return(MDP, PATHS[0]),
                "This is the grid of the text, at discount 0.99 and with 22 steps.",
            ),
        ),
        why=(
            "The four steps saved come after fourteen others, so each is worth 0.9^14 or less: a "
            "short-sighted robot gains little from stitching. Next: at which discount would it "
            "gain most?"
        ),
    ),
    Exercise(
        id="01.q3",
        objective=(
            "You can predict when a learner that maximises over unseen actions leaves the data."
        ),
        question=(
            "The short walk is lost; only the long one with wiggle 2 (18 steps, discount 0.99) is "
            "left. Above which initial value of unseen actions does the greedy path from the start "
            "leave the data?"
        ),
        kind=Number(ALONE, 0.006, "reward"),
        hints=(
            "What must an unseen action at the start beat? What is the best that these logs allow?",
            "The greedy action is unseen when initial value > max over logged actions of Q(s, a).",
            "counts = support.count(support.logged_paths(2), (1, 0))\n"
            "answer = support.in_support(mdp, counts).value[0]",
        ),
        solution=(
            "from chunkrl.course.worlds import support\n"
            "counts = support.count(support.logged_paths(2), (1, 0))\n"
            "answer = support.in_support(support.grid(), counts).value[0]"
        ),
        misconceptions=(
            Misconception(
                BEST,
                "This is the best that both walks allow together. Without the short one there is "
                "nothing to stitch.",
            ),
            Misconception(
                0.0,
                "Zero is above every value of this world, so it is already far too optimistic. "
                "What must an unseen action beat at the start?",
            ),
            Misconception(-18, "18 steps at -1, but discounted: sum of -0.99^t for t = 0 ... 17."),
            Misconception(
                -100,
                "-100 is the value of never arriving. Unseen actions are taken long after that.",
            ),
        ),
        why=(
            "The tipping point is the best value that the logs allow, and with one walk that is "
            "the walk itself. Next: fewer data made this learner leave sooner, at a lower initial "
            "value. Is that what you want?"
        ),
    ),
    Exercise(
        id="01.write",
        objective="You can write fitted Q-learning, the learner that all of this course is about.",
        question=(
            "Write fitted_q(q, state, action, reward, after, alive, discount, rounds): the table q "
            "after `rounds` rounds in which every logged pair is set to its target."
        ),
        kind=Function(fitted_q, (small_case(), (*small_case()[:-1], 2))),
        hints=(
            "A round computes the target of every logged pair from the table as it is, and writes "
            "it there. Nothing else changes.",
            "Q(s_j, a_j) <- r_j + gamma alive_j max_a Q(after_j, a), for all j, `rounds` times",
            "q = q.copy()\n"
            "for _ in range(rounds):\n"
            "    best = q.max(-1)[after]\n"
            "    q[state, action] = ...\n"
            "return q",
        ),
        solution=(
            "def answer(q, state, action, reward, after, alive, discount, rounds):\n"
            "    q = q.copy()\n"
            "    for _ in range(rounds):\n"
            "        best = q.max(-1)[after]\n"
            "        q[state, action] = reward + discount * alive * best\n"
            "    return q"
        ),
        misconceptions=(
            Misconception(
                goal_goes_on,
                "The last step of an episode has nothing after it: alive is 0 there, and the value "
                "after it drops out.",
            ),
            Misconception(
                whole_cell,
                "This writes the target into all actions of the cell. Only the logged action "
                "earned it; the others keep what they were.",
            ),
            Misconception(
                mean_of_next,
                "This takes the mean of the next entries. Q-learning means to act best from there "
                "on: the maximum.",
            ),
            Misconception(
                one_round,
                "One round moves news by one step. Repeat it `rounds` times, each from the table "
                "that the last one left.",
            ),
            Misconception(
                no_discount, "What lies one step ahead is worth discount times as much now."
            ),
        ),
        why=(
            "Every agent of this course has this line at its heart, with a network for the table. "
            "Next: put your function into the grid below, and see what it claims."
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
                "now flows into the cells before it.",
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
        why=(
            "What follows an end is worth 0, whatever the table holds there. An initial value of 0 "
            "hides the bug, which is how it survives in real code: test with another one."
        ),
    ),
)
