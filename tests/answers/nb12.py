"""Other right answers, and wrong ones that are near, of notebook 12."""

from answers import Answers
from chunkrl.course.one_step import library_loss

ANSWERS = {
    "q1": Answers(
        equivalents=(
            "answer = 12",
            "from math import ceil, log\nanswer = 1 + ceil(log(0.9) / log(0.99))",
            "import numpy as np\n"
            "from chunkrl.course.exercises.nb12 import window_targets\n"
            "def target(solved, n):\n"
            "    reward, mask = -np.ones(n), np.ones(n)\n"
            "    reward[solved] = mask[solved] = 0\n"
            "    return window_targets(reward, mask, np.full(n + 1, -8), n, 0.99)[0]\n"
            "answer = next(n for n in range(2, 99) if target(0, n) - target(n - 1, n) >= 0.1)",
        ),
        near_misses=(10, 13, 12.5),
    ),
    "q2": Answers(
        equivalents=(
            "answer = 105",
            "answer = 20 * 8.3**2 / ((7 / 2.10) ** 2 * 5 - (10.5541**2 - 8.2999**2))",
            "from chunkrl.course.exercises.nb12 import reach\n"
            "answer = next(e for e in range(20, 999) if reach(e) <= 7)",
        ),
        near_misses=(80, 100, 120, 200),
    ),
    "q3": Answers(
        equivalents=("answer = 0.7", "answer = (0.6 - 0.4) * (7 - 3.5)", "answer = 5.6 - 4.9"),
        near_misses=(0.6, 0.75, 1.4),
    ),
    "write": Answers(
        equivalents=(
            "from chunkrl.course.one_step import library_loss as answer",
            "import jax\n"
            "def answer(nets, params, state, batch, noise):\n"
            "    fixed = jax.lax.stop_gradient(state)\n"
            "    after = nets.one_step(fixed.params.policy, batch.next_obs, noise.propose[0])\n"
            "    q = sum(nets.q(fixed.target_critic, batch.next_obs, after.clip(-1, 1))) / 2\n"
            "    y = batch.returns[:, -1] + nets.discount**nets.h * batch.mask[:, -1] * q\n"
            "    chunk = batch.action.reshape(len(batch.action), -1)\n"
            "    td = sum(((q - y) ** 2 * batch.valid[:, -1]).mean()\n"
            "             for q in nets.q(params.critic, batch.obs, chunk)) / 2\n"
            "    mine = nets.one_step(params.policy, batch.obs, noise.improve)\n"
            "    away = mine - nets.flow(fixed.params.policy, batch.obs, noise.improve)\n"
            "    value = nets.q(fixed.params.critic, batch.obs, mine.clip(-1, 1)).mean()\n"
            "    clone = nets.flow_loss(params.policy, batch, noise)\n"
            "    return td + clone + nets.alpha * (away**2).mean() - value",
        ),
        near_misses=(lambda *inputs: 1.001 * library_loss(*inputs),),
    ),
    "bug": Answers(
        equivalents=(
            "answer = -490",
            "answer = '-490.1'",
            "answer = 0.0\n"
            "for _ in range(3000):\n"
            "    answer = -sum(0.99**i for i in range(5)) + 0.99 * answer",
        ),
        near_misses=(-480, -495, -470),
    ),
}
