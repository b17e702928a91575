"""Learning curves say the numbers of their rows."""

import csv
from io import BytesIO

import numpy as np
from PIL import Image

from chunkrl import disk
from chunkrl.experiments import report as curves
from chunkrl.train import runs


def rows():
    made = []
    for step in (10, 20):
        for seed in (0, 1):
            rate = 0.25 * (step == 20) + 0.5 * seed
            made.append(
                {
                    "step": step,
                    "seed": seed,
                    "td": 1.0 / step,
                    "episodes": 4,
                    "success": rate,
                    "success_low": max(0.0, rate - 0.2),
                    "success_high": rate + 0.2,
                    "seconds": 60.0 * step,
                }
            )
    return made


def test_the_summary_is_of_the_last_evaluation():
    words = curves.summary([*rows(), {"step": 30, "seed": 0, "td": 1.0}])
    assert words.startswith("25% [5%, 45%], 75% [55%, 95%] after 20 updates (4 episodes a seed")
    assert words.endswith("mean 50%")
    assert curves.summary([]) == "not evaluated yet"
    names = ("success", "success_low", "success_high")
    unknown = [row | dict.fromkeys(names, float("nan")) for row in rows()]
    words = "unknown, unknown after 20 updates (4 episodes a seed, 95% intervals), mean unknown"
    assert curves.summary(unknown) == words


def test_methods_are_spelled_as_in_the_papers():
    names = ("qc_fql", "bfn_n", "mac_no_teacher", "fedit", "gcsacbc_n")
    assert [*map(curves.spelled, names)] == [
        "QC-FQL", "BFN-n", "MAC-NO-TEACHER", "FEdit", "n-step SAC+BC",
    ]  # fmt: skip


def test_the_picture_changes_with_the_numbers_and_is_described():
    whole = curves.picture({"QC": rows()}, "a task")
    part = curves.picture({"QC": rows()[:2]}, "a task")
    assert "a task QC: 25% [5%, 45%]" in whole.alt
    pixels = [np.asarray(Image.open(BytesIO(p.png)).convert("L")) for p in (whole, part)]
    assert pixels[0].shape == pixels[1].shape == (380, 900)
    assert (pixels[0] != pixels[1]).mean() > 0.001


def test_stored_runs_become_a_figure_with_its_numbers_and_command(tmp_path):
    run = tmp_path / "run"
    config = {
        "method": "qc_fql",
        "task": "cube-single-play-singletask-task2-v0",
        "preset": "laptop",
        "seeds": [0, 1],
        "success_timing": "pre",
        "versions": {"jax": "1"},
    }
    disk.write_json(run / runs.CONFIG, config)
    runs.write_csv(run / runs.METRICS, rows())
    curves.main(tmp_path / "f.png", [run])
    assert (tmp_path / "f.png").read_bytes()[:4] == b"\x89PNG"
    text = (tmp_path / "f.md").read_text()
    assert "--preset laptop --seeds 0 1" in text
    assert "20 minutes for 2 seeds together" in text
    with open(tmp_path / "f.csv", newline="") as file:
        stored = list(csv.DictReader(file))
    assert [row["success"] for row in stored] == ["0.0", "0.5", "0.25", "0.75"]


def test_many_methods_are_drawn_while_a_seed_is_still_missing():
    whole = curves.picture({name: rows() for name in "abcd"})
    part = curves.picture({name: rows()[:-1] for name in "abcd"})
    assert whole.png != part.png
