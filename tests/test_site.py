"""The pages of `chunkrl site`: from disk, without a network, each number as `compute` has it."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import jupyter_browser
import nbformat
import pytest
import site_browser

from chunkrl.course.exercise import Function, MultipleChoice, Number
from chunkrl.course.exercises import EXERCISES
from chunkrl.course.explorers import EXPLORERS
from chunkrl.errors import ConfigError, DataError
from chunkrl.site import folder as site
from chunkrl.site import grid, pages

ROOT = Path(__file__).parents[1]
NOTEBOOK = "15_tables"
needs_browser = pytest.mark.skipif(
    bool(jupyter_browser.unavailable()), reason=jupyter_browser.unavailable()
)
# The benchmark measures the promised 33 ms on a quiet machine; this only finds what got slow.
SLOWEST_MEDIAN_MS = 300.0


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The whole site, with the fewest positions of its sliders; `--durations` says how long."""
    folder, notebooks = tmp_path_factory.mktemp("site"), ROOT / "notebooks"
    shows = site.opened(notebooks.glob("*.ipynb"))
    settings = {name: grid.grid(explorer, shows[name], 1) for name, explorer in EXPLORERS.items()}
    return folder, site.make(folder, notebooks, most=1), settings


@pytest.fixture(scope="module")
def browser():
    with jupyter_browser.browser_page() as page:
        yield page.context.browser


def test_what_npm_does_not_give_is_said(tmp_path, monkeypatch):
    def no_npm():
        raise ConfigError("katex comes from npm")

    monkeypatch.setattr(site, "_katex", no_npm)
    monkeypatch.setattr(site, "_robot", lambda *_: False)
    monkeypatch.setattr(site, "_data", lambda *_: ())
    for name in (f"{NOTEBOOK}.ipynb", *site.TEXTS):
        shutil.copy(ROOT / "notebooks" / name, tmp_path)
    left_out = site.make(tmp_path / "pages", tmp_path).left_out
    assert "in TeX: katex comes from npm" in left_out[0]


@needs_browser
@pytest.mark.browser
def test_formulas_are_set_without_a_network(made, browser):
    folder, told, *_ = made
    if told.left_out:
        pytest.skip(told.left_out[0])
    with site_browser.offline(browser) as page:
        for name in (NOTEBOOK, "SYMBOLS"):
            site_browser.open_page(page, folder / f"{name}.html")
            assert page.locator(".katex").count() > 0, name
            assert page.locator(".katex-error").count() == 0, name
            assert "$$" not in page.locator("main").inner_text(), name


@needs_browser
@pytest.mark.browser
def test_every_slider_of_every_figure(made, browser, record_property):
    folder, _, settings = made
    with site_browser.offline(browser) as page:
        site_browser.open_page(page, folder / "figures.html")
        for name, explorer in EXPLORERS.items():
            root = page.locator(f"[data-explorer={name}]")
            figure = site_browser.Figure(root, explorer, [*settings[name].values()])
            figure.sweep(4)
            record_property("latency_ms", f"{name}: median {figure.median:.0f}")
            assert figure.median < SLOWEST_MEDIAN_MS, name


@needs_browser
@pytest.mark.browser
def test_on_a_phone_no_page_is_wider_than_the_screen(made, browser):
    with site_browser.offline(browser, 390) as page:
        for name in ("index", "figures", NOTEBOOK, "GUIDE", "SYMBOLS"):
            page.emulate_media(color_scheme="light")
            site_browser.open_page(page, made[0] / f"{name}.html")
            for scheme, ground in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(18, 18, 18)")):
                page.emulate_media(color_scheme=scheme)
                assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
                assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground


