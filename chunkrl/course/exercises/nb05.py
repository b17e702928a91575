"""Exercises of notebook 05: paths, the loss that is left, and too few steps of a flow."""

import numpy as np

from chunkrl.blocks.flow import interpolate
from chunkrl.blocks.integrators import path
from chunkrl.course.exercise import Exercise, Function, Misconception, Number
from chunkrl.course.worlds import flow_maps
from chunkrl.course.worlds.mixtures import Mixture, loss_floor, mass, two_modes, velocity

TWO = two_modes(0.8, 0.1)
LOW, HIGH = -0.2, 0.2
ONE = Mixture(np.ones(1), np.array([[0.55]]), np.array([0.07]))


def straight(noise: np.ndarray, x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """x_t and dx_t/dt of the straight path from noise to x.  [B, D], [B, D], [B, 1] -> [2, B, D]"""
    return np.stack([interpolate(x, noise, t), x - noise])


def left_between(steps: int) -> float:
    """Mass in the gap of TWO after so many Euler steps of its exact velocity."""
    end = flow_maps.ends(velocity(TWO), flow_maps.NOISE, steps)
    return float(flow_maps.share_between(flow_maps.NOISE, end, LOW, HIGH))


def sampled(velocity, noise: np.ndarray, steps: int) -> np.ndarray:
    return path(velocity, noise, steps)[-1]


def stepped(times, share, reuse: bool = False):
    """A sampler with these step times and step lengths, `times(k, K)` and `share(K)`."""

    def sample(velocity, noise, steps):
        x = noise
        for k in range(steps):
            t = np.full((len(noise), 1), times(k, steps))
            x = x + velocity(noise if reuse else x, t) * share(steps)
        return x

    return sample


def between_with(sampler, low: float = LOW):
    """The answer to 05.q3 that follows the flow by another sampler."""

    def answer(steps):
        noise = flow_maps.NOISE
        end = sampler(velocity(TWO), noise[:, None], steps)[:, 0]
        return flow_maps.share_between(noise, end, low, HIGH)

    return answer


def turning(x, t):
    return np.cos(3 * t) - x


def growing(x, t):
    return x * t + x[:, ::-1]


def learn_and_act(velocity, action, noise, t, steps):
    """The squared error that trains a flow, and where Euler steps of it end.

    [B, D], [B, D], [B, 1] -> [B, D] twice.  For NumPy and JAX.
    """
    point = (1 - t) * noise + t * action
    error = (velocity(point, t) - (action - noise)) ** 2
    x = noise
    for k in range(steps):
        x = x + velocity(x, 0 * t + k / steps) / steps
    return error, x


def answer_with(aim, dt=lambda K: 1 / K, at=lambda k, K: k / K, line=interpolate):
    """`learn_and_act` with another aim, length or time of a step, or line: a misconception."""

    def answer(velocity, action, noise, t, steps):
        point = line(action, noise, t)
        x = noise
        for k in range(steps):
            x = x + velocity(x, 0 * t + at(k, steps)) * dt(steps)
        return (velocity(point, t) - aim(action, noise)) ** 2, x

    return answer


WRITTEN = tuple(
    (field, *(rng.normal(size=shape) for _ in range(2)), rng.uniform(0.1, 0.9, (shape[0], 1)), K)
    for rng, field, shape, K in (
        (np.random.default_rng(1), turning, (3, 1), 4),
        (np.random.default_rng(2), growing, (2, 2), 1),
        (np.random.default_rng(3), growing, (5, 2), 7),
    )
)

PATHS = tuple(
    (rng.normal(size=shape), rng.normal(size=shape), rng.uniform(0.1, 0.9, (shape[0], 1)))
    for rng, shape in ((np.random.default_rng(i), (i, 1 + i % 2)) for i in (1, 2, 5))
)

EXERCISES = (
    Exercise(
        id="05.q1",
        objective="You can write down the path and the velocity that a flow is trained on.",
        question=(
            "Write answer(noise, x, t): the point at flow time t of the straight path at constant "
            "speed from `noise` (t = 0) to the action `x` (t = 1), and the velocity there. Return "
            "both: (x_t, velocity). Shapes: [B, D], [B, D], [B, 1]."
        ),
        kind=Function(straight, PATHS),
        hints=(
            "Where is the point at t = 0, at t = 1, and half way? How far does it go in one unit "
            "of time?",
            "x_t = (1 - t) noise + t x, and the velocity is its derivative in t.",
            "def answer(noise, x, t):\n    return (1 - t) * ... + t * ..., ... - ...",
        ),
        solution=("def answer(noise, x, t):\n    return (1 - t) * noise + t * x, x - noise"),
        misconceptions=(
            Misconception(
                lambda noise, x, t: np.stack([t * noise + (1 - t) * x, noise - x]),
                "This path begins at the action and ends in noise, as diffusion models count time. "
                "Here t = 0 is noise and t = 1 the action.",
            ),
            Misconception(
                lambda noise, x, t: np.stack([t * noise + (1 - t) * x, x - noise]),
                "Noise and action have changed places in the point, not in the velocity: at t = 0 "
                "this is the action. Put t = 0 and t = 1 in.",
            ),
            Misconception(
                lambda noise, x, t: (1 - t) * noise + t * x,
                "The point is right. Return the velocity of the line with it: (x_t, velocity).",
            ),
            Misconception(
                lambda noise, x, t: np.stack([x - noise, (1 - t) * noise + t * x]),
                "Both are right, in the other order: first the point x_t, then the velocity.",
            ),
            Misconception(
                lambda noise, x, t: np.stack([(1 - t) * noise + t * x, noise - x]),
                "The path is right, but this velocity leads from the action back to the noise.",
            ),
            Misconception(
                lambda noise, x, t: np.stack([(1 - t) * noise + t * x, (1 - t) * (x - noise)]),
                "x - x_t is the way that is left, and it must be done in the time that is left: "
                "divide by 1 - t.",
            ),
            Misconception(
                lambda noise, x, t: np.stack([(1 - t) * noise + t * x, x]),
                "This predicts the action itself. The velocity is how fast the point moves, and "
                "the point has to leave the noise behind as well.",
            ),
        ),
        why=(
            "A line at constant speed covers the whole way x - noise in one unit of time, so its "
            "velocity is the same at every t. Next: many such lines cross in one point, and a "
            "network can only learn their mean."
        ),
    ),
    Exercise(
        id="05.q2",
        objective="You can say where the loss of a flow ends, before you train it.",
        question=(
            "Another robot always passes on the same side (one mode at 0.55, width 0.07), and its "
            "action holds a second number, the speed, which is the same in all data. At which "
            "value does the flow-matching loss end, as a mean over both numbers?"
        ),
        kind=Number(loss_floor(ONE) / 2, 0.0015, "of loss"),
        hints=(
            "Take the two numbers one after the other. When x_t is seen and the speed is known, "
            "is anything of the second velocity left to guess?",
            "One mode of width w leaves pi w / 2; a number that never varies leaves 0. The loss is "
            "their mean.",
            "import numpy as np\nanswer = (np.pi * 0.07 / 2 + ...) / 2",
        ),
        solution="import numpy as np\nanswer = (np.pi * 0.07 / 2 + 0.0) / 2",
        misconceptions=(
            Misconception(
                0.0,
                "That is so for the speed. In the first number lines that end in different places "
                "of the mode still cross.",
            ),
            Misconception(
                loss_floor(ONE),
                "This is the floor of the first number. The loss is the mean over both, and the "
                "second costs nothing.",
            ),
            Misconception(
                loss_floor(two_modes(1.1, 0.07)),
                "0.666 is the floor of the operator who passes on both sides, with one number. "
                "This one never changes the side: what is left to know?",
            ),
            Misconception(
                loss_floor(two_modes(1.1, 0.07)) / 2,
                "The mean over both numbers is right, but 0.666 belongs to two sides. What does "
                "one mode leave?",
            ),
            Misconception(
                0.07**2,
                "0.0049 is the variance of the action. At t near 1 the unknown is the noise, not "
                "the action, and its variance is 1.",
            ),
            Misconception(
                1 + 0.07**2,
                "This is the variance of action - noise before x_t is seen. The network does see "
                "x_t and t.",
            ),
            Misconception(
                (loss_floor(ONE) + 1) / 2,
                "The second number's velocity is speed - noise, but the network sees where x_t "
                "is, and so knows the noise: it leaves 0, not 1.",
            ),
        ),
        why=(
            "The first number leaves pi w / 2 = 0.110; of the second, x_t = (1 - t) noise + t "
            "speed tells the noise, so it leaves 0. Next: what does a chunk of 10 actions leave? "
            "Notebook 06 prints it."
        ),
    ),
    Exercise(
        id="05.q3",
        objective="You can measure what too few steps of a flow leave between two modes.",
        question=(
            "Modes at -0.4 and 0.4 of width 0.1: `two_modes(0.8, 0.1)`. Write answer(steps): the "
            "share of samples that `steps` Euler steps of the exact velocity leave between -0.2 "
            "and 0.2. It is tried with 1, 2, 4 and 8 steps and may be off by a tenth, so that "
            "10,000 random noises are enough."
        ),
        kind=Function(left_between, ((1,), (2,), (4,), (8,)), tolerance=0.1),
        hints=(
            "Follow many noises, and count the ends in the gap. With 10,000 random ones the last "
            "share is sampled to 7%; noises at equally spaced ranks are finer.",
            "x <- x + v(x, k / K) / K for k = 0 ... K - 1. Or use `ends`, `NOISE` and "
            "`share_between` of the cells above.",
            "from scipy.special import ndtri\n"
            "def answer(steps):\n"
            "    x = ndtri((np.arange(10_000) + 0.5) / 10_000)[:, None]\n"
            "    for k in range(steps):\n"
            "        x = x + ...\n"
            "    return (abs(x) < 0.2).mean()",
        ),
        solution=(
            "import numpy as np\n"
            "from scipy.special import ndtri\n"
            "from chunkrl.course.worlds.mixtures import two_modes, velocity\n"
            "def answer(steps):\n"
            "    v = velocity(two_modes(0.8, 0.1))\n"
            "    x = ndtri((np.arange(10_000) + 0.5) / 10_000)[:, None]\n"
            "    for k in range(steps):\n"
            "        x = x + v(x, np.full_like(x, k / steps)) / steps\n"
            "    return (abs(x) < 0.2).mean()"
        ),
        misconceptions=(
            Misconception(
                lambda steps: mass(TWO, LOW, HIGH),
                "This is the share in the data. The velocity is exact, but few steps do not "
                "follow it.",
            ),
            Misconception(
                between_with(stepped(lambda k, K: k / K, lambda K: 1.0)),
                "A velocity is for one unit of time, and a step lasts 1/K of it.",
            ),
            Misconception(
                between_with(stepped(lambda k, K: (k + 1) / K, lambda K: 1 / K)),
                "Euler takes the velocity at the beginning of each step: t = k/K, from 0.",
            ),
            Misconception(
                between_with(sampled, 0.0),
                "This counts the ends between 0 and 0.2 only; the gap reaches to -0.2.",
            ),
        ),
        why=(
            "Few steps do not see the arrows bend, so ends stay in the gap although the velocity "
            "is exact. Next: try midpoint steps at the same number of network calls."
        ),
    ),
    Exercise(
        id="05.bug",
        objective="You can follow a flow through time without missing where a step begins.",
        question=(
            "This sampler takes `steps` Euler steps from noise at t = 0 to an action at t = 1:\n\n"
            "    def sample(velocity, noise, steps):\n"
            "        x = noise\n"
            "        for t in np.linspace(0, 1, steps):\n"
            "            x = x + velocity(x, np.full((len(x), 1), t)) / steps\n"
            "        return x\n\n"
            "Repair it and answer with the function."
        ),
        kind=Function(
            sampled,
            (
                (turning, np.array([[0.5], [-2.0]]), 4),
                (growing, np.array([[1.0, -0.5]]), 3),
                (turning, np.array([[1.0]]), 1),
                (growing, np.array([[0.3, 0.1], [2.0, -1.0]]), 10),
            ),
        ),
        hints=(
            "Print the times of 5 steps. How long is each step, and where does the last one end?",
            "Step k of K begins at t = k / K, so the last begins at 1 - 1/K.",
            "def answer(velocity, noise, steps):\n"
            "    x = noise\n"
            "    for k in range(steps):\n"
            "        x = x + velocity(x, np.full((len(x), 1), ...)) / steps\n"
            "    return x",
        ),
        solution=(
            "import numpy as np\n"
            "def answer(velocity, noise, steps):\n"
            "    x = noise\n"
            "    for k in range(steps):\n"
            "        x = x + velocity(x, np.full((len(x), 1), k / steps)) / steps\n"
            "    return x"
        ),
        misconceptions=(
            Misconception(
                stepped(lambda k, K: k / max(K - 1, 1), lambda K: 1 / K),
                "The last step still begins at t = 1, where the flow has already arrived: steps of "
                "1/K must begin 1/K apart.",
            ),
            Misconception(
                stepped(lambda k, K: k / max(K - 1, 1), lambda K: 1 / max(K - 1, 1)),
                "Now each step is as long as the times are apart, but there are K of them, so the "
                "flow runs on after t = 1.",
            ),
            Misconception(
                stepped(lambda k, K: (k + 1) / K, lambda K: 1 / K),
                "These are the times at which the steps end. Euler uses the velocity where a step "
                "begins.",
            ),
            Misconception(
                stepped(lambda k, K: (k + 0.5) / K, lambda K: 1 / K),
                "The velocity in the middle of a step belongs to the point in the middle; at the "
                "point where the step begins Euler asks for the time of its beginning.",
            ),
            Misconception(
                stepped(lambda k, K: k / K, lambda K: 1 / K, reuse=True),
                "The times are right now, but the velocity is asked for at the noise in every step "
                "and not at the point that the flow has reached.",
            ),
        ),
        why=(
            "K steps of length 1/K begin at 0, 1/K, ..., 1 - 1/K; linspace spaced them 1/(K - 1) "
            "apart. Next: the same fault hides in noise schedules of diffusion policies, where no "
            "shape tells."
        ),
    ),
    Exercise(
        id="05.write",
        objective="You can write the loss that trains a flow, and the sampler that acts by it.",
        question=(
            "Write learn_and_act(velocity, action, noise, t, steps) -> (error, end): the squared "
            "error of the velocity on the straight line from noise to action, and where `steps` "
            "Euler steps of the velocity from noise end."
        ),
        kind=Function(learn_and_act, WRITTEN, tolerance=1e-4),
        hints=(
            "The first half asks the velocity at one point of the line (05.q1); the second follows "
            "it from the noise and never sees the action.",
            "error = (v(x_t, t) - (action - noise))^2 with x_t = (1 - t) noise + t action;  "
            "x <- x + v(x, k / K) / K for k = 0 ... K - 1",
            "point = (1 - t) * noise + t * action\n"
            "error = (velocity(point, t) - ...) ** 2\n"
            "x = noise\n"
            "for k in range(steps):\n"
            "    x = x + velocity(x, 0 * t + ...) / steps\n"
            "return error, x",
        ),
        solution=(
            "def answer(velocity, action, noise, t, steps):\n"
            "    point = (1 - t) * noise + t * action\n"
            "    error = (velocity(point, t) - (action - noise)) ** 2\n"
            "    x = noise\n"
            "    for k in range(steps):\n"
            "        x = x + velocity(x, 0 * t + k / steps) / steps\n"
            "    return error, x"
        ),
        misconceptions=(
            Misconception(
                answer_with(lambda action, noise: noise - action),
                "The error asks for the way from the action back to the noise. The sampler then "
                "runs away from the actions.",
            ),
            Misconception(
                answer_with(lambda action, noise: action),
                "The error asks for the action itself. The sampler adds what it learns to the "
                "noise, so it has to be the way from noise to action.",
            ),
            Misconception(
                answer_with(
                    lambda action, noise: action - noise,
                    line=lambda action, noise, t: t * noise + (1 - t) * action,
                ),
                "The network is asked on a line that begins at the action. The sampler begins at "
                "the noise, with t = 0.",
            ),
            Misconception(
                answer_with(lambda action, noise: action - noise, dt=lambda K: 1.0),
                "The error is right. In the sampler a velocity is for one unit of time, and a step "
                "lasts 1/K of it.",
            ),
            Misconception(
                answer_with(lambda action, noise: action - noise, at=lambda k, K: 0.0),
                "The error is right. The sampler asks at t = 0 in every step, where all arrows "
                "point at the mean action; step k begins at k/K.",
            ),
        ),
        why=(
            "The error trains the field, and Euler steps follow it: these are the two halves of "
            "the policy that Q-chunking clones its data with. Next: notebook 06 lets the action "
            "be a chunk."
        ),
    ),
)
