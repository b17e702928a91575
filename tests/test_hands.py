"""Films of trained hands: the looks that are marked are those of the policy."""

import base64
import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from chunkrl.course import hands
from chunkrl.play import video


@pytest.mark.parametrize(("length", "chunk"), [(200, 1), (200, 5), (64, 5), (10, 10)])
def test_a_strip_marks_every_look_and_those_to_come_in_grey(length, chunk) -> None:
    frames = length // video.EVERY + 1
    strip = hands.strip(frames, 2 * (200 + 1), length, chunk, steps=200)
    row = strip[:, -1]  # below the mark of the present
    for frame in (0, frames // 2, frames - 1):
        now = min(frame * video.EVERY, length)
        seen = (row[frame] == hands.LOOK).all(-1).sum()
        ahead = (row[frame] == hands.AHEAD).all(-1).sum()
        assert seen == len([t for t in range(length) if t % chunk == 0 and t <= now])
        assert seen + ahead == -(-length // chunk)
    present = [(picture[0] == hands.NOW).all(-1).nonzero()[0].mean() for picture in strip]
    assert (np.diff(present) >= 0).all()
    assert present[-1] > present[0]


def test_a_film_shows_each_run_with_its_looks(monkeypatch) -> None:
    """Hands of 1 and 5 actions a look, of which only the second arrives."""

    class Evaluator:
        def __init__(self, task, workers, envs, execute):
            self.execute = execute

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def run(self, act, episodes, seed, record):
            length = 20 if self.execute == 1 else 12
            frames = np.full((length // 2 + 1, 240, 240, 3), 90, np.uint8)
            success = np.array([self.execute == 5])
            return SimpleNamespace(frames=(frames,), length=np.array([length]), success=success)

    monkeypatch.setattr(hands, "Evaluator", Evaluator)
    run = lambda n: SimpleNamespace(task="cube", act=lambda: None, agent=SimpleNamespace(execute=n))
    html = hands.film({"one": run(1), "five": run(5)}).data
    alt = re.search('alt="([^"]*)"', html)[1]
    assert alt == "one: 20 looks, not there; five: 3 looks, there after 0.6 s"
    image = Image.open(io.BytesIO(base64.b64decode(re.search('base64,([^"]+)', html)[1])))
    assert image.n_frames == 6
    assert image.size == (480, 240 + 20 + hands.HEIGHT)
