"""Notebook 13's numbers: planted errors come back out of a record, and the stored one is whole."""

import numpy as np
import pytest

from chunkrl.course.explorers import EXPLORERS, robot_values
from chunkrl.course.worlds import push
from chunkrl.measure.record import Backups, Record, Values, estimates

SEEDS, N, MODELS, DEPTH, STATES, REPEATS = 2, 2, 2, 4, 5, 3


def planted():
    """Bootstrap errors 3, 2, 1, 0 by depth (for the second N one more), models off by H and 2 H."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(-90, 0, (SEEDS, N, STATES, REPEATS))
    left = np.arange(3.0, -1.0, -1.0) + np.arange(N)[:, None]  # [N, H]
    real = truth[:, :, None] + left[None, :, :, None, None]
    drift = np.arange(DEPTH) * np.array([[1.0], [2.0]])  # [J, H]
    target = real[:, :, None] + drift[None, None, :, :, None, None]
    logged = truth[:, :1].repeat(2, 1) + np.array([0.0, -4.0])[:, None, None]
    return Record(
        Values(truth, 0 * truth, truth > -50, truth + 7, real, target),
        Backups(logged, logged + 1, logged[:, 0].mean(-1) + 2),
        np.arange(SEEDS),
        np.array([8, 1]),
        np.array([10, 1]),
        np.array([10, 50]),
        np.arange(STATES),
        np.zeros((SEEDS, MODELS, 4, 28)),
        {"discount": 0.99, "chunk": 10},
    )


@pytest.mark.parametrize(("c", "candidates"), [(0, 8), (1, 1)])
@pytest.mark.parametrize(("j", "steps"), [(0, 10), (1, 1)])
def test_planted_parts_come_back(c, candidates, j, steps):
    found = robot_values.errors(planted(), steps, candidates)
    model = np.arange(DEPTH) * [1.0, 2.0][j]
    bootstrap = np.arange(3.0, -1.0, -1.0) + c
    np.testing.assert_allclose(found.model.rms, model, atol=1e-6)
    np.testing.assert_allclose(found.bootstrap.rms, bootstrap, atol=1e-6)
    np.testing.assert_allclose(found.total.rms, model + bootstrap, atol=1e-6)
    np.testing.assert_allclose(found.total.high, found.total.low, atol=1e-6)


def test_errors_of_different_sign_do_not_cancel_over_seeds():
    record = planted()
    real = record.values.real.copy()
    real[1] = 2 * record.values.truth[1][:, None] - real[1]  # the second seed errs downwards
    values = record.values._replace(real=real, target=real[:, :, None].repeat(2, 2))
    found = robot_values.errors(record._replace(values=values), 10, 8)
    np.testing.assert_allclose(found.total.rms, [3, 2, 1, 0], atol=1e-6)


def test_every_stand_in_for_a_value_is_held_against_its_own_truth():
    """V and the chosen chunk against V^pi, logged chunks against Q at the logged chunk."""
    found = {name: errors.mean() for name, errors in estimates(planted()).items()}
    expected = {
        "value V(s)": 3.0,
        "critic Q(s, chosen chunk)": 7.0,
        "critic Q(s, logged chunk)": 2.0,
        "logged 10-step target": 1.0,
        "logged 50-step target": -3.0,  # V is 1 too high, and the logged actions cost 4
    }
    assert found == pytest.approx(expected)
    few = planted()._replace(lengths=np.array([5, 50]))
    assert list(estimates(few)) == list(expected)[:2]


def test_the_stored_measurement_says_what_it_is_of():
    record = robot_values.record()
    assert {"method", "task", "updates", "versions", "horizon", "data_file"} <= record.about.keys()
    truth = record.values.truth
    least = -1 / (1 - record.discount)
    assert ((least - 1e-3 <= truth) & (truth <= 0)).all()
    assert record.values.real.shape[2] == robot_values.DEEPEST + 1
    # A target of no imagined steps is the value, whatever the model.
    for j in range(len(record.steps)):
        same = record.values.target[:, :, j, 0], record.values.real[:, :, 0]
        np.testing.assert_allclose(*same, rtol=1e-3, atol=1e-2)


def test_drifts_are_distances_of_the_cube_over_seeds():
    """Squared errors of 9 and 16 in units of 0.1 m along two axes: off by 50 cm."""
    record = planted()
    record.drift[:, 0, 2, 19:21] = 9.0, 16.0
    record.drift[1, 1, 3, 21] = 4.0
    found = robot_values.drifts(record)
    assert list(found) == [1, 10]
    np.testing.assert_allclose(found[10].step, [10, 20, 30])
    np.testing.assert_allclose(found[10].mean, [0, 50, 0])
    np.testing.assert_allclose([found[1].low[2], found[1].mean[2], found[1].high[2]], [0, 10, 20])


def test_the_headline_numbers_are_those_of_the_curves():
    explorer = EXPLORERS["robot_values"]
    numbers = explorer.numbers(depth=0)
    assert numbers.errors.model.rms[0] == pytest.approx(0, abs=0.05)
    assert numbers.errors.total.rms[0] == pytest.approx(numbers.errors.bootstrap.rms[0], rel=1e-2)
    assert f"off by {numbers.errors.total.rms[0]:.1f}" in explorer.alt(depth=0)
    assert "best" not in explorer.alt(steps="1").split("best of 32")[1]  # 13.q3 asks for it


def test_what_imagining_removes_is_held_against_both_kinds_of_luck():
    """Errors 3, 2, 1, 0 by depth without a model's: squares 9, 4, 1, 0 in every state and seed."""
    values = planted().values
    still = planted()._replace(values=values._replace(target=values.real[:, :, None].repeat(2, 2)))
    found = robot_values.removed(still, 10, 8, 1, 3)
    np.testing.assert_allclose(found, np.full((SEEDS, STATES), 4.0), atol=1e-6)
    found = np.array([[1.0, 3.0], [5.0, 7.0]])  # seeds x states
    assert robot_values.over_states(found) == pytest.approx((4.0, 2.0))
    assert robot_values.over_seeds(found) == pytest.approx((4.0, 12.706 * 2.0), rel=1e-4)


