"""Exercises of notebook 13: targets and true values of an agent on a robot."""

from collections.abc import Callable

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, Number
from chunkrl.course.explorers.robot_values import DEEPEST, errors, record

Map = Callable[..., float]


def wired(
    obs: float,
    act: Map,
    predict: Map,
    reward: Map,
    value: Map,
    discount: float,
    chunk: int,
    depth: int,
) -> float:
    """sum_{k<H} gamma^{kh} R(s_k, a_k) + gamma^{Hh} V(s_H), s_{k+1} = predict(s_k, a_k)."""
    total, left = 0.0, 1.0
    for _ in range(depth):
        action = act(obs)
        total += left * reward(obs, action)
        obs, left = predict(obs, action), left * discount**chunk
    return total + left * value(obs)


def _per_chunk(obs, act, predict, reward, value, discount, chunk, depth):
    return wired(obs, act, predict, reward, value, discount, 1, depth)


def _trusts_the_start(obs, act, predict, reward, value, discount, chunk, depth):
    end = discount ** (chunk * depth)
    rest = wired(obs, act, predict, reward, lambda s: 0.0, discount, chunk, depth)
    return rest + end * value(obs)


def _stands_still(obs, act, predict, reward, value, discount, chunk, depth):
    return wired(obs, act, lambda s, a: obs, reward, value, discount, chunk, depth)


def _rewards_the_next(obs, act, predict, reward, value, discount, chunk, depth):
    late = lambda s, a: reward(predict(s, a), a)
    return wired(obs, act, predict, late, value, discount, chunk, depth)


def _one_plan(obs, act, predict, reward, value, discount, chunk, depth):
    first = act(obs)
    return wired(obs, lambda s: first, predict, reward, value, discount, chunk, depth)


# Three small worlds: a policy, a model, a reward and a value that are all different.
WORLDS = (
    (
        2.0,
        lambda s: -0.5 * s,
        lambda s, a: s + 0.9 * a + 0.1,
        lambda s, a: -s - 0.3 * a,
        lambda s: -4.0 * s,
        0.9,
        5,
        3,
    ),
    (
        1.0,
        lambda s: 1.0 - s * s,
        lambda s, a: 0.8 * s + a,
        lambda s, a: s * a - 2.0,
        lambda s: -20.0 + s,
        0.99,
        10,
        2,
    ),
    (-1.0, lambda s: s, lambda s, a: s - 0.2 * a, lambda s, a: a, lambda s: 7.0 * s, 0.95, 4, 1),
)


def off_by(value: float, rewards: np.ndarray, discount: float, chunk: int) -> float:
    """h V - sum_t gamma^t r_t: MAC's V is of rewards divided by h.  [T]"""
    return chunk * value - float(rewards @ discount ** np.arange(len(rewards)))


def _cut(discount: float, most: float) -> int:
    """The fewest steps after which rewards in [-1, 0] are worth at most `most` together."""
    return int(np.ceil(np.log(most * (1 - discount)) / np.log(discount)))


LONG_ENOUGH = _cut(0.98, 0.5)

FOUND = record()
CHUNKED, SINGLE = (  # of the model that the explorer starts with, and of single steps
    errors(FOUND, int(steps), int(FOUND.candidates.max()))
    for steps in (FOUND.steps[0], FOUND.steps.min())
)
BEST = int(SINGLE.total.rms.argmin())
TOLERANCE = 1.0


def _wrong(*misconceptions: Misconception) -> tuple[Misconception, ...]:
    """Those that the measurement does not make right, nor the same as an earlier one."""
    found: dict[float, Misconception] = {}
    for misconception in misconceptions:
        if abs(misconception.answer - BEST) > TOLERANCE:
            found.setdefault(misconception.answer, misconception)
    return tuple(found.values())


