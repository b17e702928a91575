"""The design claims of the flow-Q family: gradient routing, reductions, invariants."""

import dataclasses
import itertools
import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys
from toys import num_params

from chunkrl import train
from chunkrl.agents import METHODS, make, methods, presets
from chunkrl.agents.actor_critic import Params
from chunkrl.agents.rebrac import Transitions
from chunkrl.agents.settings import SETTINGS
from chunkrl.blocks.networks import aggregated
from chunkrl.blocks.policies import Flow, Gaussian, OneStep, best_of_n
from chunkrl.errors import ConfigError
from chunkrl.types import Batch, Dataset, GoalChunks

O, A, B, H = 7, 3, 16, (16, 16)  # noqa: E741


def agent_of(name, **changes):
    settings = {"horizon": 4, "policy_chunk": 2, "candidates": 4, "flow_steps": 2, "hidden": H}
    settings |= changes
    known = methods.named(name).parameters  # of one set of settings, what the method uses
    return make(name, O, A, **{k: v for k, v in settings.items() if k in known})


def batch_of(n, seed=0, valid=None):
    r = np.random.default_rng(seed)
    arrays = (
        r.normal(size=(B, O)),
        r.uniform(-1, 1, (B, n, A)),
        r.normal(size=(B, n)),
        np.minimum.accumulate(r.integers(0, 2, (B, n)), axis=1),
        np.ones((B, n)) if valid is None else valid,
        r.normal(size=(B, O)),
    )
    return Batch(*(jnp.asarray(x, jnp.float32) for x in arrays))


def any_nonzero(tree):
    return any(np.any(leaf) for leaf in jax.tree.leaves(tree))


def gradients(agent, loss):
    """The gradient of `loss(params, state, noise)` at a fresh state."""
    state = agent.init(jax.random.key(0))
    noise = agent.noise(jax.random.key(1), B)
    return jax.jit(jax.grad(lambda params: loss(params, state, noise)))(state.params)


@pytest.mark.parametrize("name", [*METHODS, "qc_rlpd"])
def test_every_parameter_is_trained(name):
    agent = agent_of(name)
    batch = batch_of(agent.backup)
    grad = gradients(agent, lambda p, s, noise: agent.loss(p, s, batch, noise)[0])
    for leaf in jax.tree.leaves(grad):
        assert np.any(leaf)


def test_td_moves_only_the_critic():
    agent = agent_of("qc_fql")
    batch = batch_of(4)
    grad = gradients(agent, lambda p, s, noise: agent.critic_loss(p, batch, jnp.ones(B)))
    assert any_nonzero(grad.critic)
    assert not any_nonzero(grad.policy)


def test_rebrac_moves_its_policy_in_every_second_update():
    """And both target networks; the critic in all of them."""
    agent = agent_of("rebrac", tau=0.5)
    states = [agent.init(jax.random.key(0))]
    for i in range(4):
        batch = Transitions(batch_of(1, i), jnp.zeros((B, A)))
        states.append(train.update(agent, states[-1], batch, jax.random.key(i))[0])
    changed = lambda field: [
        any_nonzero(jax.tree.map(jnp.subtract, field(old), field(new)))
        for old, new in itertools.pairwise(states)
    ]
    assert changed(lambda s: s.params.critic) == [True] * 4
    assert changed(lambda s: s.target) == [False, True, False, True]
    # The policy's first gradient is in the second update; then momentum moves it in all.
    assert changed(lambda s: s.params.policy) == [False, True, True, True]


def test_the_next_action_is_that_of_the_following_row():
    """Past the end of a trajectory too, and the last row's own: as published."""
    rows = jnp.arange(5.0)[:, None]
    data = Dataset(rows, rows, rows[:, 0], rows[:, 0], jnp.array([0, 1.0, 0, 0, 1]), rows + 1)
    drawn = make("rebrac", 1, 1).draw(jax.random.key(0), data, 64)
    assert set(drawn.window.action[:, 0, 0].tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0}
    expected = jnp.minimum(drawn.window.action[:, 0] + 1, 4)
    np.testing.assert_array_equal(drawn.next_action, expected)


