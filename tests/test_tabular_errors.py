"""The error decomposition: its parts sum to the measured total, and vanish with their causes."""

import numpy as np
import pytest
import random_worlds

from chunkrl.errors import ConfigError
from chunkrl.tabular import worlds
from chunkrl.tabular.chunks import chunked, logged
from chunkrl.tabular.errors import data_target, model_target
from chunkrl.tabular.mdp import backup, policy_value

STATES, ACTIONS = 4, 2
PARTS = ("bootstrap", "off_policy", "open_loop", "model")


def draw(rng, *, h=None):
    """One random setting: sizes, discount, chance, who logged, and what was learned."""
    states, actions = int(rng.integers(2, 6)), int(rng.integers(2, 4))
    h = h or int(rng.integers(1, 4))
    noise = rng.choice([0.0, 0.1, 1.0])
    mdp = random_worlds.random_mdp(rng, states, actions, rng.uniform(0.1, 0.99), noise)
    reacts = rng.random() < 0.5
    return {
        "mdp": mdp,
        "h": h,
        "n": h * int(rng.integers(1, 4)),
        "policy": random_worlds.random_policy(rng, states, actions**h),
        "behaviour": random_worlds.random_policy(rng, states, actions if reacts else actions**h),
        "value": rng.normal(0, 5, states),
        "model": random_worlds.random_mdp(rng, states, actions**h, mdp.discount**h),
    }


def measured(world, acting, value, chunks):
    """The expected target by plain backups, chunk by chunk: state level and chunk level."""
    for _ in range(chunks):
        q = backup(world, value)
        value = (acting * q).sum(-1)
    return value, q


