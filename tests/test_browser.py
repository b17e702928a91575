"""In a browser every slider of every explorer moves its picture, and no error shows."""

import re
from pathlib import Path

import jupyter_browser
import nbformat
import pytest

from chunkrl.course.explorers import EXPLORERS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(jupyter_browser.unavailable()), reason=jupyter_browser.unavailable()),
]

ROOT = Path(__file__).parents[1]
NOTEBOOKS = [
    path for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if "EXPLORERS" in path.read_text()
]
SHOWN = re.compile(r'EXPLORERS\["(\w+)"\]\.(?:show|predict)\((.*)\)')
# The benchmark measures the promised 100 ms on a quiet machine; this only finds what got slow.
SLOWEST_MEDIAN_MS = 600.0


FIRST = "from chunkrl.course.explorers import EXPLORERS"
MENU = """
import dataclasses
from chunkrl.course.explorers import Choice
explorer = EXPLORERS["horizon"]
def compute(reach, **setting):
    return explorer.compute(**setting, backup={"short": 1, "long": 50}[reach])
reach = Choice("reach", "reach", ("short", "long"), "short")
controls = (reach, *(c for c in explorer.controls if c.name != "backup"))
dataclasses.replace(explorer, compute=compute, controls=controls, named={}).show()
"""
BREAKS = """
import dataclasses
def compute(**setting):
    if setting["sweeps"] == 100:
        raise ValueError("too long")
    return explorer.compute(**setting)
explorer = EXPLORERS["horizon"]
dataclasses.replace(explorer, compute=compute).show(sweeps=50)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """All explorers and two errors, in JupyterLab."""
    folder, state = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("state")
    nbformat.write(explorers_of_notebooks(), folder / "explorers.ipynb")
    notebook = nbformat.v4.new_notebook(cells=cells(FIRST, BREAKS, "1 / 0"))
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, folder / "errors.ipynb")
    with (
        jupyter_browser.jupyterlab(folder, state) as address,
        jupyter_browser.browser_page() as page,
    ):
        yield page, address


def cells(*sources: str) -> list[nbformat.NotebookNode]:
    return [nbformat.v4.new_code_cell(source) for source in sources]


def explorers_of_notebooks() -> nbformat.NotebookNode:
    """Imports and widgets of all notebooks in one, those that none shows, and one with a menu.

    One page and one kernel serve for all; the other cells run under nbval, some of them for long.
    """
    joined = nbformat.read(NOTEBOOKS[0], as_version=4)
    joined.cells = []
    for path in NOTEBOOKS:
        code = [
            cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"
        ]
        shown = [cell for cell in code if SHOWN.search(cell.source)]
        assert shown, f"{path.name} shows no explorer"
        joined.cells += [cell for cell in code if cell in (code[0], *shown)]
    left = EXPLORERS.keys() - {name for name, _ in calls(joined)}
    joined.cells += cells(FIRST, *(f'EXPLORERS["{name}"].show()' for name in sorted(left)), MENU)
    for number, cell in enumerate(joined.cells):
        cell.id = f"cell-{number}"  # unique in all
    return joined


def calls(notebook: nbformat.NotebookNode) -> list[tuple[str, str]]:
    """The explorers that a notebook shows, each with the setting in which it opens."""
    return [call for cell in notebook.cells for call in SHOWN.findall(cell.source)]


@pytest.fixture
def opened(served):
    """Runs a notebook by name and returns its explorers; its kernel is shut down at the end."""
    page, address = served
    yield lambda name: jupyter_browser.run_notebook(page, address.format(name))
    jupyter_browser.close_notebook(page)


def test_every_slider_moves_its_picture(opened, served, record_property) -> None:
    """All of each explorer where it opens first, and one wherever a notebook shows it again."""
    panels, shown = opened("explorers.ipynb"), [*calls(explorers_of_notebooks()), ("menu", "")]
    assert len(panels) == len(shown)
    swept = set()
    for panel, (name, setting) in zip(panels, shown, strict=True):
        if name in swept:
            panel.move()
            continue
        assert setting == "", f"{name} opens first elsewhere than at its start setting"
        panel.sweep()
        swept.add(name)
        if not panel.waits:  # menus alone
            continue
        median, slow = jupyter_browser.quantiles(panel.waits)
        record_property("latency_ms", f"{name}: median {median:.0f}, 90 % {slow:.0f}")
        assert median < SLOWEST_MEDIAN_MS, name
    assert swept == {*EXPLORERS, "menu"}
    jupyter_browser.complain(served[0])


def test_every_prediction_is_asked_for_in_a_notebook() -> None:
    """So that the page of the notebooks answers them all."""
    asked = {
        name
        for path in NOTEBOOKS
        for name in re.findall(r'EXPLORERS\[\\"(\w+)\\"\]\.predict\(', path.read_text())
    }
    assert asked == {name for name, explorer in EXPLORERS.items() if explorer.predict_first}


def test_errors_are_shown_and_seen(opened, served) -> None:
    """Of a cell; and a picture that cannot be drawn after a move is a sentence for the reader."""
    page, _ = served
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        opened("errors.ipynb")
    panel = jupyter_browser.Panel(page.locator(".chunkrl-explorer"))
    assert panel.press(panel.handles[-1], "Home") is not None
    panel.handles[-1].focus()
    page.keyboard.press("End")
    panel.root.locator(".chunkrl-error [role=alert]").wait_for()
    with pytest.raises(AssertionError, match="too long"):
        jupyter_browser.complain(page)
