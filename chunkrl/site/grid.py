"""What a page holds of an explorer: its numbers and marks at some positions of its sliders.

The positions are a grid, so that every slider moves whatever the others say.  Of the picture, the
table and the sentence every part is kept once for each combination of the sliders that it depends
on, which is found by comparing, not declared.
"""

import base64
import gzip
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from chunkrl.course.controls import Slider, Value, shown
from chunkrl.course.explorer import Explorer
from chunkrl.course.explorers import EXPLORERS
from chunkrl.site.marks import HEIGHT, UNITS, Sketch

MOST = 160  # positions, unless those that must exist are more
PLAYED = 8  # positions that a slider that plays gets first, and for which there is more room:
LENIENT = 2
NUMBER = re.compile(r"(\d+(?:[.,]\d+)*)")

Grid = dict[str, list[Value]]


def grid(explorer: Explorer, opened: Iterable[Mapping[str, Value]] = (), most: int = MOST) -> Grid:
    """The positions of every slider: its ends, those of the buttons, and as many as find room.

    `opened` are settings in which a page shows the explorer.  More positions are added in the
    middle of the widest gap, as long as all combinations together are no more than `most`, or
    `LENIENT` times as many for the slider that plays.
    """
    needed = [explorer.setting(**s) for s in ({}, *explorer.named.values(), *opened)]
    kept: dict[str, list[int]] = {}
    for control in explorer.controls:
        ends = control.ends if isinstance(control, Slider) else control.values
        values = {*ends, *(setting[control.name] for setting in needed)}
        kept[control.name] = sorted(control.values.index(value) for value in values)  # type: ignore[arg-type]
    while True:
        size = np.prod([len(places) for places in kept.values()])
        gaps = []
        for control in explorer.controls:
            places = kept[control.name]
            more = size // len(places) * (len(places) + 1)
            plays = control.name == explorer.motion and len(places) < PLAYED
            room = more <= most or (plays and more <= LENIENT * most)
            widest = int(np.argmax(np.diff(places))) if len(places) > 1 else 0
            gap = places[widest + 1] - places[widest] if len(places) > 1 else 0
            if room and gap > 1:
                relative = plays + gap / (len(control.values) - 1)
                gaps.append((relative, control.name, places[widest] + gap // 2))
        if not gaps:
            break
        _, name, place = max(gaps)
        kept[name] = sorted([*kept[name], place])
    return {c.name: [c.values[place] for place in kept[c.name]] for c in explorer.controls}


def declaration(
    explorer: Explorer, opened: Sequence[Mapping[str, Value]] = (), most: int = MOST
) -> dict[str, Any]:
    """All that the player needs to show `explorer`, as JSON."""
    values = grid(explorer, opened, most)
    shape = [len(positions) for positions in values.values()]
    sketch = Sketch(explorer.layout)
    styles = _Styles()
    drawn, sentences, tables = [], [], []
    for setting in itertools.product(*values.values()):
        numbers = explorer.compute(**dict(zip(values, setting, strict=True)))
        frames, marks = sketch.marks(lambda axes, numbers=numbers: explorer.draw(axes, numbers))
        drawn.append([styles.apply(frames), styles.apply(marks)])
        sentences.append(NUMBER.split(explorer.describe(numbers)))
        header, rows = explorer.table(numbers)
        tables.append([[name, *map(shown, column)] for name, column in _columns(header, rows)])
    of_axes = lambda layer: [
        _merge([[one[layer][a] for one in drawn]], shape)[0] for a in range(len(sketch.axes))
    ]
    place = lambda setting: [values[name].index(value) for name, value in setting.items()]
    found: dict[str, Any] = {
        "name": explorer.name,
        "title": explorer.title,
        "controls": [
            {
                "name": control.name,
                "label": control.label,
                "kind": "range" if isinstance(control, Slider) else "menu",
                "all": len(control.values),
                "values": values[control.name],
            }
            for control in explorer.controls
        ],
        "start": place(explorer.setting()),
        "named": {
            name: place(explorer.setting(**changed)) for name, changed in explorer.named.items()
        },
        "motion": list(values).index(explorer.motion) if explorer.motion else None,
        "size": [sketch.figure.bbox.width, HEIGHT, UNITS],
        "boxes": [[round(side, 2) for side in box] for box in sketch.boxes],
        "fixed": _merge([[marks] for marks in styles.apply(sketch.fixed)], [1]),
        "frames": of_axes(0),
        "marks": of_axes(1),
        "alt": _list(sentences, shape),
        "table": [_list([_at(t, i) for t in tables], shape) for i in range(max(map(len, tables)))],
        "styles": styles.found,
    }
    if explorer.predict_first:
        found["predict"] = _question(explorer, sketch)
    return found


def packed(name: str, opened: Sequence[Mapping[str, Value]] = (), most: int = MOST) -> str:
    """All that a page needs to show the explorer of that name, as text that a script can hold."""
    return encoded(declaration(EXPLORERS[name], opened, most))


def encoded(declared: Mapping[str, Any]) -> str:
    """`declared` as text that a script can hold: JSON, gzip, base64."""
    text = json.dumps(declared, separators=(",", ":"), ensure_ascii=False)
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


class _Styles:
    """Styles by number, since few are many marks'."""

    def __init__(self) -> None:
        self.found: list[Any] = []
        self._numbers: dict[str, int] = {}

    def apply(self, axes: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
        return [[mark | {"s": self._number(mark["s"])} for mark in marks] for marks in axes]

    def _number(self, style: Any) -> int:
        key = json.dumps(style, sort_keys=True)
        if key not in self._numbers:
            self._numbers[key] = len(self.found)
            self.found.append(style)
        return self._numbers[key]


def _merge(layers: list[list[list[dict[str, Any]]]], shape: Sequence[int]) -> list[Any]:
    """For each layer, its marks over all positions: every key of every mark by itself."""
    merged = []
    for positions in layers:
        marks = []
        for i in range(max(map(len, positions))):
            each = [_at(one, i) or {} for one in positions]
            keys = sorted({key for mark in each for key in mark})
            marks.append({key: _cell([_packed(m, key) for m in each], shape) for key in keys})
        merged.append(marks)
    return merged


def _packed(mark: dict[str, Any], key: str) -> Any:
    return _steps(mark[key]) if key in ("x", "y") and key in mark else mark.get(key)


def _steps(numbers: Sequence[int | None]) -> list[int | None]:
    """Each number as its difference from the one before, which is short where lines are smooth."""
    last, found = 0, []
    for number in numbers:
        found.append(None if number is None else number - last)
        last = last if number is None else number
    return found


def _list(positions: Sequence[Sequence[str]], shape: Sequence[int]) -> list[Any]:
    """Texts of a list that may be longer at some positions, each by itself."""
    return [
        _cell([_at(one, i) for one in positions], shape) for i in range(max(map(len, positions)))
    ]


def _at(values: Sequence[Any], index: int) -> Any:
    return values[index] if index < len(values) else None


def _cell(values: Sequence[Any], shape: Sequence[int]) -> Any:
    """`values` at all positions, once for each combination of the sliders that they depend on.

    -> {"v": different values, "d": sliders, "n": which value where}, without what says nothing.
    """
    numbers: dict[str, int] = {}
    different: list[Any] = []
    ids = []
    for value in values:
        if (number := numbers.setdefault(repr(value), len(different))) == len(different):
            different.append(value)
        ids.append(number)
    if len(different) == 1:
        return {"v": different}
    table = np.array(ids).reshape(shape)
    for axis in range(table.ndim):
        first = table.take([0], axis)
        if (table == first).all():
            table = first
    found: dict[str, Any] = {"v": different, "d": [i for i, n in enumerate(table.shape) if n > 1]}
    flat = table.ravel().tolist()
    return found if flat == list(range(len(flat))) else found | {"n": flat}


def _columns(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[tuple[str, Any]]:
    for i, name in enumerate(header):
        yield name, [row[i] for row in rows]


def _question(explorer: Explorer, sketch: Sketch) -> dict[str, Any]:
    """The question put first, its answer, and where a guess is drawn."""
    predict = explorer.predict_first
    assert predict is not None
    numbers = explorer.numbers()
    truth = float(predict.answer(numbers))
    found = {
        "question": predict.question,
        "unit": predict.unit,
        "digits": predict.digits,
        "least": predict.least,
        "truth": truth,
    }
    if predict.mark is not None:
        found["line"] = _guessed(explorer, sketch, predict.mark, abs(truth) or 1.0)
    return found


def _guessed(
    explorer: Explorer, sketch: Sketch, mark: Callable[..., None], scale: float
) -> dict[str, Any]:
    """Where a guess is drawn as a line across axes: its place for two guesses, and what is between.

    Places go straight with the guess, or on a logarithmic axis with its logarithm.
    """

    def drawn(guess: float | None) -> list[list[dict[str, Any]]]:
        def both(axes: tuple[Axes, ...]) -> None:
            explorer.draw(axes, explorer.numbers())
            if guess is not None:
                mark(axes, guess)

        return sketch.marks(both)[1]

    plain = drawn(None)
    for factor in (16.0, 4.0, 1.0, 0.25):  # the farther apart, the less rounding matters
        guesses = [factor * scale, 2 * factor * scale, 4 * factor * scale]
        probes = [drawn(guess) for guess in guesses]
        (axes,) = [i for i, marks in enumerate(plain) if len(marks) < len(probes[0][i])]
        lines = [
            next(m for m in probe[axes] if m["k"] == "p" and m not in plain[axes])
            for probe in probes
        ]
        upright = lines[0]["x"][0] == lines[0]["x"][1]
        first, middle, last = (line["x" if upright else "y"][0] for line in lines)
        log = abs((last - middle) - (middle - first)) <= 2
        straight = abs((last - middle) - 2 * (middle - first)) <= 3
        if last != first and (log or straight):  # else one was drawn at an edge
            break
    return {
        "axes": axes,
        "upright": upright,
        "log": log,
        "guesses": [guesses[0], guesses[-1]],
        "places": [first, last],
    }


__all__ = ["MOST", "declaration", "encoded", "grid", "packed"]
