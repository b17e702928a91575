"""Means with their standard errors."""

import numpy as np


def mean_and_error(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of independent samples and its standard error.  [*B, n] -> 2 x [*B]"""
    return samples.mean(-1), samples.std(-1, ddof=1) / np.sqrt(samples.shape[-1])
