"""Exact flows of Gaussian mixtures against sampling, quadrature and differential equations."""

import numpy as np
import pytest
from scipy import integrate, stats

from chunkrl.blocks.flow import interpolate
from chunkrl.blocks.integrators import path
from chunkrl.course.worlds import flow_maps, mixtures
from chunkrl.course.worlds.mixtures import Mixture, two_modes
from chunkrl.errors import ConfigError

LINE = Mixture(
    np.array([0.2, 0.5, 0.3]), np.array([[-1.0], [0.1], [0.8]]), np.array([0.3, 0.2, 0.5])
)
PLANE = Mixture(np.array([0.6, 0.4]), np.array([[-0.5, 0.3], [0.7, 0.2]]), np.array([0.3, 0.2]))
TOY = two_modes(1.1, 0.07)


def points(mixture: Mixture, count: int = 40):
    """Places and times, a [B, D] and a [B, 1]."""
    rng = np.random.default_rng(0)
    return rng.normal(0, 0.8, (count, mixture.dim)), rng.uniform(0.05, 0.95, (count, 1))


def slope_of(f, x, i, step=1e-5):
    """Central difference along dimension i."""
    move = np.eye(x.shape[-1])[i] * step
    return (f(x + move) - f(x - move)) / (2 * step)


@pytest.mark.parametrize("mixture", [LINE, PLANE])
class TestField:
    def test_density_of_a_point_on_the_path_is_that_of_samples(self, mixture) -> None:
        """Characteristic function: E exp(i k x_t) over draws, and integrated over the density."""
        rng, t = np.random.default_rng(1), 0.6
        x = mixtures.sample(mixture, 200_000, rng)
        x_t = interpolate(x, rng.standard_normal(x.shape), t)
        side = np.linspace(-6, 6, 241)
        grid = np.stack(np.meshgrid(*[side] * mixture.dim, indexing="ij"), -1)
        density = np.exp(mixtures.log_density(mixture, grid, t))
        volume = 0.05**mixture.dim
        assert density.sum() * volume == pytest.approx(1, abs=1e-6)
        for k in np.ones(mixture.dim), np.arange(mixture.dim) + 2.0:
            wave = np.exp(1j * x_t @ k)
            exact = (density * np.exp(1j * grid @ k)).sum() * volume
            assert abs(wave.mean() - exact) < 5 / np.sqrt(len(x))

    def test_velocity_is_the_score_in_disguise(self, mixture) -> None:
        """E[x_0 | x_t] = -(1 - t) grad log p_t, so v = (x + (1 - t) grad log p_t) / t."""
        x, t = points(mixture)
        log = lambda x: mixtures.log_density(mixture, x, t)
        score = np.stack([slope_of(log, x, i) for i in range(mixture.dim)], -1)
        got = mixtures.velocity(mixture)(x, t)
        np.testing.assert_allclose(got, (x + (1 - t) * score) / t, rtol=1e-6, atol=1e-6)

    def test_divergence_and_velocity_carry_the_density(self, mixture) -> None:
        """dp/dt + div(p v) = 0, each derivative by differences."""
        x, t = points(mixture)
        density = lambda x, t: np.exp(mixtures.log_density(mixture, x, t))
        field = mixtures.velocity(mixture)
        change = (density(x, t + 1e-5) - density(x, t - 1e-5)) / 2e-5
        drift = field(x, t)
        along = sum(
            slope_of(lambda y: density(y, t), x, i) * drift[:, i] for i in range(mixture.dim)
        )
        stretch = mixtures.divergence(mixture, x, t)
        np.testing.assert_allclose(change, -along - density(x, t) * stretch, rtol=1e-5, atol=1e-7)
        by_difference = sum(slope_of(lambda y: field(y, t), x, i)[:, i] for i in range(mixture.dim))
        np.testing.assert_allclose(stretch, by_difference, rtol=1e-6, atol=1e-7)

    def test_velocity_and_variance_are_those_of_samples_near_a_point(self, mixture) -> None:
        """Moments of x_1 - x_0 over paths that pass a small window."""
        rng, t = np.random.default_rng(2), 0.5
        x = mixtures.sample(mixture, 1_000_000, rng)
        noise = rng.standard_normal(x.shape)
        at = np.full((1, mixture.dim), 0.1)
        near = (np.abs(interpolate(x, noise, t) - at) < 0.02).all(-1)
        passing = (x - noise)[near]
        error = passing.std(0) / np.sqrt(near.sum())
        miss = np.abs(passing.mean(0) - mixtures.velocity(mixture)(at, np.array([[t]]))[0])
        assert (miss < 5 * error + 0.01).all()
        spread = mixtures.conditional_variance(mixture, at, t)[0]
        assert passing.var(0).mean() == pytest.approx(spread, rel=0.05)

    def test_likelihood_by_change_of_variables_is_the_density(self, mixture) -> None:
        x = points(mixture, 12)[0]
        exact = mixtures.log_density(mixture, x)
        got = flow_maps.log_likelihood(mixture, x, 200)
        np.testing.assert_allclose(got, exact, atol=2e-4)

    def test_loss_floor_is_the_least_loss_of_samples(self, mixture) -> None:
        """The exact velocity's loss on fresh pairs; a field that is off by 0.3 pays 0.09 more."""
        rng = np.random.default_rng(3)
        x = mixtures.sample(mixture, 400_000, rng)
        noise, t = rng.standard_normal(x.shape), rng.uniform(size=(len(x), 1))
        error = x - noise - mixtures.velocity(mixture)(interpolate(x, noise, t), t)
        floor = mixtures.loss_floor(mixture, 40)
        loss = (error**2).mean(-1)
        assert abs(loss.mean() - floor) < 4 * loss.std() / np.sqrt(len(x))
        # Another field pays what the quadrature says: one that is off by 0.3 everywhere, and rest.
        exact = mixtures.velocity(mixture)
        for field in (lambda x, t: exact(x, t) + 0.3, lambda x, t: 0 * x):
            worse = ((x - noise - field(interpolate(x, noise, t), t)) ** 2).mean(-1)
            expected = floor + mixtures.excess_loss(mixture, field, 40)
            assert abs(worse.mean() - expected) < 4 * worse.std() / np.sqrt(len(x))
        off = mixtures.excess_loss(mixture, lambda x, t: exact(x, t) + 0.3, 40)
        assert off == pytest.approx(0.09, rel=1e-9)


