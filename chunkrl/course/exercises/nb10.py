"""Exercises of notebook 10: models of one step and of whole chunks."""

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, MultipleChoice, Number
from chunkrl.course.explorers.drift import CHUNKS, learned


def kept(a: float, signal: float, noise: float, steps: int, h: int) -> float:
    """(a^h G)^{steps / h} with G = S / (S + sigma^2), S = signal^2."""
    share = signal**2 / (signal**2 + noise**2)
    return a**steps * share ** (steps / h)


def best_chunk(
    noise: float, transitions: int, every_start: bool = False, dynamics_noise: float = 0.0
) -> int:
    found = learned(noise, dynamics_noise, transitions, every_start)
    return CHUNKS[int(found.error.argmin())]


def rolled_out(predict, start, actions, h):
    """s^_0 = start, s^_{k+1} = predict(s^_k, a_{kh} ... a_{(k+1)h - 1}).

    start [R, O], actions [R, T, A] -> T / h + 1 states [R, O]
    """
    states = [start]
    for t in range(0, actions.shape[1], h):
        states.append(predict(states[-1], actions[:, t : t + h]))
    return states


def from_the_start(predict, start, actions, h):
    parts = range(0, actions.shape[1], h)
    return [start] + [predict(start, actions[:, t : t + h]) for t in parts]


