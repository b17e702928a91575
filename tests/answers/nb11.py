"""Other right answers, and wrong ones that are near, of notebook 11."""

import numpy as np

from answers import Answers
from chunkrl.course.exercises.nb11 import chunk_return, expanded

ANSWERS = {
    "q1": Answers(
        equivalents=(
            "def answer(rewards, values, discount):\n"
            "    total = values[-1]\n"
            "    for reward in rewards[::-1]:\n"
            "        total = reward + discount * total\n"
            "    return total",
            "from chunkrl.course.worlds.returns import n_step_target\n"
            "answer = lambda rewards, values, discount: n_step_target(rewards, values[-1], "
            "discount)",
        ),
        near_misses=(
            lambda rewards, values, discount: 1.001 * expanded(rewards, values, discount),
            lambda rewards, values, discount: (
                rewards @ discount ** np.arange(1, len(rewards) + 1)
                + discount ** len(rewards) * values[-1]
            ),
        ),
    ),
    "q2": Answers(
        equivalents=(
            "answer = 4.0",
            "import numpy as np\n"
            "from chunkrl.course.explorers.imagination import ANYWHERE, errors\n"
            "answer = errors(0.9, 200, ANYWHERE).error(5.0).mean((0, 2)).argmin()",
        ),
        near_misses=(3, 5, 10),
    ),
    "q3": Answers(
        equivalents=(
            "def answer(steps, chunk, discount):\n"
            "    n = steps / chunk\n"
            "    return [n, (discount**chunk) ** n]",
            "import numpy as np\n"
            "answer = lambda T, h, g: np.array([len(range(0, T, h)), np.exp(T * np.log(g))])",
        ),
        near_misses=(
            lambda steps, chunk, discount: (steps / chunk + 1, discount**steps),
            lambda steps, chunk, discount: (steps / chunk, 1.001 * discount**steps),
            lambda steps, chunk, discount: (discount**steps, steps / chunk),
        ),
    ),
    "bug": Answers(
        equivalents=(
            "import numpy as np\n"
            "def answer(rewards, value, discount, chunk):\n"
            "    weights = (discount**chunk) ** np.arange(len(rewards) + 1)\n"
            "    return np.append(rewards, value) @ weights",
            "def answer(rewards, value, discount, chunk):\n"
            "    if len(rewards) == 0:\n"
            "        return value\n"
            "    return rewards[0] + discount**chunk * answer(rewards[1:], value, discount, chunk)",
        ),
        near_misses=(
            lambda rewards, value, discount, chunk: (
                1.001 * chunk_return(rewards, value, discount, chunk)
            ),
        ),
    ),
}
