"""Exact answers about small worlds, in NumPy float64: start with mdp, then chunks."""
