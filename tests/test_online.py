"""Learning online: the protocol step by step, exact resumption, one compilation, refusals."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, fields

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys
from toy_envs import Aimed, Drift

from chunkrl import train
from chunkrl.agents import methods
from chunkrl.data import chunks, windows
from chunkrl.errors import ChunkRLWarning, ConfigError, DataError, TrainingError, WorkerError
from chunkrl.play import collect
from chunkrl.train import checkpoint, online, runs
from chunkrl.types import ChunkDataset, Dataset, Prefix, Source, Windows

O, A = 2, 2  # noqa: E741


GOALS = "mac with goals"
MODEL_BASED = {"mac": {}, GOALS: {"goal_dim": 1}}
ENVS = {GOALS: Aimed}


def logs(name="qc_fql", count=40):
    r = np.random.default_rng(0)
    arrays = (r.normal(size=(count, O)), r.uniform(-1, 1, (count, A)), -np.ones(count),
              np.ones(count), np.arange(count) % 10 == 9, r.normal(size=(count, O)))  # fmt: skip
    rows = Dataset(*(np.asarray(x, np.float32) for x in arrays))
    if name not in MODEL_BASED:
        return rows
    last, goal = chunks.final_rows(rows.terminal == 1), rows.obs[:, :1] if name == GOALS else None
    return chunks.dataset(*rows[:4], last, agent(name).chunk, goal)


def shrunk(obs):
    """As MAC's observations are normalised."""
    return (np.asarray(obs, np.float32) - np.float32(0.1)) / np.float32(0.5)


def agent(name="qc_fql", **settings):
    settings = {"horizon": 3, "candidates": 2, "flow_steps": 2, "hidden": (8, 8)} | settings
    small = {"rollout": 2, "rollout_batch": 4, "act_candidates": 2, "execute": 2}
    more = small | MODEL_BASED[name] if name in MODEL_BASED else {}
    return toys.make("mac" if name == GOALS else name, O, A, **settings, **more)


def fit(updates, steps, folder=None, name="qc_fql", seeds=(0, 1), every=10, env=None, **changes):
    acting = {"start_training": 5, "workers": 0} | changes
    acting |= {"normalise": shrunk} if name in MODEL_BASED else {}
    acting = train.Online(env or ENVS.get(name, Drift), steps, **acting) if steps else None
    return train.fit(agent(name), logs(name), updates, 8, seeds, every, folder=folder,
                     online=acting, progress=False)  # fmt: skip


def longer(data, rows, chunk):
    """The logs with transitions behind them, in one array; chunks of those go to their end."""
    columns = [np.asarray(x, np.float32) for x in zip(*rows, strict=True)]
    if isinstance(data, Dataset):
        return Dataset(*map(jnp.concatenate, zip(data, columns, strict=True)))
    obs, action, reward, mask, terminal, following = columns
    goal = data.goal.shape[1]
    # A row more at the end of an episode, and of what there is so far: the state it led to.
    ends = np.flatnonzero(np.append(terminal[:-1], 1)) + 1
    cut = lambda x, last: np.insert(x, ends, last, axis=0)
    last, starts, goal_rows, first = [], [], [], len(data.obs)
    for count in np.diff(ends, prepend=0):
        last += [first + count - 1] * (count + 1)
        starts += range(first, first + count - chunk + 1)
        goal_rows += range(first, first + count)
        first += count + 1
    states = cut(shrunk(obs), shrunk(following)[ends - 1])
    new = ChunkDataset(
        states[:, :O], *(cut(x, 0) for x in (action, reward, mask)), np.int32(last),
        np.int32(starts), states[:, states.shape[1] - goal :], np.int32(goal_rows if goal else []),
    )  # fmt: skip
    return ChunkDataset(*map(jnp.concatenate, zip(data, new, strict=True)))


