"""Exercises of notebook 12: target and loss of QC-FQL, seeds for a gap, fair means, plans."""

from functools import cache
from typing import Any

import jax
import numpy as np

from chunkrl.course import one_step
from chunkrl.course.exercise import Exercise, Function, Misconception, Number
from chunkrl.types import Batch

# Of 12.q1: chunks of four, of which one solves the task with its first action, one with its last.
DISCOUNT, NEXT_VALUE = 0.9, -8.0
POWERS = DISCOUNT ** np.arange(4)
FIRST, LAST = POWERS @ [0, -1, -1, -1], POWERS @ [-1, -1, -1, 0]
AHEAD = float(FIRST - LAST)

SEEDS = 40  # of 12.q2: 10 seeds leave the difference open by 10 points on either side

# Two agents of 12.q3: share of successes; notes of the hand [cm] in successes and in failures.
A_WINS, A_WON, A_LOST = 0.6, 7.0, 3.5
B_WINS, B_WON, B_LOST = 0.2, 7.0, 1.0


def coherency(wins: float, won: float, lost: float) -> float:
    """The mean over episodes."""
    return wins * won + (1 - wins) * lost


GAP = coherency(A_WINS, A_WON, A_LOST) - coherency(B_WINS, B_WON, B_LOST)
LEFT = coherency(B_WINS, A_WON, A_LOST) - coherency(B_WINS, B_WON, B_LOST)
LEFT_OF_B = coherency(A_WINS, A_WON, A_LOST) - coherency(A_WINS, B_WON, B_LOST)


def planned_at(ends: np.ndarray, h: int) -> np.ndarray:
    """The step at which each executed action was planned.  [T] -> [T]"""
    planned, left, when = [], 0, 0
    for t, end in enumerate(ends):
        if left == 0:
            left, when = h, t
        planned.append(when)
        left = 0 if end else left - 1
    return np.array(planned)


def never_emptied(ends: np.ndarray, h: int) -> np.ndarray:
    """The bug: what was planned for one episode is executed in the next."""
    return np.arange(len(ends)) // h * h


ENDS = np.array([0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0])


@cache
def case() -> tuple[Any, ...]:
    """A batch in the middle of training: `params` have moved on since `state` was made."""
    settings = {"obs_dim": 3, "action_dim": 2, "horizon": 3, "hidden": (8, 8), "flow_steps": 2}
    agent = one_step.make(alpha=2.0, **settings)
    noisy = lambda tree, key: jax.tree.map(
        lambda x: x + 0.3 * jax.random.normal(jax.random.key(key), x.shape), tree
    )
    state = agent.init(jax.random.key(0))
    state = state._replace(params=noisy(state.params, 1), target_critic=noisy(state.params[0], 2))
    rng = np.random.default_rng(0)
    numbers = lambda *shape: rng.normal(size=shape).astype(np.float32)
    # The third window crosses the end of an episode, the fourth reaches the goal.
    batch = Batch(
        obs=numbers(5, 3),
        action=np.tanh(numbers(5, 3, 2)),
        returns=numbers(5, 3),
        mask=np.array([[1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 0, 0], [1, 1, 1]], np.float32),
        valid=np.array([[1, 1, 1], [1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 1, 1]], np.float32),
        next_obs=numbers(5, 3),
    )
    nets = one_step.Nets(agent)
    return nets, noisy(state.params, 3), state, batch, agent.noise(jax.random.key(4), 5)


def wrong_loss(mistake: str):
    """The loss with one mistake."""

    def loss(nets, params, state, batch, noise):
        old, obs, after = state.params, batch.obs, batch.next_obs
        slow = old.critic if mistake == "online" else state.target_critic
        chunk = nets.one_step(old.policy, after, noise.propose[0]).clip(-1, 1)
        goes_on = 1.0 if mistake == "mask" else batch.mask[:, -1]
        bootstrap = nets.discount**nets.h * goes_on * nets.q(slow, after, chunk).mean(0)
        y = batch.returns[:, -1] + bootstrap
        error = nets.q(params.critic, obs, nets.logged(batch)) - y[None]
        td = (batch.valid[None, :, -1] * error**2).mean()
        mine = nets.one_step(params.policy, obs, noise.improve)
        drawn = noise.flow if mistake == "noise" else noise.improve
        distill = ((mine - nets.flow(old.policy, obs, drawn)) ** 2).mean()
        judge = params.critic if mistake == "judge" else old.critic
        climb = nets.q(judge, obs, mine.clip(-1, 1)).mean()
        climb = -climb if mistake == "sign" else climb
        alpha = 1.0 if mistake == "alpha" else nets.alpha
        return td + nets.flow_loss(params.policy, batch, noise) + alpha * distill - climb

    return loss


