"""Hindsight goals against the authors' draws, their definition, and the frequencies of MAC."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import Vectors
from test_parity import close

from chunkrl import agents
from chunkrl.data import chunks, goals, load_chunks, load_task
from chunkrl.envs.ogbench import tasks
from chunkrl.errors import ConfigError
from chunkrl.types import GoalChunks


def authors_data(parity):
    v = Vectors(parity / "data_mac.npz")
    field = lambda name: jnp.asarray(v[f"dataset.{name}"], jnp.float32)
    last = chunks.final_rows(v["dataset.valids"] == 0)
    arrays = [field(name) for name in ("observations", "actions", "rewards", "masks")]
    return v, chunks.dataset(*arrays, last, v.meta["horizon"], field("oracle_reps"))


def authors_goals(v, case, role):
    """A mixture, and the authors' own draws for it; the low level's is the value's, geometric."""
    of = "value" if role == "low" else role
    config = {k.removeprefix(f"{of}_"): x for k, x in v.meta[f"{case}_config"].items()}
    mixture = goals.GoalMixture(
        config["p_curgoal"],
        config["p_trajgoal"],
        config["p_randomgoal"],
        config["geom_sample"] or role == "low",
    )
    get = lambda name: jnp.asarray(v[f"{case}.{role}.{name}"])
    distance = get("geometric_offset" if mixture.geometric else "uniform_distance")
    draw = goals.Draw(get("random_goal_index"), distance, get("u_trajgoal"), get("u_curgoal"))
    return mixture, draw


@pytest.mark.parametrize("name", ["data_mac"])
@pytest.mark.parametrize("case", ["gc", "gc2"])
def test_parity_of_goals_and_batches(parity, case):
    """Two mixtures each for value and actor; every index and every array, exactly."""
    v, data = authors_data(parity)
    start, rows = jnp.asarray(v[f"{case}.index"], jnp.int32), []
    for role in ("value", "actor"):
        mixture, noise = authors_goals(v, case, role)
        last = jnp.asarray(data.last)[start]
        np.testing.assert_array_equal(last, v[f"{case}.{role}.final_state_index"])
        rows.append(goals.pick(mixture, start, last, noise))
        np.testing.assert_array_equal(rows[-1], v[f"{case}.{role}.goal_index"])
    negative = v.meta[f"{case}_config"]["gc_negative"]
    batch = goals.take(data, start, v.meta["horizon"], *rows, negative)
    names = {
        "obs": "observations",
        "chunk": "actions",
        "reward": "rewards",
        "mask": "masks",
        "next_obs": "next_observations",
        "value_goal": "value_goals",
        "actor_goal": "actor_goals",
    }
    for ours, theirs in names.items():
        expected = v[f"{case}.batch.{theirs}"]
        np.testing.assert_array_equal(getattr(batch, ours), expected, err_msg=ours)


@pytest.mark.parametrize("name", ["data_mac"])
def test_parity_of_the_rows_that_are_drawn_from(parity):
    v, data = authors_data(parity)
    np.testing.assert_array_equal(data.starts, v["gc.valid_start_index"])
    np.testing.assert_array_equal(data.goal_rows, v["gc.dataset_valid_index"])
    batch = chunks.take(data, jnp.asarray(data.starts), v.meta["horizon"], 1.0)
    for ours, theirs in (("obs", "observations"), ("chunk", "actions")):
        np.testing.assert_array_equal(getattr(batch, ours), v[f"gc.chunk.{theirs}"])
    np.testing.assert_array_equal(batch.next_obs, v["gc.chunk.next_observations"])