def test_improvement_moves_only_the_one_step_network():
    agent = agent_of("qc_fql")
    batch = batch_of(4)

    def loss(params, state, noise):
        q = lambda obs, chunk: agent.q(state.params.critic, obs, chunk)
        return agent.policy.improve(
            params.policy, state.params.policy, batch.obs, q, noise.improve
        )[0]

    grad = gradients(agent, loss)
    assert any_nonzero(grad.policy.head)
    assert not any_nonzero(grad.policy.flow)
    assert not any_nonzero(grad.critic)


def test_a_clipped_action_gets_no_gradient_from_the_critic():
    """The head is far outside [-1, 1]; only distillation, switched off here, could move it."""
    agent = agent_of("fql", alpha=0.0)
    state = agent.init(jax.random.key(0))
    head = jax.tree.map(jnp.zeros_like, state.params.policy.head)
    head["params"]["Dense_2"]["bias"] = jnp.array([5.0, -5.0, 0.5])
    policy = state.params.policy._replace(head=head)
    q = lambda obs, chunk: agent.q(state.params.critic, obs, chunk)
    grad = jax.grad(
        lambda head: agent.policy.improve(
            policy._replace(head=head), policy, jnp.ones((B, O)), q, jnp.ones((B, A))
        )[0]
    )(head)
    bias = grad["params"]["Dense_2"]["bias"]
    np.testing.assert_array_equal(bias[:2], 0)
    assert bias[2] != 0


@pytest.mark.parametrize("crossing", [1, 3])
def test_a_window_that_crosses_an_episode_end_trains_only_cloning_before_it(crossing):
    """`crossing` steps are valid: no TD signal; the cloned velocity is free on the later ones."""
    valid = np.zeros((B, 4))
    valid[:, :crossing] = 1
    agent, batch = agent_of("qc"), batch_of(4, valid=valid)
    grad = gradients(agent, lambda p, s, noise: agent.critic_loss(p, batch, jnp.ones(B)))
    assert not any_nonzero(grad.critic)
    grad = gradients(agent, lambda p, s, noise: agent.loss(p, s, batch, noise)[0])
    bias = np.asarray(grad.policy["params"]["Dense_2"]["bias"]).reshape(4, A)
    assert bias[:crossing].all()
    assert not bias[crossing:].any()


def test_the_target_of_a_solved_window_is_its_reward():
    agent = agent_of("qc_fql")
    batch = batch_of(4)._replace(mask=jnp.array([1.0, 1.0, 0.0, 0.0])[None].repeat(B, axis=0))
    state = agent.init(jax.random.key(0))
    target = agent.td_target(state, batch, jnp.zeros((B, 4 * A)))
    np.testing.assert_array_equal(target, batch.returns[:, -1])


def test_the_bootstrap_is_discounted_by_gamma_to_the_n():
    agent = agent_of("fql_n", discount=0.9)
    batch = batch_of(4)._replace(mask=jnp.ones((B, 4)), returns=jnp.zeros((B, 4)))
    state = agent.init(jax.random.key(0))
    chunk = jnp.zeros((B, A))
    expect = 0.9**4 * agent.q(state.target_critic, batch.next_obs, chunk)
    np.testing.assert_allclose(agent.td_target(state, batch, chunk), expect, rtol=1e-6)


@pytest.mark.parametrize("name", ["qc", "qc_fql"])
def test_half_precision_changes_what_targets_bootstrap_from_by_little(name, monkeypatch):
    """bfloat16 keeps 8 bits: the values of the chunks chosen by it move by a few percent."""
    agent = agent_of(name)
    batch = batch_of(4)._replace(mask=jnp.ones((B, 4)), returns=jnp.zeros((B, 4)))
    state, noise = agent.init(jax.random.key(0)), agent.noise(jax.random.key(1), B)
    targets = []
    monkeypatch.setattr(type(agent), "critic_loss", lambda *given: targets.append(given[-1]) or 0.0)
    for precision in ("", "bfloat16"):
        monkeypatch.setenv("CHUNKRL_PRECISION", precision)
        agent.loss(state.params, state, batch, noise)
    exact, rough = map(np.asarray, targets)
    assert rough.dtype == np.float32
    assert np.abs(exact - rough).max() > 0
    assert np.abs(exact - rough).mean() < 0.05 * exact.std()