class TestFloor:
    @pytest.mark.parametrize("width", [0.07, 0.5, 1.0, 2.0])
    @pytest.mark.parametrize("dim", [1, 2])
    def test_one_mode(self, width: float, dim: int) -> None:
        """int_0^1 s^2 / ((1 - t)^2 + t^2 s^2) dt = s pi / 2, by t s / (1 - t) = tan."""
        one = Mixture(np.ones(1), np.full((1, dim), 0.4), np.array([width]))
        assert mixtures.loss_floor(one, 120) == pytest.approx(width * np.pi / 2, rel=1e-9)

    def test_two_modes_by_another_way(self) -> None:
        """E (x_1 - x_0)^2 - E v^2, with v from a numerical score, on plain grids of x and t."""
        x = np.linspace(-6, 6, 12_001)

        def explained(t):
            log = mixtures.log_density(TOY, x[:, None], t)
            v = (x + (1 - t) * np.gradient(log, x)) / t
            return integrate.trapezoid(np.exp(log) * v**2, x)

        times = np.linspace(1e-4, 1 - 1e-4, 101)
        total = 1 + 0.55**2 + 0.07**2
        unexplained = [total - explained(t) for t in times]
        expected = integrate.simpson(unexplained, x=times)
        assert mixtures.loss_floor(TOY) == pytest.approx(expected, abs=3e-4)

    def test_the_reference_number(self) -> None:
        """The course's toy, modes at -0.55 and 0.55 of width 0.07, has the floor 0.666."""
        assert (
            round(mixtures.loss_floor(TOY), 3) == round(mixtures.loss_floor(TOY, 300), 3) == 0.666
        )


