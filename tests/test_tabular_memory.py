"""Memory that data with a hidden state ask for (06.q3): proof, enumeration, regression."""

import itertools

import numpy as np
import pytest

from chunkrl.course.worlds.memory import memory_needed, taps
from chunkrl.errors import ConfigError


@pytest.mark.parametrize("period", range(1, 6))
def test_an_operator_who_taps_asks_for_a_whole_period(period: int) -> None:
    """Enough: the push is among any `period` steps.  Not less: then a past of zeros remains."""
    assert memory_needed(taps(period, 2 * period + 2)) == period


def test_by_regression_on_sampled_data() -> None:
    """Best prediction of the next tap from the last k, as means of 20,000 logged runs."""
    rng = np.random.default_rng(5)
    runs = taps(3, 12)[rng.integers(6, size=20_000)]
    left = []
    for k in range(6):
        digits = (runs[:, 10 - k : 10] + 1) @ 3 ** np.arange(k)
        total = np.bincount(digits, runs[:, 10], 3**k)
        count = np.bincount(digits, minlength=3**k)
        left.append(np.var(runs[:, 10] - (total / np.maximum(count, 1))[digits]))
    assert left[2] > 0.1
    np.testing.assert_allclose(left[3:], 0.0, atol=1e-12)
    assert memory_needed(taps(3, 12)) == 3


def test_taps_are_every_side_and_phase() -> None:
    assert taps(2, 4).tolist() == [
        [-1, 0, -1, 0],
        [0, -1, 0, -1],
        [1, 0, 1, 0],
        [0, 1, 0, 1],
    ]


def test_coins_need_no_memory_and_an_echo_needs_its_delay() -> None:
    coins = np.array(list(itertools.product((0, 1), repeat=5)))
    assert memory_needed(coins) == 0
    assert memory_needed(np.concatenate([coins, coins], 1)) == 5
    assert memory_needed(np.array([[0, 0, 0, 0]])) == 0


def test_no_steps() -> None:
    with pytest.raises(ConfigError, match="no steps"):
        memory_needed(np.zeros((2, 0)))
