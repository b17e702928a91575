"""A door for users: one experiment from nothing, and its run folder loaded again."""

from chunkrl.experiments.experiment import TASK, Experiment, data_file, load, run

__all__ = ["TASK", "Experiment", "data_file", "load", "run"]
