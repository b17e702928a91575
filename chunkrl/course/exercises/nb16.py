"""Exercises of notebook 16: time to the first success, and the loop that collects."""

import numpy as np

from chunkrl.course.exercise import Exercise, Function, Misconception, MultipleChoice, Number
from chunkrl.course.worlds import wander
from chunkrl.course.worlds.collecting import Corridor, Held, collect

CELLS, HOLD = 3, 2  # q1
BY_HAND = wander.expected_steps(wander.corridor(CELLS), wander.held(CELLS + 1), HOLD)
LONG, DITHERED = 8, 72  # q2: cells, and what dithering takes


def wrong_collect(mistake: str):
    """The loop with one mistake."""

    def loop(env, choose, steps):
        rows, queue, obs = [], [], env.reset()
        for _ in range(steps):
            if not queue or mistake == "every step":
                queue = list(choose(obs))
            action = queue.pop(0)
            seen, reward, terminated, truncated = env.step(action)
            done = terminated or truncated
            over = done if mistake == "mask" else terminated
            end = terminated if mistake == "terminal" else done
            if done:
                queue = queue if mistake == "queue" else []
                begin = env.reset()
            after = begin if done and mistake == "next" else seen
            rows.append((obs, action, reward, int(not over), int(end), after))
            obs = begin if done else seen
        return rows

    return loop


def coherency(positions: np.ndarray, terminal: np.ndarray) -> float:
    """Mean distance of positions 5 steps apart that lie in one episode.  [T, D], [T]"""
    ends = np.flatnonzero(terminal) + 1
    parts = [part[::5] for part in np.split(positions, ends)]
    moves = [np.linalg.norm(np.diff(part, axis=0), axis=-1) for part in parts]
    return float(np.concatenate(moves).mean())


def _over_the_ends(positions, terminal):
    return np.linalg.norm(np.diff(positions[::5], axis=0), axis=-1).mean()


def _ends_left_out(positions, terminal):
    """Without the moves that cross an end, but noted in step with the file."""
    number = np.cumsum(terminal) - terminal
    moves = np.linalg.norm(np.diff(positions[::5], axis=0), axis=-1)
    return moves[np.diff(number[::5]) == 0].mean()


def _mean_of_means(positions, terminal):
    parts = np.split(positions, np.flatnonzero(terminal) + 1)
    return np.mean([coherency(part, np.zeros(len(part))) for part in parts if len(part) > 5])