def test_the_target_critic_follows_one_step_late():
    agent = agent_of("fql", tau=0.5)
    first = agent.init(jax.random.key(0))
    second, _ = train.update(agent, first, batch_of(1), jax.random.key(1))
    third, _ = train.update(agent, second, batch_of(1), jax.random.key(2))
    leaf = lambda tree: np.asarray(tree["params"]["Dense_0"]["kernel"])
    np.testing.assert_allclose(leaf(second.target_critic), leaf(first.params.critic), atol=1e-7)
    expect = (leaf(first.params.critic) + leaf(second.params.critic)) / 2
    np.testing.assert_allclose(leaf(third.target_critic), expect, atol=1e-7)


@pytest.mark.parametrize(("how", "expected"), [("mean", 2.0), ("min", 0.0), (0.5, 2 - 6**0.5 / 2)])
@pytest.mark.parametrize("name", methods.ALL)
def test_ensembles_are_a_setting_of_every_method(name, how, expected):
    """Four critics whose last biases are 0, 0, 2, 6 and all else 0: deviation sqrt(6)."""
    agent = agent_of(name, num_critics=4, aggregate=how)
    state = jax.eval_shape(agent.init, jax.random.key(0))
    critic, level = state.params.critic, agent
    if isinstance(critic, tuple):  # of several levels
        critic, level = critic[0], agent.levels[0]
    critic = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), critic)
    layers = critic["params"]
    layers[max(k for k in layers if k.startswith("Dense"))]["bias"] = jnp.float32(
        [[0], [0], [2], [6]]
    )
    seen, action = (getattr(level, f"{x}_dim", size) for x, size in (("seen", O), ("action", A)))
    q = level.q(critic, jnp.ones((B, seen)), jnp.ones((B, level.chunk * action)))
    np.testing.assert_allclose(q, jnp.full(B, expected), rtol=1e-6)


@pytest.mark.parametrize("members", [1, 3])
def test_where_critics_agree_the_deviation_has_no_slope(members):
    """The derivative of a root at 0 would be infinite, and make the policy's gradient nan."""
    value, slope = jax.value_and_grad(lambda x: aggregated(jnp.full((members, 1), x), 0.5).sum())(
        2.0
    )
    assert (value, slope) == (2, 1)


def test_settings_that_came_later_leave_the_texts_of_earlier_runs_as_they_are():
    """By its text a run knows its agent; other values are told."""
    for name, later in (
        ("iql", {"aggregate": "mean"}),
        ("rebrac", {"aggregate": 0.5}),
        ("mac", {"num_critics": 3}),
        ("mac", {"aggregate": "min"}),
    ):
        ((setting, value),) = later.items()
        assert f"{setting}=" not in repr(agent_of(name)).replace("num_critics=2", "")
        assert f"{setting}={value!r}" in repr(agent_of(name, **later))
    assert repr(make("rebrac", 3, 2)) == (
        "ReBRAC(obs_dim=3, action_dim=2, policy=Gaussian(dim=2, hidden=(512, 512, 512, 512),"
        " norm=False, squash=True, std='one'), alpha=0.1, alpha_critic=0.0, policy_every=2,"
        " action_noise=0.2, noise_clip=0.5, discount=0.99, tau=0.005, lr=0.0003,"
        " hidden=(512, 512, 512, 512), num_critics=2)"
    )


def one_update(agent, n=1):
    return train.update(agent, agent.init(jax.random.key(0)), batch_of(n), jax.random.key(1))[0]


