"""Numbers of notebooks 01, 02 and 04 by ways that the library does not use; the real-data files."""

import numpy as np
import pytest
from scipy import stats

from chunkrl import plots
from chunkrl.course.builds import BUILDS, nb03
from chunkrl.course.exercises import EXERCISES, nb04
from chunkrl.course.explorers import (
    EXPLORERS,
    cube_paths,
    cube_values,
    off_policy,
    one_window,
    optimism,
    returns,
    target_parts,
    two_errors,
)
from chunkrl.course.worlds import support, windows
from chunkrl.course.worlds.returns import (
    plain_choices,
    weighted_choices,
    weighted_variance,
)
from chunkrl.errors import DataError
from chunkrl.results import real_data
from chunkrl.statistics import bootstrap
from chunkrl.tabular.chunks import chunked, logged, n_step
from chunkrl.tabular.estimate import rollout, targets
from chunkrl.tabular.mdp import one_hot, optimal, policy_value
from chunkrl.tabular.propagation import entry_errors, noisy, noisy_variance
from chunkrl.tabular.worlds import lock


def steps_cost(steps: int) -> float:
    return -sum(0.99**t for t in range(steps))


class TestDataset:
    """Notebook 01."""

    @pytest.mark.parametrize("wiggle", range(5))
    def test_the_claim_is_the_larger_of_the_support_and_the_initial_value(
        self, wiggle: int
    ) -> None:
        """At every position of the slider: V(start) = max(in-support optimum, initial value)."""
        numbers = EXPLORERS["support"].numbers(wiggle=wiggle)
        assert numbers.in_support == pytest.approx(steps_cost(14))
        expected = np.maximum(steps_cost(14), returns_of(numbers))
        np.testing.assert_allclose(numbers.claimed, expected)
        on_data = returns_of(numbers) < steps_cost(14)
        np.testing.assert_allclose(numbers.obtained[on_data], steps_cost(14))
        assert (np.diff(numbers.obtained[~on_data]) <= 1e-9).all()
        assert numbers.obtained[-1] == pytest.approx(-100.0)  # optimistic at 0: never arrives

    @pytest.mark.parametrize("unseen", EXPLORERS["support"].controls[0].values)
    @pytest.mark.parametrize("threshold", [1, 2])
    def test_a_cross_stands_where_the_initial_value_beats_the_best_that_logs_allow(
        self, unseen: float, threshold: int
    ) -> None:
        """In every logged cell: max Q = max(V_in, u), and the choice follows."""
        mdp, goal = support.grid(), support.cell(*support.GOAL)
        counts = support.count(support.logged_paths(), (3, 1))
        inside = support.in_support(mdp, counts, threshold).value
        learned = support.fitted_q(mdp, counts, unseen, threshold=threshold)
        numbers = EXPLORERS["support"].numbers(unseen=unseen, threshold=threshold)
        for cell in np.flatnonzero((counts >= threshold).any(-1)):
            assert learned.value[cell] == pytest.approx(max(inside[cell], unseen))
            assert cell == goal or (numbers.chosen[cell] < 0) == (unseen > inside[cell])

    def test_two_logs_ask_for_the_long_way(self) -> None:
        numbers = EXPLORERS["support"].numbers(threshold=2)
        assert numbers.in_support == pytest.approx(steps_cost(22))
        assert numbers.optimum == pytest.approx(steps_cost(14))

    def test_the_obtained_value_is_what_walking_earns(self) -> None:
        """10,000 walks of the learned policy, ties off the data broken at random."""
        mdp, rng = support.grid(), np.random.default_rng(0)
        counts = support.count(support.logged_paths(), (3, 1))
        policy = returns_policy(mdp, counts, -10.0)
        to, here = mdp.transition.argmax(-1), np.zeros(10_000, int)
        total = np.zeros(len(here))
        for t in range(1_000):
            action = (rng.random((len(here), 1)) > np.cumsum(policy[here], -1)).sum(-1)
            total += 0.99**t * mdp.reward[here, action]
            here = to[here, action]
        exact = EXPLORERS["support"].numbers(unseen=-10.0)
        miss = abs(total.mean() - exact.obtained[exact.at])
        assert miss < 4 * total.std() / np.sqrt(len(total))


def returns_of(numbers) -> np.ndarray:
    """The initial values of the table, from the picture's own data."""
    return np.array([row[0] for row in EXPLORERS["support"].table(numbers)[1]])


def returns_policy(mdp, counts, unseen):
    return support.behaviour(support.fitted_q(mdp, counts, unseen).q, counts)


