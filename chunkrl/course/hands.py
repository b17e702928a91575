"""Trained hands side by side: one episode each, with the moments at which the policy looks."""

from typing import TYPE_CHECKING

import numpy as np

from chunkrl.play import video
from chunkrl.play.evaluate import Evaluator

if TYPE_CHECKING:
    from IPython.display import HTML

    from chunkrl.experiments.experiment import Experiment

RATE = video.FPS * video.EVERY  # environment steps in a second
HEIGHT = 16  # pixels of the strip of looks
RARER = 2  # every second picture of a recording is kept, so that a notebook with films stays small
LOOK, AHEAD, NOW = (0, 0, 0), (190, 190, 190), (213, 94, 0)


def looks(length: int, chunk: int) -> np.ndarray:
    """The steps of an episode at which a policy that plays whole chunks looks.  -> [ceil(T / h)]"""
    return np.arange(0, length, chunk)


def strip(frames: int, width: int, length: int, chunk: int, steps: int) -> np.ndarray:
    """A time line of `steps` steps for each frame: a tick at each look, grey until it has come.

    -> [frames, HEIGHT, width, 3] uint8
    """
    pictures = np.full((frames, HEIGHT, width, 3), 255, np.uint8)
    place = lambda step: np.minimum(np.asarray(step) * width // (steps + 1), width - 1)
    for frame, picture in enumerate(pictures):
        now = min(frame * video.EVERY, length)
        for step in looks(length, chunk):
            picture[4:, place(step)] = LOOK if step <= now else AHEAD
        picture[:4, max(place(now) - 2, 0) : place(now) + 3] = NOW
    return pictures


def film(runs: "dict[str, Experiment]", seed: int = 1) -> "HTML":
    """One episode of each run from the same start, side by side, in real time.

    Below each hand ticks say when its policy looks.  `seed` chooses the episode; of a run with
    several seeds the first one plays.
    """
    from IPython.display import HTML

    clips, labels, played = [], [], []
    for name, run in runs.items():
        with Evaluator(run.task, 0, 1, execute=run.agent.execute) as play:
            found = play.run(run.act(), episodes=1, seed=seed, record=1)
        played.append((name, run.agent.execute, found))
    steps = max(int(found.length[0]) for *_, found in played)
    for name, chunk, found in played:
        (clip,), length = found.frames, int(found.length[0])
        ticks = strip(len(clip), clip.shape[2], length, chunk, steps)
        clips.append(np.concatenate([clip, ticks], axis=1))
        end = f"there after {length / RATE:.1f} s" if found.success[0] else "not there"
        labels.append(f"{name}: {len(looks(length, chunk))} looks, {end}")
    text = "; ".join(labels)
    kept = video.side_by_side(clips, labels)[::RARER]
    return HTML(video.html(kept, text, video.FPS / RARER, quality=40))
