"""Settings by domain, from the Q-chunking paper, and by size: seconds, minutes, paper scale."""

from dataclasses import dataclass, replace

from chunkrl.agents import METHODS, MODEL_BASED, canonical
from chunkrl.blocks.policies import Flow, OneStep
from chunkrl.errors import ConfigError

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
    lr: float = 3e-4
    # Of the model-based methods only:
    rollout: int = 0  # imagined chunks
    rollout_batch: int = 0  # states that imagination starts from
    discount: float = 0.99


PRESETS = {
    # Seconds: shows that everything works, learns nothing.
    "smoke": Preset(2_000, 200, 32, (32, 32), 4, 4, 100, 200, 4),
    # Minutes on 2 CPU cores.
    "laptop": Preset(150_000, 80_000, 128, (256,) * 3, 5, 4, 500, 10_000, 50),
    # The papers' sizes: hours on a GPU.
    "paper": Preset(1_000_000, 1_000_000, 256, (512,) * 4, 10, 64, 1_000, 100_000, 50),
}

# The same for methods that pick the best of N.  Every target costs N samples of a flow: smaller
# networks with larger steps leave a laptop time for them.  N and the Euler steps were chosen by
# single runs on cube-single: with 16 and 5, in batches of 64, success stayed at about 70%.
BEST_OF_N_PRESETS = PRESETS | {
    "laptop": Preset(150_000, 130_000, 128, (128,) * 3, 3, 8, 500, 10_000, 50, 5e-4),
}

# The same for the model-based methods, whose updates cost far more.
MODEL_PRESETS = {
    "smoke": Preset(2_000, 200, 32, (32, 32), 4, 2, 100, 200, 4, 3e-4, 2, 16),
    # Widths of 256 leave time for a third of the updates, and succeeded less often: README.
    "laptop": Preset(150_000, 60_000, 128, (128,) * 3, 5, 4, 500, 15_000, 50, 1e-3, 5, 64),
    "paper": Preset(
        1_000_000, 1_000_000, 1024, (1024,) * 4, 10, 32, 1_000, 100_000, 50, 3e-4, 10, 1024, 0.999
    ),
}
# N while imagining, MAC's paper: as many as there are things one might do next.
IMAGINED_CANDIDATES = {"puzzle-4x5": 32}


def preset(name: str, method: str, **changes) -> Preset:
    """The preset `name` of a method's family, with every change that is not None.

    Raises ConfigError.
    """
    method = canonical(method)
    if method in MODEL_BASED:
        presets = MODEL_PRESETS
    else:
        presets = BEST_OF_N_PRESETS if METHODS[method][2] is Flow else PRESETS
    if name not in presets:
        raise ConfigError(f"there is no preset {name!r}; choose one of {', '.join(presets)}")
    given = {k: v for k, v in changes.items() if v is not None}
    for key, value in given.items():
        if isinstance(value, int) and value < 1:
            raise ConfigError(f"{key} = {value}: must be at least 1")
    size = replace(presets[name], **given)
    if size.updates % size.every:
        raise ConfigError(f"updates = {size.updates}: choose a multiple of {size.every}")
    return size


def settings(method: str, domain: str, size: Preset) -> dict:
    """The keyword arguments of `agents.make` for `method` in `domain` at `size`."""
    method = canonical(method)
    learning = {"flow_steps": size.flow_steps, "hidden": size.hidden, "lr": size.lr}
    if method in MODEL_BASED:
        return {
            "candidates": min(IMAGINED_CANDIDATES.get(domain, 8), size.most_candidates),
            "rollout": size.rollout,
            "rollout_batch": size.rollout_batch,
            "discount": size.discount,
            **learning,
        }
    value = dict(zip(COLUMNS, STRENGTH.get(domain, DEFAULT), strict=True)).get(method)
    if value is None:  # a method that the paper's table does not have: the defaults of `make`
        strength = {}
    elif METHODS[method][2] is OneStep:
        strength = {"alpha": float(value)}
    else:
        strength = {"candidates": min(value, size.most_candidates)}
    return {**strength, **learning}
