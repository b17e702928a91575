"""Measured value errors, against a world in which every value has a closed form."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_envs import Line

from chunkrl.envs.ogbench import tasks
from chunkrl.envs.ogbench.sim_state import Logged, SimState
from chunkrl.errors import ConfigError
from chunkrl.measure.beliefs import Beliefs, Model
from chunkrl.measure.imagined import imagined, realised
from chunkrl.measure.parts import mean, root, split, squares
from chunkrl.measure.truth import Simulator
from chunkrl.play.lockstep import decision_keys
from chunkrl.statistics import mean_and_error

CUBE = tasks.get("cube-single-play-singletask-task2-v0")
GAMMA, GAIN, NOISE, HORIZON = 0.8, 0.25, 0.1, 60
TAIL = GAMMA**HORIZON / (1 - GAMMA)  # 8e-6
STARTS = np.linspace(0.4, 0.9, 6)

# Chunks of two actions -GAIN x + noise, so x_2 = (1 - 2 GAIN) x + noise and, in expectation,
# V(x) = -x (1 + gamma (1 - GAIN)) / (1 - gamma^2 (1 - 2 GAIN)).
SLOPE = -(1 + GAMMA * (1 - GAIN)) / (1 - GAMMA**2 * (1 - 2 * GAIN))


@jax.jit
def act(obs, keys):
    noise = jax.vmap(lambda key: jax.random.normal(key, (2, 1)))(keys)
    return NOISE * noise - GAIN * obs[:, None, :]


def beliefs(value_error=0.0, drift=0.0, too_rich=0.0):
    """A perfect value and a perfect model, plus the errors that are planted."""

    def value(obs, chunks):
        return SLOPE * obs[:, 0] + value_error

    def reward(obs, actions):
        return -obs[:, 0] - GAMMA * (obs[:, 0] + actions[:, 0, 0]) + too_rich

    def critic(obs, chunks):
        """Right at every chunk."""
        after = obs[:, 0] + chunks[:, :, 0].sum(1)
        return reward(obs, chunks) - too_rich + GAMMA**2 * SLOPE * after

    model = Model(2, lambda obs, actions: obs + actions.sum(1) + drift, reward)
    return Beliefs(GAMMA, 2, False, act, value, critic, model)


def logged(actions=((0.3, -0.2, 0.1, -0.6),)):
    n = len(STARTS)
    return Logged(
        np.arange(n),
        STARTS[:, None].astype(np.float32),
        np.broadcast_to(np.float32(actions)[..., None], (n, 4, 1)),
        np.zeros((n, 4, 1), np.float32),
        tuple(SimState(np.array([x]), np.zeros(1)) for x in STARTS),
    )


@pytest.fixture(scope="module")
def simulator():
    with Simulator(CUBE, HORIZON, ends=False, envs=4, make_env=partial(Line, HORIZON)) as line:
        yield line


@pytest.fixture(scope="module")
def rollouts(simulator):
    return simulator.play(act, logged(), repeats=12, execute=2)


def parts(rollouts, learned, depth=6):
    targets = imagined(learned, logged().obs, depth, 12)
    return split(targets, realised(learned, rollouts, depth), rollouts.value(GAMMA))


def test_the_true_value_is_the_closed_form_within_its_standard_error(rollouts):
    error, standard_error = mean(rollouts.value(GAMMA) - SLOPE * STARTS[:, None])
    assert 0.001 < standard_error < 0.1
    assert abs(error) < 3 * standard_error + TAIL
    np.testing.assert_allclose(rollouts.truncation(GAMMA), TAIL)
    assert rollouts.at.tolist() == list(range(0, HORIZON, 2))


def test_perfect_beliefs_are_reported_to_be_right(rollouts):
    """The model part is zero in every rollout, the bootstrap part within its standard error."""
    found = parts(rollouts, beliefs())
    np.testing.assert_allclose(found.model, 0, atol=1e-5)
    error, standard_error = mean(found.error)
    assert (standard_error > 0.001).all()
    assert (np.abs(error) < 3 * standard_error + TAIL).all()
    square, its_error = mean_and_error(squares(found.error))
    assert (np.abs(square) < 3 * its_error + TAIL).all()
    np.testing.assert_allclose(found.bootstrap, parts(rollouts, beliefs(drift=0.3)).bootstrap)


def test_a_planted_error_of_the_value_is_the_bootstrap_part(rollouts):
    """gamma^{2H} b at every H, beside the noise of the perfect value's rollouts."""
    planted, perfect = parts(rollouts, beliefs(value_error=2.0)), parts(rollouts, beliefs())
    expected = 2.0 * GAMMA ** (2 * np.arange(7))
    np.testing.assert_allclose(
        planted.bootstrap - perfect.bootstrap,
        np.broadcast_to(expected[:, None, None], planted.bootstrap.shape),
        atol=1e-5,
    )
    np.testing.assert_allclose(planted.model, 0, atol=1e-5)
    error, standard_error = mean(planted.bootstrap)
    assert (np.abs(error - expected) < 3 * standard_error + TAIL).all()


