"""The bounds of DQC hold on random MDPs and are met where the paper says that they are tight."""

import itertools

import numpy as np
import pytest
import random_worlds

from chunkrl.course.worlds import worst_cases
from chunkrl.errors import ConfigError
from chunkrl.tabular import bounds, worlds
from chunkrl.tabular.chunks import chunk_index, chunked, logged, n_step
from chunkrl.tabular.mdp import backup, one_hot, optimal, policy_value

GRID = list(itertools.product([0.05, 0.3, 0.5], [0.5, 0.9, 0.99], [2, 3, 5]))


def closed_loop_regret(eps, discount, h):
    """Proposition 3: the greedy chunk policy, asked at every step, loses <= H times Theorem 3."""
    return bounds.greedy_regret(eps, discount, h) / (1 - discount)


def deterministic_consistency(eps, h):
    """Proposition 4: eps-deterministic dynamics give *weak* eps_h <= 3 (1 - (1 - eps)^{h-1}).

    Not strong: a chunk that is only ever logged after a slip says that there was one.
    """
    return 3 * (1 - (1 - eps) ** (h - 1))


def n_step_shortfall(mdp, behaviour, n):
    """What n-step data give away: min_s [V*(s) - max_a E_D[R^n + gamma^n V*(s_{t+n}) | s, a]].

    Hence V* - Vhat+_n >= delta_n / (1 - gamma^n): with V' = Vhat+_n, V* - V' >= delta_n + gamma^n
    min(V* - V'), as V' is the fixed point of the same backup.
    """
    best = optimal(mdp).value
    return float((best - backup(n_step(mdp, behaviour, n), best).max(-1)).min())


def chunk_advantage(shortfall, eps, discount, h, n):
    """Proposition 2: V+_ac - Vhat+_n >= delta_n / (1 - gamma^n) - 3 eps H Hbar."""
    return shortfall / (1 - discount**n) - 3 * eps / (1 - discount) / (1 - discount**h)


def test_bounds_hold_on_1000_draws():
    rng, tightest = np.random.default_rng(0), 0.0
    for _ in range(1000):
        states, h = int(rng.integers(2, 6)), int(rng.integers(1, 4))
        discount, noise = rng.uniform(0.3, 0.99), rng.choice([0.0, 1e-3, 1e-2, 0.1, 1.0])
        mdp = random_worlds.random_mdp(rng, states, 2, discount, noise)  # rewards in [0, 1]
        behaviour = random_worlds.random_policy(rng, states, 2)
        data, typed = logged(mdp, behaviour, h), chunked(mdp, h)
        best = optimal(mdp)
        eps = bounds.consistency(mdp, behaviour, h)
        expert = bounds.consistency(mdp, one_hot(best.choice, 2), h)
        weak, strong = eps.weak.max(), max(eps.strong.max(), expert.strong.max())

        learned = bounds.learned_chunks(mdp, behaviour, h)
        bias = policy_value(data.mdp, data.frequency) - policy_value(typed, data.frequency)
        limit = bounds.value_bias(weak, discount, h)
        assert np.abs(bias).max() <= limit + 1e-9  # Theorem 1
        assert limit <= weak / (1 - discount) / (1 - discount**h) + 1e-9
        chunk_loss = (best.value - optimal(typed).value).max()
        assert chunk_loss <= bounds.value_bias(expert.weak.max(), discount, h) + 1e-9  # Corollary 1
        limit = bounds.greedy_regret(strong, discount, h)
        assert (best.value - learned.obtained).max() <= limit + 1e-9  # Theorem 3
        assert limit <= 3 * strong / (1 - discount) / (1 - discount**h) + 1e-9
        limit = closed_loop_regret(strong, discount, h)
        assert (best.value - learned.reactive).max() <= limit + 1e-9  # Proposition 3
        assert weak <= deterministic_consistency(noise, h) + 1e-9  # Proposition 4

        n = int(rng.integers(1, 5))
        shortfall = n_step_shortfall(mdp, behaviour, n)
        advantage = learned.obtained - optimal(n_step(mdp, behaviour, n)).value
        limit = chunk_advantage(shortfall, strong, discount, h, n)
        assert advantage.min() >= limit - 1e-9  # Proposition 2
        if limit > 0:
            tightest = max(tightest, limit)
    assert tightest > 0  # Proposition 2 said something in at least one draw


def test_consistency_sums_over_all_paths():
    """Definition 2 from the joint law of whole paths, for one start."""
    rng = np.random.default_rng(5)
    mdp, h = random_worlds.random_mdp(rng, 3, 2, 0.9), 3
    behaviour = random_worlds.random_policy(rng, 3, 2)
    data = np.zeros((8, 3, 3, 3))  # P_D(chunk, s_1, s_2, s_3 | s_0 = 0)
    typed = np.zeros_like(data)  # the same for a chunk that is executed
    for chunk in itertools.product(range(2), repeat=h):
        for walk in itertools.product(range(3), repeat=h):
            here, p, t = 0, 1.0, 1.0
            for a, to in zip(chunk, walk, strict=True):
                p *= behaviour[here, a] * mdp.transition[here, a, to]
                t *= mdp.transition[here, a, to]
                here = to
            data[chunk_index(np.array(chunk), 2), *walk] = p
            typed[chunk_index(np.array(chunk), 2), *walk] = t
    often = data.sum((1, 2, 3), keepdims=True)
    blind = often * typed
    acts = np.array(list(itertools.product(range(2), repeat=h)))

    def law(joint, i):  # of (s_i, a_i), or of s_h
        by_chunk = joint.sum(tuple(k for k in (1, 2, 3) if k != i))  # [8, 3]
        if i == h:
            return by_chunk.sum(0)
        return np.stack([by_chunk[acts[:, i] == a].sum(0) for a in range(2)])

    weak = max(0.5 * np.abs(law(data, i) - law(blind, i)).sum() for i in (1, 2, 3))
    gaps = [
        0.5 * np.abs((data / often - typed).sum(tuple(k for k in (1, 2, 3) if k != i))).sum(-1)
        for i in (1, 2, 3)
    ]
    found = bounds.consistency(mdp, behaviour, h)
    np.testing.assert_allclose(found.weak[0], weak)
    np.testing.assert_allclose(found.strong[0], max(weak, np.max(gaps)))


