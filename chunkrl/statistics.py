"""Means with their standard errors, and intervals for samples with heavy tails."""

import numpy as np


def mean_and_error(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of independent samples and its standard error.  [*B, n] -> 2 x [*B]"""
    from scipy.stats import sem  # slow to import

    return samples.mean(-1), sem(samples, axis=-1)


def bootstrap(samples: np.ndarray, statistic=np.median, draws: int = 2000) -> np.ndarray:
    """95% interval of a statistic of independent samples, by resampling them.  [*B, n] -> [2, *B]

    Percentiles of `statistic(resampled, -1)`; the draws are the same each time.
    """
    count = samples.shape[-1]
    rows = np.random.default_rng(0).integers(0, count, (draws, count))
    found = np.stack([statistic(samples[..., row], -1) for row in rows])
    return np.percentile(found, (2.5, 97.5), axis=0)
