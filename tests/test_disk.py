"""Paths as users write them, and files that are whole or not there."""

import io
import os
import re
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from chunkrl import disk, memory
from chunkrl.errors import ConfigError, DataError, WriteError

ARRAYS = {
    "observations": np.arange(10, dtype=np.float32).reshape(5, 2) / 7,
    "abcdefghijklmn": np.asfortranarray(np.arange(6).reshape(2, 3)),  # 64 bytes in the directory
    "timeouts": np.array([False, True]),
    "text": np.array("a text"),
    "none": np.zeros((0, 3)),
}


def test_a_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert disk.user_path("~/d.npz") == Path("/home/somebody/d.npz")
    assert disk.user_path(Path("~")) == Path("/home/somebody")
    assert disk.user_path("a/~/b~") == Path("a/~/b~")


@pytest.mark.parametrize("path", ["a\0b", "", None, 3, b"d.npz", "~nobody-of-this-name/d.npz"])
def test_what_names_no_file_is_refused_in_a_sentence(path):
    with pytest.raises(ConfigError, match="path"):
        disk.user_path(path)


def same(found: dict) -> bool:
    return list(found) == list(ARRAYS) and all(
        found[k].dtype == v.dtype and np.array_equal(found[k], v) for k, v in ARRAYS.items()
    )


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_every_flipped_bit_is_found_or_touched_no_array(tmp_path, save):
    """A sample of all bits, and every bit of the directory's lengths, which can hide arrays."""
    path, damaged = tmp_path / "a.npz", tmp_path / "damaged.npz"
    save(path, **ARRAYS)
    assert same(disk.read(path))
    content = path.read_bytes()
    entries = [match.start() for match in re.finditer(b"PK\1\2", content)]
    assert len(entries) == len(ARRAYS)
    lengths = [8 * entry + bit for entry in entries for bit in range(8 * 28, 8 * 34)]
    bits = np.random.default_rng(0).choice(8 * len(content), 400, replace=False)
    refused = 0
    for bit in [*bits, *lengths]:
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << (bit % 8)
        damaged.write_bytes(flipped)
        try:
            assert same(disk.read(damaged)), f"bit {bit}"
            assert list(disk.read(damaged, ["timeouts"])) == ["timeouts"], f"bit {bit}"
        except DataError:
            refused += 1
    assert refused > len(bits) / 2


def npy(array, **changes) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **changes)
    return stream.getvalue()


MEMBERS = {
    "raw bytes": ({"a.npy": b"no array"}, "'a' cannot be read"),
    "without npy": ({"a": b"no array"}, "'a' cannot be read"),
    "empty": ({"a.npy": b""}, "'a' cannot be read"),
    "longer than its header says": ({"a.npy": npy(np.zeros(3)) + b"x"}, "size disagree"),
    "shorter": ({"a.npy": npy(np.zeros(3))[:-1]}, "expected 24 bytes got 23"),
    "of 10^15 numbers": ({"a.npy": npy(np.zeros(9)).replace(b"(9,)", b"(9e9)")}, "cannot be read"),
    "objects": (
        {"a.npy": npy(np.array([{}]), allow_pickle=True)},
        "Object arrays cannot be loaded",
    ),
    "one name twice": ({"a.npy": npy(np.zeros(3)), "a": npy(np.ones(3))}, "two arrays"),
}


@pytest.mark.parametrize("kind", MEMBERS)
def test_a_member_that_is_no_array_is_refused(tmp_path, kind):
    members, message = MEMBERS[kind]
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(DataError, match=message):
        disk.read(tmp_path / "a.npz")


def fifo(folder):
    os.mkfifo(folder / "fifo")
    return folder / "fifo"


