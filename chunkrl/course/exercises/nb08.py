"""Exercises of notebook 08: what a chunk length costs."""

from functools import cache

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, Number
from chunkrl.tabular.chunk_length import guarantee
from chunkrl.tabular.chunks import chunk_index, chunked
from chunkrl.tabular.mdp import MDP, optimal, policy_value
from chunkrl.tabular.worlds import lock, right_actions

SLIP, LIKED = 0.1, 5  # of 08.q3: the lock, and the length that a guarantee recommends


@cache
def unlooked(h: int, slip: float) -> float:
    """What the best chunks of h lose by not looking, on the lock of 24 cells."""
    return guarantee(lock(24, slip), h, 0.0)


def tie(short: int, long: int, slip: float = SLIP) -> float:
    """The error from which on chunks of `long` have a better guarantee than those of `short`."""
    discount = lock(24, slip).mdp.discount
    loss = unlooked(long, slip) - unlooked(short, slip)
    return float(loss / (2 / (1 - discount**short) - 2 / (1 - discount**long)))


def overtaken(h: int, slip: float = SLIP) -> float:
    """The error from which on a longer length has a better guarantee than h."""
    return min(tie(h, longer, slip) for longer in range(h + 1, 9))


Chunks = tuple[np.ndarray, np.ndarray]  # P_h [S, A^h, S], r_h [S, A^h]


def blind(P: np.ndarray, r: np.ndarray, h: int, gamma: float) -> Chunks:
    """P_h and r_h of chunks typed without looking: action after action put in front.

    [S, A, S], [S, A] -> [S, A^h, S], [S, A^h]
    """
    P_h, r_h = P, r
    for _ in range(h - 1):
        r_h = (r[..., None] + gamma * P @ r_h).reshape(len(P), -1)
        P_h = np.einsum("sau,uct->sact", P, P_h).reshape(len(P), -1, len(P))
    return P_h, r_h


def undiscounted(P, r, h, gamma):
    return blind(P, r, h, 1.0)


def stays(P, r, h, gamma):
    """Each reward is that of the state where the chunk began."""
    nowhere = np.broadcast_to(np.eye(len(P))[:, None], P.shape)
    return blind(P, r, h, gamma)[0], blind(nowhere, r, h, gamma)[1]


def discounted_twice(P, r, h, gamma):
    P_h, r_h = blind(P, r, h, gamma)
    return gamma**h * P_h, r_h


def entry_by_entry(P, r, h, gamma):
    P_h = P
    for _ in range(h - 1):
        P_h = (P[:, :, None] * P_h[:, None]).reshape(len(P), -1, len(P))
    return P_h, blind(P, r, h, gamma)[1]


def one_button(P, r, h, gamma):
    """The same action h times."""
    same = [chunk_index(np.full(h, a), P.shape[1]) for a in range(P.shape[1])]
    P_h, r_h = blind(P, r, h, gamma)
    return P_h[:, same], r_h[:, same]


THREE = (1, 1, 0)  # the right buttons of 08.q1


def unseen(right: tuple[int, ...], h: int, slip: float = 0.1) -> float:
    """What the best chunks of h lose by not looking, on a short lock with these right buttons."""
    length = len(right)
    secret = next(s for s in range(1000) if tuple(right_actions(length, s)) == right)
    mdp = lock(length, slip, secret=secret, discount=1 - 1e-9).mdp
    return float(optimal(mdp).value[0] - optimal(chunked(mdp, h)).value[0])


Pattern = tuple[int, ...]  # lengths of chunks, typed in turn, over and over