@pytest.mark.parametrize("name", ["data_hgc"])
@pytest.mark.parametrize("case", ["h1", "h2", "h3", "h4", "h5", "gc"])
def test_parity_of_several_steps_to_goals(parity, case):
    """Runs of n steps and single ones, towards goals of the value, the actor and the low level."""
    v = Vectors(parity / "data_hgc.npz")
    if not v.under(case):
        pytest.skip(f"{case}: not in the reduced set")
    config, start = v.meta[f"{case}_config"], jnp.asarray(v[f"{case}.index"], jnp.int32)
    field = lambda name: jnp.asarray(v[f"dataset.{name}"], jnp.float32)
    last = chunks.final_rows(v["dataset.valids"] == 0)
    if case == "h5":  # data whose last rows alone are terminal
        last = last + 1
    arrays = field("observations"), field("actions"), *jnp.zeros((2, len(last)))
    data = chunks.dataset(*arrays, last, -1, field("oracle_reps"))
    if case != "h5":
        np.testing.assert_array_equal(data.starts, v[f"{case}.dataset_valid_index"])
        np.testing.assert_array_equal(data.goal_rows, v[f"{case}.dataset_valid_index"])
    rows = {}
    for role in ("value", "actor", *(["low"] if "low_discount" in config else [])):
        mixture, noise = authors_goals(v, case, role)
        assert (data.last[start] == v[f"{case}.{role}.final_state_index"]).all()
        rows[role] = goals.pick(mixture, start, jnp.asarray(data.last)[start], noise)
        np.testing.assert_array_equal(rows[role], v[f"{case}.{role}.goal_index"])
    at = goals.Rows(start, rows["value"], rows["actor"])
    one = {"reward": "rewards", "mask": "masks", "next_obs": "next_observations"}
    compare = lambda batch, names: [
        close(getattr(batch, k), v[f"{case}.batch.{name}"], 3e-7)
        for k, name in {"obs": "observations", "chunk": "actions", **names}.items()
    ]
    if case == "gc":
        goal = {"value_goal": "value_goals", "actor_goal": "actor_goals"}
        compare(goals.take(data, start, 1, *at[1:], config["gc_negative"]), {**one, **goal})
        return
    n = config["subgoal_steps"]
    run = goals.reach(data, at, n, config["discount"], config["gc_negative"])
    high = {k: f"high_value_{name}" for k, name in one.items()}
    goal = {"value_goal": "high_value_goals", "actor_goal": "high_actor_goals"}
    compare(run, {**high, **goal})
    k = goals.steps(data, start, at.value, n)
    np.testing.assert_array_equal(k, v[f"{case}.batch.high_value_subgoal_steps"])
    sizes = {"obs_dim": v.meta["obs_dim"], "action_dim": v.meta["action_dim"], "horizon": n}
    kind, loss = config["discount"], "squared" if config["gc_negative"] else "logistic"
    sizes |= {"goal_dim": v.meta["goal_dim"], "discount": kind, "value_loss": loss}
    agent = agents.make("double_sharsa", **sizes)
    found = agent.take(data, at)
    jax.tree.map(np.testing.assert_array_equal, found.run, run)
    close(found.subgoal, v[f"{case}.batch.high_value_actions"], 0)
    close(found.actor_subgoal, v[f"{case}.batch.high_actor_actions"], 0)
    close(found.ahead, v[f"{case}.batch.low_actor_goals"], 0)
    if "low" in rows:
        low = {"reward": "low_value_rewards", "mask": "low_value_masks"}
        step = agent.single(data, start, rows["low"])
        compare(step, {**low, "value_goal": "low_value_goals", "next_obs": "next_observations"})


