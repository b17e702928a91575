"""Explorers: one figure with sliders for each question of the course."""

from chunkrl.explore.explorer import Choice, Explorer, Predict, Slider
from chunkrl.explore.horizon import HORIZON
from chunkrl.explore.optimism import OPTIMISM

EXPLORERS: dict[str, Explorer] = {explorer.name: explorer for explorer in (HORIZON, OPTIMISM)}

__all__ = ["EXPLORERS", "Choice", "Explorer", "Predict", "Slider"]
