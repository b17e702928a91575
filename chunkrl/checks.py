"""Numbers that users give: taken whatever their type, or refused in a sentence."""

import math
from typing import Any

import numpy as np

from chunkrl.errors import ConfigError


def number(name: str, value: Any, whole: bool = False) -> Any:
    """`value`, of Python or NumPy, as a float or, if `whole` (1e6 is), an int.

    Raises ConfigError, naming `name`, for anything else; True and False are no numbers.
    """
    plain = value.item() if getattr(value, "ndim", None) == 0 else value
    if isinstance(plain, float) and whole and plain.is_integer():
        plain = int(plain)
    if isinstance(plain, bool) or not isinstance(plain, int if whole else (int, float)):
        what = "a whole number" if whole else "a number"
        raise ConfigError(f"{name} = {value!r}: must be {what}")
    return plain if whole else float(plain)


def whole(name: str, value: Any, least: float = 1) -> int:
    """`number` that is whole and at least `least`."""
    plain = number(name, value, whole=True)
    within(name, plain, least)
    return plain


def wholes(name: str, values: Any, least: float = 0) -> tuple[int, ...]:
    """A sequence of numbers for each of which `whole` holds.  Raises ConfigError."""
    if isinstance(values, str | bytes) or not np.iterable(values):
        raise ConfigError(f"{name} = {values!r}: give a sequence of whole numbers")
    return tuple(whole(name, value, least) for value in values)


def within(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Raise ConfigError unless `value` is finite and low <= value <= high."""
    if not low <= value <= high or math.isinf(value):
        end = f"at least {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"
        raise ConfigError(f"{name} = {value}: must be {end}")