def test_a_planted_error_of_the_model_is_the_model_part(rollouts):
    """A drift of d a chunk moves x_k by e_k = (1 - 2 GAIN) e_{k-1} + d; each reward is b too high.

    Imagined policies react to the moved state, as e_k does, so that all is linear in (d, b).
    """
    drift, rich = 0.05, 0.3
    found = parts(rollouts, beliefs(drift=drift, too_rich=rich))
    moved, earned, expected = 0.0, 0.0, []
    for k in range(7):
        expected.append(earned + GAMMA ** (2 * k) * SLOPE * moved)
        earned += GAMMA ** (2 * k) * (rich - moved * (1 + GAMMA * (1 - GAIN)))
        moved = (1 - 2 * GAIN) * moved + drift
    assert expected[3] != pytest.approx(expected[1], abs=0.1)
    np.testing.assert_allclose(
        found.model, np.broadcast_to(np.reshape(expected, (7, 1, 1)), (7, 6, 12)), atol=1e-5
    )
    np.testing.assert_allclose(found.bootstrap, parts(rollouts, beliefs()).bootstrap)
    np.testing.assert_allclose(found.error, found.model + found.bootstrap)


def test_a_model_of_single_steps_replaces_the_agents(rollouts):
    """Two steps of a one-step model are a chunk; steps that do not divide a chunk are refused."""
    single = Model(1, lambda obs, a: obs + a.sum(1) + 0.025, lambda obs, a: -obs[:, 0])
    with_one = imagined(beliefs(), logged().obs, 6, 12, model=single)
    obs, drift = logged().obs, 0.025
    moved, earned, expected = 0.0, 0.0, []
    for k in range(7):  # the policy looks every second step, the drift comes at each
        expected.append(earned + GAMMA ** (2 * k) * SLOPE * moved)
        earned -= GAMMA ** (2 * k) * (moved + GAMMA * ((1 - GAIN) * moved + drift))
        moved = (1 - 2 * GAIN) * moved + 2 * drift
    perfect = imagined(beliefs(), obs, 6, 12)
    np.testing.assert_allclose(
        with_one - perfect, np.broadcast_to(np.reshape(expected, (7, 1, 1)), (7, 6, 12)), atol=1e-5
    )
    with pytest.raises(ConfigError, match="divide"):
        imagined(beliefs(), obs, 1, 1, model=single._replace(steps=3))


def test_the_critic_is_measured_at_the_chunk_that_was_chosen(rollouts):
    """A perfect critic errs by the later noise alone, which is less than the value's."""
    learned, numbers = beliefs(), np.arange(72, dtype=np.int32)
    obs = np.repeat(logged().obs, 12, axis=0)
    chunks = act(obs, decision_keys(0, numbers, np.zeros_like(numbers)))
    q = np.asarray(learned.critic(obs, chunks)).reshape(6, 12)
    critic, value = q - rollouts.value(GAMMA), SLOPE * obs.reshape(6, 12) - rollouts.value(GAMMA)
    error, standard_error = mean(critic)
    assert abs(error) < 3 * standard_error + TAIL
    assert critic.std() < 0.9 * value.std()


def test_logged_actions_come_first(simulator):
    """-x at 0.3, -0.2, 0.1 steps, then the policy: T_1 is the n-step target."""
    led = simulator.play(act, logged(), repeats=2, execute=2, lead=3)
    x = STARTS[:, None] + np.cumsum([[0, 0.3, -0.2]], axis=1)
    np.testing.assert_allclose(led.reward[:, 0, :3], -x, atol=1e-6)
    assert led.at[:3].tolist() == [0, 3, 5]
    y = (-x @ GAMMA ** np.arange(3.0)) + GAMMA**3 * SLOPE * (STARTS + 0.2)
    np.testing.assert_allclose(realised(beliefs(), led, 1)[1], np.stack([y, y], 1), atol=1e-5)
    assert not np.array_equal(led.reward[:, 0, 5:], led.reward[:, 1, 5:])


