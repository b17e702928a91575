"""Environments of any kind: what is played in, what is refused, and what only OGBench's do."""

from functools import partial

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces, wrappers
from toy_envs import Line, Toy

from chunkrl.envs import family
from chunkrl.envs.family import Task, reset, restore
from chunkrl.envs.ogbench import tasks
from chunkrl.envs.ogbench.sim_state import SimState
from chunkrl.errors import ConfigError
from chunkrl.measure.truth import Simulator
from chunkrl.play import slot
from chunkrl.play.evaluate import Evaluator
from chunkrl.play.slot import Slot, Start
from chunkrl.train import runs

TASK = Task("toy", "toy", "toy", "toy", sparse=False)
CUBE = tasks.get("cube-single-play-singletask-task2-v0")


class Any(gymnasium.Env):
    """Rewards the sum of the action; `length` steps, `info` and spaces as they are given."""

    def __init__(self, action=None, obs=None, length=4, info=None):
        self.action_space = spaces.Box(-1, 1, (2,)) if action is None else action
        self.obs, self.length, self.info = np.zeros(3) if obs is None else obs, length, info or {}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.obs, {}

    def step(self, action):
        self.t += 1
        return self.obs, float(np.sum(action)), False, self.t == self.length, dict(self.info)


def play(make_env, value=0.5, size=2, episodes=2, workers=0, **settings):
    with Evaluator(TASK, workers, 2, make_env=make_env, **settings) as evaluator:
        return evaluator.run(lambda obs, keys: np.full((len(obs), 3, size), value), episodes)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Box(-2, 2, (2,)), r"between -2 and 2, .*RescaleAction"),
        (spaces.Box(0, 1, (2,)), r"between 0 and 1, .*RescaleAction"),
        (spaces.Box(np.float32([-1, -1]), np.float32([1, 3])), r"and \[1.0, 3.0\], .*Rescale"),
        (spaces.Box(-np.inf, np.inf, (2,)), "no finite bounds"),
        (spaces.Box(np.float32([-1, -1]), np.float32([1, np.inf])), "no finite bounds"),
        (spaces.Box(-1, 1, (2, 2)), r"shape \(2, 2\)"),
        (spaces.Box(-1, 1, (2,), np.int64), "a Box: .* real numbers"),
        (spaces.Discrete(4), "a Discrete: "),
        (spaces.MultiDiscrete([2, 2]), "a MultiDiscrete: "),
        (spaces.Dict({"a": spaces.Box(-1, 1, (2,))}), "a Dict: "),
    ],
)
def test_actions_that_agents_do_not_take_are_refused(space, message):
    with pytest.raises(ConfigError, match=message):
        play(partial(Any, space))


def test_actions_of_any_bounds_are_rescaled_by_gymnasium_s_wrapper():
    def make_env():
        return wrappers.RescaleAction(Any(spaces.Box(-2, 2, (1,))), np.float32(-1), np.float32(1))

    np.testing.assert_allclose(play(make_env, 1.0, 1).episode_return, 8)
    np.testing.assert_allclose(play(make_env, 9.0, 1).episode_return, 8)  # clipped to 1


def test_actions_of_another_size_are_refused():
    with pytest.raises(ConfigError, match="actions have 5 numbers, the environment's 2"):
        play(Any, size=5)


@pytest.mark.parametrize(
    ("obs", "message"),
    [
        ({"a": np.zeros(2)}, "a dict: .*FlattenObservation"),
        ((np.zeros(2), np.zeros(1)), "a tuple: .*FlattenObservation"),
        (3, "an int: .*FlattenObservation"),
        (np.zeros((8, 8, 3)), r"shape \(8, 8, 3\): .*FlattenObservation"),
    ],
)
def test_observations_that_are_no_vectors_are_refused(obs, message):
    with pytest.raises(ConfigError, match=message):
        play(partial(Any, obs=obs))


def test_a_refusal_in_a_worker_is_the_same_sentence():
    with pytest.raises(ConfigError, match=r"^the environment's actions lie between -2 and 2"):
        play(partial(Any, spaces.Box(-2, 2, (2,))), workers=1)


def test_the_cause_of_actions_that_are_not_finite():
    def act(obs, keys):
        return np.zeros((len(obs), 3, 2)) + obs.sum()

    blind = Evaluator(TASK, 0, 2, make_env=partial(Any, obs=np.full(3, np.nan)))
    with pytest.raises(ConfigError, match="the environment showed it"):
        blind.run(act, 1)


