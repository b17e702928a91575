"""Other right answers, and wrong ones that are near, of notebook 05."""

import numpy as np

from answers import Answers
from chunkrl.course.exercises.nb05 import learn_and_act, left_between, sampled

ANSWERS = {
    "q1": Answers(
        equivalents=(
            "def answer(noise, x, t):\n"
            "    x_t = noise + t * (x - noise)\n"
            "    return [x_t, (x - x_t) / (1 - t)]",
            "from chunkrl.blocks import flow\n"
            "def answer(noise, x, t):\n"
            "    x_t = flow.interpolate(x, noise, t)\n"
            "    return x_t, flow.conditional_velocity(x_t, x, t)",
        ),
        near_misses=(
            lambda noise, x, t: np.stack([(1 - t) * noise + t * x, 1.001 * (x - noise)]),
            lambda noise, x, t: np.stack([(1 - t) * noise + t * x, (x - noise) / (1 - t)]),
        ),
    ),
    "q2": Answers(
        equivalents=(
            "answer = 0.055",
            "import numpy as np\n"
            "t = (np.arange(100_000) + 0.5) / 100_000\n"
            "answer = (0.07**2 / ((1 - t)**2 + t**2 * 0.07**2)).mean() / 2",
        ),
        near_misses=(0.053, 0.057, 0.14),
    ),
    "q3": Answers(
        equivalents=(
            "from chunkrl.course.worlds.flow_maps import NOISE, ends, share_between\n"
            "from chunkrl.course.worlds.mixtures import two_modes, velocity\n"
            "answer = lambda K: share_between(\n"
            "    NOISE, ends(velocity(two_modes(0.8, 0.1)), NOISE, K), -0.2, 0.2)",
            "import numpy as np\n"
            "from chunkrl.blocks.integrators import path\n"
            "from chunkrl.course.worlds.mixtures import two_modes, velocity\n"
            "noise = np.random.default_rng(0).standard_normal((40_000, 1))\n"
            "answer = lambda K: np.mean(\n"
            "    np.abs(path(velocity(two_modes(0.8, 0.1)), noise, K)[-1]) < 0.2)",
            *(
                "import numpy as np\n"
                "from chunkrl.blocks.integrators import path\n"
                "from chunkrl.course.worlds.mixtures import two_modes, velocity\n"
                f"noise = np.random.default_rng({seed}).standard_normal((10_000, 1))\n"
                "answer = lambda K: np.mean(\n"
                "    np.abs(path(velocity(two_modes(0.8, 0.1)), noise, K)[-1]) < 0.2)"
                for seed in range(1, 6)
            ),
        ),
        near_misses=(
            lambda steps: 1.2 * left_between(steps),
            lambda steps: left_between(steps + 1),
        ),
    ),
    "write": Answers(
        equivalents=(
            "from chunkrl.course.exercises.nb05 import learn_and_act as answer",
            "import jax.numpy as jnp\n"
            "from chunkrl.blocks import flow\n"
            "def answer(velocity, action, noise, t, steps):\n"
            "    error = flow.matching_error(velocity, action, noise, t)\n"
            "    for k in range(steps):\n"
            "        noise = noise + velocity(noise, jnp.full(t.shape, k / steps)) / steps\n"
            "    return error, noise",
        ),
        near_misses=(
            lambda *given: np.stack(learn_and_act(*given)[::-1]),
            lambda *given: 1.001 * np.stack(learn_and_act(*given)),
        ),
    ),
    "bug": Answers(
        equivalents=(
            "import numpy as np\n"
            "def answer(velocity, noise, steps):\n"
            "    x = noise\n"
            "    for t in np.linspace(0, 1, steps, endpoint=False):\n"
            "        x = x + velocity(x, np.full((len(x), 1), t)) / steps\n"
            "    return x",
            "from chunkrl.blocks.integrators import path\n"
            "answer = lambda velocity, noise, steps: path(velocity, noise, steps)[-1]",
        ),
        near_misses=(lambda velocity, noise, steps: 1.001 * sampled(velocity, noise, steps),),
    ),
}
