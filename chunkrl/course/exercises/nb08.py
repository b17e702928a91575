"""Exercises of notebook 08: what a chunk length costs."""

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, Number
from chunkrl.tabular.chunks import chunked
from chunkrl.tabular.mdp import MDP, optimal, policy_value
from chunkrl.tabular.worlds import lock

TIE = 0.1481  # where `guarantee` of h = 4 meets that of h = 1; tests/test_chunk_length.py solves it


def target(
    reward: np.ndarray, alive: np.ndarray, proposed: np.ndarray, discount: float
) -> np.ndarray:
    """sum_i gamma^i r_i + gamma^h alive_{h-1} max_N Q.  [M, h], [M, h], [M, N] -> [M]"""
    h = reward.shape[1]
    return reward @ discount ** np.arange(h) + discount**h * alive[:, -1] * proposed.max(-1)


def one_discount(reward, alive, proposed, discount):
    h = reward.shape[1]
    return target(reward, alive, proposed * discount ** (1 - h), discount)


def first_mask(reward, alive, proposed, discount):
    return target(reward, alive[:, :1], proposed, discount)


def no_mask(reward, alive, proposed, discount):
    return target(reward, np.ones_like(alive), proposed, discount)


def mean_of_n(reward, alive, proposed, discount):
    return target(reward, alive, proposed.mean(-1, keepdims=True), discount)


def late_rewards(reward, alive, proposed, discount):
    h = reward.shape[1]
    return target(reward / discount ** np.arange(h), alive, proposed, discount)


def nothing_earned(reward, alive, proposed, discount):
    return alive[:, -1] * target(reward, alive, proposed, discount)


OPENED = -1 - 0.9 - 0.9**2  # of 08.q1


def nested(h: int, k: int) -> bool:
    """Whether chunks of h can never beat chunks of k, whatever the MDP: k divides h."""
    return h % k == 0


def regret(mdp: MDP, h: int, choice: np.ndarray) -> float:
    """V*(0) minus the value of typing the chosen chunks without looking."""
    return float(optimal(mdp).value[0] - policy_value(chunked(mdp, h), choice)[0])


def _cases() -> tuple[tuple[MDP, int, np.ndarray], ...]:
    """Locks with best chunks and with arbitrary ones that still reach the goal."""
    rng, found = np.random.default_rng(0), []
    for length, slip, h in ((4, 0.2, 2), (5, 0.1, 3), (6, 0.3, 1)):
        mdp = lock(length, slip).mdp
        choice = optimal(chunked(mdp, h)).choice
        found.append((mdp, h, choice))
        choice = np.where(rng.random(length + 1) < 0.3, (choice + 1) % 2**h, choice)
        found.append((mdp, h, choice))
    return tuple(found)


WINDOWS = (
    (
        np.array([[-1.0, -1.0, -1.0], [-1.0, -1.0, 0.0], [-1.0, 0.0, 0.0]]),
        np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        np.array(
            [[-20.0, -18.0, -25.0, -19.0], [-3.0, -1.0, -2.0, -4.0], [-1.0, -2.0, -2.0, -3.0]]
        ),
        0.9,
    ),
    (np.array([[2.0], [-1.0]]), np.array([[1.0], [0.0]]), np.array([[3.0, 4.0], [5.0, 1.0]]), 0.5),
    (
        np.array([[0.0, 0.0, 1.0, 0.0, 0.0], [-1.0, -0.5, -1.0, -1.0, -1.0]]),
        np.array([[1.0, 1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0, 1.0]]),
        np.array([[4.0, 2.0], [-9.0, -8.0]]),
        0.99,
    ),
)

