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
from matplotlib.transforms import ScaledTranslation
from PIL import Image

# Okabe and Ito (2008): distinguishable with every common colour blindness.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"

# Never by colour alone: each series also has its own marker and its own dashes.
COLORS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
DASHES = ((5, 2), (1, 1.2), (6, 2, 1, 2), (3, 1, 1, 1, 1, 1), (8, 3), (2, 2))
SERIES: tuple[dict[str, Any], ...] = tuple(
    {"color": color, "marker": marker, "linestyle": (0, dashes)}
    for color, marker, dashes in zip(COLORS, "os^DvP", DASHES, strict=True)
)

EXACT: dict[str, Any] = {"color": BLACK, "linewidth": 1.5}
EXACT_BAR: dict[str, Any] = {"facecolor": "none", "edgecolor": BLACK, "linewidth": 1.5}


def estimated(series: int = 0) -> dict[str, Any]:
    """Keyword arguments of `Axes.plot` and `Axes.errorbar` for an estimate: an open marker."""
    open_marker = {"markerfacecolor": "white", "markersize": 5.5, "linestyle": "none"}
    return SERIES[series] | open_marker


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
    # Places of their own: a label that follows its tick labels must be drawn again with them.
    axes.xaxis.set_label_coords(0.5, 0.0, _beside(axes, down=22))
    axes.yaxis.set_label_coords(0.0, 0.5, _beside(axes, left=30))
    _figure(axes).text(0.0, 1.04, title, transform=axes.transAxes, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.patch.set_visible(False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    return axes


def key(axes: Axes, entries: dict[str, dict[str, Any]], loc: Any) -> None:
    """A legend inside `axes` from `{text: style}`, made once and not at every slider move."""
    handles = [Line2D([], [], **style, label=text) for text, style in entries.items()]
    inside = {"bbox_to_anchor": (0.0, 0.0, 1.0, 1.0), "bbox_transform": axes.transAxes}
    _figure(axes).legend(handles=handles, loc=loc, frameon=False, fontsize=9, **inside)


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
    darkest = 1.2 * top  # still shows its black outline
    axes.imshow(
        values[None], extent=(0.5, length + 0.5, 0.0, 1.0), aspect="auto", cmap="Greys", vmin=0.0,
        vmax=darkest, interpolation="nearest",
    )  # fmt: skip
    if length <= 60:
        axes.vlines(np.arange(length + 1) + 0.5, 0.0, 1.0, color=BLACK, linewidth=0.6)
    x, y = [0.5, length + 0.5, length + 0.5, 0.5, 0.5], [0, 0, 1, 1, 0]
    axes.plot(x, y, color=BLACK, linewidth=1.2)
    marked = np.fromiter(marks, float)
    axes.plot(marked, np.full(len(marked), -0.35), clip_on=False, **MARK)
    axes.set_xlim(length + 0.5, -0.5)
    axes.set_ylim(-0.7, 1.0)


def headline(axes: Axes, text: str) -> None:
    """What the numbers say, over the picture, above `axes`; short, since each letter costs time."""
    axes.text(0.0, 1.0, text, transform=_beside(axes, down=-32), fontsize=12)


def side(axes: Axes, text: str) -> None:
    """The y label where it changes with the numbers; `label` is given none then."""
    turned = {"rotation": 90, "rotation_mode": "anchor", "ha": "center", "va": "bottom"}
    axes.text(0.0, 0.5, text, transform=_beside(axes, left=30), **turned)


def _figure(axes: Axes) -> Figure:
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure


def _beside(axes: Axes, left: float = 0.0, down: float = 0.0) -> Any:
    """The coordinates of `axes`, moved by so many points."""
    return axes.transAxes + ScaledTranslation(-left / 72, -down / 72, _figure(axes).dpi_scale_trans)


WIDTH = 800  # of a figure on a page [pixels]


def guess(axes: Axes, value: float, horizontal: bool = True) -> None:
    """The reader's guess as a dashed line across `axes`, at a height or at a place."""
    line = axes.axhline if horizontal else axes.axvline
    line(value, color=PURPLE, linestyle=(0, (2, 2)), linewidth=1.6)
    x, y = (1.0, value) if horizontal else (value, 1.0)
    where = axes.get_yaxis_transform() if horizontal else axes.get_xaxis_transform()
    axes.text(
        x, y, " your guess", transform=where, color=PURPLE, fontsize=9,
        ha="right" if horizontal else "left", va="bottom" if horizontal else "top",
    )  # fmt: skip


def save_small(pixels: np.ndarray, stream: io.BytesIO) -> None:
    """Write pixels [H, W, 3] as a PNG of 256 colours, which a page can hold many of."""
    small = Image.fromarray(pixels).quantize(256, dither=Image.Dither.NONE)
    small.save(stream, "png", optimize=True)


class Canvas:
    """One kept figure for many pictures, in three layers, because text is what a redraw costs.

    Fixed: labels, titles and legends, drawn once.  Frame: ticks, drawn when a limit changes.
    Marks: what `draw(axes)` adds to the axes of `layout(figure)`, which hold none before it.
    A `sharp` canvas has twice the pixels and few colours, for files; the other is for sliders.
    """

    def __init__(self, layout: Callable[[Figure], tuple[Axes, ...]], sharp: bool = False):
        self.sharp = sharp
        # Not pyplot's, so nothing leaks.
        self.figure = Figure(figsize=(WIDTH / 100, 4.4), dpi=200 if sharp else 100)
        self._agg = FigureCanvasAgg(self.figure)
        self._axes = layout(self.figure)
        self._fixed = self._draw_fixed()
        self._limits: Any = None
        self._frame: Any = None
        self._last: np.ndarray | None = None  # pixels of the last picture

    def picture(self, draw: Callable[[tuple[Axes, ...]], None], ghost: bool = False) -> bytes:
        """PNG bytes of what `draw` adds; with `ghost` over a faint copy of the last picture.

        The ghost is left out where a limit of an axis changed: its marks would lie.
        """
        for axes in self._axes:
            for artist in _marks(axes):
                artist.remove()
            axes.containers.clear()
        draw(self._axes)
        marks = [artist for axes in self._axes for artist in _marks(axes)]
        same_frame = self._draw_frame(marks)
        for artist in sorted(marks, key=Artist.get_zorder):
            self.figure.draw_artist(artist)
        pixels = np.array(np.asarray(self._agg.buffer_rgba())[..., :3])
        last, self._last = self._last, pixels
        if ghost and same_frame and last is not None:
            pixels = np.minimum(pixels, 255 - (255 - last) // 4)
        stream = io.BytesIO()
        if self.sharp:
            save_small(pixels, stream)
        else:  # compressed lightly, because a slider waits for it
            Image.fromarray(pixels).save(stream, "png", compress_level=1)
        return stream.getvalue()

    def _draw_fixed(self) -> Any:
        for axes in self._axes:
            axes.set_visible(False)
        self._agg.draw()
        for axes in self._axes:
            axes.set_visible(True)
            for axis in (axes.xaxis, axes.yaxis):
                if axes.axison:
                    self.figure.draw_artist(axis.label)
                axis.label.set_visible(False)
        return self._agg.copy_from_bbox(self.figure.bbox)

    def _draw_frame(self, marks: Sequence[Artist]) -> bool:
        """Restore or draw the ticks; whether all limits are those of the last picture."""
        limits = [(*axes.get_xlim(), *axes.get_ylim()) for axes in self._axes]
        if limits == self._limits:
            self._agg.restore_region(self._frame)
            return True
        self._agg.restore_region(self._fixed)
        for artist in marks:
            artist.set_visible(False)
        for axes in self._axes:
            self.figure.draw_artist(axes)
        for artist in marks:
            artist.set_visible(True)
        self._limits, self._frame = limits, self._agg.copy_from_bbox(self.figure.bbox)
        return False


def _marks(axes: Axes) -> list[Artist]:
    return [*axes.images, *axes.collections, *axes.patches, *axes.lines, *axes.texts]


def still(layout: Callable[[Figure], tuple[Axes, ...]], draw: Callable[..., None]) -> bytes:
    """PNG bytes of one picture, for a page or a file: see Canvas."""
    return Canvas(layout, sharp=True).picture(draw)


def nice_top(value: float) -> float:
    """The first round number from `value`: an axis limit that seldom changes."""
    if value <= 0.0:
        return 1.0
    steps = 10.0 ** np.floor(np.log10(value)) * np.array([1, 1.5, 2, 3, 4, 5, 7, 10])
    return float(steps[steps >= value][0])


@dataclass(frozen=True)
class Picture:
    """A static figure with its alternative text, shown also where no kernel runs."""

    png: bytes
    alt: str

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        shown = {"alt": self.alt, "width": WIDTH}
        return {"image/png": self.png, "text/plain": self.alt}, {"image/png": shown}

    def __repr__(self) -> str:
        return self.alt