OTHERS = {
    "a pipe": (fifo, "is a pipe"),
    "a folder": (lambda folder: folder, "is a folder"),
    "a device": (lambda _: "/dev/zero", "is a device"),
    "a way through a file": (lambda _: f"{__file__}/a.npz", "cannot be read: Not a directory"),
    "a name too long": (lambda folder: folder / ("a" * 300), "cannot be read: File name too long"),
    "NUL": (lambda _: "a\0.npz", "choose another path"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_file_is_refused_at_once(tmp_path, kind):
    make, message = OTHERS[kind]
    path, caught = make(tmp_path), []

    def try_it():
        try:
            disk.read(path)
        except Exception as error:
            caught.append(error)

    thread = threading.Thread(target=try_it, daemon=True)  # one that waits must not hold us up
    thread.start()
    thread.join(10)
    with pytest.raises((DataError, ConfigError), match=message):
        raise caught[0]


def test_links_and_tildes_lead_to_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.savez(tmp_path / "a.npz", **ARRAYS)
    (tmp_path / "link.npz").symlink_to("a.npz")
    assert same(disk.read("~/link.npz"))
    assert disk.names("~/a.npz") == list(ARRAYS)


def test_arrays_larger_than_memory_are_refused_before_they_are_read(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(10**6), b=np.zeros(3))
    monkeypatch.setattr(memory, "available", lambda: 7e6)
    with pytest.raises(DataError, match=r"8.0 MB of memory are needed, 7.0 MB are free"):
        disk.read(tmp_path / "a.npz")
    assert len(disk.read(tmp_path / "a.npz", ["b"])["b"]) == 3
    monkeypatch.undo()
    assert 1e8 < memory.available() < 1e15


def test_write_sweeps_what_killed_processes_left(tmp_path):
    """Of this name and of processes that are no more; folders too."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f".a.npz.{ended.pid}.tmp").write_bytes(b"half")
    (tmp_path / f".a.npz.{ended.pid}-7f.tmp" / "deep").mkdir(parents=True)
    kept = [f".b.npz.{ended.pid}.tmp", f".a.npz.{os.getppid()}.tmp", ".a.npz.mine.tmp", "a.npz.tmp"]
    for name in kept:
        (tmp_path / name).write_bytes(b"")
    disk.write(tmp_path / "a.npz", lambda file: file.write(b"whole"))
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "a.npz"}
    assert (tmp_path / "a.npz").read_bytes() == b"whole"


LIMITED = """
import resource, sys
import numpy as np
from chunkrl import command, disk
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
with command.sentences("program"):
    disk.write(sys.argv[1], eval(sys.argv[2]))
"""


@pytest.mark.parametrize(
    "save",
    ["lambda file: np.savez(file, a=np.zeros(10**5))", "lambda file: file.write(b'0' * 10**5)"],
)
def test_a_file_that_does_not_fit_ends_in_a_sentence_and_leaves_nothing(tmp_path, save):
    (tmp_path / "a.npz").write_bytes(b"old")
    command = [sys.executable, "-c", LIMITED, tmp_path / "a.npz", save]
    out = subprocess.run(command, capture_output=True, text=True, check=False)
    assert out.returncode == 1
    (line,) = out.stderr.splitlines()
    assert line.startswith(f"program: {tmp_path}/a.npz cannot be written: File too large. Raise")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_output_that_nobody_takes_ends_in_a_sentence():
    code = "from chunkrl import command\nwith command.sentences('program'): print('result')"
    with open("/dev/full", "w") as full:
        out = subprocess.run(
            [sys.executable, "-c", code],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert out.returncode == 1
    assert out.stderr.startswith("program: No space left on device. Free some space")
    assert len(out.stderr.splitlines()) == 1


def test_what_may_not_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"file/a.npz cannot be written: .* Choose another path"):
        disk.write(tmp_path / "file" / "a.npz", lambda file: file.write(b""))
    (tmp_path / "folder").mkdir()
    with pytest.raises(WriteError, match=r"folder cannot be written: Is a directory"):
        disk.write(tmp_path / "folder", lambda file: file.write(b""))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_sweep_removes_what_killed_processes_left_and_no_more(tmp_path):
    for name in (".a.json.12.tmp", ".b.json.13.tmp", "a.json", ".a.json", "c.tmp"):
        (tmp_path / name).write_text("")
    (tmp_path / ".a.json.14.tmp").mkdir()
    (tmp_path / ".a.json.14.tmp" / "x").write_text("")
    disk.sweep(tmp_path, "a.json")
    assert sorted(os.listdir(tmp_path)) == [".a.json", ".b.json.13.tmp", "a.json", "c.tmp"]
    disk.sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".a.json", "a.json", "c.tmp"]
