"""Reinforcement learning with action chunking: understand it, see it, run it."""
