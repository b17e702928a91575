"""Notebook 12's loss to write: the agent that it trains is the library's, its score is exact."""

import jax
import numpy as np
import pytest

from chunkrl import agents
from chunkrl.course import one_step
from chunkrl.course.builds import nb12
from chunkrl.course.exercises import EXERCISES
from chunkrl.course.exercises.nb12 import case
from chunkrl.course.worlds import button_lock


def test_with_the_librarys_loss_a_step_is_the_librarys() -> None:
    _, _, state, batch, noise = case()
    settings = {"horizon": 3, "hidden": (8, 8), "flow_steps": 2, "alpha": 2.0}
    library = agents.make("qc_fql", 3, 2, **settings)
    mine = one_step.make(obs_dim=3, action_dim=2, **settings)
    expected, _ = library.step(state, batch, noise)
    found, metrics = mine.step(state, batch, noise)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert metrics["loss"] == pytest.approx(
        float(library.loss(state.params, state, batch, noise)[0])
    )


def test_the_solution_has_the_librarys_gradient() -> None:
    """Equal values could hide a gradient that leaks into what is held fixed."""
    nets, params, *rest = case()
    cell: dict = {}
    exec(EXERCISES["12.write"].solution, cell)
    found, expected = (
        jax.grad(loss, argnums=1)(nets, params, *rest)
        for loss in (cell["answer"], one_step.library_loss)
    )
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_steps_to_the_goal_are_those_of_walks() -> None:
    rng = np.random.default_rng(0)
    pressed = rng.random((16, nb12.LENGTH + 1, nb12.H)) < 0.5
    right = button_lock.Lock(nb12.LENGTH).right
    good = np.array(
        [[right[min(cell + i, nb12.LENGTH - 1)] for i in range(nb12.H)] for cell in range(9)]
    )
    pressed = np.where(rng.random((16, 9, 1)) < 0.6, good == 1, pressed)
    walks = []
    for _ in range(2_000):
        lock, done, steps = button_lock.Lock(nb12.LENGTH), False, 0
        while not done:
            for press in pressed[rng.integers(16), lock.cell]:
                _, done = lock.step(np.array([1.0 if press else -1.0]))
                steps += 1
                if done:
                    break
        walks.append(steps)
    discounted = [sum(0.99**i for i in range(steps)) for steps in walks]
    for found, counted in (
        (nb12.steps_to_goal(pressed), walks),
        (nb12.steps_to_goal(pressed, 0.99), discounted),
    ):
        assert abs(found - np.mean(counted)) < 4 * np.std(counted) / np.sqrt(len(walks))
    assert nb12.steps_to_goal(np.broadcast_to(good == 1, (3, 9, nb12.H))) == pytest.approx(
        8, abs=1e-4
    )
    never = np.broadcast_to((good == 1) ^ True, (3, 9, nb12.H))
    assert nb12.steps_to_goal(never) == nb12.MOST
    assert nb12.steps_to_goal(never, 0.99) == pytest.approx(100)


def test_the_librarys_loss_learns_the_lock() -> None:
    found = nb12.BUILD.library
    assert 8 <= found.steps[-1] < 10 < nb12.LOGGED
    early, *later = found.value - found.true
    assert early > 15  # notebook 12: far too much of a policy that is slower than the hand
    assert min(later) > -2.5
    assert max(later) < -0.5
    assert found.steps[0] > 1.5 * nb12.LOGGED
    wrong = EXERCISES["12.write"].misconceptions[0]
    assert nb12.run(wrong.answer).value[-1] > 0  # a critic that learns from its own judgement


def test_without_a_tie_it_is_lost_and_with_a_hard_one_it_copies() -> None:
    """What notebook 12 says of alpha, and that the middle one is the build's own agent."""
    found = nb12.tied((0, nb12.SIZES["alpha"], 300))
    assert found.steps[0] == nb12.MOST
    assert found.outside[0] > 0.99 > 0.5 > found.outside[1:].max()
    assert found.steps[1] == pytest.approx(nb12.BUILD.library.steps[-1], rel=0.05)
    assert abs(found.steps[2] - nb12.LOGGED) < 3
