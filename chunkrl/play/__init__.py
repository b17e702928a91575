"""Chunks of actions played in environments: workers, evaluation, video."""