@pytest.mark.parametrize("info", [{}, {"is_success": True}])
def test_without_success_it_is_unknown_and_the_rest_comes(info):
    result = play(partial(Any, info=info))
    np.testing.assert_array_equal(result.length, 4)
    np.testing.assert_array_equal(result.episode_return, 4)
    assert np.isnan(result.success).all()
    assert np.isnan([result.success_rate, *result.interval]).all()
    assert str(result) == (
        "return 4.0 (2 episodes); success unknown: the environment's info has no 'success'"
    )
    summary = runs.summary(result)
    assert np.isnan([summary["success"], summary["success_low"], summary["success_high"]]).all()
    assert (summary["return"], summary["length"]) == (4, 4)
    assert play(partial(Any, info={"success": True})).success.dtype == bool


def test_an_episode_ends_at_its_time_limit_or_is_refused(monkeypatch):
    endless = partial(Any, length=0)
    np.testing.assert_array_equal(play(endless, max_episode_steps=5).length, 5)
    np.testing.assert_array_equal(play(Any, max_episode_steps=3).length, 3)
    np.testing.assert_array_equal(play(Any, max_episode_steps=9).length, 4)
    monkeypatch.setattr(slot, "LONGEST", 50)
    with pytest.raises(ConfigError, match=r"not ended within 5. steps.*give max_episode_steps"):
        play(endless)
    np.testing.assert_array_equal(play(endless, max_episode_steps=70).length, 70)


def test_rollouts_end_at_their_horizon_in_any_environment():
    """A limit of the environment's own cuts earlier, which is no end of the task."""
    from test_value_error import act, logged

    for length, steps in ((10**9, 6), (4, 4)):
        with Simulator(TASK, 6, workers=0, make_env=partial(Line, length)) as line:
            found = line.play(act, logged(), repeats=1, execute=2)
        np.testing.assert_array_equal(found.steps, steps)
        assert not found.solved.any()
        np.testing.assert_allclose(found.truncation(0.5), 0.5**steps / 0.5)


def test_what_would_do_nothing_beside_make_env_is_refused():
    with pytest.raises(ConfigError, match="success_timing = 'post' says nothing beside make_env"):
        Evaluator(TASK, success_timing="post", make_env=Any)


def test_without_processes_the_bits_are_the_same_and_numpy_s_generator_is_left_alone():
    def act(obs, keys):
        return np.tanh(np.broadcast_to(obs[:, None, :1], (len(obs), 5, 5)) * 3)

    def maze(obs, keys):
        return np.sin(np.broadcast_to(obs[:, None], (len(obs), 5, 2)) * 30)

    teleport = tasks.get("pointmaze-teleport-navigate-singletask-v0")
    for task, policy in ((CUBE, act), (teleport, maze)):
        found = []
        for workers in (0, 1):
            before = np.random.get_state()[1].copy()  # noqa: NPY002
            with Evaluator(task, workers, 2, max_episode_steps=12) as evaluator:
                found.append(evaluator.run(policy, 3, seed=1, trace=True))
            np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
        np.testing.assert_array_equal(found[0].episode_return, found[1].episode_return)
        for a, b in zip(found[0].trace, found[1].trace, strict=True):
            np.testing.assert_array_equal(a, b)


class Watching(gymnasium.Wrapper):
    """Keeps every observation that passes."""

    def __init__(self, env):
        super().__init__(env)
        self.seen = []

    def step(self, action):
        obs, *rest = self.env.step(action)
        self.seen.append(obs)
        return obs, *rest


@pytest.fixture(scope="module")
def cube():
    return tasks.make_env(CUBE, max_episode_steps=6)


def computed(env, monkeypatch):
    """How often the environment computes an observation in a chunk of three actions."""
    calls = []
    kind = type(env.unwrapped)
    original = kind.compute_observation
    watched = lambda self: (calls.append(1), original(self))[1]
    watched.__module__ = original.__module__
    monkeypatch.setattr(kind, "compute_observation", watched)
    played = Slot(env)
    played.start(Start(0))
    calls.clear()
    played.step(np.zeros((3, 5), np.float32))
    return len(calls)


def test_observations_inside_a_chunk_are_left_out_where_nobody_reads_them(cube, monkeypatch):
    assert computed(cube, monkeypatch) == 1


def test_a_wrapper_reads_every_observation(cube, monkeypatch):
    watching = Watching(cube)
    assert computed(watching, monkeypatch) == 3
    assert [obs.shape for obs in watching.seen] == [(28,)] * 3


