"""Exercises of notebook 11: targets that imagine before they trust a value."""

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, Number
from chunkrl.course.explorers.imagination import ANYWHERE, curves, errors


def expanded(rewards: np.ndarray, values: np.ndarray, discount: float) -> float:
    """sum_{k<H} gamma^k r_k + gamma^H V(s_H).  [H], [H + 1]"""
    steps = len(rewards)
    return float(rewards @ discount ** np.arange(steps) + discount**steps * values[-1])


def best_length(transitions: int, value_error: float) -> int:
    total, _, _ = curves(errors(0.9, transitions, ANYWHERE), value_error)
    return int(total.mean.argmin())


def chunk_return(rewards: np.ndarray, value: float, discount: float, chunk: int) -> float:
    """sum_{k<K} Gamma^k R_k + Gamma^K V with Gamma = gamma^h.  [K]"""
    return expanded(rewards, np.array([value]), discount**chunk)


def calls(steps: int, chunk: int, discount: float) -> tuple[float, float]:
    return steps / chunk, discount**steps


EXERCISES = (
    Exercise(
        id="11.q1",
        objective="You can write the target of an imagined rollout and say where it trusts what.",
        question=(
            "Write answer(rewards, values, discount): the target of the first state. rewards are "
            "the H imagined rewards, values the H + 1 values of the imagined states s_0 ... s_H."
        ),
        kind=Function(
            expanded,
            (
                (np.array([-1.0, -1.0, -1.0]), np.array([-5.0, -9.0, -2.0, -7.0]), 0.9),
                (np.array([0.0, 2.0]), np.array([1.0, 4.0, 3.0]), 0.5),
                (np.array([-1.0]), np.array([-20.0, -18.0]), 0.99),
            ),
        ),
        hints=(
            "How many rewards are imagined before a value is read, and which state is it the value "
            "of?",
            "sum_{k<H} gamma^k r_k + gamma^H V(s_H)",
            "def answer(rewards, values, discount):\n"
            "    H = len(rewards)\n"
            "    return sum(...) + discount**H * values[...]",
        ),
        solution=(
            "def answer(rewards, values, discount):\n"
            "    H = len(rewards)\n"
            "    return sum(discount**k * rewards[k] for k in range(H)) + discount**H * values[H]"
        ),
        misconceptions=(
            Misconception(
                lambda rewards, values, discount: (
                    rewards @ discount ** np.arange(len(rewards)) + discount * values[1]
                ),
                "This reads the value of the first imagined state, after one step, and then counts "
                "the rewards that follow it a second time. All H rewards are in the sum: the value "
                "is that of the last state.",
            ),
            Misconception(
                lambda rewards, values, discount: (
                    rewards @ discount ** np.arange(len(rewards)) + discount * values[-1]
                ),
                "The right state, but it is H steps away: gamma^H.",
            ),
            Misconception(
                lambda rewards, values, discount: (
                    rewards @ discount ** np.arange(len(rewards))
                    + discount ** len(rewards) * values[0]
                ),
                "values[0] is what the target is to correct; the rollout ends in s_H.",
            ),
            Misconception(
                lambda rewards, values, discount: rewards @ discount ** np.arange(len(rewards)),
                "Without a value at its end the task is over after H steps. What comes later must "
                "come from V(s_H).",
            ),
        ),
    ),
    Exercise(
        id="11.q2",
        objective="You can choose how far to imagine from the data and the value that you have.",
        question=(
            "The same lock and policy (q = 0.9), a value that is off by 5, and a model counted "
            "from 200 transitions that leads anywhere where it has no data. Which H gives the best "
            "target?"
        ),
        kind=Number(best_length(200, 5.0), 1e-9, "steps"),
        hints=(
            "More data than 100, fewer than 400. Set N in the explorer and move H, or open its "
            "data.",
            "The smallest total; it need not be where the two parts are equal.",
            'numbers = EXPLORERS["imagination"].numbers(transitions=...)\n'
            "answer = numbers.total....",
        ),
        solution=(
            "from chunkrl.course.explorers import EXPLORERS\n"
            'answer = EXPLORERS["imagination"].numbers(transitions=200).total.argmin()'
        ),
        misconceptions=(
            Misconception(
                best_length(100, 5.0),
                "This is the best H for 100 transitions. With twice the data the model may be "
                "trusted longer.",
            ),
            Misconception(
                best_length(400, 5.0),
                "This is the best H for 400 transitions. With half of the data the model errs "
                "sooner.",
            ),
            Misconception(
                80,
                "At 80 steps the value no longer matters, but the model does: look at the total "
                "there.",
            ),
            Misconception(
                0, "H = 0 returns the value itself, off by 5. A few imagined steps help."
            ),
        ),
    ),
    Exercise(
        id="11.q3",
        objective="You can count what a long rollout asks of a chunk model and of a value.",
        question=(
            "Write answer(steps, chunk, discount): how often a model of `chunk` steps is called "
            "for a rollout of `steps` steps, and by what the value at its end is multiplied. "
            "Return both, calls first. `chunk` divides `steps`."
        ),
        kind=Function(calls, ((100, 10, 0.999), (100, 1, 0.99), (30, 5, 0.9))),
        hints=(
            "One call moves `chunk` steps. The value at the end is `steps` steps away, whoever "
            "took them.",
            "steps / h calls; gamma^steps = (gamma^h)^calls",
            "def answer(steps, chunk, discount):\n    return ..., discount ** ...",
        ),
        solution=(
            "def answer(steps, chunk, discount):\n    return steps // chunk, discount**steps"
        ),
        misconceptions=(
            Misconception(
                lambda steps, chunk, discount: (steps / chunk, discount ** (steps / chunk)),
                "The calls are right. But time passes in steps: each call spans `chunk` of them, "
                "so the value is multiplied by gamma^steps.",
            ),
            Misconception(
                lambda steps, chunk, discount: (steps, discount**steps),
                "The discount is right. A chunk model moves `chunk` steps with one call.",
            ),
            Misconception(
                lambda steps, chunk, discount: (chunk, discount**steps),
                "The discount is right. The chunk is the length of one call, not their number.",
            ),
            Misconception(
                lambda steps, chunk, discount: (steps / chunk, discount**chunk),
                "gamma^h is the discount of one chunk; there are steps / h of them on the way.",
            ),
        ),
    ),
    Exercise(
        id="11.bug",
        objective="You can recognise a return over chunks that forgets how long a chunk is.",
        question=(
            "This return over K imagined chunks is wrong:\n\n"
            "    def chunk_return(rewards, value, discount, chunk):\n"
            "        total = value\n"
            "        for reward in rewards[::-1]:\n"
            "            total = reward + discount * total\n"
            "        return total\n\n"
            "rewards are the K rewards of whole chunks, value is that of the last state. Repair it "
            "and answer with the function."
        ),
        kind=Function(
            chunk_return,
            (
                (np.array([-9.6, -9.6, -4.9]), -30.0, 0.99, 10),
                (np.array([1.0, 0.0]), 4.0, 0.5, 2),
                (np.array([2.0]), 1.0, 0.9, 5),
            ),
        ),
        hints=(
            "How much time passes between two rewards of the sum?",
            "total <- R_k + gamma^h total",
            "def answer(rewards, value, discount, chunk):\n"
            "    total = value\n"
            "    for reward in rewards[::-1]:\n"
            "        total = reward + ... * total\n"
            "    return total",
        ),
        solution=(
            "def answer(rewards, value, discount, chunk):\n"
            "    total = value\n"
            "    for reward in rewards[::-1]:\n"
            "        total = reward + discount**chunk * total\n"
            "    return total"
        ),
        misconceptions=(
            Misconception(
                lambda rewards, value, discount, chunk: expanded(
                    rewards, np.array([value]), discount
                ),
                "gamma belongs to one step; between two of these rewards lie `chunk` steps.",
            ),
            Misconception(
                lambda rewards, value, discount, chunk: (
                    rewards.sum() + discount ** (chunk * len(rewards)) * value
                ),
                "The value is right, but the later rewards lie in the future as well.",
            ),
            Misconception(
                lambda rewards, value, discount, chunk: expanded(
                    rewards, np.array([value]), discount ** (1 / chunk)
                ),
                "This stretches time the wrong way: more steps discount more, gamma^h.",
            ),
            Misconception(
                lambda rewards, value, discount, chunk: (
                    discount**chunk * expanded(rewards, np.array([value]), discount**chunk)
                ),
                "The reward of the first chunk is earned now. Only what follows it is multiplied.",
            ),
        ),
    ),
)
