"""Chunks that come late: which actions are executed, and what real-time chunking asks of a flow."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import make

from chunkrl import train
from chunkrl.blocks import flow
from chunkrl.data.normalise import Normaliser
from chunkrl.envs.ogbench import tasks
from chunkrl.errors import ConfigError
from chunkrl.experiments.experiment import Experiment
from chunkrl.play.evaluate import Evaluator, wilson
from chunkrl.play.latency import Late, weights
from chunkrl.results import late_chunks

CUBE = tasks.get("cube-single-play-singletask-task2-v0")


class Told(gymnasium.Env):
    """Shows its step number and keeps what it is told to do."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
    action_space = gymnasium.spaces.Box(-1, 1, (2,))
    done: list[list[tuple[int, int]]] = []  # noqa: RUF012  (of all episodes: seen, number)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        self.mine = []
        self.done.append(self.mine)
        return np.array([0.0]), {}

    def step(self, action):
        self.mine.append(tuple(np.rint(100 * action).astype(int)))
        self.time += 1
        return np.array([float(self.time)]), 0.0, self.time == 12, False, {}


def draw(obs, keys):
    """Every action says when its chunk was chosen, and its place there.  -> [B, 6, 2]"""
    seen = np.repeat(obs[:, None], 6, axis=1)
    number = np.broadcast_to(np.arange(6.0)[None, :, None], (len(obs), 6, 1))
    return np.concatenate([seen, number], axis=-1) / 100


def told(delay, execute, resume=None, envs=1, episodes=1):
    Told.done.clear()
    with Late(CUBE, delay, execute, resume, workers=0, envs=envs, make_env=Told) as play:
        play.run(draw, episodes)
    return Told.done


def test_the_chunk_before_goes_on_until_the_next_is_there() -> None:
    """Chosen at 0, 3, 6, 9; there two steps later, from its third action on."""
    (done,) = told(delay=2, execute=3)
    assert done == [
        (0, 0), (0, 1), (0, 2),
        (0, 3), (0, 4), (3, 2),
        (3, 3), (3, 4), (6, 2),
        (6, 3), (6, 4), (9, 2),
    ]  # fmt: skip


def test_episodes_know_nothing_of_each_other() -> None:
    """Two rows, three episodes: each begins at once, with a chunk of its own."""
    first, *others = told(delay=3, execute=3, envs=2, episodes=3)
    assert first[:6] == [(0, i) for i in range(6)]
    assert all(done == first for done in others)


def test_what_is_bound_is_the_rest_of_the_chunk_before() -> None:
    asked = []

    def resume(obs, keys, known, weight):
        asked.append((obs[0, 0], known[0], weight[0]))
        return draw(obs, keys)

    told(2, 3, resume)
    assert [seen for seen, _, _ in asked] == [3.0, 6.0, 9.0], "the first chunk is not bound"
    for seen, known, weight in asked:
        np.testing.assert_allclose(100 * known[:3], [(seen - 3, i) for i in (3, 4, 5)], atol=1e-4)
        np.testing.assert_array_equal(weight, weights(6, 3, 2))
    one = 0.5 * np.expm1(0.5) / np.expm1(1)  # c = (6 - 3 - 2) / (6 - 3 - 2 + 1)
    np.testing.assert_allclose(weights(6, 3, 2), [1, 1, one, 0, 0, 0], rtol=1e-6)
    assert not weights(6, 6, 0).any()


def test_a_chunk_that_ends_before_the_next_is_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="delay = 4"):
        told(delay=4, execute=3)
    with pytest.raises(ConfigError, match="needs chunks of 7, and the policy's have 6"):
        told(delay=3, execute=4)


@pytest.fixture(scope="module", params=["qc", "qc_fql"])
def agent(request):
    """An agent, its state, observations [4, 3], and how to draw keys [4]."""
    agent = make(request.param, 3, 2, horizon=4, hidden=(16,), flow_steps=5, candidates=3)
    state = agent.init(jax.random.key(0))
    obs = jax.random.normal(jax.random.key(1), (4, 3))
    return agent, state, obs, lambda: jax.random.split(jax.random.key(2), 4)