def test_what_the_stored_measurement_carries_and_what_it_does_not():
    """What notebook 13 says of three seeds and 24 states."""
    record = robot_values.record()

    def clear(steps, candidates, few, many, over):
        average, half = over(robot_values.removed(record, steps, candidates, few, many))
        return abs(average) > half

    for steps in (10, 5):  # five chunks beat V alone for the best of 32, whoever asks
        assert clear(steps, 32, 0, 5, robot_values.over_states)
        assert clear(steps, 32, 0, 5, robot_values.over_seeds)
        assert not clear(steps, 32, 5, 20, robot_values.over_states)
        assert not clear(steps, 32, 5, 20, robot_values.over_seeds)
    # Single steps lose it again in these seeds, to very different degrees.
    lost = robot_values.removed(record, 1, 32, 5, 20)
    assert (lost.mean(-1) < 0).all()
    assert clear(1, 32, 5, 20, robot_values.over_states)
    assert not clear(1, 32, 5, 20, robot_values.over_seeds)
    # For the best of 4 the model of five steps repairs something, in these seeds.
    assert clear(5, 4, 0, 5, robot_values.over_states)
    assert not clear(5, 4, 0, 5, robot_values.over_seeds)
    level = record.values.real[:, 0, 0] - record.values.truth[:, 0]
    average, half = robot_values.over_seeds(level.mean(-1))
    assert average - half < 0 < average  # too high, but not beyond three seeds
    # The least error by seed, as the reply to 13.q3 has it.
    for steps, least in ((1, [4, 4, 5]), (10, [10, 20, 13])):
        gains = [robot_values.removed(record, steps, 32, 0, k).mean(-1) for k in range(21)]
        assert np.argmax(gains, 0).tolist() == least


def test_the_pushed_cube_is_worth_what_its_rewards_add_up_to():
    """10 cm at 0.5 cm a step: 11 steps of -1 and the twelfth arrives at 4 cm."""
    value = push.value(np.array([3.0, 10.0]), push.SPEED)
    np.testing.assert_allclose(value, [0.0, -(1 - 0.99**11) / 0.01], rtol=1e-12)
    for stuck, solved in ((3.0, True), (6.0, False)):
        at = np.array([4.0 if solved else 6.0])
        assert (push.reward(at, push.act(at), stuck)[0] == 0.0) == solved
