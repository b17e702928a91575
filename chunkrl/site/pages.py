"""Notebooks and other texts as pages: what was stored, live figures, exercises that judge."""

import ast
import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from chunkrl.course.controls import Value
from chunkrl.course.exercise import Exercise, Function, MultipleChoice, Number
from chunkrl.course.exercises import EXERCISES
from chunkrl.course.explorers import EXPLORERS
from chunkrl.course.outline import OUTLINE
from chunkrl.errors import DataError

SOURCE = re.compile(r"\.\./(chunkrl/[\w/]+\.py)(#L\d+)?$")
HERE = re.compile(r"(\w+)\.(?:ipynb|md)(#.*)?$")
ABOVE = "../"  # a link out of the folder of notebooks, to what no page is made of
SCRIPTS = ("player.js", "page.js")
# What nbformat raises for files that are no notebooks, one or the other.
FOREIGN = (OSError, ValueError, TypeError, LookupError, AttributeError, nbformat.ValidationError)


class Page(NamedTuple):
    """One page: its title, what its body holds, and what it shows or links to."""

    title: str
    body: str
    explorers: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


class Show(NamedTuple):
    """A cell that shows an explorer live."""

    explorer: str
    setting: dict[str, Value]
    asks: bool


def shows(source: str) -> Show | None:
    """What a cell shows, if it is one call of an explorer's `show` or `predict`."""
    match _expression(source):
        case ast.Call(
            func=ast.Attribute(
                value=ast.Subscript(value=ast.Name(id="EXPLORERS"), slice=ast.Constant(value=name)),
                attr="show" | "predict" as verb,
            ),
            keywords=given,
        ) if name in EXPLORERS:
            setting = {word.arg: ast.literal_eval(word.value) for word in given if word.arg}
            return Show(name, setting, verb == "predict")
    return None


def checks(source: str) -> Exercise | None:
    """The exercise that a cell judges at its end."""
    match _expression(source):
        case ast.Call(func=ast.Name(id="check"), args=[ast.Constant(value=id), *_]):
            return EXERCISES.get(str(id))
    return None