def reference(name, updates, steps, seed, start=5, utd=1, every=10):
    """The protocol of arXiv 2507.07969 one event after another, for a run with `updates` before.

    One environment step, one transition behind all others, `utd` updates; rows in a plain array.
    """
    learner = agent(name)
    see = shrunk if name in MODEL_BASED else lambda obs: np.asarray(obs, np.float32)
    key_init, key_train = jax.random.split(jax.random.key(seed))
    state = jax.jit(learner.init)(key_init)
    draw = jax.jit(learner.draw, static_argnums=2)
    noise = jax.jit(learner.noise, static_argnums=1)
    step_of = jax.jit(learner.step)
    data, rows = jax.tree.map(jnp.asarray, logs(name)), []
    for i in range(updates):
        key = jax.random.fold_in(jax.random.fold_in(key_train, i // every * every + every),
                                 i % every)  # fmt: skip
        key_draw, key_noise = jax.random.split(key)
        state, _ = step_of(state, draw(key_draw, data, 8), noise(key_noise, 8))
    key_act, key_learn = jax.random.split(jax.random.fold_in(key_train, 0))
    env, episode, queue = ENVS.get(name, Drift)(), 0, []
    obs, _ = env.reset(seed=collect.environment_seed(seed, 0))
    events = []
    for i in range(1, steps + 1):
        if not len(queue):
            key = jax.random.fold_in(key_act, i - 1)
            if updates == 0 and i <= start:
                queue = jax.random.uniform(key, (learner.execute, A), minval=-1.0)[: start - i + 1]
            else:
                seen = see(obs)[: 3 if name == GOALS else 2]
                explore = getattr(learner, "explore", learner.act)
                chunk, length = jax.jit(explore)(state, seen, key), learner.execute
                if isinstance(chunk, Prefix):
                    chunk, length = chunk
                queue = np.clip(chunk[:length], -1, 1)
            events.append(i)
        action, queue = np.asarray(queue[0]), queue[1:]
        following, reward, terminated, truncated, _ = env.step(action)
        rows.append((obs, action, reward, not terminated, terminated or truncated, following))
        obs = following
        if terminated or truncated:
            episode, queue = episode + 1, []
            obs, _ = env.reset(seed=collect.environment_seed(seed, episode))
        for j in range(utd if i >= start else 0):
            key = jax.random.fold_in(jax.random.fold_in(key_learn, i), j)
            key_draw, key_noise = jax.random.split(key)
            drawn = draw(key_draw, longer(data, rows, learner.chunk), 8)
            state, _ = step_of(state, drawn, noise(key_noise, 8))
    return state, Dataset(*map(np.array, zip(*rows, strict=True))), events


@pytest.mark.parametrize(
    ("name", "updates", "utd"),
    [
        ("qc_fql", 10, 1), ("qc", 0, 2), ("fql", 0, 1), ("rebrac", 10, 1), ("iql", 0, 1),
        ("mac", 10, 1), (GOALS, 10, 1), ("acsac", 10, 1),
    ],
)  # fmt: skip
def test_the_loop_is_the_protocol_event_by_event(tmp_path, name, updates, utd):
    """Against a plain loop whose data are one growing array: actions, rows and parameters."""
    start = 5 if name == "qc_fql" else 13  # each length of the data is compiled
    state, data, events = reference(name, updates, 20, 3, start, utd)
    how = {"utd": utd, "start_training": start}
    states, rows = fit(updates, 20, tmp_path, name, seeds=(3,), **how)
    files = [np.load(path) for path in sorted((tmp_path / online.FOLDER).iterdir())]
    assert len(files) == 2
    for field in Dataset._fields:
        added = np.concatenate([file[field][0] for file in files])
        np.testing.assert_allclose(added, getattr(data, field), atol=1e-5)
    for a, b in zip(jax.tree.leaves(states), jax.tree.leaves(state), strict=True):
        np.testing.assert_allclose(a[0], b, atol=1e-4)
    ends = np.flatnonzero(data.terminal)
    assert {int(end) + 2 for end in ends if end < 19} <= set(events)  # a chunk begins there
    assert rows[-1]["online"] == 20
    assert sum(row.get("collected", 0) for row in rows) == len(ends)


def timeless(rows):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize(
    ("name", "overlap"), [("qc_fql", False), ("qc_fql", True), ("mac", True), (GOALS, False)]
)
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, name, overlap):
    """Stopped before, at and after the switch, in the middle of episodes and of chunks."""
    whole, rows = fit(20, 40, tmp_path / "whole", name, overlap=overlap)
    fit(10, 0, tmp_path / "parts", name)
    fit(20, 0, tmp_path / "parts", name)
    queued = []
    for steps in (10, 20, 40):
        parts, resumed = fit(20, steps, tmp_path / "parts", name, overlap=overlap, workers=1)
        description = checkpoint.describe(tmp_path / "parts" / runs.CHECKPOINT)
        queued += [(len(p["queue"]), p["taken"]) for p in description["players"]]
    assert max(queue for queue, _ in queued) > 0  # else the queue was never needed
    assert max(taken for _, taken in queued) > 0
    same(whole, parts)
    assert timeless(rows) == timeless(resumed)
    assert timeless(runs.read_rows(tmp_path / "parts")) == timeless(rows)
    files = [sorted((tmp_path / run / online.FOLDER).iterdir()) for run in ("whole", "parts")]
    assert [path.name for path in files[0]] == [f"{n:09d}.npz" for n in (30, 40, 50, 60)]
    for a, b in zip(*files, strict=True):
        same(dict(np.load(a)), dict(np.load(b)))


