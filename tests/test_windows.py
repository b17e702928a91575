"""The window sampler against a brute-force reading of its definition."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkrl.data import windows
from chunkrl.types import Dataset

T = 40


def dataset_of(terminal, mask, seed=0):
    r = np.random.default_rng(seed)
    arrays = (
        np.arange(T)[:, None] * np.ones(2),
        r.uniform(-1, 1, (T, 3)),
        r.normal(size=T),
        mask,
        terminal,
        np.arange(T)[:, None] + 0.5 * np.ones(2),
    )
    return Dataset(*(jnp.asarray(x, jnp.float32) for x in arrays))


flags = st.lists(st.booleans(), min_size=T, max_size=T).map(lambda x: np.asarray(x, np.float32))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(flags, flags, st.sampled_from([1, 3, 5]))
def test_every_window_follows_the_definition(terminal, mask, length):
    data = dataset_of(terminal, mask)
    starts = np.arange(windows.starts(data, length))
    assert starts[-1] == T - length
    batch = windows.take(data, jnp.asarray(starts), length, 0.9)
    data, batch = (jax.tree.map(np.asarray, tree) for tree in (data, batch))
    for i in starts:
        total, solved, ended = 0.0, 1.0, 0.0
        for k in range(length):
            assert batch.valid[i, k] == (1.0 if k == 0 else 1.0 - ended)
            total += 0.9**k * data.reward[i + k]
            solved = min(solved, mask[i + k])
            ended = max(ended, terminal[i + k])
            np.testing.assert_allclose(batch.returns[i, k], total, rtol=1e-5, atol=1e-5)
            assert batch.mask[i, k] == solved
            np.testing.assert_array_equal(batch.action[i, k], data.action[i + k])
        assert batch.obs[i, 0] == i
        assert batch.next_obs[i, 0] == i + length - 1 + 0.5


def test_sampled_starts_are_uniform_with_both_ends():
    """10,000 draws over 36 starts: chi-square, 35 degrees of freedom, 66.6 at the 0.1% level."""
    data = dataset_of(np.zeros(T), np.ones(T))
    batch = windows.sample(jax.random.key(0), data, 10_000, 5, 0.99)
    counts = np.bincount(np.asarray(batch.obs[:, 0], int), minlength=36)
    assert len(counts) == 36
    expected = 10_000 / 36
    assert ((counts - expected) ** 2 / expected).sum() < 66.6


def test_sampling_is_a_function_of_the_key():
    data = dataset_of(np.zeros(T), np.ones(T))
    draw = lambda seed: windows.sample(jax.random.key(seed), data, 8, 5, 0.99).obs
    np.testing.assert_array_equal(draw(3), draw(3))
    assert np.any(np.asarray(draw(3)) != np.asarray(draw(4)))
