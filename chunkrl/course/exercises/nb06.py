"""Exercises of notebook 06: sides that are kept, drawn again, or remembered."""

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, Number
from chunkrl.course.worlds.memory import memory_needed, taps
from chunkrl.course.worlds.sides import World, displacement, no_switch

STILL = World(noise=0.0)
RATIO = displacement(STILL, 5).spread / displacement(STILL, 1).spread


def unflatten(chunk: np.ndarray, dim: int) -> np.ndarray:
    """[a_t, a_{t+1}, ...], flat and time-major, as one action per row.  [h A] -> [h, A]"""
    return np.asarray(chunk).reshape(-1, dim)


def play(propose, position, h, steps):
    """Positions of a run that plays h moves of each chunk before it looks again.

    propose: [R, 2] -> [at least h, R, 2], moves; position [R, 2] -> [steps + 1, R, 2]
    """
    path = [position]
    while len(path) <= steps:
        for move in propose(path[-1])[:h][: steps + 1 - len(path)]:
            path.append(path[-1] + move)
    return path


def looks_each_step(propose, position, h, steps):
    return play(propose, position, 1, steps)


def never_stops(propose, position, h, steps):
    return play(propose, position, steps, steps)


def one_plan(propose, position, h, steps):
    plan = propose(position)
    return play(lambda _: plan, position, h, steps)


def repeats(propose, position, h, steps):
    def same_move(x):
        return np.repeat(propose(x)[:1], h, 0)

    return play(same_move, position, h, steps)


def runs_on(propose, position, h, steps):
    path = [np.asarray(position)]
    while len(path) <= steps:
        for move in propose(path[-1])[:h]:
            path.append(path[-1] + move)
    return path


def swerving(position: np.ndarray) -> np.ndarray:
    """A planner of 6 different moves, which steers back to the middle.  [R, 2] -> [6, R, 2]"""
    order = np.arange(1.0, 7.0)[:, None]
    return np.stack([order * (0.3 - position[:, 0]), 0.1 * order + 0 * position[:, 1]], -1)