def test_an_observation_of_one_s_own_is_not_replaced(cube):
    calls = []
    own = lambda: (calls.append(1), np.zeros(28))[1]
    cube.unwrapped.compute_observation = own
    try:
        played = Slot(cube)
        played.start(Start(0))
        calls.clear()
        assert not played.step(np.zeros((3, 5), np.float32)).obs.any()
        assert len(calls) == 3
        assert cube.unwrapped.compute_observation is own
    finally:
        del cube.unwrapped.compute_observation


def test_a_state_is_not_restored_past_a_wrapper_that_changes_observations():
    state = SimState(np.array([0.5]), np.zeros(1))
    limited = wrappers.TimeLimit(Line(), 5)
    np.testing.assert_array_equal(restore(limited, state), [0.5])
    changed = wrappers.TransformObservation(limited, lambda obs: obs * 2, None)
    for env in (changed, Toy()):
        with pytest.raises(ConfigError, match=r"needs a method restore\(state\)"):
            restore(env, state)


def test_pictures_and_positions_are_the_environment_s_or_refused():
    pendulum = partial(gymnasium.make, "Pendulum-v1", max_episode_steps=3)
    scaled = lambda **how: wrappers.RescaleAction(pendulum(**how), np.float32(-1), np.float32(1))
    for wanted, message in (({"record": 1}, "render_mode='rgb_array'"), ({"trace": True}, "posit")):
        evaluator = Evaluator(TASK, 0, 1, make_env=scaled)
        with pytest.raises(ConfigError, match=message):
            evaluator.run(lambda obs, keys: np.zeros((len(obs), 3, 1)), 1, **wanted)

    class Drawn(Any):
        render_mode = "rgb_array"

        def render(self):
            return np.full((4, 6, 3), self.t, np.uint8)

    with Evaluator(TASK, 0, 1, make_env=Drawn) as evaluator:
        result = evaluator.run(lambda obs, keys: np.zeros((len(obs), 3, 2)), 2, record=1)
    np.testing.assert_array_equal(result.frames[0][:, 0, 0, 0], [0, 2, 4])


def test_an_id_of_gymnasium_is_a_task():
    """Rescaled: the torque of +-2 is what +-1 asks for."""
    task = family.get("Pendulum-v1")
    assert task.family == "gym"
    assert family.named("gym").spec(task) == (3, 1, 200, 0)
    env = family.named("gym").make_env(task, max_episode_steps=5)
    reset(env, 0)
    env.step(np.float32([0.5]))
    assert env.unwrapped.last_u == 1.0
    with Evaluator(task, 0, 2, max_episode_steps=5) as evaluator:
        result = evaluator.run(lambda obs, keys: np.ones((len(obs), 2, 1)), 2)
    np.testing.assert_array_equal(result.length, 5)
    assert family.get(CUBE.name) == CUBE


def test_what_a_family_does_not_know_is_refused():
    pendulum = family.get("Pendulum-v1")
    with pytest.raises(ConfigError, match="decides by itself when success"):
        family.named("gym").make_env(pendulum, "pre")
    with pytest.raises(ConfigError, match="cannot go on"):
        family.named("gym").make_env(pendulum, ends=False)
    with pytest.raises(ConfigError, match="a Discrete"):
        family.named("gym").make_env(family.get("CartPole-v1"))
    with pytest.raises(ConfigError, match="unknown task 'cube-single-singletask-task2-v0'"):
        family.get("cube-single-singletask-task2-v0")  # Gymnasium's id of an OGBench environment
    with pytest.raises(ConfigError, match="unknown family 'atari'"):
        family.named("atari")
    with pytest.raises(ConfigError, match=r"needs a method reached\(\)"):
        family.showing_goals(Any)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.at_all:Any-v0", "'nowhere.at_all' of .* cannot be imported .*No module named"),
        (":Pendulum-v1", "the module '' of :Pendulum-v1 cannot be imported"),
        ("failing:Any-v0", r"'failing' .* cannot be imported \(no lights\): install it"),
        ("silent:Any-v0", "no environment 'Any-v0', nor does 'silent' register it"),
        ("ogbench:cube-single-v0", "no environment 'cube-single-v0', nor does 'ogbench'"),
    ],
)
def test_a_module_that_does_not_give_the_environment_is_refused(
    tmp_path, monkeypatch, name, message
):
    (tmp_path / "failing.py").write_text("raise RuntimeError('no lights')")
    (tmp_path / "silent.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=message):
        family.get(name)