@pytest.mark.parametrize(
    ("chunked", "single"), [("qc", "bfn"), ("qc_fql", "fql"), ("qc_ifql", "ifql")]
)
def test_chunks_of_one_action_are_the_single_step_method(chunked, single):
    a, b = (one_update(agent_of(name, horizon=1)) for name in (chunked, single))
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_one_candidate_is_a_sample_of_the_flow():
    agent = agent_of("qc", candidates=1)
    params = agent.init(jax.random.key(0)).params
    obs, noise = jnp.ones((B, O)), jax.random.normal(jax.random.key(1), (1, B, 4 * A))
    proposal = agent.propose(params, obs, noise)
    sample = agent.policy.sample(params.policy, obs, noise[0])
    np.testing.assert_array_equal(proposal, sample)


def test_best_of_n_takes_the_argmax_of_each_row():
    chunks = jax.random.uniform(jax.random.key(0), (64, B, 2))
    best = best_of_n(chunks, lambda chunks: chunks[..., 0])
    np.testing.assert_array_equal(best[:, 0], chunks[..., 0].max(axis=0))
    rows = [(chunks[:, i] == best[i][None]).all(axis=1).any() for i in range(B)]
    assert all(rows)  # the whole chunk, not a mixture


@pytest.mark.parametrize("name", ["qc", "qc_fql"])
def test_acting_depends_on_a_row_and_its_key_alone(name):
    agent = agent_of(name)
    state = agent.init(jax.random.key(0))
    obs = jax.random.normal(jax.random.key(1), (5, O))
    keys = lambda: jax.random.split(jax.random.key(2), 5)  # a fresh object: keys are consumed once
    chunks = train.act(agent, state, obs, keys())
    assert chunks.shape == (5, 4, A)
    assert np.abs(chunks).max() <= 1
    other = train.act(agent, state, obs.at[:3].set(0), keys())
    np.testing.assert_array_equal(chunks[3:], other[3:])
    alone = agent.act(state, obs[3], keys()[3])
    np.testing.assert_allclose(chunks[3], alone, atol=1e-5)


def count(name, horizon):
    """Parameters on cube-triple (46 observations, 5 actions), target critic included."""
    agent = toys.make(name, 46, 5, horizon=horizon)
    state = jax.eval_shape(agent.init, jax.random.key(0))
    return num_params(state.params) + num_params(state.target_critic)


def test_parameter_counts_of_the_reference():
    assert count("qc", 5) == 4_155_933
    assert count("qc_fql", 5) == 4_993_590
    assert count("bfn", 5) == 4_094_473
    assert count("fql", 5) == 4_911_630


def test_optimiser_holds_no_target_critic():
    agent = agent_of("qc")
    state = agent.init(jax.random.key(0))
    assert num_params(state.opt_state[0].mu) == num_params(state.params)
    assert isinstance(state.opt_state[0].mu, Params)


def test_unknown_names_and_sizes_are_refused():
    with pytest.raises(ConfigError, match=r"no method 'qcfql'; choose one of qc, qc_fql"):
        make("qcfql", O, A)
    for name, settings in (
        ("qc", {"discount": 1.5}),
        ("qc_fql", {"alpha": -1.0}),
        ("fql", {"lr": float("nan")}),
        ("mac", {"lam": 2.0}),
        ("mac", {"tau": -0.1}),
    ):
        with pytest.raises(ConfigError, match=f"{next(iter(settings))} = .*must be"):
            make(name, 3, 2, **settings)
    with pytest.raises(ConfigError, match="at least 1"):
        make("qc", O, A, candidates=0)


def test_methods_of_goals_need_one_and_no_policy_longer_than_its_values():
    for name in (name for name, method in methods.ALL.items() if reaches(method)):
        with pytest.raises(ConfigError, match="goal_dim = 0: the method reaches goals"):
            make(name, O, A, goal_dim=0)
    for given in ({"kappa_d": 0.6}, {"distill_loss": "quantile"}):
        with pytest.raises(ConfigError, match="nothing is distilled, leave out kappa_d and"):
            make("dqc", O, A, horizon=4, policy_chunk=4, **given)
    with pytest.raises(ConfigError, match="policy_chunk = 5: must be between 1 and the 4 steps"):
        make("dqc", O, A, horizon=4)


