"""Other right answers, and wrong ones that are near, of notebook 11."""

from answers import Answers
from chunkrl.course.exercises.nb11 import chunk_return, imagine

ANSWERS = {
    "q1": Answers(
        equivalents=(
            "answer = 161",
            'answer = "161"',
            "H = 0\nwhile 5 * 0.99**H >= 1:\n    H += 1\nanswer = H",
        ),
        near_misses=(163, 170, 33),
    ),
    "q2": Answers(
        equivalents=(
            "answer = 4.0",
            "answer = 5",
            "import numpy as np\n"
            "from chunkrl.course.explorers.imagination import ANYWHERE, errors\n"
            "answer = errors(0.9, 200, ANYWHERE).error(5.0).mean((0, 2)).argmin()",
        ),
        near_misses=(8.5, 10, -4),
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
    "write": Answers(
        equivalents=(
            "def answer(act, step, value, start, discount, H):\n"
            "    if H == 0:\n"
            "        return value(start)\n"
            "    reward, after = step(start, act(start))\n"
            "    return reward + discount * answer(act, step, value, after, discount, H - 1)",
            "import numpy as np\n"
            "def answer(act, step, value, state, discount, H):\n"
            "    rewards = []\n"
            "    for _ in range(H):\n"
            "        reward, state = step(state, act(state))\n"
            "        rewards.append(reward)\n"
            "    return discount**H * value(state) + sum(\n"
            "        discount**k * r for k, r in enumerate(rewards))",
        ),
        near_misses=(
            lambda act, step, value, start, discount, H: imagine(
                act, step, value, 1.001 * start, discount, H
            ),
        ),
    ),
}
