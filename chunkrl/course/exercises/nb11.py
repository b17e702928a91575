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


SHARED, WANTED, DISCOUNT = 5.0, 1.0, 0.99
NEEDED = int(np.ceil(np.log(WANTED / SHARED) / np.log(DISCOUNT)))
INDEPENDENT = int((curves(errors(0.9, 400, ANYWHERE), SHARED)[2] < WANTED).argmax())


def imagine(act, step, value, start, discount, H):
    """sum_{k<H} gamma^k r_k + gamma^H V(s_H) along a walk in the model.

    act(s) -> a, step(s, a) -> (r, s'), value(s); start [R] -> [R]
    """
    total, weight, state = 0.0, 1.0, start
    for _ in range(H):
        reward, state = step(state, act(state))
        total, weight = total + weight * reward, discount * weight
    return total + weight * value(state)


def one_discount(act, step, value, start, discount, H):
    rest = lambda state: value(state) * discount ** (min(H, 1) - H)
    return imagine(act, step, rest, start, discount, H)


def whole_rewards(act, step, value, start, discount, H):
    whole = imagine(act, step, lambda state: 0.0 * state, start, 1.0, H)
    reward_free = lambda state, action: (0.0, step(state, action)[1])
    return whole + imagine(act, reward_free, value, start, discount, H)


def trusts_the_start(act, step, value, start, discount, H):
    return imagine(act, step, lambda state: value(start), start, discount, H)


def one_plan(act, step, value, start, discount, H):
    first = act(start)
    return imagine(lambda state: first, step, value, start, discount, H)


def no_value(act, step, value, start, discount, H):
    return imagine(act, step, lambda state: 0.0 * state, start, discount, H)


def walk(state: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return -1.0 - 0.3 * state * action, 0.7 * state + action


STARTS = np.array([0.5, -1.0, 2.0])
WALKS = tuple(
    (lambda s: 0.4 - 0.5 * s, walk, lambda s: -8.0 + s**2, STARTS, 0.9, length)
    for length in (3, 1, 0, 6)
)


def chunk_return(rewards: np.ndarray, value: float, discount: float, chunk: int) -> float:
    """sum_{k<H} Gamma^k R_k + Gamma^H V with Gamma = gamma^h.  [H]"""
    return expanded(rewards, np.array([value]), discount**chunk)


def calls(steps: int, chunk: int, discount: float) -> tuple[float, float]:
    return steps / chunk, discount**steps


EXERCISES = (
    Exercise(
        id="11.q1",
        objective="You can say how much of a value's error is left after H imagined steps.",
        question=(
            "A task without end, discount 0.99, and a perfect model. The value is too high by 5, "
            "in every state alike. What is the smallest H with which the target is too high by "
            "less than 1?"
        ),
        kind=Number(NEEDED, 1e-9, "steps"),
        hints=(
            "The rewards on the way are right. What is the error at the end multiplied by?",
            "5 gamma^H < 1",
            "import math\nanswer = math.ceil(math.log(...) / math.log(0.99))",
        ),
        solution="import math\nanswer = math.ceil(math.log(1 / 5) / math.log(0.99))",
        misconceptions=(
            Misconception(
                NEEDED - 1, "After so many steps it is still a little above 1: put it in 5 gamma^H."
            ),
            Misconception(
                80,
                "This takes off 1% of the first 5 in every step. Each step takes 1% of what is "
                "left: 5 gamma^H.",
            ),
            Misconception(
                INDEPENDENT,
                "This is where the black curve of the figure falls below 1. Errors there are "
                "independent from place to place and average out; an error that all share does "
                "not.",
            ),
        ),
        why=(
            "A shared error passes through every average over states and shrinks by gamma alone. "
            "Next: in the figure, errors of single places average out, which is much faster."
        ),
    ),
    Exercise(
        id="11.q2",
        objective="You can choose how far to imagine from the data and the value that you have.",
        question=(
            "The same lock and policy (q = 0.9), a value that is off by 5, and a model counted "
            "from 200 transitions that leads anywhere where it has no data. Which H gives the best "
            "target? A neighbour is accepted: its error is 2% larger."
        ),
        kind=Number(best_length(200, 5.0), 1.0, "steps"),
        hints=(
            "More data than 100, fewer than 400. Set M in the explorer and move H, or open its "
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
        why=(
            "Model by model the neighbours are worse by five standard errors, and by so little "
            "that it does not matter: minima are flat. Next: what flattens or moves this one."
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
        why=(
            "Calls are what the model's errors count; steps are what the discount counts. Next: "
            "the bug, in which the two are mixed up."
        ),
    ),
    Exercise(
        id="11.bug",
        objective="You can recognise a return over chunks that forgets how long a chunk is.",
        question=(
            "This return over H imagined chunks is wrong:\n\n"
            "    def chunk_return(rewards, value, discount, chunk):\n"
            "        total = value\n"
            "        for reward in rewards[::-1]:\n"
            "            total = reward + discount * total\n"
            "        return total\n\n"
            "rewards are the H rewards of whole chunks, value is that of the last state. Repair it "
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
        why=(
            "A chunk is h steps of time, so one call discounts by gamma^h. Next: with the bug a "
            "value 100 steps away weighs 0.90 instead of 0.37, and is trusted that much more."
        ),
    ),
    Exercise(
        id="11.write",
        objective="You can write the target of an imagined rollout and say where it trusts what.",
        question=(
            "Write target(act, step, value, start, discount, H): play H steps of the model from "
            "`start` and return the discounted rewards plus the value of where they end. "
            "act(state) gives actions, step(state, action) gives (reward, next state)."
        ),
        kind=Function(imagine, WALKS),
        hints=(
            "Keep three things on the way: where you are, what was earned so far, and what a "
            "reward now weighs.",
            "sum_{k<H} gamma^k r_k + gamma^H V(s_H)",
            "total, weight, state = 0.0, 1.0, start\n"
            "for _ in range(H):\n"
            "    reward, state = step(state, ...)\n"
            "    total = total + ...\n"
            "    weight = ...\n"
            "return total + ...",
        ),
        solution=(
            "def answer(act, step, value, start, discount, H):\n"
            "    total, weight, state = 0.0, 1.0, start\n"
            "    for _ in range(H):\n"
            "        reward, state = step(state, act(state))\n"
            "        total = total + weight * reward\n"
            "        weight = discount * weight\n"
            "    return total + weight * value(state)"
        ),
        misconceptions=(
            Misconception(
                one_discount,
                "The value is that of a state H steps away: gamma^H, not gamma.",
            ),
            Misconception(
                whole_rewards, "The reward of step k lies k steps ahead: it weighs gamma^k."
            ),
            Misconception(
                trusts_the_start,
                "The value of the start is what the target is to correct. The rollout ends in "
                "s_H, and that state's value is read.",
            ),
            Misconception(
                one_plan,
                "The first action is repeated to the end. The policy is asked again in every "
                "imagined state.",
            ),
            Misconception(
                no_value,
                "Without a value at its end the task is over after H steps. What comes later must "
                "come from V(s_H).",
            ),
        ),
        why=(
            "It asks the model H times and the value once, of a state that the model made up. "
            "Next: notebook 13 does this with networks, and puts the simulator in the model's "
            "place."
        ),
    ),
)