def test_a_seed_does_not_depend_on_those_beside_it():
    together, rows = fit(0, 30, seeds=(3, 4), workers=2)
    alone, alone_rows = fit(0, 30, seeds=(4,))
    same(jax.tree.map(lambda x: x[1:], together), alone)
    assert timeless(rows)[1::2] == timeless(alone_rows)


def test_the_overlapped_order_acts_one_chunk_later(tmp_path):
    """Until the second chunk after the first update both orders see the same parameters."""
    fit(10, 20, tmp_path / "exact", start_training=8)
    fit(10, 20, tmp_path / "overlapped", start_training=8, overlap=True)
    first = [np.load(tmp_path / x / online.FOLDER / "000000020.npz") for x in
             ("exact", "overlapped")]  # fmt: skip
    second = [np.load(tmp_path / x / online.FOLDER / "000000030.npz") for x in
              ("exact", "overlapped")]  # fmt: skip
    same(first[0]["action"][:, :8], first[1]["action"][:, :8])
    assert not np.array_equal(second[0]["action"], second[1]["action"])


KILLED = """
import sys; sys.path.insert(0, {tests!r})
import conftest, test_online
test_online.fit(20, 40, sys.argv[1])
"""


def test_killed_runs_resume_to_the_last_bit(tmp_path):
    """kill -9 at random instants of both phases; what is left always goes on to the same end."""
    whole, rows = fit(20, 40)
    code = KILLED.format(tests=os.path.dirname(__file__))
    folder, seen = tmp_path / "killed", []
    for seconds in np.random.default_rng(0).uniform(0, 0.3, 3):
        process = subprocess.Popen([sys.executable, "-c", code, str(folder)])
        path = folder / runs.CHECKPOINT
        before = path.stat().st_mtime_ns if path.exists() else 0
        while process.poll() is None and not (path.exists() and path.stat().st_mtime_ns != before):
            time.sleep(0.001)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if path.exists():
            seen.append(checkpoint.describe(path)["step"])
    killed, resumed = fit(20, 40, folder)
    assert min(seen) < 60
    same(whole, killed)
    assert timeless(rows) == timeless(resumed)


@pytest.mark.parametrize("name", ["qc_fql", "mac", GOALS])
def test_one_program_for_the_whole_phase(tmp_path, name):
    """The update is traced once, and after the first steps with updates XLA compiles nothing."""
    traces, compiled, plain = [], [], agent(name)

    class Counted(type(plain)):
        def step(self, state, batch, noise):
            traces.append(len(batch.obs))
            return super().step(state, batch, noise)

    counted = Counted(**{f.name: getattr(plain, f.name) for f in fields(plain)})
    at = lambda step, row: compiled.append((step, len(events)))
    events = []
    listen = lambda event, seconds, **_: events.append(event) if "backend_compile" in event else 0
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        acting = {"start_training": 5, "workers": 0, "capacity": 35}
        acting = train.Online(ENVS.get(name, Drift), 60, **acting)
        train.fit(counted, logs(name), 0, 8, (0, 1), 10, log=at, progress=False, online=acting)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert traces[1:] == [8]  # once for the metrics' shapes, once for the program
    assert compiled[0][1] > 0
    assert {count for step, count in compiled if step >= 20} == {compiled[2][1]}


