"""ACSAC: critics of prefixes, the best of all lengths and chunks, and players that heed it."""

import itertools

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys
from test_agents import A, B, O, agent_of, any_nonzero, gradients

from chunkrl.agents import make
from chunkrl.blocks.networks import aggregated
from chunkrl.data.normalise import Normaliser
from chunkrl.envs.family import Task
from chunkrl.errors import ConfigError
from chunkrl.measure import beliefs
from chunkrl.play.evaluate import Evaluator
from chunkrl.play.latency import Late
from chunkrl.types import Prefix

H, N = 4, 3
ANY = Task("any", "any", "any", "any", sparse=False, family="gymnasium")


@pytest.fixture(scope="module")
def started():
    """An agent, its state with another slow critic, a batch, and noise."""
    agent = agent_of("acsac", candidates=N)
    state = agent.init(jax.random.key(0))
    slow = jax.tree.map(lambda x: x + 0.05, state.target_critic)
    batch = agent.draw(jax.random.key(1), toys.random_data(agent, A), B)
    return agent, state._replace(target_critic=slow), batch, agent.noise(jax.random.key(2), B)


def plain_q(agent, critic, obs, actions):
    """Q_k of k actions, in words: they, zeros up to h of them, and the k-th of h places marked."""
    k = len(actions)
    rest, which = np.zeros((H - k) * A), np.eye(H)[k - 1]
    seen = np.concatenate([np.ravel(actions), rest, which])
    return aggregated(agent.critic.apply(critic, obs, jnp.asarray(seen, jnp.float32)), "min")


def test_the_target_is_the_best_of_all_prefixes_of_all_proposals(started):
    agent, state, batch, noise = started
    found = agent.td_target(state, batch, noise.propose)
    flow = jax.jit(lambda obs, z: agent.policy.sample(state.params.policy, obs, z))
    for b, k in [(0, 0), (3, 1), (7, 3), (15, 2)]:
        obs = batch.next_obs[b, k]
        values = []
        for j, length in itertools.product(range(N), range(1, H + 1)):
            chunk = flow(obs, noise.propose[j, b, k]).reshape(H, A)
            values.append(plain_q(agent, state.target_critic, obs, chunk[:length]))
        expected = batch.returns[b, k] + agent.discount ** (k + 1) * batch.mask[b, k] * np.max(
            values
        )
        np.testing.assert_allclose(found[k, b], expected, rtol=1e-5)


def test_its_loss_counts_the_prefixes_that_end_within_a_trajectory(started):
    agent, state, batch, _ = started
    assert 0 < batch.valid.sum() < batch.valid.size
    target = jax.random.normal(jax.random.key(3), (H, B))
    total = 0.0
    for b, k in itertools.product(range(B), range(H)):
        for e in range(agent.num_critics):
            one = jax.tree.map(lambda x, e=e: x[e : e + 1], state.params.critic)
            q = plain_q(agent, one, batch.obs[b], batch.action[b, : k + 1])
            total += batch.valid[b, k] * (q - target[k, b]) ** 2
    mean = total / (B * H * agent.num_critics)
    np.testing.assert_allclose(agent.critic_loss(state.params, batch, target), mean, rtol=1e-5)


def test_it_acts_by_the_best_prefix_of_the_best_proposal(started):
    agent, state, batch, _ = started
    lengths = set()
    for seed in range(12):
        obs, key = batch.obs[seed], jax.random.key(seed)
        noise = jax.random.normal(key, (N, H * A))
        chunks = agent.policy.sample(state.params.policy, obs[None], noise).reshape(N, H, A)
        score = {
            (j, k): float(plain_q(agent, state.params.critic, obs, chunks[j, :k]))
            for j, k in itertools.product(range(N), range(1, H + 1))
        }
        j, k = max(score, key=lambda at: score[at])
        chunk, length = agent.act(state, obs, jax.random.clone(key))
        assert length == k
        np.testing.assert_allclose(chunk, chunks[j], atol=1e-6)
        lengths.add(k)
    assert len(lengths) > 1


def test_a_prefix_is_blind_to_what_follows(started):
    agent, state, batch, _ = started
    chunk = agent.flat_chunk(batch)
    q = lambda x: agent.prefix_q(state.params.critic, batch.obs, x).sum(axis=(0, 2))  # [h]
    slope = np.abs(jax.jacobian(q)(chunk)).sum(axis=1).reshape(H, H, A).sum(axis=2)  # [k, i]
    assert (slope[np.triu_indices(H, 1)] == 0).all()
    assert (slope[np.tril_indices(H)] > 0).all()