def first_chunk(predict, start, actions, h):
    return rolled_out(predict, start, np.tile(actions[:, :h], (1, actions.shape[1] // h, 1)), h)


def adds(predict, start, actions, h):
    return rolled_out(lambda state, chunk: state + predict(state, chunk), start, actions, h)


def one_late(predict, start, actions, h):
    return rolled_out(predict, start, np.roll(actions, 1, axis=1), h)


def strided(predict, start, actions, h):
    runs, steps, width = actions.shape
    mixed = actions.reshape(runs, h, steps // h, width).swapaxes(1, 2).reshape(actions.shape)
    return rolled_out(predict, start, mixed, h)


def by_trajectory(frames: np.ndarray) -> np.ndarray:
    """[T, M, O] -> [M, T, O]"""
    return frames.swapaxes(0, 1)


FRAMES = tuple(
    (np.random.default_rng(i).normal(size=shape),)
    for i, shape in enumerate(((3, 2, 2), (2, 3, 1), (4, 4, 3)))
)


def bent(state: np.ndarray, chunk: np.ndarray) -> np.ndarray:
    """A model that tells the actions of a chunk apart.  [R, O], [R, h, A] -> [R, O]"""
    push = (chunk.sum(-1) * np.arange(1.0, 1.0 + chunk.shape[1])).sum(-1, keepdims=True)
    return 0.8 * state + 0.1 * np.sin(state) + push


def made_up(h: int) -> tuple:
    """A model, 3 states of 2 numbers, 6 actions of one number for each, and h."""
    rng = np.random.default_rng(h)
    return bent, rng.normal(size=(3, 2)), rng.normal(size=(3, 6, 1)), h


EXERCISES = (
    Exercise(
        id="10.q1",
        objective="You can say what sensor noise does to one call of a model, and to many.",
        question=(
            "One dimension: the next state is a times the state, states have standard deviation "
            "`signal`, sensors log them with noise of standard deviation `noise`. A model of h "
            "steps is fitted to unlimited data and called steps / h times. Write answer(a, signal, "
            "noise, steps, h): by what has it multiplied the state?"
        ),
        kind=Function(
            kept, ((1.0, 0.3, 0.1, 10, 1), (0.9, 1.0, 1.0, 4, 2), (-0.5, 0.3, 0.2, 3, 3))
        ),
        hints=(
            "What is the coefficient of one call? A slope is covariance over variance.",
            "(a^h G)^(steps / h) with G = signal^2 / (signal^2 + noise^2)",
            "def answer(a, signal, noise, steps, h):\n"
            "    share = ... / (... + ...)\n"
            "    return a**steps * share ** ...",
        ),
        solution=(
            "def answer(a, signal, noise, steps, h):\n"
            "    share = signal**2 / (signal**2 + noise**2)\n"
            "    return a**steps * share ** (steps / h)"
        ),
        misconceptions=(
            Misconception(
                lambda a, signal, noise, steps, h: a**steps,
                "Noise in what is predicted averages out. Noise in what is predicted *from* does "
                "not: it makes the input look more variable than it is.",
            ),
            Misconception(
                lambda a, signal, noise, steps, h: kept(a, signal, noise, steps, 1),
                "This attenuates in every step. The model looks at a state once a call, and makes "
                "steps / h calls.",
            ),
            Misconception(
                lambda a, signal, noise, steps, h: kept(a, signal, noise, steps, steps),
                "This attenuates once. Each call takes the answer of the last one for an "
                "observation, and attenuates it again.",
            ),
            Misconception(
                lambda a, signal, noise, steps, h: (
                    a**steps * (signal / (signal + noise)) ** (steps / h)
                ),
                "Variances of independent things add up, not standard deviations.",
            ),
            Misconception(
                lambda a, signal, noise, steps, h: (
                    a**steps * (signal / np.sqrt(signal**2 + noise**2)) ** (steps / h)
                ),
                "The covariance holds signal^2, not signal: a slope divides by the variance.",
            ),
        ),
        why=(
            "The truth is a^steps whoever predicts it; G enters once a call. Next: with exact "
            "sensors G is 1, and the number of calls no longer matters."
        ),
    ),
    Exercise(
        id="10.q2",
        objective="You can choose a chunk length for the data that you have.",
        question=(
            "Observation noise 0.1 and dynamics noise 0.03, 2,000 logged steps cut end to end: "
            "which of h = 1, 2, 5, 10, 25, 50 drifts least over 50 steps?"
        ),
        kind=Number(best_chunk(0.1, 2000, dynamics_noise=0.03), 1e-9, "steps"),
        hints=(
            'Set it: EXPLORERS["drift"].show(dynamics_noise=0.03, transitions="2000").',
            "The smallest learned error; it lies between few attenuations and few examples.",
            'numbers = EXPLORERS["drift"].numbers(dynamics_noise=..., transitions=...)\n'
            "answer = (1, 2, 5, 10, 25, 50)[...]",
        ),
        solution=(
            "from chunkrl.course.explorers import EXPLORERS\n"
            'numbers = EXPLORERS["drift"].numbers(dynamics_noise=0.03, transitions="2000")\n'
            "answer = (1, 2, 5, 10, 25, 50)[numbers.learned.argmin()]"
        ),
        misconceptions=(
            Misconception(
                50,
                "With unlimited logs the longest chunk drifts least. 2,000 steps hold 40 chunks of "
                "50, and such a model has 52 coefficients for each number it predicts.",
            ),
            Misconception(
                best_chunk(0.1, 2000, every_start=True, dynamics_noise=0.03),
                "This is the best if chunks begin at every step. Cut end to end, 2,000 steps hold "
                "only 80 chunks of 25, whose targets are shaken 25 times.",
            ),
            Misconception(
                best_chunk(0.1, 300),
                "This is the best for 300 steps. With 2,000 the longer chunk can be learned.",
            ),
            Misconception(
                1,
                "The one-step model has the most examples and the fewest coefficients, and its "
                "attenuation is applied 50 times.",
            ),
        ),
        why=(
            "Longer chunks forget less often, and have fewer and noisier examples of more "
            "coefficients. Next: the explorer with chunks from every step moves the best to 25."
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
        why=(
            "Ask first whether one call is wrong with unlimited data (sensor noise), and only then "
            "how many examples there are. Next: the robot, where neither story is enough."
        ),
    ),
    Exercise(
        id="10.bug",
        objective="You can recognise an evaluation that mixes up trajectories.",
        question=(
            "frames hold T consecutive frames of M trajectories, [T, M, O]. This is to give one "
            "row per trajectory, [M, T, O]:\n\n"
            "    def by_trajectory(frames):\n"
            "        time, number, width = frames.shape\n"
            "        return frames.reshape(number, time, width)\n\n"
            "Repair it and answer with the function."
        ),
        kind=Function(by_trajectory, FRAMES),
        hints=(
            "Fill frames with the number of their trajectory. What should a row hold, what does "
            "it?",
            "out[m, t] = frames[t, m]: axes change places, memory order changes with them.",
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
                "This reverses all three axes: [O, M, T]. The numbers of a frame stay last.",
            ),
            Misconception(
                lambda frames: frames.swapaxes(0, 1)[:, ::-1],
                "Each row is one trajectory now, but it runs backwards.",
            ),
        ),
        why=(
            "Axes are swapped by moving them; a reshape only cuts memory elsewhere. Next: fill an "
            "array with the number of its trajectory whenever an evaluation cuts trajectories."
        ),
    ),
    Exercise(
        id="10.write",
        objective="You can write the open-loop rollout of a model, of whatever chunk length.",
        question=(
            "Write rollout(predict, start, actions, h): the states after 0, 1, 2, ... calls of "
            "predict(state, chunk), each call on the answer of the last one."
        ),
        kind=Function(rolled_out, (made_up(1), made_up(2), made_up(3), made_up(6))),
        hints=(
            "How many calls do T actions make in chunks of h, and which actions are those of call "
            "k?",
            "s^_0 = start;  s^_{k+1} = predict(s^_k, a_{kh} ... a_{(k+1)h - 1})",
            "states = [start]\n"
            "for t in range(0, actions.shape[1], h):\n"
            "    states.append(predict(..., actions[:, t : ...]))\n"
            "return states",
        ),
        solution=(
            "def answer(predict, start, actions, h):\n"
            "    states = [start]\n"
            "    for t in range(0, actions.shape[1], h):\n"
            "        states.append(predict(states[-1], actions[:, t : t + h]))\n"
            "    return states"
        ),
        misconceptions=(
            Misconception(
                from_the_start,
                "Every call begins in the true start here, as if no time had passed. A rollout is "
                "called on its own last answer.",
            ),
            Misconception(
                first_chunk,
                "The first chunk is played again and again. Call k gets the actions kh ... "
                "(k+1)h - 1.",
            ),
            Misconception(
                adds,
                "predict returns the next state, not the change: do not add it to the state.",
            ),
            Misconception(
                one_late,
                "The actions are shifted by one: a_t belongs to the state of step t, from which "
                "it leads to step t + 1.",
            ),
            Misconception(
                strided,
                "This takes every (T / h)-th action. A chunk is h actions in a row: "
                "actions[:, t : t + h].",
            ),
        ),
        why=(
            "Nothing true enters after the start, so that each call inherits what the last one "
            "lost. Next: notebook 11 adds rewards to this loop and a value at its end."
        ),
    ),
)