@pytest.mark.parametrize(
    ("name", "noise"),
    [
        ("iql", lambda z: z),
        ("iql_ddpgbc", lambda z: z),  # a deviation that is learned, at first 1
        ("rebrac", lambda z: np.clip(0.2 * z, -0.5, 0.5)),
    ],
)
def test_an_agent_that_plays_its_mean_explores_around_it(name, noise):
    """IQL with temperature 1 online and 0 in evaluation, ReBRAC with TD3's noise online only."""
    learner = agent(name)
    state = learner.init(jax.random.key(0))
    obs = jnp.float32([8, -18])  # so that the mean is not 0, and noise leads out of the bounds
    mean = learner.policy.mode(state.params.policy, obs)
    assert 0.1 < np.abs(mean).max() <= 1
    keys = lambda: jax.random.split(jax.random.key(1), 2000)
    drawn = jax.vmap(learner.explore, (None, None, 0))(state, obs, keys())
    z = jax.vmap(lambda key: jax.random.normal(key, (A,)))(keys())
    np.testing.assert_allclose(drawn[:, 0], np.clip(mean[None] + noise(z), -1, 1), atol=1e-6)
    played = jax.vmap(learner.act, (None, None, 0))(state, obs, keys())
    np.testing.assert_allclose(played[:, 0], np.broadcast_to(mean, (2000, A)), atol=1e-6)


def test_only_those_act_otherwise_online_than_in_evaluation():
    """Nothing adds noise to a policy that is drawn from."""
    agents = {name: toys.make(name, O, A) for name in methods.ALL}
    exploring = {name for name, agent in agents.items() if hasattr(agent, "explore")}
    acting = {name for name in exploring if not getattr(agents[name].reads, "over", False)}
    assert acting == {"iql", "iql_ddpgbc", "rebrac"}


@pytest.mark.parametrize("name", ["rebrac", "qc"])
def test_a_run_collects_as_the_agent_explores_and_is_evaluated_as_it_acts(tmp_path, name):
    """The same state in the same environment: an evaluation of ReBRAC plays its mean."""
    actions = []

    def evaluate(act, seed):
        keys = jax.random.split(jax.random.key(seed), 3)
        actions.append(act(np.zeros((3, O), np.float32), keys)[:, 0])
        raise InterruptedError

    with pytest.raises(InterruptedError):
        train.fit(agent(name), logs(), 0, 8, (0,), 10, evaluate, folder=tmp_path, progress=False,
                  online=train.Online(Drift, 10, start_training=1, workers=0))  # fmt: skip
    assert (np.ptp(actions[0], axis=0).max() == 0) == (name == "rebrac")


