"""Every notebook: stored outputs, compared claims, budgets, alternative text."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from chunkrl.course import links
from chunkrl.course.exercises import EXERCISES
from chunkrl.course.outline import OUTLINE

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
WORDS, CODE_CELLS, BYTES, DEF_LINES = 1800, 28, 600_000, 10
FOLD = re.compile(r"<details>.*?</details>", re.DOTALL)  # what a reader may leave closed
CLAIM = "nbval-check-output"


def source_of(cell) -> str:
    """The Python of a code cell, without lines for the notebook alone."""
    return "\n".join(
        "" if line.lstrip().startswith(("%", "!")) else line for line in cell.source.split("\n")
    )


def figures_of(cell):
    return [output for output in cell.outputs if "image/png" in output.get("data", {})]


def problems(name: str, notebook) -> list[str]:
    """Each way in which a notebook breaks the contract, as a sentence."""
    found = []
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    claims = [cell for cell in code if CLAIM in cell.metadata.get("tags", ())]
    if (words := len(FOLD.sub("", prose).split())) > WORDS:
        found.append(f"{words} words")
    if len(code) > CODE_CELLS:
        found.append(f"{len(code)} code cells")
    if (size := len(nbformat.writes(notebook).encode())) > BYTES:
        found.append(f"{size} bytes")
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("the kernel is not python3")
    if "widgets" in notebook.metadata:
        found.append("widget state is stored")
    if not claims:
        found.append(f"no claim: no cell is tagged {CLAIM}")
    for index, cell in enumerate(code):
        where = f"code cell {index}"
        if cell.execution_count is None:
            found.append(f"{where} has no execution_count")
        if cell.source.rstrip().endswith(";"):
            found.append(f"{where} ends in a semicolon")
        if any(output.output_type == "error" for output in cell.outputs):
            found.append(f"{where} stores an error")
        if any(not output.metadata.get("image/png", {}).get("alt") for output in figures_of(cell)):
            found.append(f"{where} shows a figure without alternative text")
        for node in ast.walk(ast.parse(source_of(cell))):
            long = getattr(node, "end_lineno", None) or 0
            if isinstance(node, ast.FunctionDef) and long - node.lineno + 1 > DEF_LINES:
                found.append(f"{where}: {node.name} is longer than {DEF_LINES} lines")
    for cell in claims:
        if not any(
            "text" in output or "text/plain" in output.get("data", {}) for output in cell.outputs
        ):
            found.append(f"claim cell {code.index(cell)} stores no output")
    return found + _course_problems(name, code, prose)


def _course_problems(name: str, code, prose: str) -> list[str]:
    """A notebook asks its own exercises, and its title is its question."""
    found = []
    number = name[:2]
    titles = {entry.number: entry.title for entry in OUTLINE}
    first = prose.lstrip().split("\n", 1)[0].lstrip("# ")
    if titles.get(number) != first:
        found.append(f"the title is {first!r}, not {titles.get(number)!r}")
    asked = set(re.findall(r"""check\(\s*["']([^"']+)""", "\n".join(cell.source for cell in code)))
    expected = {id for id in EXERCISES if id.startswith(f"{number}.")}
    if asked != expected:
        found.append(f"asks {sorted(asked)}, but its exercises are {sorted(expected)}")
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.name for path in NOTEBOOKS])
def test_notebook_keeps_the_contract(path: Path) -> None:
    assert problems(path.name, nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.name for path in NOTEBOOKS])