def _met(lengths: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Episodes of such lengths along random ways: positions, ends."""
    rng = np.random.default_rng(seed)
    ways = [np.cumsum(rng.normal(0.2, 1.0, (n, 3)), axis=0) for n in lengths]
    return np.concatenate(ways), np.concatenate([np.eye(1, n, n - 1)[0] for n in lengths])


EXERCISES = (
    Exercise(
        id="16.q1",
        objective="You can compute how long random chunks take to succeed once.",
        question=(
            f"A corridor of {CELLS} cells and then the goal, start in the first, nothing slips. A "
            f"direction is drawn, both as probable, and held for {HOLD} steps; then the next is "
            "drawn. How many steps does it take to the goal, on average?"
        ),
        kind=Number(BY_HAND, 0.01, "steps"),
        hints=(
            "At which cells can a hold begin? From the first cell a hold ends in two places.",
            "E0 = 2 + E0 / 2 + E2 / 2,   E2 = (1 + 2 + E0) / 2: one hold arrives in a single step",
            "# put E2 into the first equation: E0 = 2 + E0 / 2 + (1.5 + E0 / 2) / 2\nanswer = ...",
        ),
        solution="answer = (2 + 0.75) / (1 - 0.5 - 0.25)",
        misconceptions=(
            Misconception(
                12.0,
                "12 is dithering. You also get it if you let the last hold run on for its second "
                "step, though the goal was reached in its first.",
            ),
            Misconception(
                6.0, "6 holds, or holds of three steps. Asked are steps, with holds of two."
            ),
            Misconception(4.0, "That is the corridor of two cells. Where can you be in one of 3?"),
        ),
        why=(
            "Hardly faster than the 12 of dithering: with holds of two the walk stands one cell "
            "before the goal, and half of the time it turns round there. Next: holds of three make "
            "it 6."
        ),
    ),
    Exercise(
        id="16.write",
        objective="You can collect by chunks without mixing episodes.",
        question=(
            "Write collect(env, choose, steps). env.reset() gives the first cell; env.step(action) "
            "gives next cell, reward, terminated (solved) and truncated (time is up). choose(cell) "
            "gives a list of actions, executed without looking; what is left of it when an episode "
            "ends is dropped. Return a list with, for each of the steps, (cell, action, reward, "
            "mask, terminal, next cell). The mask is 0 where the task was solved, else 1; terminal "
            "is 1 where the episode ends, else 0."
        ),
        kind=Function(
            collect,
            (
                (Corridor(3, 0.0, 10, 0), Held(2, 0), 40),
                (Corridor(3, 0.0, 7, 1), Held(4, 1), 60),
                (Corridor(2, 0.3, 5, 2), Held(3, 2), 60),
                (Corridor(4, 0.1, 9, 3), Held(5, 3), 80),
            ),
        ),
        hints=(
            "Two things live on from step to step: where you are, and what is left of the chunk.",
            "queue empty -> choose; pop one; step; append; at an end: empty the queue, reset",
            "def answer(env, choose, steps):\n"
            "    rows, queue, obs = [], [], env.reset()\n"
            "    for _ in range(steps):\n"
            "        if not queue:\n"
            "            ...\n"
            "        action = queue.pop(0)\n"
            "        ...\n"
            "    return rows",
        ),
        solution=(
            "def answer(env, choose, steps):\n"
            "    rows, queue, obs = [], [], env.reset()\n"
            "    for _ in range(steps):\n"
            "        queue = queue or list(choose(obs))\n"
            "        action = queue.pop(0)\n"
            "        seen, reward, terminated, truncated = env.step(action)\n"
            "        done = terminated or truncated\n"
            "        rows.append((obs, action, reward, 1 - terminated, int(done), seen))\n"
            "        obs = seen\n"
            "        if done:\n"
            "            queue, obs = [], env.reset()\n"
            "    return rows"
        ),
        misconceptions=(
            Misconception(
                wrong_collect("queue"),
                "What is left of a chunk goes on in the next episode. Empty the queue at the end.",
            ),
            Misconception(
                wrong_collect("every step"),
                "You choose at every step and play one action of each chunk: nothing is held.",
            ),
            Misconception(
                wrong_collect("mask"),
                "Time that is up is no success: the task goes on from there. Its mask is 1.",
            ),
            Misconception(
                wrong_collect("terminal"),
                "terminal is 1 also where time is up, or windows run on into the next episode.",
            ),
            Misconception(
                wrong_collect("next"),
                "The next cell of an end is where it ended, not where the next episode begins.",
            ),
        ),
        why=(
            "Eleven lines, in which five mistakes are silent: all of them run, all fill a replay. "
            "Next: see below what each of them would have measured."
        ),
    ),
    Exercise(
        id="16.q2",
        objective="You can say when a chunk is too long to explore with.",
        question=(
            f"Corridor of {LONG} cells, nothing slips, a direction is drawn and held for h steps, "
            f"h at least {LONG}. Dithering takes {DITHERED} steps on average. From which h on does "
            "holding take longer than that?"
        ),
        kind=Number(65, 1e-9, "steps"),
        hints=(
            "Half of the holds go on, and arrive. What do the others cost, and where do they end?",
            f"E = {LONG} / 2 + (h + E) / 2",
            "# solve for E, and ask where it is above 72\nanswer = ...",
        ),
        solution="answer = 72 - 8 + 1  # E = 8 + h",
        misconceptions=(
            Misconception(64, "At 64 both take 72 steps. From where on does it take longer?"),
            Misconception(
                73, "Longer than 72 is the time, E = 8 + h, not the hold. Solve for the hold."
            ),
            Misconception(9, "There it takes longer than with h = 8: 17 steps. And than 72?"),
        ),
        why=(
            "A hold against the wall is lost until it ends, and one must be lost on average. Next: "
            "what would a hand that feels the wall do? It would look, which is h = 1 again."
        ),
    ),
    Exercise(
        id="16.q3",
        objective="You can say which logs make chunks worth exploring with.",
        question=(
            "Your logs come from a person who *corrected*: watched the peg, and answered every "
            "slip with the right push. Nothing else is in them, no habits, no plans. You explore "
            "with what was cloned. Chunks of 15, or one action at a time?"
        ),
        kind=MultipleChoice(
            {
                "a": "chunks: they are coherent, whatever the logs are",
                "b": "without slips it is all the same; with slips one at a time is faster",
                "c": "one at a time is faster, with slips and without",
                "d": "chunks, but only where something slips: they average it out",
            },
            "b",
        ),
        hints=(
            "Which explorer setting is this? Compare h = 1 and h = 15, with slip 0 and 0.2.",
            "a chunk repeats corrections of slips that happened to the log, not to you",
            'answer = "..."',
        ),
        solution='answer = "b"',
        misconceptions=(
            Misconception("a", "Look at the lock: its logs hold nothing that a chunk could keep."),
            Misconception(
                "c", "Without slips a chunk is drawn with the probability of its steps, in turn."
            ),
            Misconception(
                "d", "Look at the lock with slip 0.2: the longer the chunk, the longer it takes."
            ),
        ),
        why=(
            "What a chunk can keep is what the state does not show: a plan, a habit, who held the "
            "arm. Next: teleoperated logs hold both. Which of your tasks is which?"
        ),
    ),
    Exercise(
        id="16.bug",
        objective="You can measure coherency in a replay without measuring resets.",
        question=(
            "`positions` [T, 3] are those of a hand, in the order in which they were collected; "
            "`terminal` [T] is 1 at the last one of each episode. This says how far it moves in 5 "
            "steps, and says too much:\n\n"
            "    def coherency(positions, terminal):\n"
            "        return np.linalg.norm(np.diff(positions[::5], axis=0), axis=-1).mean()\n\n"
            "Repair it: note the place at the first step of each episode and at every fifth after "
            "it, and take the mean of all moves inside episodes, each counted alike. Answer with "
            "the function."
        ),
        kind=Function(
            coherency,
            (
                _met((23, 17, 31), 0),
                _met((12, 40, 8, 19), 1),
                _met((11, 11, 26), 2),
            ),
        ),
        hints=(
            "What lies between the last place of one episode and the first of the next?",
            "np.split(positions, np.flatnonzero(terminal) + 1), and then each part for itself",
            "def answer(positions, terminal):\n"
            "    parts = np.split(positions, np.flatnonzero(terminal) + 1)\n"
            "    moves = [... for part in parts]\n"
            "    return np.concatenate(moves).mean()",
        ),
        solution=(
            "import numpy as np\n"
            "def answer(positions, terminal):\n"
            "    parts = np.split(positions, np.flatnonzero(terminal) + 1)\n"
            "    moves = [np.linalg.norm(np.diff(p[::5], axis=0), axis=-1) for p in parts]\n"
            "    return np.concatenate(moves).mean()"
        ),
        misconceptions=(
            Misconception(
                _over_the_ends, "That is the code as it stands: the way back to the start counts."
            ),
            Misconception(
                _ends_left_out,
                "No move crosses an end now, but the notes of an episode do not begin with it.",
            ),
            Misconception(_mean_of_means, "You average episodes. Here every move counts alike."),
        ),
        why=(
            "The more often an agent succeeds, the more often it is put back, and the more "
            "coherent the bug made it look. Next: the numbers below are means of episodes. Who "
            "counts more there?"
        ),
    ),
)