class TestReturns:
    """Notebook 02."""

    def test_the_best_n_slides_left(self) -> None:
        at = {
            m: returns.best_n(EXPLORERS["returns"].numbers(episodes=m)) for m in (10, 20, 50, 200)
        }
        assert [best for best, _ in at.values()] == [20, 10, 4, 1]
        assert {direction for _, direction in at.values()} == {"fall"}
        assert returns.best_n(EXPLORERS["returns"].numbers(episodes=2))[1] == "rise"

    def test_simulated_runs_agree_with_both_exact_totals(self) -> None:
        inside = total = 0
        for setting in EXPLORERS["returns"].random(12, seed=3):
            numbers = EXPLORERS["returns"].numbers(**setting)
            for parts, found in (
                (numbers.bias + numbers.variance, numbers.target),
                (numbers.learned_bias + numbers.learned_variance, numbers.learned),
            ):
                score = np.abs(found[:, 0] - parts[returns.SOME_N - 1]) / found[:, 1]
                assert (score < 5).all(), setting
                inside, total = inside + (score < 2).sum(), total + score.size
        assert inside > 0.85 * total

    def test_a_target_of_one_episode_by_hand(self) -> None:
        """Rewards 1 everywhere: n = 2 from cell 0 is 1 + gamma + gamma^2 V(2)."""
        sums = np.cumsum(np.concatenate([[0.0], returns.GAMMA[:-1]]))[None]
        value = np.arange(returns.CELLS + 1.0)[None, None]
        found = returns.targets(sums, value, np.array([2]))[0, 0]
        assert found[0] == pytest.approx(1 + 0.99 + 0.99**2 * 2)
        assert found[-1] == pytest.approx(1 + 0.99 * returns.CELLS)  # cut at the end


class TestHorizons:
    """Notebook 03."""

    @pytest.mark.parametrize("sigma", [0.3, 0.5, 0.7, 1.0])
    def test_loops_cheaper_than_finishing_are_what_critics_get_lost_in(self, sigma: float) -> None:
        found = optimism.loops(24, sigma, seeds=400)
        assert abs(found.never - found.beats) < 0.02
        assert found.same > 0.97
        assert found.pays <= found.positive <= found.beats
        if 0.5 <= sigma < 1:
            assert found.never - found.pays > 0.1  # so 2 is not where it begins

    def test_a_loop_that_costs_is_walked(self) -> None:
        """The named setting: its errors sum to less than 2, and the critic loops all the same."""
        explorer = EXPLORERS["optimism"]
        numbers = explorer.numbers(**explorer.named["A loop that costs"])
        assert numbers.loop >= 0
        assert len(numbers.jumps) - 1 - numbers.loop == 2
        assert 1.5 < numbers.errors < 2
        assert numbers.claims.maximum[numbers.critic - 1] > 0

    def test_news_of_the_goal_comes_one_backup_per_sweep(self) -> None:
        """Sweeps of a corridor that begins at +100 everywhere: what is known is -steps."""
        for backup, sweeps in ((1, 10), (10, 4), (7, 12)):
            value = np.append(0.0, np.full(100, 100.0))  # by steps to the goal
            for _ in range(sweeps):
                last = np.maximum(np.arange(101) - backup, 0)
                value = value[last] - (np.arange(101) - last)
            reached = EXPLORERS["horizon"].numbers(backup=backup, sweeps=sweeps).reached
            assert (value <= 0).sum() - 1 == reached

    def test_sweeps_end_at_the_fixed_point(self) -> None:
        """The build's library curve, repeated long enough, is the exact overestimate."""
        for each, limit, found in zip(nb03.ALL, nb03.LIMIT, BUILDS["03"].library, strict=True):
            assert found[0] == 0
            assert found[-1] == pytest.approx(limit, abs=0.11 * abs(limit)), each.h


