"""Other right answers, and wrong ones that are near, of notebook 13."""

from answers import Answers
from chunkrl.course.exercises.nb13 import BEST, off_by, wired


def near(scale, extra=0):
    return lambda obs, act, predict, reward, value, discount, chunk, depth: (
        scale * wired(obs, act, predict, reward, value, discount, chunk, depth + extra)
    )


ANSWERS = {
    "q1": Answers(equivalents=("answer = 228", "answer = '228'"), near_misses=(229, 230)),
    "write": Answers(
        equivalents=(
            "def answer(obs, act, predict, reward, value, discount, chunk, depth):\n"
            "    if depth == 0:\n"
            "        return value(obs)\n"
            "    a = act(obs)\n"
            "    rest = answer(predict(obs, a), act, predict, reward, value, discount, chunk, "
            "depth - 1)\n"
            "    return reward(obs, a) + discount**chunk * rest",
        ),
        near_misses=(near(1.001), near(1.0, extra=1)),
    ),
    "q2": Answers(
        equivalents=("answer = 10", "import numpy as np\nanswer = np.int64(100 // 10)"),
        near_misses=(9, 10.5, 32),
    ),
    "q3": Answers(
        equivalents=(f"answer = {BEST}",),
        near_misses=(BEST + 2.0, BEST - 2.0),
    ),
    "bug": Answers(
        equivalents=(
            "import numpy as np\n"
            "answer = lambda value, rewards, discount, chunk: (\n"
            "    chunk * (value - np.dot(rewards, discount ** np.arange(len(rewards))) / chunk)\n"
            ")",
        ),
        near_misses=(
            lambda value, rewards, discount, chunk: (
                1.001 * off_by(value, rewards, discount, chunk) + 0.01
            ),
        ),
    ),
}
