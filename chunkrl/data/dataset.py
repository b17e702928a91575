"""Read trajectories in the layout of OGBench's files, checked."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from chunkrl import disk
from chunkrl.data import check
from chunkrl.data.check import ACTION, FLAG, NUMBER, STATE
from chunkrl.errors import DataError

Arrays = dict[str, np.ndarray]
NEEDED = ("observations", "actions", "terminals")
CUTS = ("timeouts", "truncations")  # 1 where a time limit ended a trajectory: D4RL's, Gymnasium's
CUT = "marks trajectories that a time limit ended: ends, no success"
OWN = "is the file's own: used for training where there is no simulator state (qpos)"
COMPACT = "is there: read as OGBench's compact layout, one row per state"
TRANSITIONS = "is there: read as one row per transition"
SIMULATOR = STATE._replace(cast=None)  # the state from which tasks are scored
BUTTONS = SIMULATOR._replace(wanted="integers [rows, buttons]", kinds="biu")
FIELDS = {  # form, names of other collections for it, meaning beyond OGBench's
    "observations": (STATE, "observation obs states", ""),
    "actions": (ACTION, "action acts", ""),
    "terminals": (FLAG, "terminal terminated terminations done dones is_terminal is_last", ""),
    "timeouts": (FLAG, "timeout truncated truncation", CUT),
    "truncations": (FLAG, "", CUT),
    "valids": (FLAG, "valid", COMPACT),
    "next_observations": (STATE, "next_observation next_obs next_states", TRANSITIONS),
    "rewards": (NUMBER, "reward", OWN),
    "masks": (FLAG, "mask discounts", OWN),
    "qpos": (SIMULATOR, "", ""),
    "qvel": (SIMULATOR, "", ""),
    "button_states": (BUTTONS, "", ""),
}
FORMS = {name: form for name, (form, _, _) in FIELDS.items()}
OTHER_NAMES = {other: name for name, (_, others, _) in FIELDS.items() for other in others.split()}
REMEDY = "Download or generate the file again."


def load(path: str | Path, *, compact: bool = False, min_length: int = 1) -> Arrays:
    """The trajectories of one npz file, as `ogbench.utils.load_dataset(..., add_info=True)` gives.

    A trajectory of L transitions has L + 1 rows in the file; the action of its last row leads
    nowhere.  The regular reading has one row per transition, L of them: `next_observations` is the
    following row, `terminals` is 1 on the last transition.  The compact reading keeps all rows:
    `valids` is 0 on the last, and `terminals` is 1 on the last two.

    `timeouts` or `truncations` mark ends beside `terminals`; `rewards` and `masks` of the file come
    with it (with `timeouts`, missing masks are 1 - terminals, as D4RL means them).

    observations [T, O], actions [T, A], terminals [T] (and valids) are float32; qpos, qvel and
    button_states come as they are stored.  Raises DataError, naming file, key and index, for a file
    that is damaged, lacks an array, has a wrong shape, type or range, does not end with the end of
    a trajectory, or has one of fewer than `min_length` transitions.
    """
    data, ends = states(path, min_length)
    if compact:
        marks = {"terminals": ends | np.append(ends[1:], True), "valids": ~ends}
        return data | {name: mark.astype(np.float32) for name, mark in marks.items()}
    return by_transition(data, ends)


def states(
    path: str | Path, min_length: int = 1, drop: Iterable[str] = ()
) -> tuple[Arrays, np.ndarray]:
    """All rows of one npz file, one per state, and whether each is its trajectory's last.

    Of what `load` gives the part that takes least memory; those of `drop` are checked and not kept,
    and their memory is free again before the others are read.  Raises what `load` raises.
    """
    path = disk.user_path(path)
    data = _read(path, {*drop})
    ends = _ends(path, data)
    if not ends[-1]:
        raise DataError(
            f"{path}: 'terminals' is 0 at the last index {len(ends) - 1}: cut off. {REMEDY}"
        )
    last = np.flatnonzero(ends)
    lengths = np.diff(last, prepend=-1) - ("next_observations" not in data)
    short, least = np.flatnonzero(lengths < max(min_length, 1)), max(min_length, 1)
    if short.size:
        raise DataError(
            f"{path}: trajectory {short[0]}, which ends at index {last[short[0]]} of 'terminals',"
            f" has {lengths[short[0]]} transitions, fewer than {least}. Choose a shorter chunk and"
            " backup, or generate longer episodes."
        )
    if "next_observations" in data:
        return _with_last_states(path, data, ends)
    return data, ends


def by_transition(data: Arrays, ends: np.ndarray) -> Arrays:
    """Rows of states as rows of transitions, in the same memory but for `next_observations`."""
    starts = ~ends  # rows that a transition starts from; the row after each is where it leads
    following = data["observations"][np.append(False, starts[:-1])]
    kept = {key: _keep(values, starts) for key, values in data.items()}
    terminals = np.append(ends[1:], True)[starts].astype(np.float32)
    return kept | {"next_observations": following, "terminals": terminals}


def notes(path: str | Path) -> list[str]:
    """What the keys of a file mean beyond OGBench's, and which are not read, as sentences."""
    names = disk.names(path)
    unread = ", ".join(repr(name) for name in names if name not in FIELDS)
    meanings = [f"{n!r} {FIELDS[n][2]}" for n in names if n in FIELDS and FIELDS[n][2]]
    if {*CUTS} & {*names}:
        meanings.append("'terminals' marks those that ended by themselves: no value comes after")
    if not {"rewards", "qpos"} & {*names}:
        meanings.append("'rewards' is not there, nor qpos to score tasks from: add it to train")
    return meanings + ([f"not read: {unread}"] if unread else [])


