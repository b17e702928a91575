"""Methods that imagine single steps, and those that plan: reductions, and what they draw."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys
from test_routing import A, B, started


def test_without_a_price_no_doubt_is_heard():
    """MOPO and MOBILE are then one method, for all that they doubt differently."""
    losses, doubts = [], []
    for name in ("mopo", "mobile"):
        agent, state, batch, noise = started(name, penalty=0.0)
        _, metrics = jax.jit(agent.loss)(state.params, state, batch, noise)
        losses.append(metrics["loss"])
        doubts.append(float(metrics["doubt"]))
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)
    assert min(doubts) > 0
    assert doubts[0] != pytest.approx(doubts[1], rel=0.1)


@pytest.mark.parametrize(("lam", "steps"), [(0.0, 2), (1.0, 1), (0.5, 1)])
def test_returns_of_leq_in_closed_form(lam, steps):
    """At lambda = 0 G is Q; with K = 1 (Q_0 + lambda (r_0 + gamma mask Q_1)) / (1 + lambda)."""
    agent, state, batch, noise = started("leq", lam=lam, rollout=steps, goal_dim=0)
    x = agent.imagine(state.params, agent.starts(batch), noise.critic)
    q = agent.q(state.params.critic, x.seen, x.action)
    ahead = x.step.reward + agent.discount * x.step.mask * q[1:]
    expected = (q[:-1] + lam * ahead) / (1 + lam)
    np.testing.assert_allclose(agent.returns(state.params, x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mixed", [False, True])
def test_models_are_drawn_by_row_or_as_released_by_number(mixed):
    agent, _, _, noise = started("leq", mixed_models=mixed)
    apart = lambda member: np.any(member != member[..., :1])
    assert apart(np.asarray(noise.policy.member)) == mixed
    assert not apart(np.asarray(noise.critic.member))
    assert {*np.unique(noise.policy.member)} == {*range(agent.model.num_models)}


@pytest.mark.parametrize("settings", [{}, {"mean_to_go": True}, {"sum_reward": True}])
def test_what_follows_and_is_earned_with_rewards(settings):
    """Of rows found again by their observations, counted one by one."""
    agent, _, batch, _ = started("fmpc", goal_dim=0, **settings)
    batch = jax.tree.map(np.asarray, batch)
    data, h = toys.random_data(agent, A), agent.backup
    obs, reward, last = (np.asarray(x) for x in (data.obs, data.reward, data.last))
    whole = lambda row: reward[row : last[row] + 1].sum()
    for k in range(B):
        (row,) = np.flatnonzero((obs == batch.run.obs[k]).all(axis=1))
        np.testing.assert_array_equal(batch.future[k].reshape(h, -1), obs[row + 1 : row + h + 1])
        rows = range(row, row + h + 1 if "mean_to_go" in settings else row + 1)
        np.testing.assert_allclose(batch.to_go[k], [whole(i) for i in rows], atol=1e-5)
        paid = (agent.discount ** np.arange(h) * reward[row : row + h]).sum()
        paid /= 1 if "sum_reward" in settings else h
        np.testing.assert_allclose(batch.run.reward[k], paid, atol=1e-6)
    assert batch.run.chunk.shape == (B, agent.chunk * A)


def test_a_goal_is_earned_where_its_row_comes_later_in_the_trajectory():
    agent, _, _, _ = started("fmpc")
    data = toys.random_data(agent, A)
    batch = agent.draw(jax.random.key(1), data, 256)
    last, rows = np.asarray(data.last), np.arange(len(data.obs))
    find = lambda table, x: rows[
        (np.asarray(table)[None] == np.asarray(x)[:, None]).all(-1).argmax(1)
    ]
    start, goal = find(data.obs, batch.run.obs), find(data.goal, batch.run.value_goal)
    later = (start <= goal) & (goal < last[start])
    np.testing.assert_array_equal(batch.to_go[:, 0], later)
    reached = (start <= goal) & (goal < start + agent.backup)
    np.testing.assert_array_equal(batch.run.reward, reached)
    assert 0 < reached.sum() < later.sum() < 256


def test_as_released_a_target_has_the_logit_of_v_for_v():
    targets = []
    for released in (False, True):
        agent, state, batch, _ = started("fmpc", logit_bootstrap=released)
        targets.append(agent.td_target(state.params, batch.run))
    logit = agent.value.apply(state.params.value, batch.run.next_obs, batch.run.value_goal)
    changed = agent.discount**agent.backup * batch.run.mask * (logit - jax.nn.sigmoid(logit))
    np.testing.assert_allclose(targets[1] - targets[0], changed, atol=1e-6)
    assert jnp.abs(changed).max() > 0.1
