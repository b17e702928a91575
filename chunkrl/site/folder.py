"""The course as one folder of pages that need no kernel: `chunkrl site FOLDER`."""

import base64
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from chunkrl import checks, disk
from chunkrl.course.controls import Value
from chunkrl.course.explorers import EXPLORERS
from chunkrl.course.outline import OUTLINE
from chunkrl.errors import ConfigError
from chunkrl.processes import Spawn
from chunkrl.site import grid, npm, pages, robot

HERE = Path(__file__).parent
KATEX = ("katex", "0.19.1")  # sets the formulas; its archive's SHA-512:
SHA512 = "jG8uKntjSEcm2EpQOh0XturpPuuC9r3Sq5HLHdsFdWZT27E672SF19QEi+of0/YeOy15lDgRhKvr5614uRrEfA=="
TEXTS = ("GUIDE.md", "SYMBOLS.md")


class Made(NamedTuple):
    """What `make` wrote: bytes of every file by its name, and what it had to leave out."""

    sizes: dict[str, int]
    left_out: tuple[str, ...]


def make(
    folder: Path,
    notebooks: Path = Path("notebooks"),
    most: int = grid.MOST,
    workers: int | None = None,
) -> Made:
    """Write the pages of the course into `folder`; files that are there are replaced.

    `notebooks` is the folder of the notebooks, whose stored outputs are shown.  Of every explorer
    at most `most` settings are kept, or as many as its ends and buttons need.  Raises ConfigError
    where there are no notebooks, DataError where one cannot be read.
    """
    checks.whole("most", most)
    if workers is not None:
        checks.whole("workers", workers, least=0)
    folder, notebooks = disk.user_path(folder), disk.user_path(notebooks)
    found = [path for n in OUTLINE for path in notebooks.glob(f"{n.number}_*.ipynb")]
    if not found:
        raise ConfigError(
            f"there are no notebooks in {notebooks}: run this in the folder of the repository, or"
            " name theirs with --notebooks"
        )
    made = {path.stem: pages.notebook(path) for path in found}
    made |= {Path(text).stem: pages.markdown(notebooks / text) for text in TEXTS}
    made["figures"] = pages.gallery()
    left_out = []
    files = {name: (HERE / name).read_bytes() for name in ("site.css", *pages.SCRIPTS)}
    try:
        files |= _katex()
    except ConfigError as error:
        left_out.append(f"formulas are shown as they are written, in TeX: {error}")
    made["index"] = _index(found, _robot(folder, left_out))
    library = HERE.parents[1]
    sources = {path for page in made.values() for path in page.sources}
    for path in sorted(sources):
        text = (library / path).read_text(encoding="utf-8")
        made[f"source/{path}"] = pages.source(path, text)
    for name, data in _data(opened(found), most, workers):
        files[f"explorers/{name}.js"] = f'chunkrl.packed["{name}"]="{data}";\n'.encode()
    order = [path.stem for path in found]
    for name, page in made.items():
        files[f"{name}.html"] = _html(name, page, order, "katex.js" in files).encode()
    for name, content in files.items():
        disk.write(folder / name, lambda out, content=content: out.write(content))
    return Made({name: len(content) for name, content in files.items()}, tuple(left_out))


def opened(notebooks: Iterable[Path]) -> dict[str, list[Mapping[str, Value]]]:
    """The settings in which the notebooks show each explorer."""
    found: dict[str, list[Mapping[str, Value]]] = {name: [] for name in EXPLORERS}
    for path in notebooks:
        for cell in pages.cells(path):
            if cell.cell_type == "code" and (shown := pages.shows(cell.source)):
                found[shown.explorer].append(shown.setting)
    return found


def _data(
    settings: Mapping[str, Sequence[Mapping[str, Value]]], most: int, workers: int | None
) -> Iterable[tuple[str, str]]:
    """The data of every explorer, made by processes: each keeps a core busy for seconds."""
    if workers == 0:
        yield from ((name, grid.packed(name, opened, most)) for name, opened in settings.items())
        return
    spawn = Spawn()
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        try:
            jobs = {n: pool.submit(grid.packed, n, opened, most) for n, opened in settings.items()}
            for name, job in jobs.items():
                yield name, job.result()
        finally:
            spawn.kill()


