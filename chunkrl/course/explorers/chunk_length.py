"""Notebook 08: which chunk length costs least, and which of its three costs dominates."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.course.controls import Choice, Predict, Slider, Table
from chunkrl.course.explorer import Explorer
from chunkrl.course.worlds import codes
from chunkrl.results import chunk_grid

H = np.arange(1, chunk_grid.LONGEST + 1)
SIGMAS, SLIPS = chunk_grid.SIGMAS, chunk_grid.SLIPS


class Numbers(NamedTuple):
    """All at the start of the lock, by h = 1 ... LONGEST; means over critics unless exact."""

    length: int
    slip: float
    sigma: float
    choice: str
    h: int
    open_loop: np.ndarray  # V* - V*_h, exact
    missing: np.ndarray  # V*_h - the best of the proposed chunks
    picking: np.ndarray  # that - the chunks that look best
    regret: np.ndarray  # their sum
    regret_error: np.ndarray  # standard error
    bootstrap: np.ndarray  # claimed - true value
    bootstrap_error: np.ndarray
    stuck: np.ndarray  # share of critics whose chunks never open the lock


def compute(h: int, slip: float, sigma: float, choice: str, length: int) -> Numbers:
    """One line of the grid that `chunkrl.results.chunk_grid` computed."""
    grid = chunk_grid.load()
    i, j, k = (
        chunk_grid.CELLS.index(length),
        int(np.abs(np.subtract(SLIPS, slip)).argmin()),
        chunk_grid.CHOICES.index(choice),
    )
    at = int(np.abs(np.subtract(SIGMAS, sigma)).argmin())
    open_loop, missing = (x.astype(float) for x in (grid.open_loop[i, j], grid.missing[i, j, k]))
    regret, regret_error, bootstrap, bootstrap_error, stuck = (
        x[i, j, k, :, at].astype(float) for x in grid[2:]
    )
    return Numbers(
        length,
        slip,
        sigma,
        choice,
        h,
        open_loop,
        missing,
        np.maximum(regret - open_loop - missing, 0.0),  # float16 in the file
        regret,
        regret_error,
        bootstrap,
        bootstrap_error,
        stuck,
    )


def best(numbers: Numbers) -> int:
    """The chunk length with the least mean regret."""
    return int(H[numbers.regret.argmin()])


TICKS = (0, 1, 10, 100)
TALLEST = 12.0  # reward: taller bars are cut there, and their number stands above
THIN = 0.02  # reward: parts below it are not drawn
MEAN = plots.estimated(1)
DOTTED: dict[str, Any] = {"color": plots.BLACK, "linestyle": ":", "linewidth": 1.2}
GAP: dict[str, Any] = {"color": "white", "linewidth": 2.5, "zorder": 4}
MISSING = {"facecolor": "#CFE8F7", "edgecolor": plots.BLUE, "linewidth": 0.8}
PICKING = {"facecolor": "#F7D9C4", "edgecolor": plots.VERMILLION, "linewidth": 0.8}


def layout(figure: Figure) -> tuple[Axes, ...]:
    claim = plots.label(
        figure.add_axes((0.70, 0.47, 0.28, 0.23)),
        "",
        "",
        "claimed - true value [reward], log",
    )
    stuck = plots.label(
        figure.add_axes((0.70, 0.13, 0.28, 0.20)),
        "chunk length h [steps]",
        "share [%]",
        "critics that never open the lock",
    )
    stuck.set_ylim(-6.0, 106.0)
    regret = plots.label(
        figure.add_axes((0.075, 0.13, 0.54, 0.63)),
        "chunk length h [steps]",
        "regret: V* - true value [reward]",
        "regret at the start, by cause (broken bars: shares, not heights)",
    )
    claim.set_yscale("symlog", linthresh=1.0)  # 3 beside 50
    claim.set_ylim(-0.7, 200.0)
    claim.set_yticks(TICKS, map(str, TICKS))
    claim.minorticks_off()
    regret.set_ylim(0.0, 1.2 * TALLEST)
    regret.set_yticks(range(0, 13, 2))
    for axes in (claim, stuck, regret):
        axes.set_xlim(0.4, chunk_grid.LONGEST + 0.6)
        axes.set_xticks(H)
    claim.tick_params(labelbottom=False)
    square = {"marker": "s", "markersize": 9.0, "linestyle": "none"}
    plots.key(
        regret,
        {
            "mean of critics, ± 2 s.e.": MEAN,
            "regret by noisy picks": square
            | {"markerfacecolor": PICKING["facecolor"], "color": plots.VERMILLION},
            "by not looking, exact": square
            | {"markerfacecolor": "white", "color": plots.BLACK, "markeredgewidth": 1.5},
            "the chosen h": DOTTED,
        },
        loc=(1.10, 1.06),
    )
    return claim, stuck, regret


def draw(axes: tuple[Axes, ...], numbers: Numbers) -> None:
    claim, stuck, regret = axes
    claim.errorbar(H, numbers.bootstrap, 2 * numbers.bootstrap_error, **MEAN)
    claim.hlines(0.0, 0.4, H[-1] + 0.6, color=plots.BLACK, linewidth=1.5)
    stuck.plot(H, 100 * numbers.stuck, **MEAN)
    for each in (claim, stuck):
        each.vlines(numbers.h, *each.get_ylim(), **DOTTED)
    regret.vlines(numbers.h, 0.0, min(numbers.regret[numbers.h - 1], TALLEST), **DOTTED)
    _draw_regret(regret, numbers)
    i, j = numbers.h - 1, best(numbers) - 1
    least = f"{numbers.regret[j]:.1f} ± {2 * numbers.regret_error[j]:.1f}"
    chosen = f"{numbers.regret[i]:.1f} ± {2 * numbers.regret_error[i]:.1f}"
    here = f"; at h = {numbers.h}: {chosen}" if i != j else ""
    plots.headline(regret, f"Least regret at h = {j + 1}: {least}{here}")
    if numbers.missing.max() > THIN:  # no line of the legend where no bar has the colour
        told = "blue: by chunks never proposed"
        regret.text(1.19, 1.03, told, transform=regret.transAxes, fontsize=9)
    kept = " kept" if numbers.choice.isdigit() else ""
    among = numbers.choice if numbers.choice == "all chunks" else f"N = {numbers.choice}{kept}"
    regret.text(
        0.0,
        1.25,
        f"{numbers.length} cells, slip {numbers.slip:.2f}, sigma {numbers.sigma:.1f}, {among}",
        transform=regret.transAxes,
        fontsize=9,
    )


def _draw_regret(regret: Axes, numbers: Numbers) -> None:
    off, seen = 2 * numbers.regret_error, numbers.regret < TALLEST
    level, scale = np.zeros(len(H)), TALLEST / np.maximum(numbers.regret, TALLEST)
    for part, style in (
        (numbers.picking, PICKING),
        (numbers.missing, MISSING),
        (numbers.open_loop, plots.EXACT_BAR),
    ):
        below, shown = np.maximum(numbers.regret - level - part, 0.0), part > THIN
        _boxes(regret, H[shown], *(scale[shown] * x[shown] for x in (below, below + part)), style)
        level = level + part
    regret.errorbar(H[seen], numbers.regret[seen], off[seen], **MEAN)
    for up in (0.90, 0.93):  # a bar that is cut is broken
        regret.hlines(np.full((~seen).sum(), up * TALLEST), H[~seen] - 0.42, H[~seen] + 0.42, **GAP)
    for h, value, top in zip(H.tolist(), numbers.regret, numbers.regret + off, strict=True):
        at = min(top, 1.1 * TALLEST) if value < TALLEST else TALLEST
        regret.text(h, at + 0.3, f"{value:.1f}", ha="center")


def _boxes(axes: Axes, at: np.ndarray, low: np.ndarray, high: np.ndarray, style: Any) -> None:
    """Bars from `low` to `high` as one artist: a slider waits for each of them."""
    left, right = at - 0.35, at + 0.35
    corners = np.array([[left, low], [left, high], [right, high], [right, low]])
    axes.add_collection(PolyCollection(list(corners.T.swapaxes(1, 2)), **style), autolim=False)


def near_best(numbers: Numbers) -> str:
    """The lengths that two standard errors do not tell from the lowest mean, as "3 or 4"."""
    off = 2 * numbers.regret_error
    least = best(numbers) - 1
    near = numbers.regret - off <= numbers.regret[least] + off[least]
    return " or ".join(map(str, H[near].tolist()))


def _logarithmic(figure: Figure, told: str) -> Axes:
    """The only panel of a figure: regret by h."""
    axes = figure.add_axes((0.10, 0.14, 0.86, 0.66))
    plots.label(axes, "chunk length h [steps]", "regret: V* - true value [reward], log", told)
    axes.set_yscale("log")
    axes.set_ylim(2.0, 110.0)
    axes.set_yticks((2, 5, 10, 20, 50, 100), ("2", "5", "10", "20", "50", "100"))
    axes.minorticks_off()
    axes.set_xlim(0.4, chunk_grid.LONGEST + 0.6)
    axes.set_xticks(H)
    return axes


NOISE = 1.0  # of `proposals`
WAYS = {"8": "eight kept", "8 redrawn": "eight anew", "all chunks": "free to choose"}


def proposals() -> plots.Picture:
    """Regret by h where a critic of noise NOISE takes the best of what it is offered in three ways.

    On a logarithmic axis: with eight kept, single actions lose 17 times as much as chunks of three.
    """
    found = {way: CHUNK_LENGTH.numbers(sigma=NOISE, choice=way) for way in WAYS}
    styles: dict[str, dict[str, Any]] = {
        way: plots.estimated(i) | {"markersize": size}  # the small in the large: both are seen
        for i, (way, size) in enumerate(zip(WAYS, (12.0, 5.0, 7.0), strict=True))
    }

    def one(figure: Figure) -> tuple[Axes, ...]:
        axes = _logarithmic(figure, "mean of critics, ± 2 s.e.; number: the least")
        plots.key(axes, {WAYS[way]: style for way, style in styles.items()}, loc="upper right")
        return (axes,)

    def each(axes: tuple[Axes, ...]) -> None:
        (axes_,) = axes
        for shift, (way, numbers) in zip((0.0, 0.0, 0.12), found.items(), strict=True):
            style, least = styles[way], best(numbers) - 1
            joined: dict[str, Any] = style | {"linestyle": "-", "linewidth": 0.8}
            axes_.errorbar(H + shift, numbers.regret, 2 * numbers.regret_error, **joined)
            height, up = numbers.regret[least], way != "8 redrawn"
            axes_.text(
                H[least] + shift, (1.13 if up else 0.89) * height, f"{height:.1f}",
                color=style["color"], ha="center", va="bottom" if up else "top", fontsize=9,
            )  # fmt: skip
        some, kept, anew = (near_best(found[way]) for way in ("all chunks", "8", "8 redrawn"))
        title = (
            f"sigma {NOISE:.0f}: lowest at h = {some} (free), {kept} (eight kept), {anew} (anew)"
        )
        plots.headline(axes_, title)

    alt = "; ".join(
        f"{WAYS[way]}: " + ", ".join(f"{x:.1f}" for x in numbers.regret)
        for way, numbers in found.items()
    )
    told = f"Mean regret of chunks of 1 to {H[-1]} at noise {NOISE:.0f}, slip 0.1: {alt}."
    return plots.Picture(plots.still(one, each), told)


def by_code() -> plots.Picture:
    """Regret by h on each of the codes, free to choose: a line for each, a ring at its lowest."""
    slip, sigma = 0.1, 0.7
    (regret,) = codes.regrets(slip, (sigma,), "all chunks")  # [CODES, LONGEST]
    least = regret.argmin(1)
    counts = np.bincount(least, minlength=len(H))
    other: dict[str, Any] = {"color": "0.72", "linewidth": 0.9}
    ours: dict[str, Any] = plots.estimated(1) | {"linestyle": "-", "linewidth": 2.0}
    ring: dict[str, Any] = plots.estimated(0) | {"markersize": 5.0}

    def one(figure: Figure) -> tuple[Axes, ...]:
        told = f"mean of {codes.MANY} critics a code at most; above: on how many codes h is lowest"
        axes = _logarithmic(figure, told)
        names = {"this notebook's code": ours, f"{codes.CODES - 1} others": other}
        plots.key(axes, names | {"the lowest of each": ring}, loc=(0.62, 0.62))
        return (axes,)

    def each(axes: tuple[Axes, ...]) -> None:
        (axes_,) = axes
        axes_.plot(H, regret[1:].T, **other)
        axes_.plot(H, regret[0], **ours)
        for at in np.flatnonzero(counts):
            found = regret[least == at].min(1)
            axes_.plot(np.full_like(found, H[at]), found, **ring)
            axes_.text(H[at], 88.0, str(counts[at]), ha="center")
        most = int(counts.argmax())
        title = f"sigma {sigma}: lowest at h = {H[most]} on {counts[most]} of {codes.CODES} codes"
        plots.headline(axes_, title)

    which = ", ".join(f"h = {H[i]} on {counts[i]}" for i in np.flatnonzero(counts))
    alt = (
        f"Mean regret by chunk length on {codes.CODES} codes at slip {slip}, noise {sigma}, free "
        f"to choose. Least at {which}. At h = 5 from {regret[:, 4].min():.1f} to "
        f"{regret[:, 4].max():.1f}; on this notebook's code {regret[0, 4]:.1f}."
    )
    return plots.Picture(plots.still(one, each), alt)


def describe(numbers: Numbers) -> str:
    i, j = numbers.h - 1, best(numbers) - 1
    among = "all chunks" if numbers.choice == "all chunks" else f"{numbers.choice} samples"
    return (
        f"On a lock of {numbers.length} cells with slip {numbers.slip:.2f}, critic noise "
        f"{numbers.sigma:.1f} and a choice among {among}, chunks of {numbers.h} lose "
        f"{numbers.regret[i]:.1f} plus or minus {2 * numbers.regret_error[i]:.1f}: open-loop loss "
        f"{numbers.open_loop[i]:.2f} (exact), chunks never proposed {numbers.missing[i]:.2f}, "
        f"noisy picks {numbers.picking[i]:.2f}; the claim is {numbers.bootstrap[i]:.1f} too high. "
        f"Least regret: {numbers.regret[j]:.1f} at h = {j + 1}. Of the critics of single actions, "
        f"{100 * numbers.stuck[0]:.0f}% never open the lock."
    )


def table(numbers: Numbers) -> Table:
    header = (
        "h", "open-loop loss", "never proposed", "noisy picks", "regret", "2 standard errors",
        "claimed - true", "2 standard errors ", "never open [%]",
    )  # fmt: skip
    rows = list(
        zip(
            H.tolist(),
            numbers.open_loop,
            numbers.missing,
            numbers.picking,
            numbers.regret,
            2 * numbers.regret_error,
            numbers.bootstrap,
            2 * numbers.bootstrap_error,
            100 * numbers.stuck,
            strict=True,
        )
    )
    return header, rows


CHUNK_LENGTH = Explorer(
    name="chunk_length",
    notebook="08",
    title="Which chunk length?",
    compute=compute,
    layout=layout,
    draw=draw,
    controls=(
        Slider("h", "chunk length h [steps]", 1, chunk_grid.LONGEST, 1, 3),
        Slider("slip", "slip probability p", 0.0, SLIPS[-1], 0.05, 0.1),
        Slider("sigma", "critic noise sigma [reward]", 0.0, SIGMAS[-1], 0.1, 0.7),
        Choice("choice", "behaviour samples N", chunk_grid.CHOICES, "all chunks"),
        Slider("length", "cells of the lock L", 8, 24, 8, 24),
    ),
    describe=describe,
    table=table,
    predict_first=Predict(
        "A lock of 24 cells slips with probability 0.1, and every entry of the critic is off by "
        "noise of standard deviation 0.7 (a step costs 1). Chunks of 1 to 8 actions are typed "
        "blind. Which chunk length loses least against the best possible policy?",
        "steps",
        lambda numbers: float(best(numbers)),
        digits=0,
        mark=lambda axes, value: plots.guess(axes[2], value, horizontal=False),
    ),
    named={
        "No slip": {"slip": 0.0},
        "Little noise": {"sigma": 0.3},
        "More noise": {"sigma": 1.0},
        "Best of 8": {"choice": "8 redrawn"},
    },
    motion="sigma",
)
