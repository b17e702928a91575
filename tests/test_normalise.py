"""The map to [-1, 1], against the authors' numbers and its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import Vectors
from test_parity import close

from chunkrl.data.normalise import MARGIN, Normaliser


def sample(rows=200, seed=0):
    r = np.random.default_rng(seed)
    x = r.normal(size=(rows, 4)) * [1, 50, 0.01, 0] + [0, -300, 4, 7]
    return x.astype(np.float32)


@pytest.mark.parametrize("name", ["data_mac"])
@pytest.mark.parametrize("kind", ["observations", "oracle_reps"])
def test_parity_with_the_authors_normaliser(parity, kind):
    vectors = Vectors(parity / "data_mac.npz")
    normaliser = Normaliser.fit(vectors[f"norm.val_{kind}"])
    ours = normaliser.apply(vectors[f"dataset.{kind}"])
    assert ours.dtype == np.float32
    close(ours, vectors[f"norm.dataset_{kind}"], 2e-7)
    if kind == "observations":
        close(normaliser.inverse(ours), vectors["norm.roundtrip_observations"], 2e-7)


def test_what_it_was_fitted_to_fills_the_interval():
    """Spec: into [-1, 1], up to the margin: the extremes land at +-half / (half + 0.001)."""
    x = sample()
    y = Normaliser.fit(x).apply(x)
    half = (x.max(axis=0) - x.min(axis=0)).astype(np.float64) / 2
    np.testing.assert_allclose(y.max(axis=0), half / (half + MARGIN), atol=1e-4)
    np.testing.assert_allclose(y.min(axis=0), -half / (half + MARGIN), atol=1e-4)


def test_nothing_is_clipped_and_the_inverse_restores():
    far = sample() * 3 + 1
    normaliser = Normaliser.fit(sample())
    assert np.abs(normaliser.apply(far)).max() > 1.5
    np.testing.assert_allclose(normaliser.inverse(normaliser.apply(far)), far, rtol=1e-5)


def test_a_constant_dimension_is_magnified_unless_guarded():
    x, moved = sample(), sample()[:1] + np.float32([0, 0, 0, 0.5])
    assert Normaliser.fit(x).apply(moved)[0, 3] == pytest.approx(500, rel=1e-3)
    guarded = Normaliser.fit(x, guard=True)
    assert guarded.apply(moved)[0, 3] == pytest.approx(0.5, rel=1e-3)
    np.testing.assert_array_equal(guarded.scale[:3], Normaliser.fit(x).scale[:3])


def test_works_on_the_device_for_any_number_of_axes():
    """The suite forbids implicit broadcasting between ranks."""
    normaliser = Normaliser.fit(sample())
    x = jnp.asarray(sample()).reshape(10, 20, 4)
    y = jax.jit(lambda n, x: n.apply(x))(normaliser, x)
    np.testing.assert_allclose(y.reshape(-1, 4), normaliser.apply(sample()), rtol=1e-5, atol=1e-5)
    one = normaliser.apply(x[0, 0])
    np.testing.assert_allclose(one, y[0, 0], rtol=1e-5, atol=1e-5)


def test_joined_it_normalises_both_parts():
    obs, goal = sample(seed=1), sample(seed=2)[:, :3]
    both = Normaliser.fit(obs).join(Normaliser.fit(goal))
    expected = [Normaliser.fit(obs).apply(obs), Normaliser.fit(goal).apply(goal)]
    laid = np.concatenate([obs, goal], axis=1)
    np.testing.assert_array_equal(both.apply(laid), np.concatenate(expected, axis=1))
