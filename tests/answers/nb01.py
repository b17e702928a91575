"""Other right answers, and wrong ones that are near, of notebook 01."""

from answers import Answers

ANSWERS = {
    "q1": Answers(
        equivalents=(
            "answer = 64 * 4 - 31",
            "answer = 225.0",
            "import numpy as np\n"
            "from chunkrl.course.worlds import support\n"
            "pairs = {(s, a) for path in support.logged_paths()"
            " for s, a in zip(path.state, path.action)}\n"
            "answer = np.array([256 - len(pairs)])",
        ),
        near_misses=(224, 226, 225.5),
    ),
    "q2": Answers(
        equivalents=(
            "answer = 6.71",
            "cost = lambda steps: (1 - 0.99**steps) / (1 - 0.99)\nanswer = cost(22) - cost(14)",
        ),
        near_misses=(6.6, 6.8),
    ),
    "q3": Answers(
        equivalents=("answer = -13.13", "answer = -(1 - 0.99**14) / (1 - 0.99)"),
        near_misses=(-13.0, -13.5),
    ),
    "bug": Answers(
        equivalents=(
            "import numpy as np\n"
            "def answer(reward, mask, next_q):\n"
            "    return np.where(mask == 0, reward, reward + 0.99 * np.max(next_q, axis=1))",
            "answer = lambda r, m, q: r + m * 0.99 * q.max(axis=-1)",
        ),
        near_misses=(lambda reward, mask, next_q: reward + 0.9 * mask * next_q.max(-1),),
    ),
}