EXERCISES = (
    Exercise(
        id="06.q1",
        objective="You can say how likely a policy that draws every step is to keep its side.",
        question=(
            "In each step a policy draws left or right, half and half, whatever it drew before. "
            "What is the probability that 5 steps in a row go to the same side?"
        ),
        kind=Number(no_switch(0.5, 5), 2e-4),
        hints=(
            "The first step may go to either side. What must the others do?",
            "P(all right) + P(all left) = b^h + (1 - b)^h",
            "answer = ... ** 5 + ... ** 5",
        ),
        solution="answer = 0.5**5 + 0.5**5",
        misconceptions=(
            Misconception(
                1 / 32,
                "This is the probability of five steps to the right. Five to the left will do as "
                "well.",
            ),
            Misconception(
                0.5,
                "Half is the share of runs on each side. Here the side is drawn again in every "
                "step, and all five draws must agree.",
            ),
            Misconception(
                15 / 16,
                "This is the probability that the side changes at least once; the question is "
                "about the rest.",
            ),
            Misconception(
                1 / 8,
                "Close: after the first step four others must agree with it, each with "
                "probability 1/2. How many factors is that?",
            ),
            Misconception(1.0, "Nothing ties one draw to the next: they agree only by luck."),
        ),
        why=(
            "The first step chooses, four others agree with probability 1/2 each: (1/2)^4. Next: "
            "no network enters, so no training will change it. What would?"
        ),
    ),
    Exercise(
        id="06.q2",
        objective="You can say how much farther a robot gets that holds its actions.",
        question=(
            "Two policies take steps of the same size, left or right, half and half. One draws "
            "each step, the other holds each draw for h = 5 steps. After many steps, how many "
            "times as large is the standard deviation of the second one's position?"
        ),
        kind=Number(RATIO, 0.006),
        hints=(
            "Variances of independent draws add up. How many draws are there in n steps, and how "
            "far does each one carry?",
            "n steps drawn one by one: n a^2. Held: (n/h) draws of size h a, so (n/h) (h a)^2.",
            "answer = (... / ...) ** 0.5",
        ),
        solution="n, h = 100, 5\nanswer = ((n / h * h**2) / n) ** 0.5",
        misconceptions=(
            Misconception(
                5.0,
                "The variance is 5 times as large. The standard deviation, which is a distance, "
                "is its root.",
            ),
            Misconception(
                1.0,
                "Each single step has the same law, but held steps add up instead of cancelling.",
            ),
            Misconception(5**-0.5, "This is the other way round: who holds a draw gets farther."),
            Misconception(
                25.0,
                "A draw has 25 times the variance, but there are 5 times fewer of them; and the "
                "question is about the standard deviation.",
            ),
        ),
        why=(
            "Held draws add up instead of cancelling: a fifth of the draws, each 5 times as "
            "large, have 5 times the variance, so sqrt(5) times the deviation. Next: is farther "
            "the same as more places? The coverage table says."
        ),
    ),
    Exercise(
        id="06.q3",
        objective=(
            "You can say how many past actions make the data of a hidden intention predictable."
        ),
        question=(
            "Another operator taps: a push to the hidden side in every third step, nothing in the "
            "two between; when the first push comes is hidden too. There is no noise. What is the "
            "smallest number of past actions that predicts the next one as well as all of them?"
        ),
        kind=Number(memory_needed(taps(3, 12)), 1e-9, "actions"),
        hints=(
            "Write down a run: 0, 0, push, 0, 0, push, ... Cover all but the last k actions. Can "
            "you say the next one, and its sign?",
            "Enough: the same next action after every equal window of k. Too short: two runs with "
            "equal windows that go on differently.",
            "from chunkrl.course.worlds.memory import memory_needed, taps\n"
            "answer = memory_needed(taps(...))",
        ),
        solution=(
            "from chunkrl.course.worlds.memory import memory_needed, taps\n"
            "answer = memory_needed(taps(3, steps=12))"
        ),
        misconceptions=(
            Misconception(
                1,
                "That is so for an operator who pushes in every step. Here the last action is "
                "mostly 0.",
            ),
            Misconception(
                2,
                "After two zeros you know that a push is due, but not to which side: it is hidden "
                "behind them.",
            ),
            Misconception(4, "Four positions are three actions; the question is about actions."),
            Misconception(6, "There are 6 kinds of runs, but far fewer actions tell them apart."),
            Misconception(
                0,
                "With no past the next action is right one time in two at best. Does the past "
                "tell more?",
            ),
        ),
        why=(
            "Three actions hold exactly one push, hence both its side and its phase; with two it "
            "may be hidden behind two zeros. Next: a policy with such a memory must never see a "
            "past that the data do not hold."
        ),
    ),
    Exercise(
        id="06.bug",
        objective="You can recognise a chunk whose numbers are read in the wrong order.",
        question=(
            "A flow returns a chunk as one row of numbers, time-major: first all of the first "
            "action, then all of the second. This makes actions of it:\n\n"
            "    def unflatten(chunk, dim):\n"
            "        return chunk.reshape(dim, -1).T\n\n"
            "Repair it and answer with the function (chunk is a NumPy array, dim the numbers per "
            "action)."
        ),
        kind=Function(
            unflatten,
            (
                (np.arange(10.0), 2),
                (np.array([1.0, -2.0, 3.0, -4.0]), 2),
                (np.arange(15.0) - 7.0, 5),
                (np.array([0.5, 0.25, -1.0]), 3),
            ),
        ),
        hints=(
            "The shape is right. Which two numbers does the first action get, and which should it?",
            "Row i is chunk[i A], ..., chunk[i A + A - 1]: rows are filled one after the other.",
            "def answer(chunk, dim):\n    return chunk.reshape(..., ...)",
        ),
        solution="def answer(chunk, dim):\n    return chunk.reshape(-1, dim)",
        misconceptions=(
            Misconception(
                lambda chunk, dim: np.asarray(chunk).reshape(dim, -1).T,
                "This still fills all sideways numbers first. The transpose makes the shape right "
                "and leaves the order wrong.",
            ),
            Misconception(
                lambda chunk, dim: np.asarray(chunk).reshape(dim, -1),
                "Now a row is one number of the action at all times. There is one row per time "
                "wanted: which axis comes first?",
            ),
            Misconception(
                lambda chunk, dim: np.asarray(chunk).reshape(-1, dim)[::-1],
                "The actions are whole, but the last comes first.",
            ),
        ),
        why=(
            "Time-major means that rows fill one after the other, so reshape(-1, dim) is all. "
            "Next: test every reshape with numbers that are all different, since shapes cannot "
            "tell."
        ),
    ),
    Exercise(
        id="06.write",
        objective="You can write the player that executes h actions of each chunk.",
        question=(
            "Write play(propose, position, h, steps): the list of positions of a run that asks "
            "for a chunk where it is, plays the first h moves of it, and asks again, until `steps` "
            "moves are made. The start is in the list."
        ),
        kind=Function(
            play,
            (
                (swerving, np.array([[0.0, 0.0]]), 3, 6),
                (swerving, np.array([[1.0, 0.0], [-0.5, 0.2]]), 4, 7),
                (swerving, np.array([[0.2, 0.0]]), 1, 4),
            ),
        ),
        hints=(
            "Two loops: the outer one looks, the inner one plays and does not.",
            "chunk = propose(position where it looks); position += chunk[i] for i < h, and no more "
            "than `steps` moves in all",
            "path = [position]\n"
            "while len(path) <= steps:\n"
            "    chunk = propose(path[-1])\n"
            "    for move in chunk[:h]:\n"
            "        if len(path) <= steps:\n"
            "            path.append(...)\n"
            "return path",
        ),
        solution=(
            "def answer(propose, position, h, steps):\n"
            "    path = [position]\n"
            "    while len(path) <= steps:\n"
            "        chunk = propose(path[-1])\n"
            "        for move in chunk[:h]:\n"
            "            if len(path) <= steps:\n"
            "                path.append(path[-1] + move)\n"
            "    return path"
        ),
        misconceptions=(
            Misconception(
                looks_each_step,
                "This looks again after every move, so h changes nothing: it is the policy of "
                "single steps. Play h moves of one chunk.",
            ),
            Misconception(
                never_stops,
                "This plays the chunk to its end. After h moves it is time to look again.",
            ),
            Misconception(
                one_plan,
                "The chunk was asked for once, at the start. Every h moves a new one is drawn, at "
                "the place that the run has reached.",
            ),
            Misconception(
                repeats,
                "This plays the first move h times. A chunk holds h moves of its own: chunk[i] is "
                "the i-th.",
            ),
            Misconception(
                runs_on,
                "The last chunk is played to its end, past the last step: with h = 3 and 10 steps "
                "the run makes 12 moves.",
            ),
        ),
        why=(
            "The outer loop looks, the inner one plays: this is all that chunking changes in how "
            "a robot acts. Next: let h be smaller than the chunk, as real robots do, and think of "
            "what the rest of the plan is for."
        ),
    ),
)
