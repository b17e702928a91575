"""Explorers: one figure with sliders for each question of the course."""

from chunkrl.course.controls import Choice, Predict, Slider
from chunkrl.course.explorer import Explorer
from chunkrl.course.explorers.any_length import ANY_LENGTH
from chunkrl.course.explorers.best_of_n import BEST_OF_N
from chunkrl.course.explorers.choices import CHOICES
from chunkrl.course.explorers.chunk_length import CHUNK_LENGTH
from chunkrl.course.explorers.cube_drift import CUBE_DRIFT
from chunkrl.course.explorers.cube_paths import CUBE_PATHS
from chunkrl.course.explorers.drift import DRIFT
from chunkrl.course.explorers.extraction import EXTRACTION
from chunkrl.course.explorers.extraction_runs import EXTRACTION_RUNS
from chunkrl.course.explorers.flow import FLOW
from chunkrl.course.explorers.fork import FORK
from chunkrl.course.explorers.horizon import HORIZON
from chunkrl.course.explorers.imagination import IMAGINATION
from chunkrl.course.explorers.lock_network import LOCK_NETWORK
from chunkrl.course.explorers.off_policy import OFF_POLICY
from chunkrl.course.explorers.online_curves import ONLINE_CURVES
from chunkrl.course.explorers.open_loop import OPEN_LOOP
from chunkrl.course.explorers.optimism import OPTIMISM
from chunkrl.course.explorers.rankings import RANKINGS
from chunkrl.course.explorers.returns import RETURNS
from chunkrl.course.explorers.robot_curves import ROBOT_CURVES
from chunkrl.course.explorers.robot_paths import ROBOT_PATHS
from chunkrl.course.explorers.robot_values import ROBOT_VALUES
from chunkrl.course.explorers.sides import SIDES
from chunkrl.course.explorers.support import SUPPORT
from chunkrl.course.explorers.target_parts import TARGET_PARTS
from chunkrl.course.explorers.tuning import TUNING
from chunkrl.course.explorers.two_errors import TWO_ERRORS
from chunkrl.course.explorers.two_papers import TWO_PAPERS
from chunkrl.course.explorers.wandering import WANDERING
from chunkrl.course.explorers.winners import WINNERS

EXPLORERS: dict[str, Explorer] = {
    explorer.name: explorer
    for explorer in (
        CHOICES,
        SUPPORT,
        CUBE_PATHS,
        RETURNS,
        HORIZON,
        OPTIMISM,
        OFF_POLICY,
        FORK,
        TWO_ERRORS,
        TARGET_PARTS,
        FLOW,
        SIDES,
        BEST_OF_N,
        WINNERS,
        CHUNK_LENGTH,
        ANY_LENGTH,
        LOCK_NETWORK,
        OPEN_LOOP,
        DRIFT,
        CUBE_DRIFT,
        IMAGINATION,
        ROBOT_CURVES,
        ROBOT_PATHS,
        ROBOT_VALUES,
        RANKINGS,
        TUNING,
        TWO_PAPERS,
        WANDERING,
        ONLINE_CURVES,
        EXTRACTION,
        EXTRACTION_RUNS,
    )
}

__all__ = ["EXPLORERS", "Choice", "Explorer", "Predict", "Slider"]