def _katex() -> dict[str, bytes]:
    """What sets formulas; its fonts inside the style sheet, for browsers that read no others."""
    sheet, script = "dist/katex.min.css", "dist/katex.min.js"
    css = npm.files(*KATEX, SHA512, (sheet,))[sheet].decode()
    fonts = tuple(dict.fromkeys(re.findall(r"fonts/[\w-]+\.woff2", css)))
    kept = npm.files(*KATEX, SHA512, (script, "LICENSE", *(f"dist/{font}" for font in fonts)))
    # Of the three forms of each font the first is enough.
    css = re.sub(r",url\(fonts/[\w-]+\.(?:woff|ttf)\) format\(\"\w+\"\)", "", css)
    for font in fonts:
        data = base64.b64encode(kept[f"dist/{font}"]).decode()
        css = css.replace(f"url({font})", f"url(data:font/woff2;base64,{data})")
    return {
        "katex.css": css.encode(),
        "katex.js": kept[script],
        "katex.LICENSE.txt": kept["LICENSE"],
    }


def _robot(folder: Path, left_out: list[str]) -> bool:
    """Whether the page of the robot was made."""
    try:
        robot.make(folder / "robot")
    except ConfigError as error:
        left_out.append(f"there is no page of the robot: {error}")
        return False
    return True


def _index(notebooks: Sequence[Path], steered: bool) -> pages.Page:
    by_number = {path.stem[:2]: path.stem for path in notebooks}
    rows = []
    for each in OUTLINE:
        if each.number in by_number:
            needs = f"after {' and '.join(each.needs)}" if each.needs else "start here"
            link = f'<a href="{by_number[each.number]}.html">{html.escape(each.title)}</a>'
            optional = " (optional)" if each.optional else ""
            rows.append(f"<li><b>{each.number}</b> {link}{optional} <small>{needs}</small></li>")
    hand = (
        '<p class="first"><a href="robot/index.html">Steer the robot</a>: choose how many actions'
        " it plays before it looks again, and push the cube.</p>"
        if steered
        else ""
    )
    return pages.Page(
        "Reinforcement learning with action chunking",
        "<h1>Reinforcement learning with action chunking</h1>"
        "<p>A policy that acts in <b>chunks</b> chooses several actions at once and plays them"
        " before it looks again. These pages ask one question each, what that is good for and"
        " what it costs: write a guess, move a slider, compare with the exact answer. All of it"
        " runs in this browser.</p>"
        f'{hand}<ol class="outline">{"".join(rows)}</ol>'
        '<p><a href="figures.html">All figures</a> on one page ·'
        ' <a href="GUIDE.html">for reading groups</a> · <a href="SYMBOLS.html">symbols</a></p>',
    )


def _html(name: str, page: pages.Page, order: Sequence[str], formulas: bool) -> str:
    up = "../" * name.count("/")
    scripts = [*(["katex.js"] if formulas else []), *pages.SCRIPTS]
    scripts += [f"explorers/{explorer}.js" for explorer in page.explorers]
    head = "".join(
        f'<link rel="stylesheet" href="{up}{sheet}">'
        for sheet in (*(["katex.css"] if formulas else []), "site.css")
    ) + "".join(f'<script src="{up}{script}"></script>' for script in scripts)
    links = [f'<a href="{up}index.html">chunkrl</a>']
    if name in order:
        at = order.index(name)
        links += [f'<a href="{other}.html">← {other[:2]}</a>' for other in order[:at][-1:]]
        links += [f'<a href="{other}.html">{other[:2]} →</a>' for other in order[at + 1 :][:1]]
    bar = f'<header class="bar">{" ".join(links)}</header>'
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{page.title}</title>{head}</head>\n"
        f"<body>{bar}<main>\n{page.body}\n</main></body></html>\n"
    )


__all__ = ["Made", "make"]
