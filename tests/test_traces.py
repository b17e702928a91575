"""Temporal coherency and coverage of paths, by closed forms and by loops."""

import numpy as np
import pytest

from chunkrl.errors import ConfigError
from chunkrl.measure.traces import coherency, coverage, direction


def by_loop(path, every):
    jumps, at = [], 0
    while at + every < len(path):
        jumps.append(sum((b - a) ** 2 for a, b in zip(path[at], path[at + every], strict=True)))
        at += every
    return sum(jump**0.5 for jump in jumps) / len(jumps)


@pytest.mark.parametrize(("length", "every"), [(21, 5), (23, 5), (24, 5), (6, 1), (11, 10)])
def test_coherency_is_the_mean_of_the_jumps(length: int, every: int) -> None:
    paths = np.random.default_rng(0).normal(size=(2, 4, length, 3)).cumsum(-2)
    got = coherency(paths, every)
    assert got.shape == (2, 4)
    assert got[1, 2] == pytest.approx(by_loop(paths[1, 2].tolist(), every), rel=1e-12)


def test_a_straight_line_is_as_coherent_as_its_speed() -> None:
    line = np.arange(41)[:, None] * np.array([0.03, 0.04, 0.0])
    assert coherency(line) == pytest.approx(5 * 0.05)
    assert coherency(line, every=10) == pytest.approx(10 * 0.05)


def test_going_to_and_fro_is_not_coherent() -> None:
    """A step ahead and a step back: after an even number of steps nothing has happened."""
    walk = np.tile([[0.0, 0.0], [1.0, 0.0]], (20, 1))
    assert coherency(walk, every=2) == 0.0
    assert coherency(walk, every=5) == 1.0


def test_a_path_that_is_too_short_is_named() -> None:
    assert coherency(np.zeros((6, 2))) == 0.0
    with pytest.raises(ConfigError, match="5 positions hold no two that are 5 steps apart"):
        coherency(np.zeros((5, 2)))


def test_coverage_counts_cells_once() -> None:
    places = np.array([[0.05, 0.05], [0.15, 0.05], [0.06, 0.01], [0.05, 0.25]])
    assert coverage(places, 0.1) == 3
    assert coverage(np.repeat(places, 7, axis=0)[None], 0.1) == 3
    assert coverage(places, 1.0) == 1


def test_cells_on_both_sides_of_zero_are_two() -> None:
    assert coverage(np.array([[-0.05], [0.05]]), 0.1) == 2


def test_coverage_against_a_set() -> None:
    places = np.random.default_rng(1).normal(size=(5, 60, 3))
    cells = {tuple(int(x // 0.5) for x in place) for place in places.reshape(-1, 3)}
    assert coverage(places, 0.5) == len(cells)
    with pytest.raises(ConfigError, match="must be positive"):
        coverage(places, 0.0)


@pytest.mark.parametrize(("length", "every"), [(21, 5), (23, 5), (12, 1), (31, 10)])
def test_direction_is_the_mean_cosine_of_neighbouring_moves(length: int, every: int) -> None:
    paths = np.random.default_rng(2).normal(size=(2, 3, length, 3)).cumsum(-2)
    got = direction(paths, every)
    assert got.shape == (2, 3)
    notes = paths[1, 2][::every]
    cosines = []
    for a, b, c in zip(notes, notes[1:], notes[2:], strict=False):
        first, second = b - a, c - b
        cosines.append(first @ second / (first @ first) ** 0.5 / (second @ second) ** 0.5)
    assert got[1, 2] == pytest.approx(np.mean(cosines), rel=1e-12)


def test_direction_does_not_depend_on_speed() -> None:
    line = np.cumsum(np.arange(30))[:, None] * np.array([0.03, -0.04])
    assert direction(line) == pytest.approx(1.0)
    corners = np.array([[0, 0], [1, 0], [1, 5], [3, 5]], float)
    assert direction(corners, every=1) == pytest.approx(0.0)
    assert direction(np.array([[0.0], [2.0], [1.0], [2.0]]), every=1) == -1.0


def test_a_rest_has_no_direction() -> None:
    rests = np.array([[0.0], [1.0], [1.0], [2.0], [3.0]])
    assert direction(rests, every=1) == 1.0  # one pair is left
    with pytest.raises(ConfigError, match="no two moves"):
        direction(np.zeros((11, 2)))
    with pytest.raises(ConfigError, match="no two moves"):
        direction(np.eye(2), every=1)
