"""What moves a figure: sliders, choices and the question put before it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

Value = int | float | str
Table = tuple[Sequence[str], Sequence[Sequence[Any]]]  # header, rows


def shown(cell: Any) -> str:
    """A cell of a table as readers see it."""
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


@dataclass(frozen=True)
class Slider:
    """A number between `low` and `high` in steps of `step`; whole numbers when all of these are."""

    name: str
    label: str  # with its symbol, as in "backup length h [steps]"
    low: float
    high: float
    step: float
    start: float

    @property
    def whole(self) -> bool:
        return all(isinstance(x, int) for x in (self.low, self.high, self.step, self.start))

    @property
    def values(self) -> list[float]:
        """Every position of the slider."""
        count = round((self.high - self.low) / self.step) + 1
        return [
            self.low + i * self.step if self.whole else round(self.low + i * self.step, 10)
            for i in range(count)
        ]

    @property
    def ends(self) -> tuple[Value, ...]:
        return self.low, self.high

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer)):
            return False
        number = float(value)
        return self.low <= number <= self.high and not (self.whole and isinstance(value, float))

    def __str__(self) -> str:
        return f"{self.name} from {self.low} to {self.high}"


@dataclass(frozen=True)
class Choice:
    """One of a few named options."""

    name: str
    label: str
    options: tuple[str, ...]
    start: str

    @property
    def values(self) -> list[str]:
        return list(self.options)

    @property
    def ends(self) -> tuple[Value, ...]:
        return self.options

    def __contains__(self, value: object) -> bool:
        return value in self.options

    def __str__(self) -> str:
        return f"{self.name} out of {', '.join(self.options)}"


@dataclass(frozen=True)
class Predict:
    """A question put before the picture; `answer(numbers)` at the start setting is the truth."""

    question: str
    unit: str
    answer: Callable[[Any], float]
    digits: int = 2
    least: float | None = None  # no guess can be lower, as below 0 for a distance
    # Draws the guess over the picture at the start setting, where it can be read off an axis.
    mark: Callable[[tuple[Axes, ...], float], None] | None = None
