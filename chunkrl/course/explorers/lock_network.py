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
from chunkrl.tabular.chunk_length import critics, losses
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


TOLD = {1: 10_000, 2: 1_000, 4: 200, 5: 200, 8: 40}  # critics of `table_regret`: few are caught


def table_regret(setting: str, sigma: float | None = None) -> np.ndarray:
    """Mean regret of noisy tables in place of the networks of a setting.  -> [len(H)]

    Their noise is the networks' own entry error at each h (of all entries if all may be picked), or
    `sigma` at every h.
    """
    world, found = lock(lock_network.LENGTH, lock_network.SLIP), []
    for windows, candidates, h in SETTINGS[setting]:
        group = grouped()[windows, candidates, h]
        own = (group.error_logged if candidates else group.error_all).mean()
        proposing = {"candidates": candidates, "redrawn": True} if candidates else {}
        noise = own if sigma is None else sigma
        (part,) = losses(critics(world, h, TOLD[h], **proposing), [noise])
        found.append(part.regret.mean())
    return np.array(found)


REGRET, ENTRY, MEAN = plots.learned(1), plots.learned(2), plots.learned(3)
SEED = {**plots.learned(1), "markerfacecolor": "#F7D9C4", "markersize": 3.0, "markeredgewidth": 0.6}
TALLEST = 20.0  # reward: what lies above is counted, and drawn on a logarithmic scale
TICKS = (0, 5, 10, 15, 20, 40, 76)


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
        "real regret at the start",
    )
    entry.set_xlim(*SPAN)
    entry.set_xticks(PLACES)
    entry.set_ylim(0.0, 6.0)  # the largest of all settings is 5.4
    regret.set_xlim(*SPAN)
    regret.set_xticks(PLACES)
    regret.set_yscale("symlog", linthresh=TALLEST)
    regret.set_yticks(TICKS, map(str, TICKS))
    regret.minorticks_off()
    plots.key(
        entry,
        {
            "entry error, mean ± 2 s.e.": ENTRY,
            "regret: median, 95% interval": REGRET,
            "its mean": MEAN,
            "each network, sorted": SEED,
            "open-loop loss, exact": plots.EXACT,
        },
        loc="upper left",
    )
    return entry, regret


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
    rank = np.arange(1, len(scarce) + 1)
    small: dict[str, Any] = {"markersize": 4.0, "linestyle": "-", "linewidth": 0.8}
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
        plots.label(axes, "networks, each line sorted by its own regret", size, "")
        axes.set_xlim(0, len(scarce) + 1)
        axes.set_ylim(-2, 80)
        plots.key(axes, {name: style for name, (_, style) in logs.items()}, loc="upper left")
        return (axes,)

    def each(axes: tuple[Axes, ...]) -> None:
        for regret, style in logs.values():
            axes[0].plot(rank, np.sort(regret), **style)
        failed = [int((regret > TALLEST).sum()) for regret, _ in logs.values()]
        axes[0].hlines(TALLEST, 0, len(scarce) + 1, color=plots.BLACK, linewidth=0.6)
        title = "h = 1, above 20: {} of 64; with 48 presses more {}; with each button once {}"
        plots.headline(axes[0], title.format(*failed))

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
    middle = draw_regret(regret, numbers)
    top = regret.get_ylim()[1]
    for place, value in zip(PLACES.tolist(), middle, strict=True):
        regret.text(place, 0.91 * top, f"{value:.1f}", ha="center", fontsize=9)
    regret.text(0.55, 0.91 * top, "median", ha="right", fontsize=9)
    plots.headline(entry, _title(middle, centre))
    entry.text(0.0, 1.25, numbers.setting, transform=entry.transAxes, fontsize=9)


def _title(middle: np.ndarray, entry: np.ndarray) -> str:
    """Whether the medians of the regret have a left arm, and how the entry error grows."""
    least, first = int(middle.argmin()), f"{middle[0]:.1f} at h = {H[0]}"
    if least == 0 and (np.diff(middle) >= 0).all():
        told = f"No U in the median: {first}, {middle[-1]:.1f} at h = {H[-1]}"
    else:
        told = f"Lowest median {middle[least]:.1f} at h = {H[least]} ({first})"
    return f"{told}; entry error {entry[0]:.1f} to {entry[-1]:.1f}"


def draw_regret(regret: Axes, numbers: Numbers) -> np.ndarray:
    """What each network loses, side by side as sorted, and the medians, which are returned."""
    worst = max(each.max() for each in numbers.regret)
    regret.set_ylim(-0.6, 150.0 if worst > TALLEST else 1.3 * TALLEST)
    for place, each in zip(PLACES.tolist(), numbers.regret, strict=True):
        regret.plot(place + np.linspace(0.12, 0.50, len(each)), np.sort(each), **SEED)
        if more := int((each > TALLEST).sum()):
            regret.text(place + 0.3, 95.0, str(more), ha="center", fontsize=9)
    if worst > TALLEST:
        regret.text(0.60, 95.0, f"above {TALLEST:.0f}", ha="right", fontsize=8)
        scale = f"(above {TALLEST:.0f}: logarithmic)"
        regret.text(1.0, 1.05, scale, transform=regret.transAxes, ha="right", fontsize=9)
    middle = np.array([np.median(each) for each in numbers.regret])
    regret.plot(PLACES - 0.22, [each.mean() for each in numbers.regret], **MEAN)
    regret.errorbar(PLACES, middle, np.abs(numbers.interval.T - middle), **REGRET)
    regret.hlines(numbers.open_loop, PLACES - 0.45, PLACES + 0.45, **plots.EXACT)
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
