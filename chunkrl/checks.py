"""Numbers that users give: taken whatever their type, or refused in a sentence."""

import operator
from typing import Any

import numpy as np

from chunkrl.errors import ConfigError


def whole(name: str, value: Any, least: int = 1) -> int:
    """`value` as an integer of at least `least`, also where it is NumPy's, or a float such as 1e6.

    Raises ConfigError, naming `name`, for anything else; True and False are no numbers.
    """
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value) if hasattr(value, "__index__") else int(value)
        if isinstance(value, str | bytes) or number != value:
            raise TypeError
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{name} = {value!r}: must be a whole number") from None
    if number < least:
        raise ConfigError(f"{name} = {number}: must be at least {least}")
    return number


def wholes(name: str, values: Any, least: int = 0) -> tuple[int, ...]:
    """A sequence of numbers for each of which `whole` holds.  Raises ConfigError."""
    try:
        if isinstance(values, str | bytes):
            raise TypeError
        return tuple(whole(name, value, least) for value in values)
    except TypeError:
        raise ConfigError(f"{name} = {values!r}: give a sequence of whole numbers") from None
