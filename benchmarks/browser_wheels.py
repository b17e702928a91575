"""Asks the Python index whether a browser could install what the notebooks compute with.

    python benchmarks/browser_wheels.py

Python in a browser (Pyodide, and JupyterLite on it) installs a compiled package from a wheel whose
platform tag ends in wasm32 (PEP 783).  Only when all packages have one can the notebooks run there
without packages built by others.  For a schedule: the exit status is 0 when all have one, 1 when
one has none, 2 when the index cannot be asked.
"""

import json
import sys
import urllib.request
from typing import Any

PACKAGES = ("numpy", "scipy", "matplotlib")
ADDRESS = "https://pypi.org/pypi/{}/json"
SECONDS = 30  # that an answer may take


def asked(package: str) -> Any:
    """What the index says of the newest version.  Raises OSError or ValueError."""
    with urllib.request.urlopen(ADDRESS.format(package), timeout=SECONDS) as answer:
        return json.load(answer)


def browser_wheels(answer: Any) -> list[str]:
    """The files of the newest version that a browser can install, in the index's order."""
    names = [file["filename"] for file in answer["urls"]]
    return [name for name in names if name.endswith(".whl") and _in_a_browser(name)]


def _in_a_browser(wheel: str) -> bool:
    tags = wheel.removesuffix(".whl").rsplit("-", 1)[-1].split(".")
    return any(tag.endswith("_wasm32") for tag in tags)


def told(package: str, answer: Any) -> tuple[str, bool]:
    """A line about `package`, and whether it has a browser wheel."""
    found, name = browser_wheels(answer), f"{package} {answer['info']['version']}"
    if found:
        return f"{name}: {len(found)} browser wheels, such as {found[0]}", True
    return f"{name}: no browser wheel among {len(answer['urls'])} files", False


def main() -> int:
    """Print a line for each package.  -> the exit status"""
    have = []
    for package in PACKAGES:
        try:
            line, has = told(package, asked(package))
        except (OSError, ValueError, LookupError, TypeError) as error:
            print(
                f"{ADDRESS.format(package)} gives no answer that can be read ({error}): check the"
                " network, and repeat",
                file=sys.stderr,
            )
            return 2
        print(line)
        have.append(has)
    return 0 if all(have) else 1


if __name__ == "__main__":
    sys.exit(main())
