"""Explorers: one figure with sliders for each question of the course."""

from chunkrl.explore.explorer import Choice, Explorer, Predict, Slider
from chunkrl.explore.horizon import HORIZON

EXPLORERS: dict[str, Explorer] = {explorer.name: explorer for explorer in (HORIZON,)}

__all__ = ["EXPLORERS", "Choice", "Explorer", "Predict", "Slider"]
