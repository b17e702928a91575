"""The design claims of the model-based family: gradient routing, reductions, exact values."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunkrl import presets, train
from chunkrl.agents import MODEL_BASED, canonical, make
from chunkrl.agents.imagination import in_blocks
from chunkrl.errors import ConfigError
from chunkrl.optim import mean_of_blocks
from chunkrl.types import ChunkBatch

O, A, G, B, H = 7, 2, 3, 16, (16, 16)  # noqa: E741


def agent_of(name="mac", **changes):
    settings = {"horizon": 4, "rollout": 3, "candidates": 4, "flow_steps": 3, "hidden": H}
    return make(name, O, A, **settings | changes)


def batch_of(agent, seed=0):
    r = np.random.default_rng(seed)
    arrays = (
        r.normal(size=(B, O)),
        r.uniform(-1, 1, (B, agent.chunk * A)),
        r.normal(size=B),
        r.integers(0, 2, B),
        r.normal(size=(B, O)),
        r.normal(size=(B, agent.goal_dim)),
        r.normal(size=(B, agent.goal_dim)),
    )
    return ChunkBatch(*(jnp.asarray(x, jnp.float32) for x in arrays))


def started(agent, seed=0):
    """A fresh state whose target value differs from the value, a batch and noise."""
    state = agent.init(jax.random.key(seed))
    moved = jax.tree.map(lambda leaf: leaf + 0.05, state.target_value)
    return state._replace(target_value=moved), batch_of(agent), agent.noise(jax.random.key(1), B)


@pytest.mark.parametrize(("name", "goal_dim"), [*((name, 0) for name in MODEL_BASED), ("mac", G)])
def test_an_update_moves_every_array_and_only_later_the_target(name, goal_dim):
    """With goals there is no reward network.  The target is late: unmoved where it was a copy."""
    agent = agent_of(name, goal_dim=goal_dim)
    state = agent.init(jax.random.key(0))
    new, metrics = train.update(agent, state, batch_of(agent), jax.random.key(2))
    for old, leaf in zip(*map(jax.tree.leaves, (state.params, new.params)), strict=True):
        assert np.any(leaf != old)
    assert bool(jax.tree.leaves(state.params.reward)) == (goal_dim == 0)
    for old, leaf in zip(
        *map(jax.tree.leaves, (state.target_value, new.target_value)), strict=True
    ):
        np.testing.assert_allclose(leaf, old, atol=1e-7)
    assert all(np.isfinite(value) for value in metrics.values())
    evaluated = {"success", "return", "length", "episodes"}  # columns of an evaluation in the rows
    assert not evaluated & metrics.keys()


def gradient(agent, term):
    """Which networks the loss `term(params, state, batch, imagined, noise)` moves."""
    state, batch, noise = started(agent)
    x = agent.imagine(state.params, batch.obs, batch.value_goal, noise.rollout)
    grad = jax.jit(jax.grad(lambda params: term(params, state, batch, x, noise)))(state.params)
    nets = {name for name in grad._fields if any(map(np.any, jax.tree.leaves(getattr(grad, name))))}
    return nets, grad


def test_value_and_critic_get_nothing_from_each_other():
    agent = agent_of(critic_on_data=True)
    for name, net in (("value", "value"), ("td", "critic")):
        nets, _ = gradient(agent, lambda p, s, b, x, _: agent.value_losses(p, s, b, x)[name])  # noqa: B023
        assert nets == {net}


@pytest.mark.parametrize("name", ["mac", "mac_fql"])
def test_the_teacher_gets_nothing_from_distillation_nor_the_critic_from_the_policy(name):
    agent = agent_of(name)
    nets, grad = gradient(
        agent, lambda p, s, b, x, n: agent.policy_losses(p, s, b, x, n)["improve"]
    )
    assert nets == {"policy"}
    assert not any(map(np.any, jax.tree.leaves(grad.policy.flow)))
    nets, grad = gradient(agent, lambda p, s, b, x, n: agent.policy_losses(p, s, b, x, n)["clone"])
    assert nets == {"policy"}
    assert not any(map(np.any, jax.tree.leaves(grad.policy.head)))


def test_blocks_change_neither_a_mean_nor_its_gradient():
    loss = lambda w, x: jnp.tanh(x @ w).mean() ** 2
    w, xs = jnp.arange(1.0, 4.0) / 4, jax.random.normal(jax.random.key(0), (5, 6, 3))
    whole = lambda w: 3 * jax.vmap(loss, (None, 0))(w, xs).mean()
    blocks = lambda w: 3 * mean_of_blocks(loss)(w, xs)
    np.testing.assert_allclose(blocks(w), whole(w), rtol=1e-6)
    np.testing.assert_allclose(jax.grad(blocks)(w), jax.grad(whole)(w), rtol=1e-5)


@pytest.mark.parametrize("rows", [1024, 40])
def test_states_are_proposed_for_in_blocks_or_at_once(rows):
    """150 states x 8 candidates in blocks of 128 states, and of 5, give what one call gives."""
    agent = agent_of()
    state, _, _ = started(agent)
    seen = jax.random.normal(jax.random.key(1), (150, O))
    noise = jax.random.normal(jax.random.key(2), (8, 150, 4 * A))
    propose = partial(agent.propose, state.params)
    blocks = in_blocks(propose, seen, noise, rows)
    np.testing.assert_allclose(blocks, propose(seen, noise), atol=1e-5)


def test_presets_and_names():
    paper = make(
        "mac", O, A, **presets.settings("mac", "cube-double", presets.preset("paper", "mac"))
    )
    assert paper == make("mac", O, A)  # the published settings are the defaults
    size = presets.preset("paper", "mac")
    assert (size.batch_size, size.hidden) == (1024, (1024,) * 4)
    assert presets.settings("mac", "puzzle-4x5", size)["candidates"] == 32
    assert canonical("mac-no-teacher") == "mac_no_teacher"
    assert agent_of("mve").chunk == 1
    for settings, message in (
        ({"backup": 2}, "mac has no setting 'backup'"),
        ({"execute": 5}, "execute is from 1 to the chunk's 4"),
        ({"rollout": 0}, "at least 1"),
    ):
        with pytest.raises(ConfigError, match=message):
            agent_of(**settings)
    with pytest.raises(ConfigError, match="qc has no setting 'rollout'"):
        make("qc", O, A, rollout=2)
