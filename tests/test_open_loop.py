"""Notebook 09: logged against executed chunks, by sampling and by Bayes' rule."""

import numpy as np
import pytest
from random_worlds import random_mdp, random_policy

from chunkrl.course.exercises import nb09
from chunkrl.course.explorers import EXPLORERS
from chunkrl.course.worlds import luck
from chunkrl.errors import ConfigError
from chunkrl.tabular import bounds
from chunkrl.tabular.bounds import learned_chunks
from chunkrl.tabular.chunks import chunk_index, chunk_table, chunked, logged
from chunkrl.tabular.estimate import first_chunk, rollout
from chunkrl.tabular.mdp import backup, one_hot, optimal, policy_value
from chunkrl.tabular.worlds import World, lock, right_actions


def walks(world: World, count: int, h: int, seed: int = 0):
    return rollout(world.mdp, world.behaviour, np.zeros(count, int), h, np.random.default_rng(seed))


class TestLuck:
    def test_arrival_is_where_logged_and_typed_chunks_are_seen_to_end(self) -> None:
        world, h, count = lock(slip=0.2), 5, 60_000
        chunk = right_actions(24)[:h]
        exact = luck.arrival(world, chunk)
        index = chunk_index(chunk, 2)
        log = walks(world, count, h)
        ends = log.state[first_chunk(log, 2, h) == index, -1]
        typed = rollout(
            world.mdp,
            one_hot(np.full(25, index), 2**h),
            np.zeros(count, int),
            h,
            np.random.default_rng(1),
        ).state[:, -1]
        assert len(ends) > 5_000
        for found, law in ((ends, exact.logged), (typed, exact.executed)):
            share = np.bincount(found, minlength=25) / len(found)
            error = np.sqrt(np.maximum(law * (1 - law), 1e-12) / len(found))
            assert (np.abs(share - law) < 5 * error).all()

    @pytest.mark.parametrize(("slip", "skill", "h"), [(0.1, 0.9, 4), (0.3, 0.7, 8), (0.2, 1.0, 6)])
    def test_no_slip_by_bayes_rule(self, slip: float, skill: float, h: int) -> None:
        world = lock(slip=slip, skill=skill)
        found = luck.no_slip(world, h)
        index = chunk_index(right_actions(24)[:h], 2)
        seen = logged(world.mdp, world.behaviour, h).frequency[0, index]
        assert found.logged == pytest.approx(((1 - slip) * skill) ** h / seen)
        assert found.executed == pytest.approx((1 - slip) ** h)
        assert found.logged >= found.executed

    def test_arrival_by_hand(self) -> None:
        """Two cells with different right actions: a slip at the first shows, at the second not."""
        p, q = 0.2, 0.9
        secret = next(s for s in range(50) if list(right_actions(3, s)[:2]) == [0, 1])
        world = lock(3, p, q, secret=secret)
        after = luck.arrival(world, np.array([0, 1]))
        lucky = q * (1 - p) * q  # no slip at the first, then the right action
        seen = lucky + q * p * (1 - q)  # after a slip, 1 is the wrong action
        assert after.logged[2] == pytest.approx(lucky * (1 - p) / seen)
        assert after.executed[2] == pytest.approx((1 - p) ** 2)

    def test_along_the_way_by_sampling(self) -> None:
        """Where the logs that hold the chunk were after each of its presses."""
        world, h, count = lock(slip=0.2), 5, 60_000
        chunk = right_actions(24)[:h]
        log = walks(world, count, h)
        states = log.state[first_chunk(log, 2, h) == chunk_index(chunk, 2)]
        exact = luck.along(world, chunk)
        for found, law in zip(states.T, exact.logged, strict=True):
            share = np.bincount(found, minlength=25) / len(found)
            error = np.sqrt(np.maximum(law * (1 - law), 1e-12) / len(found))
            assert (np.abs(share - law) < 5 * error + 1e-9).all()
        for end, way in zip(luck.arrival(world, chunk), exact, strict=True):
            np.testing.assert_allclose(way[-1], end, atol=1e-12)

    def test_a_claim_is_what_the_log_s_world_says(self) -> None:
        rng = np.random.default_rng(0)
        mdp, behaviour = random_mdp(rng, 4, 2, 0.9), random_policy(rng, 4, 2)
        value, log = rng.standard_normal(4), logged(mdp, behaviour, 3).mdp
        for index, chunk in enumerate(chunk_table(2, 3)):
            for start in range(4):
                said = luck.claim(chunk, start, value, *mdp[:2], behaviour, mdp.discount)
                assert said == pytest.approx(backup(log, value)[start, index])

    def test_a_critic_built_on_claims_is_the_exact_one(self) -> None:
        world = lock(6, slip=0.2)
        exact = learned_chunks(world.mdp, world.behaviour, 3)
        found = luck.fit(world, 3, luck.claim)
        assert found == pytest.approx((exact.claimed[0], exact.obtained[0]), abs=1e-4)

    def test_a_partly_blind_log_lies_between(self) -> None:
        rng = np.random.default_rng(0)
        mdp, behaviour = random_mdp(rng, 4, 2, 0.9), random_policy(rng, 4, 2)
        looks, blind = (luck.partly_blind(mdp, behaviour, 3, share) for share in (0.0, 1.0))
        exact = logged(mdp, behaviour, 3)
        np.testing.assert_allclose(looks.mdp.transition, exact.mdp.transition)
        np.testing.assert_allclose(blind.mdp.transition, chunked(mdp, 3).transition)
        np.testing.assert_allclose(blind.mdp.reward, chunked(mdp, 3).reward)
        np.testing.assert_allclose(blind.frequency, exact.frequency)
        with pytest.raises(ConfigError, match="share"):
            luck.partly_blind(mdp, behaviour, 3, 1.5)

    def test_a_partly_blind_log_by_sampling(self) -> None:
        """A coin says whether the chunk that was just logged from the start is replayed blind."""
        world, h, count, share = lock(slip=0.3), 3, 60_000, 0.4
        rng = np.random.default_rng(0)
        log = walks(world, count, h, seed=1)
        chunk = first_chunk(log, 2, h)
        replay = np.zeros(count, int)
        for i in range(h):
            law = world.mdp.transition[replay, log.action[:, i]]
            replay = (rng.random((count, 1)) > np.cumsum(law, -1)).sum(-1)
        ends = np.where(rng.random(count) < share, replay, log.state[:, -1])
        exact = luck.partly_blind(world.mdp, world.behaviour, h, share).mdp.transition[0]
        for c in np.unique(chunk):
            here = ends[chunk == c]
            found = np.bincount(here, minlength=25) / len(here)
            error = np.sqrt(np.maximum(exact[c] * (1 - exact[c]), 1e-12) / len(here))
            assert (np.abs(found - exact[c]) < 5 * error + 1e-9).all()

    def test_unlogged_chunks_stay_below_all(self) -> None:
        world = lock(6, 0.2, skill=1.0)
        data = luck.partly_blind(world.mdp, world.behaviour, 2, 0.5)
        unseen = data.frequency == 0
        assert unseen.any()
        assert (data.mdp.reward[unseen] < -100).all()
        assert (data.mdp.transition[unseen] == 0).all()


