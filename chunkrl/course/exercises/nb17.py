"""Exercises of notebook 17: ways to act by one critic."""

import numpy as np
from scipy.special import rel_entr

from chunkrl.course.exercise import Exercise, Function, Misconception, MultipleChoice, Number

DATA, SCORE = np.array([0.6, 0.3, 0.1]), np.array([0.0, 1.0, 2.0])
WEIGHT = DATA * np.exp(SCORE)
THIRD = float(WEIGHT[2] / WEIGHT.sum())

STEEPEST, FAR = 4.0, 0.1
LEASH = STEEPEST / (2 * FAR)


def best_then_climb(candidates, critic, slope, step):
    """The best of N, moved by `step` up the critic's slope, within [-1, 1].

    candidates [N, B, D]; critic [..., D] -> [...]; slope [..., D] -> [..., D].  -> [B, D]
    """
    best = critic(candidates).argmax(0)  # [B]
    pick = candidates[best, np.arange(len(best))]
    up = slope(pick)
    return np.clip(pick + step * up / np.linalg.norm(up, axis=-1, keepdims=True), -1, 1)


def _climbed(pick, slope, step):
    up = slope(pick)
    return pick + step * up / np.linalg.norm(up, axis=-1, keepdims=True)


def climb_then_best(candidates, critic, slope, step):
    moved = np.clip(_climbed(candidates, slope, step), -1, 1)
    return moved[critic(moved).argmax(0), np.arange(moved.shape[1])]


def down(candidates, critic, slope, step):
    return best_then_climb(candidates, critic, lambda a: -slope(a), step)


def as_steep(candidates, critic, slope, step):
    pick = best_then_climb(candidates, critic, slope, 0.0)
    return np.clip(pick + step * slope(pick), -1, 1)


def number_by_number(candidates, critic, slope, step):
    pick = best_then_climb(candidates, critic, slope, 0.0)
    return np.clip(pick + step * np.sign(slope(pick)), -1, 1)


def out_of_bounds(candidates, critic, slope, step):
    return _climbed(best_then_climb(candidates, critic, slope, 0.0), slope, step)


def one_for_all(candidates, critic, slope, step):
    pick = candidates[critic(candidates).mean(1).argmax()]
    return np.clip(_climbed(pick, slope, step), -1, 1)


def only_best(candidates, critic, slope, step):
    return best_then_climb(candidates, critic, slope, 0.0)


def only_climb(candidates, critic, slope, step):
    return best_then_climb(candidates[:1], critic, slope, step)


PEAK, STEEP = np.array([0.9, -0.7]), np.array([1.0, 3.0])


def likes(actions):
    return -(STEEP * (actions - PEAK) ** 2).sum(-1)


def likes_slope(actions):
    return -2 * STEEP * (actions - PEAK)


def _made_up(n: int, seed: int) -> np.ndarray:
    """n candidates in each of 5 rounds, two numbers each.  -> [n, 5, 2]"""
    return np.random.default_rng(seed).uniform(-1, 1, (n, 5, 2))


def strays(law, data):
    """KL(law || data), nats.  [G], [G] -> []"""
    return float(rel_entr(law, data).sum())


def _laws(seed: int) -> tuple[np.ndarray, np.ndarray]:
    law, data = np.random.default_rng(seed).dirichlet(np.ones(5), 2)
    return law, data