def test_an_agent_is_a_value():
    agent = agent_of("qc")
    assert agent == agent_of("qc")
    assert hash(agent) == hash(agent_of("qc"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        agent.tau = 0.1


OTHER = {
    "horizon": 7,
    "candidates": 7,
    "act_candidates": 7,
    "alpha": 7.0,
    "flow_steps": 3,
    "fourier_dim": 8,
    "normalize_q": True,
    "num_critics": 3,
    "aggregate": 0.25,
    "target_entropy": -1.0,
    "hidden": (8,),
    "discount": 0.5,
    "tau": 0.5,
    "lr": 0.5,
    "execute": 2,
    "rollout": 3,
    "rollout_batch": 7,
    "lam": 0.5,
    "sum_reward": True,
    "true_mask": True,
    "goal_reward": 1,
    "clone_value_goal": True,
    "critic_on_data": True,
    "false_ends": False,
    "policy_chunk": 2,
    "kappa_d": 0.6,
    "kappa_b": 0.6,
    "distill_loss": None,
    "backup_loss": None,
    "step_discount": None,  # the other one
    "value_loss": None,
    "value_end": "online",
    "expectile": 0.5,
    "beta": 7.0,
    "max_weight": 7.0,
    "edit_scale": 0.7,
    "latent_scale": 7.0,
    "std": "free",
    "alpha_critic": 0.5,
    "policy_every": 3,
    "action_noise": 0.5,
    "noise_clip": 0.25,
    "num_models": 3,
    "penalty": 0.5,
    "samples": 3,
    "imagined_share": 0.5,
    "fit_imagined": None,
    "mixed_models": None,
    "logit_bootstrap": None,
    "mean_to_go": None,
}
GOALS_ALONE = {"goal_reward", "clone_value_goal", "logit_bootstrap"}
REWARDS_ALONE = {"sum_reward", "true_mask", "mean_to_go"}


def reaches(method):
    """Whether it needs a goal."""
    return isinstance(method(O, A).reads, GoalChunks)


def test_every_setting_is_explained_and_tried_here():
    used = {name for method in methods.ALL.values() for name in method.parameters}
    assert used == SETTINGS.keys()
    assert OTHER.keys() == used - {"obs_dim", "action_dim", "goal_dim"}


@pytest.mark.parametrize("goal_dim", [0, 3])
@pytest.mark.parametrize("name", methods.ALL)
def test_every_setting_that_a_method_takes_changes_its_agent(name, goal_dim):
    method = methods.ALL[name]
    goals = {"goal_dim": goal_dim} if "goal_dim" in method.parameters else {}
    if (goal_dim and not goals) or (not goal_dim and reaches(method)):
        return
    plain = method(O, A, **goals)
    for setting, value in OTHER.items():
        if value is None and setting in method.parameters:
            kind, default = method.parameters[setting]
            (value,) = {*(typing.get_args(kind) or (True, False))} - {default}
        other = {setting: value}
        if setting not in method.parameters:
            with pytest.raises(ConfigError, match=f"{name} does not use {setting}; it uses "):
                method(O, A, **goals, **other)
        elif setting in (REWARDS_ALONE if goal_dim else GOALS_ALONE) & method.parameters.keys():
            with pytest.raises(ConfigError, match=f"{setting} changes nothing on a task"):
                method(O, A, **goals, **other)
        elif (name, setting) != ("mve", "execute"):
            assert method(O, A, **goals, **other) != plain, setting


@pytest.mark.parametrize("name", METHODS)
def test_the_table_of_methods_says_what_they_are(name):
    chunk, backup, policy = METHODS[name]
    horizon = {"horizon": 3} if "h" in (chunk, backup) else {}
    agent = make(name, O, A, **horizon)
    assert (agent.chunk, agent.backup) == tuple(3 if x == "h" else x for x in (chunk, backup))
    assert type(agent.policy) is policy


@pytest.mark.parametrize(
    ("name", "chunk", "policy", "climb"),
    [
        ("mac", "h", OneStep, False),  # a chunk model, a cloned flow distilled to one step
        ("mac_gau", "h", Gaussian, False),
        ("mac_fql", "h", OneStep, True),  # one proposal, trained up the critic
        ("mac_no_teacher", "h", Flow, False),
        ("mve", 1, OneStep, False),
    ],
)
def test_model_based_methods_are_what_their_names_say(name, chunk, policy, climb):
    agent = make(name, O, A, **({"horizon": 3} if chunk == "h" else {}))
    assert agent.chunk == (3 if chunk == "h" else 1)
    assert type(agent.policy) is policy
    assert (agent.candidates == agent.act_candidates == 1) == climb


def test_the_table_of_the_flow_q_family():
    assert {
        "qc": ("h", "h", Flow),  # a window of n rewards holds n actions
        "qc_fql": ("h", "h", OneStep),
        "bfn": (1, 1, Flow),
        "bfn_n": (1, "h", Flow),
        "fql": (1, 1, OneStep),
        "fql_n": (1, "h", OneStep),
    } == METHODS


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"horizon": np.int64(3)}, 3),
        ({"horizon": 3.0}, 3),
        ({"alpha": 7}, 7.0),
        ({"alpha": np.float32(2)}, 2.0),
        ({"hidden": [8, np.int32(9)]}, (8, 9)),
        ({"hidden": np.array([8, 9])}, (8, 9)),
        ({"normalize_q": np.bool_(True)}, True),
        ({"aggregate": np.float32(0.5)}, 0.5),
        ({"aggregate": 1}, 1.0),
    ],
)
def test_numbers_of_any_kind_are_taken_as_numbers(given, kept):
    (name,) = given
    assert make("qc_fql", O, A, **given) == make("qc_fql", O, A, **{name: kept})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"horizon": 2.5}, "horizon = 2.5: must be a whole number"),
        ({"horizon": True}, "horizon = True: must be a whole number"),
        ({"horizon": "5"}, "horizon = '5': must be a whole number"),
        ({"alpha": "strong"}, "alpha = 'strong': must be a number"),
        ({"alpha": float("nan")}, "alpha = nan: must be at least 0"),
        ({"lr": float("inf")}, "lr = inf: must be at least 0"),
        ({"hidden": ()}, "hidden = .*: give at least one number"),
        ({"hidden": 256}, "hidden = 256: give at least one number"),
        ({"hidden": (256, 0)}, "hidden = 0: must be at least 1"),
        ({"flow_steps": 10**6}, "flow_steps = 1000000: must be between 1 and 1000"),
        ({"normalize_q": 1}, "normalize_q = 1: must be True or False"),
        ({"aggregate": "max"}, "aggregate = 'max': must be 'mean' or 'min' or a number"),
        ({"aggregate": -0.5}, "aggregate = -0.5: must be at least 0"),
        ({"aggregate": True}, "aggregate = True: must be a number"),
    ],
)
def test_settings_that_are_no_such_thing_are_refused(given, sentence):
    with pytest.raises(ConfigError, match=sentence):
        make("qc_fql", O, A, **given)


def test_presets_by_policy():
    """On a laptop, methods that pick the best of N have a size of their own; the papers' do not."""
    for name, (_, _, policy) in METHODS.items():
        method = methods.ALL[name]
        assert (method.preset("laptop").settings["hidden"] == (128,) * 3) == (policy is Flow)
        assert method.preset("paper") == presets.PAPER
    method = methods.ALL["qc"]
    qc = method(O, A, **method.settings("cube-single", method.preset("laptop")))
    assert (qc.candidates, qc.lr, qc.policy.steps) == (8, 5e-4, 3)
    few = methods.ALL["bfn"].settings("cube-single", methods.ALL["bfn"].preset("laptop"))
    assert few["candidates"] == 4  # the paper's, which is less than the laptop's most
    other = methods.ALL["qc_fql"].settings("antmaze", methods.ALL["qc_fql"].preset("paper"))
    assert other["alpha"] == 100  # a domain that the paper does not have
    with pytest.raises(ConfigError, match="no preset 'huge'"):
        method.preset("huge")
    with pytest.raises(ConfigError, match="updates = 150: choose a multiple of 100"):
        method.preset("smoke", updates=150)
