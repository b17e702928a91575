"""One experiment from nothing, presets, and pictures of runs."""
