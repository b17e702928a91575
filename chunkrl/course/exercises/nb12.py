"""Exercises of notebook 12: targets and loss of QC-FQL, widths of intervals, fair means."""

from functools import cache, partial
from typing import Any

import jax
import numpy as np

from chunkrl.course import one_step
from chunkrl.course.exercise import Exercise, Function, Misconception, Number
from chunkrl.train import compiler
from chunkrl.types import Batch

# Of 12.q1: windows of which one solves the task with its first action, one with its last.
DISCOUNT, NEXT_VALUE, LEAD = 0.99, -8.0, 0.1


def ahead(n: int, bootstrap: float = 0.0, counted: bool = True) -> float:
    """The first one's target minus the last one's, in windows of n.

    `bootstrap` is what the first one would add; `counted`: with the rewards behind its success.
    """
    cost = -(DISCOUNT ** np.arange(n))
    first = cost[1:].sum() if counted else 0.0
    return float(first + DISCOUNT**n * bootstrap - cost[:-1].sum())


def enough(**how: Any) -> int:
    """The first n at which it is LEAD or more."""
    return next(n for n in range(2, 1000) if ahead(n, **how) >= LEAD)


# Of 12.q2: scatter of FQL's ten seeds, what the luck of 20 episodes explains of it, the reach asked
# for [points]; Student's factor of the difference of two tens.
SCATTER, LUCK, WANTED, STUDENT = 10.55, 8.30, 7.0, 2.10
OWN = (SCATTER**2 - LUCK**2) ** 0.5  # what is left for the seeds: scatters add as squares
ROUNDED = 10.6, 8.3  # the same, short of digits


def reach(episodes: float, own: float = OWN, luck: float = LUCK) -> float:
    """Half the interval of a difference of two groups of ten agents that play `episodes` each."""
    return STUDENT * (2 / 10 * (own**2 + luck**2 * 20 / episodes)) ** 0.5


def episodes_for(wanted: float, own: float = OWN, luck: float = LUCK) -> float:
    """The inverse of `reach`."""
    return 20 * luck**2 / ((wanted / STUDENT) ** 2 * 10 / 2 - own**2)


# Of 12.q3: notes of A's hand [cm] in successes and in failures, the mean of all episodes of either
# agent, C's share of successes.
A_WON, A_LOST, LEVEL, C_WINS = 7.0, 3.5, 5.6, 0.4


def coherency(wins: float, won: float, lost: float) -> float:
    """The mean over episodes."""
    return wins * won + (1 - wins) * lost


FURTHER = LEVEL - coherency(C_WINS, A_WON, A_LOST)  # C's hand than A's, in either kind


def window_targets(reward, mask, value, n, discount):
    """The target of every window of n steps.  [T], [T], [T + 1] -> [T - n + 1]

    y_t = sum_{i<n} gamma^i r_{t+i} + gamma^n min_{i<n} mask_{t+i} value_{t+n}
    """
    rows = np.arange(len(reward) - n + 1)[:, None] + np.arange(n)
    earned = np.asarray(reward)[rows] @ discount ** np.arange(n)
    goes_on = np.asarray(mask)[rows].min(1)
    return earned + discount**n * goes_on * np.asarray(value)[rows[:, 0] + n]


def one_discount(reward, mask, value, n, discount):
    """The bug: the bootstrap is discounted as if it lay one step ahead, right for n = 1."""
    return window_targets(reward, np.asarray(mask) * discount ** (1 - n), value, n, discount)


def settled(discount: float, n: int, bootstrap: float) -> float:
    """V = R + bootstrap V, with R of n rewards of -1: a critic for whom nothing is ever solved."""
    return -(1 - discount**n) / (1 - discount) / (1 - bootstrap)


FAR, LONG = 0.99, 5  # discount and steps of 12.bug


