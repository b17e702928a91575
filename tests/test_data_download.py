"""Downloads from a local server: mirrors in order, cut connections, damaged and foreign answers."""

import http.server
import threading
from contextlib import contextmanager

import numpy as np
import pytest

from chunkrl.data import load
from chunkrl.envs.ogbench.download import MIRRORS, download, mirrors
from chunkrl.envs.ogbench.files import val_path
from chunkrl.errors import ConfigError, DataError

NAME = "cube-single-play-v0"


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; `ranges`: honours Range; `cuts`: bytes after which each answer breaks off."""

    def __init__(self, files, ranges=True, cuts=()):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.ranges, self.cuts, self.asked = files, ranges, list(cuts), []


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path, wanted))
        content = self.server.files.get(self.path)
        if content is None:
            return self.send_error(404)
        start = int(wanted[6:-1]) if wanted and self.server.ranges else 0
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts else None
        self.wfile.write(content[start:][:cut])
        return None

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
