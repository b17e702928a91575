"""Notebook 08: chunk lengths with small networks as critics, instead of noise in a table."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Choice, Predict, Table
from chunkrl.course.explorer import Explorer
from chunkrl.course.worlds.loops import caught
from chunkrl.results import lock_network
from chunkrl.statistics import bootstrap, mean_and_error
from chunkrl.tabular.chunks import chunked
from chunkrl.tabular.mdp import optimal
from chunkrl.tabular.worlds import lock

H = lock_network.LENGTHS


def named(count: int, candidates: int = 8, unit: str = "windows") -> str:
    """How a setting is called on the control."""
    return f"{count:,} {unit}, {f'N = {candidates}' if candidates else 'all chunks'}"


# name -> of each h: windows, candidates, h
SETTINGS = {
    named(presses, unit="presses"): [(presses // h, 8, h) for h in H]
    for presses in sorted(lock_network.PRESSES, reverse=True)
} | {named(*each): [(*each, h) for h in H] for each in lock_network.SETTINGS}
PLACES = np.array(H, float)
SPAN = (-0.9, max(H) + 0.8)  # of an axis with the word "median" at its left


class Numbers(NamedTuple):
    """One trained critic per seed; regret and errors by h as in `lock_network.LENGTHS`."""

    setting: str
    open_loop: np.ndarray  # [len(H)]   V* - V*_h at the start, exact
    regret: list[np.ndarray]  # len(H) x [seeds]   V* - true value of the greedy chunks
    claimed: list[np.ndarray]  # len(H) x [seeds]   claimed - true value
    entry: list[np.ndarray]  # len(H) x [seeds]   rms of Q - its exact backup, where the data are
    interval: np.ndarray  # [len(H), 2]   95% interval of the median regret


@cache
def open_loop() -> np.ndarray:
    """What the best chunks of each length lose by not looking."""
    mdp = lock(lock_network.LENGTH, lock_network.SLIP).mdp
    best = [optimal(chunked(mdp, h)).value[0] for h in H]
    return optimal(mdp).value[0] - np.array(best)


grouped = cache(lock_network.grouped)


def compute(setting: str) -> Numbers:
    """The committed runs of one setting."""
    regret, claimed, entry, _ = zip(*(grouped()[key] for key in SETTINGS[setting]), strict=True)
    interval = np.array([bootstrap(each) for each in regret])
    return Numbers(setting, open_loop(), [*regret], [*claimed], [*entry], interval)


COLUMNS = (
    "                            regret: median      mean               above never  entry error\n"
    "presses windows   N h nets  [95% interval]      [95% interval]        20  open logged  all"
)


def summary(*settings: str) -> str:
    """What networks lose, and how wrong their entries are, a line for each of `settings` and h."""
    world, lines = lock(lock_network.LENGTH, lock_network.SLIP), [COLUMNS]
    for windows, candidates, h in (key for name in settings for key in SETTINGS[name]):
        group = grouped()[windows, candidates, h]
        x, ends = group.regret, (bootstrap(group.regret), bootstrap(group.regret, np.mean))
        median, mean = (f"[{low:4.1f}, {high:4.1f}]" for low, high in ends)
        lines.append(
            f"{windows * h:7} {windows:7} {candidates or 'all':>3} {h} {len(x):4}  "
            f"{np.median(x):4.1f} {median}   {x.mean():4.1f} {mean}  {(x > 20).sum():5} "
            f"{caught(world, x).sum():5} {group.error_logged.mean():6.2f} "
            f"{group.error_all.mean():4.2f}"
        )
    return "\n".join(lines)


REGRET, ENTRY, MEAN = plots.learned(1), plots.learned(2), plots.learned(3)
SEED = {**plots.learned(1), "markersize": 2.5, "alpha": 0.5}
HIGH: dict[str, Any] = SEED | {"marker": "^", "markersize": 5.0, "alpha": 1.0}
TALLEST = 20.0  # reward: what lies above is drawn at the edge, and counted


def layout(figure: Figure) -> tuple[Axes, ...]:
    entry = plots.label(
        figure.add_axes((0.08, 0.13, 0.33, 0.66)),
        "chunk length h [steps]",
        "rms of Q - its exact backup [reward]",
        "error of one entry, where the data are",
    )
    regret = plots.label(
        figure.add_axes((0.52, 0.13, 0.46, 0.66)),
        "chunk length h [steps]",
        "V* - true value [reward]",
        f"real regret at the start, linear scale to {TALLEST:.0f}",
    )
    entry.set_xlim(*SPAN)
    entry.set_xticks(PLACES)
    entry.set_ylim(0.0, 10.0)
    _scale(regret)
    plots.key(
        entry,
        {
            "entry error, mean ± 2 s.e.": ENTRY,
            "regret: median, 95% interval": REGRET,
            "its mean": MEAN,
            "each network, sorted": SEED,
            f"above {TALLEST:.0f}": HIGH,
            "open-loop loss, exact": plots.EXACT,
        },
        loc="upper left",
    )
    return entry, regret


def _scale(regret: Axes) -> None:
    """A true axis of h, so that slopes can be compared, and room for the counts above."""
    regret.set_xlim(*SPAN)
    regret.set_xticks(PLACES)
    regret.set_ylim(-0.6, 1.30 * TALLEST)
    regret.set_yticks(range(0, 21, 5))


def two(figure: Figure) -> tuple[Axes, ...]:
    """The regret of each number of presses in PRESSES, the larger first."""
    panels = []
    for left, presses in zip((0.08, 0.57), sorted(lock_network.PRESSES, reverse=True), strict=True):
        title = f"{presses:,} presses: regret, linear scale to {TALLEST:.0f}"
        size = "V* - true value [reward]"
        axes = figure.add_axes((left, 0.13, 0.41, 0.66))
        panels.append(plots.label(axes, "chunk length h [steps]", size, title))
        _scale(axes)
    several = {"median, 95% interval": REGRET, "mean": MEAN, "each network, sorted": SEED}
    exact = {f"above {TALLEST:.0f}: so many, the worst": HIGH, "open-loop loss, exact": plots.EXACT}
    plots.key(panels[0], several | exact, loc="upper left")
    return tuple(panels)


def presses() -> plots.Picture:
    """As many logged presses for every h: many of them left, few right."""
    found = [
        LOCK_NETWORK.numbers(setting=name) for name in list(SETTINGS)[: len(lock_network.PRESSES)]
    ]

    def each(axes: tuple[Axes, ...]) -> None:
        for panel, numbers in zip(axes, found, strict=True):
            draw_regret(panel, numbers)
            draw_means(panel, numbers)
        plots.headline(axes[0], "Equal presses: longer chunks lose more; few presses leave a tail")

    return plots.Picture(plots.still(two, each), " ".join(map(describe, found)))


def controls() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Regret of the single actions of 300 presses, of 48 drawn ones more, of each button once."""
    drawn = lock_network.grouped(lock_network.DRAWN)[lock_network.COMPLETE]
    return grouped()[300, 8, 1].regret, drawn.regret, grouped()[lock_network.COMPLETE].regret


