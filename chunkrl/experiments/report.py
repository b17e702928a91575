"""Learning curves: success and loss of every seed, live while training or from stored runs."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from chunkrl import command, disk, plots
from chunkrl.errors import ConfigError, TrainingError
from chunkrl.train import runs

Rows = list[dict]
LOSSES = {"td": "TD error, squared [reward$^2$]", "target": "target Q, mean [reward]"}


# Names that are more than capitals.
SPELLED = {
    "fedit": "FEdit",
    "gcsacbc": "SAC+BC",
    "gcsacbc_n": "n-step SAC+BC",
}


def spelled(method: str) -> str:
    """How the papers write it: "fql_n" is FQL-n."""
    name = method.upper().replace("_", "-")
    return SPELLED.get(method, name[:-1] + "n" if name.endswith("-N") else name)


def summary(rows: Rows) -> str:
    """The last evaluation in words: each seed's success with its 95% interval."""
    steps = [row["step"] for row in rows if "success" in row]
    if not steps:
        return "not evaluated yet"
    last = [row for row in rows if row["step"] == steps[-1]]
    return (
        f"{', '.join(map(runs.in_words, last))} after {runs.after(last[0])} ({last[0]['episodes']} "
        f"episodes a seed, 95% intervals), mean {runs.rate(np.mean([x['success'] for x in last]))}"
    )


def picture(
    methods: dict[str, Rows], title: str = "", beside: dict[str, str] = LOSSES
) -> plots.Picture:
    """Success with its 95% interval (a filled mark per seed), TD error and target Q, by updates.

    Of more than three methods the mean over seeds is shown, with a bar from the worst to the best.
    `beside` names the metrics that are drawn beside success: of {} none.
    """
    width = 6.0 + 1.5 * len(beside)
    figure = Figure(figsize=(width, 3.8), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    ratios = (3, *(2 for _ in beside))
    left, *losses = figure.subplots(1, len(ratios), width_ratios=ratios, squeeze=False)[0]
    many = len(methods) > 3
    for series, (name, rows) in enumerate(methods.items()):
        style = plots.learned(series) | {"linestyle": "-", "elinewidth": 0.8}
        style |= {"linewidth": 1.0 if many else 0.5}
        seeds = sorted({row["seed"] for row in rows})
        curves = [_spread(rows)] if many else [_intervals(rows, seed) for seed in seeds]
        for i, curve in enumerate(filter(None, curves)):
            steps, rate, low, high = np.array(curve).T
            # Marks beside each other: those of one evaluation would hide each other.
            place = (series + 0.5 - len(methods) / 2) * len(curves) + i + 0.5 - len(curves) / 2
            steps += 0.006 * place * steps[-1]
            label = f"{name} ({len(seeds)} seed{'s' * (len(seeds) > 1)})" if i == 0 else None
            bar = np.clip((rate - low, high - rate), 0, None)
            left.errorbar(steps, rate, yerr=bar, **style, label=label)
        for axes, metric in zip(losses, beside, strict=True):
            for seed in seeds:
                mine = [(x["step"], x[metric]) for x in rows if x["seed"] == seed and metric in x]
                if mine:
                    axes.plot(*zip(*mine, strict=True), color=style["color"], alpha=0.7)
    acting = any("online" in row for rows in methods.values() for row in rows)
    success = "success rate, bar: worst to best seed" if many else "success rate"
    for axes, y in zip((left, *losses), (success, *beside.values()), strict=True):
        axes.set_xlabel("updates, then steps online" if acting else "updates")
        axes.locator_params(axis="x", nbins=5 if axes is left else 2)  # more would touch each other
        axes.set_ylabel(y)
        axes.spines[["top", "right"]].set_visible(False)
    left.set_ylim(-0.03, 1.03)
    left.yaxis.set_major_formatter(PercentFormatter(1.0))
    left.set_xlim(-0.02 * left.get_xlim()[1], None)  # a mark at 0 is seen whole
    left.set_title(title, loc="left", fontsize=10)
    for axes, metric in zip(losses, beside, strict=True):
        if metric == "td" and any(row.get(metric, 0) > 0 for x in methods.values() for row in x):
            axes.set_yscale("log")
    if left.get_legend_handles_labels()[0]:
        figure.legend(
            *left.get_legend_handles_labels(),
            loc="outside lower center", ncols=len(methods), frameon=False, fontsize=9,
        )  # fmt: skip
    stream = io.BytesIO()
    canvas.draw()
    plots.save_small(np.array(np.asarray(canvas.buffer_rgba())[..., :3]), stream)
    words = "; ".join(f"{name}: {summary(rows)}" for name, rows in methods.items())
    return plots.Picture(stream.getvalue(), f"Learning curves. {title} {words}.")


def _intervals(rows: Rows, seed: int) -> list[tuple[float, ...]]:
    """Steps, success and its 95% interval of one seed."""
    names = ("step", "success", "success_low", "success_high")
    mine = [row for row in rows if row["seed"] == seed and "success" in row]
    return [tuple(row[name] for name in names) for row in mine]


def _spread(rows: Rows) -> list[tuple[float, ...]]:
    """Steps, mean success of the seeds that were evaluated, that of the worst and the best."""
    played: dict[int, list[float]] = {}
    for row in rows:
        if "success" in row:
            played.setdefault(row["step"], []).append(row["success"])
    return [(step, np.mean(x), min(x), max(x)) for step, x in played.items()]  # pyright: ignore


class Live:
    """A picture that follows training: `live.log("QC-FQL")` is the `log` of `experiment.run`.

    `beside` as in `picture`.
    """

    def __init__(self, title: str = "", beside: dict[str, str] = LOSSES):
        self.title, self.beside = title, beside
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

        current = picture(self.methods, self.title, self.beside)
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
    words, evaluations, config = "", [], {}
    for folder in runs_of:
        config = runs.read_config(
            folder, ("method", "task", "preset", "seeds", "success_timing", "versions")
        )
        rows = runs.read_rows(folder)
        if not rows:
            raise TrainingError(f"{folder} has no {runs.METRICS} yet: train for longer")
        online = rows[-1].get("online", 0)
        name, seeds = spelled(config["method"]), config["seeds"]
        methods[name] = rows
        evaluations += [{"method": name, **row} for row in rows if "success" in row]
        words += (
            f"- **{name}**: {summary(rows)}; {rows[-1]['seconds'] / 60:.0f} minutes for "
            f"{len(seeds)} seeds together, success timing {config['success_timing']!r}, versions "
            f"{', '.join(f'{k} {v}' for k, v in config['versions'].items())}. `chunkrl train "
            f"{config['method'].replace('_', '-')} --task {config['task']} --preset "
            f"{config['preset']} --seeds {' '.join(map(str, seeds))} --updates "
            f"{rows[-1]['step'] - online}{f' --online {online}' if online else ''}`\n"
        )
    drawn = picture(methods, config["task"])
    disk.write(file, lambda out: out.write(drawn.png))
    runs.write_csv(file.with_suffix(".csv"), evaluations)
    text = f"![{drawn.alt}]({file.name})\n\nOur runs, not published ones:\n\n{words}"
    disk.write(file.with_suffix(".md"), lambda out: out.write(text.encode()))


if __name__ == "__main__":
    command.run(main, "python -m chunkrl.experiments.report")
