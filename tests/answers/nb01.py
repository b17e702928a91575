"""Other right answers, and wrong ones that are near, of notebook 01."""

from answers import Answers
from chunkrl.course.exercises.nb01 import fitted_q

ANSWERS = {
    "q1": Answers(
        equivalents=(
            "answer = 64 * 4 - 37",
            "answer = 219.0",
            "import numpy as np\n"
            "from chunkrl.course.worlds import support\n"
            'third = support.walk(support.START, "right*7 down*7")\n'
            "pairs = {(s, a) for path in (*support.logged_paths(), third)"
            " for s, a in zip(path.state, path.action)}\n"
            "answer = np.array([256 - len(pairs)])",
        ),
        near_misses=(218, 220, 219.5),
    ),
    "q2": Answers(
        equivalents=(
            "answer = 0.79",
            "cost = lambda steps: (1 - 0.9**steps) / (1 - 0.9)\nanswer = cost(18) - cost(14)",
        ),
        near_misses=(0.7, 0.8, 0.9),
    ),
    "q3": Answers(
        equivalents=("answer = -16.55", "answer = -(1 - 0.99**18) / (1 - 0.99)"),
        near_misses=(-16.0, -16.4, -17.0),
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
    "write": Answers(
        equivalents=(
            "from chunkrl.course.exercises.nb01 import fitted_q as answer",
            "def answer(q, state, action, reward, after, alive, discount, rounds):\n"
            "    for _ in range(rounds):\n"
            "        old = q.copy()\n"
            "        for s, a, r, to, on in zip(state, action, reward, after, alive):\n"
            "            q[s, a] = r + discount * max(old[to]) if on else r\n"
            "    return q",
        ),
        near_misses=(
            lambda q, state, action, reward, after, alive, discount, rounds: fitted_q(
                q, state, action, reward, after, alive, 0.99 * discount, rounds
            ),
        ),
    ),
}
