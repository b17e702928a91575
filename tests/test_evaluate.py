import multiprocessing
import os
from functools import partial
from multiprocessing.connection import Connection

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binomtest
from toy_envs import GoalToy, Toy

from chunkrl.envs.ogbench import tasks
from chunkrl.errors import ConfigError, WorkerError
from chunkrl.play.evaluate import Evaluator, wilson
from chunkrl.play.slot import Slot, Start
from chunkrl.train import runs

CUBE = tasks.get("cube-single-play-singletask-task2-v0")
SCENE = tasks.get("scene-play-singletask-task2-v0")


@jax.jit
def numbered(obs, keys):
    """Chunks of 5 whose actions carry 0 and their number: what the toy rewards with 0."""
    number = jnp.broadcast_to(0.1 * jnp.arange(5.0), (len(obs), 5))
    return jnp.stack([jnp.zeros_like(number), number], axis=-1)


@jax.jit
def reactive(obs, keys):
    """Depends on every number of the observation and on the key, as a policy does."""
    noise = jax.vmap(lambda key: jax.random.normal(key, (5, 5)))(keys)
    return jnp.tanh(noise + jnp.sin(100 * obs).sum(axis=-1)[:, None, None])


def play(act, episodes=4, task=CUBE, workers=1, envs=2, execute=None, seed=0, **toy):
    make_env = partial(Toy, **toy)
    with Evaluator(task, workers, envs, execute=execute, make_env=make_env) as evaluator:
        return evaluator.run(act, episodes, seed)


@pytest.fixture(scope="module")
def cube():
    """Two workers, two real environments, short episodes."""
    with Evaluator(CUBE, workers=2, envs=2, max_episode_steps=12) as evaluator:
        yield evaluator


def test_results_do_not_depend_on_workers_nor_on_their_history(cube):
    first = cube.run(reactive, episodes=3, seed=1, trace=True)
    again = cube.run(reactive, episodes=3, seed=1, trace=True)
    with Evaluator(CUBE, workers=1, envs=2, max_episode_steps=12) as alone:
        single = alone.run(reactive, episodes=3, seed=1, trace=True)
    for other in (again, single):
        np.testing.assert_array_equal(other.episode_return, first.episode_return)
        for a, b in zip(first.trace, other.trace, strict=True):
            np.testing.assert_array_equal(a, b)  # positions in metres, bit for bit
    different = cube.run(reactive, episodes=3, seed=2, trace=True)
    assert not np.array_equal(different.trace[0], first.trace[0])
    assert not np.array_equal(first.trace[1], first.trace[0])


@pytest.mark.filterwarnings("ignore:pictures are sketches")
def test_an_evaluation_holds_one_entry_per_episode_and_state(cube):
    result = cube.run(reactive, episodes=2, record=1, trace=True)
    np.testing.assert_array_equal(result.length, [12, 12])
    assert result.success.shape == result.episode_return.shape == (2,)
    assert [positions.shape for positions in result.trace] == [(13, 3)] * 2
    assert len(result.frames) == 1
    assert result.frames[0].shape[0] == 7  # s_0, s_2, ..., s_12
    assert (result.task, result.success_timing, result.seed) == (CUBE.name, "pre", 0)
    assert np.abs(np.diff(result.trace[0], axis=0)).max() < 0.1  # the gripper does not jump


@pytest.mark.parametrize("task", [CUBE, SCENE])
def test_skipping_observations_changes_nothing(task):
    """A chunk ends in the same state, rewards and success as OGBench's own steps, bit for bit."""
    plain, slot = tasks.make_env(task), Slot(tasks.make_env(task))
    actions = np.random.default_rng(0).uniform(-1, 1, (4, 5, 5)).astype(np.float32)
    obs = tasks.reset(plain, 7)
    np.testing.assert_array_equal(slot.start(Start(7)).obs, obs.astype(np.float32))
    for chunk in actions:
        steps = [plain.step(action) for action in chunk]
        outcome = slot.step(chunk)
        np.testing.assert_array_equal(outcome.obs, steps[-1][0].astype(np.float32))
        np.testing.assert_array_equal(outcome.reward, [step[1] for step in steps])
        assert outcome.success == bool(steps[-1][-1]["success"])