EXERCISES = (
    Exercise(
        id="12.q1",
        objective="You can compute a window's target, and say what a quirk of it prefers.",
        why=(
            "Both bootstraps are cut, and A = -2.44 is 1 - 0.9^3 above B = -2.71. If nothing "
            "counted after a success, A would be 0, and 2.71 above: being three steps sooner "
            "counts a tenth of that where the log leaves the place again."
        ),
        question=(
            "Chunks of four, discount 0.9, -1 a step except where the cube lies in its place. "
            "Window A solves the task with its first action, window B with its last; in A the hand "
            "carries the cube on at once. The slow critics say -8 of whatever follows either. By "
            "how much is A's published target above B's? Two decimals."
        ),
        kind=Number(AHEAD, 0.005, "reward"),
        hints=(
            "Write the four rewards and the four masks of each window. Which of the two "
            "bootstraps?",
            "A: rewards 0, -1, -1, -1, masks 0, 1, 1, 1. B: -1, -1, -1, 0 and 1, 1, 1, 0. The "
            "least mask counts, and every reward.",
            "powers = 0.9 ** np.arange(4)\nanswer = powers @ [0, -1, -1, -1] - powers @ [...]",
        ),
        solution=(
            "import numpy as np\n"
            "powers = 0.9 ** np.arange(4)\n"
            "answer = powers @ [0, -1, -1, -1] - powers @ [-1, -1, -1, 0]"
        ),
        misconceptions=(
            Misconception(
                float(-LAST),
                "That is how one would think of it (nothing counts behind a success), and how the "
                "toy of notebook 08 counts. The published code does otherwise: only the bootstrap "
                "is cut, and all four rewards are summed.",
            ),
            Misconception(
                AHEAD + DISCOUNT**4 * NEXT_VALUE,
                "You bootstrapped in A. Its last mask is 1, but the window's is the smallest of "
                "its masks, 0: no value is added.",
            ),
            Misconception(
                0.0,
                "Three steps cost 1 in each window, but not the same three: reward i carries "
                "gamma^i.",
            ),
            Misconception(
                -AHEAD, "The size is right. Which of the two pays its three steps later?"
            ),
            Misconception(
                float(1 - DISCOUNT**4),
                "The last of four actions is number 3, counted from 0: its reward carries 0.9^3.",
            ),
        ),
    ),
    Exercise(
        id="12.q2",
        objective="You can say how many seeds a gap needs.",
        why=(
            "A quarter of the width wants sixteen times the seeds, half of it four times. And with "
            "as many as that a real gap of 5 points is found only half of the time, since what one "
            "sees scatters about it; four times in five takes twice as many. Who reports 5 points "
            "from three seeds reports luck."
        ),
        question=(
            "You change a line of QC-FQL and hope for 5 points. If seeds scatter as those of the "
            "figure, about how many seeds of each agent does it take until the 95% interval of "
            "the difference reaches only 5 points to either side?"
        ),
        kind=Number(SEEDS, 5.0, "seeds"),
        hints=(
            "Ten seeds of each: how far does the interval of the difference reach to either side?",
            "It narrows like 1 / sqrt(seeds), and is to be half as wide.",
            "answer = 10 * (10 / 5) ** ...",
        ),
        solution="answer = 10 * (10 / 5) ** 2",
        misconceptions=(
            Misconception(
                20.0,
                "Twice the seeds make an interval narrower by the square root of 2, not by 2.",
            ),
            Misconception(80.0, "Of both agents together. How many of each?"),
            Misconception(10.0, "Ten seeds of each reach 10 points to either side: from 27 to 48."),
        ),
    ),
    Exercise(
        id="12.q3",
        objective="You can say how much of a gap between means over episodes is failing less.",
        why=(
            "2.0 of the 3.4 cm are left. Had B failed as rarely as A instead, only 1.0 would be. "
            "No single share is *the* share of failing; the page takes the mean of both."
        ),
        question=(
            "Coherency as a mean over all episodes. A succeeds in 60% of its episodes; its notes "
            "lie 7 cm apart there, and 3.5 cm where it fails. B succeeds in 20%: 7 cm, and 1 cm. "
            "How many cm of the gap would be left if A failed as often as B, its hand going on "
            "as it does where it succeeds and where it fails? Two digits."
        ),
        kind=Number(LEFT, 0.05, "cm"),
        hints=(
            "Which of A's three numbers changes?",
            "A would be at 0.2 * 7 + 0.8 * 3.5. And B?",
            "answer = (0.2 * 7 + 0.8 * 3.5) - (0.2 * ...)",
        ),
        solution="answer = (0.2 * 7 + 0.8 * 3.5) - (0.2 * 7 + 0.8 * 1)",
        misconceptions=(
            Misconception(
                LEFT_OF_B,
                "You let B fail as rarely as A. That is as fair a question, with another answer: "
                "here A is to fail as often as B.",
            ),
            Misconception(
                GAP - LEFT, "That is what failing less often gives. What is left without it?"
            ),
            Misconception(GAP, "That is the whole gap, with A failing as rarely as it does."),
            Misconception(
                A_LOST - B_LOST,
                "That is the gap of the failed episodes. They are 80% of all, not all.",
            ),
            Misconception(
                0.0,
                "In successes the hands move alike. But A's failures are not like B's.",
            ),
        ),
    ),
    Exercise(
        id="12.write",
        objective="You can write the loss of QC-FQL: a critic, and a policy that climbs it.",
        why=(
            "Gradients reach the critic by its error alone, and the policy by alpha and the climb. "
            "With h = 1 the same lines are FQL."
        ),
        question=(
            "Write loss(nets, params, state, batch, noise): the critic's squared error, the flow's "
            "loss (given), and the policy's loss, added."
        ),
        kind=Function(one_step.library_loss, (case(),), tolerance=1e-4),
        hints=(
            "Three parts. What makes a target or judges an action is of `state`; what learns is of "
            "`params`.",
            "mean of valid_h (Q_k(s, a) - y)^2 + flow_loss + alpha mean (mu - flow)^2 - mean Q_old",
            "after = nets.one_step(state.params.policy, batch.next_obs, noise.propose[0])\n"
            "y = batch.returns[:, -1] + ... * nets.q(state.target_critic, batch.next_obs, "
            "after.clip(-1, 1)).mean(0)\n"
            "mine = nets.one_step(params.policy, batch.obs, noise.improve)\n"
            "distill = ((mine - nets.flow(state.params.policy, ...)) ** 2).mean()\n"
            "climb = nets.q(state.params.critic, batch.obs, mine.clip(-1, 1)).mean()",
        ),
        solution=(
            "def answer(nets, params, state, batch, noise):\n"
            "    old = state.params\n"
            "    after = nets.one_step(old.policy, batch.next_obs, noise.propose[0]).clip(-1, 1)\n"
            "    next_q = nets.q(state.target_critic, batch.next_obs, after).mean(0)\n"
            "    y = batch.returns[:, -1] + nets.discount**nets.h * batch.mask[:, -1] * next_q\n"
            "    error = nets.q(params.critic, batch.obs, nets.logged(batch)) - y[None]\n"
            "    td = (batch.valid[None, :, -1] * error**2).mean()\n"
            "    mine = nets.one_step(params.policy, batch.obs, noise.improve)\n"
            "    distill = ((mine - nets.flow(old.policy, batch.obs, noise.improve)) ** 2).mean()\n"
            "    climb = nets.q(old.critic, batch.obs, mine.clip(-1, 1)).mean()\n"
            "    return (td + nets.flow_loss(params.policy, batch, noise)\n"
            "            + nets.alpha * distill - climb)"
        ),
        misconceptions=(
            Misconception(
                wrong_loss("judge"),
                "The critic that judges the policy's chunk learns from it, and raises its own "
                "values. It is held fixed: state.params.critic.",
            ),
            Misconception(
                wrong_loss("sign"),
                "A loss is made smaller: this policy looks for the worst chunk. The value is "
                "subtracted.",
            ),
            Misconception(
                wrong_loss("alpha"),
                "alpha is missing: it weighs the distance to the flow against the critic.",
            ),
            Misconception(
                wrong_loss("noise"),
                "The flow got other noise than the policy. Then the best the policy can do is the "
                "mean of all chunks; with the same noise each draw has a chunk of its own.",
            ),
            Misconception(
                wrong_loss("mask"),
                "A window that reached the goal has no value after it: multiply by "
                "batch.mask[:, -1].",
            ),
            Misconception(
                wrong_loss("online"),
                "The value after the window is the slow copy's, state.target_critic.",
            ),
        ),
    ),
    Exercise(
        id="12.bug",
        objective="You can keep the plan of one episode out of the next.",
        why=(
            "A chunk belongs to the state in which it was planned. Evaluators that reset the world "
            "but not the queue measure another policy, and only where episodes end inside a chunk."
        ),
        question=(
            "This loop plays chunks of `h` actions and notes when each action was planned; "
            "`ends[t]` is 1 where an episode ends after step t:\n\n"
            "    def planned_at(ends, h):\n"
            "        planned, left, when = [], 0, 0\n"
            "        for t in range(len(ends)):\n"
            "            if left == 0:\n"
            "                left, when = h, t\n"
            "            planned.append(when)\n"
            "            left = left - 1\n"
            "        return planned\n\n"
            "Repair it and answer with the function."
        ),
        kind=Function(
            planned_at,
            ((ENDS, 5), (ENDS, 1), (np.zeros(7, int), 3), (np.array([1, 1, 0, 0, 1, 0, 0]), 4)),
        ),
        hints=(
            "Follow it with ends = [0, 0, 1, 0, 0] and h = 5. For which start was the fourth "
            "action planned?",
            "After an episode ends, nothing is left of its plan.",
            "left = 0 if ends[t] else ...",
        ),
        solution=(
            "def answer(ends, h):\n"
            "    planned, left, when = [], 0, 0\n"
            "    for t in range(len(ends)):\n"
            "        if left == 0:\n"
            "            left, when = h, t\n"
            "        planned.append(when)\n"
            "        left = 0 if ends[t] else left - 1\n"
            "    return planned"
        ),
        misconceptions=(
            Misconception(
                never_emptied,
                "An action planned in one episode is still executed in the next, where the cube "
                "lies elsewhere.",
            ),
            Misconception(
                lambda ends, h: np.arange(len(ends)),
                "That is closed loop: a chunk is planned once and played to its end.",
            ),
        ),
    ),
)
