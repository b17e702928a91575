"""Other right answers, and wrong ones that are near, of notebook 09."""

from answers import Answers
from chunkrl.course.exercises.nb09 import gaps, obtained
from chunkrl.course.worlds.luck import claim

ANSWERS = {
    "q1": Answers(
        equivalents=(
            "answer = 0.86",
            "from chunkrl.course.worlds.luck import no_slip\n"
            "from chunkrl.tabular.worlds import lock\n"
            "answer = no_slip(lock(24, slip=0.1, skill=0.9), 4).logged",
            "import numpy as np\n"
            "from chunkrl.tabular.chunks import chunk_index, logged\n"
            "from chunkrl.tabular.worlds import lock\n"
            "world = lock(24, slip=0.1, skill=0.9)\n"
            "chunk = chunk_index(np.array([1, 1, 1, 0]), 2)\n"
            "answer = logged(world.mdp, world.behaviour, 4).mdp.transition[0, chunk, 4]",
        ),
        near_misses=(0.85, 0.88),
    ),
    "q2": Answers(
        equivalents=(
            "answer = 2.86",
            "from chunkrl.tabular.bounds import learned_chunks\n"
            "from chunkrl.tabular.worlds import lock\n"
            "world = lock(24, slip=0.1, skill=0.7)\n"
            "found = learned_chunks(world.mdp, world.behaviour, 5)\n"
            "answer = (found.claimed - found.obtained)[0]",
        ),
        near_misses=(2.84, 2.88, 0.0),
    ),
    "q3": Answers(
        equivalents=(
            "from chunkrl.tabular.bounds import learned_chunks\n"
            "from chunkrl.tabular.chunks import logged\n"
            "from chunkrl.tabular.worlds import lock\n"
            "def answer(slip, h):\n"
            "    mdp, behaviour, _ = lock(24, slip)\n"
            "    blind = logged(mdp, behaviour, h).frequency\n"
            "    both = [learned_chunks(mdp, log, h) for log in (behaviour, blind)]\n"
            "    return [found.claimed[0] - found.obtained[0] for found in both]",
        ),
        near_misses=(lambda slip, h: 1.001 * gaps(slip, h), lambda slip, h: gaps(slip, h) + 0.01),
    ),
    "bug": Answers(
        equivalents=(
            "from chunkrl.tabular.bounds import learned_chunks\n"
            "from chunkrl.tabular.worlds import lock\n"
            "answer = lambda slip, h: learned_chunks(*lock(24, slip)[:2], h).obtained[0]",
        ),
        near_misses=(lambda slip, h: 1.001 * obtained(slip, h),),
    ),
    "write": Answers(
        equivalents=(
            "from chunkrl.tabular.chunks import chunk_index, logged\n"
            "from chunkrl.tabular.mdp import MDP, backup\n"
            "def answer(chunk, start, value, transition, reward, behaviour, discount):\n"
            "    log = logged(MDP(transition, reward, discount), behaviour, len(chunk)).mdp\n"
            "    return backup(log, value)[start, chunk_index(chunk, 2)]",
        ),
        near_misses=(lambda *given: 1.001 * claim(*given), lambda *given: claim(*given) + 0.01),
    ),
}