@cache
def case() -> tuple[Any, ...]:
    """A batch in the middle of training: `params` have moved on since `state` was made."""
    settings = {"obs_dim": 3, "action_dim": 2, "horizon": 3, "hidden": (8, 8), "flow_steps": 2}
    agent = one_step.make(alpha=2.0, **settings)
    rng = np.random.default_rng(0)
    numbers = lambda *shape: rng.normal(size=shape).astype(np.float32)
    moved = lambda tree: jax.tree.map(lambda x: x + 0.3 * numbers(*x.shape), tree)
    # Operation by operation each would be compiled by itself, for ten times the seconds.
    quickly = partial(jax.jit, compiler_options=compiler.options(1, quick=True))
    state = quickly(agent.init)(jax.random.key(0))
    state = state._replace(params=moved(state.params), target_critic=moved(state.params.critic))
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
    noise = quickly(agent.noise, static_argnums=1)(jax.random.key(4), 5)
    return nets, moved(state.params), state, batch, noise


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
            "Both bootstraps are cut, and A pays B's rewards a step later each: A = 0.99 B. So A "
            "is 1 - 0.99^(n - 1) ahead: 0.10 for being eleven steps sooner (n = 12), and never 1, "
            "however long the windows. If nothing counted after a success, it would be 10.5."
        ),
        question=(
            "Windows of n actions, discount 0.99, -1 a step except where the cube lies in its "
            "place. Window A solves the task with its first action, window B with its last; in A "
            "the hand carries the cube on at once. The slow critics say -8 of whatever follows "
            "either. From which n on is A's published target at least 0.1 above B's? A whole "
            "number."
        ),
        kind=Number(enough(), 1e-9, "actions"),
        hints=(
            "Write the rewards of both windows one below the other, for n = 4. Which of the two "
            "bootstraps? What do the sums have in common?",
            "A: rewards 0, -1, ..., -1; B: -1, ..., -1, 0. The least mask is 0 in both. The sums "
            "differ by their first and last term: 1 - 0.99^(n - 1).",
            "for n in range(2, 100):\n"
            "    powers = 0.99 ** np.arange(n)\n"
            "    print(n, -powers[1:].sum() - ...)",
        ),
        solution=("answer = next(n for n in range(2, 100) if 1 - 0.99 ** (n - 1) >= 0.1)"),
        misconceptions=(
            Misconception(
                enough(counted=False),
                "That is how one would think of it (nothing counts behind a success), and how the "
                "toy of notebook 08 counts. The published code does otherwise: only the bootstrap "
                "is cut, and all rewards are summed.",
            ),
            Misconception(
                enough(bootstrap=NEXT_VALUE),
                "You bootstrapped in A. Its last mask is 1, but the window's is the smallest of "
                "its masks, 0: no value is added.",
            ),
            Misconception(
                enough() - 1,
                "The last of n actions is number n - 1, counted from 0: its reward carries "
                "0.99^(n - 1). Or is it the last n at which A is not yet so far ahead?",
            ),
            Misconception(
                0,
                "A and B pay for n - 1 steps each, but not for the same ones: reward i carries "
                "gamma^i.",
            ),
        ),
    ),
    Exercise(
        id="12.q2",
        objective="You can say what narrows an interval, more seeds or more episodes.",
        why=(
            "Scatters add as squares: 10.55^2 - 8.30^2 = 6.5^2 is left for the seeds, and only "
            "the luck shrinks. At +-7 points 105 episodes do it; at +-6.1 no number of episodes "
            "does, and +-5 takes more seeds."
        ),
        question=(
            "You change a line of FQL. Its ten seeds scatter by 10.55 points, so the 95% interval "
            "of a difference of two such agents is +-9.9 points, 2.10 * 10.55 * sqrt(2/10). The "
            "luck of 20 episodes explains 8.30 of the 10.55; take the rest for real differences "
            "between seeds. How many episodes must each of the twenty agents play, so that the "
            "interval is +-7 points? To within 2."
        ),
        kind=Number(episodes_for(WANTED), 2.0, "episodes"),
        hints=(
            "Which part of the scatter shrinks with more episodes, and which one stays?",
            "Squares add: 10.55^2 = 8.3^2 + rest^2. With E episodes the square of the scatter is "
            "rest^2 + 8.3^2 * 20/E. Which scatter makes +-7?",
            "scatter = 7 / (2.10 * (2 / 10) ** 0.5)\n"
            "rest = 10.55**2 - 8.3**2\n"
            "answer = 20 * 8.3**2 / (scatter**2 - ...)",
        ),
        solution=(
            "scatter = 7 / (2.10 * (2 / 10) ** 0.5)\n"
            "answer = 20 * 8.3**2 / (scatter**2 - (10.55**2 - 8.3**2))"
        ),
        misconceptions=(
            Misconception(
                20 * (reach(20) / WANTED) ** 2,
                "That would do if luck were all that scatters. A part of the scatter stays, "
                "however long they play.",
            ),
            Misconception(
                episodes_for(WANTED, SCATTER - LUCK),
                "You left 10.55 - 8.30 = 2.25 points for the seeds. Scatters add as squares: 6.5 "
                "are left.",
            ),
            Misconception(
                episodes_for(WANTED, (ROUNDED[0] ** 2 - ROUNDED[1] ** 2) ** 0.5, ROUNDED[1]),
                "You rounded to 10.6. What is left is a small difference of large "
                "numbers, so keep the digits: 10.55 and 8.30.",
            ),
            Misconception(
                10 * (reach(20) / WANTED) ** 2,
                "So many *seeds* of each would do it, at 20 episodes. And with ten seeds?",
            ),
        ),
    ),
    Exercise(
        id="12.q3",
        objective="You can say how a mean over all episodes may hide a difference in both parts.",
        why=(
            "A's share is (5.6 - 3.5) / (7 - 3.5) = 60%. With A's strides C would have 0.4 * 7 + "
            "0.6 * 3.5 = 4.9: the 0.7 to 5.6 are its hands'. With a lower share still C would go "
            "further in both kinds and less far over all episodes (Simpson's paradox). So a gap "
            "over all episodes, or none, says nothing yet about the hands."
        ),
        question=(
            "Coherency as a mean over all episodes is 5.6 cm for A and for C. A's stride is 7 cm "
            "where it succeeds and 3.5 cm where it fails. C succeeds in 40% of its episodes, and "
            "its stride differs from A's by as many cm in successes as in failures. By how many?"
        ),
        kind=Number(FURTHER, 0.01, "cm"),
        hints=(
            "Had C's hand A's two strides, what would its mean over all episodes be?",
            "0.4 * 7 + 0.6 * 3.5. What is added to both strides is added to their mean.",
            "answer = 5.6 - (0.4 * 7 + ...)",
        ),
        solution="answer = 5.6 - (0.4 * 7 + 0.6 * 3.5)",
        misconceptions=(
            Misconception(
                0.0,
                "Equal means do not make equal hands: A's mean of 5.6 needs 60% successes, and C "
                "has 40%.",
            ),
            Misconception(
                -FURTHER, "The size is right. C succeeds less often and yet has the same mean."
            ),
            Misconception(
                LEVEL - (A_WON + A_LOST) / 2,
                "You weighed successes and failures alike. C succeeds in 40%.",
            ),
            Misconception(
                LEVEL / coherency(C_WINS, A_WON, A_LOST),
                "This is the factor if both strides were stretched. Asked are the cm, the same in "
                "both.",
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
        kind=Function(one_step.library_loss, lambda: (case(),), tolerance=1e-4),
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
        objective="You can find a fault that training does not show, and compute what it does.",
        why=(
            "The bootstrap is discounted by gamma where it lies n steps ahead: gamma^n. So a step "
            "counts 0.99^(1/5) = 0.998 of the one before, the critic plans for 500 steps in place "
            "of 100, and a task that is never solved is worth -490 to it. Training converges all "
            "the same, and at n = 1 nothing is wrong. With exact values a target must equal the "
            "value where its window begins, for every n: a test of three lines."
        ),
        question=(
            "Targets of windows of n steps from a log: `reward` and `mask` [T], and the slow "
            "critic's `value` [T + 1] of every state. With exact values they should equal the "
            "value of the state where each window begins; for n = 5 they miss it a little:\n\n"
            "    def window_targets(reward, mask, value, n, discount):\n"
            "        rows = np.arange(len(reward) - n + 1)[:, None] + np.arange(n)\n"
            "        y = reward[rows] @ discount ** np.arange(n)\n"
            "        goes_on = mask[rows].min(1)\n"
            "        return y + discount * goes_on * value[rows[:, 0] + n]\n\n"
            "A critic learns from these targets to its end, n = 5 and discount 0.99, from logs in "
            "which nothing is ever solved: every reward is -1. The right value is -100. What does "
            "this critic say? A whole number."
        ),
        kind=Number(settled(FAR, LONG, FAR), 0.6, "reward"),
        hints=(
            "Which of the factors of the bootstrap does not depend on n, and should?",
            "Learned to its end, every state says the same V, and the target of V is V. Five "
            "rewards add up to -(1 - 0.99^5) / 0.01 = -4.90.",
            "# V = -4.90 + 0.99 V\nanswer = -4.90 / (1 - ...)",
        ),
        solution="answer = -(1 - 0.99**5) / 0.01 / (1 - 0.99)",
        misconceptions=(
            Misconception(
                settled(FAR, LONG, FAR**LONG),
                "This is the right value. What do targets say whose bootstrap is discounted by "
                "0.99 once, after five rewards?",
            ),
            Misconception(
                -settled(FAR, LONG, FAR), "The size is right; every reward is -1, so V is negative."
            ),
            Misconception(
                -LONG / (1 - FAR),
                "The five rewards of a window are discounted too: they add up to -4.90, not -5.",
            ),
            Misconception(
                -(1 - FAR**LONG) / (1 - FAR),
                "This is what one window earns. The critic goes on from its end, over and over.",
            ),
            Misconception(
                -(1 - FAR**LONG) / (1 - FAR) * (1 + FAR),
                "These are two windows. Learned to its end the critic bootstraps for ever: V = "
                "-4.90 + 0.99 V.",
            ),
        ),
    ),
)
