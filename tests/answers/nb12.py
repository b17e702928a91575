"""Other right answers, and wrong ones that are near, of notebook 12."""

import numpy as np

from answers import Answers
from chunkrl.course.exercises.nb12 import planned_at

ANSWERS = {
    "q1": Answers(
        equivalents=(
            "answer = -(1 + 0.99 + 0.99**2 + 0.99**4)",
            "import numpy as np\nanswer = np.float32(-3.9307)",
        ),
        near_misses=(-3.94, -3.92, -3.8),
    ),
    "q2": Answers(
        equivalents=("answer = 80.0", "import numpy as np\nanswer = np.array(80)"),
        near_misses=(79.0, 81.0, 75.0),
    ),
    "q3": Answers(
        equivalents=('answer = "B"', 'answer = "b "'),
    ),
    "bug": Answers(
        equivalents=(
            "import numpy as np\n"
            "def answer(ends, h):\n"
            "    start = 0\n"
            "    out = np.zeros(len(ends))\n"
            "    for t, end in enumerate(ends):\n"
            "        out[t] = start + (t - start) // h * h\n"
            "        if end:\n"
            "            start = t + 1\n"
            "    return out",
        ),
        near_misses=(lambda ends, h: planned_at(np.append(0, ends[:-1]), h),),
    ),
}