EXERCISES = (
    Exercise(
        id="17.q1",
        objective="You can compute the law that adjoint matching aims at.",
        question=(
            "Of three actions the data take the first with probability 0.6, the second with 0.3, "
            "the third with 0.1. The critic says 0, 1 and 2. With beta = 1, how probable is the "
            "third under p exp(beta Q) / Z?"
        ),
        kind=Number(THIRD, 0.002),
        hints=(
            "Give each action a weight, then let the weights sum to one.",
            "0.1 e^2 / (0.6 + 0.3 e + 0.1 e^2)",
            "import numpy as np\nweight = np.array([0.6, 0.3, 0.1]) * ...\nanswer = ...",
        ),
        solution=(
            "import numpy as np\n"
            "weight = np.array([0.6, 0.3, 0.1]) * np.exp([0.0, 1.0, 2.0])\n"
            "answer = weight[2] / weight.sum()"
        ),
        misconceptions=(
            Misconception(
                float(np.exp(2) / np.exp(SCORE).sum()),
                "This is the softmax of the critic: the data have no say in it. Multiply by p.",
            ),
            Misconception(
                float(WEIGHT[2]), "A weight, not yet a probability: divide by the sum of all three."
            ),
            Misconception(
                float(DATA[2] * SCORE[2] / (DATA @ SCORE)),
                "Weighted by Q itself, the first action would never be taken. The weight is exp Q.",
            ),
            Misconception(0.1, "That is beta = 0, the data. What does exp(2) do to it?"),
        ),
        why=(
            "From 0.10 to 0.34; beta = 3 makes it 0.86. Next: give the third action probability 0 "
            "in the data. Which beta takes it then?"
        ),
    ),
    Exercise(
        id="17.q2",
        objective="You can say which ways to act can take what the data never contain.",
        question=(
            "An action has probability 0 in the data, and the critic, which never saw it, prefers "
            "it to all others. Suppose that the cloned flow is exact. Which of the five ways can "
            "take it, whatever their knobs?"
        ),
        kind=MultipleChoice(
            {
                "a": "all but the best of N",
                "b": "the edit and the one step, no other",
                "c": "the edit, the one step and the tilt with a large beta",
                "d": "the edit, the one step and steering with a large c",
            },
            "b",
        ),
        hints=(
            "Which of them choose among ends of the flow, or weigh the data's own probability?",
            "max over draws; 0 exp(beta Q); Flow(z); clip(x + e d); mu(z)",
            'answer = "..."',
        ),
        solution='answer = "b"',
        misconceptions=(
            Misconception(
                "a", "0 times exp(beta Q) is 0, and every end of the flow is the data's."
            ),
            Misconception("c", "0 times exp(beta Q) is 0 for every beta."),
            Misconception(
                "d",
                "Every noise ends in an action of the data if the flow is exact: c decides how "
                "rare. (A learned flow is not exact, and between two ways least of all.)",
            ),
        ),
        why=(
            "Two ways weigh what the flow proposes, one chooses among it, two leave it. Next: "
            "almost 0 is another matter. See below what a large beta or c finds there."
        ),
    ),
    Exercise(
        id="17.q3",
        objective="You can choose alpha so that a one-step policy stays as near as an edit.",
        question=(
            "A one-step policy minimises alpha |a - x|^2 - Q(a). The critic's slope is at most 4 "
            "per unit. Which is the least alpha that is sure to keep every action within 0.1 of x, "
            "as an edit with e = 0.1 would?"
        ),
        kind=Number(LEASH, 1e-6),
        hints=(
            "Where does the pull of the critic balance that of the data?",
            "2 alpha |a - x| = slope",
            "# solve 2 * alpha * 0.1 = 4\nanswer = ...",
        ),
        solution="answer = 4 / (2 * 0.1)",
        misconceptions=(
            Misconception(40, "The derivative of a square has a factor 2."),
            Misconception(
                0.2 / 4, "Upside down: a steeper critic needs a larger alpha, not a smaller one."
            ),
            Misconception(
                400, "With alpha |a - x|^2 = slope. What balances are derivatives, not the terms."
            ),
        ),
        why=(
            "So alpha is a leash whose length is slope / (2 alpha): it depends on the critic's "
            "scale, e does not. Next: the code averages the square over the numbers of a chunk, "
            "which divides alpha by them."
        ),
    ),
    Exercise(
        id="17.write",
        objective="You can write a policy that picks, and then climbs.",
        question=(
            "Write best_then_climb(candidates, critic, slope, step): in each round the best "
            "candidate by the critic, moved by the distance `step` in the direction in which the "
            "critic grows fastest, and kept within [-1, 1]."
        ),
        kind=Function(
            best_then_climb,
            (
                (_made_up(6, 0), likes, likes_slope, 0.3),
                (_made_up(3, 1), likes, likes_slope, 0.05),
                (_made_up(2, 2), likes, likes_slope, 0.9),
            ),
        ),
        hints=(
            "Three lines: pick as in notebook 07, a direction of length 1, a step and a bound.",
            "clip(x + step g / |g|, -1, 1), g the slope at the pick x of each round",
            "best = critic(candidates).argmax(axis=0)\n"
            "pick = candidates[best, np.arange(len(best))]\n"
            "up = slope(pick)\n"
            "return np.clip(pick + step * up / ..., -1, 1)",
        ),
        solution=(
            "import numpy as np\n"
            "def answer(candidates, critic, slope, step):\n"
            "    best = critic(candidates).argmax(axis=0)\n"
            "    pick = candidates[best, np.arange(len(best))]\n"
            "    up = slope(pick)\n"
            "    up = up / np.linalg.norm(up, axis=-1, keepdims=True)\n"
            "    return np.clip(pick + step * up, -1, 1)"
        ),
        misconceptions=(
            Misconception(
                climb_then_best,
                "You climb from every candidate and then pick. Also a policy, and N times the "
                "gradients; asked is to pick first.",
            ),
            Misconception(down, "You go down. A value is not a loss: add the slope."),
            Misconception(
                as_steep,
                "The way is step times the slope: where the critic is steep you go far. Divide "
                "the slope by its length.",
            ),
            Misconception(
                number_by_number,
                "You move every number by `step`, so in all by step times sqrt(D), and not where "
                "the critic grows fastest. Divide the slope by its length.",
            ),
            Misconception(out_of_bounds, "An actuator ends at 1: clip what comes out to [-1, 1]."),
            Misconception(
                one_for_all,
                "One index wins in all rounds here. Each round has a winner of its own: argmax "
                "over the first axis.",
            ),
            Misconception(only_best, "This is the best of N: nothing climbed."),
            Misconception(only_climb, "You climb from the first candidate: nothing was picked."),
        ),
        why=(
            "N = 1 is an edit, step = 0 the best of N: one function, two knobs. Next: see what "
            "each of them obtains, and what the critic claims of it."
        ),
    ),
    Exercise(
        id="17.bug",
        objective="You can measure how far a policy strays from its data.",
        question=(
            "`law` and `data` are probabilities of the same actions, none of them 0. This should "
            "say how far the law strays from the data, in nats on average over *what is done*. But "
            "it hardly counts an action that the law does often and the data seldom contain:\n\n"
            "    def strays(law, data):\n"
            "        return np.sum(data * np.log(data / law))\n\n"
            "Repair it and answer with the function."
        ),
        kind=Function(strays, (_laws(0), _laws(1), _laws(2))),
        hints=(
            "Over whose actions is this average?",
            "sum over actions of law log(law / data)",
            "def answer(law, data):\n    return np.sum(... * np.log(...))",
        ),
        solution=(
            "import numpy as np\n"
            "def answer(law, data):\n"
            "    return np.sum(law * np.log(law / data))"
        ),
        misconceptions=(
            Misconception(
                lambda law, data: strays(data, law),
                "That is the code as it stands: an average over the data's actions.",
            ),
            Misconception(
                lambda law, data: float((law * np.log(data / law)).sum()),
                "Averaged over what is done, but the ratio is upside down: this is negative.",
            ),
            Misconception(
                lambda law, data: float((data * np.log(law / data)).sum()),
                "The ratio is turned, and the average still one over the data.",
            ),
            Misconception(
                lambda law, data: float(np.abs(law - data).sum() / 2),
                "A distance, but not in nats: an action a thousand times as likely counts little.",
            ),
            Misconception(
                lambda law, data: strays(law, data) / float(np.log(2)),
                "Right, in bits. A nat uses the natural logarithm.",
            ),
        ),
        why=(
            "It is what the best of N bounds by log N - (N - 1) / N. Next: of a policy that takes "
            "one action of continuously many it is infinite; so the figures show how much less "
            "likely than the data's its actions are."
        ),
    ),
)
