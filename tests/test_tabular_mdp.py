"""Finite MDPs and chunks of actions, against brute force and against closed forms."""

import itertools

import numpy as np
import pytest
import random_worlds

from chunkrl.errors import ConfigError
from chunkrl.tabular import worlds
from chunkrl.tabular.chunks import (
    chunk_index,
    chunk_q,
    chunk_table,
    chunked,
    logged,
    moments,
    n_step,
    n_step_limit,
    prefixes,
)
from chunkrl.tabular.mdp import (
    MDP,
    backup,
    below_all,
    check,
    check_policy,
    one_hot,
    optimal,
    pinned,
    policy_value,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def draw(seed, states=5, actions=3, discount=0.9, noise=1.0):
    return random_worlds.random_mdp(rng(seed), states, actions, discount, noise)


def paths(mdp, start, length, behaviour=None):
    """Every path of `length` actions: (probability, actions, discounted reward, last state)."""
    states, actions = mdp.reward.shape
    for taken in itertools.product(range(actions), repeat=length):
        for visited in itertools.product(range(states), repeat=length):
            here, p, total = start, 1.0, 0.0
            for i, (a, to) in enumerate(zip(taken, visited, strict=True)):
                p *= mdp.transition[here, a, to] * (1 if behaviour is None else behaviour[here, a])
                total += mdp.discount**i * mdp.reward[here, a]
                here = to
            yield p, taken, total, here


def test_policy_value_is_the_limit_of_backups():
    mdp, policy = draw(0), random_worlds.random_policy(rng(1), 5, 3)
    value = np.zeros(5)
    for _ in range(500):
        value = (policy * backup(mdp, value)).sum(-1)
    np.testing.assert_allclose(policy_value(mdp, policy), value, atol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_optimal_value_beats_every_deterministic_policy(seed):
    mdp = draw(seed, states=4, actions=2, discount=0.97)
    best = optimal(mdp)
    values = [
        policy_value(mdp, np.array(choice)) for choice in itertools.product(range(2), repeat=4)
    ]
    np.testing.assert_allclose(best.value, np.max(values, 0), atol=1e-12)
    np.testing.assert_allclose(best.value, best.q.max(-1), atol=1e-12)


def test_optimal_of_many_rewards_is_optimal_of_each():
    mdp = draw(0)
    rewards = rng(1).normal(size=(7, 5, 3))
    together = optimal(mdp._replace(reward=rewards))
    for i, reward in enumerate(rewards):
        np.testing.assert_allclose(together.value[i], optimal(mdp._replace(reward=reward)).value)
    # One policy under many rewards, and many policies under one reward.
    np.testing.assert_allclose(
        policy_value(mdp._replace(reward=rewards), together.choice[1])[2],
        policy_value(mdp._replace(reward=rewards[2]), together.choice[1]),
    )
    np.testing.assert_allclose(
        policy_value(mdp, together.choice)[3], policy_value(mdp, together.choice[3])
    )


def test_ties_do_not_run_in_a_circle():
    mdp = MDP(np.full((3, 4, 3), 1 / 3), np.ones((3, 4)), 0.999)
    np.testing.assert_allclose(optimal(mdp).value, 1000)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_optimal_ends_and_satisfies_its_equation_in_hard_cases(scale):
    """Discounts near 1, no chance or little of it, and many exact ties."""
    for seed in range(60):
        size = rng(seed).integers(2, 25)
        mdp = draw(seed, size, 3, (0.0, 0.9, 0.9999)[seed % 3], (0.0, 0.01, 1.0)[seed // 3 % 3])
        solution = optimal(mdp._replace(reward=scale * mdp.reward.round(1)))
        error = np.abs(solution.q.max(-1) - solution.value).max()
        assert error <= 2e-12 * (1 + np.abs(solution.value).max())


def test_pinned_entries_are_worth_what_they_are_pinned_at():
    mdp = draw(0)
    keep = rng(1).random((5, 3)) < 0.5
    solution = optimal(pinned(mdp, keep, 3.5))
    np.testing.assert_allclose(solution.q[~keep], 3.5)
    np.testing.assert_allclose(solution.q[keep], backup(mdp, solution.value)[keep])
    assert (optimal(mdp).value > below_all(mdp)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"discount": 1.0}, "discount"),
        ({"reward": np.full((5, 3), np.nan)}, "finite"),
        ({"reward": np.zeros((5, 2))}, "do not fit"),
        ({"reward": np.zeros(5)}, "do not fit"),
        ({"transition": np.full((5, 3, 5), 0.3)}, "sum to at most 1"),
        ({"transition": np.full((5, 3, 5), -0.1)}, "non-negative"),
    ],
)
def test_check_names_what_is_wrong(change, message):
    with pytest.raises(ConfigError, match=message):
        check(draw(0)._replace(**change))


def test_bad_settings_are_errors():
    mdp = draw(0)
    with pytest.raises(ConfigError, match="sum to 1"):
        check_policy(np.ones((5, 3)), (5, 3))
    with pytest.raises(ConfigError, match="shape"):
        check_policy(np.ones((3, 5)), (5, 3))
    with pytest.raises(ConfigError, match="h=0"):
        chunked(mdp, 0)
    with pytest.raises(ConfigError, match="slip"):
        worlds.lock(slip=1.5)
    with pytest.raises(ConfigError, match="length"):
        worlds.lock(length=0)
    gone = pinned(mdp, np.zeros((5, 3), bool), 0.0)
    with pytest.raises(ConfigError, match="absorbing end"):
        logged(gone, np.full((5, 3), 1 / 3), 2)


def test_one_chunk_of_one_is_the_mdp():
    mdp = draw(0)
    for field, same in zip(chunked(mdp, 1), mdp, strict=True):
        np.testing.assert_allclose(field, same)


def test_chunked_sums_over_all_paths():
    mdp = draw(0, states=3, actions=2)
    long = chunked(mdp, 3)
    for start in range(3):
        transition, reward = np.zeros((8, 3)), np.zeros(8)
        for p, taken, total, end in paths(mdp, start, 3):
            index = chunk_index(np.array(taken), 2)
            transition[index, end] += p
            reward[index] += p * total
        np.testing.assert_allclose(long.transition[start], transition, atol=1e-14)
        np.testing.assert_allclose(long.reward[start], reward, atol=1e-14)
    np.testing.assert_array_equal(chunk_index(chunk_table(3, 4), 3), np.arange(81))


def test_chunks_of_chunks_are_chunks():
    mdp = draw(0)
    for field, same in zip(chunked(chunked(mdp, 2), 2), chunked(mdp, 4), strict=True):
        np.testing.assert_allclose(field, same, atol=1e-14)


@pytest.mark.parametrize("h", [2, 3])
def test_open_loop_never_beats_closed_loop_and_ties_without_chance(h):
    chance, sure = draw(0), draw(0, noise=0.0)
    loss = optimal(chance).value - optimal(chunked(chance, h)).value
    assert (loss >= -1e-12).all()
    assert loss.max() > 1e-4
    np.testing.assert_allclose(optimal(sure).value, optimal(chunked(sure, h)).value, atol=1e-12)
    # Nesting: committing for 2h is committing for h twice.
    longer = optimal(chunked(chance, 2 * h)).value
    assert (longer <= optimal(chunked(chance, h)).value + 1e-12).all()


def test_chunk_q_backs_up_many_values_at_once():
    mdp, values = draw(0), rng(1).normal(size=(2, 4, 5))
    np.testing.assert_allclose(chunk_q(mdp, 3, values), backup(chunked(mdp, 3), values))


def test_prefixes_are_the_chunks_of_all_lengths():
    """Each worth what it is in the world of its length; with single actions nothing is lost."""
    mdp = draw(0, states=4, actions=2)
    values, at = rng(1).normal(size=4), 0
    q = backup(prefixes(mdp, 3), values)
    for part in (backup(chunked(mdp, k), values) for k in (1, 2, 3)):
        np.testing.assert_allclose(q[:, at : at + part.shape[1]], part)
        at += part.shape[1]
    assert at == q.shape[1]
    np.testing.assert_allclose(optimal(prefixes(mdp, 3)).value, optimal(mdp).value, rtol=1e-9)


def test_logged_conditions_on_the_chunk():
    mdp, behaviour = draw(0, states=3, actions=2), random_worlds.random_policy(rng(1), 3, 2)
    data, value = logged(mdp, behaviour, 3), rng(2).normal(size=3)
    for start in range(3):
        joint, reward = np.zeros((8, 3)), np.zeros(8)
        for p, taken, total, end in paths(mdp, start, 3, behaviour):
            index = chunk_index(np.array(taken), 2)
            joint[index, end] += p
            reward[index] += p * total
        seen = joint.sum(-1)
        np.testing.assert_allclose(data.frequency[start], seen)
        np.testing.assert_allclose(data.mdp.transition[start], joint / seen[:, None])
        np.testing.assert_allclose(data.mdp.reward[start], reward / seen)
    q, _ = moments(mdp, 3, value, value**2, behaviour)
    np.testing.assert_allclose(q, backup(data.mdp, value))


def test_conditioning_is_intervening_if_nothing_can_leak():
    blind = np.tile(rng(2).dirichlet(np.ones(3)), (5, 1))
    looks = random_worlds.random_policy(rng(1), 5, 3)
    typed = random_worlds.random_policy(rng(3), 5, 27)
    for mdp, behaviour, h in (
        (draw(0), looks, 1),
        (draw(0, noise=0.0), looks, 3),
        (draw(0), blind, 3),
        (draw(0), typed, 3),
    ):
        data = logged(mdp, behaviour, h)
        np.testing.assert_allclose(data.mdp.transition, chunked(mdp, h).transition, atol=1e-12)
        np.testing.assert_allclose(data.mdp.reward, chunked(mdp, h).reward, atol=1e-12)
    leak = logged(draw(0), looks, 3).mdp.transition - chunked(draw(0), 3).transition
    assert np.abs(leak).max() > 0.01


def test_chunks_never_logged_are_never_chosen():
    mdp = draw(0)
    behaviour = one_hot(np.array([0, 1, 2, 0, 1]), 3)
    for data in (logged(mdp, behaviour, 2), logged(mdp, one_hot(np.arange(5), 9), 2)):
        choice = optimal(data.mdp).choice
        assert (data.frequency[np.arange(5), choice] > 0).all()
        assert (data.mdp.transition[data.frequency == 0] == 0).all()
    # Not even where every logged chunk is worth as little as any can be.
    never = random_worlds.two_step(good=0.0)
    data = logged(never.mdp, never.behaviour, 2)
    assert data.frequency[0, optimal(data.mdp).choice[0]] > 0


def test_n_step_is_one_own_action_then_the_data():
    mdp, behaviour = draw(0), random_worlds.random_policy(rng(1), 5, 3)
    value = rng(2).normal(size=5)
    later = value
    for _ in range(3):
        later = (behaviour * backup(mdp, later)).sum(-1)
    np.testing.assert_allclose(backup(n_step(mdp, behaviour, 4), value), backup(mdp, later))
    for field, same in zip(n_step(mdp, behaviour, 1), mdp, strict=True):
        np.testing.assert_allclose(field, same)
    limit = optimal(n_step_limit(mdp, behaviour)).value
    np.testing.assert_allclose(optimal(n_step(mdp, behaviour, 400)).value, limit, atol=1e-12)
    on_policy = policy_value(n_step(mdp, behaviour, 4), behaviour)
    np.testing.assert_allclose(on_policy, policy_value(mdp, behaviour))


@pytest.mark.parametrize("reactive", [True, False])
def test_moments_sum_over_all_paths(reactive):
    mdp, behaviour = draw(0, states=3, actions=2), random_worlds.random_policy(rng(1), 3, 2)
    weights = behaviour if reactive else None
    value = rng(2).normal(size=3)
    first, second = moments(mdp, 3, value, value**2, weights)
    sums = np.zeros((3, 8, 3))
    for start in range(3):
        for p, taken, total, end in paths(mdp, start, 3, weights):
            y = total + 0.9**3 * value[end]
            sums[start, chunk_index(np.array(taken), 2)] += p * np.array([1, y, y**2])
    np.testing.assert_allclose(first, sums[..., 1] / sums[..., 0])
    np.testing.assert_allclose(second, sums[..., 2] / sums[..., 0])


@pytest.mark.parametrize("good", [0.0, 0.1, 1.0])
def test_two_step_counterexample(good):
    world = random_worlds.two_step(good, discount=0.9)
    two = optimal(n_step(world.mdp, world.behaviour, 2)).q[0]
    np.testing.assert_allclose(two, 0.9 * good)
    claims = logged(world.mdp, world.behaviour, 2)
    if good:
        np.testing.assert_allclose(optimal(claims.mdp).q[0, [0, 2]], 0.9)  # chunks (a, 0)
        np.testing.assert_allclose(optimal(claims.mdp).value[0], optimal(world.mdp).value[0])


def test_left_right_counterexample():
    world = random_worlds.left_right(0.3, discount=0.9)
    np.testing.assert_allclose(optimal(logged(world.mdp, world.behaviour, 2).mdp).q[0], 0.9)
    typed = chunked(world.mdp, 2).reward[0]
    np.testing.assert_allclose(typed, [0.27, 0.63, 0.27, 0.63])
