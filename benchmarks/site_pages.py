"""Makes the pages of `chunkrl site` and moves every figure of them in a real browser.

    python benchmarks/site_pages.py [FOLDER that `chunkrl site` has made]

Every slider goes to both ends and then to ten random positions; each number that the page shows is
compared with `compute` there.  A move takes from the event of a slider to the end of the frame in
which the picture is another.  Sizes are those of the files, which a web server need not compress.
"""

import gzip
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import tyro

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import jupyter_browser  # noqa: E402
import site_browser  # noqa: E402

from chunkrl import site  # noqa: E402
from chunkrl.course.explorers import EXPLORERS  # noqa: E402
from chunkrl.site import grid  # noqa: E402

MOVE_MS, FIGURE_BYTES, MAKE_S = 33, 150_000, 120  # what is promised


def made(folder: Path) -> str:
    """Make the site; how long that took."""
    start = time.perf_counter()
    site.make(folder, ROOT / "notebooks")
    children, own = (
        resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)
    )
    cpu = sum(used.ru_utime + used.ru_stime for used in (children, own))
    wall = time.perf_counter() - start
    return f"Made in {wall:.0f} s, {cpu:.0f} s of CPU time, by {os.cpu_count()} cores. "


def rows(folder: Path) -> list[str]:
    """A line for each figure: positions, bytes, and how long moves take."""
    found = []
    shows = site.opened(sorted((ROOT / "notebooks").glob("*.ipynb")))
    with (
        jupyter_browser.browser_page() as first,
        site_browser.offline(first.context.browser) as page,
    ):
        site_browser.open_page(page, folder / "figures.html")
        for name, explorer in EXPLORERS.items():
            values = [*grid.grid(explorer, shows[name]).values()]
            figure = site_browser.Figure(page.locator(f"[data-explorer={name}]"), explorer, values)
            figure.sweep(10)
            median, slow = jupyter_browser.quantiles(figure.waits)
            size = (folder / "explorers" / f"{name}.js").stat().st_size
            kept = " x ".join(str(len(positions)) for positions in values)
            found.append(f"| {name} | {kept} | {size / 1000:.0f} | {median:.0f} | {slow:.0f} |")
            assert size <= FIGURE_BYTES, f"{name} takes {size} bytes"
    return found


def main(folder: Path | None = None, /) -> None:
    """Print the table of benchmarks/site_pages.md."""
    with tempfile.TemporaryDirectory() as temporary:
        told = "" if folder else made(Path(temporary))
        place = folder or Path(temporary)
        table = rows(place)
        sizes = {p: p.stat().st_size for p in place.rglob("*") if p.is_file()}
        packed = sum(len(gzip.compress(path.read_bytes())) for path in sizes)
    print(
        "# The pages of `chunkrl site`\n\n"
        f"{told}{sum(sizes.values()) / 1e6:.1f} MB in {len(sizes)} files, {packed / 1e6:.1f} MB as"
        " a web server compresses them.\n"
        f"Promised: a move at most {MOVE_MS} ms (median), a figure at most"
        f" {FIGURE_BYTES // 1000} kB, made in {MAKE_S} s.\n"
        "Made by `python benchmarks/site_pages.py`, which compares each number that is shown with"
        f" `compute`; {os.cpu_count()} cores, load {os.getloadavg()[1]:.0f}.\n\n"
        "| figure | positions | kB | move, median ms | 90 % ms |\n| --- | --- | --- | --- | --- |"
    )
    print("\n".join(table))


if __name__ == "__main__":
    tyro.cli(main)
