"""Measures in a real browser how long a slider's new picture takes.

    python benchmarks/slider_latency.py

Median and 90 % point over steps of every slider, away from the start setting; the corner column is
the slowest corner of the sliders, each taken as the median of three visits.  Nothing is remembered
between moves: the cache of `compute` is off, as on a reader's first visit.  The second table
compares a stream of values with released ones.  The floor is a picture that was ready: what this
machine, with whatever else runs on it, needs before any explorer does its work.
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path

import nbformat
import tyro

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import jupyter_browser  # noqa: E402

from chunkrl.course.explorers import EXPLORERS, Slider  # noqa: E402

VISITS = 3
STEPS = 12
COMPARED = ("horizon", "optimism")  # a stream of values against released ones
MEDIAN_MS, CORNER_MS = 100.0, 150.0  # what is promised
SETUP = (
    "from chunkrl.course.explorers import EXPLORERS\nfrom chunkrl.course import explorer, panel\n"
    "explorer.computed = explorer.computed.__wrapped__\n"
    "panel.STREAM = {stream}"
)

FLOOR = """
import ipywidgets as widgets
slider = widgets.IntSlider(5, 0, 11)
ready = [EXPLORERS["horizon"].png(backup=1 + i) for i in range(12)]
picture = widgets.Image(value=ready[slider.value])
slider.observe(lambda change: picture.set_trait("value", ready[change.new]), "value")
box = widgets.VBox([slider, picture])
box.add_class("chunkrl-explorer")
box
"""


def measure(page, address: str) -> tuple[list[float], list[float]]:
    """The one explorer of a notebook: ms of single steps, and of each corner its median."""
    (panel,) = jupyter_browser.run_notebook(page, address)
    steps = []
    for handle in panel.handles:
        key = "ArrowRight"
        for _ in range(STEPS):
            try:
                wait = panel.press(handle, key)
            except AssertionError:  # the same picture on purpose, such as a curve not reached yet
                continue
            if wait is None:  # at the end of the slider
                key = "ArrowLeft"
            else:
                steps.append(wait)
    tours = [panel.corners() for _ in range(VISITS)]
    jupyter_browser.complain(page)
    jupyter_browser.close_notebook(page)
    return steps, [statistics.median(visits) for visits in zip(*tours, strict=True)]


def write_notebooks(folder: Path) -> dict[tuple[str, bool], str]:
    """One notebook for the floor, and one for each explorer and way of sending values."""
    names = {}
    moved = [
        name for name, e in EXPLORERS.items() if any(isinstance(c, Slider) for c in e.controls)
    ]
    shows = {"floor": FLOOR} | {name: f'EXPLORERS["{name}"].show()' for name in moved}
    for name, show in shows.items():
        for stream in (True, False)[: 2 if name in COMPARED else 1]:
            cells = [SETUP.format(stream=stream), show]
            notebook = nbformat.v4.new_notebook(
                cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
                metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
            )
            names[name, stream] = f"{name}_{'stream' if stream else 'released'}.ipynb"
            nbformat.write(notebook, folder / names[name, stream])
    return names


def report(measured: dict[tuple[str, bool], tuple[list[float], list[float]]]) -> str:
    """The tables as Markdown."""
    lines = [
        "# How long a reader waits for a picture\n",
        "From the key press on a slider to the first animation frame that shows another loaded "
        "picture, in JupyterLab "
        f"and headless Chromium, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}. Frames are "
        "16.7 ms apart.",
        "Promised: median at most 100 ms, worst corner at most 150 ms. Made by `python "
        "benchmarks/slider_latency.py`.\n",
        "| explorer | median ms | 90 % ms | worst corner ms | slider moves | kept |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for (name, stream), (steps, corners) in measured.items():
        if stream:
            median, slow = jupyter_browser.quantiles(steps)
            kept = "yes" if median <= MEDIAN_MS and max(corners) <= CORNER_MS else "no"
            kept = "-" if name == "floor" else kept
            moves = len(steps) + VISITS * len(corners)
            lines.append(
                f"| {name} | {median:.0f} | {slow:.0f} | {max(corners):.0f} | {moves} | {kept} |"
            )
    lines += [
        "\nA stream of values (`continuous_update=True`, which is what explorers use) against "
        "released values:\n",
        "| explorer | stream, median ms | released, median ms |",
        "| --- | --- | --- |",
    ]
    for name in COMPARED:
        both = [statistics.median(measured[name, stream][0]) for stream in (True, False)]
        lines.append(f"| {name} | {both[0]:.0f} | {both[1]:.0f} |")
    return "\n".join(lines) + "\n"


def main(out: Path = ROOT / "benchmarks" / "slider_latency.md") -> None:
    """Measure every explorer and write the tables to OUT."""
    if reason := jupyter_browser.unavailable():
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as state:
        names = write_notebooks(Path(folder))
        with (
            jupyter_browser.jupyterlab(Path(folder), Path(state)) as address,
            jupyter_browser.browser_page() as page,
        ):
            measured = {key: measure(page, address.format(name)) for key, name in names.items()}
    table = report(measured)
    temporary = out.with_suffix(".part")
    temporary.write_text(table)
    os.replace(temporary, out)
    print(table)


if __name__ == "__main__":
    tyro.cli(main)
