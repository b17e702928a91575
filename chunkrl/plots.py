"""Marks and colours of all figures: exact, estimated and learned never look alike."""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from PIL import Image

# Okabe and Ito (2008): distinguishable with every common colour blindness.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"

# Never by colour alone: each series also has its own marker and its own dashes.
SERIES: tuple[dict[str, Any], ...] = tuple(
    {"color": color, "marker": marker, "linestyle": dashes}
    for color, marker, dashes in (
        (BLUE, "o", (0, (5, 2))),
        (VERMILLION, "s", (0, (1, 1.2))),
        (GREEN, "^", (0, (6, 2, 1, 2))),
        (PURPLE, "D", (0, (3, 1, 1, 1, 1, 1))),
        (ORANGE, "v", (0, (8, 3))),
        (SKY, "P", (0, (2, 2))),
    )
)

EXACT: dict[str, Any] = {"color": BLACK, "linewidth": 1.5}
EXACT_BAR: dict[str, Any] = {"facecolor": "none", "edgecolor": BLACK, "linewidth": 1.5}


def estimated(series: int = 0) -> dict[str, Any]:
    """Keyword arguments of `Axes.plot` and `Axes.errorbar` for an estimate: an open marker."""
    style = SERIES[series]
    return {
        "color": style["color"],
        "marker": style["marker"],
        "markerfacecolor": "white",
        "markersize": 5.5,
        "linestyle": "none",
    }


def learned(series: int = 0) -> dict[str, Any]:
    """Keyword arguments of `Axes.plot` and `Axes.errorbar` for what is learned: a filled marker."""
    return estimated(series) | {"markerfacecolor": SERIES[series]["color"]}


def reference(series: int = 0) -> dict[str, Any]:
    """Keyword arguments of `Axes.plot` for a curve to compare with: coloured dashes, no marker."""
    style = SERIES[series]
    return {"color": style["color"], "linestyle": style["linestyle"], "linewidth": 1.6}


def label(axes: Axes, x: str, y: str, title: str = "") -> Axes:
    """Name both axes with their units, as in "error of V [reward]"; two spines, few ticks."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, loc="left", fontsize=10, y=1.02)
    axes.spines[["top", "right"]].set_visible(False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))  # ticks cost most of a redraw
    return axes


def key(axes: Axes, entries: dict[str, dict[str, Any]], **where: Any) -> None:
    """A legend from `{text: style}`, made once with the axes instead of at every slider move."""
    handles = [Line2D([], [], **style, label=text) for text, style in entries.items()]
    axes.legend(handles=handles, frameon=False, fontsize=9, **where)


MARK: dict[str, Any] = {"color": VERMILLION, "marker": "^", "markersize": 4.0, "linestyle": "none"}


def lock_strip(
    axes: Axes, fill: Sequence[float] | np.ndarray, top: float, marks: Iterable[int] = ()
) -> None:
    """The combination lock, start left and goal right, a box per cell.  [L] in [0, top].

    Darker cells have a larger value; a triangle stands under each cell counted in `marks` (steps to
    the goal). The x axis counts steps to the goal and so runs from L to 0.
    """
    values = np.asarray(fill, float)
    length = len(values)
    axes.imshow(
        values[None],
        extent=(0.5, length + 0.5, 0.0, 1.0),
        aspect="auto",
        cmap="Greys",
        vmin=0.0,
        vmax=1.2 * top,  # the darkest cell still shows its black outline
        interpolation="nearest",
    )
    if length <= 60:
        axes.vlines(np.arange(length + 1) + 0.5, 0.0, 1.0, color=BLACK, linewidth=0.6)
    axes.plot(
        [0.5, length + 0.5, length + 0.5, 0.5, 0.5], [0, 0, 1, 1, 0], color=BLACK, linewidth=1.2
    )
    marked = np.fromiter(marks, float)
    axes.plot(marked, np.full(len(marked), -0.35), clip_on=False, **MARK)
    axes.set_xlim(length + 0.5, -0.5)
    axes.set_ylim(-0.7, 1.0)


class Canvas:
    """One kept figure for many pictures, whose frame is redrawn only when a limit changes.

    `layout(figure)` makes the axes once; every `picture(draw)` calls `draw(axes)` on axes that hold
    no marks.  The frame costs most of a redraw, so this halves what a slider waits for.
    """

    def __init__(self, layout: Callable[[Figure], tuple[Axes, ...]]):
        self.figure = Figure(
            figsize=(8.0, 4.4), dpi=100
        )  # not pyplot's, so nothing leaks from a slider
        self._agg = FigureCanvasAgg(self.figure)
        self._axes = layout(self.figure)
        self._frame: Any = None
        self._background: Any = None

    def picture(self, draw: Callable[[tuple[Axes, ...]], None]) -> bytes:
        """PNG bytes of what `draw` adds, compressed lightly because a slider waits for them."""
        for axes in self._axes:
            for artist in _marks(axes):
                artist.remove()
            axes.containers.clear()
        draw(self._axes)
        marks = sorted(
            (artist for axes in self._axes for artist in _marks(axes)), key=Artist.get_zorder
        )
        self._draw_frame(marks)
        for artist in marks:
            self.figure.draw_artist(artist)
        stream = io.BytesIO()
        pixels = np.ascontiguousarray(np.asarray(self._agg.buffer_rgba())[..., :3])
        Image.fromarray(pixels).save(stream, "png", compress_level=1)
        return stream.getvalue()

    def _draw_frame(self, marks: Sequence[Artist]) -> None:
        frame = [
            (axes.get_xlim(), axes.get_ylim(), axes.get_title(loc="left")) for axes in self._axes
        ]
        if frame == self._frame:
            self._agg.restore_region(self._background)
            return
        for artist in marks:
            artist.set_visible(False)
        self._agg.draw()
        self._frame, self._background = frame, self._agg.copy_from_bbox(self.figure.bbox)
        for artist in marks:
            artist.set_visible(True)


def _marks(axes: Axes) -> list[Artist]:
    return [*axes.images, *axes.collections, *axes.patches, *axes.lines, *axes.texts]


def nice_top(value: float) -> float:
    """The first round number from `value`: an axis limit that seldom changes."""
    if value <= 0.0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(
        next(step * power for step in (1, 1.5, 2, 3, 4, 5, 7, 10) if step * power >= value)
    )


@dataclass(frozen=True)
class Picture:
    """A static figure with its alternative text, shown also where no kernel runs."""

    png: bytes
    alt: str

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"image/png": self.png, "text/plain": self.alt}, {"image/png": {"alt": self.alt}}

    def __repr__(self) -> str:
        return self.alt