def test_parts_sum_to_the_measured_error_on_1000_draws():
    rng = np.random.default_rng(0)
    for _ in range(1000):
        d = draw(rng)
        mdp, h, n, policy = d["mdp"], d["h"], d["n"], d["policy"]
        typed, data = chunked(mdp, h), logged(mdp, d["behaviour"], h)
        truth = policy_value(typed, policy)
        by_data = data_target(mdp, policy, d["behaviour"], d["value"], n=n, h=h)
        by_model = model_target(typed, policy, d["model"], d["value"], steps=n // h)
        for parts, world, acting in (
            (by_data, data.mdp, data.frequency),
            (by_model, d["model"], policy),
        ):
            at_state, at_chunk = measured(world, acting, d["value"], n // h)
            if world is data.mdp and d["behaviour"].shape == mdp.reward.shape:
                # Data of a policy that looks are, state by state, its own n-step returns.
                at_state = measured(mdp, d["behaviour"], d["value"], n)[0]
            total = sum(getattr(parts.state, name) for name in PARTS)
            np.testing.assert_allclose(total, at_state - truth, atol=1e-9, rtol=0)
            np.testing.assert_allclose(parts.state.error, at_state - truth, atol=1e-9, rtol=0)
            total = sum(getattr(parts.chunk, name) for name in PARTS)
            np.testing.assert_allclose(total, at_chunk - backup(typed, truth), atol=1e-9, rtol=0)
            np.testing.assert_allclose(explained(parts.chunk), parts.chunk.error, atol=1e-9, rtol=0)


def explained(parts):
    return sum(getattr(parts, name) for name in PARTS)


def zero(part):
    return np.abs(part).max() < 1e-12


def test_every_part_has_its_cause():
    """With all causes present no part is zero; each cause taken away removes its own part only."""
    rng = np.random.default_rng(1)
    mdp = random_worlds.random_mdp(rng, STATES, ACTIONS, 0.9)
    sure = random_worlds.random_mdp(rng, STATES, ACTIONS, 0.9, noise=0.0)
    policy = random_worlds.random_policy(rng, STATES, ACTIONS**2)
    looks, value = random_worlds.random_policy(rng, STATES, ACTIONS), rng.normal(size=STATES)

    def parts(mdp=mdp, policy=policy, behaviour=looks, value=value):
        state = data_target(mdp, policy, behaviour, value, n=4, h=2).state
        return {name for name in PARTS if not zero(getattr(state, name))}

    everything = {"bootstrap", "off_policy", "open_loop"}
    assert parts() == everything
    truth = policy_value(chunked(mdp, 2), policy)
    assert parts(value=truth) == everything - {"bootstrap"}
    as_logged = logged(mdp, looks, 2).frequency
    assert parts(policy=as_logged) == everything - {"off_policy"}
    typed = random_worlds.random_policy(rng, STATES, ACTIONS**2)
    assert parts(behaviour=typed) == everything - {"open_loop"}
    assert parts(mdp=sure) == everything - {"open_loop"}
    assert parts(behaviour=policy) == {"bootstrap"}  # on-policy, typed blind


def test_one_chunk_has_no_off_policy_part_given_the_chunk():
    rng = np.random.default_rng(2)
    d = draw(rng, h=3)
    chunk = data_target(d["mdp"], d["policy"], d["behaviour"], d["value"], n=3, h=3).chunk
    assert zero(chunk.off_policy)
    assert not zero(chunk.bootstrap)


def test_n_step_bias_given_the_first_action_comes_from_later_actions():
    rng = np.random.default_rng(3)
    mdp = random_worlds.random_mdp(rng, STATES, ACTIONS, 0.9)
    pi, beta = (random_worlds.random_policy(rng, STATES, ACTIONS) for _ in range(2))
    value = policy_value(mdp, pi)
    assert zero(data_target(mdp, pi, beta, value, n=1).chunk.error)  # 1-step TD is off-policy exact
    chunk = data_target(mdp, pi, beta, value, n=3).chunk
    np.testing.assert_allclose(chunk.error, chunk.off_policy, atol=1e-12)
    assert not zero(chunk.off_policy)
    assert zero(data_target(mdp, pi, pi, value, n=3).chunk.error)


def test_model_parts_have_their_causes():
    rng = np.random.default_rng(4)
    mdp = random_worlds.random_mdp(rng, STATES, ACTIONS, 0.9)
    policy = random_worlds.random_policy(rng, STATES, ACTIONS**2)
    value = rng.normal(size=STATES)
    wrong = random_worlds.random_mdp(rng, STATES, ACTIONS**2, 0.9**2)
    typed = chunked(mdp, 2)

    def parts(model=wrong, value=value):
        state = model_target(typed, policy, model, value, steps=3).state
        return {name for name in PARTS if not zero(getattr(state, name))}

    assert parts() == {"bootstrap", "model"}
    assert parts(model=typed) == {"bootstrap"}
    truth = policy_value(typed, policy)
    assert parts(value=truth) == {"model"}
    assert parts(model=typed, value=truth) == set()


def test_what_was_never_logged_has_no_target():
    world = random_worlds.two_step(good=0.0)
    policy = np.full((3, 4), 0.25)
    both = data_target(world.mdp, policy, world.behaviour, np.zeros(3), n=2, h=2)
    assert np.isnan(both.chunk.error[0, [0, 2]]).all()  # chunks (a, 0)
    assert np.isfinite(both.chunk.error[0, [1, 3]]).all()
    assert np.isfinite(both.state.error).all()
    np.testing.assert_allclose(explained(both.state), both.state.error, atol=1e-12)


def test_variance_of_reward_noise_and_of_the_mean():
    world = worlds.lock(6, slip=0.0, skill=1.0)
    policy = world.behaviour
    right = data_target(world.mdp, policy, policy, policy_value(world.mdp, policy), n=3)
    np.testing.assert_allclose(right.state.variance, 0, atol=1e-9)


def test_steps_must_be_whole_chunks():
    world = worlds.lock(4)
    with pytest.raises(ConfigError, match="whole number of chunks"):
        data_target(world.mdp, np.full((5, 4), 0.25), world.behaviour, np.zeros(5), n=3, h=2)
    with pytest.raises(ConfigError, match="steps=0"):
        model_target(world.mdp, world.behaviour, world.mdp, np.zeros(5), steps=0)
    with pytest.raises(ConfigError, match="one of this MDP"):
        model_target(chunked(world.mdp, 2), world.behaviour, world.mdp, np.zeros(5), steps=2)
