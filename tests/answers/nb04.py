"""Other right answers, and wrong ones that are near, of notebook 04."""

import numpy as np

from answers import Answers
from chunkrl.course.exercises.nb04 import IMPORTS, one_round

ANSWERS = {
    "q1": Answers(
        equivalents=(
            "answer = -4.21",
            "answer = -4.2",
            "import numpy as np\nanswer = np.array([-4.21])",
        ),
        near_misses=(-4.23, -4.18, 0.0),
    ),
    "q2": Answers(
        equivalents=(
            "answer = -6.06",
            f"{IMPORTS}"
            "answer = (optimal(n_step(world.mdp, world.behaviour, 2000)).value[0]\n"
            "          - optimal(world.mdp).value[0])",
        ),
        near_misses=(-6.04, -6.08, 0.0),
    ),
    "q3": Answers(
        equivalents=(
            "answer = 2.05",
            "answer = 1 / 0.8**5 - 1",
            "answer = 0.8**5 * (0.8**-5 - 1) ** 2 + (1 - 0.8**5)",
        ),
        near_misses=(1.9, 2.2, 0.0),
    ),
    "bug": Answers(
        equivalents=(
            "def answer(rewards, value, discount):\n"
            "    for reward in rewards[::-1]:\n"
            "        value = reward + discount * value\n"
            "    return value",
            "from chunkrl.course.worlds.returns import n_step_target as answer",
        ),
        near_misses=(
            lambda rewards, value, discount: (
                1.001 * (rewards @ discount ** np.arange(len(rewards)))
                + discount ** len(rewards) * value
            ),
        ),
    ),
    "write": Answers(
        equivalents=("from chunkrl.course.exercises.nb04 import one_round as answer",),
        near_misses=(
            lambda q, cell, read, reward, after, alive, discount: (
                1.001 * one_round(q, cell, read, reward, after, alive, discount)
            ),
        ),
    ),
}
