"""Exercises of notebook 02: n-step targets, their error, and batches of episodes."""

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, Number
from chunkrl.course.worlds.returns import (
    A_B_EPISODES,
    batch_monte_carlo,
    batch_td,
    n_step_target,
    target_bias,
    target_variance,
)

N = np.arange(1, 21)
TOTAL = target_bias(N, 0.9, 2.0) ** 2 + target_variance(N, 0.9, 1.0) / 4
BEST = int(N[TOTAL.argmin()])


def target(reward: np.ndarray, value: float, discount: float) -> np.ndarray:
    return n_step_target(reward, np.asarray(value), discount)


def returns_to_go(reward: np.ndarray, discount: float) -> np.ndarray:
    """G_t = r_t + gamma G_{t+1}, and 0 after the last reward.  [T] -> [T]"""
    found, total = np.zeros(len(reward)), 0.0
    for t in reversed(range(len(reward))):
        found[t] = total = reward[t] + discount * total
    return found


def _forward(reward: np.ndarray, discount: float) -> np.ndarray:
    found, total = np.zeros(len(reward)), 0.0
    for t in range(len(reward)):
        found[t] = total = reward[t] + discount * total
    return found


def _ends(reward, n):
    return np.minimum(np.arange(len(reward)) + n, len(reward))


def episode_targets(reward, value, n, discount):
    """The n-step target of every step of an episode; windows that the end cuts are shorter.

    y_t = sum_{i<k} gamma^i r_{t+i} + gamma^k V(t+k), k = min(n, T - t).  [T], [T + 1] -> [T]
    """
    ends, power = _ends(reward, n), discount ** np.arange(len(reward) + 1)
    sums = np.concatenate([[0.0], np.cumsum(power[:-1] * reward)])
    return (sums[ends] - sums[:-1] + power[ends] * value[ends]) / power[:-1]


def one_discount(reward, value, n, discount):
    ends = _ends(reward, n)
    mended = (discount - discount ** (ends - np.arange(len(reward)))) * value[ends]
    return episode_targets(reward, value, n, discount) + mended


def state_before_the_end(reward, value, n, discount):
    return episode_targets(reward, np.append(value[0], value[:-1]), n, discount)


def plain_rewards(reward, value, n, discount):
    ends = _ends(reward, n)
    summed = np.array([reward[t:end].sum() for t, end in enumerate(ends)])
    return summed + discount ** (ends - np.arange(len(reward))) * value[ends]


def one_reward_too_many(reward, value, n, discount):
    return episode_targets(reward, value + np.append(reward, 0.0), n, discount)


