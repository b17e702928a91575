"""Numbers that the notebooks 01 to 04, 07 and 09 state, to the digits printed there."""

import numpy as np
import pytest

from chunkrl.course.worlds import returns, support
from chunkrl.errors import ConfigError
from chunkrl.tabular import propagation, selection, worlds
from chunkrl.tabular.chunks import chunked, logged, n_step, n_step_limit
from chunkrl.tabular.errors import data_target
from chunkrl.tabular.mdp import one_hot, optimal, policy_value


def rounds_to(value, printed):
    """`printed` is text, so that its digits say how closely to compare."""
    digits = len(printed.partition(".")[2])
    assert f"{float(value):.{digits}f}" == printed


@pytest.fixture(scope="module")
def grid():
    mdp, paths = support.grid(), support.logged_paths()
    return mdp, paths, support.count(paths)


class TestWhatAFixedDatasetCanTell:
    """Notebook 01."""

    def test_counts_and_values(self, grid):
        mdp, (long, short), counts = grid
        assert counts.size == 256
        assert (counts > 0).sum() == 31
        assert (counts == 0).sum() == 225
        assert len(long.action) == 22
        rounds_to(support.logged_return(mdp, long), "-19.84")
        best = support.in_support(mdp, counts)
        rounds_to(best.value[0], "-13.13")
        rounds_to(best.value[0] - support.logged_return(mdp, long), "6.71")
        walk = support.greedy_path(mdp, best, counts).path
        assert len(walk.action) == 14
        crossing = support.cell(*support.CROSSING)
        assert crossing in walk.state  # stitched: first half of one path, second half of the other
        assert set(walk.state) <= {*long.state, *short.state}
        assert not set(walk.state) <= set(long.state)

    def test_greedy_leaves_the_data_once_unseen_is_above_the_optimum(self, grid):
        mdp, _, counts = grid
        optimum = support.in_support(mdp, counts).value[0]

        def greedy(unseen):
            return support.greedy_path(mdp, support.fitted_q(mdp, counts, unseen), counts)

        below, above = greedy(optimum - 1e-6), greedy(optimum + 1e-6)
        assert not below.leaves
        assert len(below.path.action) == 14
        assert above.leaves
        claims = [greedy(unseen).claimed for unseen in (-50, optimum - 1, -13, -5, 0)]
        np.testing.assert_allclose(claims, [optimum, optimum, -13, -5, 0])

    def test_a_goal_that_bootstraps_is_worth_its_initial_value(self, grid):
        mdp, (long, _), counts = grid
        before, action = long.state[-2], long.action[-1]
        for mask, expected in ((True, -1.0), (False, -1 + 0.99 * -50)):
            found = support.fitted_q(mdp, counts, -50, mask=mask).q[before, action]
            np.testing.assert_allclose(found, expected)

    @pytest.mark.parametrize("wiggle", range(5))
    def test_paths_are_walks_that_cross_once(self, grid, wiggle):
        mdp = grid[0]
        long, short = support.logged_paths(wiggle)
        for path in (long, short):
            moved = mdp.transition[path.state[:-1], path.action]
            np.testing.assert_array_equal(moved.argmax(-1), path.state[1:])
            assert path.state[-1] == support.cell(*support.GOAL)
            assert len(set(path.state)) == len(path.state)
        shared = set(long.state) & set(short.state)
        assert shared == {support.cell(*support.CROSSING), support.cell(*support.GOAL)}
        assert len(long.action) == 14 + 2 * wiggle
        best = support.in_support(mdp, support.count((long, short))).value[0]
        rounds_to(best, "-13.13")

    def test_a_support_threshold_above_the_short_path_leaves_the_long_one(self, grid):
        mdp, paths, _ = grid
        counts = support.count(paths, repeats=(3, 1))
        rounds_to(support.in_support(mdp, counts, threshold=2).value[0], "-19.84")
        with pytest.raises(ConfigError, match="no more room"):
            support.logged_paths(5)


