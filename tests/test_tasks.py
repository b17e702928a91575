import re

import numpy as np
import pytest

from chunkrl.envs import family
from chunkrl.envs.ogbench import sim_state, tasks
from chunkrl.errors import ConfigError

CUBE = "cube-single-play-singletask-task2-v0"
POINT = "pointmaze-medium-navigate-singletask-v0"
TELEPORT = "pointmaze-teleport-navigate-singletask-v0"


def test_a_name_tells_domain_dataset_and_environment():
    assert tasks.get(CUBE) == tasks.Task(
        name=CUBE,
        domain="cube-single",
        dataset="cube-single-play-v0",
        env_name="cube-single-singletask-task2-v0",
        sparse=False,
    )
    default = tasks.get("antmaze-large-explore-singletask-v0")
    assert (default.domain, default.dataset) == ("antmaze-large", "antmaze-large-explore-v0")
    assert default.env_name == "antmaze-large-singletask-v0"


def test_every_name_is_an_environment_of_ogbench_without_pixels():
    import gymnasium

    assert all(tasks.get(name).env_name in gymnasium.registry for name in tasks.names())
    assert not any("visual" in name for name in tasks.names())
    # 7 names (default, 5 tasks, goals) for each of 10 manipulation environments and both datasets.
    manipulation = [n for n in tasks.names() if n.split("-")[0] in ("cube", "scene", "puzzle")]
    assert len(manipulation) == 7 * 10 * 2


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("cube-single", "cube-single-play-singletask-v0"),
        ("cube-single-play-v0", "cube-single-play-singletask-v0"),
        ("cube-singel-play-singletask-task2-v0", CUBE),
        ("cube-single-singletask-task2-v0", CUBE),
        ("visual-cube-single-play-singletask-task2-v0", CUBE),
    ],
)
def test_an_unknown_name_is_answered_with_near_ones(name, near):
    with pytest.raises(ConfigError, match=f"unknown task '{name}'; did you mean .*{near}"):
        tasks.get(name)


def test_a_name_like_nothing_is_answered_with_an_example():
    with pytest.raises(ConfigError, match=re.escape(repr(CUBE))):
        tasks.get("?")


def test_sparse_rewards_are_those_of_the_paper_unless_overridden():
    dense = np.array([-3.0, -1.0, 0.0])
    scene = "scene-play-singletask-task3-v0"
    np.testing.assert_array_equal(tasks.get(scene).reward(dense), [-1, -1, 0])
    np.testing.assert_array_equal(tasks.get(scene, sparse=False).reward(dense), dense)
    np.testing.assert_array_equal(tasks.get(CUBE).reward(dense), dense)
    assert tasks.get("puzzle-3x3-noisy-singletask-v0").sparse
    assert not tasks.get("puzzle-4x4-play-singletask-v0").sparse


def test_sizes_of_the_paper_s_table():
    assert tasks.spec(tasks.get(CUBE)) == (28, 5, 200, 0)
    assert tasks.spec(tasks.get(POINT)) == (2, 2, 1000, 0)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("cube-double-play", (37, 5, 500, 6)),
        ("puzzle-3x3-play", (55, 5, 500, 9)),
        ("scene-noisy", (40, 5, 750, 7)),
        ("pointmaze-medium-stitch", (2, 2, 1000, 2)),
    ],
)
def test_a_goal_conditioned_task_by_ogbench_s_name(name, sizes):
    """Sizes: MAC's table (mazes and scene: OGBench's registration and representation)."""
    task = tasks.get(f"{name}-oraclerep-v0")
    domain = name.rpartition("-")[0]
    assert (task.domain, task.dataset, task.env_name) == (domain, f"{name}-v0", f"{domain}-v0")
    assert task.goals == 5
    assert tasks.spec(task) == sizes
    np.testing.assert_array_equal(task.reward(np.array([0.0, 1.0])), [-1, 0])