def test_each_loss_moves_its_own_networks_and_all_of_them(started):
    agent, _, batch, _ = started
    loss = lambda part: gradients(agent, lambda p, s, z: agent.loss(p, s, batch, z)[1][part])
    td, clone, total = map(loss, ("td", "clone", "loss"))
    assert not any_nonzero(td.policy)
    assert not any_nonzero(clone.critic)
    for leaf in jax.tree.leaves(total):
        assert np.any(leaf)


def test_of_single_actions_it_is_the_best_of_n(started):
    """At h = 1 the mark of the length is a constant: one more bias."""
    one = make("acsac", O, A, horizon=1, candidates=N, hidden=(16, 16), flow_steps=2)
    bfn = make("bfn", O, A, candidates=N, aggregate="min", hidden=(16, 16), flow_steps=2)
    state = one.init(jax.random.key(0))

    def folded(critic):
        first = critic["params"]["Dense_0"]
        kernel, mark = first["kernel"][:, :-1], first["kernel"][:, -1]
        dense = {"kernel": kernel, "bias": first["bias"] + mark}
        return {"params": {**critic["params"], "Dense_0": dense}}

    params = state.params._replace(critic=folded(state.params.critic))
    plain = bfn.begin(params)._replace(target_critic=folded(state.target_critic))
    data = toys.random_data(one, A)
    batch = bfn.draw(jax.random.key(1), data, B)
    every = one.draw(jax.random.key(1), data, B)
    np.testing.assert_array_equal(every.next_obs[:, 0], batch.next_obs)
    noise = bfn.noise(jax.random.key(2), B)
    wide = noise._replace(propose=noise.propose[:, :, None])
    found, expected = (
        one.loss(state.params, state, every, wide),
        bfn.loss(params, plain, batch, noise),
    )
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
    np.testing.assert_allclose(found[1]["td"], expected[1]["td"], rtol=1e-6)


def test_windows_hold_the_state_after_each_transition(started):
    agent, *_ = started
    rows = np.arange(40, dtype=np.float32)
    data = toys.random_data(agent, A, rows=40)._replace(
        obs=np.tile(rows[:, None], O), next_obs=np.tile(rows[:, None] + 1, O)
    )
    batch = agent.draw(jax.random.key(0), data, 32)
    np.testing.assert_array_equal(
        batch.next_obs[..., 0], batch.obs[:, :1] + np.arange(1, H + 1)[None]
    )


class Counting(gymnasium.Env):
    """Shows how many steps were made; ends after 12."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.full(1, self.steps, np.float32), float(action[0]), False, self.steps >= 12, {}


def choosing(obs, keys):
    """As many steps as the remainder of those made by 3, and one; the chunk counts its actions."""
    chunk = np.tile(np.arange(1, 5, dtype=np.float32)[None, :, None] / 10, (len(obs), 1, 1))
    return Prefix(jnp.asarray(chunk), jnp.asarray(obs[:, 0] % 3 + 1, jnp.int32))


@pytest.mark.parametrize(
    ("execute", "looks", "total"),
    [(None, [0, 1, 3, 4, 6, 7, 9, 10], 1.6), (1, [*range(12)], 1.2)],
)
def test_players_execute_what_was_chosen_and_at_most_what_is_asked(execute, looks, total):
    with Evaluator(ANY, 0, 1, execute=execute, make_env=Counting) as play:
        seen = []
        watched = lambda obs, keys: seen.append(float(obs[0, 0])) or choosing(obs, keys)
        result = play.run(watched, 1, 0)
    assert seen == looks
    np.testing.assert_allclose(result.episode_return, [total], rtol=1e-6)


@pytest.mark.parametrize("length", [0, 5, -1])
def test_a_length_that_no_chunk_has_is_refused(length):
    """By the player, whose queue would otherwise stay empty or be too short."""
    with (
        Evaluator(ANY, 0, 1, make_env=Counting) as play,
        pytest.raises(ConfigError, match="choose"),
    ):
        play.run(lambda obs, keys: Prefix(jnp.zeros((1, 4, 1)), jnp.array([length])), 1, 0)


def test_what_needs_whole_chunks_is_refused(started):
    agent, state, *_ = started
    with pytest.raises(ConfigError, match="has no values of a task"):
        beliefs.of(agent, state, Normaliser.identity(O))
    with (
        Late(ANY, 1, 2, workers=0, make_env=Counting) as play,
        pytest.raises(ConfigError, match="cannot be late"),
    ):
        play.run(choosing, 1)
