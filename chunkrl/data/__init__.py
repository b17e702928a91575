"""Datasets: checked, cut into windows and chunks, drawn on the device.

`load_task`, `generate`, `download` and their like belong to OGBench and live in
`chunkrl.envs.ogbench`; this door leads there when one of them is asked for.
"""

import importlib

_HOMES = {
    "load": "chunkrl.data.dataset",
    "import_data": "chunkrl.data.importing",
    "load_task": "chunkrl.envs.ogbench.relabel",
    "load_chunks": "chunkrl.envs.ogbench.relabel",
    "generate": "chunkrl.envs.ogbench.generate",
    "download": "chunkrl.envs.ogbench.download",
    "data_dir": "chunkrl.envs.ogbench.files",
    "locate": "chunkrl.envs.ogbench.files",
}


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