def test_of_data_that_take_turns_the_last_are_kept():
    """Three pieces of ten updates: acting begins beside the third, which has -3 in its rows."""

    class Turns:
        interval, identity = 10, {}

        def at(self, step):
            return logs()._replace(obs=np.full((40, O), -1.0 - step // 10, np.float32))

    assert isinstance(Turns(), Source)
    phases = []

    class Seen(online.Phase):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            phases.append(np.unique(self.logs.obs))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chunkrl.train.offline.Phase", Seen)
        train.fit(agent("fql"), Turns(), 30, 8, (0,), 10, progress=False,
                  online=train.Online(Drift, 10, start_training=5, workers=0))  # fmt: skip
    assert phases == [[-3.0]]


def test_killed_before_every_change_of_a_file(tmp_path, monkeypatch):
    """What lies in the folder just before each file is put in its place goes on to the same end."""
    whole, rows = fit(10, 20, seeds=(0,))
    replace, left = os.replace, []

    def killed(*names):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        replace(*names)

    monkeypatch.setattr(os, "replace", killed)
    kills = 0
    while True:
        kills, folder = kills + 1, tmp_path / f"{kills}"
        left[:] = [kills]
        try:
            fit(10, 20, folder, seeds=(0,))
        except KeyboardInterrupt:
            left[:] = [-1]
            parts, resumed = fit(10, 20, folder, seeds=(0,))
            same(whole, parts)
            assert timeless(rows) == timeless(resumed)
            continue
        break
    assert kills - 1 == 1 + 2 + 3 * 2  # settings; two files offline, three for each row online


class Forgetful(Drift):
    """The seed says nothing."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=None)


def test_an_environment_that_does_not_repeat_itself_begins_anew(tmp_path):
    """The unfinished episode is cut, with a warning, and stays cut when the run goes on again."""
    fit(0, 10, tmp_path, seeds=(0,), env=Forgetful)
    with pytest.warns(ChunkRLWarning, match="did not answer [1-6] actions as it had before"):
        fit(0, 20, tmp_path, seeds=(0,), env=Forgetful)
    files = [np.load(path) for path in sorted((tmp_path / online.FOLDER).iterdir())]
    assert files[0]["terminal"][0, -1] == 0
    assert (files[0]["next_obs"][0, -1] != files[1]["obs"][0, 0]).any()
    phase = online.Phase(train.Online(Drift, 20), agent(), logs(), 8, (0,), None, 0, 10)
    phase.folder, phase.players = tmp_path, [{}]
    (stored,) = phase._stored(20)
    assert stored.terminal[9] == 1
    apart = (stored.next_obs[:-1] != stored.obs[1:]).any(axis=1)
    np.testing.assert_array_equal(apart <= (stored.terminal[:-1] == 1), True)


@pytest.mark.parametrize("name", ["qc_fql", "mac"])
def test_a_ring_keeps_the_newest(tmp_path, name):
    """Updates draw from the logs and 12 new transitions, of 40; resumed as uninterrupted."""
    whole, _ = fit(0, 40, tmp_path / "whole", name, seeds=(0,), capacity=12)
    fit(0, 20, tmp_path / "parts", name, seeds=(0,), capacity=12)
    parts, _ = fit(0, 40, tmp_path / "parts", name, seeds=(0,), capacity=12)
    same(whole, parts)
    free, _ = fit(0, 40, name=name, seeds=(0,))
    assert not np.array_equal(jax.tree.leaves(whole)[0], jax.tree.leaves(free)[0])


def test_a_nan_names_the_transition_and_keeps_the_checkpoint(tmp_path):
    class Hot(Drift):
        def step(self, action):
            obs, reward, *rest = super().step(action)
            return obs, (np.nan if self.np_random.uniform() < 0.2 else reward), *rest

    with pytest.raises(TrainingError, match=r"seed 0: not finite: .*td.* at update \d+\."):
        fit(10, 60, tmp_path, seeds=(0,), env=Hot)
    rows = runs.read_rows(tmp_path)
    assert rows[-1]["step"] >= 10
    states, _ = train.load(tmp_path, agent())
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(states))


class Wide(Drift):
    def reset(self, **kwargs):
        obs, info = super().reset(**kwargs)
        return np.append(obs, 0.0), info


class Broken(Drift):
    def step(self, action):
        raise ValueError("the drift went off")


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"start_training": 0}, ConfigError, "start_training = 0: must be at least 1"),
        ({"utd": 1.5}, ConfigError, "utd = 1.5: must be a whole number"),
        ({"capacity": 2}, ConfigError, "capacity = 2: new transitions would hold no window of 3"),
        ({"capacity": 2, "name": "mac"}, ConfigError, "would hold no window of 3"),
        ({"name": GOALS, "env": Drift}, ConfigError, "the environment shows 2 numbers, the logs 4"),
        ({"steps": 15}, ConfigError, "updates, steps online and evaluate_every must be multiples"),
        ({"workers": -1}, ConfigError, "workers = -1"),
        ({"capacity": 10**12}, ConfigError, "new transitions do not fit into memory"),
        ({"env": Wide}, ConfigError, "the environment shows 3 numbers, the logs 2"),
        ({"env": Broken}, WorkerError, "the drift went off"),
        ({"env": Broken, "workers": 1}, WorkerError, "acting worker 0 failed"),
    ],
)
def test_what_cannot_be_is_refused(changes, error, words):
    with pytest.raises(error, match=words):
        fit(**{"updates": 0, "steps": 20, "seeds": (0,)} | changes)


@pytest.mark.parametrize("name", ["gciql", "gcsacbc_n", "sharsa", "double_sharsa", "dqc"])
def test_what_reads_trajectories_that_are_over_does_not_act(name):
    acting = train.Online(Drift, 20)
    with pytest.raises(ConfigError, match="learns from trajectories that are over, not by acting"):
        train.require_online(acting, methods.make(name, obs_dim=2, action_dim=1, goal_dim=1))


def test_a_run_that_acts_is_continued_as_it_began(tmp_path):
    fit(10, 10, tmp_path, seeds=(0,))
    for updates, changes, words in [
        (10, {"utd": 2}, "with online.utd = 1, not 2"),
        (10, {"overlap": True}, "with online.overlap = False, not True"),
        (20, {}, "with online.updates = 10, not 20"),
    ]:
        with pytest.raises(TrainingError, match=words):
            fit(updates, 20, tmp_path, seeds=(0,), **changes)
    with pytest.raises(TrainingError, match="acts and learns online since update 10"):
        fit(20, 0, tmp_path, seeds=(0,))
    path = tmp_path / runs.CHECKPOINT
    states, description = checkpoint.load(path, train.init(agent(), jnp.array([jax.random.key(0)])))
    (player,) = description["players"]
    for players in ([], [player, player], [{**player, "taken": "2"}], [{"episode": 0}], 3):
        checkpoint.save(path, states, description | {"players": players})
        with pytest.raises(TrainingError, match="does not say where its environments were"):
            fit(10, 20, tmp_path, seeds=(0,))
    checkpoint.save(path, states, description)
    (tmp_path / online.FOLDER / "000000020.npz").unlink()
    with pytest.raises(DataError, match="There is no file"):
        fit(10, 20, tmp_path, seeds=(0,))
    fit(20, 0, tmp_path / "longer", seeds=(0,))
    with pytest.raises(ConfigError, match="is at 20 updates already"):
        fit(10, 20, tmp_path / "longer", seeds=(0,))


def test_half_of_each_batch_is_new_where_the_agent_reads_so():
    """Every observation of the logs is negative, every one of the environment is not."""

    @dataclass(frozen=True)
    class Counting:
        obs_dim: int = O
        action_dim: int = A
        reads = Windows(2, halves=True)
        chunk = execute = 1

        def init(self, key):
            return {"w": jnp.zeros(())}

        def draw(self, key, dataset, size):
            return windows.sample(key, dataset, size, 2, 0.9)

        def noise(self, key, size):
            return ()

        def step(self, state, batch, noise):
            return state, {"new": (batch.obs[:, 0] >= 0).mean()}

        def act(self, state, obs, key):
            return jnp.zeros((1, A))

    class Positive(Drift):
        def reset(self, **kwargs):
            return np.ones(O), super().reset(**kwargs)[1]

        def step(self, action):
            return np.ones(O), *super().step(action)[1:]

    data = logs()._replace(obs=-np.ones((40, O), np.float32))
    acting = train.Online(Positive, 20, start_training=5, workers=0)
    _, rows = train.fit(Counting(), data, 0, 8, (0,), 10, online=acting, progress=False)
    assert [row["new"] for row in rows] == [0.5, 0.5]
    acting = train.Online(Positive, 20, start_training=1)
    with pytest.raises(ConfigError, match="start_training = 1: new transitions would hold no"):
        train.require_online(acting, Counting())