@needs_browser
@pytest.mark.browser
def test_keys_buttons_play_and_the_question_first(made, browser):
    folder, _, settings = made
    explorer, values = EXPLORERS["rankings"], settings["rankings"]
    with site_browser.offline(browser) as page:
        site_browser.open_page(page, folder / f"{NOTEBOOK}.html")
        question = page.locator("[data-explorer=rankings][data-predict]")
        guess, record = question.locator("input"), question.get_by_role("button").first
        reply = question.locator("p[role=status]")
        for text, told in (("much", "A guess is one number"), ("-1", "This cannot be below 0.")):
            guess.fill(text)
            record.click()
            assert told in reply.inner_text()
        guess.fill("1.12")
        record.click()
        assert "right to the digits shown" in reply.inner_text()
        root = question.locator("figure")
        sentence, seeds = root.locator("figcaption"), root.locator("input[name=seeds]")
        assert root.locator("svg text", has_text="your guess").count() == 1
        assert sentence.inner_text() == explorer.alt()
        seeds.focus()
        page.keyboard.press("Home")
        assert sentence.inner_text() == explorer.alt(seeds=values["seeds"][0])
        assert root.locator("svg text", has_text="your guess").count() == 0
        for name, changes in explorer.named.items():
            root.get_by_role("button", name=name, exact=True).click()
            assert sentence.inner_text() == explorer.alt(**changes)
        root.get_by_role("button", name="Start", exact=True).click()
        seeds.press("Home")
        root.get_by_role("button", name="Play").click()
        page.wait_for_function("slider => slider.value === slider.max", arg=seeds.element_handle())
        root.get_by_role("button", name="Play").wait_for()  # it stops at the end
        assert sentence.inner_text() == explorer.alt(seeds=values["seeds"][-1])


def answers(exercise):
    """Right ones, near ones, misunderstood ones and plainly wrong ones."""
    match exercise.kind:
        case MultipleChoice(options=options):
            return [*options]
        case Number(value=value):
            wrong = [m.answer for m in exercise.misconceptions]
            near = [round(value, digits) for digits in (0, 1, 2, 3)]
            return [repr(float(x)) for x in (value, *near, *wrong, value * 1.004, value + 17.25)]
    return []


@needs_browser
@pytest.mark.browser
def test_the_page_judges_as_the_course_does(tmp_path, browser):
    told = {id: e for id, e in EXERCISES.items() if not isinstance(e.kind, Function)}
    assert {type(e.kind) for e in told.values()} == {Number, MultipleChoice}
    script = (Path(site.__file__).parent / "page.js").read_text()
    body = "".join(pages.asked(exercise) for exercise in EXERCISES.values())
    file = tmp_path / "exercises.html"
    file.write_text(f'<meta charset="utf-8"><script>{script}</script>{body}')
    with site_browser.offline(browser) as page:
        page.goto(file.as_uri())
        functions = [e for e in EXERCISES if e not in told]
        assert page.locator("section:not(:has(form))").count() == len(functions) > 0
        given = [(id, answer) for id, exercise in told.items() for answer in answers(exercise)]
        for (id, answer), reply in zip(given, page.evaluate(ANSWER, given), strict=True):
            passed, message = told[id].judge(answer)
            assert reply == f"{'Right.' if passed else 'Not yet.'} {message}", (id, answer)


ANSWER = """
(given) => given.map(([id, answer]) => {
  const section = document.getElementById(id), field = section.querySelector("input[type=text]");
  if (field) field.value = answer;
  else section.querySelector(`input[value="${answer}"]`).checked = true;
  section.querySelector("form").requestSubmit();
  return section.querySelector("[role=status]").textContent;
})
"""


class Links(HTMLParser):
    """Where the links of a page lead, and what it loads."""

    def __init__(self, file):
        super().__init__()
        self.links, self.loads, self.ids = [], [], set()
        self.feed(file.read_text())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids.add(found.get("id"))
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        for name in ("src", "data", "poster"):
            self.loads += [found[name]] if found.get(name) else []
        if tag == "link":
            self.loads.append(found["href"])


