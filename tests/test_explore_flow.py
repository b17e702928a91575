"""The explorer of notebook 05 against the exact flow, at all of its settings."""

import numpy as np
import pytest
from scipy import stats

from chunkrl.course.exercises import EXERCISES
from chunkrl.course.explorers import EXPLORERS, flow_map
from chunkrl.course.explorers import flow as explorer
from chunkrl.course.worlds import flow_maps
from chunkrl.course.worlds.mixtures import Mixture, loss_floor, mass, two_modes, velocity

FLOW = EXPLORERS["flow"]


def test_one_euler_step_lands_between_the_modes_and_ten_nearly_never() -> None:
    """The reader's first picture, and issue 4's number: within 0.01 of the exact mass at K = 10."""
    numbers = FLOW.numbers()
    assert numbers.steps == 1
    assert numbers.between[0] == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(numbers.paths[-1], 0, atol=1e-12)
    assert abs(numbers.between[9] - numbers.exact_between) < 0.01


@pytest.mark.parametrize("distance", [0.2, 1.1, 2.0])
@pytest.mark.parametrize("width", [0.03, 0.07, 0.5])
def test_what_is_drawn_as_exact_is(distance: float, width: float) -> None:
    """Paths keep their rank; the curve of K agrees with a grid ten times as fine."""
    mixture = two_modes(distance, width)
    numbers = FLOW.numbers(distance=distance, width=width, steps=7, time=0.4)
    expected = flow_maps.monotone(mixture, explorer.SHOWN)
    np.testing.assert_allclose(numbers.exact_paths[-1], expected, atol=1e-3)
    fine = flow_maps.ends_up_to(velocity(mixture), flow_maps.NOISE, explorer.MOST)
    shares = flow_maps.share_between(flow_maps.NOISE, fine, *explorer.gap(distance))
    np.testing.assert_allclose(numbers.between, shares, atol=3e-4)
    assert numbers.bins.sum() == pytest.approx(1, abs=0.01)


def test_shares_are_those_of_simulated_noise() -> None:
    """20,000 random noises followed step by step, in the gap and in each bin."""
    noise = np.random.default_rng(0).standard_normal(20_000)
    for setting in FLOW.random(8, seed=4):
        numbers = FLOW.numbers(**setting)
        field = velocity(two_modes(numbers.distance, numbers.width))
        end = flow_maps.ends(field, noise, numbers.steps, numbers.integrator)
        low, high = explorer.gap(numbers.distance)
        share = np.append(numbers.bins, numbers.between[numbers.steps - 1])
        counted = np.histogram(end, explorer.BINS)[0] / len(noise)
        counted = np.append(counted, ((low < end) & (end < high)).mean())
        error = np.sqrt(share * (1 - share) / len(noise))
        assert (np.abs(counted - share) < 4.5 * error + 1e-3).all(), setting


def test_maps_are_measured_against_the_exact_flow() -> None:
    """A perfect learner leaves what the data have; a straight student what the bound says."""
    mixture, noise = two_modes(1.1, 0.3), flow_map.NOISE
    perfect = flow_maps.monotone(mixture, noise)
    numbers = flow_map.maps(1.1, 0.3, 10, perfect[:, None], 0.5 * noise)
    np.testing.assert_allclose(numbers.exact, perfect)
    assert numbers.between[0] == mass(mixture, -0.275, 0.275)
    assert numbers.between[2] == pytest.approx(numbers.between[0], abs=1e-4)
    assert numbers.between[3] == pytest.approx(flow_maps.least_between(0.5, -0.275, 0.275))
    ten = flow_maps.ends_up_to(velocity(mixture), noise, 10)[-1]
    expected = flow_maps.share_between(noise, ten, -0.275, 0.275)
    assert numbers.between[1] == pytest.approx(expected)
    assert flow_map.steepest(-0.5 * noise + 2 * np.abs(noise)) == pytest.approx(1.5, rel=1e-3)
    shown = flow_map.picture(numbers)
    assert f"{100 * numbers.between[3]:.1f}%" in shown.alt
    assert shown.png != flow_map.picture(numbers._replace(student=noise)).png


def test_the_values_of_notebook_05() -> None:
    """A floor by integration and by the plane; what Euler leaves, by a loop of its own."""
    assert EXERCISES["05.q2"].kind.right == pytest.approx(0.07 * np.pi / 4, rel=1e-9)
    # A second number that hardly varies, and both numbers together, by quadrature in the plane.
    still = Mixture(np.ones(1), np.array([[0.55]]), np.array([1e-6]))
    assert loss_floor(still) == pytest.approx(0, abs=1e-5)
    for width in (0.02, 0.07, 0.5, 2.0):
        one = Mixture(np.ones(1), np.array([[0.55]]), np.array([width]))
        t = (np.arange(200_000) + 0.5) / 200_000
        mean = (width**2 / ((1 - t) ** 2 + t**2 * width**2)).mean()
        assert mean == pytest.approx(np.pi * width / 2, rel=1e-4)
        assert loss_floor(one, nodes=200) == pytest.approx(mean, rel=1e-3)
    x = stats.norm.ppf((np.arange(50_000) + 0.5) / 50_000)
    for steps, want in zip((1, 2, 4, 8), EXERCISES["05.q3"].kind.right, strict=True):
        at = x
        for t in np.arange(steps) / steps:
            spread = (1 - t) ** 2 + (0.1 * t) ** 2
            mode = 0.4 * np.tanh(0.4 * t * at / spread)  # E[mode | x_t] of modes at -0.4 and 0.4
            noise = (1 - t) * (at - t * mode) / spread
            action = mode + 0.01 * t * (at - t * mode) / spread
            at = at + (action - noise) / steps
        assert (np.abs(at) < 0.2).mean() == pytest.approx(float(want), abs=2e-4)
