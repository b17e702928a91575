"""The one check of data, whether they come from a file or from Python."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from chunkrl.errors import ConfigError, DataError
from chunkrl.types import ChunkDataset, Dataset

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
FLAG = NUMBER._replace(
    wanted="0 or 1 per row, [rows]",
    good=lambda x: (x == 0) | (x == 1),
    otherwise=", not 0 or 1",
)
ROW = Form("one integer per row, [rows]", 1, "iu", np.int32)

DATASET = {
    "obs": STATE,
    "action": ACTION,
    "reward": NUMBER,
    "mask": FLAG,
    "terminal": FLAG,
    "next_obs": STATE,
}
CHUNK_DATASET = {
    "obs": STATE,
    "action": ACTION,
    "reward": NUMBER,
    "mask": FLAG,
    "last": ROW,
    "goal": STATE._replace(empty=True),
}


def columns(
    arrays: Mapping[str, Any], forms: Mapping[str, Form], where: str, remedy: str = ""
) -> dict[str, Any]:
    """The `arrays` in the types of their `forms`, all of as many rows as the first.

    Raises DataError naming `where`, the array and the index, for a wrong shape, type or length, for
    NaN and infinity, and for a number out of its range.  Arrays that are right are not copied.
    """
    checked, first = {}, next(iter(arrays))
    rows = None
    for name, given in arrays.items():
        form = forms[name]
        try:
            values = np.asarray(given)
        except ValueError as error:
            raise DataError(f"{where}: {name!r} is no array ({error}). {remedy}".strip()) from None
        floats = "f" if jnp.issubdtype(values.dtype, jnp.floating) else values.dtype.kind
        what = f"{where}: {name!r} has the"
        if floats not in form.kinds:
            raise DataError(f"{what} type {values.dtype}. Wanted: {form.wanted}. {remedy}".strip())
        if values.ndim != form.axes or 0 in values.shape[: 1 if form.empty else None]:
            raise DataError(f"{what} shape {values.shape}. Wanted: {form.wanted}. {remedy}".strip())
        rows = len(values) if rows is None else rows
        if len(values) != rows:
            raise DataError(
                f"{where}: {name!r} has {len(values)} rows, {first!r} has {rows}. {remedy}".strip()
            )
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and found below
            cast = values if form.cast is None else values.astype(form.cast, copy=False)
        index = _first_not(form.good, cast)
        if index is not None:
            finite = np.isfinite(cast[index])
            value, why = (values[index], form.otherwise) if finite else (cast[index], "")
            at = index[0] if len(index) == 1 else index
            raise DataError(f"{where}: {name!r} is {value} at index {at}{why}. {remedy}".strip())
        checked[name] = given if isinstance(given, jax.Array) and cast is values else cast
    return checked


def dataset(data: Any, where: str = "the data") -> Any:
    """A `Dataset` or a `ChunkDataset` in float32 (and int32); anything else as it came.

    Raises what `columns` raises, and DataError for rows that are not there.
    """
    if isinstance(data, Dataset):
        data = Dataset(**columns(data._asdict(), DATASET, where))
        if data.next_obs.shape != data.obs.shape:
            raise DataError(
                f"{where}: 'next_obs' has {data.next_obs.shape[1]} columns, 'obs' has"
                f" {data.obs.shape[1]}."
            )
    elif isinstance(data, ChunkDataset):
        given = data._asdict()
        lists = {name: given.pop(name) for name in ("starts", "goal_rows")}
        checked = columns(given, CHUNK_DATASET, where)
        for name, values in lists.items():
            if np.size(values):  # none may be of any type
                checked |= columns({name: values}, {name: ROW}, where)
            else:
                checked[name] = np.zeros(0, np.int32)
        data = ChunkDataset(**checked)
        for name in ("last", *lists):
            rows, least = np.asarray(getattr(data, name)), -1 if name == "last" else 0
            index = _first_not(lambda x, least=least: (least <= x) & (x < len(data.obs)), rows)
            if index is not None:
                raise DataError(
                    f"{where}: {name!r} is {rows[index]} at index {index[0]}, and the rows are 0 to"
                    f" {len(data.obs) - 1}."
                )
        if data.goal.shape[1] and not len(data.goal_rows):
            raise DataError(
                f"{where}: there are goals, and no row in 'goal_rows' to take them from."
            )
    return data


def fits(agent: Any, data: Any, size: int) -> None:
    """Raise ConfigError unless `agent` can draw `size` from `data`, of the widths that it has."""
    for name, attribute in (("obs", "obs_dim"), ("action", "action_dim"), ("goal", "goal_dim")):
        wanted = getattr(getattr(agent, "model", agent), attribute, None)
        given = getattr(data, name, None)
        if wanted is not None and given is not None and given.shape[-1] != wanted:
            raise ConfigError(
                f"the data's {name!r} has {given.shape[-1]} columns, the agent was made for"
                f" {attribute} = {wanted}: make it for these data, or give it others"
            )
    if isinstance(data, ChunkDataset) and len(data.starts):
        end = int(np.max(data.starts)) + agent.chunk
        if end >= len(data.obs):
            raise ConfigError(
                f"a chunk of {agent.chunk} actions from row {end - agent.chunk} of 'starts' ends"
                f" beyond the {len(data.obs)} rows: cut the data for this length"
            )
    try:  # shapes alone tell whether the data hold what the agent draws
        jax.eval_shape(partial(agent.draw, size=size), jax.random.key(0), data)
    except (AttributeError, TypeError, ValueError, IndexError, KeyError) as error:
        cause = str(error).partition("\n")[0]
        raise ConfigError(
            f"{type(agent).__name__} cannot draw batches from this {type(data).__name__} ({cause}):"
            " give it what `load_task` makes, or `load_chunks` for the model-based methods"
        ) from error


def _first_not(good: Callable, values: np.ndarray) -> tuple[int, ...] | None:
    """Index of the first entry that is not `good`."""
    for start in range(0, len(values), BLOCK):
        bad = ~good(values[start : start + BLOCK])
        if bad.any():
            index = np.argwhere(bad)[0]
            return (start + int(index[0]), *map(int, index[1:]))
    return None
