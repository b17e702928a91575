"""The design claims of the model-based family: gradient routing, reductions, exact values."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from chunkrl import train
from chunkrl.agents import make, named
from chunkrl.agents.dynamics import ChunkModel, ModelParams
from chunkrl.agents.model_based import (
    MACState,
    ModelBasedActorCritic,
    OnData,
    OnImagined,
    Transitions,
)
from chunkrl.agents.rewards import GoalReward, LearnedReward, Unrewarded
from chunkrl.blocks import backend
from chunkrl.blocks.networks import mlp
from chunkrl.blocks.optim import mean_of_blocks
from chunkrl.blocks.policies import Gaussian, OneStep
from chunkrl.blocks.targets import Logistic, Squared
from chunkrl.data import chunks
from chunkrl.errors import ConfigError
from chunkrl.types import ChunkBatch, Chunks, GoalChunks

O, A, G, B, H = 7, 2, 3, 16, (16, 16)  # noqa: E741
MODEL_BASED = ("mac", "mac_gau", "mac_fql", "mac_no_teacher", "mve")


def agent_of(name="mac", **changes):
    settings = {"horizon": 4, "rollout": 3, "candidates": 4, "flow_steps": 2, "hidden": H}
    return toys.make(name, O, A, **settings | changes)


def batch_of(agent, seed=0):
    r = np.random.default_rng(seed)
    arrays = (
        r.normal(size=(B, O)),
        r.uniform(-1, 1, (B, agent.chunk * A)),
        r.normal(size=B),
        r.integers(0, 2, B),
        r.normal(size=(B, O)),
        r.normal(size=(B, agent.model.goal_dim)),
        r.normal(size=(B, agent.model.goal_dim)),
    )
    return ChunkBatch(*(jnp.asarray(x, jnp.float32) for x in arrays))


def started(agent, seed=0):
    """A fresh state whose target value differs from the value, a batch and noise."""
    state = agent.init(jax.random.key(seed))
    moved = jax.tree.map(lambda leaf: leaf + 0.05, state.target_value)
    return state._replace(target_value=moved), batch_of(agent), agent.noise(jax.random.key(1), B)


@pytest.mark.parametrize(
    ("name", "goal_dim"),
    [*((name, 0) for name in MODEL_BASED), ("mac", G)],
)
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


def test_one_imagined_chunk_is_one_step_of_td_in_the_model():
    agent = agent_of(rollout=1, discount=0.9)
    state, batch, noise = started(agent)
    x = agent.imagine(state.params, batch.obs, batch.value_goal, noise.rollout)
    next_obs = agent.model.predict(state.params, batch.obs, x.chunk[0])
    following = agent.v(state.target_value, next_obs)
    expect = x.reward[0] + 0.9**4 * x.mask[0] * following
    np.testing.assert_allclose(agent.returns(state, x)[0], expect, rtol=1e-5)


def imagined_of(reward, mask, next_seen):
    zeros = jnp.zeros((len(reward), 1, 4 * A))
    return Transitions(next_seen, zeros, next_seen, reward, mask)


@pytest.mark.parametrize(("name", "gamma"), [("mac", 0.9**4), ("mac_fql", 0.9)])
def test_a_chunk_counts_gamma_to_the_h_except_as_published_in_mac_fql(name, gamma):
    agent = agent_of(name, discount=0.9)
    assert agent_of("mac_fql", discount=0.9, step_discount=False).imagined_discount == 0.9**4
    state, _, _ = started(agent)
    reward, mask = jnp.array([[0.0], [1.0], [0.0]]), jnp.array([[1.0], [1.0], [0.0]])
    returns = agent.returns(state, imagined_of(reward, mask, jnp.zeros((3, 1, O))))
    np.testing.assert_allclose(returns[:, 0], [gamma, 1.0, 0.0], rtol=1e-6)


def test_one_candidate_is_the_cloned_policy_and_more_have_a_higher_value():
    agent, keys = agent_of(), jax.random.split(jax.random.key(5), 2)
    state, _, _ = started(agent)
    seen = jax.random.normal(keys[0], (200, O))
    noise = jax.random.normal(keys[1], (32, 200, 4 * A))
    one = agent.propose(state.params, seen, noise[:1])
    sample = agent.policy.sample(state.params.policy, seen, noise[0])
    np.testing.assert_array_equal(one, sample)
    chosen = [
        float(
            agent.q(state.params.critic, seen, agent.propose(state.params, seen, noise[:n])).mean()
        )
        for n in (1, 2, 8, 32)
    ]
    assert chosen == sorted(chosen)
    assert chosen[-1] > chosen[0] + 0.01


def test_the_critic_can_learn_from_the_chunks_of_the_data_as_well():
    agent = agent_of(discount=0.9)
    state, batch, noise = started(agent)
    x = agent.imagine(state.params, batch.obs, batch.value_goal, noise.rollout)
    alone = agent.value_losses(state.params, state, batch, x)["td"]
    both = replace(agent, critic_on=(OnImagined(), OnData()))
    assert both == agent_of(discount=0.9, critic_on_data=True)
    target = batch.reward + 0.9**4 * batch.mask * agent.v(state.params.value, batch.next_obs)
    error = (agent.q(state.params.critic, batch.obs, batch.chunk) - target) ** 2
    got = both.value_losses(state.params, state, batch, x)["td"]
    np.testing.assert_allclose(got - alone, error.mean(), rtol=1e-4)


def test_policies_are_cloned_for_the_goals_of_the_actor_or_of_the_value():
    obs = np.arange(40 * O, dtype=np.float32).reshape(40, O)
    last, nothing = np.full(40, 38), np.zeros(40, np.float32)
    data = chunks.dataset(obs, obs[:, :A], nothing, nothing, last, 4, obs[:, :G])
    for own in (False, True):
        agent = agent_of(goal_dim=G, clone_value_goal=own)
        drawn = agent.draw(jax.random.key(3), data, B)
        assert np.array_equal(drawn.actor_goal, drawn.value_goal) == own
        state, batch, noise = started(agent)
        x = agent.imagine(state.params, batch.obs, batch.value_goal, noise.rollout)
        got = agent.policy_losses(state.params, state, batch, x, noise)["clone"]
        seen = jnp.concatenate([batch.obs, batch.actor_goal], axis=-1)
        flow = agent.policy.flow
        expect = flow.clone(state.params.policy.flow, seen, batch.chunk, 1.0, noise.flow, noise.t)
        np.testing.assert_allclose(got, expect, rtol=1e-6)


def test_mac_fql_climbs_the_critic_at_imagined_states():
    """0.3 mean (mu - flow)^2 - mean Q / mean_b |mean_k Q|, over all K x B imagined states."""
    agent = agent_of("mac_fql")
    state, batch, noise = started(agent)
    x = agent.imagine(state.params, batch.obs, batch.value_goal, noise.rollout)
    policy, params = agent.policy, state.params
    proposal = policy.head.apply(params.policy.head, x.seen, noise.improve)
    teacher = policy.flow.sample(params.policy.flow, x.seen, noise.improve)
    q = np.asarray(agent.q(params.critic, x.seen, proposal.clip(-1, 1)))
    assert q.shape == (3, B)
    expect = 0.3 * ((proposal - teacher) ** 2).mean() - q.mean() / np.abs(q.mean(axis=0)).mean()
    got = agent.policy_losses(params, state, batch, x, noise)["improve"]
    np.testing.assert_allclose(got, expect, rtol=1e-4)


def test_without_a_teacher_the_flow_is_followed_in_one_step():
    agent = agent_of("mac_no_teacher")
    state, batch, noise = started(agent)
    z, t = noise.improve, jnp.zeros((B, 1))
    velocity = agent.policy.net.apply(state.params.policy, batch.obs, z, t)
    sample = agent.policy.sample(state.params.policy, batch.obs, z)
    np.testing.assert_allclose(sample, (z + velocity).clip(-1, 1), atol=1e-6)


def test_the_squashed_gaussian_is_a_density_and_samples_follow_it():
    """In one dimension: the density integrates to 1, and gives the mean of the samples."""
    policy = Gaussian(1, (8,))
    params = policy.init(jax.random.key(0), jnp.zeros((1, 2)))
    obs = jnp.array([[0.5, -1.0]])
    grid = jnp.linspace(-1 + 1e-4, 1 - 1e-4, 20_001)[:, None]
    density = jnp.exp(policy.log_prob(params, obs, grid))
    step = float(grid[1, 0] - grid[0, 0])
    assert abs(density.sum() * step - 1) < 2e-3
    noise = jax.random.normal(jax.random.key(1), (20_000, 1))
    samples = policy.sample(params, obs, noise)
    expect = float((density * grid[:, 0]).sum() * step)
    assert abs(samples.mean() - expect) < 4 * float(samples.std()) / np.sqrt(20_000)


RING, STEPS, GAMMA = 12, 2, 0.9


class KnownRing(ChunkModel):
    """States on a ring, one-hot; whatever the actions, a chunk of two moves two on."""

    def predict(self, params, obs, chunk):
        return jnp.roll(obs, STEPS, axis=-1) + 0 * super().predict(params, obs, chunk)


def test_the_value_of_a_goal_m_chunks_away():
    """-(1 - G^m) / (1 - G), G = gamma^h, for all 12 x 12 pairs of a state and a goal.

    The model is exact, success and value are learned; a chunk succeeds if the goal is one of the
    two states it starts from or passes, so that m = floor(distance / 2).
    """
    model = KnownRing(RING, 1, STEPS, GoalReward(), RING, (64, 64), GAMMA, lr=3e-3)
    agent = ModelBasedActorCritic(
        model,
        OneStep(STEPS, 1.0, hidden=(8,), steps=1, climb=False),
        imagined_discount=GAMMA**STEPS,
        rollout=3,
        candidates=1,
        tau=0.05,
    )
    start, goal = (x.ravel() for x in np.divmod(np.arange(RING**2), RING))
    distance = (goal - start) % RING
    one_hot = np.eye(RING, dtype=np.float32)
    obs, goals = jnp.asarray(one_hot[start]), jnp.asarray(one_hot[goal])
    reached = jnp.asarray(distance < STEPS, jnp.float32)
    chunk = jnp.zeros((len(start), STEPS))
    batch = ChunkBatch(obs, chunk, reached - 1, 1 - reached, jnp.roll(obs, STEPS, 1), goals, goals)

    # So many updates repay what it costs to compile them well.
    @partial(jax.jit, compiler_options={"xla_backend_optimization_level": 1})
    def train_many(state, key):
        def step(state, key):
            # Chunks mean nothing here; success has to be seen with all that the policy may propose.
            key_chunk, key_update = jax.random.split(key)
            chunk = jax.random.uniform(key_chunk, batch.chunk.shape, minval=-1.0)
            return train.update(agent, state, batch._replace(chunk=chunk), key_update)[0], None

        return jax.lax.scan(step, state, jax.random.split(key, 1500))[0]

    state = train_many(agent.init(jax.random.key(0)), jax.random.key(1))
    discount = GAMMA**STEPS
    expect = -(1 - discount ** (distance // STEPS)) / (1 - discount)
    got = agent.v(state.params.value, jnp.concatenate([obs, goals], axis=-1))
    assert expect.min() < -3
    np.testing.assert_allclose(got, expect, atol=0.1)


def test_blocks_change_neither_a_mean_nor_its_gradient():
    loss = lambda w, x: jnp.tanh(x @ w).mean() ** 2
    w, xs = jnp.arange(1.0, 4.0) / 4, jax.random.normal(jax.random.key(0), (5, 6, 3))
    whole = lambda w: 3 * jax.vmap(loss, (None, 0))(w, xs).mean()
    blocks = lambda w: 3 * mean_of_blocks(loss)(w, xs)
    np.testing.assert_allclose(blocks(w), whole(w), rtol=1e-6)
    np.testing.assert_allclose(jax.grad(blocks)(w), jax.grad(whole)(w), rtol=1e-5)


@pytest.mark.parametrize("rows", [1024, 40])
def test_states_are_proposed_for_in_blocks_or_at_once(rows, monkeypatch):
    """150 states x 8 candidates in blocks of 128 states, and of 5, give what one call gives."""
    agent = agent_of()
    state, _, _ = started(agent)
    seen = jax.random.normal(jax.random.key(1), (150, O))
    noise = jax.random.normal(jax.random.key(2), (8, 150, 4 * A))
    shapes, propose = [], partial(agent.propose, state.params)

    def spy(seen, noise):
        shapes.append(seen.shape)
        return propose(seen, noise)

    monkeypatch.setattr(backend, "ROWS", rows)
    blocks = backend.in_blocks(spy, seen, noise)
    np.testing.assert_allclose(blocks, propose(seen, noise), atol=1e-5)
    assert set(shapes) == {(O,)}  # a block maps over states
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    backend.in_blocks(spy, seen, noise)
    assert shapes[-1] == (150, O)


def test_half_precision_changes_returns_by_little(monkeypatch):
    """bfloat16 keeps 8 bits: returns move by a few percent of their spread over states.

    It is the machine's: the agent, and so a run's identity, is the same.
    """
    agent = agent_of(rollout=5)
    state, batch, noise = started(agent)
    imagine = lambda: agent.imagine(state.params, batch.obs, batch.value_goal, noise.rollout)
    exact = agent.returns(state, imagine())
    monkeypatch.setenv("CHUNKRL_PRECISION", "bfloat16")
    rough = agent.returns(state, imagine())
    assert rough.dtype == jnp.float32
    assert np.abs(exact - rough).max() > 0
    assert np.abs(exact - rough).mean() < 0.05 * exact.std()
    monkeypatch.setenv("CHUNKRL_PRECISION", "")
    np.testing.assert_array_equal(agent.returns(state, imagine()), exact)
    for unknown in ("float16", "half"):
        monkeypatch.setenv("CHUNKRL_PRECISION", unknown)
        with pytest.raises(ConfigError, match=f"CHUNKRL_PRECISION = '{unknown}': must be float32"):
            imagine()


def test_an_agent_says_what_it_is_in_words_that_only_its_values_change():
    """`repr` enters a run's identity: no addresses, nothing of the machine, every choice."""
    choices = (
        {},
        {"critic_on_data": True},
        {"value_end": "online"},
        {"value_loss": "logistic"},
        {"step_discount": True},
        {"sum_reward": True},
        {"goal_dim": G},
        {"goal_dim": G, "clone_value_goal": True},
    )
    words = [repr(agent_of(**given)) for given in choices]
    assert words == [repr(agent_of(**given)) for given in choices]
    assert len(set(words)) == len(choices)
    assert not any(" at 0x" in word for word in words)


