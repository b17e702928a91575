"""CONTRIBUTING.md: its skeleton works, its files exist, a method is one file and one function."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def test_the_skeleton_trains_and_plays(tmp_path, monkeypatch):
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    (tmp_path / "skeleton_agent.py").write_text(block)
    monkeypatch.syspath_prepend(tmp_path)
    evaluation = importlib.import_module("skeleton_agent").main()
    assert evaluation.success.all()  # a policy that stands still succeeds in a fifth


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:chunkrl|tests|notebooks)/[^`]*)`", TEXT)))
)
def test_files_that_it_names_exist(path):
    if "NAME" in path or "NN_name" in path:
        assert (ROOT / path).parent.is_dir()
    else:
        assert list(ROOT.glob(path.replace("NN", "00")))


@pytest.mark.parametrize("words", ["IQL|iql|Implicit Q", "ReBRAC|rebrac"])
def test_a_method_is_one_file_and_one_function(words):
    files = [*(ROOT / "chunkrl").rglob("*.py")]
    naming = {p.name for p in files if re.search(rf"(?<![\w/])(?:{words})", p.read_text())}
    assert naming == {f"{words.split('|')[1]}.py", "methods.py"}
