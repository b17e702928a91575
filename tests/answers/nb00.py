"""Other right answers, and wrong ones that are near, of notebook 00."""

from answers import Answers

ANSWERS = {
    "q1": Answers(
        equivalents=("answer = 112", "import numpy as np\nanswer = np.zeros((8, 2, 7)).size"),
        near_misses=(111, 113),
    ),
    "q2": Answers(
        equivalents=('answer = "A"',),
    ),
    "q3": Answers(
        equivalents=('answer = " B "',),
    ),
    "bug": Answers(
        equivalents=(
            "import math\nanswer = lambda steps, chunk: math.ceil(steps / chunk)",
            "def answer(steps, chunk):\n    return len(range(0, steps, chunk))",
        ),
        near_misses=(lambda steps, chunk: max(1, round(steps / chunk)),),
    ),
}
