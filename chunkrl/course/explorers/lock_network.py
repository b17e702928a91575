"""Notebook 08: chunk lengths with small networks as critics, instead of noise in a table."""

from functools import cache
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Choice, Predict, Table
from chunkrl.course.explorer import Explorer
from chunkrl.course.explorers.chunk_length import bent
from chunkrl.course.worlds.loops import caught
from chunkrl.results import lock_network
from chunkrl.statistics import bootstrap, mean_and_error
from chunkrl.tabular.chunks import chunked
from chunkrl.tabular.mdp import optimal
from chunkrl.tabular.worlds import lock

H = lock_network.LENGTHS


def named(windows: int, candidates: int) -> str:
    """How a setting is called on the control."""
    return f"{windows} windows, {f'N = {candidates}' if candidates else 'all chunks'}"


SETTINGS = {named(*setting): setting for setting in lock_network.SETTINGS}
PLACES = np.arange(len(H))


class Numbers(NamedTuple):
    """One trained critic per seed; regret and errors by h as in `lock_network.LENGTHS`."""

    setting: str
    open_loop: np.ndarray  # [len(H)]   V* - V*_h at the start, exact
    regret: np.ndarray  # [len(H), seeds]   V* - true value of the greedy chunks
    bootstrap: np.ndarray  # [len(H), seeds]   claimed - true value
    entry: np.ndarray  # [len(H), seeds]   rms of Q - its exact backup, where the data are
    interval: np.ndarray  # [2, len(H)]   95% interval of the median regret


@cache
def open_loop() -> np.ndarray:
    """What the best chunks of each length lose by not looking."""
    mdp = lock(lock_network.LENGTH, lock_network.SLIP).mdp
    best = [optimal(chunked(mdp, h)).value[0] for h in H]
    return optimal(mdp).value[0] - np.array(best)


@cache
def results() -> dict[str, np.ndarray]:
    """Of each setting: regret, bootstrap and both entry errors.  [4, len(H), seeds]"""
    found = lock_network.grouped()
    return {
        name: np.stack([found[*setting, h] for h in H], axis=1)
        for name, setting in SETTINGS.items()
    }


def compute(setting: str) -> Numbers:
    """The committed runs of one setting."""
    regret, claimed, entry, _ = results()[setting]
    return Numbers(setting, open_loop(), regret, claimed, entry, bootstrap(regret))


def summary(choices: int | None = None) -> str:
    """What networks lose, and how wrong their entries are, a line for each setting and h.

    Only those whose critic chooses among so many samples, 0 for all chunks; None: all settings.
    """
    world, lines = lock(lock_network.LENGTH, lock_network.SLIP), [
        "windows    N  h  median [95% interval]   mean  above 20  caught  entry error: logged, all"
    ]  # fmt: skip
    for (windows, candidates, h), group in lock_network.grouped().items():
        if choices not in (None, candidates):
            continue
        x, (low, high) = group.regret, bootstrap(group.regret)
        lines.append(
            f"{windows:7} {candidates or 'all':>4} {h:2}  {np.median(x):6.1f} [{low:4.1f}, "
            f"{high:4.1f}] {x.mean():12.1f}  {(x > 20).sum():8}  {caught(world, x).sum():6}  "
            f"{group.error_logged.mean():19.2f} {group.error_all.mean():4.2f}"
        )
    return "\n".join(lines)


REGRET, ENTRY, MEAN = plots.learned(1), plots.learned(2), plots.learned(3)
SEED = {**plots.learned(1), "markersize": 2.5, "alpha": 0.5}


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
        "V* - true value [reward], log above 10",
        "real regret at the start",
    )
    for axes in (entry, regret):
        axes.set_xlim(-0.6, len(H) - 0.4)
        axes.set_xticks(PLACES, [str(h) for h in H])
    regret.set_xlim(-1.3, len(H) - 0.4)
    entry.set_ylim(0.0, 5.0)
    bent(regret, (0, 2, 4, 6, 8, 10, 20, 50, 100), -0.6)
    plots.key(
        entry,
        {
            "entry error, mean ± 2 s.e.": ENTRY,
            "regret: median, 95% interval": REGRET,
            "its mean": MEAN,
            "each network": SEED,
            "open-loop loss, exact": plots.EXACT,
        },
        loc="upper left",
    )
    return entry, regret


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    entry, regret = axes
    centre, error = mean_and_error(numbers.entry)
    entry.errorbar(PLACES, centre, 2 * error, **ENTRY)
    seeds = numbers.regret.shape[1]
    shift = np.linspace(0.12, 0.40, seeds)
    regret.plot((PLACES[:, None] + shift).ravel(), np.sort(numbers.regret).ravel(), **SEED)
    middle = np.median(numbers.regret, -1)
    regret.errorbar(PLACES, middle, np.abs(numbers.interval - middle), **REGRET)
    mean = numbers.regret.mean(-1)
    regret.plot(PLACES - 0.22, mean, **MEAN)
    regret.hlines(numbers.open_loop, PLACES - 0.45, PLACES + 0.45, **plots.EXACT)
    for place, value in zip(PLACES.tolist(), middle, strict=True):
        regret.text(place, 108.0, f"{value:.1f}", ha="center")
    regret.text(-0.48, 108.0, "median", ha="right", fontsize=9)
    plots.headline(
        entry,
        f"{numbers.setting}: at h = {H[0]} and {H[1]} medians {middle[0]:.1f} and "
        f"{middle[1]:.1f}, means {mean[0]:.1f} and {mean[1]:.1f}",
    )


def describe(numbers: Numbers) -> str:
    middle, mean = np.median(numbers.regret, -1), numbers.regret.mean(-1)
    entry = numbers.entry.mean(-1)
    regrets = ", ".join(
        f"{m:.1f} [{low:.1f}, {high:.1f}] at h = {h} (mean {average:.1f})"
        for h, m, (low, high), average in zip(H, middle, numbers.interval.T, mean, strict=True)
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
        np.median(numbers.regret, -1),
        *numbers.interval,
        numbers.regret.mean(-1),
        numbers.bootstrap.mean(-1),
        numbers.entry.mean(-1),
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
    controls=(
        Choice("setting", "logged windows and choices", tuple(SETTINGS), next(iter(SETTINGS))),
    ),
    describe=describe,
    table=table,
    predict_first=Predict(
        "The table's noise was the same for every h. Networks now learn from logged chunks, as "
        "many for every h. By what factor is an entry of a critic of chunks of 8 more wrong than "
        "one of single actions?",
        "times",
        lambda numbers: float(numbers.entry[-1].mean() / numbers.entry[0].mean()),
        digits=0,
    ),
    named={
        "Ten times the data": {"setting": named(3000, 8)},
        "Free to choose anything": {"setting": named(3000, 0)},
    },
)
