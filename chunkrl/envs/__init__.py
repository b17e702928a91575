"""Families of environments, each with its tasks and data."""
