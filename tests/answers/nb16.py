"""Other right answers, and wrong ones that are near, of notebook 16."""

from answers import Answers
from chunkrl.course.exercises.nb16 import coherency
from chunkrl.course.worlds.collecting import collect

ANSWERS = {
    "q1": Answers(
        equivalents=("answer = 11", "answer = '11.0'", "answer = 2.75 * 4"),
        near_misses=(10, 5.5, 11.5),
    ),
    "write": Answers(
        equivalents=(
            "import numpy as np\n"
            "def answer(env, choose, steps):\n"
            "    rows, obs, left = [], env.reset(), iter(())\n"
            "    while len(rows) < steps:\n"
            "        action = next(left, None)\n"
            "        if action is None:\n"
            "            left = iter(choose(obs))\n"
            "            continue\n"
            "        after, reward, solved, late = env.step(action)\n"
            "        rows.append([obs, action, reward, not solved, solved or late, after])\n"
            "        obs, left = (env.reset(), iter(())) if solved or late else (after, left)\n"
            "    return np.array(rows, float)",
        ),
        near_misses=(
            lambda env, choose, steps: collect(env, choose, steps - 1),
            lambda env, choose, steps: [
                (*row[:2], -1.0, *row[3:]) for row in collect(env, choose, steps)
            ],
        ),
    ),
    "q2": Answers(
        equivalents=("answer = 65", "answer = '65'", "answer = 65.0"),
        near_misses=(66, 80, 63),
    ),
    "q3": Answers(equivalents=("answer = 'B'", "answer = '(b)'")),
    "bug": Answers(
        equivalents=(
            "import numpy as np\n"
            "def answer(positions, terminal):\n"
            "    moves, first = [], 0\n"
            "    for end in [*(np.flatnonzero(terminal) + 1), len(positions)]:\n"
            "        notes = positions[first:end:5]\n"
            "        moves += [np.sqrt(((b - a) ** 2).sum()) for a, b in zip(notes, notes[1:])]\n"
            "        first = end\n"
            "    return sum(moves) / len(moves)",
        ),
        near_misses=(
            lambda positions, terminal: 1.01 * coherency(positions, terminal),
            lambda positions, terminal: coherency(positions[:, :2], terminal),
        ),
    ),
}
