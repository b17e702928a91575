"""No file of the authors' numbers goes unread, and a clone holds some for every test of them."""

import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import reduce_parity
from reference import Vectors

TESTS = Path(__file__).parent
SHIPPED = TESTS / "parity"

# Files of methods that are not built yet.  Whoever builds one takes its files off.
NOT_BUILT: dict[str, str] = {}


def names(text):
    return set(text.split())


def functions(holder):
    """The tests of a module, those in its classes too."""
    for key, value in vars(holder).items():
        if inspect.isclass(value) and key.startswith("Test"):
            yield from functions(value)
        elif key.startswith("test_"):
            yield value


def declared():
    """Test -> its files: the values of `name`, which the fixture `parity` holds it to."""
    found = {}
    for path in sorted(TESTS.glob("test_*.py")):
        if re.search(r"def test_\w+\([^)]*\bparity\b", path.read_text()):
            for test in functions(importlib.import_module(path.stem)):
                if "parity" in inspect.signature(test).parameters:
                    marks = getattr(test, "pytestmark", [])
                    lists = [m.args[1] for m in marks if m.args[:1] == ("name",)]
                    assert len(lists) == 1, f"{path.stem}.{test.__name__} declares no files"
                    found[f"{path.stem}.{test.__name__}"] = set(lists[0])
    return found


def unaccounted(folder, read, waiting):
    """What is wrong between the files of a folder, those read, and those that wait."""
    left_out = folder / reduce_parity.LEFT_OUT
    there = {path.stem for path in folder.glob("*.npz")}
    there |= names(left_out.read_text()) if left_out.is_file() else set()
    return {
        "no test reads": there - read - waiting,
        "read, so no longer waiting": read & waiting,
        "read, but not in the folder": read - there,
        "waiting, but not in the folder": waiting - there,
    }


def test_every_file_is_read_or_waits_for_its_method(parity_folder):
    read, waiting = set().union(*declared().values()), names(" ".join(NOT_BUILT.values()))
    wrong = unaccounted(parity_folder, read, waiting)
    assert not any(wrong.values()), wrong


def test_a_file_that_is_forgotten_is_found(tmp_path):
    """A file no one reads, in the folder or left out of it, and each disagreement of the lists."""
    for name in ("read", "waiting", "new"):
        (tmp_path / f"{name}.npz").touch()
    assert not any(unaccounted(tmp_path, {"read", "new"}, {"waiting"}).values())
    assert unaccounted(tmp_path, {"read"}, {"waiting"})["no test reads"] == {"new"}
    (tmp_path / reduce_parity.LEFT_OUT).write_text("elsewhere\n")
    assert unaccounted(tmp_path, {"read"}, {"waiting"})["no test reads"] == {"new", "elsewhere"}
    wrong = unaccounted(tmp_path, {"read", "new", "gone"}, {"new", "lost", "elsewhere"})
    assert wrong == {
        "no test reads": {"waiting"},
        "read, so no longer waiting": {"new"},
        "read, but not in the folder": {"gone"},
        "waiting, but not in the folder": {"lost"},
    }


def test_the_shipped_set_is_small_and_reaches_every_family():
    files = [path for path in SHIPPED.iterdir() if path.is_file()]
    assert {path.stem for path in files if path.suffix == ".npz"} == set(reduce_parity.KEPT)
    assert sum(path.stat().st_size for path in files) < 1_000_000
    unchecked = {test for test, files in declared().items() if files.isdisjoint(reduce_parity.KEPT)}
    # Networks are part of files that are kept; ten critics after every update would not fit.
    assert unchecked == {
        "test_parity_mac.test_networks",
        "test_parity_rlpd.test_networks",
        "test_parity_rlpd.test_updates",
    }


def awkward(seed):
    """Arrays of every kind that a file may hold, with values that rounding would change."""
    r = np.random.default_rng(seed)
    bits = r.integers(0, 2**32, (3, 5), dtype=np.uint32).view(np.float32)  # some nan, denormal
    return {
        "params.flow.layer1.kernel": bits,
        "loss.total": np.float32(0.1),
        "out.single": np.float32([-0.0, np.inf, np.nan]),
        "out.empty": np.zeros((4, 0), np.float32),
        "batch.terminals": np.array([0, 1], np.float32),
        "out.index": np.arange(4).reshape(2, 2),
        "seeded": np.array([0.1, 0.2]),
        "flag": np.array(True),
        "rng.key": np.uint32([1, 2]),
        "meta": np.array('{"horizon": 4}'),
    }


def test_packing_keeps_every_bit():
    arrays = awkward(0)
    back = reduce_parity.unpack(reduce_parity.pack(arrays))
    assert back.keys() == arrays.keys()
    for key, value in arrays.items():
        expected = np.asarray(value)
        assert back[key].dtype == expected.dtype, key
        assert back[key].shape == expected.shape, key
        assert back[key].tobytes() == expected.tobytes(), key


@pytest.mark.parametrize("kept", [["qc"], ["qc", "iql"]])
def test_reducing_drops_keys_and_names_the_files_left_out(tmp_path, monkeypatch, kept):
    monkeypatch.setattr(reduce_parity, "KEPT", dict.fromkeys(kept, r"rng|batch\.terminals"))
    source, target = tmp_path / "full", tmp_path / "made" / "reduced"
    source.mkdir()
    for seed, name in enumerate(["qc", "iql", "mac"]):
        np.savez_compressed(source / f"{name}.npz", **awkward(seed))
    reduce_parity.reduce(source, target)
    left_out = names((target / reduce_parity.LEFT_OUT).read_text())
    assert left_out == {"qc", "iql", "mac"} - set(kept)
    for again, into in ((source, source), (target, tmp_path / "twice")):
        with pytest.raises(SystemExit, match="full folder"):
            reduce_parity.reduce(again, into)
    for name in kept:
        full, reduced = (Vectors(folder / f"{name}.npz") for folder in (source, target))
        assert full.keys() - reduced.keys() == {"rng.key", "batch.terminals"}
        assert full.meta == reduced.meta
        for key, value in reduced.items():
            assert value.tobytes() == full[key].tobytes(), key


def test_the_command_reduces_the_folder_at_hand(parity_folder, tmp_path):
    """With other sizes too: the keys that are dropped are named by what they are."""
    if (parity_folder / reduce_parity.LEFT_OUT).is_file():
        pytest.skip(f"{parity_folder} is reduced already")
    reduce_parity.reduce(parity_folder, tmp_path)
    for name in reduce_parity.KEPT:
        full, reduced = (Vectors(folder / f"{name}.npz") for folder in (parity_folder, tmp_path))
        shipped = Vectors(SHIPPED / f"{name}.npz")
        assert reduced.keys() == shipped.keys()
        assert all(reduced[key].tobytes() == full[key].tobytes() for key in reduced)
