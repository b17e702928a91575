"""Imitation alone: what is learned is what was shown, also by the student of one step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunkrl.agents.cloning import clone
from chunkrl.blocks.policies import Flow, OneStep
from chunkrl.course.worlds.flow_maps import ends
from chunkrl.course.worlds.mixtures import Mixture, loss_floor, velocity

WIDTH, STEPS = 0.3, 4
NOISE_OF_ACTION = Mixture(np.ones(1), np.zeros((1, 1)), np.array([WIDTH]))


def draw(key):
    """The action is half of what is seen, with noise of WIDTH."""
    key_obs, key_action = jax.random.split(key)
    obs = jax.random.choice(key_obs, jnp.array([-1.0, 1.0]), (128, 1))
    return obs, obs / 2 + WIDTH * jax.random.normal(key_action, obs.shape)


@pytest.mark.parametrize(
    "policy",
    [Flow(1, (32, 32), STEPS), OneStep(1, 1.0, hidden=(32, 32), steps=STEPS)],
    ids=["flow", "one"],
)
def test_a_clone_does_what_it_was_shown(policy) -> None:
    params, loss = clone(policy, draw, 1000, 3e-3, jax.random.key(0))
    assert loss.shape == (1000,)
    floor = loss_floor(NOISE_OF_ACTION)
    assert 0.97 * floor < float(loss[-500:].mean()) < 1.12 * floor
    assert loss[0] > 2 * floor
    # Few Euler steps make a mode too narrow, by an amount that is known.
    low, high = ends(velocity(NOISE_OF_ACTION), np.array([0.0, 1.0]), STEPS)
    noise = jax.random.normal(jax.random.key(1), (4000, 1))
    for seen in (-1.0, 1.0):
        action = np.asarray(policy.sample(params, jnp.full((4000, 1), seen), noise))
        assert action.mean() == pytest.approx(seen / 2, abs=0.05)
        assert action.std() == pytest.approx(high - low, abs=0.05)
