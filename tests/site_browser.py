"""Drives the pages of `chunkrl site` in headless Chromium, from disk and without a network."""

import random
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chunkrl.course.controls import shown
from chunkrl.course.explorer import Explorer

# Sets the sliders one by one; ms from each event to the end of the frame that shows its picture.
MOVE = """
async ([root, position]) => {
  const inputs = root.querySelectorAll(".control input, .control select"), waits = [];
  for (const [i, index] of position.entries()) {
    const input = inputs[i], menu = input.tagName === "SELECT";
    if ((menu ? input.selectedIndex : Number(input.value)) === index) continue;
    const start = performance.now();
    if (menu) input.selectedIndex = index; else input.value = index;
    input.dispatchEvent(new Event(menu ? "change" : "input", {bubbles: true}));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    waits.push(performance.now() - start);
  }
  const cells = [...root.querySelectorAll(".numbers tr")].map(
    (row) => [...row.children].map((cell) => cell.textContent));
  return {
    waits, cells,
    sentence: root.querySelector("figcaption").textContent,
    name: root.querySelector(".picture svg title").textContent,
    picture: root.querySelector(".picture svg .marks").outerHTML,
  };
}
"""


@contextmanager
def offline(browser: Any, width: int = 900) -> Iterator[Any]:
    """A page that reaches nothing and knows nothing; what it complains of raises at the end."""
    with browser.new_context(viewport={"width": width, "height": 900}, offline=True) as context:
        page, complaints = context.new_page(), []
        page.on("console", lambda m: m.type in ("error", "warning") and complaints.append(m.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"not there: {request.url}"))
        yield page
        assert complaints == []


def open_page(page: Any, file: Path) -> None:
    """Open a file from disk and wait for its figures."""
    page.goto(file.as_uri())
    page.wait_for_function(
        "[...document.querySelectorAll('figure[data-explorer]')].every(f => f.querySelector('svg'))"
    )


@dataclass
class Figure:
    """One explorer in a page, against the explorer that it was made of."""

    root: Any
    explorer: Explorer
    values: list[list[Any]]  # positions of each slider
    waits: list[float] = field(default_factory=list)

    def move(self, position: list[int]) -> dict[str, Any]:
        """Set the sliders and compare every number that is shown with `compute` there."""
        seen = self.root.evaluate(f"(root, p) => ({MOVE})([root, p])", position)
        self.waits += seen["waits"]
        setting = {
            control.name: values[index]
            for control, values, index in zip(
                self.explorer.controls, self.values, position, strict=True
            )
        }
        header, rows = self.explorer.rows(**setting)
        table = [[*header], *([shown(cell) for cell in row] for row in rows)]
        where = f"{self.explorer.name} at {setting}"
        assert seen["cells"] == table, where
        assert seen["sentence"] == seen["name"] == self.explorer.alt(**setting), where
        return seen

    def sweep(self, count: int) -> None:
        """Every slider to both ends, which changes the picture, and `count` random positions."""
        ends = [len(values) - 1 for values in self.values]
        self.root.get_by_role("button", name="Show the numbers").click()
        rng = random.Random(0)
        for i, end in enumerate(ends):
            position = [rng.randint(0, end) for end in ends]
            pictures = set()
            for _ in range(6):  # somewhere it may not matter, such as news of a wave that is past
                for index in (0, end):
                    position[i] = index
                    pictures.add(self.move(position)["picture"])
                if len(pictures) > 1:
                    break
                position = [rng.randint(0, end) for end in ends]
            assert len(pictures) > 1, f"{self.explorer.controls[i].name} changes no picture"
        for _ in range(count):
            self.move([rng.randint(0, end) for end in ends])

    @property
    def median(self) -> float:
        return statistics.median(self.waits)