def test_without_delay_and_rest_nothing_changes(agent) -> None:
    """Real-time chunking with d = 0 and all of a chunk executed is acting."""
    agent, state, obs, keys = agent
    known, weight = np.ones((4, 4, 2), np.float32), np.tile(weights(4, 4, 0), (4, 1))
    plain = train.act(agent, state, obs, keys())
    bound = train.resume(agent, state, obs, keys(), known, weight)
    np.testing.assert_allclose(bound, plain, rtol=0, atol=1e-6)


def test_a_bound_flow_comes_nearer_to_what_is_known(agent) -> None:
    """In the first two actions, of which it knows; more so with more weight."""
    agent, state, obs, keys = agent
    known = np.full((4, 4, 2), 0.3, np.float32)
    apart = []
    for scale in (0.0, 0.02, 0.05):  # a head that is not trained bends far
        weight = np.tile(np.float32([scale, scale, 0, 0]), (4, 1))
        chunk = train.resume(agent, state, obs, keys(), known, weight)
        apart.append(((chunk[:, :2] - 0.3) ** 2).mean())
    assert apart[0] > apart[1] > apart[2]


def test_the_bent_velocity_is_the_equation() -> None:
    """By an explicit Jacobian, before and beyond the limit; an optimal flow reaches the data."""
    matrix = jax.random.normal(jax.random.key(0), (3, 3))
    velocity = lambda x, t: jnp.tanh(x @ matrix) * (1 + t)
    x, y, weight = jnp.array([0.3, -0.4, 1.1]), jnp.array([1.0, 0.0, -1.0]), jnp.array([1, 0.3, 0])
    for t in (0.0, 0.1, 0.5, 0.9):
        end = lambda x, t=t: x + (1 - t) * velocity(x, t)
        free = np.inf if t == 0 else (1 - t) / t * (t**2 + (1 - t) ** 2) / (1 - t) ** 2
        toward = jax.jacobian(end)(x).T @ (weight * (y - end(x)))
        expected = velocity(x, t) + min(5.0, free) * toward
        found = flow.guided(velocity, y, weight, 5.0)(x, jnp.array([t]))
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    straight = lambda x, t: flow.conditional_velocity(x, y, jnp.minimum(t, 0.99))
    bent = flow.guided(straight, y, weight, 5.0)
    np.testing.assert_allclose(flow.integrate(bent, x, 10), y, atol=1e-5)


@pytest.mark.parametrize("name", ["iql", "qam", "double_sharsa", "fmpc"])
def test_agents_that_act_by_more_than_samples_of_a_flow_are_refused(name) -> None:
    """No flow, one that is steered, two of them, one that is asked for more: before an episode."""
    agent = make(name, 3, 2, hidden=(8,), goal_dim=2)
    states = jax.vmap(agent.init)(jax.random.split(jax.random.key(0), 1))
    config = {"method": name, "settings": {"action_dim": 2}}
    size = 3 + getattr(agent, "goal_dim", 0)
    run = Experiment(CUBE, agent, states, [], config, Normaliser.identity(size))
    with pytest.raises(ConfigError, match=f"{name} does not choose among samples of one flow"):
        run.resume()


def test_without_delay_it_is_the_evaluator() -> None:
    with Evaluator(CUBE, 0, 1, execute=3, make_env=Told) as play:
        Told.done.clear()
        play.run(draw, 1)
        plain = [*Told.done]
    assert told(delay=0, execute=3) == plain


def test_no_stored_difference_is_clear() -> None:
    """What the README says of them: every delay, both ways, and all intervals share a point."""
    for name, execute in late_chunks.AGENTS.items():
        rows = [row for row in late_chunks.load() if row.method == name]
        most = min(execute, rows[0].chunk - execute)
        assert [(r.delay, r.rtc) for r in rows] == [(d, w) for d in range(most + 1) for w in (0, 1)]
        low, high = zip(*(wilson(row.successes, row.episodes) for row in rows), strict=True)
        assert max(low) < min(high)
    assert late_chunks.picture()[:4] == b"\x89PNG"
