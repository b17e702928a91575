"""Exercises of notebook 09: chunks logged by somebody who looked."""

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, Number
from chunkrl.course.worlds.luck import no_slip
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
    ),
)
