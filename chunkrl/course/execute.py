"""Runs notebooks and stores outputs as they are committed: no widget state, links to lines."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

from chunkrl import command
from chunkrl.course import links
from chunkrl.errors import ConfigError

DROPPED = "metadata.language_info cell.metadata.execution"  # they differ from machine to machine


def execute(notebooks: list[Path]) -> None:
    """Run each in place; one that raises is left as it was (CalledProcessError)."""
    if shutil.which("nbstripout", path=str(Path(sys.executable).parent)) is None:
        raise ConfigError("nbstripout is not installed: pip install 'chunkrl[dev]'")
    for notebook in notebooks:
        _link(notebook)
        # What a cell prints is one output, however the kernel happened to send it: merged in a
        # second pass, because nbconvert merges before it executes.
        for step in ("--execute", "--coalesce-streams"):
            convert = ["nbconvert", "--to", "notebook", step, "--inplace", str(notebook)]
            subprocess.run([sys.executable, "-m", *convert], check=True)
        strip = [
            "nbstripout",
            "--keep-output",
            "--keep-count",
            "--extra-keys",
            DROPPED,
            str(notebook),
        ]
        subprocess.run([sys.executable, "-m", *strip], check=True)


def _link(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = links.refresh(cell.source, path.parent)
    nbformat.write(notebook, path)


def main(notebooks: list[Path] | None = None, /) -> None:
    """Run NOTEBOOKS, or all of the folder notebooks, and store what they show."""
    found = notebooks or sorted(Path("notebooks").glob("*.ipynb"))
    if not found:
        sys.exit("no notebooks here: run this from the root of the repository, or name them")
    execute(found)


if __name__ == "__main__":
    command.run(main, "python -m chunkrl.course.execute")