def failing() -> list[np.ndarray]:
    """Which networks of `controls` lose more than TALLEST, as ranks after the 300 presses."""
    scarce, drawn, complete = controls()
    rank = scarce.argsort().argsort() + 1
    return [np.sort(rank[regret > TALLEST]) for regret in (scarce, drawn, complete)]


def control() -> plots.Picture:
    """Single actions: 300 presses alone, with 48 more of the same kind, with each button once."""
    scarce, drawn, each_once = controls()
    order, rank = scarce.argsort(), np.arange(1, len(scarce) + 1)
    small = {"markersize": 3.2}
    logs: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
        "the 300 presses": (scarce, REGRET | small),
        f"and {lock_network.ADDED} more, drawn as the 300 were": (drawn, plots.learned(2) | small),
        f"and {lock_network.ADDED} more, each button once in each cell": (
            each_once,
            plots.learned(0) | small,
        ),
    }

    def one(figure: Figure) -> tuple[Axes, ...]:
        size = "V* - true value [reward]"
        axes = figure.add_axes((0.10, 0.14, 0.86, 0.64))
        plots.label(axes, "network, sorted by its regret after the 300 presses", size, "")
        axes.set_xlim(0, len(scarce) + 1)
        axes.set_ylim(-2, 80)
        plots.key(axes, {name: style for name, (_, style) in logs.items()}, loc="upper left")
        return (axes,)

    def each(axes: tuple[Axes, ...]) -> None:
        for aside, (regret, style) in zip((-0.3, 0.0, 0.3), logs.values(), strict=True):
            axes[0].plot(rank + aside, regret[order], **style)  # side by side: many are 0 in all
        title = (
            f"h = 1: mean regret {scarce.mean():.1f}; with 48 presses more {drawn.mean():.1f}; "
            f"with each button once {each_once.mean():.1f}"
        )
        plots.headline(axes[0], title)

    alt = "; ".join(
        f"{name}: {len(x)} networks of single actions lose {x.mean():.1f} in the mean, "
        f"{(x > TALLEST).sum()} of them more than {TALLEST:.0f}, the worst {x.max():.1f}"
        for name, (x, _) in logs.items()
    )
    return plots.Picture(plots.still(one, each), f"{alt}.")


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    entry, regret = axes
    centre, error = np.transpose([mean_and_error(each) for each in numbers.entry])
    entry.errorbar(PLACES, centre, 2 * error, **ENTRY)
    middle, mean = draw_regret(regret, numbers), draw_means(regret, numbers)
    for place, value in zip(PLACES.tolist(), middle, strict=True):
        regret.text(place, 1.24 * TALLEST, f"{value:.1f}", ha="center", fontsize=9)
    regret.text(0.55, 1.24 * TALLEST, "median", ha="right", fontsize=9)
    plots.headline(
        entry,
        f"{numbers.setting}: at h = {H[0]} and {H[1]} medians {middle[0]:.1f} and "
        f"{middle[1]:.1f}, means {mean[0]:.1f} and {mean[1]:.1f}",
    )


