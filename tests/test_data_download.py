"""Downloads from a local server: mirrors in order, cut connections, damaged and foreign answers."""

import hashlib
import http.server
import io
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import contextmanager, suppress

import numpy as np
import pytest

from chunkrl.data import load
from chunkrl.envs.ogbench import download as downloads
from chunkrl.envs.ogbench.download import MIRRORS, download, mirrors
from chunkrl.envs.ogbench.files import val_path
from chunkrl.errors import ConfigError, DataError

NAME = "cube-single-play-v0"


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; `ranges`: honours Range; `cuts`: bytes after which each answer breaks off.

    `redirect`: where each answer sends on to; `headers`: more of them; `slow`: what trickles.
    """

    def __init__(self, files, ranges=True, cuts=(), redirect="", headers=None, slow=()):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.ranges, self.cuts, self.asked = files, ranges, list(cuts), []
        self.redirect, self.headers, self.slow = redirect, headers or {}, slow


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path, wanted))
        content = self.server.files.get(self.path)
        if self.server.redirect:
            self.send_response(302)
            self.send_header("Location", self.server.redirect + self.path)
            for name, value in self.server.headers.items():
                self.send_header(
                    name, value.get(self.path, "") if isinstance(value, dict) else value
                )
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if "headers" in self.server.slow:
            return self.trickle(b"HTTP/1.1 200 OK\r\nX-Slow: " + bytes(range(65, 90)) * 9)
        if content is None:
            return self.send_error(404)
        start = int(wanted[6:-1]) if wanted and self.server.ranges else 0
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        length = {"Content-Length": str(len(content) - start)}
        for name, value in (length | ({} if self.server.redirect else self.server.headers)).items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if "body" in self.server.slow:
            return self.trickle(content)
        if "stalls" in self.server.slow:
            self.wfile.write(content[start : start + 1])
            return time.sleep(3)
        cut = self.server.cuts.pop(0) if self.server.cuts else None
        self.wfile.write(content[start:][:cut])
        return None

    def trickle(self, content):
        with suppress(OSError):
            for byte in content:
                self.wfile.write(bytes([byte]))
                time.sleep(0.05)

    def log_message(self, *_):
        pass


@contextmanager
def serving(files, **behaviour):
    server = Server(files, **behaviour)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def address(server):
    return f"http://127.0.0.1:{server.server_address[1]}"


def use(monkeypatch, *addresses):
    monkeypatch.setenv("CHUNKRL_MIRRORS", ", ".join(addresses))


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The bytes of a small dataset file, and those of its validation file."""
    folder = tmp_path_factory.mktemp("content")
    rng = np.random.default_rng(0)
    both = []
    for rows in (400, 40):
        np.savez(
            folder / "file.npz",
            observations=rng.normal(size=(rows, 28)).astype(np.float32),
            actions=rng.uniform(-1, 1, (rows, 5)).astype(np.float32),
            terminals=np.arange(rows) % 20 == 19,
        )
        both.append((folder / "file.npz").read_bytes())
    return both


@pytest.fixture
def files(content):
    return {f"/{NAME}.npz": content[0], f"/{NAME}-val.npz": content[1]}


def fetch(folder, **settings):
    return download(NAME, folder, progress=False, timeout=5, **settings)


def test_fetches_both_files_once(tmp_path, files, content, monkeypatch):
    with serving(files) as server:
        use(monkeypatch, address(server))
        path = fetch(tmp_path)
        assert path == tmp_path / f"{NAME}.npz"
        assert [path.read_bytes(), val_path(path).read_bytes()] == content
        assert len(load(path)["actions"]) == 380
        assert fetch(tmp_path) == path
    assert server.asked == [(f"/{NAME}-val.npz", None), (f"/{NAME}.npz", None)]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("ranges", [True, False])
def test_goes_on_after_cut_connections(tmp_path, files, content, monkeypatch, ranges):
    with serving(files, ranges=ranges, cuts=[100, None, 20_000, 10_000]) as server:
        use(monkeypatch, address(server))
        path = fetch(tmp_path)
    assert [path.read_bytes(), val_path(path).read_bytes()] == content
    ends = [20_000, 30_000] if ranges else [20_000, 10_000]
    wanted = [None, *(f"bytes={end}-" for end in ends)]
    assert [header for name, header in server.asked if name == f"/{NAME}.npz"] == wanted


