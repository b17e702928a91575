"""Other right answers, and wrong ones that are near, of notebook 02."""

import numpy as np

from answers import Answers
from chunkrl.course.exercises.nb02 import episode_targets, returns_to_go, target

ANSWERS = {
    "q1": Answers(
        equivalents=(
            "import numpy as np\n"
            "def answer(reward, value, discount):\n"
            "    return np.append(reward, value) @ discount ** np.arange(len(reward) + 1)",
            "def answer(reward, value, discount):\n"
            "    for r in reward[::-1]:\n"
            "        value = r + discount * value\n"
            "    return value",
        ),
        near_misses=(lambda reward, value, discount: 1.001 * target(reward, value, discount),),
    ),
    "q2": Answers(
        equivalents=(
            "answer = 20.0",
            "total = lambda n: 4 * 0.81**n + sum(0.81**k for k in range(n)) / 4\n"
            "answer = min(range(1, 21), key=total)",
        ),
        near_misses=(18, 10, 20.5),
    ),
    "q3": Answers(
        equivalents=("answer = 6 / 8", "import numpy as np\nanswer = np.mean([0] + 6 * [1] + [0])"),
        near_misses=(0.7, 0.8, 1.0),
    ),
    "bug": Answers(
        equivalents=(
            "import numpy as np\n"
            "def answer(reward, discount):\n"
            "    steps = range(len(reward))\n"
            "    return [reward[t:] @ discount ** np.arange(len(reward) - t) for t in steps]",
            "def answer(reward, discount):\n"
            "    if len(reward) == 1:\n"
            "        return [reward[0]]\n"
            "    rest = answer(reward[1:], discount)\n"
            "    return [reward[0] + discount * rest[0], *rest]",
        ),
        near_misses=(lambda reward, discount: 1.001 * returns_to_go(reward, discount),),
    ),
    "write": Answers(
        equivalents=(
            "from chunkrl.course.exercises.nb02 import episode_targets as answer",
            "def answer(reward, value, n, discount):\n"
            "    found = []\n"
            "    for t in range(len(reward)):\n"
            "        end = min(t + n, len(reward))\n"
            "        total = value[end]\n"
            "        for r in reward[t:end][::-1]:\n"
            "            total = r + discount * total\n"
            "        found.append(total)\n"
            "    return found",
        ),
        near_misses=(
            lambda reward, value, n, discount: episode_targets(reward, value, n + 1, discount),
            # the discount of a whole window, also where the end cuts it
            lambda reward, value, n, discount: episode_targets(
                reward, np.append(value[:-1], 0.9 * value[-1]), n, discount
            ),
        ),
    ),
}
