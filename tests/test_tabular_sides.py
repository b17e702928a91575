"""Exact laws of a kept or redrawn side: enumeration, closed forms, simulation."""

import itertools

import numpy as np
import pytest
from scipy.special import ndtr

from chunkrl.course.exercises import EXERCISES
from chunkrl.course.explorers import EXPLORERS
from chunkrl.course.explorers.sides import CENTRES, clones, picture
from chunkrl.course.worlds import sides
from chunkrl.course.worlds.sides import World
from chunkrl.measure import traces

WORLDS = [World(), World(0.5, 0.0), World(0.3, 0.05), World(0.9, 0.1)]


def every_run(balance: float, h: int, steps: int):
    """Each way to draw sides at multiples of h: its probability and its side at every step."""
    draws = -(-steps // h)
    for signs in itertools.product((-1, 1), repeat=draws):
        p = np.prod([balance if s > 0 else 1 - balance for s in signs])
        yield p, np.repeat(signs, h)[:steps]


def test_reference_numbers() -> None:
    """No switch in 5 steps: 1/16.  Actions held for 5 steps spread sqrt 5 = 2.24 times as far."""
    assert sides.no_switch(0.5, 5) == 1 / 16
    still = World(noise=0.0)
    ratio = sides.displacement(still, 5).spread / sides.displacement(still, 1).spread
    assert round(ratio, 2) == 2.24


@pytest.mark.parametrize("balance", [0.5, 0.3, 1.0])
@pytest.mark.parametrize("h", range(1, 8))
def test_no_switch_by_enumeration(balance: float, h: int) -> None:
    stayed = sum(p for p, side in every_run(balance, 1, h) if abs(side.sum()) == h)
    assert sides.no_switch(balance, h) == pytest.approx(stayed, abs=1e-15)
    if balance == 0.5:
        assert sides.no_switch(balance, h) == 2.0 ** -(h - 1)


@pytest.mark.parametrize("h", [1, 2, 3, 4, 7, 10, 15])
@pytest.mark.parametrize("window", [(0, 10), (3, 9), (5, 10), (4, 4)])
def test_net_steps_by_enumeration(h: int, window: tuple[int, int]) -> None:
    start, stop = window
    expected = np.zeros(2 * (stop - start) + 1)
    for p, side in every_run(0.3, h, 10):
        expected[stop - start + side[start:stop].sum()] += p
    got = sides.net_steps(sides.held(h, start, stop), 0.3)
    np.testing.assert_allclose(got, expected, atol=1e-15)


@pytest.mark.parametrize("h", [1, 2, 5, 10])
def test_variance_grows_with_the_length_of_the_hold(h: int) -> None:
    """n/h independent draws of +-h a: n h a^2, h times that of a walk that draws each step."""
    spread = sides.displacement(World(noise=0.0), h).spread
    assert spread**2 == pytest.approx(10 * h * sides.SIDEWAYS**2)
    noisy = sides.displacement(World(noise=0.03), h).spread
    assert noisy**2 == pytest.approx(10 * h * sides.SIDEWAYS**2 + 10 * 0.03**2)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("h", [1, 3, 10])
def test_collision_by_enumeration(world: World, h: int) -> None:
    width = 0.001 if world.noise == 0 else world.noise * np.sqrt(10)
    expected = 0.0
    for p, side in every_run(world.balance, h, 10):
        mean = 0.1 * side.sum()
        expected += p * (ndtr((0.75 - mean) / width) - ndtr((-0.75 - mean) / width))
    assert sides.collision(sides.displacement(world, h)) == pytest.approx(expected, abs=1e-12)


def test_a_hold_to_the_board_passes_and_the_mean_does_not() -> None:
    still = World(noise=0.0)
    assert sides.collision(sides.displacement(still, 10)) == 0.0
    assert sides.collision(sides.displacement(still, 5)) == 0.5
    assert sides.collision(sides.displacement(still, 1)) == pytest.approx(1 - 22 / 1024)
    assert sides.mean_path_collides(still)
    assert sides.mean_path_collides(World(0.85))
    assert not sides.mean_path_collides(World(0.9))


@pytest.mark.parametrize("world", WORLDS)
def test_the_gaussian_has_the_moments_of_a_step(world: World) -> None:
    step = sides.displacement(world, 1, 0, 1)
    assert world.mean == pytest.approx(step.weight @ step.mean)
    assert world.std == pytest.approx(step.spread)
    way = sides.gaussian_displacement(world)
    expected = ndtr((0.75 - 10 * world.mean) / (world.std * 10**0.5)) - ndtr(
        (-0.75 - 10 * world.mean) / (world.std * 10**0.5)
    )
    assert sides.collision(way) == pytest.approx(expected, abs=1e-14)
    assert way.spread == pytest.approx(sides.displacement(world, 1).spread)


def simulate(name: str, world: World, runs: int, steps: int, h: int, memory: int):
    rng = np.random.default_rng(3)
    if name == "gaussian":
        return sides.sample_gaussian(world, runs, steps, rng)
    return sides.sample(world, h, runs, steps, rng, memory)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("h", [1, 4, 10])
def test_samples_have_the_exact_law(world: World, h: int) -> None:
    """Each single step like the data; the whole way like the convolution (DKW bound, 1e-9)."""
    moves = simulate("held", world, 20_000, 10, h, 0)
    bound = np.sqrt(np.log(2 / 1e-9) / (2 * len(moves)))
    grid = np.linspace(-1.4, 1.4, 141) + 0.003  # off the points of a law without noise
    for sample, law in (
        (moves.sum(1), sides.displacement(world, h)),
        (moves[:, 0], sides.displacement(world, 1, 0, 1)),
        (moves[:, 7], sides.displacement(world, 1, 0, 1)),
        (moves[:, 3:8].sum(1), sides.displacement(world, h, 3, 8)),
    ):
        empirical = (sample[:, None] < grid).mean(0)
        assert np.abs(empirical - law.below(grid)).max() < bound


def test_memory_of_everything_is_the_law_of_the_data() -> None:
    """Drawing each step from P(side | all before) is the chain rule of the operator's own law."""
    world = World(0.4, 0.08)
    moves = simulate("held", world, 20_000, 10, 1, 10)
    grid = np.linspace(-1.4, 1.4, 141)
    bound = np.sqrt(np.log(2 / 1e-9) / (2 * len(moves)))
    empirical = (moves.sum(1)[:, None] < grid).mean(0)
    assert np.abs(empirical - sides.displacement(world, 10).below(grid)).max() < bound
    short = simulate("held", world, 20_000, 10, 1, 1)
    assert np.abs((short.sum(1)[:, None] < grid).mean(0) - empirical).max() > 5 * bound


@pytest.mark.parametrize("memory", [0, 1, 3])
def test_memory_of_k_steps_matches_windows_of_one_more(memory: int) -> None:
    """The law of any k + 1 steps in a row is that of the data; that of all 10 is not."""
    world = World(0.5, 0.09)
    moves = simulate("held", world, 20_000, 10, 1, memory)
    grid = np.linspace(-1.4, 1.4, 141)
    bound = np.sqrt(np.log(2 / 1e-9) / (2 * len(moves)))
    for length, same in ((memory + 1, True), (10, False)):
        window = moves[:, 10 - length :].sum(1)
        exact = sides.displacement(world, 10, 0, length).below(grid)
        miss = np.abs((window[:, None] < grid).mean(0) - exact).max()
        assert (miss < bound) == same


def test_without_noise_one_remembered_step_is_enough() -> None:
    moves = simulate("held", World(0.3, 0.0), 500, 10, 1, 1)
    np.testing.assert_allclose(np.abs(moves.sum(1)), 1.0)


@pytest.mark.parametrize("h", [1, 3, 5, 10])
def test_expected_coherency_and_coverage_are_those_of_runs(h: int) -> None:
    world, steps, runs, every, cell = World(0.5, 0.03), 40, 20, 5, 0.1
    rng = np.random.default_rng(4)
    found = []
    for _ in range(200):
        x = np.cumsum(sides.sample(world, h, runs, steps, rng), 1)
        y = np.broadcast_to(0.05 + cell * np.arange(1, steps + 1), x.shape)
        start = np.broadcast_to([[[0.0, 0.05]]], (runs, 1, 2))
        path = np.concatenate([start, np.stack([x, y], -1)], 1)
        found.append((traces.coherency(path, every).mean(), traces.coverage(path[:, 1:], cell)))
    mean, error = np.mean(found, 0), np.std(found, 0, ddof=1) / np.sqrt(len(found))
    ways = [sides.displacement(world, h, t, t + every) for t in range(0, steps, every)]
    places = [sides.displacement(world, h, 0, t) for t in range(1, steps + 1)]
    assert abs(mean[0] - sides.coherency(ways, every)) < 4 * error[0]
    assert abs(mean[1] - sides.coverage(places, cell, runs)) < 4 * error[1]


def test_coherency_without_noise_by_hand() -> None:
    """5 signs: |sum| = 5, 3, 1 with probability 1/16, 5/16, 10/16."""
    still = World(noise=0.0)
    (way,) = [sides.displacement(still, 1, 0, 5)]
    expected = (np.hypot(0.5, 0.5) + 5 * np.hypot(0.5, 0.3) + 10 * np.hypot(0.5, 0.1)) / 16
    assert sides.coherency([way], 5) == pytest.approx(expected)
    assert sides.coherency([sides.displacement(still, 5, 0, 5)], 5) == pytest.approx(0.5**0.5)


def test_coverage_of_one_run_is_one_cell_a_row() -> None:
    places = [sides.displacement(World(), 3, 0, t) for t in range(1, 11)]
    assert sides.coverage(places, 0.1, 1) == pytest.approx(10.0)


def test_the_values_of_notebook_06() -> None:
    """1/16, 2.24 and 3 are right answers of its exercises."""
    for id, answer in (("06.q1", 1 / 16), ("06.q2", 2.24), ("06.q3", 3)):
        passed, _ = EXERCISES[id].judge(answer)
        assert passed, id


def test_the_explorer_simulates_what_it_says_is_exact() -> None:
    """Hits of 2,000 runs and the histogram of their steps, at 30 settings of the sliders."""
    for setting in EXPLORERS["sides"].random(30, seed=3):
        numbers = EXPLORERS["sides"].numbers(**setting)
        error = np.sqrt(np.multiply(numbers.hit, np.subtract(1, numbers.hit)) / 2_000)
        assert (np.abs(numbers.estimate - numbers.hit) <= 5 * error + 1e-3).all(), setting
        assert numbers.known == (True, setting["memory"] in (0, 10), True)
        # A chunk's steps share their side: at worst 2,000 independent draws.
        assert np.abs(numbers.share - numbers.law).max() < 5 * np.sqrt(0.25 / 2_000)
        np.testing.assert_array_equal(numbers.law[1], numbers.law[2])


def test_the_explorer_predicts_the_share_of_hits_without_memory() -> None:
    explorer = EXPLORERS["sides"]
    assert explorer.predict_first is not None
    answer = explorer.predict_first.answer(explorer.numbers())
    assert answer == pytest.approx(100 * sides.collision(sides.displacement(World(), 1)))
    assert round(answer) == 98
    assert round(100 * sides.collision(sides.displacement(World(), 10))) == 0


def test_what_learned_runs_show_is_counted_from_them() -> None:
    """Two made-up runs each: to the right past the board, and straight into it."""
    passing = np.stack([0.1 * np.arange(11), 0.1 * np.arange(11)], -1)
    straight = passing * [0.0, 1.0]
    found = clones(
        World(), np.stack([passing] * 2), np.stack([straight] * 2), np.stack([passing, straight])
    )
    assert found.hit.tolist() == [0.0, 1.0, 0.5]
    right, still = np.argmin(np.abs(CENTRES - 0.1)), np.argmin(np.abs(CENTRES))
    assert found.share[:, right].tolist() == [1.0, 0.0, 0.5]
    assert found.share[:, still].tolist() == [0.0, 1.0, 0.5]
    step = sides.displacement(World(), 1, 0, 1)
    assert found.law[right] == pytest.approx(float(np.diff(step.below([0.09, 0.11]))[0]))
    shown = picture(found, 7)
    assert shown.png.startswith(b"\x89PNG")
    for said in ("0% of the operator's", "100% of a learned flow of single", "50%", "chunks of 7"):
        assert said in shown.alt


def test_nine_of_ten_draws_suffice() -> None:
    """Counted from simulated runs: most that pass have nine draws that agree, not ten."""
    world, runs = World(), 400_000
    rng = np.random.default_rng(5)
    side = np.where(rng.random((runs, 10)) < 0.5, 1, -1)
    end = (0.1 * side + 0.02 * rng.standard_normal((runs, 10))).sum(1)
    passed = np.abs(end) > sides.HALF_WIDTH
    agree = (10 + np.abs(side.sum(1))) // 2
    shares = sides.passes(world)
    assert sum(shares.values()) == pytest.approx(1)
    assert 1 - sides.collision(sides.displacement(world, 1)) == pytest.approx(0.01807, abs=1e-5)
    for count in (8, 9, 10):
        found = (agree[passed] == count).mean()
        error = np.sqrt(shares[count] * (1 - shares[count]) / passed.sum())
        assert abs(found - shares[count]) < 5 * error
    assert shares[9] > 0.8
    assert shares[10] < 0.15
    assert sides.passes(World(noise=0.0)) == pytest.approx(
        {5: 0.0, 6: 0.0, 7: 0.0, 8: 0.0, 9: 10 / 11, 10: 1 / 11}
    )


@pytest.mark.parametrize("noise", [0.05, 0.08])
def test_who_sees_the_position_needs_no_memory_but_a_gaussian_still_dithers(noise: float) -> None:
    """So dithering has other sources than what the observation hides."""
    world, runs = World(noise=noise), 100_000
    operator = sides.collision(sides.displacement(world, 10))
    hit = {}
    for gaussian in (False, True):
        moves = sides.sample_seeing(world, runs, np.random.default_rng(1), gaussian)
        assert moves.shape == (runs, 10)
        hit[gaussian] = (np.abs(moves.sum(1)) < sides.HALF_WIDTH).mean()
        # Both have the mean and the spread of a first step of the data.
        assert moves[:, 0].mean() == pytest.approx(0, abs=0.002)
        assert moves[:, 0].std() == pytest.approx(world.std, rel=0.01)
    error = np.sqrt(operator * (1 - operator) / runs)
    assert abs(hit[False] - operator) < 5 * error
    assert hit[True] > operator + 10 * error


def test_the_steps_play_on_the_same_runs() -> None:
    full = EXPLORERS["sides"].numbers(h=5)
    part = EXPLORERS["sides"].numbers(h=5, played=4)
    np.testing.assert_array_equal(full.paths, part.paths)
    assert (full.played, part.played) == (10, 4)
    assert "4 of 10" in EXPLORERS["sides"].alt(h=5, played=4)
