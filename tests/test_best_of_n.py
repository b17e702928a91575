"""Notebook 07: the law of the best of N by brute force; its explorer against simulation."""

import itertools

import numpy as np
import pytest

from chunkrl.course.explorers import EXPLORERS, best_of_n
from chunkrl.course.worlds import flow_picks
from chunkrl.statistics import mean_and_error
from chunkrl.tabular import selection


def by_counting(probability, score, candidates):
    """The law of the best of N: every N-tuple of draws; equal winners share alike."""
    law = np.zeros(len(probability))
    for drawn in itertools.product(range(len(probability)), repeat=candidates):
        chance = probability[list(drawn)].prod()
        top = max(score[c] for c in drawn)
        winners = [c for c in drawn if score[c] == top]
        for c in winners:
            law[c] += chance / len(winners)
    return law


class TestLaw:
    @pytest.mark.parametrize("candidates", [1, 2, 4])
    def test_the_law_is_that_of_all_tuples_for_each_critic(self, candidates: int) -> None:
        rng = np.random.default_rng(candidates)
        probability = rng.dirichlet(np.ones(5))
        score = rng.integers(0, 3, (2, 3, 5)).astype(float)  # many ties
        score[0, 0] = rng.standard_normal(5)
        found = selection.best_of_n(probability, score, candidates)
        assert found.shape == score.shape
        for index in np.ndindex(2, 3):
            expected = by_counting(probability, score[index], candidates)
            np.testing.assert_allclose(found[index], expected, atol=1e-14)

    def test_each_state_may_draw_by_a_law_of_its_own(self) -> None:
        rng = np.random.default_rng(0)
        probability, score = rng.dirichlet(np.ones(4), 3), rng.standard_normal((2, 3, 4))
        found = selection.best_of_n(probability, score, 3)
        for critic, state in np.ndindex(2, 3):
            expected = by_counting(probability[state], score[critic, state], 3)
            np.testing.assert_allclose(found[critic, state], expected, atol=1e-14)

    def test_what_is_never_drawn_is_never_picked(self) -> None:
        law = selection.best_of_n(np.array([0.5, 0.0, 0.5]), np.array([1.0, 9.0, 2.0]), 3)
        np.testing.assert_allclose(law, [1 / 8, 0, 7 / 8])

    def test_a_pick_is_described_by_its_law(self) -> None:
        probability, value = np.array([0.2, 0.5, 0.3]), np.array([1.0, -1.0, 3.0])
        score = np.array([[1.0, -1.0, 3.0], [2.0, 5.0, 0.0]])
        pick = selection.picked(probability, value, score, 2)
        law = np.array([by_counting(probability, each, 2) for each in score])
        np.testing.assert_allclose(pick.promised, (law * score).sum(1))
        np.testing.assert_allclose(pick.delivered, law @ value)
        np.testing.assert_allclose(pick.hit, law[:, 2])
        entropy = (law * np.log(law / probability)).sum(1)
        np.testing.assert_allclose(pick.divergence, entropy)

    def test_the_truly_best_chunk_is_the_best_that_can_be_drawn(self) -> None:
        pick = selection.picked(np.array([0.5, 0.5, 0.0]), np.array([1.0, 2.0, 3.0]), np.ones(3), 4)
        assert pick.hit == pytest.approx(0.5)


