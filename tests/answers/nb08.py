"""Other right answers, and wrong ones that are near, of notebook 08."""

import numpy as np

from answers import Answers
from chunkrl.course.exercises.nb08 import regret, target
from chunkrl.tabular.chunks import chunked
from chunkrl.tabular.mdp import optimal, policy_value

ANSWERS = {
    "q1": Answers(
        equivalents=(
            "import numpy as np\n"
            "answer = lambda r, m, v, g: r @ g ** np.arange(len(r)) + g ** len(r) * m[-1] * v",
            "def answer(rewards, masks, value, discount):\n"
            "    total = masks.prod() * value\n"
            "    for r in rewards[::-1]:\n"
            "        total = r + discount * total\n"
            "    return total",
        ),
        near_misses=(
            lambda rewards, masks, value, discount: 1.001 * target(rewards, masks, value, discount),
            lambda rewards, masks, value, discount: (
                rewards @ discount ** np.arange(len(rewards))
                + discount ** (len(rewards) - 1) * masks.min() * value
            ),
        ),
    ),
    "q2": Answers(
        equivalents=(
            "from scipy.optimize import brentq\n"
            "from chunkrl.tabular.chunk_length import guarantee as g\n"
            "from chunkrl.tabular.worlds import lock\n"
            "answer = brentq(lambda p: g(lock(24, p), 4, 0.02) - g(lock(24, p), 1, 0.02), 0, 0.4)",
            "answer = 0.148",
        ),
        near_misses=(0.14, 0.155, 0.1, 0.2),
    ),
    "q3": Answers(
        equivalents=(
            "def answer(h, k):\n    return set(range(0, 10 * h, h)) <= set(range(0, 10 * h, k))",
            "import numpy as np\nanswer = lambda h, k: float(np.gcd(h, k) == k)",
        ),
        near_misses=(lambda h, k: h % k == 0 and h != k, lambda h, k: True),
    ),
    "bug": Answers(
        equivalents=(
            "from chunkrl.tabular.chunks import chunked\n"
            "from chunkrl.tabular.mdp import optimal, policy_value\n"
            "answer = lambda mdp, h, choice: (\n"
            "    optimal(chunked(mdp, 1)).value - policy_value(chunked(mdp, h), choice)\n"
            ")[0]",
        ),
        near_misses=(
            lambda mdp, h, choice: policy_value(chunked(mdp, h), choice)[0] - optimal(mdp).value[0],
            lambda mdp, h, choice: 1.001 * regret(mdp, h, choice),
        ),
    ),
}
