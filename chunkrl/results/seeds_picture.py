"""The picture that results over seeds share: every seed as a mark, beside their mean."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import NamedTuple

import numpy as np

from chunkrl import plots
from chunkrl.statistics import mean_interval


class Panel(NamedTuple):
    title: str
    below: str  # what the names along the axis are
    rates: Mapping[str, np.ndarray]  # name -> [S]   success of each seed
    marks: Sequence[int] = ()  # of each name; its place where there are none


def draw(*panels: Panel) -> bytes:
    """Each seed's success and, of two or more, the mean with Student's 95% interval.  -> png

    Four panels stand two by two.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = 2 if len(panels) % 2 == 0 else len(panels)
    rows = len(panels) // columns
    figure = Figure(figsize=(4.2 * columns, 3.2 * rows), dpi=150, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    every = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel in zip(every, panels, strict=True):
        marks = panel.marks or range(len(panel.rates))
        for place, (series, rates) in enumerate(zip(marks, panel.rates.values(), strict=True)):
            axes.plot(place - 0.3 + 0.1 * np.arange(len(rates)), rates, **plots.estimated(series))
            if len(rates) > 1:
                low, high = np.clip(mean_interval(rates), 0, 1)
                bars = [[rates.mean() - low], [high - rates.mean()]]
                mark = plots.learned(series) | {"markersize": 9}
                axes.errorbar(place + 0.2, rates.mean(), bars, **mark)
        axes.set_xticks(range(len(panel.rates)), list(panel.rates), fontsize=8)
        axes.set_title(panel.title, loc="left", fontsize=10)
        axes.set_xlabel(panel.below)
        axes.set_ylabel("success rate")
        axes.set_xlim(-0.6, len(panel.rates) - 0.4)
        axes.set_ylim(-0.03, 1.03)
        axes.spines[["top", "right"]].set_visible(False)
    stream = BytesIO()
    canvas.print_png(stream)
    return stream.getvalue()
