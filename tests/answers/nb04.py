"""Other right answers, and wrong ones that are near, of notebook 04."""

from answers import Answers
from chunkrl.course.exercises.nb04 import one_round

ANSWERS = {
    "q1": Answers(
        equivalents=(
            "answer = -1.13",
            "answer = -1.1",
            "import numpy as np\n"
            "a = [[1, -0.04, 0], [-0.32, 1, -0.04], [0, -0.32, 0.96]]\n"
            "answer = np.linalg.solve(a, [-2.36, -3, -3.64])[2] + 4",
        ),
        near_misses=(-1.15, -1.11, 0.0),
    ),
    "q2": Answers(
        equivalents=(
            "answer = -4.32",
            "answer = -4.3",
            "from chunkrl.course.worlds.fork import long_fork\n"
            "from chunkrl.tabular.chunks import n_step\n"
            "from chunkrl.tabular.mdp import optimal\n"
            "world = long_fork(0.85, 4)\n"
            "answer = optimal(n_step(world.mdp, world.behaviour, 3)).q[0, 1]",
        ),
        near_misses=(-4.2, -4.4, 4.32),
    ),
    "q3": Answers(
        equivalents=(
            "answer = 0.111",
            "answer = '11.1%'",
            "answer = 1 - 0.9**12 - 12 * 0.1 * 0.9**11 - 66 * 0.1**2 * 0.9**10",
        ),
        near_misses=(0.1, 0.12, 11.1),
    ),
    "bug": Answers(
        equivalents=(
            "from chunkrl.course.exercises.nb04 import one_round_of_stream as answer",
            "import numpy as np\n"
            "from chunkrl.course.exercises.nb04 import one_round\n"
            "def answer(Q, cell, read, reward, after, going, discount):\n"
            "    reward = reward.copy()\n"
            "    for m, i in np.argwhere(going == 0):\n"
            "        reward[m, i + 1 :] = 0\n"
            "    return one_round(Q, cell, read, reward, after, going.prod(1), discount)",
        ),
        near_misses=(
            lambda Q, cell, read, reward, after, going, discount: one_round(
                Q, cell, read, reward, after, going[:, -1], discount
            ),
        ),
    ),
    "write": Answers(
        equivalents=("from chunkrl.course.exercises.nb04 import one_round as answer",),
        near_misses=(
            lambda Q, cell, read, reward, after, alive, discount: (
                1.001 * one_round(Q, cell, read, reward, after, alive, discount)
            ),
        ),
    ),
}
