"""Sizes of runs: seconds, minutes on two CPU cores, the papers' scale."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from chunkrl import checks
from chunkrl.errors import ConfigError


@dataclass(frozen=True)
class Preset:
    """How much of everything a run uses."""

    transitions: int  # of the dataset that is generated where none is on disk
    updates: int
    batch_size: int
    every: int  # updates per device call: a row of metrics and a checkpoint
    evaluate_every: int
    episodes: int
    settings: Mapping[str, Any] = field(default_factory=dict)  # keyword arguments of the method
    most: Mapping[str, Any] = field(default_factory=dict)  # bounds on what is tuned by domain
    start_training: int = 5_000  # environment steps before the first update online
    quick: bool = False  # updates on logs are so few that compiling them takes longer

    def changed(self, **changes: Any) -> "Preset":
        """The preset with every change that is not None.  Raises ConfigError."""
        least = {"updates": 0}  # a run may learn by acting alone
        given = {
            name: checks.whole(name, n, least.get(name, 1))
            for name, n in changes.items()
            if n is not None
        }
        size = replace(self, **given)
        if size.updates % size.every:
            raise ConfigError(f"updates = {size.updates}: choose a multiple of {size.every}")
        return size


SMOKE = Preset(  # seconds: shows that everything works, learns nothing
    transitions=2_000, updates=200, batch_size=32, every=100, evaluate_every=200, episodes=4,
    settings={"flow_steps": 4, "hidden": (32, 32), "lr": 3e-4}, most={"candidates": 4},
    start_training=50, quick=True,
)  # fmt: skip
# Minutes: a curve that rises while one watches.  Chosen by single runs of QC on cube-single (seed
# 100, which is not reported): 36, 80, 70 and 72% after 10, 20, 30 and 40 thousand updates.
COFFEE = Preset(
    transitions=50_000, updates=40_000, batch_size=128, every=500, evaluate_every=5_000,
    episodes=20, settings={"flow_steps": 3, "hidden": (128,) * 3, "lr": 1e-3},
    most={"candidates": 8}, start_training=1_000,
)  # fmt: skip
PAPER = Preset(  # hours on a GPU
    transitions=1_000_000, updates=1_000_000, batch_size=256, every=1_000, evaluate_every=100_000,
    episodes=50, settings={"flow_steps": 10, "hidden": (512,) * 4, "lr": 3e-4},
)  # fmt: skip

# Of the methods with a one-step policy.
LAPTOP = Preset(
    transitions=150_000, updates=80_000, batch_size=128, every=500, evaluate_every=10_000,
    episodes=50, settings={"flow_steps": 5, "hidden": (256,) * 3, "lr": 3e-4},
)  # fmt: skip
ONE_STEP = {"smoke": SMOKE, "coffee": COFFEE, "laptop": LAPTOP, "paper": PAPER}

# Of the methods that pick the best of N.  Every target costs N samples of a flow: smaller networks
# with larger steps leave a laptop time for them.  N and the Euler steps were chosen by single runs
# on cube-single: with 16 and 5, in batches of 64, success stayed at about 70%.
SMALL = {"flow_steps": 3, "hidden": (128,) * 3, "lr": 5e-4}
FEW = replace(LAPTOP, updates=130_000, settings=SMALL, most={"candidates": 8})
BEST_OF_N = ONE_STEP | {"laptop": FEW}

# Of the model-based methods, whose updates cost far more.
MODEL_BASED = {
    "smoke": replace(
        SMOKE,
        settings={**SMOKE.settings, "rollout": 2, "rollout_batch": 16, "discount": 0.99},
        most={"candidates": 2},
    ),
    "coffee": replace(
        COFFEE, updates=20_000, most={"candidates": 4},
        settings={**COFFEE.settings, "rollout": 5, "rollout_batch": 64, "discount": 0.99},
    ),
    # Widths of 256 leave time for a third of the updates, and succeeded less often: README.
    "laptop": replace(
        LAPTOP, updates=60_000, evaluate_every=15_000, most={"candidates": 4},
        settings={"flow_steps": 5, "hidden": (128,) * 3, "lr": 1e-3, "rollout": 5,
                  "rollout_batch": 64, "discount": 0.99},
    ),
    "paper": replace(
        PAPER, batch_size=1024, most={"candidates": 32},
        settings={"flow_steps": 10, "hidden": (1024,) * 4, "lr": 3e-4, "rollout": 10,
                  "rollout_batch": 1024, "discount": 0.999},
    ),
}  # fmt: skip


# Of the methods that reach goals told in hindsight: their papers' batches and networks.
GOALS = ONE_STEP | {
    "paper": replace(
        PAPER, batch_size=1024, settings={"flow_steps": 10, "hidden": (1024,) * 4, "lr": 3e-4}
    ),
}

# Of the methods that imagine single steps: MOPO's batch is by half imagined.
DYNA = MODEL_BASED | {
    name: replace(
        MODEL_BASED[name], batch_size=real, settings={**MODEL_BASED[name].settings, **about}
    )
    for name, real, about in [
        ("coffee", 128, {"rollout_batch": 26}),
        ("laptop", 128, {"rollout_batch": 26}),
        ("paper", 512, {"rollout": 5, "rollout_batch": 102}),
    ]
}
DECOUPLED = GOALS | {"paper": replace(GOALS["paper"], batch_size=4096)}


# Strength of the behaviour constraint, Q-chunking paper, appendix: distillation weight alpha of the
# one-step methods, number of candidates N of the best-of-N methods.  Domains that are not there
# ("") have the defaults of the reference code.  cube-single is not in that paper: 300 is the FQL
# paper's; the loss averages over the 5 times as many numbers of a chunk, so that QC-FQL needs more
# (ours: 30, 100, 300 and 1000 tried at laptop size).
# fmt: off
STRENGTH = {
    #                   fql  fql_n  qc_fql  bfn  bfn_n   qc
    "scene":           (300,  100,   300,    4,    4,   32),
    "puzzle-3x3":      (100,  100,   300,    4,    4,   64),
    "cube-double":     (300,  100,   300,    4,    4,   32),
    "cube-triple":     (300,  100,   100,    4,    4,   32),
    "cube-quadruple":  (300,  100,   100,    4,    4,   32),
    "cube-single":     (300,  100,  1000,    4,    4,   32),
    "":                (100,  100,   100,   32,   32,   32),
}
# fmt: on
COLUMNS: tuple[str, ...] = ("fql", "fql_n", "qc_fql", "bfn", "bfn_n", "qc")


def strength(method: str) -> dict[str, int]:
    """A column of STRENGTH: alpha or N of `method` by domain."""
    return {domain: row[COLUMNS.index(method)] for domain, row in STRENGTH.items()}


# N while imagining, MAC's paper: as many as there are things one might do next.
IMAGINED = {"puzzle-4x5": 32, "": 8}

# Of the methods without chunks, by domain, as in the Q-chunking paper; the FQL paper's penalties.
TEMPERATURE = {"scene": 10.0, "puzzle-3x3": 10.0, "": 10.0}
TEMPERATURE |= {f"cube-{n}": 0.3 for n in ("single", "double", "triple", "quadruple")}
PENALTY = {"scene": 0.01, "puzzle-3x3": 0.01, "": 0.0}
