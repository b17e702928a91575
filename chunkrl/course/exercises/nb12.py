"""Exercises of notebook 12: the target of a window, updates until a reward arrives, coherency."""

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, MultipleChoice, Number

DISCOUNT, NEXT_VALUE = 0.99, -20.0
REWARD = np.array([-1.0, -1.0, -1.0, 0.0, -1.0])
POWERS = DISCOUNT ** np.arange(5)
RETURN = float(POWERS @ REWARD)
BOOTSTRAP = DISCOUNT**5 * NEXT_VALUE


def planned_at(ends: np.ndarray, h: int) -> np.ndarray:
    """The step at which each executed action was planned.  [T] -> [T]"""
    planned, left, when = [], 0, 0
    for t, end in enumerate(ends):
        if left == 0:
            left, when = h, t
        planned.append(when)
        left = 0 if end else left - 1
    return np.array(planned)


def never_emptied(ends: np.ndarray, h: int) -> np.ndarray:
    """The bug: what was planned for one episode is executed in the next."""
    return np.arange(len(ends)) // h * h


ENDS = np.array([0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0])

EXERCISES = (
    Exercise(
        id="12.q1",
        objective="You can compute the target of a window that contains a success.",
        question=(
            "A window of five logged steps has rewards -1, -1, -1, 0, -1 and masks 1, 1, 1, 0, 1: "
            "the cube was in place at the fourth step and then pushed away. Discount 0.99, and the "
            "target critic says -20 for the state after the window. What is QC-FQL's target?"
        ),
        kind=Number(RETURN, 0.005, "reward"),
        hints=(
            "The mask of a window says whether anything may be bootstrapped beyond it. What is the "
            "mask of a window with one solved step?",
            "sum_k gamma^k r_k + gamma^5 (min_k mask_k) Q'",
            "powers = 0.99 ** np.arange(5)\nanswer = powers @ reward + 0.99**5 * mask.min() * ...",
        ),
        solution=(
            "import numpy as np\n"
            "reward, mask = np.array([-1, -1, -1, 0, -1]), np.array([1, 1, 1, 0, 1])\n"
            "answer = 0.99 ** np.arange(5) @ reward + 0.99**5 * mask.min() * -20"
        ),
        misconceptions=(
            Misconception(
                RETURN + BOOTSTRAP,
                "You bootstrapped. The last step's mask is 1, but the window's is the smallest of "
                "its masks: an episode ends where it is solved, and nothing counts behind it.",
            ),
            Misconception(
                float(POWERS[:4] @ REWARD[:4]),
                "Beyond the success the bootstrap is cut, but the published code goes on adding "
                "rewards: the logged trajectory did not stop there.",
            ),
            Misconception(
                float(REWARD.sum()),
                "Each reward is discounted by its own place in the window: gamma^k r_k.",
            ),
            Misconception(
                RETURN + DISCOUNT * NEXT_VALUE,
                "No bootstrap here, since one mask is 0; and where there is one, it lies five "
                "steps ahead and is discounted by gamma^5.",
            ),
        ),
    ),
    Exercise(
        id="12.q2",
        objective="You can say how much sooner a reward reaches the start with chunks.",
        question=(
            "The reward is 100 steps away and all values start equal. Each round backs up every "
            "state of the data once, from the target values of the round before. How many rounds "
            "fewer does h = 5 need than h = 1 until the start feels the reward?"
        ),
        kind=Number(80.0, 1e-9, "rounds"),
        hints=(
            "How many steps does news of the reward travel in one round?",
            "ceil(L / h) rounds each",
            "answer = 100 - ...",
        ),
        solution="import math\nanswer = 100 - math.ceil(100 / 5)",
        misconceptions=(
            Misconception(
                20.0, "That is how many rounds h = 5 needs; the question is how many it saves."
            ),
            Misconception(5.0, "Five times fewer, yes. As a number of rounds?"),
            Misconception(
                99.0, "One round moves news by one backup: five steps, not the whole way."
            ),
        ),
    ),
    Exercise(
        id="12.q3",
        objective="You can read the numbers of temporal coherency.",
        question=(
            "In the second figure, set the steps shown to 200 and open the numbers. Agents A and B "
            "have hands that move equally fast from step to step, but A's notes, five steps apart, "
            "are twice as far apart as B's. What does that say?"
        ),
        kind=MultipleChoice(
            {
                "a": "A is the better policy",
                "b": "A keeps its direction for longer",
                "c": "A reached the cube sooner",
                "d": "B's policy is deterministic",
            },
            "b",
        ),
        hints=(
            "Both walk the same length in five steps. Whose way is straighter?",
            "|x_{t+5} - x_t| is at most the sum of the five single ways, with equality on a line",
            "steps = rng.choice([-1, 1], (1000, 5))\nabs(steps.sum(1)).mean()  # against 5",
        ),
        solution='answer = "b"',
        misconceptions=(
            Misconception(
                "a",
                "A straight way into the wrong corner is coherent too. Coherency says how a policy "
                "explores, not whether it solves the task.",
            ),
            Misconception(
                "c", "They move equally fast from step to step; where they end is another question."
            ),
            Misconception(
                "d", "If anything the reverse: noise drawn anew at every step cancels within five."
            ),
        ),
    ),
    Exercise(
        id="12.bug",
        objective="You can keep the plan of one episode out of the next.",
        question=(
            "This loop plays chunks of `h` actions and notes when each action was planned; "
            "`ends[t]` is 1 where an episode ends after step t:\n\n"
            "    def planned_at(ends, h):\n"
            "        planned, left, when = [], 0, 0\n"
            "        for t in range(len(ends)):\n"
            "            if left == 0:\n"
            "                left, when = h, t\n"
            "            planned.append(when)\n"
            "            left = left - 1\n"
            "        return planned\n\n"
            "Repair it and answer with the function."
        ),
        kind=Function(
            planned_at,
            ((ENDS, 5), (ENDS, 1), (np.zeros(7, int), 3), (np.array([1, 1, 0, 0, 1, 0, 0]), 4)),
        ),
        hints=(
            "Follow it with ends = [0, 0, 1, 0, 0] and h = 5. For which start was the fourth "
            "action planned?",
            "After an episode ends, nothing is left of its plan.",
            "left = 0 if ends[t] else ...",
        ),
        solution=(
            "def answer(ends, h):\n"
            "    planned, left, when = [], 0, 0\n"
            "    for t in range(len(ends)):\n"
            "        if left == 0:\n"
            "            left, when = h, t\n"
            "        planned.append(when)\n"
            "        left = 0 if ends[t] else left - 1\n"
            "    return planned"
        ),
        misconceptions=(
            Misconception(
                never_emptied,
                "An action planned in one episode is still executed in the next, where the cube "
                "lies elsewhere.",
            ),
            Misconception(
                lambda ends, h: np.arange(len(ends)),
                "That is closed loop: a chunk is planned once and played to its end.",
            ),
        ),
    ),
)