class TestWhereAValueComesFrom:
    """Notebook 02."""

    def test_a_b_puzzle(self):
        assert len(returns.A_B_EPISODES) == 8
        assert returns.batch_td(returns.A_B_EPISODES) == pytest.approx({"A": 0.75, "B": 0.75})
        exact = {"A": 0.0, "B": 0.75}
        assert returns.batch_monte_carlo(returns.A_B_EPISODES) == pytest.approx(exact)

    def test_bias_and_variance_of_a_target(self):
        n = np.arange(1, 30)
        np.testing.assert_allclose(returns.target_bias(n, 0.9, 3.0), [3 * 0.9**k for k in n])
        by_sum = [4 * sum(0.9 ** (2 * k) for k in range(m)) for m in n]
        np.testing.assert_allclose(returns.target_variance(n, 0.9, 2.0), by_sum)
        np.testing.assert_allclose(returns.target_variance(n, 1.0, 2.0), 4 * n)
        target = returns.n_step_target(np.array([[1.0, 2.0, 4.0]]), np.array([8.0]), 0.5)
        np.testing.assert_allclose(target, [1 + 1 + 1 + 1])

    def test_the_closed_form_of_bias_is_the_lock_s_own(self):
        """The same number from the decomposition of an n-step target on the lock."""
        world = worlds.lock(12, skill=1.0)
        value = policy_value(world.mdp, world.behaviour) + 0.7
        for n in (1, 4, 9):
            parts = data_target(world.mdp, world.behaviour, world.behaviour, value, n=n).state
            np.testing.assert_allclose(parts.error[0], returns.target_bias(n, 0.99, 0.7))

    def test_one_target_has_no_best_n_inside(self):
        """Fixed value error: bias^2 + variance / m is monotone in n, whatever m."""
        n = np.arange(1, 60)
        for m in np.geomspace(1, 1e4, 30):
            total = returns.target_bias(n, 0.95, 2.0) ** 2
            total = total + returns.target_variance(n, 0.95, 1.0) / m
            signs = np.sign(np.diff(total))
            assert (signs == signs[0]).all()

    def test_learning_has_a_best_n_that_slides_left_with_data(self):
        best = []
        for episodes in (10, 20, 50, 200):
            error = returns.learning(20, [0.2] * episodes, 5.0, 1.0, 0.99).squared_error
            best.append(int(error.argmin()) + 1)
        assert best == sorted(best, reverse=True)
        assert best[0] > best[1] > best[2] > best[3]
        assert 1 < best[1] < 20

    @pytest.mark.parametrize("step", [0.1, 0.2, 0.4, 0.7])
    def test_the_best_n_hands_news_on_in_as_few_steps_as_any_longer_one(self, step):
        """Whatever m: of all n with the same ceil(20 / n) the shortest."""
        shortest = {min(n for n in range(1, 21) if -(-20 // n) == k) for k in range(1, 21)
                    if any(-(-20 // n) == k for n in range(1, 21))}  # fmt: skip
        assert shortest == {1, 2, 3, 4, 5, 7, 10, 20}
        for m in range(10, 201, 5):
            error = returns.learning(20, [step] * m, 5.0, 1.0, 0.99).squared_error
            assert int(error.argmin()) + 1 in shortest

    @pytest.mark.parametrize("m", [1, 2, 10, 50, 200])
    def test_the_slide_to_the_left_belongs_to_a_fixed_step_size(self, m):
        """With 1/m the longest return is the mean of m returns, and none is better."""
        error = returns.learning(20, 1 / np.arange(1, m + 1), 5.0, 1.0, 0.99).squared_error
        assert error.argmin() == 19
        assert error[-1] == pytest.approx(returns.target_variance(20, 0.99, 1.0) / m)
        if m == 200:
            rounds_to(error[19], "0.08")
            rounds_to(error[0], "22.4")

    @pytest.mark.parametrize("m", [10, 20, 50, 200])
    def test_the_longest_return_wins_when_each_n_has_its_own_best_step(self, m):
        tried = [
            returns.learning(20, [step / 100] * m, 5.0, 1.0, 0.99).squared_error
            for step in range(1, 101)
        ]
        assert np.min(tried, 0).argmin() == 19

    @pytest.mark.parametrize("power", [0.5, 0.7])
    def test_it_goes_with_steps_that_fall_more_slowly_than_one_over_m(self, power):
        best = [
            returns.learning(
                20, np.arange(1, m + 1) ** -power, 5.0, 1.0, 0.99
            ).squared_error.argmin()
            for m in (10, 50, 200)
        ]
        assert best[0] > best[1] > best[2]

    def test_replacing_values_makes_all_n_alike(self):
        error = returns.learning(20, [1.0] * 20, 5.0, 1.0, 0.99).squared_error
        np.testing.assert_allclose(error, returns.target_variance(20, 0.99, 1.0))

    def test_a_step_size_is_between_zero_and_one(self):
        for step in (0.0, 1.1, -0.5):
            with pytest.raises(ConfigError, match="between 0 and 1"):
                returns.learning(5, [0.5, step], 1.0, 1.0, 0.9)


class TestWhyLongHorizonsBreakQLearning:
    """Notebook 03."""

    def test_error_of_many_backups(self):
        one, ten = (propagation.accumulated(100, 0.99, 0.1, h) for h in (1, 10))
        rounds_to(one, "6.34")
        rounds_to(ten, "0.66")
        rounds_to(one / ten, "9.56")
        assert propagation.shortest_backup(100, 0.99, 0.1, limit=1.0) == 7

    @pytest.mark.parametrize("h", [1, 2, 3, 5])
    def test_the_formula_is_the_fixed_point_with_a_constant_error(self, h):
        mdp = chunked(worlds.lock(12).mdp, h)
        error = np.full(mdp.reward.shape, 0.1)
        error[-1] = 0
        solution = optimal(mdp)
        wrong = propagation.noisy(mdp, error, policy=one_hot(solution.choice, 2**h)).value
        by_formula = propagation.accumulated(12 - np.arange(13), 0.99, 0.1, h)
        np.testing.assert_allclose(wrong - solution.value, by_formula, atol=1e-12)

    def test_the_maximum_turns_noise_into_drift_above_a_threshold(self):
        """The page says about 0 at sigma = 0.3 and +57 at sigma = 1, from 100 seeds."""
        mdp = worlds.lock().mdp
        best = optimal(mdp)
        rng, over = np.random.default_rng(0), {}
        for std in (0.3, 1.0):
            error = propagation.entry_errors(mdp, std, 1000, rng)
            over[std] = (propagation.noisy(mdp, error).value - best.value)[:, 0]
            fixed = propagation.noisy(mdp, error, policy=one_hot(best.choice, 2)).value
            fixed = (fixed - best.value)[:, 0]
            assert abs(fixed.mean()) < 5 * fixed.std() / np.sqrt(len(fixed))  # no maximum, no bias
        assert abs(over[0.3].mean()) < 0.5
        spread = over[1.0].std() * np.sqrt(1 / 1000 + 1 / 100)  # ours and the page's seeds
        assert abs(over[1.0].mean() - 57) < 3 * spread

    def test_number_of_backups(self):
        for length in (7, 24):
            mdp = worlds.lock(length).mdp
            for h in (1, 2, 3, 5, 7):
                assert propagation.backups_until_exact(chunked(mdp, h)) == -(-length // h)
        with pytest.raises(ConfigError, match="approaches"):
            propagation.backups_until_exact(worlds.lock(4, slip=0.5).mdp, most=5)

    def test_settings_without_an_answer(self):
        with pytest.raises(ConfigError, match="already adds"):
            propagation.shortest_backup(100, 0.99, 1.0, limit=1.0)
        with pytest.raises(ConfigError, match="discount"):
            propagation.accumulated(10, 1.01, 0.1)


class TestWhyNotNStepReturns:
    """Notebook 04; L = 24, no slip."""

    @pytest.mark.parametrize(
        ("skill", "biases"),
        [
            (0.9, {2: "-2.06", 3: "-2.77", 5: "-3.40", 8: "-3.78"}),
            (0.7, {2: "-7.61"}),
            (1.0, {2: "0.00", 8: "0.00"}),
        ],
    )
    def test_fixed_points(self, skill, biases):
        world = worlds.lock(skill=skill)
        best = optimal(world.mdp).value[0]
        rounds_to(best, "-21.43")
        for n, bias in biases.items():
            found = optimal(n_step(world.mdp, world.behaviour, n)).value[0] - best
            rounds_to(abs(found) if bias == "0.00" else found, bias)
        for h in (1, 2, 3, 5, 8):
            claimed = optimal(logged(world.mdp, world.behaviour, h).mdp).value[0]
            np.testing.assert_allclose(claimed, best)

    def test_limit_and_behaviour(self):
        world = worlds.lock(skill=0.9)
        limit = optimal(n_step_limit(world.mdp, world.behaviour)).value[0]
        rounds_to(limit - optimal(world.mdp).value[0], "-4.34")
        rounds_to(policy_value(world.mdp, world.behaviour)[0], "-25.85")


class TestPickingTheBestSample:
    """Notebook 07."""

    def test_promises(self):
        rounds_to(selection.expected_maximum(8), "1.42")
        rounds_to(selection.promised(8, 1), "2.01")
        rounds_to(selection.delivered(8, 1), "1.01")
        rounds_to(selection.promised(64, 2) - selection.delivered(64, 2), "4.19")
        rounds_to(selection.divergence_bound(8), "1.20")
        rounds_to(selection.divergence_bound(32), "2.50")
        assert selection.candidates_for(0.7, 5, 0.95) == 17
        assert selection.hit_probability(0.7, 5, 17) >= 0.95 > selection.hit_probability(0.7, 5, 16)

    def test_promises_by_simulation(self):
        rng = np.random.default_rng(0)
        true = rng.standard_normal((400_000, 8))
        seen = true + 1.5 * rng.standard_normal(true.shape)
        rows, pick = np.arange(len(true)), seen.argmax(-1)
        for values, exact in (
            (seen[rows, pick], selection.promised(8, 1.5)),
            (true[rows, pick], selection.delivered(8, 1.5)),
        ):
            assert abs(values.mean() - exact) < 5 * values.std() / np.sqrt(len(values))

    @pytest.mark.parametrize("seed", range(20))
    def test_divergence_of_best_of_n_on_a_discrete_toy(self, seed):
        rng = np.random.default_rng(seed)
        probability, candidates = rng.dirichlet(np.ones(12)), int(rng.integers(1, 40))
        score = rng.integers(0, 4 if seed % 2 else 1000, 12).astype(float)
        best = selection.best_of_n(probability, score, candidates)
        np.testing.assert_allclose(best.sum(), 1)
        bound = selection.divergence_bound(candidates)
        assert selection.divergence(best, probability) <= bound + 1e-12
        fine = np.full(20_000, 1 / 20_000)  # without ties the bound is met
        met = selection.best_of_n(fine, np.arange(20_000.0), candidates)
        np.testing.assert_allclose(selection.divergence(met, fine), bound, atol=1e-3)
        few = selection.best_of_n(probability, score, 2)  # every pair of draws, ties alike
        pairs = np.outer(probability, probability)
        wins = np.where(score[:, None] > score, 1.0, np.where(score[:, None] == score, 0.5, 0.0))
        np.testing.assert_allclose(few, 2 * (pairs * wins).sum(1))


class TestWhenAChunkCriticLies:
    """Notebook 09; L = 24, skill 0.9, h = 8, the lock's default secret."""

    @pytest.mark.parametrize(
        ("slip", "claims", "best", "obtains"),
        [(0.1, "-22.68", "-23.50", "-29.73"), (0.2, "-24.22", "-26.00", "-42.65")],
    )
    def test_claimed_and_obtained(self, slip, claims, best, obtains):
        world = worlds.lock(slip=slip)
        claimed = optimal(logged(world.mdp, world.behaviour, 8).mdp)
        rounds_to(claimed.value[0], claims)
        rounds_to(optimal(world.mdp).value[0], best)
        rounds_to(policy_value(chunked(world.mdp, 8), claimed.choice)[0], obtains)

    def test_no_gap_without_slip_without_chunks_or_with_blind_logging(self):
        frequency = np.full((25, 2**4), 2.0**-4)
        for slip, h, behaviour in ((0.0, 8, None), (0.2, 1, None), (0.2, 4, frequency)):
            world = worlds.lock(slip=slip)
            data = logged(world.mdp, world.behaviour if behaviour is None else behaviour, h)
            claimed = optimal(data.mdp)
            obtained = policy_value(chunked(world.mdp, h), claimed.choice)
            np.testing.assert_allclose(claimed.value, obtained)


def test_proposals_appear_as_often_as_they_should():
    rng = np.random.default_rng(0)
    frequency = rng.dirichlet(np.ones(6), 3)
    drawn = propagation.proposals(frequency, 4, 20_000, rng).mean(0)
    expected = 1 - (1 - frequency) ** 4
    z = (drawn - expected) / np.sqrt(expected * (1 - expected) / 20_000)
    assert np.abs(z).max() < 5


def test_a_critic_only_picks_what_was_proposed():
    mdp = chunked(worlds.lock(8, slip=0.1).mdp, 2)
    rng = np.random.default_rng(0)
    error = propagation.entry_errors(mdp, 1.0, 50, rng)
    proposed = propagation.proposals(np.full((9, 4), 0.25), 2, 50, rng)
    choice = propagation.noisy(mdp, error, proposed=proposed).choice
    assert np.take_along_axis(proposed, choice[..., None], -1).all()
    everything = np.ones_like(proposed)
    np.testing.assert_allclose(
        propagation.noisy(mdp, error, proposed=everything).value,
        propagation.noisy(mdp, error).value,
    )
    with pytest.raises(ConfigError, match="at least one"):
        propagation.noisy(mdp, error, proposed=~everything)
