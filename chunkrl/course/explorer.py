"""One declaration gives a figure's live widget, static picture, table and test sweep."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Choice, Predict, Slider, Table, Value
from chunkrl.errors import ConfigError


@lru_cache(maxsize=512)
def computed(compute: Callable[..., Any], setting: tuple[tuple[str, Value], ...]) -> Any:
    """`compute(**setting)`, remembered: moving a slider back costs nothing."""
    return compute(**dict(setting))


@dataclass(frozen=True)
class Explorer:
    """A figure with sliders: numbers = compute(**setting); draw(layout(figure), numbers).

    `compute` is pure and its result is never modified.  `layout` makes the axes once (labels,
    legend); `draw` adds marks to axes that hold none and sets their limits.  `describe` turns the
    numbers into one sentence that says what the picture shows, and `table` into its data.  The
    start setting is the one that tells most; `named` holds others worth a button, such as a limit
    or a failure, each as what differs from the start.  `motion` names the slider that a play
    button moves through its positions.
    """

    name: str
    notebook: str
    title: str
    compute: Callable[..., Any]
    layout: Callable[[Figure], tuple[Axes, ...]]
    draw: Callable[[tuple[Axes, ...], Any], None]
    controls: tuple[Slider | Choice, ...]
    describe: Callable[[Any], str]
    table: Callable[[Any], Table]
    predict_first: Predict | None = None
    named: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    motion: str | None = None

    def setting(self, **params: Any) -> dict[str, Value]:
        """The start setting with `params` in place; what no control has raises ConfigError."""
        known = {control.name: control for control in self.controls}
        for name, value in params.items():
            if name not in known:
                raise ConfigError(f"{self.name} has no control {name!r}; it has {', '.join(known)}")
            if value not in known[name]:
                raise ConfigError(f"{self.name} takes {known[name]}, not {value!r}")
        return {name: params.get(name, control.start) for name, control in known.items()}

    def numbers(self, **params: Any) -> Any:
        """What is drawn, as numbers."""
        return computed(self.compute, tuple(self.setting(**params).items()))

    def png(self, **params: Any) -> bytes:
        """The static picture, for print and screens of twice the pixels."""
        numbers = self.numbers(**params)
        return plots.still(self.layout, lambda axes: self.draw(axes, numbers))

    def alt(self, **params: Any) -> str:
        """One sentence that says what the picture shows."""
        return self.describe(self.numbers(**params))

    def rows(self, **params: Any) -> Table:
        """The data of the picture: a header and rows."""
        return self.table(self.numbers(**params))

    def picture(self, **params: Any) -> plots.Picture:
        """The static figure with its alternative text."""
        return plots.Picture(self.png(**params), self.alt(**params))

    def code(self, setting: Mapping[str, Value]) -> str:
        """The line that shows this explorer at this setting."""
        inside = ", ".join(f"{name}={value!r}" for name, value in setting.items())
        return f'EXPLORERS["{self.name}"].show({inside})'

    def corners(self) -> Iterator[dict[str, Value]]:
        """Every combination of the ends of the sliders."""
        names = [control.name for control in self.controls]
        for values in itertools.product(*(control.ends for control in self.controls)):
            yield dict(zip(names, values, strict=True))

    def random(self, count: int, seed: int) -> Iterator[dict[str, Value]]:
        """`count` settings drawn uniformly from the positions of the controls."""
        rng = np.random.default_rng(seed)
        for _ in range(count):
            yield {c.name: c.values[rng.integers(len(c.values))] for c in self.controls}

    def show(self, **params: Any) -> Any:
        """The live widget, starting at `params`; an error of its first picture is raised."""
        from chunkrl.course.panel import Panel

        return Panel(self, self.setting(**params))

    def predict(self) -> Any:
        """The question, then the reader's guess against the truth, then the widget."""
        from chunkrl.course.panel import Question

        if self.predict_first is None:
            raise ConfigError(f"{self.name} asks for no prediction; use .show()")
        return Question(self, self.predict_first)
