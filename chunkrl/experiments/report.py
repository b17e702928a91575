"""Learning curves: success and loss of every seed, live while training or from stored runs."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from chunkrl import command, disk, plots
from chunkrl.errors import ConfigError, TrainingError
from chunkrl.train import runs

Rows = list[dict]
LOSSES = {"td": "TD error, squared [reward$^2$]", "target": "target Q, mean [reward]"}


def spelled(method: str) -> str:
    """How the papers write it: "fql_n" is FQL-n."""
    name = method.upper().replace("_", "-")
    return name[:-1] + "n" if name.endswith("-N") else name


def summary(rows: Rows) -> str:
    """The last evaluation in words: each seed's success with its 95% interval."""
    evaluated = [row for row in rows if "success" in row]
    if not evaluated:
        return "not evaluated yet"
    step = evaluated[-1]["step"]
    last = [row for row in evaluated if row["step"] == step]
    return (
        f"{', '.join(map(runs.in_words, last))} after {step} updates ({last[0]['episodes']} "
        f"episodes a seed, 95% intervals), mean {runs.rate(np.mean([x['success'] for x in last]))}"
    )


def picture(methods: dict[str, Rows], title: str = "") -> plots.Picture:
    """Success with its 95% interval (a filled mark per seed), TD error and target Q, by updates.

    Of more than three methods the mean over seeds is shown, with a bar from the worst to the best.
    """
    figure = Figure(figsize=(9.0, 3.8), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    left, *losses = figure.subplots(1, 3, width_ratios=(3, 2, 2))
    many = len(methods) > 3
    for series, (name, rows) in enumerate(methods.items()):
        if many:
            _draw_spread(left, name, rows, series)
        else:
            _draw_success(left, name, rows, series, len(methods))
        for axes, metric in zip(losses, LOSSES, strict=True):
            _draw_metric(axes, metric, rows, series)
    success = "success rate, bar: worst to best seed" if many else "success rate"
    for axes, y in zip((left, *losses), (success, *LOSSES.values()), strict=True):
        axes.set_xlabel("updates")
        axes.locator_params(axis="x", nbins=5 if axes is left else 2)  # more would touch each other
        axes.set_ylabel(y)
        axes.spines[["top", "right"]].set_visible(False)
    left.set_ylim(-0.03, 1.03)
    left.set_xlim(0, None)
    left.set_title(title, loc="left", fontsize=10)
    if any(row.get("td", 0) > 0 for rows in methods.values() for row in rows):
        losses[0].set_yscale("log")
    if left.get_legend_handles_labels()[0]:
        figure.legend(
            *left.get_legend_handles_labels(),
            loc="outside upper right", ncols=len(methods), frameon=False, fontsize=9,
        )  # fmt: skip
    stream = io.BytesIO()
    canvas.print_png(stream)
    words = "; ".join(f"{name}: {summary(rows)}" for name, rows in methods.items())
    return plots.Picture(stream.getvalue(), f"Learning curves. {title} {words}.")


def _draw_metric(axes, metric: str, rows: Rows, series: int) -> None:
    for seed in {row["seed"] for row in rows}:
        mine = [(row["step"], row[metric]) for row in rows if row["seed"] == seed and metric in row]
        if mine:
            axes.plot(*zip(*mine, strict=True), **plots.reference(series), alpha=0.7)


def _draw_spread(axes, name: str, rows: Rows, series: int) -> None:
    played = [row for row in rows if "success" in row]
    if not played:
        return
    steps = sorted({row["step"] for row in played})
    # While training, the last evaluation may lack seeds.
    rates = [np.array([row["success"] for row in played if row["step"] == at]) for at in steps]
    mean = np.array([rate.mean() for rate in rates])
    spread = [mean - [rate.min() for rate in rates], [rate.max() for rate in rates] - mean]
    style = plots.learned(series) | {"linestyle": "-", "linewidth": 1.0, "elinewidth": 0.8}
    # Beside each other: evaluations at the same step would hide each other.
    at = np.array(steps) + 0.006 * series * steps[-1]
    axes.errorbar(at, mean, yerr=spread, **style, label=f"{name} ({len(rates[0])} seeds)")


def _draw_success(left, name: str, rows: Rows, series: int, methods: int) -> None:
    style = plots.learned(series)
    seeds = sorted({row["seed"] for row in rows})
    for i, seed in enumerate(seeds):
        mine = [row for row in rows if row["seed"] == seed]
        played = [row for row in mine if "success" in row]
        if not played:
            continue
        rate = np.array([row["success"] for row in played])
        low = rate - [row["success_low"] for row in played]
        high = [row["success_high"] for row in played] - rate
        steps = np.array([row["step"] for row in played], float)
        # Marks beside each other: seeds of one evaluation would hide each other.
        steps += (series * len(seeds) + i - (methods * len(seeds) - 1) / 2) * 0.006 * steps[-1]
        left.errorbar(
            steps,
            rate,
            yerr=(np.clip(low, 0, None), np.clip(high, 0, None)),
            **style | {"linestyle": "-", "linewidth": 0.5, "elinewidth": 0.8},
            label=f"{name} ({len(seeds)} seeds)" if i == 0 else None,
        )


class Live:
    """A picture that follows training: `live.log("QC-FQL")` is the `log` of `experiment.run`."""

    def __init__(self, title: str = ""):
        self.title = title
        self.methods: dict[str, Rows] = {}
        self._display = None

    def log(self, name: str) -> Callable[[int, dict], None]:
        """A callable that adds a row of metrics to the curves of `name`."""
        rows = self.methods.setdefault(name, [])

        def add(step: int, row: dict) -> None:
            rows.append(row)
            self.show()

        return add

    def show(self) -> None:
        """Display the picture, or replace it where it is shown already."""
        from IPython.display import display

        current = picture(self.methods, self.title)
        if self._display is None:
            self._display = display(current, display_id=True)
        else:
            self._display.update(current)


def main(
    file: Annotated[Path, tyro.conf.Positional],
    runs_of: Annotated[list[Path], tyro.conf.Positional, tyro.conf.arg(name="runs")],
) -> None:
    """Draw the success of stored RUNS into FILE (.png), with the numbers (.csv) and words (.md)."""
    if not runs_of:
        raise ConfigError("name the folders of one or more runs")
    methods: dict[str, Rows] = {}
    lines = []
    evaluations: list[dict] = []
    for folder in runs_of:
        config = runs.read_config(
            folder, ("method", "task", "preset", "seeds", "success_timing", "versions")
        )
        rows = runs.read_rows(folder)
        if not rows:
            raise TrainingError(f"{folder} has no {runs.METRICS} yet: train for longer")
        name = spelled(config["method"])
        methods[name] = rows
        seeds = " ".join(str(seed) for seed in config["seeds"])
        command = f"chunkrl train {config['method'].replace('_', '-')} --task {config['task']} "
        command += f"--preset {config['preset']} --seeds {seeds} --updates {rows[-1]['step']}"
        lines.append(
            f"- **{name}**: {summary(rows)}; {rows[-1]['seconds'] / 60:.0f} minutes for "
            f"{len(config['seeds'])} seeds together, success timing "
            f"{config['success_timing']!r}, versions "
            f"{', '.join(f'{k} {v}' for k, v in config['versions'].items())}. `{command}`"
        )
        evaluations += [{"method": name, **row} for row in rows if "success" in row]
    drawn = picture(methods, config["task"])
    disk.write(file, lambda out: out.write(drawn.png))
    runs.write_csv(file.with_suffix(".csv"), evaluations)
    text = f"![{drawn.alt}]({file.name})\n\nOur runs, not published ones:\n\n" + "\n".join(lines)
    disk.write(file.with_suffix(".md"), lambda out: out.write((text + "\n").encode()))


if __name__ == "__main__":
    command.run(main, "python -m chunkrl.experiments.report")
