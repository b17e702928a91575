"""Promises of the repository itself: one list of packages, two commands, a light import."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
MISSION = ["jax", "flax", "optax", "ogbench", "mujoco", "matplotlib", "ipywidgets", "jupyterlab"]


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_nine_packages_are_core_dependencies():
    names = {re.match(r"[a-z-]+", line)[0] for line in project()["dependencies"]}
    assert names >= {*MISSION, "nbval"}


def test_environment_installs_the_package_through_pip():
    """environment.yml holds no second list: it defers to pyproject.toml, and its Python fits."""
    text = (ROOT / "environment.yml").read_text()
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    dependencies = [line[2:] for line in lines[lines.index("dependencies:") + 1 :] if line]
    assert [d for d in dependencies if d != "pip:"] == ["python=3.12", "pip", "-e .[dev]"]
    assert project()["requires-python"] == ">=3.11"
    assert "dev" in project()["optional-dependencies"]


def test_gpu_extras_are_named_as_jax_names_them():
    extras = project()["optional-dependencies"]
    assert extras["cuda13"] == ["jax[cuda13]"]
    assert extras["cuda12"] == ["jax[cuda12]"]


def test_readme_has_two_commands_and_ci_runs_the_second():
    readme = (ROOT / "README.md").read_text()
    commands = [line for line in readme.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    assert "chunkrl train" in commands[0]
    assert commands[1].endswith("pytest -n 2")
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


def test_import_is_light():
    """Simulator, plotting and widgets are imported where they are used."""
    code = "import sys, chunkrl; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"ogbench", "mujoco", "gymnasium", "matplotlib", "ipywidgets"}
    assert heavy.isdisjoint(run.stdout.split())


def test_no_merge_was_left_half_done():
    """Marks of a conflict stand at the beginning of a line, in texts of every kind."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    marks = re.compile(rb"^(<{7}|>{7}) ", re.MULTILINE)
    names = files.stdout.decode().rstrip("\0").split("\0")
    assert "CHANGELOG.md" in names
    assert [name for name in names if marks.search((ROOT / name).read_bytes())] == []
