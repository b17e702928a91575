"""Notebook 14: what it builds is Q-chunking, number by number, and learns the lock."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunkrl import agents, train
from chunkrl.course import qchunking, solution, written
from chunkrl.course.qchunking import Nets, Pieces, Written
from chunkrl.course.worlds import button_lock
from chunkrl.data import windows

SIZES = {"hidden": (16, 16), "lr": 1e-3}


def pair():
    """The notebook's agent and the library's, with the same parameters, batch and noise."""
    dataset = button_lock.logs(count=300)
    nets = Nets(obs_dim=9, action_dim=1, h=4, N=6, K=3, **SIZES)
    library = agents.make("qc", 9, 1, horizon=4, candidates=6, flow_steps=3, **SIZES)
    state, theirs = nets.init(jax.random.key(0)), library.init(jax.random.key(1))
    state = state._replace(target=jax.tree.map(lambda x: 1.1 * x, state.target))
    theirs = theirs._replace(
        params=theirs.params._replace(critic=state.params.critic, policy=state.params.policy),
        target_critic=state.target,
    )
    ends = np.flatnonzero(dataset.terminal)
    batch = windows.take(dataset, np.array([0, 5, ends[0] - 2, ends[1] - 3]), 4, 0.99)
    noise = nets.noise(jax.random.key(2), 4)
    drawn = library.noise(jax.random.key(3), 4)._replace(**noise._asdict())
    return nets, library, state, theirs, batch, noise, drawn


def test_the_loss_is_the_librarys() -> None:
    nets, library, state, theirs, batch, noise, drawn = pair()
    params = jax.tree.map(lambda x: x + 0.1, state.params)
    there = theirs.params._replace(critic=params.critic, policy=params.policy)
    expected, _ = library.loss(there, theirs, batch, drawn)
    found = qchunking.loss(nets, params, state, batch, noise)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_an_update_is_the_librarys() -> None:
    nets, library, state, theirs, batch, noise, drawn = pair()
    after, _ = qchunking.update(qchunking.loss, nets, state, batch, noise)
    expected, _ = library.step(theirs, batch, drawn)
    for ours, there in (
        (after.params.critic, expected.params.critic),
        (after.params.policy, expected.params.policy),
        (after.target, expected.target_critic),
    ):
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(there), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_it_acts_as_the_library_does() -> None:
    nets, library, state, theirs, *_ = pair()
    obs = jnp.eye(9)[3]
    ours = Written(nets).act(state, obs, jax.random.key(7))
    assert ours.shape == (4, 1)
    np.testing.assert_allclose(ours, library.act(theirs, obs, jax.random.key(7)), atol=1e-5)


@pytest.fixture(scope="module")
def readers():
    """The functions of somebody who copied every solution."""
    cells = {}
    for name in ("sample", "best", "loss", "update"):
        cell: dict = {}
        exec(solution(f"14.{name}").code, cell)
        cells[name] = cell["answer"]
    return Pieces(cells["sample"], cells["best"], cells["loss"], cells["update"])


@pytest.mark.usefixtures("compiled_well")
def test_what_a_reader_wrote_learns_the_lock(readers, tmp_path, monkeypatch) -> None:
    """Its flow alone walks like the hand that logged, the critic's choice is nearly the best."""
    sizes = {"obs_dim": 9, "action_dim": 1, "h": 4, "hidden": (64, 64), "lr": 3e-3}
    agent = Written(Nets(**sizes), readers)
    states, _ = train.fit(agent, button_lock.logs(), 1000, 128, progress=False)
    trained = jax.tree.map(lambda x: x[0], states)

    def steps(N: int) -> float:
        act = jax.jit(Written(Nets(**sizes, N=N), readers).act)
        found = []
        for seed in range(20):
            lock, keys = button_lock.Lock(), iter(jax.random.split(jax.random.key(seed), 400))
            plan = lambda obs, act=act, keys=keys: np.asarray(act(trained, obs, next(keys)))
            found.append(qchunking.play(plan, lock.step, lock.obs, 4))
        return float(np.mean(found))

    assert 14 < steps(1) < 26  # 20 on average in the logs
    assert 8 <= steps(8) < 11


def test_until_it_is_right_the_librarys_function_is_handed_on() -> None:
    assert written("14.flow", ...) is qchunking.flow_loss
    assert written("14.flow", lambda *_: 0.0) is qchunking.flow_loss
    right = lambda *inputs: qchunking.flow_loss(*inputs)
    assert written("14.flow", right) is right
