"""The small files of the course: what is written comes back, and damage names the remedy."""

import numpy as np
import pytest

from chunkrl.errors import DataError, WriteError
from chunkrl.results import stored

REMEDY = r"Make it again: python -m chunkrl\.somewhere"
COMMAND = "python -m chunkrl.somewhere"


def test_arrays_come_back_to_the_bit(tmp_path) -> None:
    path, half = tmp_path / "a.npz", np.linspace(0, 1, 7, dtype=np.float16)
    stored.save_arrays(path, {"half": half, "flag": np.array([True, False])})
    found = stored.arrays(path, ("half",), COMMAND)
    assert list(found) == ["half"]
    assert found["half"].dtype == np.float16
    np.testing.assert_array_equal(found["half"], half)
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("damage", ["absent", "cut", "flipped", "foreign", "lacking", "objects"])
def test_damaged_arrays_name_the_command(tmp_path, damage: str) -> None:
    path = tmp_path / "a.npz"
    stored.save_arrays(path, {"x": np.random.default_rng(0).random(500)})
    whole = path.read_bytes()
    if damage == "absent":
        path.unlink()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    if damage == "flipped":
        path.write_bytes(whole[:2000] + bytes(9) + whole[2009:])
    if damage == "foreign":
        path.write_text("not an archive")
    if damage == "objects":
        np.savez(path, x=np.array([{}], object))
    name = "y" if damage == "lacking" else "x"
    with pytest.raises(DataError, match=REMEDY):
        stored.arrays(path, (name,), COMMAND)


def test_rows_come_back_as_they_are_read(tmp_path) -> None:
    path = tmp_path / "a.csv"
    stored.save_rows(path, ("seed", "name"), [(3, "a, b"), (4, "c")])
    assert path.read_bytes() == b'seed,name\n3,"a, b"\n4,c\n'
    read = lambda row: (int(row["seed"]), row["name"])
    assert stored.rows(path, read, COMMAND) == [(3, "a, b"), (4, "c")]


@pytest.mark.parametrize("content", [None, "name\na\n", "seed\nx\n", "name,seed\na\n"])
def test_damaged_rows_name_the_command(tmp_path, content: str | None) -> None:
    path = tmp_path / "a.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=REMEDY):
        stored.rows(path, lambda row: int(row["seed"]), COMMAND)


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a.csv"
    stored.save_rows(path, ("x",), [(1,)])
    monkeypatch.setattr("chunkrl.disk.os.replace", lambda *_: (_ for _ in ()).throw(OSError))
    with pytest.raises(WriteError, match=r"a\.csv cannot be written"):
        stored.save_rows(path, ("x",), [(2,)])
    assert path.read_text() == "x\n1\n"
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]
