"""Other right answers, and wrong ones that are near, of notebook 17."""

import numpy as np

from answers import Answers
from chunkrl.course.exercises.nb17 import best_then_climb, strays

ANSWERS = {
    "q1": Answers(
        equivalents=("answer = 0.343", "answer = '34.3%'", "answer = 0.34"),
        near_misses=(0.35, 0.33, 0.5),
    ),
    "q2": Answers(equivalents=("answer = 'B'", "answer = '(b)'")),
    "q3": Answers(
        equivalents=("answer = 20", "answer = '20'", "answer = 2 / 0.1"), near_misses=(21, 10, 80)
    ),
    "write": Answers(
        equivalents=(
            "import numpy as np\n"
            "def answer(candidates, critic, slope, step):\n"
            "    done = []\n"
            "    for b in range(candidates.shape[1]):\n"
            "        x = max(candidates[:, b], key=critic)\n"
            "        g = slope(x)\n"
            "        x = x + step * g / np.sqrt((g ** 2).sum())\n"
            "        done.append(np.minimum(np.maximum(x, -1), 1))\n"
            "    return done",
        ),
        near_misses=(
            lambda c, critic, slope, step: best_then_climb(c, critic, slope, 1.05 * step),
            lambda c, critic, slope, step: best_then_climb(c, lambda a: -critic(a), slope, step),
        ),
    ),
    "bug": Answers(
        equivalents=(
            "from scipy.stats import entropy\n"
            "def answer(law, data):\n"
            "    return entropy(law, data)",
            "import numpy as np\n"
            "def answer(law, data):\n"
            "    return law @ (np.log(law) - np.log(data))",
        ),
        near_misses=(
            lambda law, data: 1.01 * strays(law, data),
            lambda law, data: np.max(np.log(law / data)),
        ),
    ),
}
