"""One page without a kernel: a chunk policy steers OGBench's cube scene in the browser."""

import base64
import gzip
import json
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from chunkrl import disk
from chunkrl.envs import family
from chunkrl.envs.ogbench import TASK, scene
from chunkrl.experiments import experiment, export
from chunkrl.site import npm

HERE = Path(__file__).parent
AGENTS = ("qc", "qc_fql", "mac", "fql")  # that come with the package, and have this task
MUJOCO = ("@mujoco/mujoco", "3.14.0")  # its archive's SHA-512:
SHA512 = "WPUYidu4Fx8+uM4hQv80SOA0ifpWGrsNJguKs8JBV8SCTxjKQ2/rqsh880nUH0/Vwa8vuefghvCQkkoed3bkUg=="


def make(folder: Path) -> None:
    """Write the page into `folder`: its index.html opens from disk and from any web server.

    The physics is MuJoCo's WebAssembly build, from npm.  Raises ChunkRLError where it cannot be
    had, or `folder` not be written.
    """
    engine = npm.files(*MUJOCO, SHA512, ("mujoco.js", "mujoco.wasm"))
    _write(folder / "engine.js", "ENGINE", {name: _packed(x) for name, x in engine.items()})
    _write(folder / "agents.js", "AGENTS", agents())
    _write(folder / "scene.js", "SCENE", scene.described(family.get(TASK)))
    disk.write(folder / "licences.txt", lambda out: out.write(licences().encode()))
    _write(folder / "measured.js", "MEASURED", disk.read_json(HERE / "measured.json"))
    with disk.writing(folder):
        for file in HERE.iterdir():
            if file.suffix in (".html", ".css", ".js"):
                shutil.copyfile(file, folder / file.name)


def agents() -> dict[str, Any]:
    """What `Agent` in policy.js reads: every parameter in one row of numbers, and what is where."""
    about, row, length = {}, [], 0
    for name in AGENTS:
        about[name], arrays = export.described(experiment.load(name), 0)
        about[name]["arrays"] = places = {}
        for key, x in arrays.items():
            places[key] = [length, x.shape]
            row.append(np.ravel(x).astype("<f4"))
            length += x.size
    return {"about": about, "weights": _packed(np.concatenate(row).tobytes())}


def licences() -> str:
    """Those of MuJoCo and of OGBench's robots, as they came with the packages."""
    found = [file for name in ("mujoco", "ogbench") for file in metadata.files(name) or ()]
    texts = {file: file.read_text() for file in found if file.name == "LICENSE"}
    return "\n\n".join(f"{file}\n\n{text}" for file, text in texts.items())


def _packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()


def _write(file: Path, name: str, what: Any) -> None:
    """A script that says what `name` is: a page that is opened from disk may read nothing else."""
    text = f'"use strict";\nconst {name} = {json.dumps(what, default=_plain)};\n'
    disk.write(file, lambda out: out.write(text.encode()))


def _plain(x: Any) -> Any:
    return np.asarray(x).tolist()