EXERCISES = (
    Exercise(
        id="08.q1",
        objective="You can say what a chunk's target holds once the episode ends inside it.",
        question=(
            "A chunk of 4 is typed, and its third press opens the lock. Each step until then costs "
            "1, discount 0.9, and the critic says -5 of the state after the window. What is the "
            "target?"
        ),
        kind=Number(OPENED, 0.006, "reward"),
        hints=(
            "What does the robot still have to pay once the lock is open? And what does the critic "
            "know of that?",
            "sum_i gamma^i r_i + gamma^h alive V, with alive = 0 if the episode ended inside",
            "answer = -1 - 0.9 - ...",
        ),
        solution="answer = -1 - 0.9 - 0.9**2",
        misconceptions=(
            Misconception(
                OPENED - 5 * 0.9**4,
                "The episode ended inside the chunk: nothing comes after it, whatever the critic "
                "says of that state.",
            ),
            Misconception(
                OPENED - 5 * 0.9**3,
                "You bootstrapped where the lock opened. The episode ended there, and nothing is "
                "paid after it.",
            ),
            Misconception(-3.0, "Reward i comes i steps later and carries 0.9**i."),
            Misconception(
                OPENED - 0.9**3, "Three presses were paid for. The fourth costs nothing any more."
            ),
            Misconception(
                0.0, "The mask removes the bootstrap, not the rewards: three steps were paid."
            ),
        ),
        why=(
            "Rewards up to the end count, each with its own discount; the bootstrap is gone. Next, "
            "08.write asks for the same of many windows, and of the case in which it goes on."
        ),
    ),
    Exercise(
        id="08.q2",
        objective="You can find the slip at which longer chunks stop paying.",
        question=(
            "The lock of 24 cells; no entry of any critic is wrong by more than sigma = 0.02. At "
            "which slip p is the guarantee for h = 4 equal to that for h = 1? To within 0.002."
        ),
        kind=Number(TIE, 2e-3),
        hints=(
            "guarantee(lock(24, slip=p), h, 0.02) is exact. For h = 1 it does not depend on p; for "
            "h = 4 it grows with p.",
            "open_loop_loss(4, p) = 2 sigma / (1 - gamma) - 2 sigma / (1 - gamma^4)",
            "low, high = 0.0, 0.5\nfor _ in range(20):\n    p = (low + high) / 2\n"
            "    ... = ... if guarantee(...) < guarantee(...) else ...",
        ),
        solution=(
            "from chunkrl.tabular.chunk_length import guarantee\n"
            "from chunkrl.tabular.worlds import lock\n"
            "low, high = 0.0, 0.5\n"
            "for _ in range(20):\n"
            "    p = (low + high) / 2\n"
            "    four, one = (guarantee(lock(24, slip=p), h, 0.02) for h in (4, 1))\n"
            "    low, high = (p, high) if four < one else (low, p)\n"
            "answer = p"
        ),
        misconceptions=(
            Misconception(
                0.0868,
                "A critic can err twice: the best chunk looks worse than it is *and* another looks "
                "better. Both errors count, hence 2 sigma / (1 - gamma^h).",
            ),
            Misconception(
                0.2951,
                "This is where chunks of 2 meet single actions. Chunks of 4 lose more to every "
                "slip and meet them earlier.",
            ),
            Misconception(
                0.0790, "This is where chunks of 8 meet single actions; the question is about 4."
            ),
            Misconception(15.0, 'Answer with a probability: 15% is 0.15, or the text "15%".'),
            Misconception(
                0.0,
                "At p = 0 nothing slips and a chunk loses nothing by not looking, while it "
                "bootstraps four times less often: there h = 4 is ahead, not level.",
            ),
        ),
        why=(
            "There what four steps without looking cost equals what three quarters fewer "
            "bootstraps "
            "save. With a larger sigma the tie lies at more slip: try 0.05."
        ),
    ),
    Exercise(
        id="08.q3",
        objective="You can say which chunk lengths are comparable at all, and why.",
        question=(
            "Write answer(h, k): True if chunks of h can never have a larger open-loop value than "
            "chunks of k, in *any* MDP; False if in some MDP they can."
        ),
        kind=Function(
            nested,
            ((4, 2), (3, 2), (2, 3), (2, 4), (6, 4), (6, 3), (8, 4), (5, 1), (1, 5), (5, 5)),
        ),
        hints=(
            "A policy that chooses two actions at a time can imitate one that chooses four at a "
            "time. Can it imitate one that chooses three?",
            "k-chunks imitate h-chunks if every moment at which the h-policy looks is one at which "
            "the k-policy looks as well: multiples of h must be multiples of k.",
            "answer = lambda h, k: h % ... == ...",
        ),
        solution="answer = lambda h, k: h % k == 0",
        misconceptions=(
            Misconception(
                lambda h, k: h >= k,
                "Longer chunks look less often, but at other moments: h = 3 looks at steps 3, 6, "
                "9, and h = 2 at 2, 4, 6. If what matters shows at step 3, three wins.",
            ),
            Misconception(
                lambda h, k: k % h == 0,
                "Turned round: the policy that looks more often can imitate the other one, so it "
                "is the *longer* chunk that can never win.",
            ),
            Misconception(
                lambda h, k: h % k == 0 and (h // k) & (h // k - 1) == 0,
                "Two chunks in one are not the only nesting: chunks of 6 are three chunks of 2 "
                "that do not look in between.",
            ),
            Misconception(
                lambda h, k: np.gcd(h, k) > 1 or k == 1,
                "4 and 6 share a factor, and yet h = 6 looks at step 6, where h = 4 is in the "
                "middle of a chunk.",
            ),
        ),
        why=(
            "Whoever looks at every multiple of k can imitate whoever looks at every multiple of h "
            "if k divides h: it just does not use the looks in between. Otherwise each has moments "
            "of its own, and some world rewards them."
        ),
    ),
    Exercise(
        id="08.bug",
        objective="You can tell a regret that hides the price of not looking.",
        question=(
            "By this function chunks of 8 are never worse than single actions, however much the "
            "lock slips:\n\n"
            "    def regret(mdp, h, choice):\n"
            "        chunks = chunked(mdp, h)\n"
            "        return optimal(chunks).value[0] - policy_value(chunks, choice)[0]\n\n"
            "Repair it and answer with the function."
        ),
        kind=Function(regret, _cases()),
        hints=(
            "Regret against whom? Print both terms for h = 8 and slip 0.2.",
            "V*(start) of the lock itself, of a policy that may look at every step, minus the true "
            "value of the chosen chunks. (`choice` numbers chunks: as an action of the lock itself "
            "it is out of range, an IndexError.)",
            "def answer(mdp, h, choice):\n"
            "    return optimal(...).value[0] - policy_value(chunked(mdp, h), choice)[0]",
        ),
        solution=(
            "from chunkrl.tabular.chunks import chunked\n"
            "from chunkrl.tabular.mdp import optimal, policy_value\n"
            "def answer(mdp, h, choice):\n"
            "    return optimal(mdp).value[0] - policy_value(chunked(mdp, h), choice)[0]"
        ),
        misconceptions=(
            Misconception(
                lambda mdp, h, choice: (
                    optimal(chunked(mdp, h)).value[0] - policy_value(chunked(mdp, h), choice)[0]
                ),
                "This still compares with the best *chunks*, which are just as blind. The loss of "
                "not looking is in both terms and cancels.",
            ),
            Misconception(
                lambda mdp, h, choice: optimal(mdp).value[0] - optimal(chunked(mdp, h)).value[0],
                "This is the open-loop loss of the best chunks. The chosen ones may be worse: "
                "evaluate `choice`.",
            ),
            Misconception(
                lambda mdp, h, choice: (
                    optimal(mdp).value[0] - policy_value(mdp, choice // 2 ** (h - 1))[0]
                ),
                "This executes only the first action of each chunk and asks again. That policy "
                "looks; the regret is about chunks typed to their end.",
            ),
        ),
        why=(
            "Against the best chunks, which are as blind, the price of not looking cancels. "
            "Regret is "
            "measured against what is possible, here V* of the lock itself."
        ),
    ),
    Exercise(
        id="08.write",
        objective="You can write the backup of a chunked critic, discount and mask included.",
        question=(
            "Write target(reward, alive, proposed, discount): for each window the rewards of its h "
            "steps, then the best of what the critic says of N chunks at its end."
        ),
        kind=Function(target, WINDOWS),
        hints=(
            "How many steps lie between the state of the target and the state at which chunks are "
            "proposed? And which entry of `alive` says that the episode still goes on there?",
            "y_m = sum_i gamma^i r_mi + gamma^h alive_{m,h-1} max_k proposed_mk",
            "h = reward.shape[1]\n"
            "earned = reward @ discount ** np.arange(h)\n"
            "return earned + ... * alive[:, ...] * proposed.max(...)",
        ),
        solution=(
            "import numpy as np\n"
            "def answer(reward, alive, proposed, discount):\n"
            "    h = reward.shape[1]\n"
            "    earned = reward @ discount ** np.arange(h)\n"
            "    return earned + discount**h * alive[:, -1] * proposed.max(-1)"
        ),
        misconceptions=(
            Misconception(
                one_discount,
                "The value lies h steps ahead, not one: a chunk is one action for the critic, but "
                "h steps for the discount. Its bootstrap carries discount**h.",
            ),
            Misconception(
                first_mask,
                "This reads the mask of the first step. An episode that ends *inside* the chunk "
                "leaves no state to bootstrap from either.",
            ),
            Misconception(
                no_mask,
                "After the end of the episode there is nothing to pay: where `alive` is 0 the "
                "target must not bootstrap. What the network says of the goal is made up.",
            ),
            Misconception(
                mean_of_n,
                "This is the mean of the N proposals, the value of the behaviour; the robot plays "
                "the best of them. (It promises less, and on so few windows it even loses less: "
                "the "
                "maximum trusts noise.)",
            ),
            Misconception(
                late_rewards,
                "The rewards inside the chunk come one step after another: reward i carries "
                "discount**i.",
            ),
            Misconception(
                nothing_earned,
                "`alive` = 0 removes the bootstrap, not the rewards: those of a chunk that opens "
                "the lock were paid.",
            ),
        ),
        why=(
            "This line, with a flow that proposes, is the critic's target of Q-chunking. The next "
            "cell trains on it, and notebook 12 on a robot."
        ),
    ),
)
