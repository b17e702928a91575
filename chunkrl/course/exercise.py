"""Exercises as data: what is asked, and how an answer is read, judged and replied to."""

import copy
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np


class UnreadableError(Exception):
    """An answer that cannot be judged; its text is the sentence that the reader sees."""


@dataclass(frozen=True)
class Number:
    """One number, right within `tolerance` (absolute), or rounded to two digits or more.

    A tolerance below 1e-6 means a number that is counted or exact, which nobody rounds.
    """

    value: float
    tolerance: float
    unit: str = ""

    @property
    def right(self) -> float:
        return self.value

    def read(self, answer: Any) -> float:
        """The answer as a float: any kind of number, an array of one element, "17" or "50%"."""
        try:
            if isinstance(answer, str):
                text = answer.strip()
                percent = text.endswith("%")
                answer = float(text.rstrip("% ")) / (100 if percent else 1)
            array = np.asarray(answer)
            if array.dtype.kind not in "iuf" or array.size != 1:
                raise TypeError
            number = float(array.reshape(()))
        except (TypeError, ValueError):
            raise UnreadableError(
                f"This exercise takes one number, as in answer = 1.5; it got {_brief(answer)}."
            ) from None
        if not math.isfinite(number):
            raise UnreadableError(f"The answer is a finite number; it got {number}.")
        return number

    def same(self, a: float, b: float) -> bool:
        return abs(a - b) <= self.tolerance or (self.tolerance >= 1e-6 and _rounded(a, b))

    def like(self, a: float, b: float) -> bool:
        """Whether `a` is meant as the misconception `b`: within half a percent, as people round."""
        return abs(a - b) <= max(self.tolerance, 0.005 * abs(b))

    def wrong(self, answer: float) -> str:
        given = f"{answer:g} {self.unit}".rstrip()
        if self.tolerance < 1e-6:
            return f"{given} is not it; this one is judged exactly."
        return f"{given} is not it; it may be off by {self.tolerance:g}, or rounded to two digits."


@dataclass(frozen=True)
class MultipleChoice:
    """One of the keys of `options`, each with its text."""

    options: dict[str, str]
    value: str

    @property
    def right(self) -> str:
        return self.value

    def read(self, answer: Any) -> str:
        """The key that was chosen, whatever its case."""
        key = answer.strip(" .()\"'").lower() if isinstance(answer, str) else answer
        if key not in tuple(self.options):
            keys = ", ".join(repr(option) for option in self.options)
            raise UnreadableError(f"This exercise takes one of {keys}; it got {_brief(answer)}.")
        return key

    def same(self, a: str, b: str) -> bool:
        return a == b

    like = same

    def wrong(self, answer: str) -> str:
        return f"Not {answer!r}."


@dataclass(frozen=True)
class Function:
    """A function that agrees with `reference` on hidden inputs within a relative `tolerance`.

    `view` makes an array of what it returns, where that is none.  Inputs that take seconds to make
    are a function, called for the first answer.
    """

    reference: Callable[..., Any]
    inputs: tuple[tuple[Any, ...], ...] | Callable[[], tuple[tuple[Any, ...], ...]]
    tolerance: float = 1e-5
    view: Callable[[Any], Any] = np.asarray

    @cached_property
    def hidden(self) -> tuple[tuple[Any, ...], ...]:
        return self.inputs() if callable(self.inputs) else self.inputs

    @cached_property
    def right(self) -> list[np.ndarray]:
        return self.read(self.reference)

    def read(self, answer: Any) -> list[np.ndarray]:
        """What the function returns for every input; it gets copies, so it may change them."""
        if not callable(answer):
            raise UnreadableError(
                f"This exercise takes a function (without calling it); it got {_brief(answer)}."
            )
        return [self._call(answer, arguments) for arguments in self.hidden]

    def _call(self, answer: Callable[..., Any], arguments: tuple[Any, ...]) -> np.ndarray:
        called = f"Called with {self._named(arguments)}, the function"
        try:
            returned = answer(*copy.deepcopy(arguments))
        except Exception as error:  # the reader's code may raise anything
            raise UnreadableError(f"{called} raised {type(error).__name__}: {error}") from error
        if returned is None:
            raise UnreadableError(f"{called} returned None: does it end with a return?")
        try:
            array = np.asarray(self.view(returned), float)
        except (TypeError, ValueError, AttributeError):
            raise UnreadableError(f"{called} returned {_brief(returned)}, not numbers.") from None
        if not np.isfinite(array).all():
            raise UnreadableError(f"{called} returned {_brief(returned)}, which is not finite.")
        return array

    def _named(self, arguments: tuple[Any, ...]) -> str:
        names = inspect.signature(self.reference).parameters
        return ", ".join(f"{name}={_brief(x)}" for name, x in zip(names, arguments, strict=True))

    def same(self, a: list[np.ndarray], b: list[np.ndarray]) -> bool:
        return all(self._close(x, y) for x, y in zip(a, b, strict=True))

    like = same

    def _close(self, a: np.ndarray, b: np.ndarray) -> bool:
        return a.shape == b.shape and np.allclose(a, b, rtol=self.tolerance, atol=1e-8)

    def wrong(self, answer: list[np.ndarray]) -> str:
        for arguments, got, want in zip(self.hidden, answer, self.right, strict=True):
            where = f"For {self._named(arguments)}"
            if got.shape != want.shape:
                return f"{where} the shape is {got.shape}; it should be {want.shape}."
            if not self._close(got, want):
                return f"{where} it gives {_brief(got)}; it should be {_brief(want)}."
        raise AssertionError("a right answer was called wrong")


@dataclass(frozen=True)
class Misconception:
    """The answer that a misunderstanding leads to, and what to tell a reader who gives it."""

    answer: Any
    message: str


@dataclass(frozen=True)
class Exercise:
    """One question; `solution` is code that defines `answer`: readers see it, tests run it."""

    id: str
    objective: str
    question: str
    kind: Number | MultipleChoice | Function
    hints: tuple[str, str, str]  # a nudge, the formula, the shape of the code
    solution: str
    misconceptions: tuple[Misconception, ...]
    why: str = ""  # why the answer is right, and where it leads: for who has found it

    @property
    def reference(self) -> Callable[..., Any]:
        """The library's own function, where a function is asked for."""
        assert isinstance(self.kind, Function)
        return self.kind.reference

    def judge(self, answer: Any) -> tuple[bool, str]:
        """Whether the answer is right, and the sentence for the reader."""
        kind: Any = self.kind
        try:
            value = kind.read(answer)
        except UnreadableError as error:
            return False, str(error)
        if kind.same(value, kind.right):
            return True, f"{self.objective} {self.why}".strip()
        for misconception in self.misconceptions:
            if kind.like(value, kind.read(misconception.answer)):
                return False, misconception.message
        return False, kind.wrong(value)


def _rounded(given: float, value: float) -> bool:
    """Whether `given` is `value` to one decimal or more and at least two significant digits."""
    return any(
        round(given, decimals) == given
        and abs(value) * 10**decimals >= 10
        and abs(given - value) <= 0.5 * 10.0**-decimals * (1 + 1e-9)
        for decimals in range(1, 7)
    )


def _brief(value: Any) -> str:
    if callable(value):
        return "a function"
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return f"{value.item():.6g}"
    if isinstance(value, np.ndarray) and value.size <= 6:
        return np.array2string(value, precision=5, separator=", ")
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
