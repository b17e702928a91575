"""Reinforcement learning with action chunking: understand it, see it, run it.

Start at `experiment.run` (from nothing to a trained agent), `agents.make` (the named methods),
`data.load_task` (OGBench's data), `train.fit`, `evaluate.Evaluator`, `tabular` (exact answers) and
`course.explorers` (the course's pictures).  This file imports nothing, so that the processes which
only simulate never load JAX.
"""