def test_an_episode_that_ends_earns_nothing_afterwards():
    """From 0.5, actions of -0.4: 0.5, 0.1, -0.3 (solved, scored there), and then nothing."""
    make_env = partial(Line, HORIZON, goal=0.0)

    def walk(obs, keys):
        return jnp.full((len(obs), 2, 1), -0.4)

    start = logged()._replace(
        row=np.zeros(1), obs=np.float32([[0.5]]), state=(SimState(np.array([0.5]), np.zeros(1)),)
    )
    with Simulator(CUBE, HORIZON, workers=1, envs=2, make_env=make_env) as line:
        found = line.play(walk, start, repeats=1, execute=2)
    np.testing.assert_allclose(found.reward[0, 0, :4], [-0.5, -0.1, 0.3, 0], atol=1e-6)
    assert (found.steps[0, 0], found.solved[0, 0]) == (3, True)
    assert found.truncation(GAMMA)[0, 0] == 0
    learned = beliefs(value_error=100.0)._replace(act=walk)
    targets = realised(learned, found, 3)[:, 0, 0]
    assert targets[1] == pytest.approx(
        -0.5 - 0.1 * GAMMA + GAMMA**2 * (100 + SLOPE * -0.3), abs=1e-4
    )
    np.testing.assert_allclose(targets[2:], found.value(GAMMA)[0, 0])


def test_the_model_may_end_the_task(rollouts):
    """With a mask of 0 after the first chunk, only its reward is left."""
    learned = beliefs(value_error=100.0)
    ends = learned.model._replace(mask=lambda obs, actions: jnp.zeros(len(obs)))
    targets = imagined(learned, logged().obs, 3, 2, model=ends)
    np.testing.assert_allclose(targets[1], targets[3])
    assert (targets[1] < 0).all()


def test_results_do_not_depend_on_workers_nor_on_what_ran_before(simulator, rollouts):
    again = simulator.play(act, logged(), repeats=12, execute=2)
    with Simulator(CUBE, HORIZON, False, 1, 5, partial(Line, HORIZON)) as alone:
        single = alone.play(act, logged(), repeats=12, execute=2)
    for other in (again, single):
        np.testing.assert_allclose(other.reward, rollouts.reward, atol=1e-6)
    assert not np.array_equal(simulator.play(act, logged(), 12, 2, seed=1).reward, rollouts.reward)


def test_means_and_squares_are_clustered_by_state():
    """Against numbers: two states with errors (1, 3) and (5, 7); products 3 and 35."""
    errors = np.array([[1.0, 3.0], [5.0, 7.0]])
    assert mean(errors) == (4.0, np.std([2, 6], ddof=1) / np.sqrt(2))
    np.testing.assert_allclose(squares(errors), [3.0, 35.0])
    spread = np.std([3, 35], ddof=1) / np.sqrt(2)  # 16
    assert spread == pytest.approx(16)
    np.testing.assert_allclose(root(squares(errors)), np.sqrt([19, 0, 19 + 32]))
    three = np.array([[1.0, 2.0, 4.0]])  # pairs 2, 4, 8
    np.testing.assert_allclose(squares(three), [14 / 3])


def test_parts_of_an_error_by_hand():
    """One state, one rollout, two depths; and again with seeds in front."""
    target, real = np.array([[[5.0]], [[7.0]]]), np.array([[[4.0]], [[6.5]]])
    found = split(target, real, np.array([[3.0]]))
    np.testing.assert_array_equal(found.model[:, 0, 0], [1.0, 0.5])
    np.testing.assert_array_equal(found.bootstrap[:, 0, 0], [1.0, 3.5])
    np.testing.assert_array_equal(found.error, target - 3)
    seeds = split(np.stack([target, target]), np.stack([real, real]), np.array([[[3.0]], [[2.0]]]))
    np.testing.assert_array_equal(seeds.error[1], target - 2)


def test_pure_noise_has_no_expected_square():
    noise = np.random.default_rng(0).normal(size=(500, 4))
    square, standard_error = mean_and_error(squares(noise))
    assert abs(square) < 3 * standard_error
    square, standard_error = mean_and_error(squares(noise + 2))
    assert abs(square - 4) < 3 * standard_error
    assert np.mean((noise + 2).mean(1) ** 2) > 4.1  # what the pairs avoid


def test_what_cannot_be_played_is_refused(simulator, rollouts):
    with pytest.raises(ConfigError, match="lead"):
        simulator.play(act, logged(), 1, 2, lead=5)
    with pytest.raises(ConfigError, match="h >= 3"):
        simulator.play(act, logged(), 1, 3)
    with pytest.raises(ConfigError, match="depth 30"):
        realised(beliefs(), rollouts, 30)
    with pytest.raises(ConfigError, match="at least 1"):
        Simulator(CUBE, 0)
    with pytest.raises(ConfigError, match="model"):
        imagined(beliefs()._replace(model=None), logged().obs, 1, 1)