def test_a_logistic_error_is_least_at_the_logit_of_its_target():
    head, target = Logistic(), jnp.array([0.2, 0.9])
    at = lambda p: head.error(jnp.log(p / (1 - p)), target)
    entropy = -target * jnp.log(target) - (1 - target) * jnp.log(1 - target)
    np.testing.assert_allclose(at(target), entropy, rtol=1e-5)
    assert (at(target + 0.05) > entropy).all()
    assert (at(target - 0.05) > entropy).all()
    beyond = head.error(jnp.array([2.0]), jnp.array([1.7]))  # clipped
    np.testing.assert_allclose(beyond, np.log1p(np.exp(-2.0)), rtol=1e-5)
    np.testing.assert_allclose(head.value(jnp.log(target / (1 - target))), target, rtol=1e-5)
    assert agent_of(value_loss="logistic").head == head
    assert agent_of().head == Squared()


@pytest.mark.parametrize(
    ("reward", "reads", "learned"),
    [
        (Unrewarded(), Chunks(4), {"dynamics"}),
        (GoalReward(), GoalChunks(4), {"dynamics", "success_loss"}),
        (LearnedReward(), Chunks(4), {"dynamics", "reward", "success_loss"}),
    ],
)
def test_a_model_learns_alone_what_its_agent_learns(reward, reads, learned):
    """An agent's own model, alone: the same networks, losses and step as inside of the agent."""
    goal_dim = G if reads == GoalChunks(4) else 0
    model = ChunkModel(O, A, 4, reward, goal_dim, H)
    policy = Gaussian(4 * A, H)
    agent = ModelBasedActorCritic(model, policy, 0.9, rollout=1, candidates=1, act_candidates=1)
    batch, state = batch_of(agent), agent.init(jax.random.key(0))
    assert model.reads == agent.reads == reads
    alone = model.init(jax.random.key(0))
    assert alone.params == ModelParams(*alone.params)
    new, metrics = jax.jit(model.step)(alone, batch, model.noise(jax.random.key(1), B))
    together, both = train.update(agent, state, batch, jax.random.key(1))
    assert metrics.keys() == learned
    for name in learned:
        np.testing.assert_allclose(metrics[name], both[name], rtol=1e-5)
    for old, one, two in zip(
        *(jax.tree.leaves(tuple(x.params)[:3]) for x in (alone, new, together)), strict=True
    ):
        assert np.any(old != one)
        np.testing.assert_allclose(one, two, atol=1e-6)


