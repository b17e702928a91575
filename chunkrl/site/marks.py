"""Figures as marks: what Matplotlib would paint, as numbers that a page can draw by itself.

A mark is a dictionary.  `k` says what it is: `p` a path, `m` markers at points, `t` a text, `i` an
array of coloured cells.  `s` is its style.  Coordinates are whole numbers, `UNITS` to a pixel of
the figure, from the lower left corner of its axes.  In `x` and `y` of paths and markers they
stretch with the axes; with an origin `o` (in thousandths of the axes) they are kept as they are,
as letters and legends are.  `None` in them lifts the pen.  What is `alone` is shown where axes
stand one under another.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import GraphicsContextBase, RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.path import Path
from matplotlib.text import Text

from chunkrl import plots
from chunkrl.errors import ConfigError

UNITS = 4  # to a pixel: finer than a screen shows
HEIGHT = 440  # of a figure [pixels]
DPI = 100
PIXELS = DPI / 72  # to a point
Mark = dict[str, Any]


class Recorder(RendererBase):
    """Takes down what artists paint, in pixels from the lower left corner of the figure."""

    def __init__(self, figure: Figure):
        super().__init__()
        self.marks: list[Mark] = []
        self.text: Text | None = None  # that is being painted, where Matplotlib does not tell
        agg = FigureCanvasAgg(figure).get_renderer()
        self._extent = lru_cache(maxsize=None)(agg.get_text_width_height_descent)

    def flipy(self) -> bool:
        return False

    def get_canvas_width_height(self) -> tuple[float, float]:
        return plots.WIDTH, HEIGHT

    def points_to_pixels(self, points: Any) -> Any:
        return points * PIXELS

    def get_text_width_height_descent(self, s: Any, prop: Any, ismath: Any) -> Any:
        return self._extent(s, prop, ismath)

    def draw_path(
        self, gc: GraphicsContextBase, path: Path, transform: Any, rgbFace: Any = None
    ) -> None:
        strokes = _strokes(path, transform)
        style = _style(gc, rgbFace)
        if not len(strokes) or not (style.get("stroke") or style.get("fill")):
            return
        last = self.marks[-1] if self.marks else None
        whole = len(style.get("stroke", "")) == 7 and "fill" not in style
        if whole and last and last["k"] == "p" and last["s"] == style:
            last["xy"] = np.concatenate([last["xy"], np.full((1, 2), np.nan), strokes])
        else:
            self.marks.append({"k": "p", "s": style, "xy": strokes})

    def draw_markers(
        self,
        gc: GraphicsContextBase,
        marker_path: Path,
        marker_trans: Any,
        path: Path,
        trans: Any,
        rgbFace: Any = None,
    ) -> None:
        points = trans.transform(path.vertices)
        points = points[np.isfinite(points).all(1)]
        shape = _strokes(marker_path, marker_trans)
        if len(points) and len(shape):
            style = _style(gc, rgbFace) | {"shape": np.round(UNITS * shape, 0)}
            style["shape"] = [_whole(style["shape"][:, i]) for i in (0, 1)]
            self.marks.append({"k": "m", "s": style, "xy": points})

    def draw_text(
        self,
        gc: GraphicsContextBase,
        x: float,
        y: float,
        s: str,
        prop: Any,
        angle: float,
        ismath: Any = False,
        mtext: Text | None = None,
    ) -> None:
        if ismath:
            super().draw_text(gc, x, y, s, prop, angle, ismath, mtext)
            return
        owner = mtext or self.text
        anchored = owner is not None and (angle == 0 or owner.get_rotation_mode() == "anchor")
        align = "left"
        if anchored:
            assert owner is not None
            at = owner.get_transform().transform(owner.get_unitless_position())
            along = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
            # On the line of the text, where it is aligned: letters of a browser differ in width.
            x, y = (x, y) + along * ((at - (x, y)) @ along)
            align = owner.get_horizontalalignment()
        style = {"size": round(self.points_to_pixels(prop.get_size_in_points()), 1)}
        style |= {"fill": _colour(gc.get_rgb())}
        style |= {"anchor": {"center": "middle", "right": "end"}[align]} if align != "left" else {}
        style |= {"angle": -round(angle)} if angle else {}
        style |= {"bold": 1} if prop.get_weight() in ("bold", 700) else {}
        self.marks.append({"k": "t", "s": style, "t": s.strip(), "xy": np.array([[x, y]])})

    def draw_image(
        self, gc: GraphicsContextBase, x: float, y: float, im: Any, transform: Any = None
    ) -> None:
        raise ConfigError("a figure has a picture outside of imshow, which no page can draw")

    def record(self, artists: Iterable[Artist]) -> list[Mark]:
        """The marks of `artists`, lowest first."""
        self.marks = []
        for artist in sorted(artists, key=Artist.get_zorder):
            self.text = artist if isinstance(artist, Text) else None
            if isinstance(artist, AxesImage):
                self.marks.append(_cells(artist))
            else:
                artist.draw(self)
        self.text = None
        marks, self.marks = self.marks, []
        return marks


class Sketch:
    """The marks of one explorer's figure: of its layout once, of its numbers at each position."""

    def __init__(self, layout: Callable[[Figure], tuple[Axes, ...]]):
        self.figure = Figure(figsize=(plots.WIDTH / DPI, HEIGHT / DPI), dpi=DPI)
        self.axes = layout(self.figure)
        self._recorder = Recorder(self.figure)
        self.boxes = [axes.get_window_extent().bounds for axes in self.axes]  # x, y, width, height
        self.fixed = self._fixed()
        self._frames: dict[Any, list[Mark]] = {}

    def marks(self, draw: Callable[[tuple[Axes, ...]], None]) -> tuple[list[Any], list[Any]]:
        """The frame (ticks) and the marks of each of the axes, where `draw` has drawn."""
        self._clear()
        for axes in self.axes:
            if not (axes.get_autoscalex_on() or axes.get_autoscaley_on()):
                # Data limits serve nothing but autoscaling, and cost more than the marks.
                axes._update_patch_limits = axes._update_line_limits = _ignored  # type: ignore[attr-defined]
        draw(self.axes)
        drawn = [_marks(axes) for axes in self.axes]
        frames = [self._frame(i, drawn[i]) for i in range(len(self.axes))]
        marks = [
            [_placed(mark, self.boxes[i]) for mark in self._recorder.record(artists)]
            for i, artists in enumerate(drawn)
        ]
        self._clear()
        return frames, marks

    def _clear(self) -> None:
        for axes in self.axes:
            for artist in _marks(axes):
                artist.remove()
            axes.containers.clear()

    def _frame(self, index: int, drawn: list[Artist]) -> list[Mark]:
        axes = self.axes[index]
        limits = (index, *axes.get_xlim(), *axes.get_ylim())
        if limits not in self._frames:
            for artist in drawn:
                artist.set_visible(False)
            frame = lambda: [_placed(m, self.boxes[index]) for m in self._recorder.record([axes])]
            marks = frame()
            if not axes.yaxis.get_tick_params().get("labelleft", True):
                # Its neighbour has the same numbers, but not where axes stand one under another.
                axes.tick_params(labelleft=True)
                marks += [mark | {"alone": 1} for mark in frame() if mark not in marks]
                axes.tick_params(labelleft=False)
            for artist in drawn:
                artist.set_visible(True)
            self._frames[limits] = marks
        return self._frames[limits]

    def _fixed(self) -> list[list[Mark]]:
        """Titles, labels and legends, each with the axes that they are nearest to."""
        found: list[list[Mark]] = [[] for _ in self.axes]
        for i, axes in enumerate(self.axes):
            for label in (axes.xaxis.label, axes.yaxis.label):
                if axes.axison:
                    found[i] += [_placed(m, self.boxes[i]) for m in self._recorder.record([label])]
                label.set_visible(False)
            legend = axes.get_legend()
            if legend is not None:
                found[i] += self._legend(legend, self.boxes[i])
                legend.set_visible(False)
        for artist in (*self.figure.texts, *self.figure.lines, *self.figure.patches):
            for mark in self._recorder.record([artist]):
                box = self._nearest(mark["xy"][0])
                found[box].append(_placed(mark, self.boxes[box]))
        for legend in self.figure.legends:
            place = legend.get_window_extent(self._recorder)
            box = self._nearest((place.x0 + place.width / 2, place.y0 + place.height / 2))
            found[box] += self._legend(legend, self.boxes[box])
        return found

    def _legend(self, legend: Legend, box: Any) -> list[Mark]:
        """Its marks keep their distances to the corner of the axes that it is nearest to."""
        place = legend.get_window_extent(self._recorder)
        x, y, width, height = box
        right = abs(place.x1 - x - width) < abs(place.x0 - x)
        top = abs(place.y1 - y - height) < abs(place.y0 - y)
        marks = self._recorder.record([legend])
        return [_placed(mark, box, (1000 * int(right), 1000 * int(top))) for mark in marks]

    def _nearest(self, point: Any) -> int:
        def distance(box: Any) -> float:
            x, y, width, height = box
            beyond = [max(x - point[0], 0, point[0] - x - width)]
            beyond += [max(y - point[1], 0, point[1] - y - height)]
            return float(np.hypot(*beyond))

        return min(range(len(self.boxes)), key=lambda i: distance(self.boxes[i]))


