"""Links from a page to the very line of the library where a name is defined."""

import re
from pathlib import Path

# [`name`](../chunkrl/path.py) or [`name`](../chunkrl/path.py#L12)
LINK = re.compile(r"\[`([A-Za-z_][\w.]*)(\(\))?`\]\((\.\./chunkrl/[\w/]+\.py)(#L\d+)?\)")


def refresh(text: str, folder: Path) -> str:
    """`text` of a page in `folder` with every such link set to the line of its name.

    A link whose text is no name that its file defines keeps to the file.
    """

    def set_line(link: re.Match[str]) -> str:
        name, call, path, _ = link.groups(default="")
        line = line_of(name, (folder / path).read_text(encoding="utf-8"))
        return f"[`{name}{call}`]({path}{f'#L{line}' if line else ''})"

    return LINK.sub(set_line, text)


def line_of(name: str, source: str) -> int | None:
    """The line that defines `name`: a function, a class, a method or a constant."""
    last = re.escape(name.rpartition(".")[2])
    defined = re.compile(rf"\s*(?:def|class) {last}\b|{last}\b[^=\n(]*=[^=]")
    for number, line in enumerate(source.splitlines(), start=1):
        if defined.match(line):
            return number
    return None
