"""Means with their standard errors."""

import numpy as np


def mean_and_error(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of independent samples and its standard error.  [*B, n] -> 2 x [*B]"""
    from scipy.stats import sem  # slow to import

    return samples.mean(-1), sem(samples, axis=-1)