def test_links_lead_to_the_line_of_what_they_name(path: Path) -> None:
    """`python -m chunkrl.course.execute` sets them; here they are compared."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            assert links.refresh(cell.source, path.parent) == cell.source
            for name, _, file, line in links.LINK.findall(cell.source):
                assert line or name == Path(file).stem, f"{file} does not define {name}"


def test_a_link_is_set_to_the_line_of_a_name(tmp_path) -> None:
    (tmp_path / "chunkrl").mkdir()
    (tmp_path / "chunkrl" / "a.py").write_text("X: int = 3\n\n\nclass B:\n    def step(self):\n")
    (tmp_path / "notebooks").mkdir()
    page = "[`X`](../chunkrl/a.py) [`B.step`](../chunkrl/a.py#L1) [`no`](../chunkrl/a.py#L9)"
    linked = links.refresh(page, tmp_path / "notebooks")
    assert linked == (
        "[`X`](../chunkrl/a.py#L1) [`B.step`](../chunkrl/a.py#L5) [`no`](../chunkrl/a.py)"
    )


def test_folds_do_not_count_as_words(good) -> None:
    good.cells.append(new_markdown_cell("<details>" + "word " * 1799 + "</details>"))
    assert problems("03_x.ipynb", good) == []


def test_notebooks_are_there_and_named_after_the_outline() -> None:
    """An empty folder is said to be empty instead of looking like notebooks that pass."""
    if not NOTEBOOKS:
        pytest.skip("notebooks/ holds no notebook yet")
    numbers = [path.name[:2] for path in NOTEBOOKS]
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) <= {entry.number for entry in OUTLINE}
    assert all(re.fullmatch(r"\d\d_[a-z0-9_]+\.ipynb", path.name) for path in NOTEBOOKS)


@pytest.fixture
def good():
    """The smallest notebook that keeps the contract."""
    figure = new_output(
        "display_data", {"image/png": "AA=="}, metadata={"image/png": {"alt": "A bar of 3."}}
    )
    cells = [
        new_markdown_cell("# Why do long horizons break Q-learning?\n\nA text."),
        new_code_cell("print(3)", execution_count=1, metadata={"tags": [CLAIM]}),
        new_code_cell("%time picture", execution_count=2, outputs=[figure]),
        new_code_cell(
            "\n".join(f'check("{id}", ...)' for id in EXERCISES if id[:3] == "03."),
            execution_count=3,
        ),
    ]
    cells[1].outputs = [new_output("stream", text="3\n")]
    return new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )


def test_a_good_notebook_has_no_problems(good) -> None:
    nbformat.validate(good)
    assert problems("03_x.ipynb", good) == []


def long_function(lines: int) -> str:
    return "def f():\n" + "\n".join(["    pass"] * (lines - 1))


BREAKS = {
    "1808 words": lambda nb: nb.cells.append(new_markdown_cell("word " * 1799)),
    "29 code cells": lambda nb: nb.cells.extend(
        new_code_cell("", execution_count=9) for _ in range(26)
    ),
    "bytes": lambda nb: nb.cells[2].outputs[0].data.update({"image/png": "A" * 600_000}),
    "the kernel is not python3": lambda nb: nb.metadata.kernelspec.update(name="mine"),
    "widget state is stored": lambda nb: nb.metadata.update(widgets={}),
    "no claim": lambda nb: nb.cells[1].metadata.update(tags=[]),
    "claim cell 0 stores no output": lambda nb: nb.cells[1].update(outputs=[]),
    "code cell 1 has no execution_count": lambda nb: nb.cells[2].update(execution_count=None),
    "code cell 0 ends in a semicolon": lambda nb: nb.cells[1].update(source="print(3);\n"),
    "code cell 0 stores an error": lambda nb: nb.cells[1].outputs.append(
        new_output("error", ename="E", evalue="", traceback=[])
    ),
    "without alternative text": lambda nb: nb.cells[2].outputs[0].metadata.clear(),
    "f is longer than 10 lines": lambda nb: nb.cells[1].update(source=long_function(11)),
    "the title is": lambda nb: nb.cells[0].update(source="# Horizons\n\nA text."),
    "asks": lambda nb: nb.cells[3].update(source='check("03.q1", ...)'),
}


@pytest.mark.parametrize("problem", BREAKS)
def test_each_broken_rule_is_found_alone(problem: str, good) -> None:
    BREAKS[problem](good)
    (found,) = problems("03_x.ipynb", good)
    assert problem in found


def test_a_function_of_ten_lines_is_short_enough(good) -> None:
    good.cells[1].source = long_function(10)
    assert problems("03_x.ipynb", good) == []
