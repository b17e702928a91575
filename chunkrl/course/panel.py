"""The live widget of an explorer, from core ipywidgets (>= 7.7) and nothing else."""

import base64
import html
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import ipywidgets as widgets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course import record
from chunkrl.course.controls import Choice, Predict, Slider, Table, Value, shown

# A stream of values, not released ones: a key press shows its picture as fast (63 against 65 ms,
# benchmarks/slider_latency.md), a drag shows the way, and ipywidgets drops what comes meanwhile.
STREAM = True

WIDTH = {"width": f"{plots.WIDTH}px", "max_width": "100%"}
FRAME_MS = 350  # between two positions of a slider that plays
# Pictures have a white ground; on a dark page they are turned over, and hues turned back.
STYLE = """<style>
[data-jp-theme-light="false"] .chunkrl-explorer img { filter: invert(0.93) hue-rotate(180deg) }
.chunkrl-explorer .widget-label { text-overflow: clip }
</style>"""


class Shown(Protocol):
    """What a panel asks of the explorer that it shows."""

    @property
    def name(self) -> str: ...
    @property
    def controls(self) -> tuple[Slider | Choice, ...]: ...
    @property
    def layout(self) -> Callable[[Figure], tuple[Axes, ...]]: ...
    @property
    def draw(self) -> Callable[[tuple[Axes, ...], Any], None]: ...
    def numbers(self, **params: Any) -> Any: ...
    def alt(self, **params: Any) -> str: ...
    def rows(self, **params: Any) -> Table: ...
    def png(self, **params: Any) -> bytes: ...
    def code(self, setting: Mapping[str, Value]) -> str: ...
    @property
    def named(self) -> Mapping[str, Mapping[str, Value]]: ...
    @property
    def motion(self) -> str | None: ...
    def setting(self, **params: Any) -> dict[str, Value]: ...


