"""Writes the figure of every explorer at its start setting, and a page of them."""

import os
from pathlib import Path

from chunkrl import command
from chunkrl.course.explorers import EXPLORERS

COMMAND = "python -m chunkrl.course.explorers.figures figures"


def write(folder: Path) -> None:
    """One PNG for each explorer and README.md; files that are there are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    page = [f"# What each notebook shows\n\nMade by `{COMMAND}`.\n"]
    for explorer in sorted(EXPLORERS.values(), key=lambda each: each.notebook):
        name = f"{explorer.notebook}_{explorer.name}.png"
        _replace(folder / name, explorer.png())
        page.append(
            f"## {explorer.notebook} "
            f"{explorer.title}\n\n![{explorer.alt()}]({name})\n\n{explorer.alt()}\n\n"
            f"Move it: `{explorer.code(explorer.setting())}`\n"
        )
    _replace(folder / "README.md", "\n".join(page).encode())


def _replace(file: Path, content: bytes) -> None:
    temporary = file.with_name(f".{file.name}.part")
    temporary.write_bytes(content)
    os.replace(temporary, file)


def main(folder: Path, /) -> None:
    """Write the figures of the course into FOLDER."""
    write(folder)


if __name__ == "__main__":
    command.run(main, "python -m chunkrl.course.explorers.figures")
