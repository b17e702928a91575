"""QAM, FEdit, DSRL: what moves what, slopes and adjoints, and what each is without its effect."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_agents import A, B, O, agent_of, batch_of

from chunkrl.agents import make, qam
from chunkrl.agents.qam import AdjointMatching
from chunkrl.blocks import flow
from chunkrl.train import update

SLOW = ["qam", "dsrl"]
ENTROPY = {"climb": "net", "temperature_loss": "log_temperature"}
ROUTES = {  # method -> metric -> what it moves, of the critics or of the policy
    "qam": {"td": "critics", "clone": "flow", "match": "fine"},
    "fedit": {"td": "critics", "clone": "flow", **ENTROPY},
    "dsrl": {"td": "critics", "clone": "flow", "latent": "critic", **ENTROPY},
}


def small(name, **changes):
    return agent_of(name, **{"num_critics": 3, "horizon": 2, "hidden": (8,), **changes})


def started(name, **changes):
    """An agent, a state whose slow copies are not its networks, a batch and noise."""
    agent = small(name, **changes)
    state = agent.init(jax.random.key(0))
    moved = lambda tree: jax.tree.map(lambda leaf: leaf + 0.05, tree)
    slow = [field for field in state._fields if field.startswith("target")]
    state = state._replace(**{field: moved(getattr(state, field)) for field in slow})
    return agent, state, batch_of(agent.backup), agent.noise(jax.random.key(1), B)


def groups(params):
    """The networks by the names of ROUTES."""
    found = {"critics": params.critic}
    for field, tree in params.policy._asdict().items():
        found |= tree._asdict() if hasattr(tree, "_asdict") else {field: tree}
    return found


@pytest.mark.parametrize("name", ROUTES)
def test_each_loss_moves_its_own_networks_and_all_of_them(name):
    agent, state, batch, noise = started(name)
    routes = ROUTES[name]
    losses = lambda params: {k: agent.loss(params, state, batch, noise)[1][k] for k in routes}
    slopes, values = jax.jit(jax.jacrev(losses)), jax.jit(losses)(state.params)
    total = agent.loss(state.params, state, batch, noise)[0]
    np.testing.assert_allclose(sum(values.values()), total, rtol=1e-5)
    assert {*routes.values()} == groups(state.params).keys()
    for part, grad in slopes(state.params).items():
        for group, tree in groups(grad).items():
            for leaf in jax.tree.leaves(tree):
                assert np.any(leaf) == (group == routes[part]), (part, group)


@pytest.mark.parametrize("name", ROUTES)
def test_slopes_are_differences(name):
    """Central ones, in float64, of each loss along a random direction of all that it moves."""
    with jax.enable_x64(True):
        double = lambda tree: jax.tree.map(lambda x: x.astype(jnp.float64), tree)
        agent, *rest = started(name)
        state, batch, noise = map(double, rest)
        leaves, shape = jax.tree.flatten(state.params)
        keys = jax.random.split(jax.random.key(2), len(leaves))
        along = [jax.random.normal(key, x.shape) for key, x in zip(keys, leaves, strict=True)]
        along = shape.unflatten(along)

        def losses(step, moved):
            """Of parameters a step along the direction, but for what others move."""
            go = lambda part, x, d: x + step * d * (part == moved)
            flat = groups(state.params), groups(along)
            new = {
                k: jax.tree.map(lambda x, d, k=k: go(k, x, d), flat[0][k], flat[1][k])
                for k in flat[0]
            }
            policy = state.params.policy
            for field, tree in policy._asdict().items():
                inner = getattr(tree, "_fields", None)
                tree = tree._replace(**{k: new[k] for k in inner}) if inner else new[field]
                policy = policy._replace(**{field: tree})
            params = state.params._replace(critic=new["critics"], policy=policy)
            return agent.loss(params, state, batch, noise)[1]

        for part, moved in ROUTES[name].items():
            loss = jax.jit(lambda step, part=part, moved=moved: losses(step, moved)[part])
            slope = jax.jit(jax.grad(loss))(0.0)
            difference = (loss(1e-5) - loss(-1e-5)) / 2e-5
            np.testing.assert_allclose(slope, difference, rtol=1e-6, err_msg=part)
            assert abs(slope) > 1e-6


def velocities(key, dim=3, width=8):
    """Two smooth fields, [*B, D], [*B, 1] -> [*B, D], and a cost of their end."""
    keys = jax.random.split(key, 5)
    first, second = (jax.random.normal(k, (dim + 1, width)) / 2 for k in keys[:2])
    back, other = (jax.random.normal(k, (width, dim)) / 2 for k in keys[2:4])
    seen = lambda x, t: jnp.concatenate([x, t], axis=-1)
    slope = jax.random.normal(keys[4], (dim,))
    return (
        lambda x, t: jnp.tanh(seen(x, t) @ first) @ back,
        lambda x, t: jnp.tanh(seen(x, t) @ second) @ other,
        lambda x: jnp.sin(x @ slope) + (x**2).sum(axis=-1),
    )


def test_the_adjoint_is_the_slope_through_the_same_path_of_the_cloned_flow():
    """Exact: y -> y + dt (2 f_b(y, t + dt) - y / (t + dt)) + c_t, c_t what it lacks of the path.

    Along the path of another field, by differentiating the cost of the end by each state on it.
    """
    with jax.enable_x64(True):
        base, fine, cost = velocities(jax.random.key(0))
        steps, dt = 7, 1 / 7
        noise = jax.random.normal(jax.random.key(1), (steps, 4, 3))
        path = qam.memoryless(fine, base, noise)

        def move(y, i):
            t = jnp.full((4, 1), (i + 1) * dt)
            return y + dt * (2 * base(y, t) - y / t)

        lacks = [path[i + 1] - move(path[i], i) for i in range(steps)]

        def end(y, start):
            for i in range(start, steps):
                y = move(y, i) + lacks[i]
            return cost(y).sum()

        found = qam.lean_adjoint(base, path[:-1], jax.grad(lambda x: cost(x).sum())(path[-1]))
        for i in range(steps):
            np.testing.assert_allclose(end(path[i], i), cost(path[-1]).sum(), rtol=1e-12)
            np.testing.assert_allclose(found[i], jax.grad(end)(path[i], i), rtol=1e-9, atol=1e-14)


def test_the_adjoint_tends_to_the_slope_through_the_roll():
    """Where the flow itself is rolled, with its noise: the difference halves with the steps."""
    with jax.enable_x64(True):
        base, _, cost = velocities(jax.random.key(0))
        fine = jax.random.normal(jax.random.key(1), (160, 4, 3)) / 160**0.5  # of a Brownian path
        off = []
        for steps in (20, 40, 80, 160):
            x = jax.random.normal(jax.random.key(2), (1, 4, 3))
            eps = fine.reshape(steps, -1, 4, 3).sum(axis=1) * steps**0.5
            noise = jnp.concatenate([x, eps[1:]])
            half = steps // 2  # differentiate by the state there
            path = qam.memoryless(base, base, noise)

            def end(y, noise=noise, half=half, steps=steps):
                for i in range(half, steps):
                    t = jnp.full((4, 1), i / steps)
                    drift, spread = 2 * base(y, t) - y / (t + 1 / steps), qam.variance(t, 1 / steps)
                    eps = noise[i + 1] if i + 1 < steps else 0
                    y = y + (
                        drift / steps + (spread / steps) ** 0.5 * eps
                        if i + 1 < steps
                        else base(y, t) / steps
                    )
                return cost(y).sum()

            np.testing.assert_allclose(end(path[half]), cost(path[-1]).sum(), rtol=1e-9)
            slope = jax.grad(lambda x: cost(x).sum())(path[-1])
            lean = qam.lean_adjoint(base, path[:-1], slope)[half]
            off.append(np.abs(lean - jax.grad(end)(path[half])).max())
        assert (np.divide(off[1:], off[:-1]) < 0.7).all(), off


def test_the_minimiser_is_the_tilted_distribution():
    """Of N(0, s^2) and Q = a x, known: N(beta a s^2, s^2).  An optimal control knows no state."""
    s, slope, beta, steps = 0.5, 1.5, 2.0, 400
    with jax.enable_x64(True):

        def base(x, t):
            """E[x_1 - x_0 | x_t]."""
            return (t * s**2 - (1 - t)) / ((1 - t) ** 2 + t**2 * s**2) * x

        path = qam.memoryless(base, base, jax.random.normal(jax.random.key(0), (steps, 2000, 1)))
        assert np.std(path[-1]) == pytest.approx(s, rel=0.05)  # memoryless: the flow's own end
        assert abs(np.corrcoef(path[0, :, 0], path[-1, :, 0])[0, 1]) < 0.1
        adjoint = qam.lean_adjoint(base, path[:-1], jnp.full((2000, 1), -beta * slope))
        np.testing.assert_allclose(adjoint, adjoint[:, :1].repeat(2000, axis=1), rtol=1e-9)
        t = jnp.arange(steps) / steps
        add = -qam.variance(t, 1 / steps) / 2 * adjoint[:, 0, 0]

        def fine(x, t):
            return base(x, t) + add[jnp.round(t * steps).astype(int)]

        ends = flow.integrate(fine, jnp.array([[-1.0], [0.0], [1.0]]), steps)[:, 0]
        assert ends[1] == pytest.approx(beta * slope * s**2, rel=0.02)
        np.testing.assert_allclose(np.diff(ends), [s, s], rtol=0.02)


def written(name, policy, params, obs, q, noise):
    """The losses of a policy's improvement and a sample, step by step.  -> metrics, [B, D]"""
    if name == "qam":
        steps, x = len(noise), noise[0]
        at = lambda i: jnp.full((B, 1), i / steps)
        speed = lambda tree, x, i: policy.flow.velocity(tree, obs)(x, at(i))
        sigma = [(2 * (steps - i + 1) / (i + 1)) ** 0.5 for i in range(steps)]
        path = []
        for i in range(steps):
            path.append(x)
            if i + 1 < steps:
                drift = 2 * speed(params.fine, x, i) - steps * x / (i + 1)
                x = x + drift / steps + sigma[i] * noise[i + 1] / steps**0.5
            else:
                x = x + speed(params.flow, x, i) / steps
        g = -policy.beta * jax.grad(lambda x: q(obs, x.clip(-1, 1)).sum())(x)
        loss = 0.0
        for i in reversed(range(steps)):
            drift = lambda x, i=i: 2 * speed(params.flow, x, i + 1) - steps * x / (i + 1)
            g = g + jax.vjp(drift, path[i])[1](g)[0] / steps
            apart = speed(params.fine, path[i], i) - speed(params.flow, path[i], i)
            loss += ((2 * apart / sigma[i] + sigma[i] * g) ** 2).sum(axis=-1).mean()
        return {"match": loss}, policy.flow.sample(params.fine, obs, noise[0])
    x = policy.flow.sample(params.flow, obs, noise[0])
    if name == "fedit":
        seen = jnp.concatenate([obs, x], axis=-1)
        d, log_prob = policy.edit.draw(params.edit, seen, noise[1])
        chunk = (x + policy.scale * d).clip(-1, 1)
        heat = jnp.exp(params.edit.log_temperature)
        return {"climb": (heat * log_prob - q(obs, chunk)).mean()}, chunk
    value = lambda z: policy.critic.apply(params.critic, obs, z)
    a, log_prob = policy.actor.draw(params.actor, obs, noise[1])
    heat = jnp.exp(params.actor.log_temperature)
    return {
        "latent": ((value(noise[0]) - q(obs, x)) ** 2).mean(),
        "climb": (heat * log_prob - value(policy.scale * a)).mean(),
    }, policy.flow.sample(params.flow, obs, policy.scale * a)


