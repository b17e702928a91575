"""Notebook 10: models of one and of many steps, unrolled along real chunks of held-out logs."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import t as student

from chunkrl import plots
from chunkrl.errors import ConfigError
from chunkrl.results.model_drift import Rows

STILL = 0  # the chunk under which the error of predicting no motion is stored
QUANTITIES = {
    "mse": "mean squared error [normalised units]",
    "hand_cm": "error of the hand's position [cm]",
    "cube_cm": "error of the cube's position [cm]",
}


def curve(rows: Rows, chunk: int, quantity: str = "mse") -> np.ndarray:
    """Step, mean over seeds, half width of its 95% interval (Student's t).  -> [K, 3]

    One seed has no interval: its half width is 0.
    """
    mine = [row for row in rows if row["chunk"] == chunk]
    if not mine:
        raise ConfigError(f"there is no measurement of chunks of {chunk}")
    found = []
    for step in sorted({row["step"] for row in mine}):
        values = np.array([row[quantity] for row in mine if row["step"] == step])
        half = 0.0
        if len(values) > 1:
            spread = values.std(ddof=1) / np.sqrt(len(values))
            half = float(student.ppf(0.975, len(values) - 1)) * spread
        found.append((step, values.mean(), half))
    return np.array(found)


def chunks_of(rows: Rows) -> list[int]:
    """The chunk lengths that were trained."""
    return sorted({int(row["chunk"]) for row in rows} - {STILL})


def layout(figure: Figure, quantity: str) -> tuple[Axes, ...]:
    axes = plots.label(
        figure.add_axes((0.09, 0.13, 0.66, 0.70)),
        "environment steps imagined, fed the true actions",
        QUANTITIES[quantity],
    )
    axes.set_xlim(0, 104)
    axes.set_yscale("log")
    return (axes,)


def draw(axes: tuple[Axes, ...], rows: Rows, quantity: str) -> None:
    (panel,) = axes
    still = curve(rows, STILL, quantity)[1:]
    panel.plot(still[:, 0], still[:, 1], color=plots.BLACK, linewidth=1.2, linestyle=":")
    entries = {}
    for series, chunk in enumerate(chunks_of(rows)):
        step, mean, half = curve(rows, chunk, quantity)[1:].T
        shown = slice(4, None, 5) if chunk == 1 else slice(None)
        style = plots.learned(series)
        low = np.minimum(half, 0.9 * mean)  # an interval that reaches zero has no end on this axis
        panel.plot(step, mean, **plots.reference(series))
        panel.errorbar(step[shown], mean[shown], (low[shown], half[shown]), **style)
        name = "1 step a call" if chunk == 1 else f"{chunk} steps a call"
        entries[name] = style | plots.reference(series)
    entries["nothing moves"] = {"color": plots.BLACK, "linestyle": ":", "linewidth": 1.2}
    panel.legend(
        handles=[panel.plot([], [], **style)[0] for style in entries.values()],
        labels=list(entries),
        loc="center left",
        bbox_to_anchor=(1.02, 0.5),
        frameon=False,
        fontsize=10,
        title="learned",
    )
    last = {chunk: curve(rows, chunk, quantity)[-1, 1] for chunk in chunks_of(rows)}
    best = min(last, key=lambda chunk: last[chunk])
    unit = " cm" if quantity.endswith("cm") else ""
    first = chunks_of(rows)[0]
    plots.headline(
        panel,
        f"after 100 steps off by {_short(last[first])}{unit} with calls of {first} step, "
        f"by {_short(last[best])}{unit} with {best} steps",
    )


def describe(rows: Rows, quantity: str = "mse") -> str:
    parts = []
    for chunk in chunks_of(rows):
        step, mean, half = curve(rows, chunk, quantity)[-1]
        seeds = len({row["seed"] for row in rows if row["chunk"] == chunk})
        parts.append(f"{chunk}: {_short(mean)} plus or minus {_short(half)} ({seeds} seeds)")
    still = curve(rows, STILL, quantity)[-1, 1]
    return (
        f"Learned models of a cube task, unrolled for {step:.0f} steps along held-out logs: "
        f"{QUANTITIES[quantity]} at the end by steps per call: {'; '.join(parts)}. Predicting that "
        f"nothing moves is off by {_short(still)}."
    )


def _short(value: float) -> str:
    return f"{value:.2g}" if value < 100 else f"{value:.0f}"


def picture(rows: Rows, quantity: str = "mse") -> plots.Picture:
    """Errors by steps imagined, one curve for each chunk length, with intervals over seeds."""
    canvas = plots.Canvas(lambda figure: layout(figure, quantity))
    png = canvas.picture(lambda axes: draw(axes, rows, quantity))
    return plots.Picture(png, describe(rows, quantity))