def test_a_later_call_resumes(tmp_path, files, content, monkeypatch):
    part = tmp_path / f"{NAME}.npz.part"
    with serving(files, cuts=[None, 20_000, 0, 0, 0]) as server:
        use(monkeypatch, address(server))
        with pytest.raises(DataError, match="at byte 20000, 3 times in a row"):
            fetch(tmp_path)
    assert part.stat().st_size == 20_000
    assert not (tmp_path / f"{NAME}.npz").exists()
    with serving(files) as server:
        use(monkeypatch, address(server))
        assert fetch(tmp_path).read_bytes() == content[0]
    assert server.asked == [(f"/{NAME}.npz", "bytes=20000-")]
    assert not part.exists()


@pytest.mark.parametrize("start", ["whole", "longer", "other bytes"])
def test_odd_partial_files(tmp_path, files, content, monkeypatch, start):
    """A part that is complete is used; one that belongs to another file is fetched again."""
    good = content[0]
    odd = {"whole": good, "longer": good + b"x", "other bytes": bytes(5000)}[start]
    (tmp_path / f"{NAME}.npz.part").write_bytes(odd)
    with serving(files) as server:
        use(monkeypatch, address(server))
        assert fetch(tmp_path).read_bytes() == good


def damaged(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("fault", ["missing", "page", "damaged", "dead", "no address"])
def test_mirrors_are_tried_in_order(tmp_path, files, content, monkeypatch, fault):
    answers = {
        "page": dict.fromkeys(files, b"<html>moved</html>"),
        "damaged": {name: damaged(data) for name, data in files.items()},
    }
    with serving(answers.get(fault, {})) as first, serving(files) as second:
        bad = {"dead": "http://127.0.0.1:9", "no address": "nonsense"}.get(fault, address(first))
        use(monkeypatch, bad, address(second))
        path = fetch(tmp_path)
    assert [path.read_bytes(), val_path(path).read_bytes()] == content
    assert len(second.asked) == 2
    assert not list(tmp_path.glob("*.part"))


def test_the_first_mirror_is_enough(tmp_path, files, monkeypatch):
    with serving(files) as first, serving(files) as second:
        use(monkeypatch, address(first), address(second))
        fetch(tmp_path)
    assert not second.asked


def test_error_lists_what_was_tried(tmp_path, content, monkeypatch):
    bad = {f"/{NAME}-val.npz": damaged(content[1])}
    with serving({}) as empty, serving(bad) as broken:
        use(monkeypatch, address(empty), address(broken), "http://127.0.0.1:9")
        with pytest.raises(DataError) as error:
            fetch(tmp_path)
    text = str(error.value)
    assert f"{address(empty)}/{NAME}-val.npz: HTTP 404" in text
    assert f"{address(broken)}/{NAME}-val.npz: what it gave is no dataset" in text
    assert "http://127.0.0.1:9" in text
    assert "CHUNKRL_MIRRORS" in text
    assert "chunkrl data make" in text
    assert not list(tmp_path.iterdir())


def test_a_file_that_load_refuses_is_refused(tmp_path, files, monkeypatch):
    np.savez(tmp_path / "other.npz", images=np.zeros(3))
    files[f"/{NAME}.npz"] = (tmp_path / "other.npz").read_bytes()
    with serving(files) as server:
        use(monkeypatch, address(server))
        with pytest.raises(DataError, match="no array 'observations'"):
            fetch(tmp_path / "data")


def test_folders_of_shards(tmp_path, content, monkeypatch):
    folder = "cube-quadruple-play-100m-v0"
    pairs = {
        f"/{folder}/cube-quadruple-play-v0-{i:03d}{suffix}.npz": data
        for i in (7, 42)
        for suffix, data in (("", content[0]), ("-val", content[1]))
    }
    with serving(pairs) as server:
        use(monkeypatch, address(server))
        path = download(folder, tmp_path, shards=[7, 42], progress=False)
        assert path == tmp_path / folder
        assert sorted(f"/{folder}/{file.name}" for file in path.iterdir()) == sorted(pairs)
        with pytest.raises(DataError, match=r"v0-000-val\.npz"):
            download(folder, tmp_path, progress=False)  # all 100 are the default
    with pytest.raises(ConfigError, match="one file"):
        download(NAME, tmp_path, shards=[1])
    for numbers in ([0, 100], [-1], []):
        with pytest.raises(ConfigError, match="are 0 to 99"):
            download(folder, tmp_path, shards=numbers)


@pytest.mark.parametrize("name", ["../secret", "cube single", f"{NAME[:-3]}-singletask-v0"])
def test_names_that_are_no_dataset(tmp_path, name):
    with pytest.raises(ConfigError, match="no state-based dataset"):
        download(name, tmp_path)


def test_a_misspelt_name_is_answered_before_any_mirror_is_asked(tmp_path, monkeypatch):
    use(monkeypatch, "http://127.0.0.1:1")
    for name in ("cube-singel-play-v0", "cube-singel-play-100m-v0"):
        with pytest.raises(ConfigError, match=r"did you mean cube-single-play-v0"):
            download(name, tmp_path)


def test_default_mirrors(monkeypatch):
    monkeypatch.delenv("CHUNKRL_MIRRORS", raising=False)
    assert mirrors() == MIRRORS
    use(monkeypatch, "http://a/", "http://b")
    assert mirrors() == ("http://a", "http://b")
    import ogbench.utils

    assert ogbench.utils.DATASET_URL in MIRRORS


def refused(folder, monkeypatch, *servers, timeout=5.0):
    use(monkeypatch, *map(address, servers))
    with pytest.raises(DataError) as error:
        download(NAME, folder, progress=False, timeout=timeout)
    assert not [file.name for file in folder.iterdir() if file.suffix == ".npz"]
    return str(error.value)


def linked(files):
    return {name: f'"{hashlib.sha256(data).hexdigest()}"' for name, data in files.items()}


def test_the_checksum_of_a_redirect_is_compared(tmp_path, files, content, monkeypatch):
    """As Hugging Face tells it: on the way to its storage, which tells nothing."""
    other = dict.fromkeys(files, content[1])  # whole archives, of other data
    with serving(files) as storage, serving(other) as wrong:
        told = {"X-Linked-Etag": linked(files)}
        with serving({}, redirect=address(wrong), headers=told) as lying:
            use(monkeypatch, address(lying))
            files_there = f"/{NAME}.npz"
            with pytest.raises(DataError, match="SHA-256 begins with"):
                fetch(tmp_path)
            assert files_there not in os.listdir(tmp_path)
        with serving({}, redirect=address(storage), headers=told) as right:
            use(monkeypatch, address(right))
            assert fetch(tmp_path).read_bytes() == content[0]


def test_a_finished_part_is_compared_too(tmp_path, files, content, monkeypatch):
    """Left by a kill before it got its name: the server has nothing to add, and the redirect says
    which file it should be."""
    path = tmp_path / f"{NAME}-val.npz.part"
    path.write_bytes(damaged_twice(content[1]))
    with (
        serving(files) as storage,
        serving({}, redirect=address(storage), headers={"X-Linked-Etag": linked(files)}) as right,
    ):
        use(monkeypatch, address(right))
        assert val_path(fetch(tmp_path)).read_bytes() == content[1]


def damaged_twice(content):
    """A whole archive of as many bytes with other numbers."""
    with np.load(io.BytesIO(content)) as arrays:
        changed = {name: values.copy() for name, values in arrays.items()}
    changed["observations"][0] += 1
    np.savez(stream := io.BytesIO(), **changed)
    assert len(stream.getvalue()) == len(content)
    return stream.getvalue()


@pytest.mark.parametrize("to", ["file://", "ftp://127.0.0.1:9", "gopher://x"])
def test_redirects_out_of_the_web_are_refused(tmp_path, content, monkeypatch, to):
    (tmp_path / "etc").write_bytes(content[1])
    with serving({}, redirect=to) as server:
        text = refused(tmp_path, monkeypatch, server)
    assert "redirect" in text.lower()
    assert to in text


@pytest.mark.parametrize("mirror", ["file://{}", "ftp://127.0.0.1:9", "data:,x"])
def test_mirrors_out_of_the_web_are_refused(tmp_path, files, monkeypatch, mirror):
    for name, data in files.items():
        (tmp_path / name[1:]).write_bytes(data)
    use(monkeypatch, mirror.format(tmp_path))
    with pytest.raises(DataError, match="no http or https address"):
        fetch(tmp_path / "new")


def test_a_page_does_not_replace_what_was_fetched(tmp_path, files, content, monkeypatch):
    """A proxy's login page, with and without its type, while a half file waits to go on."""
    part = tmp_path / f"{NAME}-val.npz.part"
    part.write_bytes(content[1][:2000])
    pages = dict.fromkeys(files, b"<html>log in first</html>")
    for headers in ({"Content-Type": "text/html; charset=utf-8"}, {}):
        with serving(pages, ranges=False, headers=headers) as proxy:
            text = refused(tmp_path, monkeypatch, proxy)
        assert ("web page" if headers else "no npz archive") in text
        assert part.read_bytes() == content[1][:2000]
    with serving(files) as server:
        use(monkeypatch, address(server))
        fetch(tmp_path)
        assert server.asked[0][1] == "bytes=2000-"


@pytest.mark.parametrize("length", ["told", "untold", "a lie"])
def test_files_beyond_any_dataset_are_refused(tmp_path, files, monkeypatch, length):
    monkeypatch.setattr(downloads, "LARGEST", 2000)
    headers = {} if length == "told" else {"Content-Length": "" if length == "untold" else "1900"}
    with serving(files, headers=headers) as server:
        text = refused(tmp_path, monkeypatch, server)
    assert ("can have" in text) == (length != "a lie")
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 8000


def test_archives_that_grow_beyond_any_dataset_are_refused(tmp_path, monkeypatch):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("observations.npy", bytes(10**6))
    monkeypatch.setattr(downloads, "LARGEST", 10**5 // 4)
    with serving({f"/{NAME}-val.npz": stream.getvalue()}) as server:
        assert "unpacked it would have 1.0 MB" in refused(tmp_path, monkeypatch, server)


@pytest.mark.parametrize("slow", ["headers", "body", "stalls"])
def test_a_trickle_ends(tmp_path, files, monkeypatch, slow):
    begin = time.monotonic()
    with serving(files, slow=(slow,)) as server:
        text = refused(tmp_path, monkeypatch, server, timeout=0.7)
    assert {"headers": "no answer within", "body": "bytes a second", "stalls": "3 times"}[
        slow
    ] in text
    assert time.monotonic() - begin < 15


@pytest.mark.parametrize("kind", ["link", "dangling link", "part", "pipe"])
def test_nothing_is_written_through_a_link(tmp_path, files, content, monkeypatch, kind):
    mine, folder = tmp_path / "mine", tmp_path / "data"
    folder.mkdir()
    mine.write_bytes(content[1])
    val = folder / f"{NAME}-val.npz"
    place = val.with_name(f"{val.name}.part") if kind in ("part", "pipe") else val
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(tmp_path / "gone" if kind == "dangling link" else mine)
    with serving(files) as server:
        use(monkeypatch, address(server))
        if kind == "link":  # to data that lie elsewhere: they are read
            assert fetch(folder).exists()
        else:
            with pytest.raises(DataError, match="a link or no plain file"):
                fetch(folder)
    assert sorted(os.listdir(tmp_path)) == ["data", "mine"]
    assert mine.read_bytes() == content[1]


FETCH = """
import sys
from chunkrl import command
command.listen("fetch")  # as the command line does
from chunkrl.envs.ogbench.download import download
with command.sentences("fetch"):
    download(sys.argv[1], sys.argv[2], progress=False)
"""


def test_processes_that_fetch_one_file_fetch_it_once(tmp_path, files, content, monkeypatch):
    with serving(files) as server:
        use(monkeypatch, address(server))
        command = [sys.executable, "-c", FETCH, NAME, tmp_path]
        jobs = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
        assert [job.communicate()[1] for job in jobs] == [b""] * 3
        assert len(server.asked) == 2
    assert sorted(os.listdir(tmp_path)) == [f"{NAME}-val.npz", f"{NAME}.npz"]


@pytest.mark.parametrize("moment", [0.5, "connected", "bytes"])
def test_ctrl_c_ends_soon_and_the_download_goes_on(tmp_path, files, content, monkeypatch, moment):
    """While modules are read, before an answer comes, and in the middle of the file."""
    slow = ("headers",) if moment == "connected" else ("body",)
    part = tmp_path / f"{NAME}-val.npz.part"
    with serving(files, slow=slow) as server:
        use(monkeypatch, address(server))
        job = subprocess.Popen(
            [sys.executable, "-c", FETCH, NAME, tmp_path], stderr=subprocess.PIPE
        )
        if moment == 0.5:
            time.sleep(moment)
        while (moment == "connected" and not server.asked) or (
            moment == "bytes" and not part.exists()
        ):
            assert job.poll() is None
            time.sleep(0.01)
        time.sleep(0.3)
        job.send_signal(signal.SIGINT)
        begin = time.monotonic()
        error = job.communicate(timeout=20)[1].decode()
        assert time.monotonic() - begin < 5
    assert job.returncode in (1, 130, -signal.SIGINT)
    if moment != 0.5:
        assert error.strip().startswith("fetch: stopped")
    if moment != 0.5:  # how far it comes in that time depends on the machine
        assert part.exists() == (moment == "bytes")
    with serving(files) as server:
        use(monkeypatch, address(server))
        assert fetch(tmp_path).read_bytes() == content[0]
    assert sorted(os.listdir(tmp_path)) == [f"{NAME}-val.npz", f"{NAME}.npz"]