@pytest.mark.parametrize("name", ROUTES)
def test_losses_and_samples_are_as_written(name):
    """Where chunks are clipped, and the temperature is not 1."""
    agent = small(name, flow_steps=3, edit_scale=0.8, latent_scale=1.4)
    policy, obs = agent.policy, batch_of(2).obs
    draw = lambda x: x + 0.3 * jax.random.normal(jax.random.key(x.size), x.shape)
    params = jax.tree.map(draw, agent.init(jax.random.key(0)).params.policy)
    noise = 2 * agent.noise(jax.random.key(1), B).improve
    q = lambda obs, chunk: (jnp.sin(3 * chunk) * obs[:, :1]).sum(axis=-1)
    expected, chunk = jax.jit(lambda params: written(name, policy, params, obs, q, noise))(params)
    drawn = {"qam": noise[0], "fedit": jnp.concatenate([*noise], axis=-1), "dsrl": noise[-1]}
    _, found = jax.jit(lambda params: policy.improve(params, params, obs, q, noise))(params)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-4)
    np.testing.assert_allclose(policy.sample(params, obs, drawn[name]), chunk, atol=1e-5)
    assert (abs(chunk) == 1).any()


def test_without_a_strength_the_minimiser_is_the_cloned_flow():
    """No slope at f = f_b, where the loss is 0; with a strength there is one."""
    for beta, still in [(0.0, True), (1.0, False)]:
        policy = AdjointMatching(2, hidden=(8,), steps=3, beta=beta)
        params = policy.init(jax.random.key(0), jnp.zeros((1, O)))
        params = params._replace(fine=params.flow)
        noise = jax.random.normal(jax.random.key(1), (3, B, 2))
        loss = lambda x, policy=policy, params=params, noise=noise: policy.improve(
            x, params, jnp.ones((B, O)), lambda _, chunk: chunk.sum(axis=-1), noise
        )[0]
        value, grad = jax.value_and_grad(loss)(params)
        assert (value == 0) == still
        assert any(np.any(x) for x in jax.tree.leaves(grad)) != still


