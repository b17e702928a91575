"""What a measurement of a run holds, and the file that keeps it."""

import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chunkrl import disk
from chunkrl.errors import DataError


class Values(NamedTuple):
    """Of the policy in S states, M rollouts each, in discounted rewards of the task."""

    truth: np.ndarray  # [S, M]  what the simulator paid
    excess: np.ndarray  # [S, M]  by how much that is too high at most, being cut
    solved: np.ndarray  # [S, M] bool  whether the task was solved at any time
    critic: np.ndarray  # [S, M]  Q(s, the chunk that was chosen)
    real: np.ndarray  # [H + 1, S, M]  targets along the real rollouts; H = 0 is V(s)
    target: np.ndarray  # [J, H + 1, S, M]  targets inside each of J models


class Backups(NamedTuple):
    """After n logged actions, for each of B lengths n; the critic reads the first h of them."""

    truth: np.ndarray  # [B, S, M]  n logged rewards, then what the policy earns
    target: np.ndarray  # [B, S, M]  the n-step target: n logged rewards, then V(s_{t+n})
    critic: np.ndarray  # [S]  Q(s, the logged chunk)


class Record(NamedTuple):
    """What was measured of a run."""

    values: Values  # leaves [seeds, C, ...], C numbers of candidates
    backups: Backups  # leaves [seeds, ...], with the first number of candidates
    seeds: np.ndarray  # [seeds]
    candidates: np.ndarray  # [C]  N of the policy
    steps: np.ndarray  # [J]  of the models, the agent's own first; empty without models
    lengths: np.ndarray  # [B]  n of the backups
    rows: np.ndarray  # [S]  of the data file
    drift: np.ndarray  # [seeds, J, K + 1, O]  of the models alone, see `drift.drift`
    about: dict  # the run, its units and its versions

    @property
    def discount(self) -> float:
        return self.about["discount"]

    @property
    def chunk(self) -> int:
        return self.about["chunk"]


def estimates(record: Record, seed: int = 0) -> dict[str, np.ndarray]:
    """Errors of everything that stands for a value, by name, for a seed and the first N.  [S, M]

    Those of logged chunks are against Q(s, the logged chunk): n-step targets, which also earn what
    others did after it, are off by that too.
    """
    values, backups = record.values, record.backups
    truth = values.truth[seed, 0]
    found = {
        "value V(s)": values.real[seed, 0, 0] - truth,
        "critic Q(s, chosen chunk)": values.critic[seed, 0] - truth,
    }
    if record.chunk in record.lengths:
        b = record.lengths.tolist().index(record.chunk)
        given = backups.truth[seed, b]
        found["critic Q(s, logged chunk)"] = backups.critic[seed][:, None] - given
        # Other rollouts than those of the truth, unless n = h: pairs of them share no noise.
        targets = zip(record.lengths, backups.target[seed], strict=True)
        found |= {f"logged {n}-step target": target - given for n, target in targets}
    return found


def save(path: str | Path, record: Record) -> None:
    """Write an npz of numbers and a JSON text, float32, without pickle."""
    arrays = {f"values.{k}": v for k, v in record.values._asdict().items()}
    arrays |= {f"backups.{k}": v for k, v in record.backups._asdict().items()}
    arrays |= {name: getattr(record, name) for name in Record._fields[2:-1]}
    small = {k: v.astype("f4") if v.dtype.kind == "f" else v for k, v in arrays.items()}
    text, stream = np.array(json.dumps(record.about)), io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, about=text, **small)
    disk.write(path, lambda file: file.write(stream.getvalue()))


def load(path: str | Path) -> Record:
    """What `save` wrote.  Raises DataError."""
    found: dict[str, Any] = disk.read(path)
    try:
        parts: list[Any] = [
            kind(*(found.pop(f"{name}.{field}").astype(float) for field in kind._fields))
            for name, kind in (("values", Values), ("backups", Backups))
        ]
        about = json.loads(str(found.pop("about")))
        return Record(*parts, **found, about=about)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} holds no value errors ({error}): measure them again") from error
