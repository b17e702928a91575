"""Exercises answered in place: `check`, `hint`, `solution`, and `progress` through the course."""

import difflib
import html
from dataclasses import dataclass
from typing import Any

from chunkrl.course import record
from chunkrl.course.exercise import Exercise
from chunkrl.course.outline import OUTLINE
from chunkrl.errors import ConfigError

__all__ = ["Note", "check", "hint", "progress", "solution", "written"]

HEADINGS = {True: "Right.", False: "Not yet.", None: "Not answered yet."}
COLOURS = {True: "#009E73", False: "#D55E00", None: "#56B4E9"}


@dataclass(frozen=True)
class Note:
    """Something told to the reader; `passed` is None unless an answer was judged."""

    heading: str
    text: str
    code: str = ""
    passed: bool | None = None

    def __repr__(self) -> str:
        return "\n".join(
            part for part in (f"{self.heading} {self.text}".strip(), self.code) if part
        )

    def _repr_markdown_(self) -> str:
        code = f"\n\n```python\n{self.code}\n```" if self.code else ""
        return f"**{self.heading}** {self.text}{code}"

    def _repr_html_(self) -> str:
        code = f"<pre>{html.escape(self.code)}</pre>" if self.code else ""
        text = html.escape(self.text).replace("\n", "<br>")
        style = f"border-left: 4px solid {COLOURS[self.passed]}; padding-left: 0.8em"
        return f'<div style="{style}"><b>{html.escape(self.heading)}</b> {text}{code}</div>'


def check(id: str, answer: Any) -> Note:
    """Judge an answer and note the attempt; `...` is not an answer and does not count."""
    exercise = _exercise(id)
    if answer is ...:
        return Note(HEADINGS[None], f'hint("{id}") gives a nudge.')
    passed, message = exercise.judge(answer)
    notice = record.attempt(id, passed)
    return Note(HEADINGS[passed], f"{message} {notice}".strip(), passed=passed)


def written(id: str, answer: Any) -> Any:
    """The reader's function where it is right, else the library's: so the next cells always run."""
    exercise = _exercise(id)
    right = answer is not ... and exercise.judge(answer)[0]
    return answer if right else exercise.reference


def hint(id: str, level: int = 1) -> Note:
    """Help with an exercise: 1 is a nudge, 2 the formula, 3 the shape of the code."""
    exercise = _exercise(id)
    if level not in (1, 2, 3):
        raise ConfigError(
            f"hints have level 1 (a nudge), 2 (the formula) or 3 (the code), not {level!r}"
        )
    notice = record.hint(id, level)
    text = exercise.hints[level - 1]
    heading = f"Hint {level} of 3."
    return (
        Note(heading, notice, code=text)
        if level == 3
        else Note(heading, f"{text} {notice}".strip())
    )


def solution(id: str) -> Note:
    """Code that answers an exercise."""
    return Note(f"Solution of {id}.", "", code=_exercise(id).solution)


def progress() -> Note:
    """The map of the course: what each notebook builds on, and what you have answered."""
    from chunkrl.course.exercises import EXERCISES

    kept, notice = record.load()
    lines = []
    for notebook in OUTLINE:
        ids = [id for id in EXERCISES if id.startswith(f"{notebook.number}.")]
        done = [id for id in ids if kept["exercises"].get(id, {}).get("passed")]
        score = f"{len(done)} of {len(ids)}" if ids else "-"
        needs = f"after {' and '.join(notebook.needs)}" if notebook.needs else "start here"
        title = notebook.title + (" (optional)" if notebook.optional else "")
        lines.append(f"{notebook.number}  {score:6}  {title:51}  {needs}")
    for name, entry in kept["guesses"].items():
        lines.append(f"You predicted {entry['guess']:g} for {name}; it is {entry['truth']:.4g}.")
    return Note("The course, with the exercises answered.", notice, code="\n".join(lines))


def _exercise(id: str) -> Exercise:
    from chunkrl.course.exercises import EXERCISES

    if id not in EXERCISES:
        near = difflib.get_close_matches(str(id), EXERCISES, n=3, cutoff=0.0)
        raise ConfigError(f"there is no exercise {id!r}; near to it: {', '.join(near)}")
    return EXERCISES[id]