class Panel(widgets.VBox):
    """Sliders over one kept figure, its sentence, its data and its setting as code.

    The last picture stays faintly under the next one, where both have the same axes.  `mark` draws
    the reader's guess over the picture, at the start setting.
    """

    # ipywidgets 7 would show the bare widget; without this both versions use the bundle below.
    _ipython_display_ = None

    def __init__(
        self,
        explorer: Shown,
        setting: Mapping[str, Value],
        mark: Callable[[tuple[Axes, ...]], None] | None = None,
    ):
        self.explorer, self._mark = explorer, mark
        self._canvas = plots.Canvas(explorer.layout)
        self._moving = False
        aligned = {"description_width": f"{0.52 * max(len(c.label) for c in explorer.controls)}em"}
        self.controls = {c.name: _control(c, setting[c.name], aligned) for c in explorer.controls}
        self.image = widgets.Image(format="png", layout=WIDTH | {"height": "auto"})
        self.sentence, self.error, self.extra = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.buttons = {"Start": {}, **explorer.named}
        self.data = widgets.ToggleButton(description="Show the numbers", tooltip="As a table")
        self.code = widgets.ToggleButton(
            description="Copy these settings", tooltip="As a line of code", layout={"width": "auto"}
        )
        for control in (*self.controls.values(), self.code, self.data):
            control.observe(self._changed, "value")
        super().__init__(
            [
                widgets.HTML(STYLE),
                widgets.VBox(list(self.controls.values())),
                widgets.HBox([*self._play(), *self._named()], layout={"flex_flow": "row wrap"}),
                self.image,
                self.error,
                self.sentence,
                widgets.HBox([self.code, self.data]),
                self.extra,
            ]
        )
        self.add_class("chunkrl-explorer")
        self.error.add_class("chunkrl-error")
        self.redraw()

    def _named(self) -> list[widgets.Button]:
        buttons = []
        for name, changes in self.buttons.items():
            setting = self.explorer.setting(**changes)
            button = widgets.Button(
                description=name,
                tooltip=", ".join(f"{key} = {value}" for key, value in setting.items()),
                layout={"width": "auto"},
            )
            button.on_click(lambda _, setting=setting: self._move(setting))
            buttons.append(button)
        return buttons

    def _play(self) -> list[widgets.Widget]:
        """A play button that moves the slider of the explorer's motion."""
        if self.explorer.motion is None:
            return []
        moved = self.controls[self.explorer.motion]
        values = next(c.values for c in self.explorer.controls if c.name == self.explorer.motion)
        play = widgets.Play(min=0, max=len(values) - 1, value=0, interval=FRAME_MS)
        play.observe(lambda change: setattr(moved, "value", values[change["new"]]), "value")
        return [play]

    @property
    def setting(self) -> dict[str, Value]:
        """What the controls are set to."""
        # A float slider sends 0.30000000000000004 for 0.3.
        return {
            name: round(control.value, 10) if isinstance(control.value, float) else control.value
            for name, control in self.controls.items()
        }

    def redraw(self) -> None:
        """Draw the present setting; an error of the explorer is raised."""
        setting = self.setting
        numbers = self.explorer.numbers(**setting)

        def draw(axes: tuple[Axes, ...]) -> None:
            self.explorer.draw(axes, numbers)
            if self._mark and setting == self.explorer.setting():
                self._mark(axes)

        self.image.value = self._canvas.picture(draw, ghost=True)
        sentence = html.escape(self.explorer.alt(**setting))
        self.sentence.value = f'<p aria-live="polite">{sentence}</p>'
        parts = []
        if self.code.value:
            parts.append(_copied(self.explorer.code(setting)))
        if self.data.value:
            parts.append(_table(*self.explorer.rows(**setting)))
        self.extra.value = "".join(parts)

    def _changed(self, _: Any) -> None:
        """Redraw for a reader: what goes wrong is a sentence under the last good picture."""
        if self._moving:
            return
        try:
            self.redraw()
            self.error.value = ""
        except (
            Exception
        ) as error:  # shown, and raised in the test sweep, which calls compute and draw itself
            setting = ", ".join(f"{name} = {value}" for name, value in self.setting.items())
            self.error.value = _alert(
                f"No picture for {setting}: {type(error).__name__}: {error}. The picture above is "
                "the last good one."
            )

    def _move(self, setting: Mapping[str, Value]) -> None:
        """Set all controls at once, with one redraw."""
        self._moving = True
        for name, value in setting.items():
            self.controls[name].value = value
        self._moving = False
        self._changed(None)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget, and for readers without a kernel its picture and sentence."""
        alt = self.explorer.alt(**self.setting)
        data = _view(self, alt)
        data["image/png"] = base64.b64encode(self.explorer.png(**self.setting)).decode()
        return data, {"image/png": {"alt": alt, "width": plots.WIDTH}}


class Question(widgets.VBox):
    """Asks for a guess, records it, shows it against the truth, and then the explorer."""

    _ipython_display_ = None

    def __init__(self, explorer: Shown, predict: Predict):
        self.explorer, self.predict = explorer, predict
        self.guess = widgets.Text(
            description=f"My guess [{predict.unit}]",
            placeholder="a number",
            style={"description_width": "initial"},
        )
        self.button = widgets.Button(description="Record my guess", button_style="primary")
        self.skip = widgets.Button(description="Show me without a guess", layout={"width": "auto"})
        self.verdict = widgets.HTML()
        self.button.on_click(self._record)
        self.skip.on_click(lambda _: self.reveal(""))
        question = widgets.HTML(f"<p><b>Predict.</b> {html.escape(predict.question)}</p>")
        answer = widgets.HBox([self.guess, self.button, self.skip])
        self._asked = [question, answer, self.verdict]
        super().__init__(self._asked)
        self.add_class("chunkrl-question")

    def _record(self, _: Any) -> None:
        try:
            guess = float(self.guess.value.replace(",", "."))
            if not math.isfinite(guess):
                raise ValueError
        except ValueError:
            self.verdict.value = _alert("A guess is one number, for example 2.5.")
            return
        least = self.predict.least
        if least is not None and guess < least:
            self.verdict.value = _alert(f"This cannot be below {least:g}.")
            return
        truth = self.predict.answer(self.explorer.numbers())
        notice = record.guess(self.explorer.name, guess, truth)
        mark = self.predict.mark
        self.reveal(
            f"<p>{compare(guess, truth, self.predict)} {html.escape(notice)}</p>",
            mark and (lambda axes: mark(axes, guess)),
        )

    def reveal(self, verdict: str, mark: Callable[..., None] | None = None) -> None:
        """Show the explorer under `verdict`, with the guess drawn by `mark`."""
        self.button.disabled = self.skip.disabled = self.guess.disabled = True
        self.verdict.value = verdict
        self.children = [*self._asked, Panel(self.explorer, self.explorer.setting(), mark)]

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return _view(self, f"Predict. {self.predict.question} (Run this cell to record a guess.)")


def compare(guess: float, truth: float, predict: Predict) -> str:
    """The reader's guess beside the truth."""
    shown = round(truth, predict.digits)
    miss = guess - shown
    verdict = "right to the digits shown" if abs(miss) < 0.5 * 10**-predict.digits else (
        f"too {'high' if miss > 0 else 'low'} by {abs(miss):.{predict.digits}f}"
    )  # fmt: skip
    truth_text = f"<b>{shown:.{predict.digits}f}</b> [{html.escape(predict.unit)}]"
    return f"You said {guess:g}; it is {truth_text}: {verdict}."


def _control(control: Slider | Choice, value: Value, style: Mapping[str, str]) -> Any:
    if isinstance(control, Choice):
        return widgets.Dropdown(
            options=control.options,
            value=value,
            description=control.label,
            style=style,
            layout=WIDTH,
        )
    make: Callable[..., Any] = widgets.IntSlider if control.whole else widgets.FloatSlider
    decimals = {} if control.whole else {"readout_format": f".{_decimals(control.step)}f"}
    return make(
        value=value,
        min=control.low,
        max=control.high,
        step=control.step,
        description=control.label,
        continuous_update=STREAM,
        style=style,
        layout=WIDTH,
        **decimals,
    )


def _decimals(step: float) -> int:
    text = f"{step:.10f}".rstrip("0")
    return len(text) - text.index(".") - 1


def _table(header: Any, rows: Any) -> str:
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(shown(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    inside = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<table style="border-spacing: 1em 0">{inside}</table>'


def _copied(code: str) -> str:
    """`code`, with a button that puts it on the clipboard where the browser allows it."""
    copy = "navigator.clipboard.writeText(this.nextElementSibling.textContent)"
    button = f'<button class="jupyter-button" onclick="{copy}">Copy</button>'
    return f"<div>{button}<pre>{html.escape(code)}</pre></div>"


def _alert(sentence: str) -> str:
    return f'<p role="alert">{html.escape(sentence)}</p>'


def _view(widget: widgets.Widget, text: str) -> dict[str, Any]:
    model = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    return {"text/plain": text, "application/vnd.jupyter.widget-view+json": model}
