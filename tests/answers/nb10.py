"""Other right answers, and wrong ones that are near, of notebook 10."""

from answers import Answers
from chunkrl.course.exercises.nb10 import kept, rolled_out

ANSWERS = {
    "q1": Answers(
        equivalents=(
            "def answer(a, signal, noise, steps, h):\n"
            "    return (a**h / (1 + (noise / signal) ** 2)) ** (steps // h)",
            "def answer(a, s, n, steps, h):\n"
            "    state = 1.0\n"
            "    for _ in range(0, steps, h):\n"
            "        state *= a**h * (1 - n**2 / (s**2 + n**2))\n"
            "    return state",
        ),
        near_misses=(
            lambda a, signal, noise, steps, h: 1.001 * kept(a, signal, noise, steps, h),
            lambda a, signal, noise, steps, h: kept(a, signal, noise, steps + h, h),
        ),
    ),
    "q2": Answers(
        equivalents=("answer = 10.0", "import numpy as np\nanswer = np.array([10])"),
        near_misses=(2, 9.9, 20),
    ),
    "q3": Answers(
        equivalents=('answer = "A"', 'answer = " a "'),
    ),
    "bug": Answers(
        equivalents=(
            "import numpy as np\nanswer = lambda frames: np.moveaxis(frames, 0, 1)",
            "import numpy as np\n"
            "def answer(frames):\n"
            "    return np.stack([frames[:, n] for n in range(frames.shape[1])])",
        ),
        near_misses=(lambda frames: frames.swapaxes(0, 1) + 1e-3,),
    ),
    "write": Answers(
        equivalents=(
            "import numpy as np\n"
            "def answer(predict, start, actions, h):\n"
            "    runs, steps, width = actions.shape\n"
            "    found = [start]\n"
            "    for k in range(steps // h):\n"
            "        found += [predict(found[k], actions[:, k * h : k * h + h])]\n"
            "    return np.stack(found)",
            "import numpy as np\n"
            "from chunkrl.measure.drift import Segments, unroll\n"
            "answer = lambda predict, start, actions, h: unroll(\n"
            "    lambda s, a: predict(s, a.reshape(len(a), h, -1)),\n"
            "    Segments(start[:, None], actions), h)",
        ),
        near_misses=(
            lambda predict, start, actions, h: rolled_out(predict, 1.001 * start, actions, h),
            lambda predict, start, actions, h: rolled_out(predict, start, actions, h)[1:],
        ),
    ),
}