@pytest.mark.parametrize("name", ["data_dqc"])
@pytest.mark.parametrize("case", ["c1", "c2", "c3", "all"])
def test_parity_of_chunks_to_goals(parity, case):
    """All starts, goals from them alone, and batches; "all" begins in every row."""
    v = Vectors(parity / "data_dqc.npz")
    if not v.under(case):
        pytest.skip(f"{case}: not in the reduced set")
    config, start = v.meta[f"{case}_config"], jnp.asarray(v[f"{case}.index"], jnp.int32)
    field = lambda name: jnp.asarray(v[f"dataset.{name}"], jnp.float32)
    last = chunks.final_rows(v["dataset.valids"] == 0)
    last = last + 1 if case == "c3" else np.maximum(last, np.arange(len(last)))
    h = config["backup_horizon"]
    arrays = field("observations"), field("actions"), *jnp.zeros((2, len(last)))
    sizes = v.meta["obs_dim"], v.meta["action_dim"]
    agent = agents.make(
        "dqc_n", *sizes, goal_dim=v.meta["goal_dim"], horizon=h, discount=config["discount"]
    )
    data = chunks.dataset(*arrays, last, agent.reads.length, field("oracle_reps"))
    if case != "all":
        np.testing.assert_array_equal(data.starts, v[f"{case}.valid_start_index"])
    mixture, noise = authors_goals(v, case, "value")
    row = goals.pick(mixture, start, jnp.asarray(data.last)[start], noise)
    np.testing.assert_array_equal(row, v[f"{case}.value.goal_index"])
    batch, expect = agent.take(data, start, row), lambda name: v[f"{case}.batch.{name}"]
    seen, flat = np.hstack([expect("observations"), expect("high_value_goals")]), (len(start), -1)
    np.testing.assert_array_equal(batch.obs, seen)
    np.testing.assert_array_equal(
        batch.next_obs[:, : sizes[0]], expect("high_value_next_observations")
    )
    np.testing.assert_array_equal(batch.action.reshape(flat), expect("high_value_action_chunks"))
    close(batch.returns[:, 0], expect("high_value_rewards"), 3e-7)
    np.testing.assert_array_equal(batch.mask[:, 0], expect("high_value_masks"))
    k = goals.steps(data, start, row, h)
    np.testing.assert_array_equal(k, expect("high_value_backup_horizon"))


def numbered(trajectories=20, states=1001, chunk=10):
    """Data whose observation and goal are the number of the row."""
    rows = trajectories * states
    number = np.arange(rows, dtype=np.float32)[:, None]
    ends = np.arange(rows) % states == states - 1
    zeros = np.zeros(rows, np.float32)
    return chunks.dataset(number, number, zeros, zeros + 1, chunks.final_rows(ends), chunk, number)


@pytest.mark.parametrize("negative", [False, True])
def test_a_run_of_one_step_is_a_single_step(negative):
    """Where one follows; so is n-step SAC+BC at n = 1, which then is SAC+BC."""
    data = numbered(2, 9, 0)
    starts = jnp.asarray(data.starts)
    np.testing.assert_array_equal(starts, [*range(7), *range(9, 16)])
    start, goal = (x.ravel() for x in jnp.meshgrid(starts, jnp.asarray(data.goal_rows)))
    run = goals.reach(data, goals.Rows(start, goal, start), 1, 0.9, negative)
    one = goals.take(data, start, 1, goal, start, negative)
    for name in ("obs", "chunk", "reward", "mask", "value_goal", "actor_goal"):
        np.testing.assert_allclose(getattr(run, name), getattr(one, name), 1e-6, err_msg=name)
    np.testing.assert_array_equal(run.next_obs[run.mask == 1], one.next_obs[run.mask == 1])
    several = agents.make("gcsacbc_n", 1, 1, horizon=1, false_ends=False, alpha=0.3)
    assert several == agents.make("gcsacbc", 1, 1)
    assert several.reads == GoalChunks(0, over=True)


def test_no_end_is_a_goal_where_n_steps_are_left():
    """As published it is; rows of which n steps remain reach what is ahead of them alone."""
    n = 3
    data = numbered(2, 9, n - 1)
    for rows, reached in ((data.goal_rows, [0, 0, 0, 0, 0, 1, 1, 1]), (data.starts, [0] * 5)):
        start = jnp.asarray(rows[: len(reached)])
        at = goals.Rows(start, jnp.full(len(reached), 17), start)
        np.testing.assert_array_equal(1 - goals.reach(data, at, n, 0.9).mask, reached)