@pytest.mark.parametrize(
    ("name", "nothing"),
    [("qam", {"beta": 0.0}), ("fedit", {"edit_scale": 0.0}), ("dsrl", {"latent_scale": 1e3})],
)
def test_where_nothing_is_extracted_it_is_chunks_cloned_and_valued(name, nothing):
    """Losses and slopes of critics and flow are those of QC with one candidate; chunks, too.

    The noise of DSRL is then N(0, I): c tanh(z / c) at a large c.
    """
    agent = small(name, **nothing)
    plain = small("qc", candidates=1, aggregate=0.5)
    state, noise, batch = agent.init(jax.random.key(0)), agent.noise(jax.random.key(1), B), None
    policy, batch = state.params.policy, batch_of(2)
    if name == "dsrl":
        last = {"kernel": jnp.zeros((8, 4 * A)), "bias": jnp.repeat(-jnp.log(1e3), 4 * A)}
        last["bias"] = last["bias"].at[: 2 * A].set(0)
        layers = policy.actor.net["params"] | {"Dense_1": last}
        policy = policy._replace(actor=policy.actor._replace(net={"params": layers}))
    state = state._replace(params=state.params._replace(policy=policy))
    other = plain.init(jax.random.key(0))
    other = other._replace(
        params=other.params._replace(critic=state.params.critic, policy=policy.flow),
        target_critic=state.target_critic,
    )
    same = noise._replace(propose=noise.propose[..., : 2 * A], improve=noise.improve[0])
    of = lambda agent, state, noise: jax.jit(
        jax.value_and_grad(lambda p: agent.loss(p, state, batch, noise)[1]["td"])
    )(state.params)
    (found, slope), (expected, plain_slope) = of(agent, state, noise), of(plain, other, same)
    assert found == pytest.approx(float(expected), rel=1e-4)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5),
        slope.critic,
        plain_slope.critic,
    )
    obs = batch.obs
    chunk = agent.propose(state.params, obs, noise.propose)
    np.testing.assert_allclose(chunk, plain.propose(other.params, obs, same.propose), atol=1e-4)
    assert np.ptp(chunk, axis=0).min() > 0.1


