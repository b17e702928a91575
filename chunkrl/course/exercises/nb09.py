"""Exercises of notebook 09: chunks logged by somebody who looked."""

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, Number
from chunkrl.course.worlds.luck import claim, no_slip
from chunkrl.tabular.bounds import learned_chunks
from chunkrl.tabular.chunks import chunked, logged
from chunkrl.tabular.mdp import optimal, policy_value
from chunkrl.tabular.worlds import lock

LUCK = no_slip(lock(24, slip=0.1, skill=0.9), 4)
BOTH = 0.9**4 * 0.9**4  # the right actions are chosen, and none slips

CLUMSY = lock(24, slip=0.1, skill=0.7)
BEST, CLAIMED, OBTAINED, _ = (float(v[0]) for v in learned_chunks(CLUMSY.mdp, CLUMSY.behaviour, 5))
BLIND = float(optimal(chunked(CLUMSY.mdp, 5)).value[0])


def gap(slip: float, h: int, blind: bool) -> float:
    """Claimed minus obtained at the start; `blind`: the same chunks, as often, but typed blind."""
    world = lock(24, slip)
    behaviour = logged(world.mdp, world.behaviour, h).frequency if blind else world.behaviour
    learned = learned_chunks(world.mdp, behaviour, h)
    return float((learned.claimed - learned.obtained)[0])


def gaps(slip: float, h: int) -> np.ndarray:
    """The gap of the log of somebody who looks, and of its chunks replayed blind.  -> [2]"""
    return np.array([gap(slip, h, False), gap(slip, h, True)])


def obtained(slip: float, h: int) -> float:
    """What the greedy chunks of the log obtain from the start when they are executed."""
    world = lock(24, slip)
    return float(learned_chunks(world.mdp, world.behaviour, h).obtained[0])


def part(name: str):
    """The answer that gives another part of `learned_chunks`."""

    def answer(slip: float, h: int) -> float:
        world = lock(24, slip)
        return float(getattr(learned_chunks(world.mdp, world.behaviour, h), name)[0])

    return answer


def best_blind(slip: float, h: int) -> float:
    """The value of the best chunks, had they been known."""
    return float(optimal(chunked(lock(24, slip).mdp, h)).value[0])


def executed(chunk, start, value, transition, reward, behaviour, discount):
    """What typing the chunk blind does: nobody chose anything on the way."""
    return claim(chunk, start, value, transition, reward, np.ones_like(behaviour), discount)


def undivided(chunk, start, value, transition, reward, behaviour, discount):
    """Weighted by how often the chunk is logged, but not divided by it."""
    weight = (np.arange(len(value)) == start).astype(float)
    for action in chunk:
        weight = (weight * behaviour[:, action]) @ transition[:, action]
    said = claim(chunk, start, value, transition, reward, behaviour, discount)
    return float(said * weight.sum())


def one_discount(chunk, start, value, transition, reward, behaviour, discount):
    ahead = value * discount ** (1 - len(chunk))
    return claim(chunk, start, ahead, transition, reward, behaviour, discount)


def last_unseen(chunk, start, value, transition, reward, behaviour, discount):
    """The bug: the weight of a cell is asked after the step, where the operator stands then."""
    weight, earned = (np.arange(len(value)) == start).astype(float), np.zeros(len(value))
    for i, action in enumerate(chunk):
        earned = (earned + discount**i * reward[:, action] * weight) @ transition[:, action]
        weight = weight @ transition[:, action]
        earned, weight = earned * behaviour[:, action], weight * behaviour[:, action]
    return float((earned + discount ** len(chunk) * value * weight).sum() / weight.sum())


def claim_cases() -> tuple[tuple, ...]:
    """Chunks from cells of small locks, with some value of what comes after."""
    found = []
    for length, slip, skill, chunk, start in (
        (4, 0.2, 0.9, (1, 1, 1), 0), (5, 0.4, 0.7, (1, 0), 2), (4, 0.1, 0.8, (0, 1, 1, 0), 1)
    ):  # fmt: skip
        mdp, behaviour, _ = lock(length, slip, skill, discount=0.9)
        value = -np.linspace(length, 0.0, length + 1)
        found.append((np.array(chunk), start, value, *mdp[:2], behaviour, 0.9))
    return tuple(found)


