"""Explorers: one figure with sliders for each question of the course."""

from chunkrl.explore.best_of_n import BEST_OF_N
from chunkrl.explore.choices import CHOICES
from chunkrl.explore.chunk_length import CHUNK_LENGTH
from chunkrl.explore.cube_drift import CUBE_DRIFT
from chunkrl.explore.cube_paths import CUBE_PATHS
from chunkrl.explore.drift import DRIFT
from chunkrl.explore.explorer import Choice, Explorer, Predict, Slider
from chunkrl.explore.flow import FLOW
from chunkrl.explore.horizon import HORIZON
from chunkrl.explore.imagination import IMAGINATION
from chunkrl.explore.lock_network import LOCK_NETWORK
from chunkrl.explore.off_policy import OFF_POLICY
from chunkrl.explore.open_loop import OPEN_LOOP
from chunkrl.explore.optimism import OPTIMISM
from chunkrl.explore.returns import RETURNS
from chunkrl.explore.robot_curves import ROBOT_CURVES
from chunkrl.explore.robot_paths import ROBOT_PATHS
from chunkrl.explore.robot_values import ROBOT_VALUES
from chunkrl.explore.sides import SIDES
from chunkrl.explore.support import SUPPORT
from chunkrl.explore.target_parts import TARGET_PARTS

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
        TARGET_PARTS,
        FLOW,
        SIDES,
        BEST_OF_N,
        CHUNK_LENGTH,
        LOCK_NETWORK,
        OPEN_LOOP,
        DRIFT,
        CUBE_DRIFT,
        IMAGINATION,
        ROBOT_CURVES,
        ROBOT_PATHS,
        ROBOT_VALUES,
    )
}

__all__ = ["EXPLORERS", "Choice", "Explorer", "Predict", "Slider"]