def test_frequencies_of_mac():
    """Spec 11.3, T_s = 1001, h = 10: current 0.2, later 0.5, anywhere 0.3; 22% of labels are 1.

    Standard errors with 200,000 draws: 0.001.
    """
    draw = jax.jit(lambda key, data: goals.sample(key, data, 200_000, 10, 0.999))
    batch = draw(jax.random.key(0), numbered())
    i, value, actor = (np.asarray(x)[:, 0].astype(int) for x in (batch.obs, *batch[-2:]))
    same = lambda goal: goal // 1001 == i // 1001
    assert (value == i).mean() == pytest.approx(0.2, abs=0.004)
    # A goal from anywhere is in the same one of 20 trajectories with probability 1/20.
    assert same(value).mean() == pytest.approx(0.7 + 0.3 / 20, abs=0.005)
    assert same(actor).mean() == pytest.approx(0.5 + 0.5 / 20, abs=0.005)
    assert (actor == i).mean() < 0.001
    assert (1 - np.asarray(batch.mask)).mean() == pytest.approx(
        exact_positives(1001, 10), abs=0.003
    )
    assert exact_positives(1001, 10) == pytest.approx(0.22, abs=0.006)
    assert exact_positives(201, 10) == pytest.approx(0.27, abs=0.006)
    inside = (i <= value) & (value < i + 10)
    np.testing.assert_array_equal(batch.mask, ~inside)
    np.testing.assert_array_equal(batch.reward, inside - 1.0)
    assert (value % 1001 != 1000).all()  # never the last state of a trajectory
    assert (actor % 1001 != 1000).all()


def exact_positives(states, h):
    """P(i <= goal < i + h) of the default value mixture, from the definition, for one long set.

    Uniform later goals: round() of a uniform number between i + 1 and last gives the two ends half
    the weight of the others, so h - 1 rows hold (h - 1.5) / (last - i - 1).
    """
    last = states - 2
    span = last - np.arange(last - h) - 1
    return 0.2 + 0.5 * np.mean((h - 1.5) / span)


def test_geometric_goals_lie_ahead_by_a_geometric_distance():
    """Mean 1/(1 - 0.9) = 10 steps, P(1 step) = 0.1, cut at the end of the trajectory."""
    data = numbered(trajectories=1)
    mixture = goals.GoalMixture(0, 1, 0, geometric=True)
    start = jnp.zeros(50_000, jnp.int32)
    noise = goals.draw(jax.random.key(1), mixture, data, len(start), 0.9)
    ahead = np.asarray(goals.pick(mixture, start, start + 999, noise))
    assert ahead.min() == 1
    assert ahead.mean() == pytest.approx(10, abs=0.2)
    assert (ahead == 1).mean() == pytest.approx(0.1, abs=0.005)
    assert goals.pick(mixture, start, start + 3, noise).max() == 3


def test_uniform_goals_cover_the_rest_of_the_trajectory():
    """Rows i+1 ... last, the ends with half the weight; exact also at rows beyond float32."""
    mixture = goals.GoalMixture(0, 1, 0)
    start = jnp.full(60_000, 2**26 + 1, jnp.int32)
    noise = goals.draw(jax.random.key(2), mixture, numbered(1, 20, 3), len(start), 0.9)
    ahead = np.asarray(goals.pick(mixture, start, start + 5, noise)) - int(start[0])
    share = np.bincount(ahead, minlength=6) / len(ahead)
    np.testing.assert_allclose(share, [0, 0.125, 0.25, 0.25, 0.25, 0.125], atol=0.01)
    at_the_end = goals.pick(mixture, start, start, noise)
    np.testing.assert_array_equal(at_the_end, start)


