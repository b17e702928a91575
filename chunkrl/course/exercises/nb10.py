"""Exercises of notebook 10: models of one step and of whole chunks."""

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, MultipleChoice, Number
from chunkrl.course.explorers.drift import CHUNKS, learned


def slope(a: float, signal: float, noise: float) -> float:
    """a S / (S + sigma^2): least squares of a s + ... on s + v."""
    return a * signal**2 / (signal**2 + noise**2)


def best_chunk(noise: float, transitions: int, every_start: bool = False) -> int:
    found = learned(noise, 0.0, transitions, every_start)
    return CHUNKS[int(found.error.argmin())]


def by_trajectory(frames: np.ndarray) -> np.ndarray:
    """[T, N, O] -> [N, T, O]"""
    return frames.swapaxes(0, 1)


FRAMES = tuple(
    (np.random.default_rng(i).normal(size=shape),)
    for i, shape in enumerate(((3, 2, 2), (2, 3, 1), (4, 4, 3)))
)

EXERCISES = (
    Exercise(
        id="10.q1",
        objective="You can say what noise in the observations does to one call of a fitted model.",
        question=(
            "One dimension: the next state is a times the state, states have standard deviation "
            "`signal`, and both are logged with independent noise of standard deviation `noise`. "
            "Write answer(a, signal, noise): the coefficient that least squares finds with "
            "unlimited data."
        ),
        kind=Function(slope, ((1.0, 0.6, 0.1), (0.9, 1.0, 1.0), (-0.5, 0.3, 0.2))),
        hints=(
            "The slope of a regression is covariance over variance. Which of the two does the "
            "noise change?",
            "Cov(o, o') = a signal^2 and Var(o) = signal^2 + noise^2",
            "def answer(a, signal, noise):\n    return a * ... / (... + ...)",
        ),
        solution=(
            "def answer(a, signal, noise):\n    return a * signal**2 / (signal**2 + noise**2)"
        ),
        misconceptions=(
            Misconception(
                lambda a, signal, noise: a,
                "Noise in what is predicted averages out. Noise in what is predicted *from* does "
                "not: it makes the input look more variable than it is.",
            ),
            Misconception(
                lambda a, signal, noise: a * signal / (signal + noise),
                "Variances of independent things add up, not standard deviations.",
            ),
            Misconception(
                lambda a, signal, noise: (
                    a * signal**2 / np.sqrt((signal**2 + noise**2) * (a**2 * signal**2 + noise**2))
                ),
                "This divides by both deviations, which gives a correlation. A slope divides by "
                "the variance of the input.",
            ),
            Misconception(
                lambda a, signal, noise: a * signal / np.sqrt(signal**2 + noise**2),
                "The covariance holds signal^2, not signal.",
            ),
        ),
    ),
    Exercise(
        id="10.q2",
        objective="You can choose a chunk length for the data that you have.",
        question=(
            "Observation noise 0.1, no dynamics noise, 500 logged steps cut into chunks end to "
            "end: which of h = 1, 2, 5, 10, 25, 50 drifts least over 50 steps?"
        ),
        kind=Number(best_chunk(0.1, 500), 1e-9, "steps"),
        hints=(
            "Set the explorer to these numbers and read its points.",
            "Few calls attenuate seldom; a long chunk has many coefficients and few examples.",
            'numbers = EXPLORERS["drift"].numbers()\nanswer = (1, 2, 5, 10, 25, 50)[...]',
        ),
        solution=(
            "from chunkrl.course.explorers import EXPLORERS\n"
            'numbers = EXPLORERS["drift"].numbers()\n'
            "answer = (1, 2, 5, 10, 25, 50)[numbers.learned.argmin()]"
        ),
        misconceptions=(
            Misconception(
                50,
                "With unlimited logs the longest chunk drifts least. 500 steps hold 10 chunks of "
                "50, and such a model has 52 coefficients for each number it predicts.",
            ),
            Misconception(
                best_chunk(0.1, 500, every_start=True),
                "This is the best if chunks begin at every step. Cut end to end, 500 steps hold "
                "only 20 chunks of 25.",
            ),
            Misconception(
                best_chunk(0.1, 300),
                "This is the best for 300 steps. With 500 the longer chunk can be learned.",
            ),
            Misconception(
                1,
                "The one-step model has the most examples and the fewest coefficients, and its "
                "attenuation is applied 50 times.",
            ),
        ),
    ),
    Exercise(
        id="10.q3",
        objective="You can predict which model drifts less from a description of the system.",
        question=(
            "Who drifts less over 50 steps, the one-step model (1) or a chunk model of 25 steps "
            "(C), chunks cut end to end? X: exact sensors, the hand is shaken a little at every "
            "step (0.03), 300 logged steps. Y: noisy sensors (0.1), nothing shakes it, 10,000 "
            "steps. Z: exact sensors, nothing shakes it, 10,000 steps."
        ),
        kind=MultipleChoice(
            {
                "a": "X: 1, Y: C, Z: both are nearly perfect",
                "b": "C in all three: it makes fewer calls",
                "c": "X: C, Y: 1, Z: both are nearly perfect",
                "d": "X: 1, Y: C, Z: C, since errors of single steps pile up",
            },
            "a",
        ),
        hints=(
            "Ask of each system: is a single call wrong even with unlimited data?",
            "Sensor noise attenuates the input of every call. Shaking is noise in what is "
            "predicted, which averages out, the slower the longer the chunk.",
            'EXPLORERS["drift"].show(noise=..., dynamics_noise=..., transitions=..., chunk="25")',
        ),
        solution='answer = "a"',
        misconceptions=(
            Misconception(
                "b",
                "In X a single call is unbiased, and 300 steps hold 12 chunks of 25 for 27 "
                "coefficients. Set X in the explorer.",
            ),
            Misconception(
                "c",
                "It is the sensors' noise that biases every call; shaking is noise in what is "
                "predicted, and averages out.",
            ),
            Misconception(
                "d",
                "Without noise one step is fitted exactly, and an exact step repeated 50 times is "
                "exact: there is nothing to pile up.",
            ),
        ),
    ),
    Exercise(
        id="10.bug",
        objective="You can recognise an evaluation that mixes up trajectories.",
        question=(
            "frames hold T consecutive frames of N trajectories, [T, N, O]. This is to give one "
            "row per trajectory, [N, T, O]:\n\n"
            "    def by_trajectory(frames):\n"
            "        time, number, width = frames.shape\n"
            "        return frames.reshape(number, time, width)\n\n"
            "Repair it and answer with the function."
        ),
        kind=Function(by_trajectory, FRAMES),
        hints=(
            "Fill frames with the number of their trajectory. What should a row hold, what does "
            "it?",
            "out[n, t] = frames[t, n]: axes change places, memory order changes with them.",
            "def answer(frames):\n    return frames.transpose(...)",
        ),
        solution="def answer(frames):\n    return frames.transpose(1, 0, 2)",
        misconceptions=(
            Misconception(
                lambda frames: frames.reshape(frames.shape[1], frames.shape[0], -1),
                "reshape keeps the order in memory and cuts it elsewhere: a row now holds frames "
                "of several trajectories.",
            ),
            Misconception(lambda frames: frames, "Now the first axis is still time."),
            Misconception(
                lambda frames: frames.T,
                "This reverses all three axes: [O, N, T]. The numbers of a frame stay last.",
            ),
            Misconception(
                lambda frames: frames.swapaxes(0, 1)[:, ::-1],
                "Each row is one trajectory now, but it runs backwards.",
            ),
        ),
    ),
)
