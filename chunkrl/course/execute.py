"""Runs notebooks and stores their outputs as they are committed, without widget state."""

import shutil
import subprocess
import sys
from pathlib import Path

from chunkrl import command
from chunkrl.errors import ConfigError

DROPPED = "metadata.language_info cell.metadata.execution"  # they differ from machine to machine


def execute(notebooks: list[Path]) -> None:
    """Run each in place; one that raises is left as it was (CalledProcessError)."""
    if shutil.which("nbstripout", path=str(Path(sys.executable).parent)) is None:
        raise ConfigError("nbstripout is not installed: pip install 'chunkrl[dev]'")
    for notebook in notebooks:
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


def main(notebooks: list[Path] | None = None, /) -> None:
    """Run NOTEBOOKS, or all of the folder notebooks, and store what they show."""
    found = notebooks or sorted(Path("notebooks").glob("*.ipynb"))
    if not found:
        sys.exit("no notebooks here: run this from the root of the repository, or name them")
    execute(found)


if __name__ == "__main__":
    command.run(main, "python -m chunkrl.course.execute")