def test_a_chunk_costs_one_message_and_one_call(monkeypatch):
    sent, batches, used = [], [], []
    send = Connection.send
    monkeypatch.setattr(Connection, "send", lambda self, x: (sent.append(x), send(self, x))[1])

    def act(obs, keys):
        batches.append((obs.shape, keys.shape))
        used.extend(map(tuple, jax.random.key_data(keys).tolist()))
        return numbered(obs, keys)

    play(act, episodes=2, workers=2, envs=2, length=10)
    assert len(sent) == 2 * (1 + 2)  # two workers: a start and two chunks of five
    assert batches == [((2, 3), (2,))] * 2
    assert len(set(used)) == 4  # two episodes, two chunks: no key twice
    assert [chunk.shape for batch in sent[2:] for chunk in batch.values()] == [(5, 2)] * 4


def test_the_rest_of_a_chunk_is_dropped_at_the_end_of_an_episode():
    result = play(numbered, episodes=5, length=7)  # 7 = 5 + 2
    np.testing.assert_array_equal(result.length, 7)
    np.testing.assert_array_equal(result.episode_return, 0)  # every action was the right one


def test_execute_replans_before_the_chunk_is_over():
    np.testing.assert_array_equal(play(numbered, execute=2, period=2).episode_return, 0)
    np.testing.assert_array_equal(play(numbered, execute=2, period=5).episode_return, -5)


def test_actions_are_clipped():
    result = play(lambda obs, keys: numbered(obs, keys).at[..., 0].set(-3.0))
    np.testing.assert_array_equal(result.episode_return, -7)


def test_success_is_that_of_the_last_step():
    assert play(numbered, lasting=True).success_rate == 1
    assert play(numbered, lasting=False).success_rate == 0  # it was only passing through


def test_returns_use_the_reward_of_the_task():
    def act(obs, keys):
        return numbered(obs, keys).at[..., 0].set(0.25)

    np.testing.assert_array_equal(play(act, length=4).episode_return, -1)  # 4 * -0.25
    np.testing.assert_array_equal(play(act, length=4, task=SCENE).episode_return, -4)  # sparse


@pytest.mark.parametrize("source", ["start", "global", "key"])
def test_episodes_keep_their_randomness_whoever_shares_the_batch(source):
    """Start state, NumPy's global generator and keys, seen through the actions they lead to."""

    @jax.jit
    def act(obs, keys):
        uniform = jax.vmap(jax.random.uniform)(keys)
        amount = {"start": obs[:, 0], "global": obs[:, 1], "key": uniform}[source]
        return jnp.broadcast_to(amount[:, None, None], (len(obs), 5, 2))

    few = play(act, episodes=3, envs=3, seed=5).episode_return
    many = play(act, episodes=7, envs=3, workers=3, seed=5).episode_return
    np.testing.assert_array_equal(many[:3], few)
    assert len(np.unique(many)) == 7


def test_wilson_interval_against_published_values():
    # Newcombe, Statistics in Medicine 17 (1998), table I: method 3 (score), four of his examples.
    np.testing.assert_allclose(wilson(81, 263), (0.2553, 0.3662), atol=5e-5)
    np.testing.assert_allclose(wilson(15, 148), (0.0624, 0.1605), atol=5e-5)
    np.testing.assert_allclose(wilson(0, 20), (0.0, 0.1611), atol=5e-5)
    np.testing.assert_allclose(wilson(1, 29), (0.0061, 0.1718), atol=5e-5)
    for trials in (1, 2, 7, 50, 1000):
        for successes in range(0, trials + 1, -(-trials // 50)):
            scipy = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
            assert wilson(successes, trials) == tuple(scipy)


def test_the_summary_names_rate_interval_and_timing():
    result = play(numbered, episodes=4)
    assert str(result) == (
        "100% success (95% interval 51% to 100%, 4 episodes, success timing pre)"
    )  # the interval of 4 of 4: 1 / (1 + 1.96^2 / 4) = 0.51


def test_an_exception_in_a_worker_arrives_with_its_text():
    with pytest.raises(WorkerError, match=r"(?s)Traceback.*the toy fell off the table"):
        play(numbered, workers=2, broken="raise")


def children():
    return [process.pid for process in multiprocessing.active_children()]


@pytest.mark.parametrize(("asked", "started"), [(0, 0), (1, 1), (None, os.cpu_count())])
def test_as_many_workers_as_asked_for_or_one_per_core(asked, started):
    before = len(children())
    with Evaluator(CUBE, asked, envs=os.cpu_count(), make_env=Toy) as evaluator:
        evaluator.run(numbered, episodes=1)
        assert len(children()) == before + started


def test_an_interrupted_run_leaves_no_process_and_the_next_one_works():
    before = children()

    def interrupted(obs, keys):
        raise KeyboardInterrupt

    with Evaluator(CUBE, envs=2, make_env=Toy) as evaluator:
        with pytest.raises(KeyboardInterrupt):
            evaluator.run(interrupted, episodes=2)
        assert children() == before
        np.testing.assert_array_equal(evaluator.run(numbered, episodes=2).episode_return, 0)
        assert len(children()) == len(before) + 2
    assert children() == before


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda obs, keys: jnp.zeros((2, 5)), r"returned \(2, 5\) for 2 observations"),
        (lambda obs, keys: jnp.zeros((1, 5, 2)), r"returned \(1, 5, 2\)"),
        (lambda obs, keys: jnp.zeros((2, 1, 2)), r"h >= 2"),
        (lambda obs, keys: jnp.full((2, 5, 2), jnp.nan), r"not finite"),
    ],
)
def test_what_is_not_a_chunk_is_refused(act, message):
    with pytest.raises(ConfigError, match=message):
        play(act, execute=2)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("workers", -1), ("envs", 0), ("execute", 0), ("max_episode_steps", 0), ("patience", 0)],
)
def test_sizes_must_be_positive(setting, value):
    with pytest.raises(ConfigError, match=setting):
        Evaluator(CUBE, **{setting: value})


