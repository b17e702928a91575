"""The settings of OGBench's published collection commands."""

import dataclasses

from chunkrl import checks
from chunkrl.errors import ConfigError

CUBES = {"single": 1, "double": 2, "triple": 3, "quadruple": 4, "octuple": 8}
ARMS = (
    *(f"cube-{size}" for size in CUBES),
    "scene",
    *(f"puzzle-{n}" for n in ("3x3", "4x4", "4x5", "4x6")),
)
MAZES = tuple(f"pointmaze-{size}" for size in ("medium", "large", "giant", "teleport"))


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides the numbers of a dataset, besides the versions of the simulator."""

    dataset: str  # cube-double-play-v0
    env: str  # cube-double-v0
    kind: str  # play (plan followed open loop), noisy (closed loop), navigate, stitch
    states: int  # states per episode: one more than its transitions
    seed: int
    noise: float  # play: on the plan; noisy: upper end of an episode's level; mazes: on the action
    noise_smoothing: float = 0.5  # play: width of the filter along time, in steps
    min_norm: float = 0.4  # noisy: shortest displacement the oracle asks for
    p_random_action: float = 0.0  # noisy: share of uniform actions

    def episodes(self, transitions: int) -> int:
        """How many whole episodes hold at least `transitions` transitions."""
        return -(-transitions // (self.states - 1))

    @property
    def row_bytes(self) -> int:
        """Bytes of one state in the arrays of a file."""
        if self.env.startswith("pointmaze"):
            return 33
        if self.env == "scene-v0":
            return 393
        _, size, _ = self.env.split("-")
        if size in CUBES:
            return 209 + 88 * CUBES[size]
        rows, columns = map(int, size.split("x"))
        return 209 + 32 * rows * columns


def recipe(dataset: str, seed: int = 0, states: int | None = None) -> Recipe:
    """The published recipe of `dataset` (`-v0` may be left out); `states` shortens its episodes.

    Raises ConfigError for a dataset that OGBench has no scripted oracle for (ant and humanoid mazes
    were collected by trained experts that OGBench does not publish).
    """
    name = str(dataset) if str(dataset).endswith("-v0") else f"{dataset}-v0"
    seed = checks.whole("seed", seed, least=0)
    states = None if states is None else checks.whole("states", states, least=2)
    env, _, kind = name.removesuffix("-v0").rpartition("-")
    if env in ARMS and kind in ("play", "noisy"):
        random_share = 0.0 if kind == "play" else 0.2 if env.startswith("puzzle") else 0.1
        published = Recipe(name, f"{env}-v0", kind, 1001, seed, 0.1, p_random_action=random_share)
    elif env in MAZES and kind in ("navigate", "stitch"):
        length = 201 if kind == "stitch" else 2001 if env.endswith("giant") else 1001
        published = Recipe(name, f"{env}-v0", kind, length, seed, 0.5)
    else:
        raise ConfigError(
            f"No scripted oracle makes {dataset!r}. Possible: {', '.join(ARMS)}, each with -play or"
            f" -noisy; {', '.join(MAZES)}, each with -navigate or -stitch. Other datasets of"
            " OGBench can be fetched with `chunkrl data download`."
        )
    return published if states is None else dataclasses.replace(published, states=states)


def whole(dataset: str, transitions: int) -> int:
    """The transitions of the whole episodes that `transitions` are rounded up to."""
    plan = recipe(dataset)
    return plan.episodes(transitions) * (plan.states - 1)
