"""What papers published, in their own numbers: none of it was run here.

Reduced from a folder of released curves and printed tables, which a clone does not have:
`python -m chunkrl.results.published FOLDER`.
"""

import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

from chunkrl import command
from chunkrl.errors import DataError
from chunkrl.results import stored

COMMAND = "python -m chunkrl.results.published FOLDER"
FILE = Path(__file__).parent / "data" / "published.csv"
DOMAINS = ("puzzle-3x3", "scene", "cube-double", "cube-triple", "cube-quadruple")
CURVES = ("FQL", "QC-FQL", "IFQL", "QC-IFQL", "ReBRAC", "QC")  # of QC: each step; others: SHOWN
REPEATED = ("FQL", "IFQL", "ReBRAC")  # of QAM's suite
PRINTED = ("IQL", "ReBRAC", "FQL", "MAC")  # methods on a single cube
EVERY = 100  # thousand updates between stored points
SHOWN = (900, 1000, 2000)  # [thousand updates]: the ends of the phases, and the point before one


class Number(NamedTuple):
    """One published success rate."""

    source: str  # "QC", "QC table 1", "QAM", "FQL" or "MAC"
    domain: str
    method: str  # as that paper calls it
    thousands: int  # updates, as the paper counts them
    percent: float
    low: float  # of the interval that was published; nan where there was none
    high: float


class Source(NamedTuple):
    """Whose numbers they are."""

    paper: str
    what: str
    seeds: str
    interval: str


SOURCES = {
    "QC": Source("arXiv 2507.07969", "released curves", "4", "95% bootstrap over seeds"),
    "QC table 1": Source("arXiv 2507.07969", "printed table", "4", "none kept"),
    "QAM": Source("arXiv 2601.14234", "released curves", "12", "95%, as released"),
    "FQL": Source("arXiv 2502.02538", "printed table, mean of 5 tasks", "8", "none kept"),
    "MAC": Source("arXiv 2512.08108", "printed table", "not found", "+-, its kind not found"),
}


@cache
def load() -> tuple[Number, ...]:
    """Every stored number.  Raises DataError."""

    def read(row: dict[str, str]) -> Number:
        source, domain, method = (row[name] for name in Number._fields[:3])
        percent, low, high = (float(row[name]) for name in Number._fields[4:])
        return Number(source, domain, method, int(row["thousands"]), percent, low, high)

    return tuple(stored.rows(FILE, read, COMMAND))


def curve(source: str, method: str, domain: str) -> dict[int, Number]:
    """A method's numbers by thousand updates; empty where nothing is stored."""
    return {
        row.thousands: row
        for row in load()
        if (row.source, row.method, row.domain) == (source, method, domain)
    }


def reduced(folder: Path) -> list[Number]:
    """The numbers of the course out of the csv files of `folder`.  Raises DataError."""
    if not folder.is_dir():
        raise DataError(
            f"there is no folder {folder}: it holds the papers' released curves, which are not"
            " part of this repository; what the course needs of them is in"
            f" {FILE.name}, which comes with it"
        )
    return [
        number
        for name, read in READERS.items()
        for row in stored.rows(folder / name, read, COMMAND)
        for number in row
    ]


def _qc(row: dict[str, str]) -> list[Number]:
    thousands = round(1000 * float(row["step_millions"]))
    domain, method = row["domain_or_task"], row["method"]
    whole = domain in DOMAINS and method in CURVES and thousands > 0
    values = (100 * float(row[name]) for name in ("mean", "ci_low", "ci_high"))
    number = _number("QC", domain, method, thousands, *values)
    return [number] if whole or thousands in SHOWN else []


def _table(row: dict[str, str]) -> list[Number]:
    at = {"offline": 1000, "online": 2000}[row["column"]]
    return [_number("QC table 1", row["domain_or_task"], row["method"], at, float(row["percent"]))]


def _qam(row: dict[str, str]) -> list[Number]:
    domain, method = row["domain_or_task"].removesuffix("-play"), row["method"]
    thousands = int(row["training_thousands"])
    values = (float(row[name]) for name in ("mean", "ci_low", "ci_high"))
    kept = domain in DOMAINS and method in REPEATED and thousands % EVERY == 0
    return [_number("QAM", domain, method, thousands, *values)] if kept else []


def _fql(row: dict[str, str]) -> list[Number]:
    kept = row["domain_or_task"] == "cube-single" and row["method"] in PRINTED
    percent = 100 * float(row["mean"])
    return [_number("FQL", "cube-single", row["method"], 1000, percent)] if kept else []


def _mac(row: dict[str, str]) -> list[Number]:
    kept = row["domain"] == "cube-single-play" and row["method"] in PRINTED
    mean, half = float(row["success_percent"]), float(row["plus_minus"])
    number = _number("MAC", "cube-single", row["method"], 1000, mean, mean - half, mean + half)
    return [number] if kept else []


READERS = {
    "ogbench_agg.csv": _qc,
    "qc_paper_table1.csv": _table,
    "qam_domains.csv": _qam,
    "fql_paper_offline.csv": _fql,
    "mac_reward_1m.csv": _mac,
}


def _number(
    source: str,
    domain: str,
    method: str,
    thousands: int,
    percent: float,
    low: float = math.nan,
    high: float = math.nan,
) -> Number:
    return Number(source, domain, method, thousands, *(round(x, 4) for x in (percent, low, high)))


def main(folder: Path, /) -> None:
    """Reduce the published curves and tables in FOLDER to the file that comes with the package."""
    numbers = reduced(folder)
    stored.save_rows(FILE, Number._fields, numbers)
    print(f"{FILE.name}: {len(numbers)} numbers")


if __name__ == "__main__":
    command.run(main, "python -m chunkrl.results.published")
