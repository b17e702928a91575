"""The README's recipes for Weights & Biases and TensorBoard, with the real libraries, offline."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
# Stands for the training: two seeds' rows of metrics, given as `experiment.run` gives them.
GIVEN = """
import inspect
from chunkrl import experiment

whole = inspect.signature(experiment.run)

def run(*args, **given):
    log = whole.bind(*args, **given).arguments["log"]
    for step in (100, 200):
        for seed in (0, 1):
            log(step, {"step": step, "seed": seed, "loss": 0.5 / step, "success": 0.25 + seed / 2})

experiment.run = run
"""


def recipe(name):
    """The block of the README that imports `name`."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (block,) = [x for x in blocks if re.search(rf"^(import|from) {name}\b", x, re.MULTILINE)]
    return block


def follow(name, folder):
    pytest.importorskip(name)
    script = folder / "recipe.py"
    script.write_text(GIVEN + recipe(name))
    env = os.environ | {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DIR": str(folder)}
    run = subprocess.run([sys.executable, script], cwd=folder, env=env, capture_output=True)
    assert run.returncode == 0, run.stderr.decode()


def test_tensorboard_gets_every_number(tmp_path) -> None:
    follow("tensorboardX", tmp_path)
    (file,) = (tmp_path / "boards" / "qc").iterdir()
    written = file.read_bytes()
    for name in (b"success/0", b"success/1", b"loss/0", b"loss/1"):
        assert written.count(name) == 2, "at two steps"


def test_wandb_gets_every_number(tmp_path) -> None:
    follow("wandb", tmp_path)
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    written = file.read_bytes()
    for name in (b"success/0", b"success/1", b"loss/0", b"loss/1"):
        assert name in written
