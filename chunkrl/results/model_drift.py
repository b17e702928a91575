"""How far learned chunk models drift on the robot's data.

`python -m chunkrl.results.model_drift` trains models of 1, 5, 10 and 25 steps on the data of
`chunkrl data make cube-single-play` and writes the errors that notebook 10 shows.  The stored file
was made by it and by `--updates 3000` and `--updates 20000 --chunk-lengths 1 10 --seeds 0`.
"""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np
import tyro

from chunkrl import command, train
from chunkrl.agents.dynamics import ChunkModel
from chunkrl.data import chunks
from chunkrl.data.dataset import load
from chunkrl.data.normalise import Normaliser
from chunkrl.envs.ogbench import files
from chunkrl.measure.drift import STEPS, segments, squared_error, unroll
from chunkrl.results.real_data import CUBE, EFFECTOR, UNIT
from chunkrl.results.stored import rows as read_rows
from chunkrl.results.stored import save_rows

DATASET, TRANSITIONS = "cube-single-play-v0", 150_000
STORED = Path(__file__).parent / "data" / "cube_model_error.csv"
COMMAND = "python -m chunkrl.results.model_drift"
UPDATES = 10_000
POSITIONS = {"hand_cm": EFFECTOR, "cube_cm": CUBE}
UNIT_CM = 100 * UNIT
COLUMNS = ("updates", "chunk", "seed", "step", "mse", *POSITIONS)

Rows = list[dict[str, float]]


def rows_of(error: np.ndarray, scale: np.ndarray, chunk: int, seed: int, updates: int = 0) -> Rows:
    """One row for each multiple of the chunk: MSE in normalised units, positions in cm."""
    found = []
    for k, miss in enumerate(error):
        row: dict[str, float] = {"updates": updates, "chunk": chunk, "seed": seed}
        row |= {"step": k * max(chunk, 1)}
        row["mse"] = float(miss.mean())
        for name, where in POSITIONS.items():
            row[name] = float(np.sqrt((miss * scale**2)[where].sum()) * UNIT_CM)
        found.append(row)
    return found


class Data(NamedTuple):
    """What training and measuring need, observations normalised by the validation file."""

    train: dict[str, np.ndarray]
    held_out: dict[str, np.ndarray]
    normaliser: Normaliser


def read(dataset: str = DATASET, transitions: int | None = TRANSITIONS) -> Data:
    """A dataset of a cube task and its validation file.  Raises DataError."""
    path = files.locate(dataset, transitions)
    found = [load(file, compact=True) for file in (path, files.val_path(path))]
    normaliser = Normaliser.fit(found[1]["observations"])
    for part in found:
        part["observations"] = np.asarray(normaliser.apply(part["observations"]))
    return Data(found[0], found[1], normaliser)


def measure(
    data: Data,
    model: ChunkModel,
    seeds: tuple[int, ...],
    updates: int,
    batch_size: int,
    steps: int = STEPS,
) -> Rows:
    """Train one model for each seed and unroll it along the held-out trajectories."""
    logs, held = data.train, data.held_out
    obs, ends = logs["observations"], logs["valids"] == 0
    nothing = np.zeros(len(obs), np.float32)
    dataset = chunks.dataset(
        obs, logs["actions"], nothing, nothing, chunks.final_rows(ends), model.chunk
    )
    agent: Any = model  # it never acts, which is all that an agent has more
    states, _ = train.fit(agent, dataset, updates, batch_size, seeds, every=min(1000, updates))
    pieces = segments(held["observations"], held["actions"], held["valids"] == 0, steps)
    found = []
    for i, seed in enumerate(seeds):
        params = jax.tree.map(lambda leaf, i=i: leaf[i], states.params)
        predict = jax.jit(lambda s, a, params=params: model.predict(params, s, a))
        error = squared_error(unroll(predict, pieces, model.chunk), pieces, model.chunk)
        found += rows_of(error, np.asarray(data.normaliser.scale), model.chunk, seed, updates)
    return found


def standing_still(data: Data, steps: int = STEPS) -> Rows:
    """The error of predicting that nothing moves: the scale of all others.  Its chunk is 0."""
    held = data.held_out
    pieces = segments(held["observations"], held["actions"], held["valids"] == 0, steps)
    states = np.repeat(pieces.obs[None, :, 0], steps + 1, 0)
    return rows_of(squared_error(states, pieces, 1), np.asarray(data.normaliser.scale), 0, 0)


def stored(updates: int = UPDATES, path: str | Path = STORED) -> Rows:
    """Measurements after so many updates, and of standing still, from the package or `path`."""
    return [row for row in _stored(Path(path)) if row["updates"] in (0, updates)]


def _stored(path: Path) -> Rows:
    return read_rows(path, lambda row: {name: float(row[name]) for name in COLUMNS}, COMMAND)


def write(path: Path, rows: Rows) -> None:
    lines = [[f"{row[name]:.6g}" for name in COLUMNS] for row in rows]
    save_rows(path, COLUMNS, lines)


def main(
    out: Annotated[Path, tyro.conf.Positional] = STORED,
    dataset: str = DATASET,
    transitions: int | None = TRANSITIONS,
    chunk_lengths: tuple[int, ...] = (1, 5, 10, 25),
    seeds: tuple[int, ...] = (0, 1, 2),
    updates: int = UPDATES,
    batch_size: int = 256,
    hidden: tuple[int, ...] = (256, 256, 256),
    lr: float = 3e-4,
) -> None:
    """Train a chunk model for each length and seed, and write their errors into OUT (.csv).

    Rows of OUT after another number of updates stay.
    """
    data = read(dataset, transitions)
    earlier = _stored(out) if out.exists() else []
    rows = standing_still(data) + [r for r in earlier if r["updates"] not in (0, updates)]
    widths = data.train["observations"].shape[1], data.train["actions"].shape[1]
    for chunk in chunk_lengths:
        model = ChunkModel(*widths, chunk, hidden=hidden, lr=lr)
        rows += measure(data, model, seeds, updates, batch_size)
        write(out, rows)
        print(f"chunk {chunk}: {out} holds {len(rows)} rows")


if __name__ == "__main__":
    command.run(main, COMMAND)