def looks(pattern: Pattern, end: int) -> set[int]:
    """The steps up to `end` before which a pattern looks."""
    steps = np.cumsum(np.tile(pattern, end // sum(pattern) + 1))
    return set(steps[steps <= end].tolist())


def nested(a: Pattern, b: Pattern) -> bool:
    """Whether pattern a can never beat pattern b, whatever the MDP: b has all looks of a."""
    end = sum(a) * sum(b)
    return looks(a, end) <= looks(b, end)


def reversed_roles(a: Pattern, b: Pattern) -> bool:
    return nested(b, a)


def fewer_looks(a: Pattern, b: Pattern) -> bool:
    return len(a) * sum(b) <= len(b) * sum(a)


def fitting_period(a: Pattern, b: Pattern) -> bool:
    return sum(a) % sum(b) == 0


def first_round(a: Pattern, b: Pattern) -> bool:
    """Compares the looks of one round only."""
    return looks(a, max(sum(a), sum(b))) <= looks(b, max(sum(a), sum(b)))


def regret(mdp: MDP, h: int, Q: np.ndarray) -> float:
    """V*(0) minus the value of typing the chunks that look best in Q [S, A^h], without looking."""
    return float(optimal(mdp).value[0] - policy_value(chunked(mdp, h), Q.argmax(-1))[0])


def against_the_claim(mdp: MDP, h: int, Q: np.ndarray) -> float:
    return float(optimal(mdp).value[0] - Q[0].max())


def against_chunks(mdp: MDP, h: int, Q: np.ndarray) -> float:
    chunks = chunked(mdp, h)
    return float(optimal(chunks).value[0] - policy_value(chunks, Q.argmax(-1))[0])


def best_chunks(mdp: MDP, h: int, Q: np.ndarray) -> float:
    return float(optimal(mdp).value[0] - optimal(chunked(mdp, h)).value[0])


def looking(mdp: MDP, h: int, Q: np.ndarray) -> float:
    first = Q.argmax(-1) // 2 ** (h - 1)
    return float(optimal(mdp).value[0] - policy_value(mdp, first)[0])


def _cases() -> tuple[tuple[MDP, int, np.ndarray], ...]:
    """Locks with the true Q of all chunks, and with some of its entries 2 above its best."""
    rng, found = np.random.default_rng(0), []
    for length, slip, h in ((4, 0.2, 2), (5, 0.1, 3), (6, 0.3, 1)):
        mdp = lock(length, slip).mdp
        q = optimal(chunked(mdp, h)).q
        found.append((mdp, h, q))
        raised, cells = q.copy(), np.arange(length + 1)
        other = np.where(rng.random(length + 1) < 0.3, (q.argmax(-1) + 1) % 2**h, q.argmax(-1))
        raised[cells, other] = q.max(-1) + 2.0
        found.append((mdp, h, raised))
    return tuple(found)


def _joined(chunks: Chunks) -> np.ndarray:
    """P_h, and r_h as one more column.  -> [S, A^h, S + 1]"""
    P_h, r_h = (np.asarray(x, float) for x in chunks)
    return np.concatenate([P_h, r_h[..., None]], -1)


def _worlds() -> tuple[tuple[np.ndarray, np.ndarray, int, float], ...]:
    """Two locks that slip, whose rewards differ from cell to cell."""
    found = []
    for length, slip, h, gamma in ((2, 0.2, 2, 0.9), (3, 0.3, 3, 0.8), (2, 0.1, 1, 0.9)):
        mdp, extra = lock(length, slip).mdp, np.arange(length + 1.0)[:, None] * [1.0, 2.0]
        found.append((mdp.transition, mdp.reward - extra, h, gamma))
    return tuple(found)


EXERCISES = (
    Exercise(
        id="08.q1",
        objective="You can say when not looking costs something: when a look would change the act.",
        question=(
            "Three cells, right buttons 1, 1, 0, slip 0.1, no discount; chunks of 3. How much "
            "reward do the best chunks lose at the start by not looking? Two decimals."
        ),
        kind=Number(unseen(THREE, 3), 0.006, "reward"),
        hints=(
            "Type 1 1 0. After which slip does a press do harm, and after which is the next press "
            "right all the same?",
            "If a 1 slips (0.19), the 0 is pressed where 1 is right: you are at the start again. "
            "If only the 0 slips (0.081), 0 0 0 goes on from the last cell, at the price of who "
            "looks, 1 / 0.9. E = 3 + 0.19 E + 0.081 / 0.9",
            "typed = 3.09 / ...\nanswer = typed - 3 / 0.9",
        ),
        solution="typed = 3.09 / 0.81\nanswer = typed - 3 / 0.9",
        misconceptions=(
            Misconception(
                unseen((1, 0), 2),
                "This is the lock of two cells. Here two presses come before the one that a slip "
                "spoils.",
            ),
            Misconception(
                unseen((1, 0, 0), 3),
                "This is the lock 1, 0, 0, whose first button differs. Here it is the last.",
            ),
            Misconception(
                3.09 / 0.81,
                "This is what the chunks cost. Who looks at every step needs 3 / 0.9 presses.",
            ),
            Misconception(
                -unseen(THREE, 3), "The size is right; a loss is V* minus what chunks obtain."
            ),
            Misconception(
                0.0,
                "A slip of either 1 leaves the 0 to be pressed where 1 is right: you step back, "
                "which a look would have saved.",
            ),
        ),
        why=(
            "A slip of either 1 spoils the 0: E = 3.09 / 0.81 = 3.81, and looking costs 3.33. With "
            "1, 1, 1 it would be 0.00, with 1, 0, 0 0.22: not chance is the price, but chance "
            "after which you would have done something else."
        ),
    ),
    Exercise(
        id="08.q2",
        objective="You can say which ways of looking are comparable at all, and why.",
        question=(
            "A pattern (2, 1) types 2 actions blind, looks, types 1, looks, and begins again; "
            "(3,) are chunks of 3. Write answer(a, b): True if the best value with pattern a "
            "exceeds that with pattern b in no MDP, else False."
        ),
        kind=Function(
            nested,
            (
                ((4,), (2,)),
                ((3,), (2,)),
                ((2,), (3,)),
                ((3,), (2, 1)),
                ((2, 1), (3,)),
                ((1, 2), (2, 1)),
                ((2, 1), (2, 1)),
                ((6,), (2, 1)),
                ((4,), (2, 1)),
                ((4,), (1, 3, 1)),
                ((2, 2), (2,)),
                ((5,), (1,)),
                ((1,), (5,)),
                ((2, 1, 3), (2, 1)),
            ),
        ),
        hints=(
            "Mark the steps before which each looks. Who can imitate whom by not using a look?",
            "(3,) looks before steps 3, 6, 9, (2, 1) before 2, 3, 5, 6, 8, 9: it has all looks of "
            "(3,). Of (4,) it lacks that before step 4. After sum(a) * sum(b) steps both begin "
            "anew together.",
            "import numpy as np\n"
            "def looks(pattern, end):\n"
            "    return set(np.cumsum(np.tile(pattern, end // sum(pattern))).tolist())\n"
            "def answer(a, b):\n"
            "    end = sum(a) * sum(b)\n"
            "    return looks(a, end) <= ...",
        ),
        solution=(
            "import numpy as np\n"
            "def answer(a, b):\n"
            "    end = sum(a) * sum(b)\n"
            "    looks = lambda p: set(np.cumsum(np.tile(p, end // sum(p))).tolist())\n"
            "    return looks(a) <= looks(b)"
        ),
        misconceptions=(
            Misconception(
                fewer_looks,
                "Who looks less often may look at a better moment: (3,) looks before step 3, (2,) "
                "before 2 and 4. If what matters shows before step 3, three wins.",
            ),
            Misconception(
                reversed_roles,
                "Turned round: who has more looks can imitate the other one, so it is the one with "
                "*fewer* of the same looks that can never win.",
            ),
            Misconception(
                fitting_period,
                "This compares how long a round is. (1, 2) and (2, 1) have rounds of 3, and yet "
                "only (1, 2) looks before step 1. Where in the round are the looks?",
            ),
            Misconception(
                first_round,
                "One round is not enough: (1, 3, 1) looks before step 4, but not before step 8, "
                "where (4,) looks again.",
            ),
        ),
        why=(
            "Who has all the looks of the other can imitate it: it does not use those in between. "
            "Otherwise each has moments of its own, and some world rewards them. For chunks of one "
            "length: h never beats k where k divides h, and only there."
        ),
    ),
    Exercise(
        id="08.q3",
        objective="You can read off a guarantee for which errors it recommends a length.",
        question=(
            "The guarantee of each length, V* - V*_h + 2 eps / (1 - gamma^h), is a line in "
            "eps. On the lock of 24 cells at slip 0.1, chunks of 1 to 8 lose 0, 0.52, 0.85, 1.78, "
            "2.71, 3.96, 4.56 and 4.63 by not looking. For some errors eps the best guarantee of "
            "the eight is that of h = 5. Up to which eps?"
        ),
        kind=Number(overtaken(LIKED), 0.0005, "reward"),
        hints=(
            "Draw the lines: longer chunks begin higher and rise less. The best guarantee is the "
            "lowest line. Which line is the first to pass under that of 5?",
            "Lines h and k meet at eps = (loss_k - loss_h) / (2/(1 - gamma^h) - 2/(1 - gamma^k)). "
            "Not only the next longer length may overtake.",
            "loss = np.array([0, 0.52, 0.85, 1.78, 2.71, 3.96, 4.56, 4.63])\n"
            "slope = 2 / (1 - 0.99 ** np.arange(1, 9))\n"
            "eps = np.linspace(0, 1, 10001)\n"
            "best = (loss[:, None] + ...).argmin(0) + 1\n"
            "print(eps[best == 5])",
        ),
        solution=(
            "import numpy as np\n"
            "loss = np.array([0, 0.52, 0.85, 1.78, 2.71, 3.96, 4.56, 4.63])\n"
            "slope = 2 / (1 - 0.99 ** np.arange(1, 9))\n"
            "answer = min((loss[k] - loss[4]) / (slope[4] - slope[k]) for k in (5, 6, 7))"
        ),
        misconceptions=(
            *(
                Misconception(
                    tie(LIKED, longer),
                    f"There {longer} passes under 5. Has no other length done so before?",
                )
                for longer in (6, 7)
            ),
            Misconception(
                tie(4, LIKED),
                "There 5 passes under 4: that is where its errors begin. Where do they end?",
            ),
            Misconception(
                2 * overtaken(LIKED),
                "The slope is 2/(1 - gamma^h): eps counts twice, since the best chunk may look too "
                "bad and another one too good.",
            ),
            Misconception(
                overtaken(LIKED, 0.2),
                "These are the losses at slip 0.2, where 5 is overtaken before it has overtaken 4.",
            ),
        ),
        why=(
            "8 passes under 5 at 0.129, before 7 (0.163) and 6 (0.189) do: so no eps at all "
            "recommends 6 or 7. At slip 0.2 it is 5 that none does. Which lengths a worst case "
            "can recommend is a matter of the world, and 5 has no privilege. What critics really "
            "lose is far less."
        ),
    ),
    Exercise(
        id="08.bug",
        objective="You can tell what a critic claims from what its chunks earn.",
        question=(
            "This regret is right for a perfect critic; for noisy ones it turns out negative, as "
            "if they beat the best policy there is. Q [S, A^h] are the critic's entries:\n\n"
            "    from chunkrl.tabular.chunks import chunked\n"
            "    from chunkrl.tabular.mdp import optimal, policy_value\n\n"
            "    def regret(mdp, h, Q):\n"
            "        return optimal(mdp).value[0] - Q[0].max()\n\n"
            "Repair it and answer with the function. policy_value(mdp, choice) says what choosing "
            "`choice` [S] in each state earns from there on."
        ),
        kind=Function(regret, _cases()),
        hints=(
            "Who says that the chunks are worth Q[0].max()?",
            "The critic chooses, the world pays: Q.argmax(-1) are the chunks, and policy_value in "
            "the world of chunks typed blind says what they earn.",
            "def answer(mdp, h, Q):\n"
            "    return optimal(mdp).value[0] - policy_value(chunked(mdp, h), ...)[0]",
        ),
        solution=(
            "from chunkrl.tabular.chunks import chunked\n"
            "from chunkrl.tabular.mdp import optimal, policy_value\n"
            "def answer(mdp, h, Q):\n"
            "    return optimal(mdp).value[0] - policy_value(chunked(mdp, h), Q.argmax(-1))[0]"
        ),
        misconceptions=(
            Misconception(
                against_the_claim,
                "This still subtracts what the critic claims. A maximum over noisy entries claims "
                "too much, so the regret comes out too small.",
            ),
            Misconception(
                against_chunks,
                "This compares with the best *chunks*, which are just as blind. The loss of not "
                "looking is in both terms and cancels.",
            ),
            Misconception(
                best_chunks,
                "This is the open-loop loss of the best chunks. The chosen ones may be worse: "
                "evaluate those that look best in Q.",
            ),
            Misconception(
                looking,
                "This executes only the first action of each chunk and asks again. That policy "
                "looks; the regret is about chunks typed to their end.",
            ),
        ),
        why=(
            "A negative regret is a sign of a claim in the place of a result: nobody beats V*. On "
            "a robot there is no V*, but the same slip reads the critic's value of an agent in the "
            "place of its return."
        ),
    ),
    Exercise(
        id="08.write",
        objective="You can build the world of chunks that are typed without looking.",
        question=(
            "Write blind(P, r, h, gamma) -> (P_h, r_h): where a chunk of h actions leads and what "
            "it earns, for P [S, A, S] and r [S, A]. Chunks are counted with the first action as "
            "the most significant digit."
        ),
        kind=Function(blind, _worlds(), view=_joined),
        hints=(
            "Begin with chunks of one action, P and r. What does one more action, put in front of "
            "all of them, make of each?",
            "P_h(s' | s, (a, c)) = sum_u P(u | s, a) P_{h-1}(s' | u, c),  "
            "r_h(s, (a, c)) = r(s, a) + gamma sum_u P(u | s, a) r_{h-1}(u, c)",
            "P_h, r_h = P, r\n"
            "for _ in range(h - 1):\n"
            "    r_h = (r[..., None] + gamma * P @ r_h).reshape(len(P), -1)\n"
            "    P_h = np.einsum('sau,uct->sact', ...).reshape(len(P), -1, len(P))",
        ),
        solution=(
            "import numpy as np\n"
            "def answer(P, r, h, gamma):\n"
            "    P_h, r_h = P, r\n"
            "    for _ in range(h - 1):\n"
            "        r_h = (r[..., None] + gamma * P @ r_h).reshape(len(P), -1)\n"
            "        P_h = np.einsum('sau,uct->sact', P, P_h).reshape(len(P), -1, len(P))\n"
            "    return P_h, r_h"
        ),
        misconceptions=(
            Misconception(
                undiscounted,
                "The rewards inside the chunk come one step after another: reward i carries "
                "gamma^i.",
            ),
            Misconception(
                stays,
                "Every reward here is that of the state where the chunk began. The lock moves on: "
                "reward i is that of where the first i actions led.",
            ),
            Misconception(
                discounted_twice,
                "gamma^h is the discount of the chunked world and is applied by whoever solves it. "
                "In P_h too, it counts twice; rows of P_h are probabilities and sum to 1.",
            ),
            Misconception(
                entry_by_entry,
                "This multiplies entry by entry. To go from s to u and from u to s', sum over u: a "
                "product of matrices.",
            ),
            Misconception(
                one_button,
                "This presses the same button h times. A chunk may press another one at each step: "
                "there are A^h of them.",
            ),
        ),
        why=(
            "With P_h, r_h and gamma^h a chunk is one action of an ordinary MDP, and every solver "
            "applies. Nobody looks inside: that is the price that the white bars show."
        ),
    ),
)