SKILLED = lock(24, slip=0.1, skill=0.9)
SHOWN = lock(24, slip=0.2, skill=0.9)


def shown_gap(world, h: int) -> float:
    found = learned_chunks(world.mdp, world.behaviour, h)
    return float((found.claimed - found.obtained)[0])


IMPORTS = (
    "from chunkrl.tabular.chunks import chunked, logged\n"
    "from chunkrl.tabular.mdp import optimal, policy_value\n"
    "from chunkrl.tabular.worlds import lock\n"
)

EXERCISES = (
    Exercise(
        id="09.q1",
        objective="You can say what a logged chunk tells about the luck on the way.",
        question=(
            "The lock slips with probability 0.1; the demonstrator looks and is right with "
            "probability 0.9. The right actions of the first four cells are 1, 1, 1, 0. Of all "
            "logged chunks from the start that read 1, 1, 1, 0: in which share did nothing slip?"
        ),
        kind=Number(LUCK.logged, 0.006),
        hints=(
            "Bayes' rule. How often is the chunk logged with no slip, and how often at all?",
            "P(no slip | chunk) = ((1 - p) q)^4 / P_D(chunk)",
            "data = logged(world.mdp, world.behaviour, 4)\n"
            "answer = (0.9 * 0.9) ** 4 / data.frequency[0, chunk_index(np.array([1, 1, 1, 0]), 2)]",
        ),
        solution=(
            "import numpy as np\n"
            "from chunkrl.tabular.chunks import chunk_index, logged\n"
            "from chunkrl.tabular.worlds import lock\n"
            "world = lock(24, slip=0.1, skill=0.9)\n"
            "seen = logged(world.mdp, world.behaviour, 4).frequency[0]\n"
            "answer = (0.9 * 0.9) ** 4 / seen[chunk_index(np.array([1, 1, 1, 0]), 2)]"
        ),
        misconceptions=(
            Misconception(
                LUCK.executed,
                "This is (1 - p)^4: what happens when the chunk is executed. That it was logged to "
                "the end by somebody who looked makes a slip less likely.",
            ),
            Misconception(
                BOTH,
                "This is how often no slip *and* this chunk occur. Divide by how often the chunk "
                "occurs at all.",
            ),
            Misconception(
                BOTH / LUCK.logged,
                "This is P_D(chunk), how often the chunk is logged. In which share of those logs "
                "did nothing slip?",
            ),
            Misconception(1 - LUCK.logged, "This is the share with a slip."),
            Misconception(
                1.0,
                "Not all slips show: one at the last press comes too late to be seen, and after an "
                "earlier one the demonstrator may still press 0, by mistake.",
            ),
        ),
        why=(
            "Bayes' rule: the chunk was logged to its end mostly where nothing slipped. Executed, "
            "it "
            "is (1 - p)^4 = 0.66; the difference is what the critic takes for the chunk's merit."
        ),
    ),
    Exercise(
        id="09.q2",
        objective="You can compute what a chunk critic claims and what its chunks obtain.",
        question=(
            "Slip 0.1, skill 0.7, chunks of 5: by how much does the critic's claim for the start "
            "exceed what its best chunks obtain when they are executed?"
        ),
        kind=Number(CLAIMED - OBTAINED, 0.006, "reward"),
        hints=(
            "Two MDPs: the one that the log describes, and the one in which chunks are executed. "
            "One chooses, both judge.",
            "V_claimed(start) - V_obtained(start), the second of the first one's greedy chunks",
            "claimed = optimal(logged(...).mdp)\n"
            "answer = claimed.value[0] - policy_value(chunked(...), claimed.choice)[0]",
        ),
        solution=(
            f"{IMPORTS}"
            "world = lock(24, slip=0.1, skill=0.7)\n"
            "claimed = optimal(logged(world.mdp, world.behaviour, 5).mdp)\n"
            "answer = claimed.value[0] - policy_value(chunked(world.mdp, 5), claimed.choice)[0]"
        ),
        misconceptions=(
            Misconception(
                CLAIMED - BEST,
                "This compares the claim with V*. Here the claim is below V*, and still too high: "
                "compare it with what is obtained.",
            ),
            Misconception(
                BEST - OBTAINED,
                "This is what is lost against V*. How much of what was *claimed* is missing?",
            ),
            Misconception(
                CLAIMED - BLIND,
                "These are the best chunks there are. The critic picks others, because it believes "
                "its log.",
            ),
            Misconception(OBTAINED - CLAIMED, "The size is right; the claim is the larger one."),
            Misconception(CLAIMED, "This is the claim. Take off what is obtained."),
            Misconception(
                OBTAINED, "This is what is obtained. By how much does the claim exceed it?"
            ),
            Misconception(
                shown_gap(SKILLED, 5), "This is skill 0.9. Here it is 0.7: lock(24, slip, skill)."
            ),
            Misconception(
                shown_gap(SHOWN, 8), "This is the lock above: slip 0.2, skill 0.9, chunks of 8."
            ),
            Misconception(
                BLIND - OBTAINED,
                "This is what the best chunks would obtain beyond the chosen ones. What did the "
                "critic *claim* for the chosen ones?",
            ),
        ),
        why=(
            "The log's world chooses the chunks and claims; the world of executed chunks judges "
            "them. "
            "The claim is below V* here, so that comparing with V* alone would have missed it."
        ),
    ),
    Exercise(
        id="09.q3",
        objective="You can show that the lie is in how the chunks were logged, not in the critic.",
        question=(
            "Write answer(slip, h) for the lock of 24 cells, skill 0.9. It returns two numbers, "
            "each a claim for the start minus what the greedy chunks obtain: first from the log of "
            "the demonstrator who looks, then from a log in which the same chunks, as often, were "
            "chosen at their start and typed blind."
        ),
        kind=Function(gaps, ((0.1, 4), (0.3, 2), (0.2, 6))),
        hints=(
            "logged(mdp, behaviour, h) reads from the shape of `behaviour` whether it looks [S, A] "
            "or types whole chunks [S, A^h].",
            "logged(mdp, behaviour, h).frequency is P_D(chunk | s): a policy over chunks.",
            "def answer(slip, h):\n    world = lock(24, slip)\n    looks = logged(...)\n"
            "    blind = logged(world.mdp, looks.frequency, h)\n    return gap(looks), gap(blind)",
        ),
        solution=(
            f"{IMPORTS}"
            "def answer(slip, h):\n"
            "    world = lock(24, slip)\n"
            "    looks = logged(world.mdp, world.behaviour, h)\n"
            "    blind = logged(world.mdp, looks.frequency, h)\n"
            "    gaps = []\n"
            "    for data in (looks, blind):\n"
            "        claimed = optimal(data.mdp)\n"
            "        obtained = policy_value(chunked(world.mdp, h), claimed.choice)\n"
            "        gaps.append(claimed.value[0] - obtained[0])\n"
            "    return gaps"
        ),
        misconceptions=(
            Misconception(
                lambda slip, h: np.repeat(gap(slip, h, False), 2),
                "Both logs are those of somebody who looks. Give `logged` the probabilities of "
                "whole chunks, [S, A^h], for the second.",
            ),
            Misconception(
                lambda slip, h: np.zeros(2),
                "The first gap is not zero. Is what is obtained computed in the MDP that executes "
                "chunks, chunked(mdp, h), or in the one that the log describes?",
            ),
            Misconception(
                lambda slip, h: gaps(slip, h)[::-1],
                "Both numbers are right, in the other order: first the demonstrator who looks.",
            ),
            Misconception(
                lambda slip, h: -gaps(slip, h), "Claimed minus obtained: the first gap is positive."
            ),
        ),
        why=(
            "With the same chunks, as often, but typed blind, conditioning is intervening, and the "
            "gap is gone to the last digit. Next: who types blind? Ask about Q-chunking's own data."
        ),
    ),
    Exercise(
        id="09.bug",
        objective="You can recognise an evaluation that asks the log that taught the lie.",
        question=(
            "This should say what the critic's best chunks obtain on the lock:\n\n"
            "    def obtained(slip, h):\n"
            "        world = lock(24, slip)\n"
            "        data = logged(world.mdp, world.behaviour, h).mdp\n"
            "        return policy_value(data, optimal(data).choice)[0]\n\n"
            "It always agrees with the critic. Repair it and answer with the function."
        ),
        kind=Function(obtained, ((0.1, 4), (0.3, 2), (0.2, 8))),
        hints=(
            "Where do the two laws of `data` come from? Would they change if the robot did not "
            "look?",
            "V^pi in the MDP of executed chunks, chunked(mdp, h), for the pi that is greedy in the "
            "log's",
            "choice = optimal(data).choice\nreturn policy_value(..., choice)[0]",
        ),
        solution=(
            f"{IMPORTS}"
            "def answer(slip, h):\n"
            "    world = lock(24, slip)\n"
            "    data = logged(world.mdp, world.behaviour, h).mdp\n"
            "    return policy_value(chunked(world.mdp, h), optimal(data).choice)[0]"
        ),
        misconceptions=(
            Misconception(
                part("claimed"),
                "This is the claim again: the chunks are judged by the log that they were chosen "
                "by. Execute them: chunked(world.mdp, h).",
            ),
            Misconception(
                best_blind,
                "These are the best chunks there are, chosen with the true dynamics. The robot "
                "executes those that the log made look best.",
            ),
            Misconception(
                part("reactive"),
                "This is V*, and also what the first actions alone obtain if the critic is asked "
                "at every step. The question is what whole chunks obtain.",
            ),
            Misconception(
                lambda slip, h: float(
                    policy_value(lock(24, slip).mdp, lock(24, slip).behaviour)[0]
                ),
                "This is what the demonstrator obtains.",
            ),
        ),
        why=(
            "A policy evaluated in the world that taught it confirms what it learned. On a robot "
            "the "
            "same bug is a validation loss on the same log."
        ),
    ),
    Exercise(
        id="09.write",
        objective="You can write what a log of somebody who looks claims for a chunk.",
        question=(
            "Write claim(chunk, start, value, transition, reward, behaviour, discount): the mean "
            "of "
            "R^h + gamma^h V(s_h) over all logs in which `chunk` was typed from cell `start`."
        ),
        kind=Function(claim, claim_cases()),
        hints=(
            "Carry two arrays over the cells: how probable it is that the first i actions were "
            "logged *and* led here, and the discounted reward on the way, times that probability.",
            "w_{i+1}(s') = sum_s w_i(s) beta(a_i|s) P(s'|s,a_i);  "
            "e_{i+1}(s') = sum_s [e_i(s) + gamma^i r(s,a_i) w_i(s)] beta(a_i|s) P(s'|s,a_i);  "
            "claim = sum_s [e_h(s) + gamma^h V(s) w_h(s)] / sum_s w_h(s)",
            "for i, a in enumerate(chunk):\n"
            "    step = behaviour[:, a, None] * transition[:, a]\n"
            "    e = (e + ...) @ step\n"
            "    w = w @ step\n"
            "return ... / w.sum()",
        ),
        solution=(
            "import numpy as np\n"
            "def answer(chunk, start, value, transition, reward, behaviour, discount):\n"
            "    w = 1.0 * (np.arange(len(value)) == start)\n"
            "    e = 0 * w\n"
            "    for i, a in enumerate(chunk):\n"
            "        step = behaviour[:, a, None] * transition[:, a]\n"
            "        e = (e + discount**i * reward[:, a] * w) @ step\n"
            "        w = w @ step\n"
            "    return (e + discount ** len(chunk) * value * w).sum() / w.sum()"
        ),
        misconceptions=(
            Misconception(
                executed,
                "This is what typing the chunk blind does: honest, but no log says it. In the log "
                "the operator chose each action, with probability beta(a_i | s_i) where she stood.",
            ),
            Misconception(
                undivided,
                "This weighs by how often the chunk is logged. The mean is over those logs alone: "
                "divide by their probability, sum_s w_h(s).",
            ),
            Misconception(
                one_discount,
                "The value lies h steps ahead and carries gamma^h, not gamma.",
            ),
            Misconception(
                last_unseen,
                "Here the operator chooses a_i after she has seen where it led. She chose it where "
                "she stood before: first beta, then the transition.",
            ),
        ),
        why=(
            "Without beta in the step, the same lines give what executing does: conditioning and "
            "intervening differ by that factor alone. Where beta does not depend on the cell, it "
            "cancels in the division, and the claim is honest."
        ),
    ),
)