def test_an_evaluation_needs_an_episode():
    with pytest.raises(ConfigError, match="episodes = 0: must be at least 1"):
        Evaluator(CUBE).run(numbered, episodes=0)


GOALS = tasks.get("cube-single-play-oraclerep-v0")


def test_goals_take_turns_and_are_told_to_the_policy():
    """Each observation ends in the goal of its episode; the same number of episodes for each."""
    seen = {}

    def act(obs, keys):
        for row in obs[np.abs(obs).sum(axis=1) > 0]:
            seen.setdefault(tuple(row[28:].round(1)), 0)
        return reactive(obs, keys)

    with Evaluator(GOALS, workers=1, envs=3, max_episode_steps=6) as evaluator:
        result = evaluator.run(act, episodes=7, seed=4)
        again = evaluator.run(reactive, episodes=10, seed=4)
    np.testing.assert_array_equal(result.goal, [1, 2, 3, 4, 5] * 2)
    assert result.success_timing == "post"
    np.testing.assert_array_equal(result.episode_return, again.episode_return)
    goals = {tuple(goal) for goal in np.round(targets(GOALS), 1)}
    assert len(seen) == len(goals) == 5
    for goal in goals:  # the cube of the goal state settles within half a centimetre of its place
        assert min(np.abs(np.subtract(goal, other)).max() for other in seen) < 0.11


def targets(task):
    """Where OGBench's list of goals wants the cube, as the oracle representation."""
    infos = tasks.make_env(task).unwrapped.task_infos
    return [((info["goal_xyzs"] - [0.425, 0, 0]) * 10).ravel() for info in infos]


def test_success_is_the_mean_over_goals():
    """The toy's success lasts only with some goals: two of five."""
    with Evaluator(GOALS, 2, 2, make_env=GoalToy) as evaluator:
        result = evaluator.run(numbered, episodes=10)
    assert result.goal_success == {1: 0, 2: 1, 3: 0, 4: 1, 5: 0}
    assert result.success_rate == 0.4
    summary = runs.summary(result)
    assert (summary["success_goal1"], summary["success_goal4"]) == (0, 1)


def test_a_single_task_has_no_goals():
    result = play(numbered, episodes=3)
    np.testing.assert_array_equal(result.goal, 0)
    assert result.goal_success == {}


def test_skipping_observations_keeps_the_goal():
    plain, slot = tasks.make_env(GOALS), Slot(tasks.make_env(GOALS))
    actions = np.random.default_rng(0).uniform(-1, 1, (3, 5, 5)).astype(np.float32)
    obs = tasks.reset(plain, 7, 2)
    np.testing.assert_array_equal(slot.start(Start(7, goal=2)).obs, obs.astype(np.float32))
    for chunk in actions:
        steps = [plain.step(action) for action in chunk]
        outcome = slot.step(chunk)
        np.testing.assert_array_equal(outcome.obs, steps[-1][0].astype(np.float32))