class TestExplorer:
    def test_start_setting_meets_the_reference_numbers(self) -> None:
        at = best_of_n.place
        numbers = EXPLORERS["best_of_n"].numbers()
        assert numbers.candidates == 8
        assert f"{numbers.promised[at(8)]:.2f} {numbers.delivered[at(8)]:.2f}" == "2.01 1.01"
        assert f"{numbers.bound[at(8)]:.2f} {numbers.bound[at(32)]:.2f}" == "1.20 2.50"
        high = EXPLORERS["best_of_n"].numbers(sigma=2.0)
        assert f"{high.promised[at(64)] - high.delivered[at(64)]:.2f}" == "4.19"
        for candidates, enough in ((16, False), (17, True)):
            assert (selection.hit_probability(0.7, 5, candidates) >= 0.95) == enough
        assert numbers.hit[at(16)] == pytest.approx(selection.hit_probability(0.7, 5, 16))

    def test_the_winner_falls_back_as_the_formula_says(self) -> None:
        """Over all rounds; the mean of 40 is as far from the exact one as its error allows."""
        for sigma, candidates in ((0.0, 8), (1.0, 8), (2.0, 32)):
            numbers = EXPLORERS["winners"].numbers(round=40, sigma=sigma, candidates=candidates)
            for found, exact in zip((numbers.claims, numbers.truths), numbers.exact, strict=True):
                mean, error = mean_and_error(found)
                assert abs(mean - exact) < 4 * error
            assert numbers.claims[-1] == numbers.seen.max()
            assert (numbers.claims == numbers.truths).all() == (sigma == 0.0)

    def test_exact_curves_meet_the_sampled_ones(self) -> None:
        for setting in EXPLORERS["best_of_n"].random(12, seed=3):
            numbers = EXPLORERS["best_of_n"].numbers(**setting)
            at = [best_of_n.place(n) for n in best_of_n.SAMPLED]
            exact = np.stack([numbers.promised, numbers.delivered])[:, at]
            mean, error = np.moveaxis(numbers.sampled, -1, 0)
            assert (np.abs(mean - exact) < 5 * error).all(), setting

    @pytest.mark.parametrize(("skill", "h"), [(0.5, 1), (0.7, 5), (0.9, 8), (1.0, 3)])
    def test_a_perfect_critic_on_the_lock(self, skill: float, h: int) -> None:
        """The enumerated pick is right as often as the formula says, and within the bound."""
        toy = best_of_n.proposals(skill, h)
        assert toy.probability.sum() == pytest.approx(1)
        assert toy.probability[toy.value.argmax()] == pytest.approx(skill**h)
        numbers = EXPLORERS["best_of_n"].numbers(skill=skill, h=h, sigma=0.0)
        for n in best_of_n.SAMPLED.tolist():
            pick = selection.picked(toy.probability, toy.value, toy.value, n)
            assert pick.hit == pytest.approx(numbers.hit[best_of_n.place(n)])
            assert pick.divergence == pytest.approx(numbers.perfect[best_of_n.place(n)])
        assert (numbers.perfect <= numbers.bound + 1e-12).all()
        # Without noise every critic is the perfect one.
        at = [best_of_n.place(n) for n in best_of_n.SAMPLED]
        np.testing.assert_allclose(numbers.noisy[1, :, 0], numbers.hit[at])
        np.testing.assert_allclose(numbers.noisy[..., 1], 0, atol=1e-12)

    def test_noisy_picks_by_drawing(self) -> None:
        """40,000 rounds of 8 chunks, each judged by one of the critics."""
        toy, rng = best_of_n.proposals(0.7, 5), np.random.default_rng(0)
        drawn = rng.choice(len(toy.value), (40_000, 8), p=toy.probability)
        critic = rng.integers(0, best_of_n.CRITICS, (40_000, 1))
        score = toy.value + 1.5 * toy.spread * best_of_n.draws(5)
        seen = score[critic, drawn]
        pick = np.take_along_axis(drawn, seen.argmax(1)[:, None], 1)[:, 0]
        exact = best_of_n.noisy_picks(toy, 1.5, 5, 8)
        for sample, expected in (
            (seen.max(1), exact.promised),
            (toy.value[pick], exact.delivered),
            ((pick == toy.value.argmax()).astype(float), exact.hit),
        ):
            assert abs(sample.mean() - expected.mean()) < 5 * sample.std() / np.sqrt(len(sample))

    def test_on_a_finite_set_more_candidates_can_do_harm(self) -> None:
        """q = 0.9, h = 8, sigma = 2: the best of 64 is worse than one draw, that of 2 better."""
        toy = best_of_n.proposals(0.9, 8)
        average = toy.probability @ toy.value
        for candidates, sign in ((2, 1), (64, -1)):
            gain = best_of_n.noisy_picks(toy, 2.0, 8, candidates).delivered - average
            mean, error = mean_and_error(gain)
            assert sign * mean > 3 * error


class TestFlow:
    def test_the_flow_goes_both_ways(self) -> None:
        rng = np.random.default_rng(0)
        actions = flow_picks.propose(4, 5_000, rng).reshape(-1, 2)
        assert abs((actions[:, 0] > 0).mean() - 0.5) < 5 * 0.5 / np.sqrt(len(actions))
        assert np.abs(np.abs(actions[:, 0]) - 0.6).mean() < 0.2

    def test_errors_are_as_smooth_as_they_say(self) -> None:
        """Over critics: mean 0, variance 1, correlation exp(-d^2 / (2 l^2))."""
        points = np.array([[0.0, 0.0], [0.3, 0.4], [-1.2, 0.5]])
        actions = np.broadcast_to(points[:, None], (3, 40_000, 2))
        errors = flow_picks.smooth_errors(actions, 0.5, np.random.default_rng(0))
        for i in range(3):
            for j in range(3):
                product = errors[i] * errors[j]
                expected = np.exp(-((points[i] - points[j]) ** 2).sum() / (2 * 0.5**2))
                miss = abs(product.mean() - expected)
                assert miss < 5 * product.std() / np.sqrt(product.size)
        assert (np.abs(errors.mean(1)) < 5 / np.sqrt(40_000)).all()

    def test_rough_errors_are_independent_ones_and_flat_ones_do_no_harm(self) -> None:
        rng = np.random.default_rng(1)
        actions = flow_picks.propose(8, 4_000, rng)
        true = flow_picks.values(actions)
        seen = true + rng.standard_normal(true.shape)
        pick = seen.argmax(0)
        rough = flow_picks.picks(actions, 1e-3, rng)
        for found, values in ((rough.promised, seen), (rough.delivered, true)):
            expected = values[pick, np.arange(4_000)]
            error = np.sqrt((found.var() + expected.var()) / 4_000)
            assert abs(found.mean() - expected.mean()) < 5 * error
        flat = flow_picks.picks(actions, 1e3, rng)
        np.testing.assert_allclose(flat.delivered, true.max(0), atol=0.02)

    def test_measured_divergence_meets_the_exact_one(self) -> None:
        values = flow_picks.values(flow_picks.propose(40, 4_000, np.random.default_rng(2)))
        for candidates in (2, 8):
            found = flow_picks.log_ratios(*np.split(values, [candidates]))
            mean, error = mean_and_error(found)
            assert abs(mean - selection.divergence_bound(candidates)) < 5 * error
