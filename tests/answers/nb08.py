"""Other right answers, and wrong ones that are near, of notebook 08."""

from answers import Answers
from chunkrl.course.exercises.nb08 import blind, nested, regret

ANSWERS = {
    "q1": Answers(
        equivalents=(
            "answer = 0.48",
            "answer = 13 / 27",
            "from chunkrl.tabular.chunks import chunked\n"
            "from chunkrl.tabular.mdp import optimal\n"
            "from chunkrl.tabular.worlds import lock\n"
            "mdp = lock(3, 0.1, secret=5, discount=1 - 1e-9).mdp\n"
            "answer = optimal(mdp).value[0] - optimal(chunked(mdp, 3)).value[0]",
        ),
        near_misses=(0.4, 0.45, 0.5),
    ),
    "write": Answers(
        equivalents=(
            "from itertools import product\n"
            "import numpy as np\n"
            "def answer(P, r, h, gamma):\n"
            "    P_h, r_h = [], []\n"
            "    for chunk in product(range(P.shape[1]), repeat=h):\n"
            "        where, earned = np.eye(len(P)), 0\n"
            "        for i, a in enumerate(chunk):\n"
            "            earned = earned + gamma**i * where @ r[:, a]\n"
            "            where = where @ P[:, a]\n"
            "        P_h.append(where)\n"
            "        r_h.append(earned)\n"
            "    return np.stack(P_h, 1), np.stack(r_h, 1)",
            "from chunkrl.tabular.chunks import chunked\n"
            "from chunkrl.tabular.mdp import MDP\n"
            "answer = lambda P, r, h, gamma: chunked(MDP(P, r, gamma), h)[:2]",
        ),
        near_misses=(
            lambda P, r, h, gamma: (blind(P, r, h, gamma)[0], 1.001 * blind(P, r, h, gamma)[1]),
            lambda P, r, h, gamma: tuple(x[:, ::-1] for x in blind(P, r, h, gamma)),
        ),
    ),
    "q2": Answers(
        equivalents=(
            "from itertools import accumulate\n"
            "def answer(a, b):\n"
            "    looks = lambda p: {t for t in accumulate(p * 60) if t <= 60}\n"
            "    return looks(a) <= looks(b)",
            "import numpy as np\n"
            "def answer(a, b):\n"
            "    at = np.arange(1, sum(a) * sum(b) + 1)\n"
            "    looks = lambda p: np.isin(at % sum(p), np.cumsum(p) % sum(p))\n"
            "    return float((looks(a) & ~looks(b)).sum() == 0)",
        ),
        near_misses=(lambda a, b: nested(a, b) and a != b, lambda a, b: True),
    ),
    "q3": Answers(
        equivalents=(
            "answer = 0.129",
            "answer = 0.1288",
            "import numpy as np\n"
            "loss = np.array([0, 0.5162, 0.8522, 1.7809, 2.7062, 3.9573, 4.5581, 4.6278])\n"
            "eps = np.linspace(0, 0.3, 3001)\n"
            "lines = loss[:, None] + 2 / (1 - 0.99 ** np.arange(1, 9))[:, None] * eps\n"
            "answer = eps[lines.argmin(0) == 4].max()",
        ),
        near_misses=(0.131, 0.126, 0.1),
    ),
    "bug": Answers(
        equivalents=(
            "from chunkrl.tabular.chunks import chunked\n"
            "from chunkrl.tabular.mdp import optimal, policy_value\n"
            "answer = lambda mdp, h, Q: (\n"
            "    optimal(chunked(mdp, 1)).value - policy_value(chunked(mdp, h), Q.argmax(-1))\n"
            ")[0]",
        ),
        near_misses=(
            lambda mdp, h, Q: -regret(mdp, h, Q),
            lambda mdp, h, Q: 1.001 * regret(mdp, h, Q),
        ),
    ),
}
