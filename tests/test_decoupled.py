"""Critics of long chunks and players of short ones, against sums over what the logs hold."""

import itertools

import numpy as np
import pytest

from chunkrl.course.worlds import decoupled
from chunkrl.errors import ConfigError
from chunkrl.tabular.chunks import chunk_index, chunk_q, chunked
from chunkrl.tabular.mdp import optimal
from chunkrl.tabular.worlds import lock


def test_an_expectile_balances_what_is_above_and_below() -> None:
    rng = np.random.default_rng(0)
    values, weight = rng.normal(size=(20, 7)), rng.dirichlet(np.ones(7), 20)
    for kappa in (0.1, 0.5, 0.8, 0.99):
        found = decoupled.expectile(values, weight, kappa)
        gap = values - found[:, None]
        pull = weight * np.abs(kappa - (gap < 0)) * gap
        np.testing.assert_allclose(pull.sum(-1), 0, atol=1e-6)
    mean = decoupled.expectile(values, weight, 0.5)
    np.testing.assert_allclose(mean, (values * weight).sum(-1), atol=1e-7)
    assert (decoupled.expectile(values, weight, 1 - 1e-9) > values.max(-1) - 1e-4).all()


@pytest.mark.parametrize("h", [1, 2, 3])
def test_what_is_distilled_is_its_own_backup(h: int) -> None:
    """Sums over every chunk, its frequency the product over the cells that it was logged from."""
    world = lock(3, 0.2)
    mdp, behaviour = world.mdp, world.behaviour
    error = np.random.default_rng(0).normal(size=(2, 4, 2**h))
    q = decoupled.distilled(world, h, error)

    def frequency(state: int, chunk: tuple[int, ...]) -> float:
        if not chunk:
            return 1.0
        after = [mdp.transition[state, chunk[0], s] * frequency(s, chunk[1:]) for s in range(4)]
        return behaviour[state, chunk[0]] * sum(after)

    value = decoupled.expectile(q, np.broadcast_to(behaviour, q.shape), 0.9)
    whole = chunk_q(mdp, h, value) + error
    for state, action in itertools.product(range(4), range(2)):
        chunks = [(action, *rest) for rest in itertools.product(range(2), repeat=h - 1)]
        weight = np.array([frequency(state, chunk) for chunk in chunks])
        at = chunk_index(np.array(chunks), 2)
        expected = decoupled.expectile(
            whole[:, state, at], np.tile(weight / weight.sum(), (2, 1)), 0.8
        )
        np.testing.assert_allclose(q[:, state, action], expected, atol=1e-5)


def test_logs_without_an_action_are_refused() -> None:
    """There is no expectile of nothing; its fixed point would be sought for ever."""
    with pytest.raises(ConfigError, match="every action must be in the logs"):
        decoupled.distilled(lock(3, 0.1, skill=1.0), 2, np.zeros((1, 4, 4)))


def test_perfect_critics_lose_what_their_players_do_not_look() -> None:
    """And the first action of the best blind chunk may never arrive; DQC's does."""
    world = lock(16, 0.2)
    lost = {h: decoupled.regrets(world, h, 0.0, 2) for h in (5, 8)}
    for h, by_rule in lost.items():
        best, blind = optimal(world.mdp).value[0], optimal(chunked(world.mdp, h)).value[0]
        single, whole, first, dqc = (x.max() for x in by_rule.values())
        np.testing.assert_allclose(whole, best - blind, atol=1e-6)
        np.testing.assert_allclose([single, dqc], 0, atol=1e-6)
        never = best + 1 / (1 - world.mdp.discount)
        np.testing.assert_allclose(first, never if h == 8 else 0, atol=1e-6)


def test_the_table_has_a_row_for_each_noise() -> None:
    told = decoupled.table(lock(4, 0.1), 2, (0.0, 0.5), seeds=3).splitlines()
    assert len(told) == 3
    assert all(rule in told[0] for rule in decoupled.RULES)
    assert told[1].startswith("sigma 0.0")
    assert "-0.0" not in told[1]