def test_links_lead_to_what_is_there_and_nothing_is_loaded_from_elsewhere(made):
    folder = made[0]
    files = {file: Links(file) for file in folder.rglob("*.html")}
    assert {file.parent.name for file in files} > {folder.name, "results"}  # pages of the library
    for file, page in files.items():
        for link in page.links:
            if not re.match("https?:", link):
                path, _, part = link.partition("#")
                target = (file.parent / path).resolve() if path else file
                assert target.is_file(), (file.name, link)
                assert not part or part in files[target].ids, (file.name, link)
        for name in page.loads:
            assert name.startswith("data:") or (file.parent / name).is_file(), (file.name, name)


def test_a_page_has_all_that_its_notebook_has(made):
    page = (made[0] / f"{NOTEBOOK}.html").read_text()
    cells = nbformat.read(ROOT / "notebooks" / f"{NOTEBOOK}.ipynb", as_version=4).cells
    outputs = [out for cell in cells if cell.cell_type == "code" for out in cell.outputs]
    pictures = [o for o in outputs if set(o.get("data", {})) == {"image/png", "text/plain"}]
    assert page.count('<div class="output"><img') == len(pictures) > 0
    assert page.count("<h2") == sum(cell.source.count("\n## ") for cell in cells) + sum(
        cell.source.startswith("## ") for cell in cells
    )
    assert page.count('class="exercise"') == sum("\ncheck(" in cell.source for cell in cells) > 0
    shown = [show for cell in cells if (show := pages.shows(cell.source))]
    assert page.count("data-explorer=") == len(shown)
    assert page.count("data-predict") == sum(show.asks for show in shown) > 0


@pytest.mark.parametrize("name", ["horizon", "flow", "support", "lock_network"])
def test_positions_are_ends_buttons_and_no_more_than_asked(name):
    explorer = EXPLORERS[name]
    found = grid.grid(explorer, [{}], 300)
    for control in explorer.controls:
        values = found[control.name]
        assert {*control.ends, control.start} <= {*values} <= {*control.values}
        assert values == sorted(values, key=control.values.index)
        for setting in explorer.named.values():
            assert setting.get(control.name, control.start) in values
    needed, more = (size(grid.grid(explorer, [{}], most)) for most in (1, 300))
    assert needed <= more <= max(300 * grid.LENIENT, needed)


def size(found):
    count = 1
    for values in found.values():
        count *= len(values)
    return count


def test_a_part_is_kept_once_for_what_it_depends_on():
    values = [f"{a}{c}" for a in "xy" for _ in range(3) for c in "pq"]
    assert grid._cell(values, [2, 3, 2]) == {"v": ["xp", "xq", "yp", "yq"], "d": [0, 2]}
    assert grid._cell([4] * 12, [2, 3, 2]) == {"v": [4]}
    assert grid._cell([1, 2, 1], [3]) == {"v": [1, 2], "d": [0], "n": [0, 1, 0]}


def test_without_notebooks_a_sentence_says_where_to_go(tmp_path):
    with pytest.raises(ConfigError, match="run this in the folder of the repository"):
        site.make(tmp_path / "out", tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"cells": 3}', '{"nbformat": 4}'])
def test_a_file_that_is_no_notebook_is_named(tmp_path, content):
    (tmp_path / f"{NOTEBOOK}.ipynb").write_text(content)
    with pytest.raises(DataError, match=f"{NOTEBOOK}.ipynb is no notebook that can be read"):
        site.make(tmp_path / "pages", tmp_path)


def test_a_text_that_is_not_there_is_named(tmp_path):
    shutil.copy(ROOT / "notebooks" / f"{NOTEBOOK}.ipynb", tmp_path)
    with pytest.raises(DataError, match=r"GUIDE\.md cannot be read"):
        site.make(tmp_path / "pages", tmp_path)


@pytest.mark.parametrize("given", [{"most": 0}, {"workers": -1}])
def test_numbers_that_mean_nothing_are_refused(tmp_path, given):
    with pytest.raises(ConfigError, match=next(iter(given))):
        site.make(tmp_path, ROOT / "notebooks", **given)


def test_data_are_the_same_every_time():
    first, second = (grid.packed("cube_paths", (), 1) for _ in range(2))
    assert first == second
