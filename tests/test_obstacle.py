"""The board task: demonstrations and rollouts have the exact laws; flows learn them."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunkrl.agents.cloning import clone
from chunkrl.blocks.policies import Flow
from chunkrl.course.worlds import obstacle, sides
from chunkrl.course.worlds.sides import World

GRID = np.linspace(-1.4, 1.4, 141) + 0.003


def close(sample: np.ndarray, law: sides.Mixture) -> bool:
    """Whether the empirical law is within the DKW band at confidence 1 - 1e-9."""
    band = np.sqrt(np.log(2 / 1e-9) / (2 * len(sample)))
    return bool(np.abs((sample[:, None] < GRID).mean(0) - law.below(GRID)).max() < band)


def test_the_policy_sees_the_distance_only() -> None:
    places = jnp.array([[0.0, 0.0], [3.0, 0.0], [-1.0, 0.4], [0.0, 1.0], [0.0, 1.5], obstacle.FAR])
    np.testing.assert_allclose(obstacle.observe(places)[:, 0], [1, 1, 0.6, 0, 0, 1], atol=1e-6)


def test_demonstrations_keep_a_side_that_the_distance_does_not_tell() -> None:
    world = World(0.7, 0.02)
    obs, chunk = obstacle.demonstrations(world, 4, 20_000, jax.random.key(0))
    assert obs.shape == (20_000, 1)
    assert chunk.shape == (20_000, 8)
    move = np.asarray(chunk, float).reshape(-1, 4, 2) * obstacle.UNIT
    np.testing.assert_allclose(move[..., 1], sides.AHEAD, rtol=1e-6)
    right = move[:, 0, 0] > 0
    assert (right[:, None] == (move[..., 0] > 0)).mean() > 0.9999
    assert close(move[..., 0].sum(1), sides.displacement(world, 4, 0, 4))
    places, count = np.unique(np.asarray(obs).round(4), return_counts=True)
    np.testing.assert_allclose(places, np.arange(1, 11) / 10, atol=1e-6)
    assert np.abs(count / 2_000 - 1).max() < 0.15
    for place in places:
        share = right[np.asarray(obs)[:, 0].round(4) == place].mean()
        assert abs(share - 0.7) < 5 * np.sqrt(0.21 / 1_700)


@pytest.mark.parametrize(("h", "execute"), [(1, 1), (4, 4), (10, 10), (10, 5)])
def test_rollouts_of_perfect_clones_have_the_exact_law(h: int, execute: int) -> None:
    """A chunk of 10 of which 5 are executed is drawn as often as a chunk of 5."""
    world = World(0.4, 0.03)
    runs = obstacle.rollouts(obstacle.exact(world, h), 5_000, execute, jax.random.key(1))
    assert runs.shape == (5_000, 11, 2)
    np.testing.assert_allclose(runs[:, 0], 0.0)
    np.testing.assert_allclose(runs[..., 1], np.arange(11) * np.full((5_000, 1), 0.1), atol=1e-5)
    assert close(runs[:, -1, 0], sides.displacement(world, execute))
    assert close(runs[:, 7, 0] - runs[:, 3, 0], sides.displacement(world, execute, 3, 7))
    wrong = sides.displacement(world, 2 if execute > 2 else 5)
    assert not close(runs[:, -1, 0], wrong)


def test_rollouts_of_the_gaussian_have_the_exact_law() -> None:
    world = World(0.8, 0.03)
    runs = obstacle.rollouts(obstacle.gaussian(world), 5_000, 1, jax.random.key(1))
    assert close(runs[:, -1, 0], sides.gaussian_displacement(world))
    assert not close(runs[:, -1, 0], sides.gaussian_displacement(World()))


def test_a_chunk_is_executed_without_looking() -> None:
    """Sideways = the distance seen when the chunk began, times the place in the chunk."""

    def propose(obs, key):
        return jnp.stack([obs[0] * jnp.arange(1, 6) / 5, jnp.full(5, 0.5)], -1)

    run = obstacle.rollout(propose, 7, 3, jax.random.key(0), start=(0.2, 0.1))
    x, y, expected = 0.2, 0.1, [(0.2, 0.1)]
    for step in range(7):
        if step % 3 == 0:
            seen = min(1.0, (1.0 - y) / 1.0)
        x, y = x + 0.16 * seen * (step % 3 + 1) / 5, y + 0.08
        expected.append((x, y))
    np.testing.assert_allclose(run, expected, atol=1e-6)


@pytest.mark.parametrize(("h", "noise"), [(1, 0.02), (2, 0.02), (10, 0.05)])
def test_the_floor_is_the_loss_of_the_exact_velocity(h: int, noise: float) -> None:
    """Over 200,000 sampled lines, in all 2 h numbers of a chunk at once."""
    rng, m, w = np.random.default_rng(h), sides.SIDEWAYS / obstacle.UNIT, noise / obstacle.UNIT
    ahead = np.full((2, h), sides.AHEAD / obstacle.UNIT)
    mean = np.stack([np.array([[-m], [m]]) + np.zeros((2, h)), ahead], -1).reshape(2, 2 * h)
    lines = 200_000
    std = np.tile([w, 0.0], h)
    x1 = mean[rng.integers(0, 2, lines)] + std * rng.standard_normal((lines, 2 * h))
    x0, t = rng.standard_normal(x1.shape), rng.random((lines, 1))
    x = (1 - t) * x0 + t * x1
    spread = (1 - t) ** 2 + t**2 * std**2  # [lines, 2 h]
    offset = x - t * mean[:, None]  # [2, lines, 2 h]
    log = -(offset**2 / spread).sum(-1) / 2
    share = np.exp(log - log.max(0))
    share /= share.sum(0)
    each = mean[:, None] + (t * std**2 - (1 - t)) / spread * offset
    error = (((share[..., None] * each).sum(0) - (x1 - x0)) ** 2).mean(-1)
    floor = obstacle.loss_floor(World(noise=noise), h)
    assert abs(error.mean() - floor) < 5 * error.std() / np.sqrt(lines)


class Counting(NamedTuple):
    """Stands in for a flow: its sample is 0, 1, 2, ..."""

    dim: int

    def sample(self, params, obs, noise):
        return jnp.arange(noise.shape[-1])


def test_learned_chunks_are_read_as_they_were_flattened() -> None:
    """Time-major: the first two numbers are the first action."""
    chunk = obstacle.learned(Counting(6), None)(jnp.zeros(1), jax.random.key(0))  # pyright: ignore
    assert chunk.tolist() == [[0, 1], [2, 3], [4, 5]]


@pytest.fixture(scope="module")
def cloned():
    """Flows of single actions and of chunks of 5, trained for some seconds."""
    world = World(0.75, 0.02)
    found = {}
    for h in (1, 5):
        policy = Flow(2 * h, hidden=(64, 64), steps=20)
        draw = partial(obstacle.demonstrations, world, h, 256)
        params, loss = clone(policy, draw, 1_000, 1e-2, jax.random.key(h))
        runs = obstacle.rollouts(
            obstacle.learned(policy, params), 2_000, h, jax.random.key(10), steps=10
        )
        found[h] = world, np.asarray(loss), runs
    return found


@pytest.mark.parametrize("h", [1, 5])
def test_flows_learn_the_single_steps(h: int, cloned) -> None:
    world, loss, runs = cloned[h]
    assert loss[-100:].mean() < 0.6 * loss[:20].mean()
    moves = np.diff(runs, axis=1)
    assert abs(moves[..., 0].mean() - world.mean) < 0.01
    assert abs((moves[..., 0] > 0).mean() - 0.75) < 0.05
    assert abs(np.abs(moves[..., 0]).mean() - sides.SIDEWAYS) < 0.01
    assert abs(moves[..., 1].mean() - sides.AHEAD) < 0.005


def test_only_the_flow_of_chunks_keeps_its_side(cloned) -> None:
    """Side changes from one step to the next: 2 b (1 - b) = 37.5% against none in a chunk."""
    changes = {}
    for h, (_, _, runs) in cloned.items():
        right = np.diff(runs[..., 0], axis=1) > 0
        changes[h] = (right[:, 1:] != right[:, :-1]).mean(0)  # [9]
    assert np.abs(changes[1] - 0.375).max() < 0.06
    inside = np.delete(changes[5], 4)
    assert inside.max() < 0.06
    assert abs(changes[5][4] - 0.375) < 0.08
