"""Which files of the Python index a browser can install."""

import io
import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import browser_wheels

NATIVE = [
    "some-2.1-cp312-cp312-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
    "some-2.1-cp312-cp312-win_arm64.whl",
    "some-2.1.wasm32.tar.gz",
    "some_wasm32-2.1-py3-none-any.whl",
]
BROWSER = [
    "some-2.1-cp313-cp313-pyodide_2025_0_wasm32.whl",
    "some-2.1-1-cp314-cp314-emscripten_4_0_9_wasm32.pyemscripten_2026_0_wasm32.whl",
]


def answer(*names):
    return {"info": {"version": "2.1"}, "urls": [{"filename": name} for name in names]}


def served(monkeypatch, text):
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(text.encode()))


def test_browser_wheels_are_those_whose_platform_is_webassembly():
    files = [NATIVE[0], BROWSER[0], *NATIVE[1:], BROWSER[1]]
    assert browser_wheels.browser_wheels(answer(*files)) == BROWSER
    assert browser_wheels.browser_wheels(answer(*NATIVE)) == []


@pytest.mark.parametrize(
    ("files", "line", "status"),
    [
        (NATIVE, "scipy 2.1: no browser wheel among 4 files\n", 1),
        (BROWSER, f"scipy 2.1: 2 browser wheels, such as {BROWSER[0]}\n", 0),
        ([], "scipy 2.1: no browser wheel among 0 files\n", 1),
    ],
)
def test_a_line_says_what_there_is(files, line, status, monkeypatch, capsys):
    served(monkeypatch, json.dumps(answer(*files)))
    assert browser_wheels.main() == status
    assert line in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "<html>", "[]", "{}", '{"urls": 3, "info": {}}'])
def test_an_answer_that_is_none_is_told(text, monkeypatch, capsys):
    served(monkeypatch, text)
    assert browser_wheels.main() == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "pypi.org/pypi/numpy/json gives no answer that can be read" in told.err


def test_without_a_network_one_sentence_says_so(monkeypatch, capsys):
    def unreachable(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    assert browser_wheels.main() == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_it_runs_by_itself_without_the_package(tmp_path):
    """A schedule elsewhere has Python alone; the proxy that is not there stands for no network."""
    done = subprocess.run(
        [sys.executable, "-I", browser_wheels.__file__],
        env={"https_proxy": "http://127.0.0.1:9"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "check the network, and repeat" in done.stderr