def test_the_chunk_s_own_end_is_not_reached_and_the_sign_is_a_choice():
    data = numbered(2, 40, 4)
    start, goal = jnp.full(6, 5, jnp.int32), jnp.asarray([4, 5, 8, 9, 10, 60], jnp.int32)
    batch = goals.take(data, start, 4, goal, goal, negative=False)
    np.testing.assert_array_equal(batch.reward, [0, 1, 1, 0, 0, 0])
    np.testing.assert_array_equal(batch.mask, [1, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(goals.take(data, start, 4, goal, goal).reward, batch.reward - 1)


def test_sampling_is_a_function_of_the_key():
    data = numbered()
    draw = lambda seed: goals.sample(jax.random.key(seed), data, 64, 10, 0.99)
    for a, b, c in zip(draw(3), draw(3), draw(4), strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.any(np.asarray(a) != np.asarray(c))


def test_probabilities_must_add_up():
    with pytest.raises(ConfigError, match="add up to 1"):
        goals.GoalMixture(0.5, 0.5, 0.5)
    goals.GoalMixture(1, 0, 0)


def recorded(task, states=8):
    """A file's arrays: random actions in the environment, and what each state is as a goal."""
    env = tasks.make_env(task)
    raw, rows = env.unwrapped, {}
    r = np.random.default_rng(0)
    for episode in range(2):
        tasks.reset(env, episode)
        for step in range(states):
            maze = hasattr(raw, "maze_map")
            row = {
                "observations": raw.get_ob() if maze else raw.compute_observation(),
                "actions": r.uniform(-1, 1, env.action_space.shape),
                "terminals": step == states - 1,
                "qpos": raw.data.qpos.copy(),
                "qvel": raw.data.qvel.copy(),
                "goal": raw.get_xy() if maze else raw.compute_oracle_observation(),
            }
            if task.domain.startswith(("scene", "puzzle")):
                buttons = raw._cur_button_states
                buttons[step % len(buttons)] ^= 1
                row |= {"button_states": buttons.copy(), "goal": raw.compute_oracle_observation()}
            np.testing.assert_allclose(env.reached(), row["goal"], atol=1e-6)
            for key, value in row.items():
                rows.setdefault(key, []).append(value)
            env.step(row["actions"])
    env.close()
    return {key: np.array(values) for key, values in rows.items()}


@pytest.mark.parametrize(
    "name", ["cube-double-play", "scene-play", "puzzle-3x3-play", "pointmaze-medium-navigate"]
)
def test_the_goal_of_a_stored_state_is_what_the_environment_says(tmp_path, name):
    """The simulator, asked at each state, against the file; and OGBench's own loader."""
    import ogbench.utils

    task = tasks.get(f"{name}-oraclerep-v0")
    arrays = recorded(task)
    expected = arrays.pop("goal").astype(np.float32)
    for file in ("data.npz", "data-val.npz"):
        np.savez(tmp_path / file, **arrays)
    ours = load_chunks(task, tmp_path / "data.npz", chunk=2)
    assert ours.goal.dtype == np.float32
    assert ours.goal.shape == (16, tasks.spec(task).goal_dim)
    assert len(np.unique(ours.goal, axis=0)) > 2
    np.testing.assert_allclose(ours.goal, expected, atol=1e-5)
    env = tasks.make_env(task)
    theirs, _ = ogbench.utils.make_env_and_datasets(
        task.name,
        dataset_path=str(tmp_path / "data.npz"),
        compact_dataset=True,
        dataset_only=True,
        cur_env=env,
    )
    env.close()
    np.testing.assert_array_equal(ours.goal, theirs["oracle_reps"])
    np.testing.assert_array_equal(ours.obs, theirs["observations"])
    np.testing.assert_array_equal(ours.goal_rows, np.flatnonzero(theirs["valids"]))
    ends = np.flatnonzero(theirs["terminals"])[::2]  # doubled: the first of each pair
    np.testing.assert_array_equal(np.unique(ours.last), ends)


def test_data_of_goals_have_no_rewards(tmp_path):
    with pytest.raises(ConfigError, match="goals and no reward: `load_chunks`"):
        load_task("cube-double-play-oraclerep-v0", path=tmp_path / "none.npz")