class TestLine:
    @pytest.mark.parametrize("mixture", [LINE, TOY])
    def test_mass_and_quantile(self, mixture) -> None:
        parts = zip(mixture.weight, mixture.mean[:, 0], mixture.std, strict=True)
        expected = sum(w * np.diff(stats.norm(m, s).cdf([-0.3, 0.6]))[0] for w, m, s in parts)
        assert mixtures.mass(mixture, -0.3, 0.6) == pytest.approx(expected, rel=1e-12)
        probability = np.array([[1e-6, 0.2], [0.5, 0.999]])
        at = mixtures.quantile(mixture, probability)
        assert at.shape == (2, 2)
        below = [mixtures.mass(mixture, -100, x) for x in at.ravel()]
        np.testing.assert_allclose(below, probability.ravel(), rtol=1e-9)

    def test_the_exact_flow_keeps_the_order_of_its_noise(self) -> None:
        """Many small steps of the velocity field end where the quantiles say."""
        noise = np.array([-2.5, -1.0, -0.3, 0.2, 0.9, 2.2])
        got = flow_maps.ends(mixtures.velocity(LINE), noise, 400, "rk4")
        np.testing.assert_allclose(got, flow_maps.monotone(LINE, noise), atol=1e-6)

    def test_a_flow_in_the_plane_moves_the_law(self) -> None:
        """Moments of 10,000 ends of the exact velocity are those of the mixture."""
        noise = np.random.default_rng(4).standard_normal((10_000, 2))
        end = path(mixtures.velocity(PLANE), noise, 20, "rk4")[-1]
        mean = PLANE.weight @ PLANE.mean
        spread = np.einsum("m,mi,mj->ij", PLANE.weight, PLANE.mean - mean, PLANE.mean - mean)
        spread += np.eye(2) * (PLANE.weight @ PLANE.std**2)
        np.testing.assert_allclose(end.mean(0), mean, atol=0.03)
        np.testing.assert_allclose(np.cov(end.T), spread, atol=0.03)

    def test_one_euler_step_lands_on_the_mean(self) -> None:
        """v(x, 0) = E x_1 - x: whatever the noise, one step ends between the modes."""
        end = flow_maps.ends(mixtures.velocity(LINE), np.array([-2.0, 0.3, 1.7]), 1)
        np.testing.assert_allclose(end, LINE.weight @ LINE.mean[:, 0], atol=1e-12)

    def test_plane_data_have_no_quantiles(self) -> None:
        for call in (lambda: mixtures.mass(PLANE, 0, 1), lambda: mixtures.quantile(PLANE, 0.5)):
            with pytest.raises(ConfigError, match="not in 2 dimensions"):
                call()
        with pytest.raises(ConfigError, match="width=0"):
            two_modes(1.0, 0.0)


