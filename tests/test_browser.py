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
SHOWN = re.compile(r"EXPLORERS\[.*\.(show|predict)\(")
# The benchmark measures the promised 100 ms on a quiet machine; this only finds what got slow.
SLOWEST_MEDIAN_MS = 600.0


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """All explorers, those of the notebooks, a menu and two errors, in JupyterLab."""
    folder, state = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("state")
    nbformat.write(explorers_of_notebooks(), folder / "notebooks.ipynb")
    first = "from chunkrl.course.explorers import EXPLORERS"
    write(folder / "explorers.ipynb", first, *(f'EXPLORERS["{name}"].show()' for name in EXPLORERS))
    write(folder / "raises.ipynb", "1 / 0")
    breaks = (
        "import dataclasses\n"
        "def compute(**setting):\n"
        "    if setting['sweeps'] == 100:\n"
        "        raise ValueError('too long')\n"
        "    return explorer.compute(**setting)\n"
        "explorer = EXPLORERS['horizon']\n"
        "dataclasses.replace(explorer, compute=compute).show(sweeps=50)"
    )
    write(folder / "breaks.ipynb", first, breaks)
    choice = (
        "import dataclasses\n"
        "from chunkrl.course.explorers import Choice\n"
        "explorer = EXPLORERS['horizon']\n"
        "def compute(reach, **setting):\n"
        "    return explorer.compute(**setting, backup={'short': 1, 'long': 50}[reach])\n"
        "reach = Choice('reach', 'reach', ('short', 'long'), 'short')\n"
        "controls = (reach, *(c for c in explorer.controls if c.name != 'backup'))\n"
        "dataclasses.replace(explorer, compute=compute, controls=controls, named={}).show()"
    )
    write(folder / "choice.ipynb", first, choice)
    with (
        jupyter_browser.jupyterlab(folder, state) as address,
        jupyter_browser.browser_page() as page,
    ):
        yield page, address


def explorers_of_notebooks() -> nbformat.NotebookNode:
    """Imports and widgets of all notebooks in one: one page and one kernel serve for all.

    The other cells run under nbval, some of them for long.
    """
    joined = nbformat.read(NOTEBOOKS[0], as_version=4)
    joined.cells = []
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        code = [cell for cell in cells if cell.cell_type == "code"]
        shown = [cell for cell in code if SHOWN.search(cell.source)]
        assert shown, f"{path.name} shows no explorer"
        joined.cells += [cell for cell in code if cell in (code[0], *shown)]
    for number, cell in enumerate(joined.cells):
        cell.id = f"cell-{number}"  # unique in all
    return joined


def write(path: Path, *cells: str) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, path)


@pytest.fixture
def opened(served):
    """Runs a notebook by name and returns its explorers; its kernel is shut down at the end."""
    page, address = served
    yield lambda name: jupyter_browser.run_notebook(page, address.format(name))
    jupyter_browser.close_notebook(page)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("explorers.ipynb", len(EXPLORERS)),
        ("choice.ipynb", 1),
        ("notebooks.ipynb", sum(len(SHOWN.findall(path.read_text())) for path in NOTEBOOKS)),
    ],
)
def test_every_slider_moves_its_picture(name, count, opened, served, record_property) -> None:
    """All of each explorer, and one wherever a notebook shows it."""
    panels = opened(name)
    assert len(panels) == count
    for panel in panels:
        if name == "notebooks.ipynb":
            panel.move()
            continue
        panel.sweep()
        if not panel.waits:  # menus alone
            continue
        median, slow = jupyter_browser.quantiles(panel.waits)
        record_property("latency_ms", f"median {median:.0f}, 90 % {slow:.0f}")
        assert median < SLOWEST_MEDIAN_MS
    jupyter_browser.complain(served[0])


def test_every_prediction_is_asked_for_in_a_notebook() -> None:
    """So that the page of the notebooks answers them all."""
    asked = {
        name
        for path in NOTEBOOKS
        for name in re.findall(r'EXPLORERS\[\\"(\w+)\\"\]\.predict\(', path.read_text())
    }
    assert asked == {name for name, explorer in EXPLORERS.items() if explorer.predict_first}


def test_an_error_in_a_cell_is_seen(opened) -> None:
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        opened("raises.ipynb")


def test_an_error_after_a_move_is_shown_and_seen(opened, served) -> None:
    """A picture that cannot be drawn is a sentence for the reader, and an error for these tests."""
    (panel,) = opened("breaks.ipynb")
    assert panel.press(panel.handles[-1], "Home") is not None
    panel.handles[-1].focus()
    served[0].keyboard.press("End")
    panel.root.locator(".chunkrl-error [role=alert]").wait_for()
    with pytest.raises(AssertionError, match="too long"):
        jupyter_browser.complain(served[0])
