"""An experiment with one gap: it runs on the function a reader wrote, beside the library's own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.exercises import EXERCISES

YOURS: dict[str, Any] = plots.learned(1)  # the marks of the reader's numbers in every build
RINGS: dict[str, Any] = plots.estimated(0) | {"markersize": 9}  # of the library's, around them


def compare(
    axes: Sequence[Axes], x: Any, exact: Any, library: Any, yours: Any, ours: dict[str, Any] = RINGS
) -> None:
    """One curve in each of `axes`: exact, the library's and, unless None, the reader's."""
    for a, truth, found in zip(axes, exact, library, strict=True):
        a.plot(x, truth, **plots.EXACT)
        a.plot(x, found, **ours)
    if yours is not None:
        for a, found in zip(axes, yours, strict=True):
            a.plot(x, np.clip(found, *a.get_ylim()), **YOURS)


@dataclass(frozen=True)
class Build:
    """What the reader writes in the exercise "NN.write", put to use in the notebook's experiment.

    `run(function)` gives the numbers of the experiment with that function in the gap, and is never
    told whose it is; `draw(axes, library, yours)` shows both, `yours` being None until there is
    something; `describe` says in one sentence what is seen.
    """

    exercise: str
    run: Callable[[Callable[..., Any]], Any]
    layout: Callable[[Figure], tuple[Axes, ...]]
    draw: Callable[[tuple[Axes, ...], Any, Any], None]
    describe: Callable[[Any, Any], str]

    @cached_property
    def library(self) -> Any:
        """The numbers with the library's function in the gap."""
        return self.run(EXERCISES[self.exercise].reference)

    def picture(self, yours: Callable[..., Any] | Any = ...) -> plots.Picture:
        """The experiment with the library's function and, unless it is `...`, the reader's."""
        numbers = None if yours is ... else self.run(yours)
        png = plots.still(self.layout, lambda axes: self.draw(axes, self.library, numbers))
        sentence = self.describe(self.library, numbers)
        waiting = f' Yours is added once `yours` is set to your function ("{self.exercise}").'
        return plots.Picture(png, sentence + (waiting if numbers is None else ""))