@pytest.mark.parametrize("goal_dim", [0, G])
def test_acting_depends_on_a_row_and_its_key_alone(goal_dim):
    agent = agent_of(goal_dim=goal_dim)
    state, _, _ = started(agent)
    seen = jax.random.normal(jax.random.key(1), (5, O + goal_dim))
    keys = lambda: jax.random.split(jax.random.key(2), 5)
    chunks = train.act(agent, state, seen, keys())
    assert chunks.shape == (5, 4, A)
    assert np.abs(chunks).max() <= 1
    other = train.act(agent, state, seen.at[:3].set(0), keys())
    np.testing.assert_array_equal(chunks[3:], other[3:])


def test_parameter_counts_of_puzzle_4x5():
    """Spec, 4.1, in millions: 99 observations, 5 actions, 20 goal numbers, chunks of 10."""
    agent = make("mac", 99, 5, goal_dim=20)
    state = jax.eval_shape(agent.init, jax.random.key(0))
    millions = {
        name: round(toys.num_params(getattr(state.params, name)) / 1e6, 2)
        for name in ("dynamics", "success", "value", "critic")
    }
    assert millions == {"dynamics": 3.41, "success": 3.33, "value": 3.28, "critic": 3.33}
    for tree in state.params.policy:
        assert round(toys.num_params(tree) / 1e6, 2) == 3.38
    assert toys.num_params(state.opt_state[0].mu) == toys.num_params(state.params)


