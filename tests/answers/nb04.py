"""Other right answers, and wrong ones that are near, of notebook 04."""

import numpy as np

from answers import Answers
from chunkrl.course.exercises.nb04 import IMPORTS, one_round

ANSWERS = {
    "q1": Answers(
        equivalents=(
            "answer = -3.40",
            "answer = -3.4",
            "import numpy as np\nanswer = np.array([-3.40])",
        ),
        near_misses=(-3.42, -3.38, 0.0),
    ),
    "q2": Answers(
        equivalents=(
            "answer = -4.34",
            f"{IMPORTS}"
            "answer = (optimal(n_step(world.mdp, world.behaviour, 2000)).value[0]\n"
            "          - optimal(world.mdp).value[0])",
        ),
        near_misses=(-4.32, -4.36, 0.0),
    ),
    "q3": Answers(
        equivalents=(
            "answer = 1.323",
            "answer = 1 / 0.9**8 - 1",
            "answer = 0.9**8 * (0.9**-8 - 1) ** 2 + (1 - 0.9**8)",
        ),
        near_misses=(1.2, 1.34, 0.0),
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
