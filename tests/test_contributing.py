"""CONTRIBUTING.md: its skeleton works, its files exist, a method is one file and one function."""

import importlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from chunkrl.agents import methods
from chunkrl.agents.dsrl import Latent
from chunkrl.agents.fedit import Edited
from chunkrl.agents.gcsacbc import Regular
from chunkrl.agents.qam import AdjointMatching
from chunkrl.agents.rlpd import MaximumEntropy
from chunkrl.blocks.policies import Flow, Gaussian, OneStep

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


@pytest.mark.parametrize(
    ("words", "kin"),
    [
        ("IQL|iql|Implicit Q", {"gciql.py", "ifql.py"}),
        ("ReBRAC|rebrac", set()),
        ("RLPD|rlpd", set()),
    ],
)
def test_a_method_is_one_file_and_one_name(words, kin):
    """And one of its kin may be made of it, in a file of its own."""
    quoting = ("course", "results")  # which may show numbers of it
    files = [
        path
        for path in (ROOT / "chunkrl").rglob("*.py")
        if path.relative_to(ROOT / "chunkrl").parts[0] not in quoting
    ]
    naming = {p.name for p in files if re.search(rf"(?<![\w/])(?:{words})", p.read_text())}
    assert naming - kin == {f"{words.split('|')[1]}.py", "methods.py"}


POLICIES = {
    Flow: "flow",
    OneStep: "one-step",
    Gaussian: "Gaussian",
    MaximumEntropy: "tanh-Gaussian",
    Regular: "tanh-Gaussian",
    AdjointMatching: "second flow",
    Edited: "edits of its chunks by a tanh-Gaussian",
    Latent: "noise that a tanh-Gaussian",
}


def test_the_table_of_methods_says_what_they_are():
    """README's row of each method against its agent at the defaults and its docstring."""
    rows = re.findall(r"^\| `([\w-]+)` \|(.*)\|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    table = {name: [cell.strip() for cell in row.split("|")] for name, row in rows}
    assert [name.replace("-", "_") for name in table] == [*methods.ALL]
    for (name, (chunk, backup, policy, paper, file)), method in zip(
        table.items(), methods.ALL.values(), strict=True
    ):
        agent: Any = method(3, 2)
        imagined = "imagined" if hasattr(agent, "rollout") else str(getattr(agent, "backup", 1))
        assert (chunk, backup) == (str(agent.chunk), imagined), name
        assert POLICIES[type(agent.policy)] in policy, name
        assert re.findall(r"\((arXiv [^)]*)\)", str(method.build.__doc__)) == [paper], name
        assert file == f"`agents/{type(agent).__module__.rpartition('.')[2]}.py`", name


def test_hooks_are_the_tools_of_the_development_environment():
    """No other host is asked; what a hook runs is a package that `.[dev]` installs."""
    yaml = pytest.importorskip("yaml")
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    dev = {re.match(r"[\w-]+", line)[0] for line in project["optional-dependencies"]["dev"]}
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert [hook["entry"] for hook in hooks] == [
        "ruff format",
        "ruff check",
        "nbstripout --keep-output --keep-count",
    ]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert {hook["entry"].split()[0] for hook in hooks} <= dev