def test_proposition_4_does_not_give_strong_consistency():
    """A wrong action after a slip is logged by an expert only if there was a slip."""
    world = worlds.lock(4, slip=0.01, skill=1.0)
    eps = bounds.consistency(world.mdp, world.behaviour, 2)
    limit = deterministic_consistency(0.01, 2)
    assert eps.weak.max() <= limit
    assert eps.strong.max() > 0.9


def over_starts(case, eps):
    """What the theorems need: the largest over the states in which chunks start."""
    return bounds.Consistency(*(each[case.starts].max() for each in eps))


@pytest.mark.parametrize(("eps", "discount", "h"), GRID)
@pytest.mark.parametrize("sign", [1, -1])
def test_theorem_2_meets_theorem_1(eps, discount, h, sign):
    case = worst_cases.coin(eps, discount, h, optimistic=sign == 1)
    measured = over_starts(case, bounds.consistency(case.mdp, case.behaviour, h))
    np.testing.assert_allclose(measured.weak, eps, rtol=1e-12)
    data = logged(case.mdp, case.behaviour, h)
    claimed = policy_value(data.mdp, data.frequency)
    actual = policy_value(chunked(case.mdp, h), data.frequency)
    np.testing.assert_allclose(
        sign * (claimed - actual)[0], bounds.value_bias(eps, discount, h), rtol=1e-9
    )


@pytest.mark.parametrize(("eps", "discount", "h"), GRID)
def test_corollary_2_meets_the_bound_with_the_best_chunks(eps, discount, h):
    case = worst_cases.forced(eps, discount, h)
    measured = over_starts(case, bounds.consistency(case.mdp, case.behaviour, h))
    np.testing.assert_allclose(measured, eps, rtol=1e-12)
    loss = optimal(case.mdp).value - optimal(chunked(case.mdp, h)).value
    np.testing.assert_allclose(loss[0], bounds.value_bias(eps, discount, h), rtol=1e-9)


@pytest.mark.parametrize(("eps", "h"), [(0.01, 2), (0.02, 3), (0.05, 4), (0.08, 8)])
def test_theorem_4_meets_theorem_3_as_the_leak_closes(eps, h):
    missing = []
    for leak in (1e-3, 1e-5, 1e-7):
        case = worst_cases.detour(eps, 0.9, h, leak=leak)
        assert case.mdp.reward.min() >= 0
        assert case.mdp.reward.max() <= 1
        of_data = over_starts(case, bounds.consistency(case.mdp, case.behaviour, h))
        of_expert = over_starts(case, bounds.consistency(case.mdp, case.expert, h))
        np.testing.assert_allclose([*of_data[1:], *of_expert[1:]], eps, rtol=1e-9)
        best = optimal(case.mdp).value[0]
        np.testing.assert_allclose(policy_value(case.mdp, case.expert)[0], best)
        lost = best - bounds.learned_chunks(case.mdp, case.behaviour, h).obtained[0]
        missing.append(1 - lost / bounds.greedy_regret(eps, 0.9, h))
    assert 0 < missing[2] < 1e-6
    np.testing.assert_allclose(missing[0] / missing[1], 100, rtol=0.1)  # of the order of the leak


@pytest.mark.parametrize("eps", [1e-4, 0.1, 0.5])
def test_proposition_1_loses_nearly_everything_at_weak_consistency(eps):
    case, d = worst_cases.lucky_chunk(eps, 0.9, 0.99), (1 - np.sqrt(1 - 2 * eps)) / 2
    measured = over_starts(case, bounds.consistency(case.mdp, case.behaviour, 2))
    np.testing.assert_allclose(measured.weak, eps, rtol=1e-9)
    learned = bounds.learned_chunks(case.mdp, case.behaviour, 2)
    lost = (learned.best - learned.obtained)[0]
    np.testing.assert_allclose(lost, 0.9 * (1 - d) * 0.99 / 0.1, rtol=1e-9)
    assert lost > 0.49 * 0.9 / 0.1


def test_worst_cases_refuse_what_they_cannot_build():
    with pytest.raises(ConfigError, match="at least 2"):
        worst_cases.coin(0.1, 0.9, 1)
    with pytest.raises(ConfigError, match="at most"):
        worst_cases.coin(0.6, 0.9, 2)
    with pytest.raises(ConfigError, match="too large"):
        worst_cases.detour(0.4, 0.99, 2)
