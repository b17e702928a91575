"""The one check of data, whether they come from a file or from Python."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from chunkrl.errors import ConfigError, DataError
from chunkrl.types import ChunkDataset, Dataset, Halves

BLOCK = 1 << 16  # rows looked at together: no second array of the data's size is made
BOUND = 1 + 1e-6  # of actions, with the rounding of float32


class Form(NamedTuple):
    """What an array of the data must be like."""

    wanted: str  # in words
    axes: int
    kinds: str = "f"  # NumPy's letters of the types that are accepted
    cast: Any = np.float32  # the type that comes out; None: as it came in
    good: Callable[[np.ndarray], np.ndarray] = np.isfinite  # entry by entry
    otherwise: str = ""  # what is wrong with an entry that is finite and not good
    empty: bool = False  # whether there may be no columns


STATE = Form("floats [rows, width]", 2)
ACTION = STATE._replace(
    good=lambda x: np.abs(x) <= BOUND,
    otherwise=", outside of [-1, 1]. Rescale each dimension from the bounds low and high of its"
    " action space: 2 (a - low) / (high - low) - 1",
)
NUMBER = Form("one number per row, [rows]", 1, "bfiu")
FLAG = Form(
    "0 or 1 per row, [rows]", 1, "bfiu", np.float32, lambda x: (x == 0) | (x == 1), ", not 0 or 1"
)
ROW = Form("one integer per row, [rows]", 1, "iu", np.int32)

ROWS = {"obs": STATE, "action": ACTION, "reward": NUMBER, "mask": FLAG}
DATASET = {**ROWS, "terminal": FLAG, "next_obs": STATE}
CHUNK_DATASET = {**ROWS, "last": ROW, "goal": STATE._replace(empty=True)}


def columns(
    arrays: Mapping[str, Any], forms: Mapping[str, Form], where: str, remedy: str = ""
) -> dict[str, Any]:
    """The `arrays` in the types of their `forms`, all of as many rows as the first.

    Raises DataError naming `where`, the array and the index, for a wrong shape, type or length, for
    NaN and infinity, and for a number out of its range.  Arrays that are right are not copied.
    """
    checked, first = {}, next(iter(arrays))
    for name, given in arrays.items():
        refused = lambda what, name=name: DataError(f"{where}: {name!r} {what}. {remedy}".strip())
        form = forms[name]
        try:
            values = np.asarray(given)
        except ValueError as error:
            raise refused(f"is no array ({error})") from None
        floats = "f" if jnp.issubdtype(values.dtype, jnp.floating) else values.dtype.kind
        if floats not in form.kinds:
            raise refused(f"has the type {values.dtype}. Wanted: {form.wanted}")
        if values.ndim != form.axes or 0 in values.shape[: 1 if form.empty else None]:
            raise refused(f"has the shape {values.shape}. Wanted: {form.wanted}")
        if checked and len(values) != len(checked[first]):
            raise refused(f"has {len(values)} rows, {first!r} has {len(checked[first])}")
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and found below
            cast = values if form.cast is None else values.astype(form.cast, copy=False)
        index = _first_not(form.good, cast)
        if index is not None:
            finite = np.isfinite(cast[index])
            value, why = (values[index], form.otherwise) if finite else (cast[index], "")
            at = index[0] if len(index) == 1 else index
            raise refused(f"is {value} at index {at}{why}")
        checked[name] = given if isinstance(given, jax.Array) and cast is values else cast
    return checked


def dataset(data: Any, where: str = "the data") -> Any:
    """A `Dataset`, a `ChunkDataset` or `Halves` in float32 (and int32); others as they came.

    Raises what `columns` raises, and DataError for rows that are not there.
    """
    if isinstance(data, Halves):
        return Halves(*(dataset(part, f"{where}, {k!r}") for k, part in data._asdict().items()))
    if isinstance(data, Dataset):
        data = Dataset(**columns(data._asdict(), DATASET, where))
        ours, theirs = data.obs.shape[1], data.next_obs.shape[1]
        if ours != theirs:
            raise DataError(f"{where}: 'next_obs' has {theirs} columns, 'obs' has {ours}.")
    elif isinstance(data, ChunkDataset):
        given = data._asdict()
        checked = columns({name: given.pop(name) for name in CHUNK_DATASET}, CHUNK_DATASET, where)
        for name, values in given.items():  # lists of rows; where there are none, of any type
            one = columns({name: values}, {name: ROW}, where) if np.size(values) else {}
            checked |= {name: np.zeros(0, np.int32)} | one
        data, rows = ChunkDataset(**checked), len(checked["obs"])
        for name, least in (("last", -1), ("starts", 0), ("goal_rows", 0)):
            values = np.asarray(checked[name])
            index = _first_not(lambda x, least=least: (least <= x) & (x < rows), values)
            if index is not None:
                raise DataError(
                    f"{where}: {name!r} is {values[index]} at index {index[0]}, and the rows are 0"
                    f" to {rows - 1}."
                )
        if data.goal.shape[1] and not len(data.goal_rows):
            raise DataError(f"{where}: there are goals, and no row in 'goal_rows' to draw.")
    return data


def joined(data: Dataset, where: str = "the data") -> Dataset:
    """`dataset(data)` of whole trajectories.

    Raises DataError where a trajectory goes on in a row that is not the next, and where the last
    has no end.
    """
    data = dataset(data, where)
    ends = np.asarray(data.terminal) != 0
    row = parted(np.asarray(data.obs), np.asarray(data.next_obs), ends)
    if row is None and not ends[-1]:
        row = len(ends) - 1
    if row is not None:
        raise DataError(
            f"{where}: row {row} of 'next_obs' is not row {row + 1} of 'obs'. Set 'terminal' to 1"
            " on the last transition of each trajectory."
        )
    return data


def parted(obs: np.ndarray, next_obs: np.ndarray, ends: np.ndarray) -> int | None:
    """The first row, no end, that does not lead to the next one.  [T, O], [T, O], [T] bool"""
    rows = np.flatnonzero((next_obs[:-1] != obs[1:]).any(axis=1) & ~ends[:-1])
    return int(rows[0]) if rows.size else None


def fits(agent: Any, data: Any, size: int) -> None:
    """Raise ConfigError unless `agent` can draw `size` from `data`, of the widths that it has."""
    parts = data if isinstance(data, Halves) else (data,)
    sizes = getattr(agent, "model", agent)  # an agent around a model has the model's
    for part, name in product(parts, ("obs", "action", "goal")):
        wanted, given = getattr(sizes, f"{name}_dim", None), getattr(part, name, None)
        if wanted is not None and given is not None and given.shape[-1] != wanted:
            raise ConfigError(
                f"the data's {name!r} has {given.shape[-1]} columns, the agent was made for"
                f" {name}_dim = {wanted}: use other data, or make it for these"
            )
    if isinstance(data, ChunkDataset) and len(data.starts):
        last = int(np.max(data.starts))
        if last + agent.chunk >= len(data.obs):
            raise ConfigError(
                f"a chunk of {agent.chunk} actions from row {last} of 'starts' ends beyond the"
                f" {len(data.obs)} rows: cut the data for this length"
            )
    try:  # shapes alone tell whether the data hold what the agent draws
        jax.eval_shape(partial(agent.draw, size=size), jax.random.key(0), data)
    except (AttributeError, TypeError, ValueError, LookupError) as error:
        kinds = f"{type(agent).__name__} cannot draw batches from this {type(data).__name__}"
        raise ConfigError(
            f"{kinds} ({str(error).partition(chr(10))[0]}): give it what `load_task` makes, or"
            " `load_chunks` for methods of chunks or goals"
        ) from error


def holds_own(agent: Any, data: Any) -> None:
    """Raise ConfigError where updates of `agent` need what it did, and there are logs alone."""
    if getattr(getattr(agent, "reads", None), "halves", False) and not isinstance(data, Halves):
        raise ConfigError(
            f"{type(agent).__name__} learns while it acts, half of each batch from what it did:"
            " train it online with no updates before, or give it `Halves` of two datasets"
        )


def _first_not(good: Callable, values: np.ndarray) -> tuple[int, ...] | None:
    """Index of the first entry that is not `good`."""
    for start in range(0, len(values), BLOCK):
        bad = ~good(values[start : start + BLOCK])
        if bad.any():
            index = np.argwhere(bad)[0]
            return (start + int(index[0]), *map(int, index[1:]))
    return None
