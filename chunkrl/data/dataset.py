"""Read trajectories in the layout of OGBench's files, checked."""

from pathlib import Path

import numpy as np

from chunkrl.disk import read
from chunkrl.errors import DataError

Arrays = dict[str, np.ndarray]
NEEDED = ("observations", "actions", "terminals")
OPTIONAL = ("qpos", "qvel", "button_states")  # the simulator's state, from which tasks are scored
REMEDY = "Download or generate the file again."


def load(path: str | Path, *, compact: bool = False, min_length: int = 1) -> Arrays:
    """The trajectories of one npz file, as `ogbench.utils.load_dataset(..., add_info=True)` gives.

    A trajectory of L transitions has L + 1 rows in the file; the action of its last row leads
    nowhere.  The regular reading has one row per transition, L of them: `next_observations` is the
    following row, `terminals` is 1 on the last transition.  The compact reading keeps all rows:
    `valids` is 0 on the last, and `terminals` is 1 on the last two.

    observations [T, O], actions [T, A], terminals [T] (and valids) are float32; qpos, qvel and
    button_states come as they are stored.  Raises DataError, naming file, key and index, for a file
    that is damaged, lacks an array, has a wrong shape or type, holds NaN or infinity, does not end
    with the end of a trajectory, or has a trajectory of fewer than `min_length` transitions.
    """
    path = Path(path)
    data = read(path, NEEDED + OPTIONAL)
    _check_arrays(path, data)
    ends = data["terminals"] != 0
    _check_lengths(path, ends, min_length)
    data |= {key: data[key].astype(np.float32, copy=False) for key in ("observations", "actions")}
    _check_finite(path, data)
    if compact:
        before_end = np.append(ends[1:], True)
        return data | {
            "terminals": (ends | before_end).astype(np.float32),
            "valids": (~ends).astype(np.float32),
        }
    starts = ~ends  # rows that a transition starts from; the row after each is where it leads
    rows = {key: values[starts] for key, values in data.items() if key != "terminals"}
    return rows | {
        "next_observations": data["observations"][1:][starts[:-1]],
        "terminals": ends[1:][starts[:-1]].astype(np.float32),
    }


def _check_arrays(path: Path, data: Arrays) -> None:
    """Presence, type, number of axes and equal length of the arrays; terminals of 0 and 1."""
    for key in NEEDED:
        if key not in data:
            found = ", ".join(data) or "none that OGBench's files have"
            raise DataError(
                f"{path} has no array {key!r} (found: {found}). It is no OGBench dataset. {REMEDY}"
            )
    rows = len(data["observations"]) if data["observations"].ndim else 0
    for key, values in data.items():
        axes = 1 if key == "terminals" else 2
        kinds = {"terminals": "bfiu", "button_states": "biu"}.get(key, "f")
        if values.dtype.kind not in kinds:
            raise DataError(f"{path}: {key!r} has the type {values.dtype}. {_wanted(key)} {REMEDY}")
        if values.ndim != axes or 0 in values.shape:
            raise DataError(
                f"{path}: {key!r} has the shape {values.shape}. {_wanted(key)} {REMEDY}"
            )
        if len(values) != rows:
            raise DataError(
                f"{path}: {key!r} has {len(values)} rows, 'observations' has {rows}. {REMEDY}"
            )
    strange = np.flatnonzero((data["terminals"] != 0) & (data["terminals"] != 1))
    if strange.size:
        value = data["terminals"][strange[0]]
        raise DataError(
            f"{path}: 'terminals' is {value} at index {strange[0]}, not 0 or 1. {REMEDY}"
        )


def _wanted(key: str) -> str:
    wanted = {"terminals": "0 or 1 per row", "button_states": "integers [rows, buttons]"}
    return f"State-based OGBench data has {wanted.get(key, 'floats [rows, width]')} there."


def _check_lengths(path: Path, ends: np.ndarray, min_length: int) -> None:
    """The file ends with the end of a trajectory, and none is too short."""
    if not ends[-1]:
        raise DataError(
            f"{path}: 'terminals' is 0 at the last index {len(ends) - 1}: the last trajectory is"
            f" cut off. {REMEDY}"
        )
    last = np.flatnonzero(ends)
    lengths = np.diff(last, prepend=-1) - 1
    short = np.flatnonzero(lengths < max(min_length, 1))
    if short.size:
        number = short[0]
        raise DataError(
            f"{path}: trajectory {number}, which ends at index {last[number]} of 'terminals', has"
            f" {lengths[number]} transitions, fewer than {max(min_length, 1)}. Choose a chunk and a"
            " backup no longer than that, or generate longer episodes."
        )


def _check_finite(path: Path, data: Arrays) -> None:
    for key, values in data.items():
        if not np.isfinite(values).all():
            index = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
            raise DataError(f"{path}: {key!r} is {values[index]} at index {index}. {REMEDY}")