EXERCISES = (
    Exercise(
        id="13.q1",
        objective="You can say how long a rollout must be for its mean to stand for a value.",
        question=(
            "A reward lies between -1 and 0, the discount is 0.98. After how many steps T may a "
            "rollout be cut, at the earliest, so that its return is off by at most 0.5?"
        ),
        kind=Number(LONG_ENOUGH, 1e-9, "steps"),
        hints=(
            "What is cut off is less than all rewards from step T on being -1.",
            "gamma^T / (1 - gamma) <= 0.5",
            "import numpy as np\nanswer = np.ceil(np.log(0.5 * ...) / np.log(...))",
        ),
        solution="import numpy as np\nanswer = np.ceil(np.log(0.5 * 0.02) / np.log(0.98))",
        misconceptions=(
            Misconception(
                _cut(0.98, 0.5 / (1 - 0.98)),
                "This is where a *single* reward counts less than 0.5. All that come after it "
                "count together: gamma^T / (1 - gamma).",
            ),
            Misconception(
                LONG_ENOUGH - 1, "Just too early: gamma^T / (1 - gamma) is still above 0.5 there."
            ),
            Misconception(
                _cut(0.99, 0.5), "That is for a discount of 0.99, the notebook's. Here it is 0.98."
            ),
            Misconception(
                500, "That is the stored measurement's. Solve gamma^T / (1 - gamma) <= 0.5 for T."
            ),
        ),
        why=(
            "The rest of a geometric series bounds what nobody waited for, so a cut needs no "
            "apology, only a number. Next: what would the bound be for a reward of unknown size?"
        ),
    ),
    Exercise(
        id="13.q2",
        objective="You can count what a rollout costs, and how often its model is trusted.",
        question=(
            "A target imagines 100 steps of the robot in chunks of h = 10, and in each imagined "
            "state the critic picks the best of N = 32 chunks. How often is the dynamics model "
            "called for this one target?"
        ),
        kind=Number(10.0, 1e-9, "calls"),
        hints=(
            "Which network looks at all 32 candidates?",
            "One call for each imagined chunk.",
            "answer = steps / ...",
        ),
        solution="answer = 100 / 10",
        misconceptions=(
            Misconception(
                100, "That is a model of single steps. A chunk model jumps over h = 10 of them."
            ),
            Misconception(
                320,
                "The critic scores the candidates in the state where they start; only the one that "
                "it picks is imagined.",
            ),
            Misconception(11, "In the last state only the value is read: ten jumps lead to it."),
            Misconception(
                3200, "The critic looks at the candidates, not the model, and a chunk is one call."
            ),
        ),
        why=(
            "Candidates cost calls of policy and critic, not of the model: ten chances to drift. "
            "Next: a model of single steps is asked 100 times on the same way."
        ),
    ),
    Exercise(
        id="13.q3",
        objective="You can choose how far to imagine from a measurement, and say what it rests on.",
        question=(
            "Give the explorer the model of single steps (N = 32), and pick the H from 0 to 20 "
            "that gives the best targets; a neighbour is accepted. Then defend your H: against "
            "somebody who wants to imagine to the end, and against somebody who wants to trust "
            "the value."
        ),
        kind=Number(float(BEST), TOLERANCE, "chunks"),
        hints=(
            "The total decides, not one of its parts.",
            "argmin over H of the root mean square error",
            'numbers = EXPLORERS["robot_values"].numbers(steps="1")\n'
            "answer = numbers.errors....rms.argmin()",
        ),
        solution=(
            "from chunkrl.course.explorers import EXPLORERS\n"
            'numbers = EXPLORERS["robot_values"].numbers(steps="1")\n'
            "answer = numbers.errors.total.rms.argmin()"
        ),
        why=(
            "The value's part has shrunk and the model's has not yet grown; asked for one by one, "
            "the three seeds answer 4, 4 and 5. With the chunk model they answer 10, 20 and 13: "
            "there the best H is luck."
        ),
        misconceptions=_wrong(
            Misconception(
                DEEPEST,
                "At the far end hardly anything of the value is left, but the model's errors have "
                "added up: read the total there.",
            ),
            Misconception(
                0, "H = 0 is the value network itself, with all of its error: read the total there."
            ),
            Misconception(
                int(CHUNKED.total.rms.argmin()),
                "So far the model of whole chunks may be trusted. The one of single steps is "
                "called on its own answers ten times as often.",
            ),
        ),
    ),
    Exercise(
        id="13.bug",
        objective="You can compare a value with a measured return in the same units.",
        question=(
            "This function compares MAC's value with the rewards of a real rollout. MAC's code "
            "gives a chunk the mean over its h steps of the discounted rewards, not their sum. For "
            "a perfect value the function reports a large error:\n\n"
            "    def off_by(value, rewards, discount, chunk):\n"
            "        truth = sum(discount**t * r for t, r in enumerate(rewards))\n"
            "        return value - truth\n\n"
            "Repair it so that it answers in rewards of the task, and answer with the function."
        ),
        kind=Function(
            off_by,
            (
                (-3.0, np.full(40, -1.0), 0.99, 10),
                (-2.5, np.array([-1.0, -1.0, -1.0, 0.0, 0.0]), 0.9, 5),
                (0.0, np.zeros(4), 0.99, 2),
            ),
        ),
        hints=(
            "A perfect value of a robot that never succeeds at gamma = 0.99: is it -100 or -10?",
            "V_MAC = (1/h) sum_t gamma^t r_t",
            "def answer(value, rewards, discount, chunk):\n"
            "    truth = sum(discount**t * r for t, r in enumerate(rewards))\n"
            "    return ... * value - truth",
        ),
        solution=(
            "def answer(value, rewards, discount, chunk):\n"
            "    truth = sum(discount**t * r for t, r in enumerate(rewards))\n"
            "    return chunk * value - truth"
        ),
        misconceptions=(
            Misconception(
                lambda value, rewards, discount, chunk: (
                    value - rewards @ discount ** np.arange(len(rewards))
                ),
                "The value still counts a tenth (1/h) of each reward, the truth all of it.",
            ),
            Misconception(
                lambda value, rewards, discount, chunk: (
                    value - rewards @ discount ** np.arange(len(rewards)) / chunk
                ),
                "Consistent, but in MAC's units: an error of 1 here is an error of h in the task's "
                "rewards, which is what was asked for.",
            ),
            Misconception(
                lambda value, rewards, discount, chunk: (
                    value - chunk * (rewards @ discount ** np.arange(len(rewards)))
                ),
                "This makes the gap larger: it is the value that is h times too small.",
            ),
            Misconception(
                lambda value, rewards, discount, chunk: (
                    chunk * value - rewards @ discount ** (np.arange(len(rewards)) // chunk * chunk)
                ),
                "The value is scaled rightly, but inside a chunk each reward has its own discount "
                "gamma^t.",
            ),
        ),
        why=(
            "-10 times 10 is -100, what a robot earns that never succeeds. Two numbers can be "
            "compared only in one unit: ask it of every value that you plot beside a return."
        ),
    ),
    Exercise(
        id="13.write",
        objective="You can write an imagined return and put it to use.",
        question=(
            "Write answer(obs, act, predict, reward, value, discount, chunk, depth): the target of "
            "`depth` imagined chunks. act(s) is a chunk, predict(s, a) the state after it, "
            "reward(s, a) the discounted rewards inside it, value(s) the network; `chunk` is h."
        ),
        kind=Function(wired, WORLDS),
        hints=(
            "A loop with three things to keep: where the model is, what was earned, and how much a "
            "reward counts now.",
            "T = sum_{k<H} gamma^{kh} R(s_k, a_k) + gamma^{Hh} V(s_H),  s_{k+1} = predict(s_k, "
            "a_k)",
            "def answer(obs, act, predict, reward, value, discount, chunk, depth):\n"
            "    total, left = 0.0, 1.0\n"
            "    for _ in range(depth):\n"
            "        action = ...\n"
            "        total += left * ...\n"
            "        obs, left = ..., left * ...\n"
            "    return total + left * ...",
        ),
        solution=(
            "def answer(obs, act, predict, reward, value, discount, chunk, depth):\n"
            "    total, left = 0.0, 1.0\n"
            "    for _ in range(depth):\n"
            "        action = act(obs)\n"
            "        total += left * reward(obs, action)\n"
            "        obs, left = predict(obs, action), left * discount**chunk\n"
            "    return total + left * value(obs)"
        ),
        misconceptions=(
            Misconception(
                _per_chunk, "A chunk lasts h steps: what comes after it counts gamma^h, not gamma."
            ),
            Misconception(
                _trusts_the_start,
                "The value at the end is read in the state that the target was to correct. It is "
                "the last imagined state that has to be looked up.",
            ),
            Misconception(
                _stands_still,
                "The model is asked but its answer is not kept: every chunk starts from the real "
                "state again.",
            ),
            Misconception(
                _rewards_the_next,
                "reward(s, a) wants the state in which the chunk begins: ask it before the state "
                "moves on.",
            ),
            Misconception(
                _one_plan,
                "The first chunk is repeated. The policy is asked anew in every imagined state.",
            ),
        ),
        why=(
            "Each chunk postpones the value by gamma^h and trusts the model once more, which is "
            "all that the two parts of a target's error are. Next: let the model be stuck at 6 cm "
            "and look for the H that is least wrong."
        ),
    ),
)