def _read(path: Path, drop: set[str]) -> Arrays:
    """The arrays of the file that have a meaning, each checked by itself; of `drop` none."""
    names = disk.names(path)
    for name in names:
        if name in OTHER_NAMES:
            raise DataError(
                f"{path} has an array {name!r}, which is not read: save it under the name"
                f" {OTHER_NAMES[name]!r}, or leave it out."
            )
    for name in NEEDED:
        if name not in names:
            found = f"(found: {', '.join(names) or 'none'})"
            raise DataError(
                f"{path} has no array {name!r} {found}. It is no OGBench data. {REMEDY}"
            )
    checked = lambda arrays: check.columns(arrays, FORMS, str(path), REMEDY)
    instead = {}  # of the same shape, and no size
    for name in drop & {*names}:
        (values,) = checked(disk.read(path, [name])).values()
        instead[name] = np.broadcast_to(values.dtype.type(0), values.shape)
        del values
    # `observations` first: the others are compared with its rows.
    arrays = checked(disk.read(path, [name for name in FORMS if name not in drop]) | instead)
    return {name: np.asarray(values) for name, values in arrays.items() if name not in drop}


def _ends(path: Path, data: Arrays) -> np.ndarray:
    """Whether each row is the last of its trajectory; takes the arrays that say so.  [T] bool"""
    done = data.pop("terminals") != 0
    cuts = [data.pop(key) != 0 for key in CUTS if key in data]
    marked = np.logical_or.reduce([done, *cuts])
    if cuts and "rewards" in data and "masks" not in data:
        data["masks"] = (~done).astype(np.float32)
    if "valids" not in data:
        return marked
    if "next_observations" in data:
        raise DataError(
            f"{path} has 'valids' and 'next_observations', of two layouts: leave one of them out."
        )
    ends = data.pop("valids") == 0
    compact = ends | np.append(ends[1:], False)
    wrong = np.flatnonzero((marked != compact) & (marked != ends))
    if wrong.size:
        raise DataError(
            f"{path}: 'valids' and 'terminals' disagree at index {wrong[0]}. In the compact layout"
            " valids is 0 on the last row of each trajectory, and terminals is 1 on the last two."
        )
    return ends


def _with_last_states(path: Path, data: Arrays, ends: np.ndarray) -> tuple[Arrays, np.ndarray]:
    """Rows of states in place of rows of transitions: one more at the end of each trajectory."""
    obs, following = data["observations"], data.pop("next_observations")
    if following.shape != obs.shape:
        shapes = f"the shape {following.shape}, 'observations' has {obs.shape}"
        raise DataError(f"{path}: 'next_observations' has {shapes}. {REMEDY}")
    row = check.parted(obs, following, ends)
    if row is not None:
        raise DataError(
            f"{path}: row {row} of 'next_observations' is not row {row + 1} of"
            " 'observations'. Mark each end of a trajectory in 'terminals' or 'timeouts'."
        )
    rows = np.repeat(np.arange(len(ends)), 1 + ends)
    last = np.diff(rows, prepend=-1) == 0  # the second of two rows made of one
    data = {key: values[rows] for key, values in data.items()}
    data["observations"][last] = following[ends]
    return data, last


def _keep(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`values[rows]` in the memory of `values`, a block at a time."""
    kept = 0
    for first in range(0, len(values), check.BLOCK):
        block = values[first : first + check.BLOCK][rows[first : first + check.BLOCK]]
        values[kept : kept + len(block)] = block
        kept += len(block)
    return values[:kept]
