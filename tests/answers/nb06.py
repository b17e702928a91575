"""Other right answers, and wrong ones that are near, of notebook 06."""

import numpy as np

from answers import Answers
from chunkrl.course.exercises.nb06 import play

ANSWERS = {
    "q1": Answers(
        equivalents=(
            "answer = 1 / 16",
            "import numpy as np\nanswer = np.array([2.0 ** -(5 - 1)])",
            "from chunkrl.course.worlds.sides import no_switch\nanswer = no_switch(0.5, 5)",
            "import itertools\n"
            "runs = list(itertools.product('LR', repeat=5))\n"
            "answer = sum(len(set(run)) == 1 for run in runs) / len(runs)",
        ),
        near_misses=(0.0621, 0.064, 0.06),
    ),
    "q2": Answers(
        equivalents=(
            "answer = 5**0.5",
            "answer = 2.24",
            "from chunkrl.course.worlds.sides import World, displacement\n"
            "still = World(noise=0.0)\n"
            "answer = displacement(still, 5).spread / displacement(still, 1).spread",
        ),
        near_misses=(2.1, 2.25, 2.3),
    ),
    "q3": Answers(
        equivalents=(
            "answer = 3.0",
            "import numpy as np\n"
            "runs = [np.roll([s, 0, 0] * 4, i) for s in (-1, 1) for i in range(3)]\n"
            "def sure(k):\n"
            "    after = {}\n"
            "    for run in runs:\n"
            "        for t in range(3, 12):\n"
            "            after.setdefault(tuple(run[t - k : t]), set()).add(run[t])\n"
            "    return all(len(found) == 1 for found in after.values())\n"
            "answer = next(k for k in range(12) if sure(k))",
        ),
        near_misses=(2.9, 3.1, 5),
    ),
    "write": Answers(
        equivalents=(
            "from chunkrl.course.exercises.nb06 import play as answer",
            "import numpy as np\n"
            "def answer(propose, position, h, steps):\n"
            "    path = np.zeros((steps + 1, *position.shape))\n"
            "    path[0] = position\n"
            "    for t in range(steps):\n"
            "        if t % h == 0:\n"
            "            chunk = propose(path[t])\n"
            "        path[t + 1] = path[t] + chunk[t % h]\n"
            "    return path",
        ),
        near_misses=(
            lambda propose, position, h, steps: play(propose, position, h + 1, steps),
            lambda propose, position, h, steps: play(propose, position, h, steps)[1:],
        ),
    ),
    "bug": Answers(
        equivalents=(
            "def answer(chunk, dim):\n    return chunk.reshape(len(chunk) // dim, dim)",
            "import numpy as np\n"
            "answer = lambda chunk, dim: np.stack([chunk[i::dim] for i in range(dim)], axis=-1)",
            "def answer(chunk, dim):\n"
            "    return [chunk[i : i + dim].tolist() for i in range(0, len(chunk), dim)]",
            "import jax.numpy as jnp\n"
            "answer = lambda chunk, dim: jnp.asarray(chunk).reshape(-1, dim)",
        ),
        near_misses=(lambda chunk, dim: 1.001 * np.asarray(chunk).reshape(-1, dim),),
    ),
}
