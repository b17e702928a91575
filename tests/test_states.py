"""Resetting the simulator to logged states, against what was logged there and afterwards."""

import numpy as np
import pytest

from chunkrl import data
from chunkrl.data.dataset import load
from chunkrl.envs.family import restore
from chunkrl.envs.ogbench import sim_state as states
from chunkrl.envs.ogbench import tasks
from chunkrl.errors import ConfigError, DataError
from chunkrl.play.slot import Slot, Start

FORCE = 18  # the number of an observation that is no function of the state
STEPS = 20
TASKS = {
    "cube-single-play": "cube-single-play-singletask-task2-v0",
    "scene-play": "scene-play-singletask-task2-v0",
    "puzzle-3x3-play": "puzzle-3x3-play-singletask-task4-v0",
}


@pytest.fixture(scope="module", params=TASKS)
def play(request, tmp_path_factory):
    """A task and a file of its data: four trajectories of 120 steps."""
    path = tmp_path_factory.mktemp("states") / "play.npz"
    data.generate(request.param, 480, path, states=121, workers=1, progress=False)
    return tasks.get(TASKS[request.param]), path


def environment(task, steps=STEPS):
    return tasks.make_env(task, terminate_at_goal=False, max_episode_steps=steps)


def test_a_reset_shows_what_was_logged_and_goes_on_as_logged(play):
    """All but the force at once; everything, the force included, after any number of actions."""
    task, path = play
    env, logged = environment(task), states.draw(path, 4, STEPS, seed=3)
    for state, obs, actions, expected in zip(
        logged.state, logged.obs, logged.action, logged.next_obs, strict=True
    ):
        seen = restore(env, state)
        np.testing.assert_allclose(np.delete(seen, FORCE), np.delete(obs, FORCE), atol=1e-5)
        assert 0 <= seen[FORCE] <= 1
        followed = np.array([env.step(action)[0] for action in actions])
        np.testing.assert_allclose(followed, expected, atol=1e-3)


def test_without_the_step_back_in_time_the_gripper_is_not_where_it_was_logged(play):
    """MuJoCo's own reset shows the pose of a moment later; scenes and puzzles compute it anew."""
    task, path = play
    env, logged = environment(task), states.draw(path, 4, STEPS, seed=3)
    worst = 0.0
    for state, obs in zip(logged.state, logged.obs, strict=True):
        tasks.reset(env, 0)
        buttons = [] if state.buttons is None else [state.buttons]
        env.unwrapped.set_state(state.qpos, state.qvel, *buttons)
        seen = env.unwrapped.compute_observation()
        worst = max(worst, np.abs(seen - obs)[12:15].max())
    assert (worst > 1e-4) == task.domain.startswith("cube")


def test_a_restored_episode_depends_on_its_state_alone(play):
    """Not on the episode before it, nor on the seed; the time limit starts anew."""
    task, path = play
    logged = states.draw(path, 2, STEPS)
    slot = Slot(environment(task, 10))
    command = Start(5, state=logged.state[0])
    chunk = logged.action[0]
    first = [slot.start(command), slot.step(chunk)]
    slot.start(Start(1, state=logged.state[1]))
    slot.step(logged.action[1, :4])
    again = [slot.start(command._replace(seed=6)), slot.step(chunk)]
    np.testing.assert_array_equal(again[0].obs, first[0].obs)
    np.testing.assert_array_equal(again[1].reward, first[1].reward)
    assert first[1].done
    assert len(first[1].reward) == 10


def test_rewards_from_a_restored_state_are_those_of_the_relabelled_data(play):
    task, path = play
    logged, scored = states.draw(path, 4, STEPS, seed=1), data.load_task(task, path=path)
    slot = Slot(environment(task))
    for row, state, actions in zip(logged.row, logged.state, logged.action, strict=True):
        slot.start(Start(0, state=state))
        outcome = slot.step(actions)
        np.testing.assert_array_equal(
            task.reward(np.array(outcome.reward)), scored.reward[row : row + STEPS]
        )


def test_states_are_drawn_one_a_trajectory_with_what_follows(play):
    _, path = play
    rows = load(path)
    logged = states.draw(path, 4, 100, seed=2)
    assert sorted(set(logged.row // 120)) == [0, 1, 2, 3]
    assert (logged.row % 120 <= 20).all()
    assert not np.array_equal(logged.row, states.draw(path, 4, 100, seed=4).row)
    for i, row in enumerate(logged.row):
        np.testing.assert_array_equal(logged.obs[i], rows["observations"][row])
        np.testing.assert_array_equal(logged.action[i, 7], rows["actions"][row + 7])
        np.testing.assert_array_equal(logged.next_obs[i, 6], rows["observations"][row + 7])
    with pytest.raises(ConfigError, match="4 trajectories"):
        states.draw(path, 5, 100)
    with pytest.raises(ConfigError, match="0 trajectories"):
        states.draw(path, 1, 121)


def test_data_and_environments_without_such_states_are_refused(tmp_path):
    rows = {"observations": np.zeros((3, 2)), "actions": np.zeros((3, 2))}
    np.savez(tmp_path / "bare.npz", **rows, terminals=np.array([0, 0, 1.0]))
    with pytest.raises(DataError, match="qpos"):
        states.draw(tmp_path / "bare.npz", 1, 1)
    maze = tasks.make_env(tasks.get("pointmaze-medium-navigate-singletask-task1-v0"))
    with pytest.raises(ConfigError, match="manipulation"):
        restore(maze, states.SimState(np.zeros(2), np.zeros(2)))


def test_a_goal_is_told_in_a_restored_state_too():
    """The state is the logged one, the goal that of its number, not of the episode before."""
    task = tasks.get("cube-single-play-oraclerep-v0")
    env = tasks.make_env(task)
    goals = [tasks.reset(env, 5, number)[28:] for number in (1, 4)]
    raw = env.unwrapped
    state = states.SimState(raw.data.qpos.copy(), raw.data.qvel.copy())
    expected = raw.compute_observation()
    for number, goal in zip((1, 4), goals, strict=True):
        seen = restore(env, state, 5, number)
        np.testing.assert_array_equal(seen[28:], goal)
        np.testing.assert_allclose(seen[12:15], expected[12:15], atol=1e-3)