def _expression(source: str) -> ast.expr | None:
    """The last expression of a cell; None where it has none, or is not Python alone."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return None
    return body[-1].value if body and isinstance(body[-1], ast.Expr) else None


def cells(path: Path) -> list[Any]:
    """The cells of a notebook.  Raises DataError."""
    try:
        return nbformat.read(path, as_version=4).cells
    except FOREIGN as error:
        raise DataError(f"{path} is no notebook that can be read: {error}") from error


def notebook(path: Path) -> Page:
    """The page of a notebook with its stored outputs."""
    text, parts, explorers = _Text(), [], []
    for cell in cells(path):
        if cell.cell_type == "markdown":
            parts.append(f'<div class="text">{text(cell.source)}</div>')
        elif shown := shows(cell.source):
            explorers.append(shown.explorer)
            parts.append(explorer(shown))
        elif exercise := checks(cell.source):
            bare = not isinstance(exercise.kind, Function) and len(ast.parse(cell.source).body) == 2
            code = "" if bare else _code(cell.source)  # `answer = ...` alone: the page asks itself
            parts += [code, _printed(cell), asked(exercise)]
        else:
            parts += [_code(cell.source), *map(_output, cell.outputs)]
    title = next(each.title for each in OUTLINE if each.number == path.stem[:2])
    body = "\n".join(part for part in parts if part)
    return Page(f"{path.stem[:2]} {title}", body, _once(explorers), _once(text.sources))


def markdown(path: Path) -> Page:
    """The page of a text, such as the guide.  Raises DataError."""
    text = _Text()
    try:
        body = f'<div class="text">{text(path.read_text(encoding="utf-8"))}</div>'
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    title = re.search(r"<h1[^>]*>(.*?)</h1>", body)
    return Page(title[1] if title else path.stem, body, sources=_once(text.sources))


def source(path: str, text: str) -> Page:
    """The page of a file of the library: lines that links can name."""
    coloured = _coloured(text).rstrip("\n").split("\n")
    lines = "\n".join(f'<span id="L{i}">{line}</span>' for i, line in enumerate(coloured, 1))
    return Page(path, f'<h1><code>{path}</code></h1><pre class="source">{lines}</pre>')


def gallery() -> Page:
    """All explorers, each at its start setting."""
    parts = ["<h1>All figures</h1>"]
    for each in EXPLORERS.values():
        parts.append(f'<h2 id="{each.name}">{html.escape(each.title)}</h2>')
        parts.append(explorer(Show(each.name, {}, False)))
        parts.append(f"<p>From notebook {each.notebook}.</p>")
    return Page("All figures", "\n".join(parts), tuple(EXPLORERS))


def explorer(shown: Show) -> str:
    """The place of a live figure; until its script has run, what it says in words."""
    it = EXPLORERS[shown.explorer]
    setting = html.escape(json.dumps(shown.setting))
    if shown.asks and it.predict_first:
        words = f"Predict. {it.predict_first.question}"
        return (
            f'<div class="question" data-explorer="{it.name}" data-predict>'
            f"<p>{html.escape(words)}</p></div>"
        )
    return (
        f'<figure class="explorer" data-explorer="{it.name}" data-setting="{setting}">'
        f"<figcaption>{html.escape(it.alt(**shown.setting))}</figcaption></figure>"
    )


def asked(exercise: Exercise) -> str:
    """An exercise with its hints and its solution; page.js judges numbers and choices."""
    hints = [
        f"<details><summary>Hint {i} of 3</summary>{_hint(text, code=i == 3)}</details>"
        for i, text in enumerate(exercise.hints, 1)
    ]
    answer = f"<details><summary>A solution</summary>{_code(exercise.solution)}</details>"
    told = ""
    if isinstance(exercise.kind, Function):
        told = (
            "<p>This one is answered with a function: run the notebook in Jupyter, where"
            f" <code>check(&quot;{exercise.id}&quot;, answer)</code> tries it.</p>"
        )
    judged = html.escape(json.dumps(_judge(exercise)))
    return (
        f'<section class="exercise" id="{exercise.id}" data-judge="{judged}" '
        f'aria-label="Exercise {exercise.id}">{told}{"".join(hints)}{answer}</section>'
    )


def _judge(exercise: Exercise) -> dict[str, Any]:
    """What page.js needs to judge an answer as `Exercise.judge` does."""
    match exercise.kind:
        case MultipleChoice(options=options):
            replies = {key: exercise.judge(key) for key in options}
            return {"kind": "choice", "options": options, "replies": replies}
        case Number(value=value, tolerance=tolerance, unit=unit) as kind:
            wrongs = [(kind.read(m.answer), m.message) for m in exercise.misconceptions]
            return {
                "kind": "number",
                "value": value,
                "tolerance": tolerance,
                "unit": unit,
                "right": exercise.judge(value)[1],
                "wrongs": wrongs,
                "wrong": kind.wrong(0.0).removeprefix(f"0 {unit}".rstrip()),
            }
    return {"kind": "function"}


def _hint(text: str, code: bool) -> str:
    return _code(text) if code else f"<p>{html.escape(text)}</p>"


def _once(names: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _coloured(code: str) -> str:
    return highlight(code, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))


def _code(code: str) -> str:
    return f'<pre class="code">{_coloured(code)}</pre>' if code.strip() else ""


def _printed(cell: Any) -> str:
    return "".join(_output(output) for output in cell.outputs if output.output_type == "stream")


def _output(output: Mapping[str, Any]) -> str:
    """A stored output in the richest form that a page shows without a kernel."""
    if output["output_type"] == "stream":
        return f'<div class="output"><pre>{html.escape(output["text"])}</pre></div>'
    data = output.get("data", {})
    if "image/png" in data:
        about = output.get("metadata", {}).get("image/png", {})
        alt = html.escape(about.get("alt") or data.get("text/plain", ""))
        width = f' width="{about["width"]}"' if "width" in about else ""
        image = f'<img src="data:image/png;base64,{data["image/png"].strip()}" alt="{alt}"{width}>'
        return f'<div class="output">{image}</div>'
    if "text/html" in data:
        return f'<div class="output rendered">{data["text/html"]}</div>'
    return f'<div class="output"><pre>{html.escape(data.get("text/plain", ""))}</pre></div>'


class _Renderer(IPythonRenderer):
    """Formulas stay what they are, for the page to set; links lead to other pages."""

    def __init__(self) -> None:
        super().__init__(escape=False, exclude_anchor_links=True)
        self.sources: list[str] = []

    def inline_math(self, text: str) -> str:
        return f'<span class="math">{html.escape(text)}</span>'

    def block_math(self, text: str) -> str:
        return f'<span class="math block">{html.escape(text)}</span>'

    def heading(self, text: str, level: int, **_: Any) -> str:
        name = re.sub(r"\W+", "-", re.sub(r"<[^>]*>", "", text)).strip("-")
        return f'<h{level} id="{name}">{text}</h{level}>\n'

    def table(self, text: str) -> str:
        return f'<div class="scroll"><table>{text}</table></div>'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        if found := SOURCE.match(url):
            self.sources.append(found[1])
            url = f"source/{found[1]}.html{found[2] or ''}"
        elif found := HERE.match(url):
            url = f"{found[1]}.html{found[2] or ''}"
        elif url.startswith(ABOVE):
            return text
        return super().link(text, url, title)


class _Text:
    """Markdown as HTML; `sources` are the files of the library that it links to."""

    def __init__(self) -> None:
        self._renderer = _Renderer()
        self._markdown = MarkdownWithMath(self._renderer)

    @property
    def sources(self) -> list[str]:
        return self._renderer.sources

    def __call__(self, text: str) -> str:
        return self._markdown.render(text)
