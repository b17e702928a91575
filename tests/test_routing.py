"""Which loss moves which networks: TD the critics, policy terms the policies, all of each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from chunkrl.agents import make, methods

O, A, B, H = 7, 3, 16, (16, 16)  # noqa: E741

VALUES = {"td": "critic", "value": "value"}
MODEL = {"dynamics": "dynamics", "reward": "reward", "success_loss": "success"}
ROUTES = {  # method -> metric -> the field of the parameters that it moves
    "iql": {**VALUES, "policy": "policy"},
    "iql_ddpgbc": {**VALUES, "policy": "policy"},
    "ifql": {**VALUES, "clone": "policy"},
    "ifql_n": {**VALUES, "clone": "policy"},
    "qc_ifql": {**VALUES, "clone": "policy"},
    "gciql": {**VALUES, "policy": "policy"},
    "gciql_awr": {**VALUES, "policy": "policy"},
    "gcsacbc": {"td": "critic", "policy": "policy"},
    "gcsacbc_n": {"td": "critic", "policy": "policy"},
    "sharsa": {**VALUES, "clone": "policy"},
    "double_sharsa": {**VALUES, "clone": "policy"},
    "dqc": {**VALUES, "clone": "policy", "whole": "whole"},
    "dqc_naive": {**VALUES, "clone": "policy"},
    "dqc_n": {**VALUES, "clone": "policy"},
    "dqc_one_step": {**VALUES, "clone": "policy"},
    "rebrac": {"td": "critic", "policy": "policy"},
    "mopo": {**MODEL, "td": "critic", "policy": "policy"},
    "mobile": {**MODEL, "td": "critic", "policy": "policy"},
    "leq": {**MODEL, "td": "critic", "imagined": "critic", "policy": "policy"},
    "fmpc": {"dynamics": "dynamics", **VALUES, "clone": "policy"},
}
SETTINGS = {
    "horizon": 4,
    "policy_chunk": 2,
    "candidates": 4,
    "flow_steps": 2,
    "hidden": H,
    "goal_dim": 2,
    "alpha_critic": 0.1,
}


def agent_of(name, **changes):
    settings = SETTINGS | changes
    known = methods.named(name).parameters
    return make(name, O, A, **{k: v for k, v in settings.items() if k in known})


def started(name, **settings):
    """An agent, a state whose target networks are not its networks, a batch and noise."""
    agent = agent_of(name, **settings)
    state = agent.init(jax.random.key(0))
    moved = lambda tree: jax.tree.map(lambda leaf: leaf + 0.05, tree)
    targets = [field for field in state._fields if field.startswith("target")]
    state = state._replace(**{field: moved(getattr(state, field)) for field in targets})
    if name == "rebrac":
        state = state._replace(updates=jnp.int32(1))  # the next update moves the policy too
    batch = agent.draw(jax.random.key(1), toys.random_data(agent, A), B)
    return agent, state, batch, agent.noise(jax.random.key(2), B)


@pytest.mark.parametrize("std", ["one", "free"])
@pytest.mark.parametrize("name", ROUTES)
def test_each_loss_moves_its_own_networks_and_all_of_them(name, std):
    """With everything else held constant; what they move are all parameters that there are."""
    if std == "free" and "std" not in methods.named(name).parameters:
        return
    told = {"goal_dim": 0} if "reward" in ROUTES[name] else {}
    agent, state, batch, noise = started(name, std=std, **told)
    routes = ROUTES[name]

    def parts(params):
        total, metrics = agent.loss(params, state, batch, noise)
        return {part: metrics[part] for part in routes}, (total, metrics)

    slopes, (total, metrics) = jax.jit(jax.jacrev(parts, has_aux=True))(state.params)
    fields = state.params._asdict().items()
    assert {*routes.values()} == {field for field, tree in fields if jax.tree.leaves(tree)}
    np.testing.assert_allclose(sum(metrics[part] for part in routes), total, rtol=1e-6)
    for part, moved in slopes.items():
        for field, leaves in moved._asdict().items():
            for leaf in jax.tree.leaves(leaves):
                assert np.any(leaf) == (field == routes[part]), (part, field)


@pytest.mark.parametrize("fit_imagined", [True, False])
def test_as_released_imagined_returns_move_nothing_of_leq(fit_imagined):
    """The half of its critic's loss that made its name: fixed it moves every leaf of the critic."""
    agent, state, batch, noise = started("leq", fit_imagined=fit_imagined)
    imagined = lambda params: agent.loss(params, state, batch, noise)[1]["imagined"]
    moved = jax.jit(jax.grad(imagined))(state.params)
    assert all(np.any(leaf) == fit_imagined for leaf in jax.tree.leaves(moved.critic))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(moved._replace(critic=())))
