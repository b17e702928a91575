"""Settings by domain, from the Q-chunking paper, and by size: seconds, minutes, paper scale."""

from dataclasses import dataclass, replace

from chunkrl.agents import METHODS, canonical
from chunkrl.errors import ConfigError
from chunkrl.policies import OneStep

# Strength of the behaviour constraint, Q-chunking paper, appendix: distillation weight
# alpha of the one-step methods, number of candidates N of the best-of-N methods.
# fmt: off
STRENGTH = {
    #                   fql  fql_n  qc_fql  bfn  bfn_n   qc
    "scene":           (300,  100,   300,    4,    4,   32),
    "puzzle-3x3":      (100,  100,   300,    4,    4,   64),
    "cube-double":     (300,  100,   300,    4,    4,   32),
    "cube-triple":     (300,  100,   100,    4,    4,   32),
    "cube-quadruple":  (300,  100,   100,    4,    4,   32),
    # Not in that paper.  300 is the FQL paper's; the loss averages over the 5 times as many numbers
    # of a chunk, so that QC-FQL needs more (ours: 30, 100, 300 and 1000 tried at laptop size).
    "cube-single":     (300,  100,  1000,    4,    4,   32),
}
# fmt: on
COLUMNS: tuple[str, ...] = ("fql", "fql_n", "qc_fql", "bfn", "bfn_n", "qc")
DEFAULT = (100, 100, 100, 32, 32, 32)  # other domains: the defaults of the reference code


@dataclass(frozen=True)
class Preset:
    """How much of everything a run uses."""

    transitions: int  # of the dataset that is generated where none is on disk
    updates: int
    batch_size: int
    hidden: tuple[int, ...]
    flow_steps: int
    most_candidates: int  # N of the table, but at most this
    every: int  # updates per device call: a row of metrics and a checkpoint
    evaluate_every: int
    episodes: int


PRESETS = {
    # Seconds: shows that everything works, learns nothing.
    "smoke": Preset(2_000, 200, 32, (32, 32), 4, 4, 100, 200, 4),
    # Minutes on 2 CPU cores.
    "laptop": Preset(150_000, 80_000, 128, (256,) * 3, 5, 4, 500, 10_000, 50),
    # The papers' sizes: hours on a GPU.
    "paper": Preset(1_000_000, 1_000_000, 256, (512,) * 4, 10, 64, 1_000, 100_000, 50),
}


def preset(name: str, **changes) -> Preset:
    """The preset `name`, with every change that is not None.  Raises ConfigError."""
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}")
    return replace(PRESETS[name], **{k: v for k, v in changes.items() if v is not None})


def settings(method: str, domain: str, size: Preset) -> dict:
    """The keyword arguments of `agents.make` for `method` in `domain` at `size`."""
    method = canonical(method)
    value = dict(zip(COLUMNS, STRENGTH.get(domain, DEFAULT), strict=True)).get(method)
    if value is None:  # a method that the paper's table does not have: the defaults of `make`
        strength = {}
    elif METHODS[method][2] is OneStep:
        strength = {"alpha": float(value)}
    else:
        strength = {"candidates": min(value, size.most_candidates)}
    return {**strength, "flow_steps": size.flow_steps, "hidden": size.hidden}
