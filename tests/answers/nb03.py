"""Other right answers, and wrong ones that are near, of notebook 03."""

from answers import Answers
from chunkrl.course.exercises.nb03 import sweep

ANSWERS = {
    "q1": Answers(
        equivalents=(
            "def answer(length, discount, error, backup):\n"
            "    return sum(error * discount**d for d in range(0, length, backup))",
            "def answer(length, discount, error, backup):\n"
            "    return error + discount**backup * answer(length - backup, discount, error, "
            "backup) if length > 0 else 0.0",
            "import numpy as np\n"
            "answer = lambda L, g, e, h: np.float32(e) * np.power(g, np.arange(0, L, h)).sum()",
        ),
        near_misses=(
            lambda length, discount, error, backup: (
                1.001 * error * (1 - discount**length) / (1 - discount**backup)
            ),
        ),
    ),
    "q2": Answers(
        equivalents=(
            "answer = 7.0",
            "import numpy as np\nanswer = np.array([7])",
            "import math\nanswer = math.ceil(math.log(1 - 0.1 * (1 - 0.99**100)) / math.log(0.99))",
        ),
        near_misses=(6.9, 7.1, 9, 5),
    ),
    "q3": Answers(
        equivalents=('answer = "B"', 'answer = " b "'),
    ),
    "bug": Answers(
        equivalents=(
            "def answer(target, online, tau):\n    return target + tau * (online - target)",
            "import optax\n"
            "answer = lambda target, online, tau: optax.incremental_update(online, target, tau)",
            "def answer(target, online, tau):\n"
            "    target *= 1 - tau\n"
            "    target += tau * online\n"
            "    return target",
        ),
        near_misses=(lambda target, online, tau: 0.999 * ((1 - tau) * target + tau * online),),
    ),
    "write": Answers(
        equivalents=(
            "from chunkrl.course.exercises.nb03 import sweep as answer",
            "def answer(value, reward, after, error, discount):\n"
            "    new = []\n"
            "    for s in range(len(value)):\n"
            "        q = []\n"
            "        for c in range(len(error[s])):\n"
            "            total = value[after[s, c]]\n"
            "            for r in reward[s, c][::-1]:\n"
            "                total = r + discount * total\n"
            "            q.append(total + error[s, c])\n"
            "        new.append(max(q))\n"
            "    return new",
        ),
        near_misses=(
            lambda value, reward, after, error, discount: sweep(
                value, reward, after, 0.9 * error, discount
            ),
        ),
    ),
}