@pytest.mark.parametrize("name", SLOW)
def test_what_is_steered_sees_slow_copies(name):
    """Not the flow that clones; QAM climbs the slow critic."""
    agent, state, batch, noise = started(name)
    read = {"qam": ["match", "adjoint", "target"], "dsrl": ["latent", "target"]}[name]
    metrics = jax.jit(lambda state: agent.loss(first.params, state, batch, noise)[1])
    first, policy = state, state.params.policy
    other = policy._replace(flow=jax.tree.map(jnp.zeros_like, policy.flow))
    online = state._replace(params=state.params._replace(policy=other))
    slow = state._replace(target_flow=jax.tree.map(lambda x: 2 * x, state.target_flow))
    before, same, moved = map(metrics, (state, online, slow))
    assert all(before[key] == same[key] for key in read)
    assert before[read[0]] != moved[read[0]]
    critic = jax.tree.map(jnp.zeros_like, state.params.critic)
    found = metrics(state._replace(params=state.params._replace(critic=critic)))
    assert (found[read[0]] == before[read[0]]) == (name == "qam")


@pytest.mark.parametrize("name", SLOW)
def test_the_slow_flow_follows_one_step_late(name):
    agent = small(name, tau=0.5)
    first = agent.init(jax.random.key(0))
    second, _ = update(agent, first, batch_of(2), jax.random.key(1))
    third, _ = update(agent, second, batch_of(2), jax.random.key(2))
    kernel = lambda tree: np.asarray(tree["params"]["Dense_0"]["kernel"])
    begun, moved = kernel(first.params.policy.flow), kernel(second.params.policy.flow)
    assert np.any(begun != moved)
    np.testing.assert_allclose(kernel(second.target_flow), begun, atol=1e-7)
    np.testing.assert_allclose(kernel(third.target_flow), (begun + moved) / 2, atol=1e-7)