EXERCISES = (
    Exercise(
        id="02.q1",
        objective="You can write the target of an n-step backup.",
        question=(
            "Write answer(reward, value, discount): the n-step target from the n rewards in "
            "`reward`, in order, and the `value` of the state after them."
        ),
        kind=Function(
            target,
            (
                (np.array([1.0, 2.0, 4.0]), 8.0, 0.5),
                (np.array([-1.0]), -3.0, 0.9),
                (np.array([0.0, -1.0, 0.5, 2.0, -1.0]), 10.0, 0.99),
            ),
        ),
        hints=(
            "The reward i steps later is worth discount**i now. How many steps later is `value`?",
            "r_0 + gamma r_1 + ... + gamma^(n-1) r_(n-1) + gamma^n V",
            "def answer(reward, value, discount):\n"
            "    n = len(reward)\n"
            "    return sum(... for i in range(n)) + ... * value",
        ),
        solution=(
            "def answer(reward, value, discount):\n"
            "    n = len(reward)\n"
            "    return sum(discount**i * reward[i] for i in range(n)) + discount**n * value"
        ),
        misconceptions=(
            Misconception(
                lambda reward, value, discount: reward @ discount ** np.arange(len(reward)) + value,
                "The rewards are right. The value is n steps away and needs its discount**n.",
            ),
            Misconception(
                lambda reward, value, discount: (
                    reward @ discount ** np.arange(len(reward)) + discount * value
                ),
                "The value is discounted as if it were one step away; it is n steps away.",
            ),
            Misconception(
                lambda reward, value, discount: (
                    reward @ discount ** np.arange(len(reward))
                    + discount ** (len(reward) - 1) * value
                ),
                "The last reward has discount**(n-1); the state after it is one step later.",
            ),
            Misconception(
                lambda reward, value, discount: reward.sum() + discount ** len(reward) * value,
                "The bootstrap is right. The reward i steps later needs discount**i, too.",
            ),
        ),
        why=(
            "Each step further into the future is one factor of discount, for rewards and for the "
            "value after them alike. Next: 02.write computes it for every step of an episode."
        ),
    ),
    Exercise(
        id="02.q2",
        objective="You can weigh the bias of a target against its variance.",
        question=(
            "The last value of a target is wrong by 2, rewards have noise of standard deviation 1, "
            "the discount is 0.9, and you average 4 targets. Which n from 1 to 20 makes bias "
            "squared + variance / 4 smallest?"
        ),
        kind=Number(BEST, 1e-9, "steps"),
        hints=(
            "Compute the total for n = 1 and n = 2. Which way does it go, and can it turn?",
            "total(n+1) - total(n) = gamma^(2n) [sigma^2/m - (1 - gamma^2) delta^2]",
            "total = target_bias(n, 0.9, 2.0) ** 2 + target_variance(n, 0.9, 1.0) / ...\n"
            "answer = n[total.argmin()]",
        ),
        solution=(
            "import numpy as np\n"
            "from chunkrl.course.worlds.returns import target_bias, target_variance\n"
            "n = np.arange(1, 21)\n"
            "total = target_bias(n, 0.9, 2.0) ** 2 + target_variance(n, 0.9, 1.0) / 4\n"
            "answer = n[total.argmin()]"
        ),
        misconceptions=(
            Misconception(
                1,
                "That is the best n for a single target: its variance outweighs the bias. With 4 "
                "targets averaged, the variance is a quarter of it.",
            ),
            Misconception(
                7,
                "Near here bias squared equals variance / 4. The sum of a falling and a rising "
                "curve need not be smallest where they cross: compare n = 7 with n = 8.",
            ),
            Misconception(
                19,
                "argmin counts from 0: the entry at index 19 belongs to n = 20.",
            ),
            Misconception(
                6,
                "Near here bias squared equals variance / 4, but their sum goes on falling: "
                "compare n = 6 with n = 7.",
            ),
        ),
        why=(
            "sigma^2 / m = 0.25 is less than (1 - gamma^2) delta^2 = 0.76, so each further step "
            "helps, however many there are. Next: with how many targets averaged does it turn?"
        ),
    ),
    Exercise(
        id="02.q3",
        objective="You can say what TD assumes that Monte Carlo does not.",
        question=(
            "Eight episodes: one goes A (reward 0), then B (reward 0), end. Six begin in B and "
            "end with reward 1; one begins in B and ends with reward 0. No discount. TD is "
            "repeated on this batch until nothing changes: which value does it give A?"
        ),
        kind=Number(batch_td(A_B_EPISODES)["A"], 0.001, "reward"),
        hints=(
            "What does TD copy into A, and from where? It never looks at the end of the episode.",
            "V(A) = 0 + V(B), and V(B) is the mean over all eight visits to B",
            "answer = batch_td(A_B_EPISODES)[...]",
        ),
        solution=(
            "from chunkrl.course.worlds.returns import A_B_EPISODES, batch_td\n"
            'answer = batch_td(A_B_EPISODES)["A"]'
        ),
        misconceptions=(
            Misconception(
                batch_monte_carlo(A_B_EPISODES)["A"],
                "That is Monte Carlo: the one return seen from A was 0. TD reads the value of B, "
                "to which the other seven episodes contributed.",
            ),
            Misconception(
                6 / 7,
                "This is B without the episode that came through A. TD merges all eight visits.",
            ),
            Misconception(
                0.375,
                "This is half way between Monte Carlo and TD. Repeated to the end, TD gets all "
                "the way.",
            ),
        ),
        why=(
            "TD fits the most likely world in which A always leads to B, and in it A is worth what "
            "B is. Next: which of the two answers predicts a ninth episode better, and what would "
            "you have to know to say so?"
        ),
    ),
    Exercise(
        id="02.bug",
        objective="You can recognise a return that looks back instead of ahead.",
        question=(
            "The return of a step is what comes after it. This function gives each step what came "
            "before it:\n\n"
            "    def returns(reward, discount):\n"
            "        found, total = np.zeros(len(reward)), 0.0\n"
            "        for t in range(len(reward)):\n"
            "            found[t] = total = reward[t] + discount * total\n"
            "        return found\n\n"
            "Repair it and answer with the function."
        ),
        kind=Function(
            returns_to_go,
            (
                (np.array([0.0, 0.0, 1.0]), 0.5),
                (np.array([-1.0, 2.0, -3.0, 4.0]), 0.9),
                (np.array([5.0]), 0.99),
            ),
        ),
        hints=(
            "A reward at the end must reach the first step. In which order must the loop run?",
            "G_t = r_t + gamma G_(t+1), with G = 0 after the last step",
            "for t in ...(range(len(reward))):\n"
            "    found[t] = total = reward[t] + discount * total",
        ),
        solution=(
            "import numpy as np\n"
            "def answer(reward, discount):\n"
            "    found, total = np.zeros(len(reward)), 0.0\n"
            "    for t in reversed(range(len(reward))):\n"
            "        found[t] = total = reward[t] + discount * total\n"
            "    return found"
        ),
        misconceptions=(
            Misconception(
                _forward,
                "The last step still carries the rewards of all earlier ones. Run the loop from "
                "the end.",
            ),
            Misconception(
                lambda reward, discount: returns_to_go(reward, discount)[::-1],
                "The numbers are right, in the wrong order: the return of the first step comes "
                "first.",
            ),
            Misconception(
                lambda reward, discount: _forward(reward, discount)[::-1],
                "Turning the output round does not turn the sum round: each number must be made "
                "of later rewards.",
            ),
            Misconception(
                lambda reward, discount: discount * returns_to_go(reward, discount),
                "Everything is multiplied by one discount too many: r_t itself is not discounted.",
            ),
        ),
        why=(
            "A return is a sum over what is still to come, so it is known at the end first. Next: "
            "the same loop with a value in the place of the first 0 is the n-step target."
        ),
    ),
    Exercise(
        id="02.write",
        objective="You can write the n-step targets of a whole episode, its end included.",
        question=(
            "Write targets(reward, value, n, discount): the n-step target of every step of an "
            "episode. `value` has one number more than `reward`: that of the end. A window that "
            "the end cuts is shorter."
        ),
        kind=Function(
            episode_targets,
            (
                (np.array([1.0, 2.0, 4.0]), np.array([5.0, 6.0, 7.0, 8.0]), 2, 0.5),
                (np.array([-1.0, -2.0, 3.0, 0.5]), np.array([3.0, -1.0, 2.0, 4.0, -6.0]), 3, 0.9),
                (np.array([-1.0, 2.0]), np.array([3.0, 1.0, -5.0]), 20, 0.9),
            ),
        ),
        hints=(
            "reward[t : t + n] is cut at the end by itself. How many rewards are left in it, and "
            "where does the window end?",
            "y_t = sum_{i<l} gamma^i r_{t+i} + gamma^l V(t+l), with l = min(n, T - t) left",
            "target = np.zeros(len(reward))\n"
            "for t in range(len(reward)):\n"
            "    seen = reward[t : t + n]\n"
            "    left = len(seen)\n"
            "    target[t] = ...\n"
            "return target",
        ),
        solution=(
            "import numpy as np\n"
            "def answer(reward, value, n, discount):\n"
            "    target = np.zeros(len(reward))\n"
            "    for t in range(len(reward)):\n"
            "        seen = reward[t : t + n]\n"
            "        left = len(seen)\n"
            "        target[t] = seen @ discount ** np.arange(left)\n"
            "        target[t] += discount**left * value[t + left]\n"
            "    return target"
        ),
        misconceptions=(
            Misconception(
                one_discount,
                "The value lies len(seen) steps ahead, and each of them is one factor of discount.",
            ),
            Misconception(
                state_before_the_end,
                "This reads the value of the last state inside the window. Its reward is counted "
                "already: read the state after it.",
            ),
            Misconception(
                plain_rewards, "The bootstrap is right; the reward i steps later needs discount**i."
            ),
            Misconception(
                one_reward_too_many,
                "One reward too many: the value at the end of the window has that step in it.",
            ),
        ),
        why=(
            "The same function is TD at n = 1 and Monte Carlo when n is as long as the episode. "
            "Next: notebook 04 asks what it computes when somebody else chose the actions."
        ),
    ),
)
