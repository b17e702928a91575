"""Notebook 16: times to the first success by other ways, collected rows, stored runs."""

import numpy as np
import pytest

from chunkrl.course.explorers import EXPLORERS, wandering
from chunkrl.course.worlds import wander
from chunkrl.errors import ConfigError
from chunkrl.tabular.chunks import chunk_table
from chunkrl.tabular.mdp import MDP, policy_value
from chunkrl.tabular.worlds import lock

ENDLESS = float("inf")


def by_chunks(transition, law, h: int) -> float:
    """Mean steps by a law of whole chunks [S, 2^h], each followed step by step."""
    length = len(transition) - 1
    through, steps = np.zeros((length, length)), np.zeros(length)
    for chance, chunk in zip(law[:-1].T, chunk_table(2, h), strict=True):
        now = np.diag(chance)
        for action in chunk:
            steps += now.sum(-1)
            now = now @ transition[:-1, action, :-1]
        through += now
    return float(np.linalg.solve(np.eye(length) - through, steps)[0])


@pytest.mark.parametrize("length", [1, 2, 8])
def test_dithering_takes_l_times_l_plus_one_whatever_slips(length: int) -> None:
    for slip in (0.0, 0.3, 0.5):
        world = wander.corridor(length, slip)
        for h in (1, 4):
            found = wander.expected_steps(world, wander.dithering(length + 1), h)
            assert found == pytest.approx(length * (length + 1))


def test_the_examples_by_hand() -> None:
    two, three, hand = wander.corridor(2), wander.corridor(3), wander.held
    assert wander.expected_steps(two, hand(3), 1) == pytest.approx(6)
    assert wander.expected_steps(two, hand(3), 2) == pytest.approx(4)
    assert wander.expected_steps(three, hand(4), 2) == pytest.approx(11)
    for h in (8, 9, 30, 64):  # half of the holds press against the wall
        assert wander.expected_steps(wander.corridor(8), hand(9), h) == pytest.approx(8 + h)


@pytest.mark.parametrize(("keep", "slip", "h"), [(1.0, 0.0, 3), (0.9, 0.2, 4), (0.3, 0.1, 5)])
def test_a_hand_types_the_chunks_of_its_law(keep: float, slip: float, h: int) -> None:
    """Each of the 2^h chunks with its probability, in both worlds."""
    table = chunk_table(2, h)
    switches = (np.diff(table, axis=1) != 0).sum(1)
    chance = 0.5 * keep ** (h - 1 - switches) * (1 - keep) ** switches
    assert chance.sum() == pytest.approx(1)
    law = np.tile(chance, (6, 1))
    for world in (wander.corridor(5, slip), lock(5, slip, secret=3).mdp.transition):
        found = wander.expected_steps(world, wander.held(6, keep), h)
        assert found == pytest.approx(by_chunks(world, law, h)) or np.isinf(found)


@pytest.mark.parametrize(("slip", "h"), [(0.0, 1), (0.2, 1), (0.2, 4)])
def test_chunks_of_the_logs_are_those_that_the_logs_hold(slip: float, h: int) -> None:
    """Against every logged way, one by one; with h = 1 it is the hand itself."""
    world = lock(4, slip, 0.7)
    transition, behaviour = world.mdp.transition, world.behaviour
    law = np.zeros((5, 2**h))
    for c, chunk in enumerate(chunk_table(2, h)):
        now = np.eye(5)
        for action in chunk:
            now = (now * behaviour[:, action]) @ transition[:, action]
        law[:, c] = now.sum(-1)
    found = wander.expected_steps(transition, wander.logged(transition, behaviour), h)
    assert found == pytest.approx(by_chunks(transition, law, h))
    if h == 1:
        undiscounted = MDP(transition, world.mdp.reward, 1 - 1e-10)
        assert found == pytest.approx(-policy_value(undiscounted, behaviour)[0], rel=1e-5)


def test_without_luck_logs_are_as_fast_in_chunks_as_one_by_one() -> None:
    world = lock(8, 0.0, 0.7)
    hand = wander.logged(world.mdp.transition, world.behaviour)
    times = [wander.expected_steps(world.mdp.transition, hand, h) for h in (1, 2, 5, 30)]
    assert times == pytest.approx([times[0]] * 4)


def test_what_can_never_arrive_is_endless() -> None:
    world = lock(8, 0.0)
    assert wander.expected_steps(world.mdp.transition, wander.held(9), 2) == ENDLESS
    assert wander.surviving(world.mdp.transition, wander.held(9), 2, 500)[-1] == 1.0
    assert wander.expected_steps(wander.corridor(3, 1.0), wander.held(4), 2) < ENDLESS


@pytest.mark.parametrize("world", [wandering.CORRIDOR, wandering.LOCK])
@pytest.mark.parametrize(("h", "slip"), [(5, 0.1), (8, 0.2)])
def test_three_ways_to_a_time_agree(world: str, h: int, slip: float) -> None:
    """Linear system, sum of survivors, walks."""
    transition, hands = wandering.setting(world, slip)
    for hand in hands.values():
        exact = wander.expected_steps(transition, hand, h)
        assert wander.surviving(transition, hand, h, 4_000).sum() == pytest.approx(exact, rel=1e-3)
        took = wander.walks(transition, hand, h, 1_000, 4_000, np.random.default_rng(1))
        assert abs(took.mean() - exact) < 5 * took.std() / np.sqrt(1_000)


def test_the_explorer_says_when_chunks_help_and_when_they_do_not() -> None:
    """What notebook 16 claims of its figure."""
    explorer = EXPLORERS["wandering"]
    dither, held, logs = explorer.numbers().steps[:, 7]
    assert (round(dither), round(held), round(logs)) == (72, 16, 25)
    level = explorer.numbers(slip=0.5).steps[2]
    np.testing.assert_allclose(level, 72.0)  # a step that goes anywhere keeps nothing
    slips = explorer.numbers(world=wandering.LOCK, slip=0.2)
    assert (np.diff(slips.steps[2]) > 0).all()
    never = explorer.numbers(world=wandering.LOCK).steps[1]
    assert (never[1::2] == wandering.NEVER).all()
    assert (never[::2] < 200).all()


def test_settings_that_are_none() -> None:
    with pytest.raises(ConfigError, match="slip"):
        wander.corridor(8, 1.5)
    with pytest.raises(ConfigError, match="h=0"):
        wander.expected_steps(wander.corridor(2), wander.dithering(3), 0)