@pytest.mark.parametrize("name", ROUTES)
def test_it_acts_as_it_proposes(name):
    """With as much noise as a sample takes, and slow flows where what is chosen is their noise."""
    agent, state, _, _ = started(name)
    obs = jnp.ones((5, O))
    chunk = agent.act(state, obs, jax.random.key(3))
    dim = (1 + (name == "fedit")) * 2 * A
    noise = jax.random.normal(jax.random.key(3), (1, 5, dim))
    params = state.params
    if name == "dsrl":
        params = params._replace(policy=params.policy._replace(flow=state.target_flow))
    expected = agent.propose(params, obs, noise)
    np.testing.assert_allclose(chunk.reshape(5, -1), expected, atol=1e-6)
    assert np.abs(chunk).max() <= 1
    assert np.ptp(chunk, axis=0).min() > 0


@pytest.mark.parametrize("size", [100.0, 0.01])
def test_qam_clips_its_gradient(size):
    agent = small("qam")
    params = agent.init(jax.random.key(0)).params
    grads = jax.tree.map(lambda x: size * jnp.ones_like(x), params)
    _, after = agent.tx.update(grads, agent.tx.init(params), params)
    norm = np.sqrt(sum((x**2).sum() for x in jax.tree.leaves(grads)))
    found = jax.tree.leaves(after[1][0].mu)[0].flatten()[0] / 0.1
    assert found == pytest.approx(size / max(norm, 1), rel=1e-4)


def test_critics_are_those_of_the_comparison():
    for name in ROUTES:
        agent = make(name, O, A)
        assert (agent.num_critics, agent.aggregate, agent.candidates) == (10, 0.5, 1)
