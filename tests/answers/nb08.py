"""Other right answers, and wrong ones that are near, of notebook 08."""

from answers import Answers
from chunkrl.course.exercises.nb08 import regret, target
from chunkrl.tabular.chunks import chunked
from chunkrl.tabular.mdp import optimal, policy_value

ANSWERS = {
    "q1": Answers(
        equivalents=("answer = -2.71", "answer = -2.7", "answer = -sum(0.9**i for i in range(3))"),
        near_misses=(-2.73, -2.69, 2.71),
    ),
    "write": Answers(
        equivalents=(
            "def answer(reward, alive, proposed, discount):\n"
            "    targets = []\n"
            "    for r, a, q in zip(reward, alive, proposed):\n"
            "        y = max(q) * min(a)\n"
            "        for each in r[::-1]:\n"
            "            y = each + discount * y\n"
            "        targets.append(y)\n"
            "    return targets",
        ),
        near_misses=(
            lambda reward, alive, proposed, discount: (
                1.001 * target(reward, alive, proposed, discount)
            ),
            lambda reward, alive, proposed, discount: target(
                reward, alive, proposed * discount, discount
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
