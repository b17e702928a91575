"""Answers by which the exercises are tested: one file for each notebook, by the exercise's name."""

from typing import Any, NamedTuple


class Answers(NamedTuple):
    """Code that defines a right `answer`, and answers that the tolerance must not let pass."""

    equivalents: tuple[str, ...]
    near_misses: tuple[Any, ...] = ()