def test_presets_and_names():
    mac = named("mac")
    size = mac.preset("paper")
    paper = mac(O, A, **mac.settings("cube-double", size))
    assert paper == make("mac", O, A)  # the published settings are the defaults
    assert (size.batch_size, size.settings["hidden"]) == (1024, (1024,) * 4)
    assert mac.settings("puzzle-4x5", size)["candidates"] == 32
    assert named("mac-no-teacher").name == "mac_no_teacher"
    assert agent_of("mve").chunk == 1
    for settings, message in (
        ({"backup": 2}, "mac does not use backup"),
        ({"execute": 5}, "execute = 5: must be between 1 and the chunk's 4"),
        ({"rollout": 0}, "rollout = 0: must be between 1 and 1000"),
    ):
        with pytest.raises(ConfigError, match=message):
            make("mac", O, A, **{"horizon": 4, **settings})
    with pytest.raises(ConfigError, match="qc does not use rollout"):
        make("qc", O, A, rollout=2)


def test_a_state_has_no_slots_for_the_target():
    state = agent_of().init(jax.random.key(0))
    assert isinstance(state, MACState)
    assert state.opt_state[0].mu._fields == state.params._fields


def test_the_share_of_a_state_is_multiplied_once():
    """The same numbers as with a copy of the state per candidate, from fewer operations."""
    net = mlp((8,), 2, norm=True)
    state, action = jnp.ones((1, 3, 5)), jax.random.normal(jax.random.key(0), (4, 3, 2))
    params = net.init(jax.random.key(1), state, action)
    copies = jnp.broadcast_to(state, (4, 3, 5))
    np.testing.assert_allclose(
        net.apply(params, state, action), net.apply(params, copies, action), atol=1e-6
    )
    text = str(jax.make_jaxpr(net.apply)(params, state, action))
    assert "f32[1,3,8] = dot_general" in text
