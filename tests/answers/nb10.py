"""Other right answers, and wrong ones that are near, of notebook 10."""

from answers import Answers
from chunkrl.course.exercises.nb10 import slope

ANSWERS = {
    "q1": Answers(
        equivalents=(
            "def answer(a, signal, noise):\n    return a / (1 + (noise / signal) ** 2)",
            "answer = lambda a, s, n: a * (1 - n**2 / (s**2 + n**2))",
        ),
        near_misses=(lambda a, signal, noise: 1.001 * slope(a, signal, noise),),
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
}