class TestRealData:
    """The two committed extracts, and what is computed from them."""

    def test_coverage_has_the_form_of_its_recipe(self) -> None:
        logs = real_data.load_coverage()
        assert logs.counts.shape == (*real_data.SHAPE, 8)
        assert logs.counts.dtype == np.uint16
        assert logs.counts.sum() == real_data.TRANSITIONS
        assert logs.paths.shape == (real_data.SHOWN, 1000 // real_data.EVERY, 3)
        low, high = np.array([0.2, -0.4, 0.0]), np.array([0.65, 0.4, 0.4])  # m: the table
        assert ((logs.paths > low) & (logs.paths < high)).all()

    def test_journeys_have_the_form_of_their_recipe(self) -> None:
        logs = real_data.load_journeys()
        assert logs.distance.shape == logs.solved.shape == (150, 1000)
        assert logs.distance.dtype == np.uint8
        assert logs.solved.dtype == bool
        assert (logs.distance[logs.solved] < 4).all()  # OGBench: solved within 4 cm
        assert (logs.distance[~logs.solved] >= 4).all()

    def test_the_files_are_small(self) -> None:
        assert sum(file.stat().st_size for file in real_data.HERE.glob("*.npz")) < 400_000

    def test_the_recipe_counts_a_hand_made_log(self) -> None:
        obs = np.zeros((10, 28), np.float32)  # the hand rests above the middle of the table
        obs[:, 14] = 2.1
        action = np.tile(np.array([0.5, -0.5, 0.5, 0, 0], np.float32), (10, 1))
        found = real_data.coverage(obs, action, 5)
        assert found.counts[9, 18, 10, 0b101] == found.counts.sum() == 10
        obs[:, 14] = 9.0
        with pytest.raises(DataError, match="leaves the box"):
            real_data.coverage(obs, action, 5)

    def test_a_missing_file_names_its_command(self, monkeypatch, tmp_path) -> None:
        monkeypatch.setattr(real_data, "HERE", tmp_path)
        with pytest.raises(DataError, match=r"python -m chunkrl\.results\.real_data"):
            real_data.load_journeys()

    def test_shares_are_fractions_of_entered_cells(self) -> None:
        counts = np.zeros((*real_data.SHAPE, 8), np.uint16)
        counts[0, 0, 0, :2], counts[3, 4, 5, 7] = (1, 6), 5
        logs = real_data.Coverage(counts, np.zeros((2, 200, 3), np.float32))
        assert cube_paths.shares(logs, 1).cells == pytest.approx(2 / counts[..., 0].size)
        assert cube_paths.shares(logs, 1).pairs == pytest.approx(3 / 16)
        assert cube_paths.shares(logs, 5).pairs == pytest.approx(2 / 16)

    def test_an_even_spread_is_what_throwing_steps_at_pairs_gives(self) -> None:
        """The reviewers' yardstick: 92, 10 and 0.02 % against 63, 19 and 5 % that were logged."""
        logs = real_data.load_coverage()
        pairs = 8 * int((logs.counts.sum(-1) > 0).sum())
        thrown = np.random.default_rng(0).multinomial(
            logs.counts.sum(), np.full(pairs, 1 / pairs), 20
        )
        for k, counted in ((1, 0.63), (5, 0.19), (10, 0.05)):
            found = cube_paths.shares(logs, k)
            assert found.pairs == pytest.approx(counted, abs=0.005)
            assert found.even == pytest.approx((thrown >= k).mean(), abs=0.002)

    def test_returns_lie_between_bounds_that_meet_where_it_matters(self) -> None:
        solved = np.zeros((1, 600), bool)
        solved[0, 3] = True
        low, high = cube_values.observed_returns(solved)
        assert low[0, :4] == pytest.approx([steps_cost(3), steps_cost(2), -1.0, 0.0])
        assert (low[0, :4] == high[0, :4]).all()
        assert low[0, -1] == pytest.approx(-100.0)
        assert high[0, -1] == pytest.approx(-1.0)
        never = cube_values.observed_returns(np.zeros((1, 1000), bool))
        assert (never.high - never.low)[:, : cube_values.EARLY].max() < 1.0

    def test_td_is_exact_on_a_clock(self) -> None:
        """Bins that follow one another: every n finds the discounted steps to success."""
        bins = np.maximum(9 - np.arange(15), 0)[None].repeat(3, 0)
        for n in (1, 3, 5):
            counts = cube_values.windows(bins, bins == 0, n)
            found = cube_values.solve(counts, np.ones(3))
            np.testing.assert_allclose(found, [steps_cost(k) for k in range(10)], atol=1e-9)


class TestOffPolicy:
    """Notebook 04."""

    def test_by_hand(self) -> None:
        """Three cells, n = 2, no discount: V = -2 + 0.1 V, then V = -2 - 0.9 + 0.1 V."""
        world = lock(3, skill=0.9, discount=1 - 1e-9)
        found = optimal(n_step(world.mdp, world.behaviour, 2)).value[:3]
        np.testing.assert_allclose(found, [-2.9 / 0.9, -2 / 0.9, -1.0], rtol=1e-6)

    def test_four_cells_by_hand(self) -> None:
        """04.q1: the three equations of its second hint."""
        a = [[1, -0.04, 0], [-0.32, 1, -0.04], [0, -0.32, 0.96]]
        start = np.linalg.solve(a, [-2.2 - 0.16, -3, -3 - 0.64])[2]
        assert EXERCISES["04.q1"].kind.right == pytest.approx(start + 4, abs=1e-5)

    def test_two_errors_of_three_cells_by_hand(self) -> None:
        """n = 1 reads three errors; n = 2 1.11 e_3 + e_1; chunks of 2 e_3 + e_1."""
        world = lock(3, skill=0.9, discount=1 - 1e-9)
        always = optimal(world.mdp).choice
        for n, by_hand in ((1, 3.0), (2, 1 / 0.9**2 + 1)):
            found = noisy_variance(n_step(world.mdp, world.behaviour, n), always, 1.0)[0]
            assert found == pytest.approx(by_hand, rel=1e-6)
        chunks = logged(world.mdp, world.behaviour, 2).mdp
        found = noisy_variance(chunks, optimal(chunks).choice, 1.0)[0]
        assert found == pytest.approx(2.0, rel=1e-6)
        bias = -2.9 / 0.9 + 3
        assert (bias**2 / (3 - 1 / 0.9**2 - 1)) ** 0.5 == pytest.approx(0.25, abs=0.005)

    @pytest.mark.parametrize(("skill", "sigma"), [(0.9, 1.0), (0.7, 0.4)])
    def test_two_errors_are_those_of_noisy_critics(self, skill: float, sigma: float) -> None:
        """4,000 critics that always press right: their mean, and their squared error."""
        numbers = EXPLORERS["two_errors"].numbers(skill=skill, sigma=sigma)
        world = lock(24, skill=skill)
        always = one_hot(optimal(world.mdp).choice, 2)
        for n in (1, 2, 3, 8):
            learned = n_step(world.mdp, world.behaviour, n)
            errors = entry_errors(learned, sigma, 4000, np.random.default_rng(n))
            off = noisy(learned, errors, policy=always).value[:, 0] - numbers.best
            deviation = numbers.variance[n - 1] ** 0.5
            assert abs(off.mean() - numbers.bias[n - 1]) < 4 * deviation / 4000**0.5
            assert off.var() == pytest.approx(numbers.variance[n - 1], rel=0.1)
            assert (off**2).mean() == pytest.approx(numbers.total[n - 1], rel=0.1)
            believes = optimal(learned).value[0] - numbers.best  # with the maximum
            assert numbers.bias[n - 1] == pytest.approx(believes)

    def test_on_an_experts_data_n_steps_read_what_chunks_read(self) -> None:
        numbers = EXPLORERS["two_errors"].numbers(skill=1.0)
        np.testing.assert_allclose(numbers.total, numbers.chunked)
        reads = [sum(0.99 ** (2 * cell) for cell in range(0, 24, n)) for n in range(1, 9)]
        np.testing.assert_allclose(numbers.chunked, reads)

    def test_critics_that_never_arrive_are_turned_in_the_first_cell(self) -> None:
        """Two steps: in the belief she presses next, in the world the critic does, wrong again."""
        world = lock(24, slip=0.0, skill=0.9)
        steps, chunks = two_errors.lost(world, 2, 0.3)
        never, wrong = steps.regret > 75, steps.choice[:, 0] != optimal(world.mdp).choice[0]
        assert never.sum() == 56
        np.testing.assert_array_equal(never, wrong)
        assert chunks.regret.max() < 5
        typed = chunks.choice[:, 0] >> 1  # the first of its two presses
        wrong = typed != optimal(world.mdp).choice[0]
        assert wrong.sum() == 62
        np.testing.assert_allclose(chunks.regret[wrong], 0.79, atol=0.005)

    @pytest.mark.parametrize("sigma", [0.3, 1.0])
    @pytest.mark.parametrize("n", [1, 2, 3, 8])
    def test_one_wrong_cell_is_enough_never_to_arrive(self, sigma: float, n: int) -> None:
        world = lock(24, slip=0.0, skill=0.9)
        steps, _ = two_errors.lost(world, n, sigma)
        wrong = steps.choice[:, :24] != optimal(world.mdp).choice[:24]
        np.testing.assert_array_equal(steps.regret > 75, wrong.any(1))

    def test_away_from_the_wall_both_buttons_share_the_errors_of_one_parity(self) -> None:
        """n = 2: there both lead to even cells, or both to odd ones; in the first cell they do not.

        So 2-step critics are wrong more often than 3-step ones in the first cell, less elsewhere.
        """
        world = lock(24, slip=0.0, skill=0.9)
        right = optimal(world.mdp).choice[:24]
        leads = n_step(world.mdp, world.behaviour, 2).transition[:24, :, :24]
        cell = np.arange(24)
        other = (cell[:, None] - cell) % 2 == 1
        crossing = np.where(other[:, None], leads, 0).sum(-1)  # to cells of the other parity
        assert crossing[2:].max() == 0
        np.testing.assert_allclose(crossing[0, [right[0], 1 - right[0]]], [0.0, 0.9])
        shares = []
        for n in (2, 3):
            learned = n_step(world.mdp, world.behaviour, n)
            errors = entry_errors(learned, 1.0, 1000, np.random.default_rng(200 + n))
            wrong = noisy(learned, errors).choice[:, :24] != right
            shares.append((wrong[:, 0].mean(), wrong[:, 1:].mean()))
        (first, others), (first_3, others_3) = shares
        assert first > first_3 + 0.03
        assert others < others_3 - 0.05

    def test_the_least_error_of_a_value_saves_no_loss(self) -> None:
        """The picture's claim, by 1,000 other critics; its numbers, by those of the page."""
        world = lock(24, slip=0.0, skill=0.9)
        best, found = optimal(world.mdp).value[0], []
        for n in two_errors.N.tolist():
            learned = n_step(world.mdp, world.behaviour, n)
            errors = entry_errors(learned, 1.0, 1000, np.random.default_rng(100 + n))
            critic = noisy(learned, errors)
            obtained = policy_value(world.mdp, critic.choice)[:, 0]
            found.append([((critic.value[:, 0] - best) ** 2).mean(), (best - obtained).mean()])
        square, regret = np.transpose(found)
        assert square.argmin() + 1 == 3
        assert regret[2] > regret[0]
        steps, _ = two_errors.lost(world, 3, 1.0)
        assert (steps.error**2).mean() == pytest.approx(6.35, abs=0.01)
        assert (steps.regret > 75).sum() == 195
        fixed = EXPLORERS["two_errors"].numbers(sigma=1.0)
        assert steps.error.mean() == pytest.approx(-1.46, abs=0.005)  # optimism hides half of
        assert fixed.bias[2] == pytest.approx(-2.77, abs=0.005)
        seen = two_errors.with_the_maximum().alt
        assert "sigma 1.0: squared error 4494.5, 171.4, 6.3, 7.2" in seen
        assert "least at n = 3, lost 74.6, 55.4, 76.6" in seen

    @pytest.mark.parametrize(
        ("n", "lead", "scatter", "chance", "counted"),
        [(1, 0.79, 0.30, 0.004, 1), (2, 0.69, 1.32, 0.30, 56), (3, 0.78, 0.58, 0.09, 17),
         (8, 0.79, 0.54, 0.07, 19)],
    )  # fmt: skip
    def test_the_scatter_of_a_lead_says_how_often_wrong_looks_better(
        self, n: int, lead: float, scatter: float, chance: float, counted: int
    ) -> None:
        """The fold's table, by 4,000 critics that then press right, and the page's 200."""
        world = lock(24, slip=0.0, skill=0.9)
        always, critic = optimal(world.mdp).choice, n_step(world.mdp, world.behaviour, n)
        right, wrong = always[0], 1 - always[0]
        errors = entry_errors(critic, 0.3, 4000, np.random.default_rng(n))
        q = noisy(critic, errors, policy=one_hot(always, 2)).q[:, 0]
        leads = q[:, right] - q[:, wrong]
        assert np.ptp(optimal(critic).q[0]) == pytest.approx(lead, abs=0.005)
        assert leads.mean() == pytest.approx(lead, abs=4 * scatter / 4000**0.5)
        assert leads.std() == pytest.approx(scatter, rel=0.05)
        assert stats.norm.sf(lead / scatter) == pytest.approx(chance, abs=0.006)
        steps, _ = two_errors.lost(world, n, 0.3)
        assert (steps.choice[:, 0] == wrong).sum() == counted

    @pytest.mark.parametrize("skill", [0.55, 0.7, 0.9])
    def test_on_the_lock_the_policy_is_unharmed(self, skill: float) -> None:
        """Every value is too low, and every cell still presses right."""
        for slip in (0.0, 0.1, 0.3):
            world = lock(24, slip, skill)
            best = optimal(world.mdp).value
            for n in (2, 3, 5, 8):
                critic = optimal(n_step(world.mdp, world.behaviour, n))
                assert (critic.value[:-2] < best[:-2] - 0.01).all()
                np.testing.assert_allclose(policy_value(world.mdp, critic.choice), best)

    @pytest.mark.parametrize("wrong", [-5.0, -8.0, -12.0, -20.0])
    def test_at_the_fork_it_is_harmed_until_the_data_are_good(self, wrong: float) -> None:
        """By hand: 2-step says -2 f + wrong (1 - f) of risky and -4 of safe."""
        for follow in (0.05, 0.3, 0.5, 0.65, 0.7, 0.95):
            found = EXPLORERS["fork"].numbers(follow=follow, wrong=wrong)
            mean = -2 * follow + wrong * (1 - follow)
            np.testing.assert_allclose(
                found.says, [[-4, -2], [-4, mean], [-4, -2]], rtol=1e-6, atol=1e-6
            )
            assert (mean > -4) == (follow > found.switch)
            np.testing.assert_allclose(found.obtains, [-2, -2 if mean > -4 else -4, -2], rtol=1e-6)

    def test_one_window_in_three_readings(self) -> None:
        """Right, right, wrong, right, right: five steps cost, and the lock is three cells on."""
        one, five, chunked_ = one_window.rows()
        ahead = steps_cost(5) + 0.99**5 * steps_cost(21)
        assert one.target == pytest.approx(steps_cost(24)) == one.truth
        assert five.target == chunked_.target == pytest.approx(ahead)
        assert five.truth == pytest.approx(steps_cost(24))  # filed under "right", and pays for more
        assert chunked_.truth == pytest.approx(ahead)

    @pytest.mark.parametrize(("n", "logged_steps"), [(1, 0), (2, 2), (3, 3), (4, 3), (5, 4)])
    def test_at_a_longer_fork_every_target_on_the_way_has_foreign_actions(
        self, n: int, logged_steps: int
    ) -> None:
        """04.q2: action i of a window is the critic's own where n divides i."""
        assert logged_steps == sum(i % n > 0 for i in range(1, 5))
        right = 0.85**logged_steps
        assert nb04.risky(n) == pytest.approx(-2 * right - 8 * (1 - right), abs=1e-6)

    @pytest.mark.parametrize("skill", [0.05, 0.3])
    def test_on_the_lock_no_data_turn_the_order(self, skill: float) -> None:
        world = lock(24, 0.0, skill)
        truth = optimal(world.mdp).choice[:24]
        for n in (2, 5, 8):
            critic = optimal(n_step(world.mdp, world.behaviour, n))
            lead = critic.q[np.arange(24), truth] - critic.q[np.arange(24), 1 - truth]
            assert lead.min() > -1e-9

    def test_lucky_logs_by_hand(self) -> None:
        """Two cells: 810 of 820 logged `1 0` had moved on, 900 of 1000 typed ones have."""
        world = lock(2, slip=0.1, skill=0.9, secret=2, discount=1 - 1e-9)
        log, typed = logged(world.mdp, world.behaviour, 2).mdp, chunked(world.mdp, 2)
        assert log.transition[0, 0b10, 0] == pytest.approx(10 / 820)
        assert typed.transition[0, 0b10, 0] == pytest.approx(0.1)
        best = optimal(world.mdp).value[0]
        assert optimal(typed).value[0] < best < optimal(log).value[0]

    @pytest.mark.parametrize("slip", [0.1, 0.2])
    def test_typed_blind_a_log_of_chunks_is_right(self, slip: float) -> None:
        """And what its chunks obtain is what the best blind chunks do; looked at, it is less."""
        world = lock(24, slip)
        looked = logged(world.mdp, world.behaviour, 8)
        blind = optimal(logged(world.mdp, looked.frequency, 8).mdp).value[0]
        typed = chunked(world.mdp, 8)
        assert blind == pytest.approx(optimal(typed).value[0])
        picked = optimal(looked.mdp)
        assert policy_value(typed, picked.choice)[0] < blind - 1 < picked.value[0] - 5

    def test_a_goal_inside_a_window_closes_its_bill(self) -> None:
        """04.bug: rewards behind the goal cost all but the cells whole chunks away from it."""
        log = windows.stream(lock(12), 3)
        says = {}
        for name in ("one_round_of_stream", "every_reward"):
            q = np.zeros((12, 8))
            for _ in range(100):
                q = getattr(nb04, name)(q, *log, 0.99)
            says[name] = q.max(-1)[::-1]
        truth = [steps_cost(k) for k in range(1, 13)]
        np.testing.assert_allclose(says["one_round_of_stream"], truth)
        np.testing.assert_allclose(says["every_reward"], np.repeat(truth[2::3], 3))

    @pytest.mark.parametrize("pressed", [0.1, 0.5, 0.9])
    def test_luck_costs_whatever_is_pressed_behind_the_goal(self, pressed: float) -> None:
        """The lock's own convention, both buttons alike, is not the dearest and not the reason."""
        world = lock(24, slip=0.1)
        behaviour = world.behaviour.copy()
        behaviour[-1] = pressed, 1 - pressed
        typed = chunked(world.mdp, 8)
        picked = optimal(logged(world.mdp, behaviour, 8).mdp).choice
        luck = optimal(typed).value[0] - policy_value(typed, picked)[0]
        assert luck == pytest.approx({0.1: 0.58, 0.5: 1.61, 0.9: 1.37}[pressed], abs=0.006)

    def test_the_second_cell_by_hand(self) -> None:
        """450 of 460 logged `0 1` opened the lock, 10 stand at the start after two presses."""
        world = lock(2, slip=0.1, skill=0.9, secret=2, discount=1 - 1e-9)
        critic = optimal(logged(world.mdp, world.behaviour, 2).mdp)
        start, second, _ = critic.value
        assert second == pytest.approx(-(450 + 10 * (2 - start)) / 460)
        twice = -(450 + 81 * 2 + 9 * (2 - second)) / 540  # of 540 logged `0 0`, 9 slipped twice
        assert critic.q[1, 0b00] == pytest.approx(twice) == pytest.approx(-1.184, abs=5e-4)
        assert critic.q[1].argmax() == 0b01

    def test_weights_make_the_mean_that_of_another_policy(self) -> None:
        """By hand: 90 windows of 1.11 and 10 of 0; and for each n the variance of the text."""
        world = lock(24, slip=0.0, skill=0.9)
        best = optimal(world.mdp)
        by_hand = np.repeat([1 / 0.9, 0.0], [90, 10])
        assert (by_hand.mean(), by_hand.var()) == (pytest.approx(1), pytest.approx(0.111, abs=5e-4))
        rng = np.random.default_rng(0)
        for n in (2, 3, 5):
            spread = 0.9 ** -(n - 1) - 1
            walks = rollout(world.mdp, world.behaviour, np.zeros(40_000, int), n, rng)
            right = walks.action == best.choice[walks.state[:, :-1]]
            weight = right[:, 1:].all(1) * 0.9 ** -(n - 1)
            given = right[:, 0]  # what is asked of Q: press right
            y = (weight * targets(world.mdp, walks, best.value))[given]
            assert abs(y.mean() - best.value[0]) < 4 * y.std() / len(y) ** 0.5
            assert weight[given].var() == pytest.approx(spread, rel=0.1)
            earned = targets(world.mdp, walks, best.value)[given & (weight > 0)]
            np.testing.assert_allclose(earned, best.value[0])  # so that weights alone scatter

    @pytest.mark.parametrize(("n", "windows"), [(2, 54), (8, 54), (3, 400)])
    def test_choices_by_weighted_windows_are_those_of_windows_that_are_played(
        self, n: int, windows: int
    ) -> None:
        """Press by press; a window counts where every later press before the goal was right."""
        rng, logs, length = np.random.default_rng(0), 150, 24
        value, ahead = np.zeros((logs, length + 1)), np.zeros((logs, length), bool)
        for cell in range(length - 1, -1, -1):
            q = []
            for start in (cell + 1, max(cell - 1, 0)):
                at = np.full((logs, windows), start)
                y, weight = -np.ones(at.shape), np.ones(at.shape)
                for i in range(1, n):
                    open_, right = at == length, rng.random(at.shape) < 0.9
                    y -= np.where(open_, 0, 0.99**i)
                    weight *= np.where(open_, 1, right / 0.9)
                    at = np.where(open_, at, np.where(right, at + 1, np.maximum(at - 1, 0)))
                y += 0.99**n * np.take_along_axis(value, at, 1)
                q.append((weight * y).mean(1))
                if start == cell + 1:
                    value[:, cell] = q[0]
            ahead[:, cell] = q[0] > q[1]
        found = weighted_choices(length, 0.9, n, windows, 0.99, 2000)
        np.testing.assert_allclose(ahead.all(1).mean(), found.all(1).mean(), atol=0.1)
        np.testing.assert_allclose((~ahead).mean(), (~found).mean(), atol=0.02)

    def test_plain_windows_choose_right_where_weighted_ones_do_not(self) -> None:
        """By fitted tables of logs that are played; with many windows, as the exact fixed point."""
        for n, few in ((2, 52), (8, 54)):
            plain = plain_choices(24, 0.9, n, few, 0.99, 200)
            weighted = weighted_choices(24, 0.9, n, few, 0.99, 200)
            assert (~plain).any(1).mean() < 0.06
            assert (~weighted).any(1).mean() > 0.5
        world = lock(6, skill=0.6)
        exact = optimal(n_step(world.mdp, world.behaviour, 3))
        leads = np.ptp(exact.q[:6], axis=-1)
        found = plain_choices(6, 0.6, 3, 40, 0.99, 400).mean(0)
        assert (np.diff(found[[leads.argmin(), leads.argmax()]]) > 0).all()
        assert plain_choices(6, 0.6, 3, 4000, 0.99, 20).all()
        assert plain_choices(6, 1.0, 1, 1, 0.99, 3).all()

    @pytest.mark.parametrize(("n", "others"), [(2, 1.63), (3, 1.67), (8, 1.71)])
    def test_right_leads_least_in_the_first_cell(self, n: int, others: float) -> None:
        world = lock(24, slip=0.0, skill=0.9)
        q = optimal(n_step(world.mdp, world.behaviour, n)).q[:24]
        lead = np.ptp(q, axis=-1)
        assert lead[0] == pytest.approx(0.75, abs=0.07)
        assert lead[1:].min() == pytest.approx(others, abs=0.005)
        assert lead.max() < 2.46

    def test_correcting_pays_from_so_many_windows(self) -> None:
        """Both sides of one backup, then both learned to the end: the two columns of the table."""
        best, world, once, learned = steps_cost(24), lock(24, slip=0.0, skill=0.9), {}, {}
        value = optimal(world.mdp).value
        for n in (2, 3, 5, 8):
            critic = n_step(world.mdp, world.behaviour, n)
            off = (critic.reward + critic.discount * critic.transition @ value)[0].max() - best
            once[n] = next(m for m in range(1, 9999) if best**2 * (0.9 ** (1 - n) - 1) < m * off**2)
            bias = optimal(critic).value[0] - best
            learned[n] = next(
                m for m in range(1, 999) if weighted_variance(24, 0.9, n, m, 0.99) < bias**2
            )
        # By hand: her press is wrong once in ten times, and then ends two cells behind.
        off = -0.1 * 0.99**2 * (steps_cost(22) - steps_cost(24))
        assert abs(off) == pytest.approx(0.156, abs=5e-4)
        assert best**2 * (1 / 0.9 - 1) == pytest.approx(51, abs=0.1)
        assert once == {2: 2088, 3: 1161, 5: 640, 8: 432}
        assert learned == {2: 52, 3: 44, 5: 43, 8: 54}

    @pytest.mark.parametrize(("n", "many"), [(2, 52), (8, 54)])
    def test_weighted_returns_learned_to_the_end_scatter_so_much(self, n: int, many: int) -> None:
        """20,000 critics, each cell with `many` windows of its own; and they are unbiased."""
        rng, value = np.random.default_rng(0), np.zeros((20_000, 24 + n))
        for cell in range(23, -1, -1):
            steps = min(n, 24 - cell)
            counted = rng.binomial(many, 0.9 ** (steps - 1), len(value)) / many
            value[:, cell] = counted * 0.9 ** (1 - steps)
            value[:, cell] *= steps_cost(steps) + 0.99**n * value[:, cell + n]
        start, variance = value[:, 0], weighted_variance(24, 0.9, n, many, 0.99)
        assert abs(start.mean() - steps_cost(24)) < 4 * (variance / len(start)) ** 0.5
        assert start.var() == pytest.approx(variance, rel=0.05)

    def test_with_the_truth_as_baseline_weighted_returns_do_not_scatter(self) -> None:
        """Three windows a cell; raw returns scatter by more than 4, any baseline is unbiased."""
        rng, n, many = np.random.default_rng(0), 2, 3
        counted = rng.binomial(many, 0.9, (20_000, 23)) / many / 0.9  # mean weights of a cell
        for baseline, least, most in ((1.0, 0.0, 1e-9), (0.0, 60.0, 90.0), (0.9, 0.1, 4.0)):
            value = np.zeros((20_000, 24 + n))
            value[:, 23] = -1  # the goal: no later press
            for cell in range(22, -1, -1):
                b = baseline * steps_cost(24 - cell)
                target = steps_cost(2) + 0.99**2 * value[:, cell + 2]
                value[:, cell] = b + counted[:, cell] * (target - b)
            start = value[:, 0]
            assert abs(start.mean() - steps_cost(24)) < 4 * start.std() / len(start) ** 0.5 + 1e-9
            assert least <= start.var() <= most

    def test_plain_weights_take_safe_where_too_many_windows_count(self) -> None:
        """04.q3 by 200,000 logs of 12 windows, and what its reply says of them."""
        right = np.random.default_rng(0).random((200_000, 12)) < 0.1
        y, w = np.where(right, -2.0, -8.0), np.where(right, 1 / 0.1, 0.0)
        weighted = (w * y).mean(1)
        assert abs(weighted.mean() + 2) < 4 * weighted.std() / len(y) ** 0.5
        assert (weighted < -4).mean() == pytest.approx(EXERCISES["04.q3"].kind.right, abs=3e-3)
        assert (np.diff(weighted[np.argsort(right.sum(1))]) <= 1e-12).all()  # more right: worse
        assert (weighted[~right.any(1)] == 0).all()
        some = right.any(1)
        np.testing.assert_allclose((w * y).sum(1)[some] / w.sum(1)[some], -2)
        assert 1 - nb04.share_of_logs(0, 7) == pytest.approx(3.4e-6, rel=0.01)

    @pytest.mark.parametrize("n", [2, 3, 5, 8])
    def test_divided_by_its_weights_the_first_window_that_counts_is_exact(self, n: int) -> None:
        """Windows of a log, from V*: the weighted sum over the sum of the weights, cell by cell."""
        world = lock(24, skill=0.9)
        best, log = optimal(world.mdp), windows.collect(world, n, 4000)
        state, weight = log.cell, np.ones(len(log.cell))
        for i, action in enumerate(log.actions.T):
            right = best.choice[state] == action
            weight *= right if i == 0 else right / world.behaviour[state, action]
            state = world.mdp.transition[state, action].argmax(-1)
        y = log.reward @ 0.99 ** np.arange(n) + 0.99**n * best.value[log.after]
        for cell in range(24 - n + 1):  # behind the goal no press is right
            of = np.flatnonzero(log.cell == cell)
            of = of[: np.flatnonzero(weight[of])[0] + 1]  # up to the first that counts
            found = (weight[of] * y[of]).sum() / weight[of].sum()
            assert found == pytest.approx(best.value[cell])

    def test_rounding_noise_darkens_no_cell(self) -> None:
        """Data of an expert: n-step Q is exact, and the strip stays white."""
        numbers = EXPLORERS["off_policy"].numbers(skill=1.0)
        assert numbers.shortfall.max() < 1e-9
        seen = plots.Canvas(off_policy.layout)
        seen.picture(lambda axes: off_policy.draw(axes, numbers))
        (strip,) = (axes for axes in seen.figure.axes if axes.images)
        assert strip.images[0].get_clim()[1] > 0.05

    @pytest.mark.parametrize(
        ("setting", "told"),
        [
            ({}, "3-step Q says 2.77 too little, its policy loses nothing"),
            ({"slip": 0.1, "steps": 8}, "chunks of 8 claim 0.82 above V*, obtain 6.24 below V*"),
            ({"slip": 0.1, "steps": 1}, "chunks of 1 claim V*, obtain V*"),
            ({"slip": 0.1, "steps": 8, "skill": 0.5}, "claim 4.63 below V*, obtain 4.63 below V*"),
        ],
    )
    def test_the_headline_names_the_critic_that_is_wrong(self, setting: dict, told: str) -> None:
        seen = plots.Canvas(off_policy.layout)
        numbers = EXPLORERS["off_policy"].numbers(**setting)
        seen.picture(lambda axes: off_policy.draw(axes, numbers))
        assert any(told in text.get_text() for axes in seen.figure.axes for text in axes.texts)

    @pytest.mark.parametrize("skill", [0.5, 0.9])
    def test_a_cut_return_has_the_critics_error_alone(self, skill: float) -> None:
        """Lengths are geometric, cut at 5; sampled windows agree; with the truth it is unbiased."""
        chance = np.append(skill ** np.arange(4) * (1 - skill), skill**4)  # of 1, ..., 5 rewards
        numbers = EXPLORERS["target_parts"].numbers(target="cut return", skill=skill)
        assert numbers.length == pytest.approx(chance @ np.arange(1, 6))
        bias = -chance @ 0.99 ** np.arange(1, 6)
        assert numbers.parts == pytest.approx([bias, 0, 0, bias])
        (found,), (error,) = numbers.estimate, numbers.standard_error
        assert abs(found - numbers.parts[-1]) < 4 * error
        assert error == pytest.approx(numbers.deviation / numbers.matching**0.5, rel=0.1)
        exact = EXPLORERS["target_parts"].numbers(target="cut return", skill=skill, critic=0.0)
        assert abs(exact.parts).max() < 1e-9

    def test_three_targets_are_estimated_from_equally_many_windows(self) -> None:
        """833, as many as fit the chunk; whiskers differ by the scatter of one target alone."""
        seen = target_parts.side_by_side().alt
        assert seen.startswith("Each estimated from 833 windows.")
        for target in target_parts.TARGETS:
            setting = EXPLORERS["target_parts"].setting(target=target)
            found = target_parts.compute(**setting, most=833)
            (off,), (error,) = found.estimate, found.standard_error
            assert found.matching == (833 if target == "chunked return" else 1790)
            assert error == pytest.approx(found.deviation / 833**0.5, rel=0.1)
            assert abs(off - found.parts[-1]) < 4 * error
            assert f"off by {off:+.2f} plus or minus {2 * error:.2f}" in seen

    def test_with_slip_too_fitted_chunks_reach_their_limit(self) -> None:
        """What 20 logs say of the start; fewer windows an entry cost nothing that they show."""
        world = lock(12, slip=0.1, skill=0.9)
        says = np.array(
            [
                windows.fit(
                    windows.collect(world, 5, 4000, seed),
                    12,
                    60,
                    EXERCISES["04.write"].reference,
                    0.99,
                    5,
                )[0].max()
                for seed in range(20)
            ]
        )
        miss = says - optimal(logged(world.mdp, world.behaviour, 5).mdp).value[0]
        assert abs(miss.mean()) < 0.04
        assert 0.03 < miss.std(ddof=1) < 0.1

    def test_the_setting_that_the_text_asks_for_is_there(self) -> None:
        few = EXPLORERS["target_parts"].numbers(target="chunked return", steps=8, skill=0.5)
        assert few.matching < target_parts.FEWEST
        assert len(few.estimate) == 0


def test_an_interval_of_a_median_covers_it() -> None:
    """Of 200 samples of 64 log-normal numbers, about 95% of the intervals hold the median 1."""
    samples = np.exp(2 * np.random.default_rng(0).standard_normal((200, 64)))
    low, high = bootstrap(samples)
    assert 0.90 <= ((low <= 1) & (high >= 1)).mean() <= 0.99
    assert (low <= np.median(samples, -1)).all()
    assert (high >= np.median(samples, -1)).all()
