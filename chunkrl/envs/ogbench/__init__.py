"""OGBench: the only package that knows its environments, files and oracles."""

TASK = "cube-single-play-singletask-task2-v0"  # what is trained on where nothing is said
