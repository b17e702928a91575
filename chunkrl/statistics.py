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


def mean_interval(samples: np.ndarray) -> tuple[float, float]:
    """95% interval of the mean of independent samples, by Student's t.  [n >= 2]"""
    from scipy.stats import t

    mean, error = mean_and_error(np.asarray(samples, float))
    half = t.ppf(0.975, len(samples) - 1) * error
    return float(mean - half), float(mean + half)


def difference(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """mean a - mean b of independent samples, with its 95% interval by Welch's t.  [n], [m] >= 2

    Samples that do not vary at all leave no width to the interval.
    """
    from scipy.stats import t

    a, b = np.asarray(a, float), np.asarray(b, float)
    apart = float(a.mean() - b.mean())
    parts = np.array([a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)])
    if not parts.any():
        return apart, apart, apart
    freedom = parts.sum() ** 2 / (parts**2 / [len(a) - 1, len(b) - 1]).sum()
    half = t.ppf(0.975, freedom) * np.sqrt(parts.sum())
    return apart, float(apart - half), float(apart + half)