def _ignored(_: Artist) -> None:
    pass


def _marks(axes: Axes) -> list[Artist]:
    return [*axes.images, *axes.collections, *axes.patches, *axes.lines, *axes.texts]


def _strokes(path: Path, transform: Any) -> np.ndarray:
    """The corners of a path in pixels, with a row of NaN where the pen is lifted.  -> [N, 2]"""
    clean = path.cleaned(transform, remove_nans=True, curves=False)
    rows: list[Any] = []
    start = None
    for vertex, code in zip(np.asarray(clean.vertices), np.asarray(clean.codes), strict=True):
        if code == Path.STOP:
            break
        if code == Path.MOVETO:
            if rows:
                rows.append((np.nan, np.nan))
            start = vertex
        rows.append(start if code == Path.CLOSEPOLY else vertex)
    return np.array(rows, float).reshape(-1, 2)


def _colour(rgba: Any) -> str:
    text = to_hex(rgba, keep_alpha=True)
    return text[:7] if text.endswith("ff") else text


def _style(gc: GraphicsContextBase, face: Any) -> dict[str, Any]:
    style: dict[str, Any] = {}
    alpha = gc.get_alpha()
    shade = lambda c: (*c[:3], alpha if gc.get_forced_alpha() or len(c) < 4 else c[3])
    if face is not None and shade(face)[3] > 0:
        style["fill"] = _colour(shade(face))
    if gc.get_linewidth() > 0 and shade(gc.get_rgb())[3] > 0:
        style["stroke"] = _colour(shade(gc.get_rgb()))
        style["width"] = round(gc.get_linewidth() * PIXELS, 2)
        dashes: Any = gc.get_dashes()[1]
        if dashes is not None:
            style["dash"] = [round(float(d) * PIXELS, 1) for d in dashes]
    if gc.get_clip_rectangle() is not None:
        style["clip"] = 1
    return style