class TestMaps:
    @pytest.mark.parametrize("steps", [2, 8])
    def test_mass_between_modes_by_counting(self, steps: int) -> None:
        """Against 100,000 noises at equally spaced ranks, each followed by itself."""
        end = flow_maps.ends(mixtures.velocity(TOY), flow_maps.NOISE, steps)
        got = flow_maps.share_between(flow_maps.NOISE, end, -0.275, 0.275)
        ranked = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
        counted = np.abs(flow_maps.ends(mixtures.velocity(TOY), ranked, steps)) < 0.275
        assert got == pytest.approx(counted.mean(), abs=4e-5)

    def test_share_of_maps_by_hand(self) -> None:
        """Rising, falling, flat and bent maps, several at once."""
        z = np.array([-9.0, -1.0, 0.0, 1.0, 9.0])
        maps = np.stack([z, -z, 0 * z, np.abs(z), 0 * z + 3])
        inside = stats.norm.cdf(1) - stats.norm.cdf(-1)
        got = flow_maps.share_between(z, maps, -1.0, 1.0)
        np.testing.assert_allclose(got, [inside, inside, 1, inside, 0], atol=1e-12)

    @pytest.mark.parametrize("integrator", ["euler", "rk4"])
    def test_all_numbers_of_steps_together(self, integrator: str) -> None:
        noise, velocity = flow_maps.NOISE[::100], mixtures.velocity(TOY)
        got = flow_maps.ends_up_to(velocity, noise, 6, integrator)
        alone = [flow_maps.ends(velocity, noise, k, integrator) for k in range(1, 7)]
        np.testing.assert_allclose(got, alone, atol=1e-12)

    def test_by_ten_steps_one_percent_is_left(self) -> None:
        """Issue 4: all of the mass after one Euler step, within 0.01 of the exact after ten."""
        exact = mixtures.mass(TOY, -0.275, 0.275)
        left = {}
        for steps in (1, 10):
            end = flow_maps.ends(mixtures.velocity(TOY), flow_maps.NOISE, steps)
            left[steps] = flow_maps.share_between(flow_maps.NOISE, end, -0.275, 0.275)
        assert left[1] == pytest.approx(1, abs=1e-6)
        assert abs(left[10] - exact) < 0.01

    @pytest.mark.parametrize("mixture", [LINE, TOY])
    def test_optimal_cost_three_ways(self, mixture) -> None:
        """The formula, the monotone map integrated, and sorted samples paired by rank."""
        cost = flow_maps.optimal_cost(mixture)
        ranked = stats.norm.ppf((np.arange(50_000) + 0.5) / 50_000)
        moved = (flow_maps.monotone(mixture, ranked) - ranked) ** 2
        assert cost == pytest.approx(moved.mean(), abs=1e-3)
        grid = flow_maps.transport_cost(
            flow_maps.NOISE, flow_maps.monotone(mixture, flow_maps.NOISE)
        )
        assert cost == pytest.approx(grid, abs=1e-4)
        rng = np.random.default_rng(5)
        x = np.sort(mixtures.sample(mixture, 100_000, rng)[:, 0])
        assert cost == pytest.approx(
            ((x - np.sort(rng.standard_normal(100_000))) ** 2).mean(), rel=0.03
        )

    def test_costs_of_a_shift_and_of_random_pairs(self) -> None:
        one = Mixture(np.ones(1), np.array([[0.7]]), np.array([0.25]))
        assert flow_maps.optimal_cost(one) == pytest.approx(0.7**2 + 0.75**2, rel=1e-7)
        assert flow_maps.transport_cost(flow_maps.NOISE, flow_maps.NOISE + 2) == pytest.approx(4)
        rng = np.random.default_rng(6)
        x = mixtures.sample(PLANE, 200_000, rng)
        square = ((x - rng.standard_normal(x.shape)) ** 2).sum(-1)
        assert flow_maps.independent_cost(PLANE) == pytest.approx(square.mean(), rel=0.01)

    def test_no_map_of_bounded_slope_leaves_less_between(self) -> None:
        """Equality for a straight line; Euler's maps, and a folded one, obey their own slope."""
        z = flow_maps.NOISE
        for slope in (0.5, 3.0, 30.0):
            line = flow_maps.share_between(z, slope * z, -0.3, 0.3)
            assert flow_maps.least_between(slope, -0.3, 0.3) == pytest.approx(line, abs=1e-9)
        maps = [flow_maps.ends(mixtures.velocity(TOY), z, steps) for steps in (2, 4, 8, 16)]
        for end in (*maps, np.sin(9 * z)):
            steepest = (np.diff(end) / np.diff(z)).max()
            bound = flow_maps.least_between(steepest, -0.275, 0.275)
            assert flow_maps.share_between(z, end, -0.275, 0.275) >= bound - 1e-9