def draw_means(regret: Axes, numbers: Numbers) -> np.ndarray:
    """The mean regret of each h, where it is not above the scale; all are returned."""
    mean = np.array([each.mean() for each in numbers.regret])
    regret.plot(PLACES[mean <= TALLEST] - 0.22, mean[mean <= TALLEST], **MEAN)
    return mean


def draw_regret(regret: Axes, numbers: Numbers) -> np.ndarray:
    """What each network loses, and the medians, which are returned."""
    at = [p + np.linspace(0.12, 0.40, len(x)) for p, x in zip(PLACES, numbers.regret, strict=True)]
    beside, sizes = np.concatenate(at), np.concatenate([np.sort(x) for x in numbers.regret])
    low = sizes <= TALLEST
    regret.plot(beside[low], sizes[low], **SEED)
    regret.plot(beside[~low], np.full((~low).sum(), 1.03 * TALLEST), **HIGH)
    middle = np.array([np.median(each) for each in numbers.regret])
    off = np.abs(np.minimum(numbers.interval.T, 1.1 * TALLEST) - middle)
    seen = middle <= TALLEST
    regret.errorbar(PLACES[seen], middle[seen], off[:, seen], **REGRET)
    regret.hlines(numbers.open_loop, PLACES - 0.45, PLACES + 0.45, **plots.EXACT)
    for place, each in zip(PLACES.tolist(), numbers.regret, strict=True):
        if more := int((each > TALLEST).sum()):
            told = f"{more}\n{each.max():.0f}"
            regret.text(place + 0.26, 1.06 * TALLEST, told, ha="center", fontsize=9)
    if max(each.max() for each in numbers.regret) > TALLEST:
        told = f"above {TALLEST:.0f}\nworst"
        regret.text(0.82, 1.06 * TALLEST, told, ha="right", fontsize=8, linespacing=1.35)
    return middle


def describe(numbers: Numbers) -> str:
    middle, mean = np.transpose([(np.median(x), x.mean()) for x in numbers.regret])
    entry = [each.mean() for each in numbers.entry]
    regrets = ", ".join(
        f"{m:.1f} [{low:.1f}, {high:.1f}] at h = {h} (mean {average:.1f})"
        for h, m, (low, high), average in zip(H, middle, numbers.interval, mean, strict=True)
    )
    return (
        f"Networks trained on {numbers.setting}, slip {lock_network.SLIP}: median regret with its "
        f"95% interval {regrets}. The error of one entry grows from {entry[0]:.2f} at h = {H[0]} "
        f"to {entry[-1]:.2f} at h = {H[-1]}."
    )


def table(numbers: Numbers) -> Table:
    header = (
        "h", "open-loop loss", "median regret", "from", "to", "mean regret", "claimed - true",
        "entry error",
    )  # fmt: skip
    rows = zip(
        H,
        numbers.open_loop,
        map(np.median, numbers.regret),
        *numbers.interval.T,
        *(map(np.mean, each) for each in (numbers.regret, numbers.claimed, numbers.entry)),
        strict=True,
    )
    return header, list(rows)


LOCK_NETWORK = Explorer(
    name="lock_network",
    notebook="08",
    title="Which chunk length?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(Choice("setting", "logged data and choices", tuple(SETTINGS), next(iter(SETTINGS))),),
    describe=describe,
    table=table,
    predict_first=Predict(
        f"The table's noise was the same for every h. Networks now learn from "
        f"{max(lock_network.PRESSES):,} logged presses at every h. By what factor is an entry of a "
        "critic of chunks of 8 more wrong (weighted by the log) than one of single actions?",
        "times",
        lambda numbers: float(numbers.entry[-1].mean() / numbers.entry[0].mean()),
        digits=0,
    ),
    named={
        "An eighth of the data": {"setting": named(300, unit="presses")},
        "As many windows": {"setting": named(300)},
        "Free to choose anything": {"setting": named(3000, 0)},
    },
)