class TestExplorer:
    @pytest.mark.parametrize(
        ("slip", "printed"), [(0.1, "-22.68 -23.50 -29.73"), (0.2, "-24.22 -26.00 -42.65")]
    )
    def test_the_three_bars_meet_the_reference_numbers(self, slip: float, printed: str) -> None:
        numbers = EXPLORERS["open_loop"].numbers(slip=slip)
        found = (numbers.claimed[7], numbers.best, numbers.obtained[7])
        assert " ".join(f"{value:.2f}" for value in found) == printed

    def test_no_gap_without_slip_without_chunks_or_without_looking(self) -> None:
        for setting in EXPLORERS["open_loop"].random(20, seed=4):
            numbers = EXPLORERS["open_loop"].numbers(**setting)
            gap = numbers.claimed - numbers.obtained
            assert gap.min() > -1e-9
            assert gap[0] == pytest.approx(0, abs=1e-9)
        for still in ({"slip": 0.0, "skill": 0.8}, {"slip": 0.3, "skill": 0.5}):
            numbers = EXPLORERS["open_loop"].numbers(**still)
            np.testing.assert_allclose(numbers.claimed, numbers.obtained)

    def test_what_is_obtained_by_executing_chunks(self) -> None:
        """3,000 executions of the greedy chunks, nearly all of which end within 300 steps."""
        world, h = lock(slip=0.1), 8
        claimed = optimal(logged(world.mdp, world.behaviour, h).mdp)
        typed = one_hot(claimed.choice, 2**h)
        run = rollout(world.mdp, typed, np.zeros(3_000, int), 300, np.random.default_rng(0))
        total = world.mdp.reward[run.state[:, :-1], run.action] @ 0.99 ** np.arange(300)
        assert (run.state[:, -1] == 24).mean() > 0.999
        exact = EXPLORERS["open_loop"].numbers(slip=0.1).obtained[7]
        assert abs(total.mean() - exact) < 5 * total.std() / np.sqrt(len(total))


class TestVerdict:
    def test_the_bounds_hold_in_any_range_of_rewards(self) -> None:
        rng = np.random.default_rng(0)
        for _ in range(20):
            mdp = random_mdp(rng, 4, 2, 0.9, noise=0.05)
            mdp = mdp._replace(reward=7 * mdp.reward - 3)
            behaviour = random_policy(rng, 4, 2)
            found = bounds.verdict(mdp, behaviour, 3)
            data = logged(mdp, behaviour, 3)
            says, does = (policy_value(m, data.frequency) for m in (data.mdp, chunked(mdp, 3)))
            assert found.bias == pytest.approx(np.abs(says - does).max())
            learned = learned_chunks(mdp, behaviour, 3)
            assert found.regret == pytest.approx((learned.best - learned.obtained).max())
            assert 0 < found.bias <= found.bias_bound
            assert found.regret <= found.regret_bound
            assert found.weak <= found.strong


class TestExercises:
    def test_the_gap_is_zero_if_chunks_were_typed_blind(self) -> None:
        for slip, h in ((0.1, 4), (0.3, 2), (0.2, 8)):
            looks, blind = nb09.gaps(slip, h)
            assert looks > 1
            assert blind == pytest.approx(0, abs=1e-9)

    def test_a_critic_asked_at_every_step_loses_nothing_here(self) -> None:
        """And the demonstrator beats the executed chunks: what notebook 09 says of p = 0.2."""
        world = lock(slip=0.2)
        found = learned_chunks(world.mdp, world.behaviour, 8)
        np.testing.assert_allclose(found.reactive[0], found.best[0])
        demonstrator = policy_value(world.mdp, world.behaviour)[0]
        assert found.obtained[0] < demonstrator < found.best[0] < found.claimed[0]