@pytest.mark.filterwarnings("ignore:.*precision lowered")
@pytest.mark.parametrize(
    "name", ["cube-double-play", "puzzle-3x3-play", "scene-play", "pointmaze-medium-navigate"]
)
def test_the_observation_ends_in_the_representation_of_the_goal(name):
    """Of each goal: what OGBench's own environment, made by OGBench's own name, says."""
    import ogbench

    task = tasks.get(f"{name}-oraclerep-v0")
    env, theirs = (
        family.showing_goals(lambda: tasks.make_env(task)),
        ogbench.make_env_and_datasets(task.name, env_only=True),
    )
    width, seen = tasks.spec(task).obs_dim, set()
    for goal in range(1, task.goals + 1):
        obs, reached = np.split(tasks.reset(env, 3, goal), [-tasks.spec(task).goal_dim])
        np.testing.assert_array_equal(reached, env.env.reached())
        assert env.unwrapped.cur_task_id == goal
        np.random.seed(3)  # noqa: NPY002
        their_obs, info = theirs.reset(seed=3, options={"task_id": goal})
        assert obs[width:].shape == info["goal"].shape
        if task.domain.startswith("pointmaze"):  # elsewhere two unseeded steps move the goal state
            np.testing.assert_array_equal(obs, [*their_obs, *info["goal"]])
        np.testing.assert_allclose(obs[width:], info["goal"], atol=0.1)
        _, kept, _ = np.split(env.step(env.action_space.sample())[0], [width, len(obs)])
        np.testing.assert_array_equal(kept, obs[width:])
        seen.add(tuple(np.round(obs[width:], 3)))
    assert len(seen) == task.goals


def test_goals_are_scored_after_the_step_unless_told_otherwise():
    goal = tasks.get("cube-single-play-oraclerep-v0")
    assert tasks.make_env(goal).unwrapped._success_timing == "post"
    assert tasks.make_env(goal, "pre").unwrapped._success_timing == "pre"


def trajectory(env, seed, steps=12):
    """Observations, and hidden state: the solver's warm start after the reset."""
    rng = np.random.default_rng(seed)
    obs = [tasks.reset(env, seed)]
    warm = env.unwrapped.data.qacc_warmstart.copy()
    obs += [env.step(rng.uniform(-1, 1, env.action_space.shape))[0] for _ in range(steps)]
    return np.concatenate([warm, *obs])


@pytest.mark.parametrize("name", [CUBE, TELEPORT])
def test_an_episode_depends_on_its_seed_alone(name):
    """Not on the process, nor on the episodes before it; bit for bit."""
    env = tasks.make_env(tasks.get(name))
    first, other = trajectory(env, 3), trajectory(env, 4)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(trajectory(env, 3), first)
    np.testing.assert_array_equal(trajectory(tasks.make_env(tasks.get(name)), 3), first)


def test_pre_scores_the_cube_one_step_later_than_post():
    for timing, expected in (("post", [True] * 4), ("pre", [False] + [True] * 3)):
        env = tasks.make_env(tasks.get(CUBE), timing, terminate_at_goal=False)
        tasks.reset(env, 0)
        data = env.unwrapped._data
        data.mocap_pos[0] = data.joint("object_joint_0").qpos[:3]  # the goal comes to the cube
        infos = [env.step(np.zeros(5))[-1] for _ in range(4)]
        assert [bool(info["success"]) for info in infos] == expected


def test_pre_scores_the_point_one_step_later_than_post():
    visits = {}
    for timing in ("pre", "post"):
        env = tasks.make_env(tasks.get(POINT), timing, terminate_at_goal=False)
        tasks.reset(env, 0)
        raw = env.unwrapped
        raw.set_xy(np.array(raw.cur_goal_xy) - [raw._goal_tol + 0.5, 0])
        infos = [env.step(np.array([1.0, 0.0]))[-1] for _ in range(8)]  # 0.2 m per step
        visits[timing] = [bool(info["success"]) for info in infos]
    assert any(visits["post"])
    assert not visits["post"][0]
    assert visits["pre"] == [False, *visits["post"][:-1]]


def test_success_timing_is_pre_by_default_and_checked():
    assert tasks.make_env(tasks.get(POINT)).unwrapped._success_timing == "pre"
    with pytest.raises(ConfigError, match="'pre' or 'post'"):
        tasks.make_env(tasks.get(POINT), "before")


def test_position_is_the_gripper_or_the_body():
    env = tasks.make_env(tasks.get(CUBE))
    obs = tasks.reset(env, 0)
    np.testing.assert_allclose(
        (sim_state.position(env) - [0.425, 0, 0]) * 10, obs[12:15], atol=1e-9
    )  # where OGBench's observation holds the gripper
    env = tasks.make_env(tasks.get(POINT))
    np.testing.assert_array_equal(tasks.reset(env, 0), sim_state.position(env))