def _cells(image: AxesImage) -> Mark:
    """An image as its array: the colour of every cell, and the two corners."""
    array = np.asarray(image.get_array())
    if image.origin == "upper":
        array = array[::-1]  # rows from below, as all coordinates
    left, right, bottom, top = image.get_extent()
    corners = image.get_transform().transform([(left, bottom), (right, top)])
    colours = image.to_rgba(array, bytes=True, norm=True)[..., :3].astype(int)
    codes = (colours << [16, 8, 0]).sum(-1)
    palette, cells = np.unique(codes, return_inverse=True)
    return {
        "k": "i",
        "s": {"clip": 1},
        "n": array.shape[1],
        "c": [f"{code:06x}" for code in palette],
        "v": cells.ravel().tolist(),
        "xy": corners,
    }


def _whole(values: np.ndarray) -> list[int | None]:
    lifted = np.isnan(values)
    whole = np.where(lifted, 0, values).clip(-20_000, 20_000).astype(int).tolist()
    for i in np.flatnonzero(lifted):
        whole[i] = None
    return whole


def _placed(mark: Mark, box: Any, origin: tuple[int, int] | None = None) -> Mark:
    """`mark` with whole coordinates in the axes `box`; texts keep their distance to its edges."""
    x, y, width, height = box
    points = mark["xy"] - (x, y)
    if mark["k"] == "t" and origin is None:
        origin = tuple(
            round(1000 * float(np.clip(points[0, i] / side, 0, 1)))
            for i, side in enumerate((width, height))
        )  # type: ignore[assignment]
    placed = {key: value for key, value in mark.items() if key != "xy"}
    if origin is not None:
        points = points - np.array(origin) / 1000 * (width, height)
        placed["o"] = list(origin)
    steps = np.round(UNITS * points)
    return placed | {"x": _whole(steps[:, 0]), "y": _whole(steps[:, 1])}


__all__ = ["HEIGHT", "UNITS", "Mark", "Recorder", "Sketch"]
