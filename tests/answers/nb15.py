"""Other right answers, and wrong ones that are near, of notebook 15."""

from answers import Answers
from chunkrl.course.exercises.nb15 import fresh_score
from chunkrl.course.worlds.seeds import flip_probability

ANSWERS = {
    "q1": Answers(
        equivalents=("answer = 0.17", "answer = '17%'", "answer = 1.5 / 9"),
        near_misses=(0.15, 0.18, 17),
    ),
    "write": Answers(
        equivalents=(
            "from itertools import combinations, product\n"
            "import numpy as np\n"
            "def answer(a, b, n):\n"
            "    pairs = product(combinations(a, n), combinations(b, n))\n"
            "    return np.mean([(np.sign(np.mean(y) - np.mean(x)) + 1) / 2 for x, y in pairs])",
        ),
        near_misses=(
            lambda a, b, n: 1.001 * flip_probability(a, b, n) + 0.001,
            lambda a, b, n: flip_probability(a, a, n),
        ),
    ),
    "q2": Answers(
        equivalents=("answer = 0.695", "answer = '69.5%'", "answer = 0.8 - 0.35 * 0.3"),
        near_misses=(0.68, 0.71, 69.5),
    ),
    "q3": Answers(equivalents=("answer = 'A'", "answer = '(a)'")),
    "bug": Answers(
        equivalents=(
            "import numpy as np\n"
            "answer = lambda tried, fresh: np.mean(fresh[np.argmax(tried.sum(1))])",
        ),
        near_misses=(
            lambda tried, fresh: 1.01 * fresh_score(tried, fresh),
            lambda tried, fresh: fresh[tried.mean(1).argmax(), 0],
        ),
    ),
}
