"""Other right answers, and wrong ones that are near, of notebook 07."""

from answers import Answers
from chunkrl.course.exercises.nb07 import best_of, worth

ANSWERS = {
    "q1": Answers(
        equivalents=(
            "answer = 17",
            "answer = next(N for N in range(1, 99) if 1 - (1 - 0.7**5) ** N >= 0.95)",
            "from chunkrl.tabular.selection import candidates_for\n"
            "answer = candidates_for(0.7, 5, 0.95)",
        ),
        near_misses=(18, 15),
    ),
    "q2": Answers(
        equivalents=(
            "answer = 4.19",
            "from chunkrl.tabular.selection import expected_maximum\n"
            "answer = expected_maximum(64) * 2.0**2 / (1 + 2.0**2) ** 0.5",
        ),
        near_misses=(4.17, 4.21, 0.0),
    ),
    "q3": Answers(
        equivalents=(
            "answer = 19",
            "answer = '19'",
            "from chunkrl.tabular.selection import divergence_bound\n"
            "answer = 1\n"
            "while divergence_bound(answer + 1) <= 2:\n"
            "    answer += 1",
        ),
        near_misses=(18, 21, 19.5),
    ),
    "write": Answers(
        equivalents=(
            "from chunkrl.course.exercises.nb07 import best_of as answer",
            "import numpy as np\n"
            "def answer(propose, critic, n):\n"
            "    candidates = propose(n)\n"
            "    score = critic(candidates)\n"
            "    rounds = range(score.shape[1])\n"
            "    return [candidates[score[:, b].argmax(), b] for b in rounds]",
        ),
        near_misses=(
            lambda propose, critic, n: best_of(propose, critic, max(1, n - 1)),
            lambda propose, critic, n: 1.001 * best_of(propose, critic, n),
        ),
    ),
    "bug": Answers(
        equivalents=(
            "import numpy as np\n"
            "def answer(picker, judge):\n"
            "    return np.mean([j[p.argmax()] for p, j in zip(picker, judge)])",
            "import numpy as np\n"
            "def answer(picker, judge):\n"
            "    index = picker.argmax(1)[:, None]\n"
            "    return np.take_along_axis(judge, index, 1).mean()",
        ),
        near_misses=(
            lambda picker, judge: worth(judge, picker),
            lambda picker, judge: 1.001 * worth(picker, judge),
        ),
    ),
}
