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


# Scores of several tasks, [runs, tasks]: Agarwal et al., "Deep reinforcement learning at the edge
# of the statistical precipice", NeurIPS 2021 (arXiv 2108.13264).


def iqm(scores: np.ndarray) -> np.ndarray:
    """Interquartile mean: that of the middle half of all runs of all tasks.  [*B, n, m] -> [*B]

    Of n m scores in order, floor(n m / 4) are left out at both ends.
    """
    pooled = np.sort(scores.reshape(*scores.shape[:-2], -1), -1)
    cut = pooled.shape[-1] // 4
    return pooled[..., cut : pooled.shape[-1] - cut].mean(-1)


def profile(scores: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Performance profile: the share of runs that score more than each level.  -> [*B, L]"""
    return (scores[..., None] > levels).mean((-3, -2))


def improvement(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Probability of improvement, mean over tasks of P(X > Y) + P(X = Y) / 2.  -> [*B]

    X and Y are runs of two methods, [*B, n, m] and [*B, k, m], drawn from the same task.
    """
    apart = x[..., :, None, :] - y[..., None, :, :]
    return ((apart > 0) + 0.5 * (apart == 0)).mean((-3, -2, -1))


def stratified(statistic, *samples: np.ndarray, draws: int = 2000) -> np.ndarray:
    """95% interval of a statistic, by resampling the runs of each task by itself.  -> [2, ...]

    Percentiles of `statistic` of samples [draws, n, m]; the draws are the same each time.  One run
    says nothing of the others: nan.
    """
    if min(map(len, samples)) < 2:
        return np.full((2, *np.shape(statistic(*samples))), np.nan)
    rng = np.random.default_rng(0)
    again = [x[rng.integers(0, len(x), (draws, *x.shape)), np.arange(x.shape[1])] for x in samples]
    return np.percentile(statistic(*again), (2.5, 97.5), axis=0)
