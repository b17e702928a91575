"""Exercises of notebook 00: the words and marks of the course, and how exercises work."""

from chunkrl.course.exercise import Exercise, Function, Misconception, MultipleChoice, Number

CHUNK, ARMS, ACTION = 8, 2, 7


def looks(steps: int, chunk: int) -> int:
    """How often a policy that plays each chunk to its end decides: ceil(steps / chunk)."""
    return -(-steps // chunk)


EXERCISES = (
    Exercise(
        id="00.q1",
        objective="You can say what a chunk of actions is, in numbers.",
        question=(
            "A robot has two arms, each of which takes 7 numbers per action. How many numbers does "
            "a policy put out for a chunk of 8 actions?"
        ),
        kind=Number(CHUNK * ARMS * ACTION, 1e-9, "numbers"),
        hints=(
            "A chunk is several whole actions, one after the other.",
            "arms times numbers per arm times actions per chunk",
            "answer = 2 * ... * ...",
        ),
        solution="answer = 2 * 7 * 8",
        misconceptions=(
            Misconception(
                ARMS * ACTION,
                "That is a single action. A chunk holds 8 of them, and all are put out at once.",
            ),
            Misconception(
                ARMS * ACTION + CHUNK,
                "Each of the 8 actions has 14 numbers of its own, so they multiply.",
            ),
            Misconception(ACTION * CHUNK, "That is one arm's. An action of this robot moves both."),
        ),
        why=(
            "A chunk is one point in a space of h times as many numbers, which is why it is harder "
            "to propose and to judge. Next: count your own robot's."
        ),
    ),
    Exercise(
        id="00.q2",
        objective="You can name the choice in which two methods differ.",
        question="Which two methods of the table differ in the chunk length and in nothing else?",
        kind=MultipleChoice(
            {
                "a": "qc and bfn_n",
                "b": "qc and bfn",
                "c": "qc and qc_fql",
                "d": "fql and fql_n",
            },
            "a",
        ),
        hints=(
            "Lay two rows of the table side by side and count the columns that differ.",
            "chunk: h against 1; backup, policy class and extraction: the same",
            'answer = "..."',
        ),
        solution='answer = "a"',
        misconceptions=(
            Misconception(
                "b", "These differ in the chunk and in the backup: if one wins, you cannot say why."
            ),
            Misconception(
                "c", "Both emit chunks of h actions; they differ in the policy and its extraction."
            ),
            Misconception("d", "Both emit one action at a time; they differ in the backup."),
        ),
        why=(
            "Both count h rewards and both pick the best of N flow samples; only what the policy "
            "emits, and the critic is given, differs. A comparison of this pair tests chunks alone."
        ),
    ),
    Exercise(
        id="00.q3",
        objective="You can tell exact, estimated and learned apart in a figure.",
        question=(
            "A figure shows an open square with a vertical bar, near a black line. What is the "
            "square?"
        ),
        kind=MultipleChoice(
            {
                "a": "an exact value",
                "b": "a mean of samples, with two standard errors",
                "c": "the value of a trained network",
            },
            "b",
        ),
        hints=(
            "The legend of every figure uses the same three words.",
            "black = exact, open = estimated, filled = learned",
            'answer = "..."',
        ),
        solution='answer = "b"',
        misconceptions=(
            Misconception(
                "a",
                "Exact values are black outlines and have no bar: nothing about them is uncertain.",
            ),
            Misconception(
                "c", "What is learned is a filled marker. An open one is a mean of samples."
            ),
        ),
        why=(
            "More samples shrink its bar towards the line; nothing shrinks the error of what is "
            "learned but learning. Look for the three marks in every figure from here on."
        ),
    ),
    Exercise(
        id="00.bug",
        objective="You can find a bug by a case small enough to count by hand.",
        question=(
            "This counts how often a policy looks in `steps` steps, and is wrong when the last "
            "chunk is cut short:\n\n"
            "    def looks(steps, chunk):\n"
            "        return steps // chunk\n\n"
            "Repair it and answer with the function."
        ),
        kind=Function(looks, ((100, 5), (100, 8), (3, 20), (7, 1))),
        hints=(
            "Count by hand: 3 steps with chunks of 2. The policy looks at steps 0 and 2.",
            "the number of chunks that begin before the end: steps / chunk, rounded up",
            "def answer(steps, chunk):\n    return len(range(0, steps, ...))",
        ),
        solution="def answer(steps, chunk):\n    return -(-steps // chunk)",
        misconceptions=(
            Misconception(
                lambda steps, chunk: steps // chunk,
                "A chunk that is cut short has begun with a look, too: try 3 steps, chunks of 2.",
            ),
            Misconception(
                lambda steps, chunk: steps // chunk + 1,
                "Now one too many when the chunks fit exactly: try 4 steps with chunks of 2.",
            ),
            Misconception(
                lambda steps, chunk: steps / chunk, "A policy looks a whole number of times."
            ),
        ),
        why=(
            "Each look begins a chunk, also one that is cut short. Small cases counted by hand "
            "find such bugs; each notebook hides one."
        ),
    ),
)
