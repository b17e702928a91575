"""The one check of data: arrays from Python, keys that change a file's meaning, identity."""

import json

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from test_data_load import TASK, one_env, save, shared_env, solved, trajectories

from chunkrl import agents, cli, train
from chunkrl.data import check, chunks, dataset, load, load_chunks, load_task
from chunkrl.data.shards import Resident, identity
from chunkrl.envs.ogbench import tasks
from chunkrl.errors import ConfigError, DataError
from chunkrl.types import Dataset

__all__ = ["one_env", "shared_env"]  # fixtures
T = 60


def windows_data() -> Dataset:
    r = np.random.default_rng(0)
    arrays = (
        r.normal(size=(T, 3)),
        r.uniform(-1, 1, (T, 2)),
        r.normal(size=T),
        np.arange(T) % 7 > 0,
        np.arange(T) % 20 == 19,
        r.normal(size=(T, 3)),
    )
    return Dataset(*(np.asarray(x, np.float32) for x in arrays))


def chunks_data(goal=None):
    data = windows_data()
    last = chunks.final_rows(data.terminal > 0)
    return chunks.dataset(data.obs, data.action, data.reward, data.mask, last, 3, goal)


def put(name, index, value):
    def change(data):
        values = np.array(getattr(data, name))
        values[index] = value
        return data._replace(**{name: values})

    return change


def each(name, function):
    return lambda data: data._replace(**{name: function(getattr(data, name))})


BAD = {
    "longer": (each("obs", lambda x: np.vstack([x, x[:1]])), "'action' has 60 rows, 'obs' has 61"),
    "shorter": (each("reward", lambda x: x[:40]), "'reward' has 40 rows, 'obs' has 60"),
    "in a column": (
        each("mask", lambda x: x[:, None]),
        r"'mask' has the shape \(60, 1\).*\[rows\]",
    ),
    "flat": (each("action", lambda x: x[:, 0]), r"'action' has the shape \(60,\).*\[rows, width\]"),
    "no column": (each("obs", lambda x: x[:, :0]), r"'obs' has the shape \(60, 0\)"),
    "beyond 1": (put("action", (4, 1), -1.5), r"'action' is -1.5 at index \(4, 1\).*Rescale"),
    "mask of 0.5": (put("mask", 9, 0.5), "'mask' is 0.5 at index 9, not 0 or 1"),
    "NaN": (put("obs", (59, 2), np.nan), r"'obs' is nan at index \(59, 2\)"),
    "infinity": (put("reward", 3, -np.inf), "'reward' is -inf at index 3"),
    "flag of NaN": (put("mask", 3, np.nan), "'mask' is nan at index 3"),
    "beyond float32": (each("reward", lambda x: x * 1e300), "'reward' is -?inf at index 0"),
    "integers": (each("action", lambda x: x.astype(int)), "'action' has the type int64"),
    "text": (each("reward", lambda x: x.astype(str)), "'reward' has the type <U"),
    "objects": (each("obs", lambda x: x.astype(object)), "'obs' has the type object"),
    "ragged": (each("obs", lambda x: [[1.0], [1.0, 2.0]]), "'obs' is no array"),
    "nothing": (each("mask", lambda x: None), "'mask' has the type object"),
}


@pytest.mark.parametrize("make", [windows_data, chunks_data])
@pytest.mark.parametrize("kind", BAD)
def test_arrays_from_python_are_checked_as_files_are(make, kind):
    change, message = BAD[kind]
    data = make()
    wide = data._replace(obs=data.obs.astype(np.float64), reward=data.reward.astype(np.float64))
    with pytest.raises(DataError, match=message):
        Resident(change(wide))


ALONE = {
    "terminal of 2": (windows_data, each("terminal", lambda x: 2 * x), "'terminal' is 2.0 at"),
    "next_obs wide": (windows_data, each("next_obs", lambda x: np.hstack([x, x])), "6 columns"),
    "no rows": (lambda: Dataset(*(x[:0] for x in windows_data())), lambda d: d, r"shape \(0, 3\)"),
    "last float": (chunks_data, each("last", lambda x: x * 1.0), "'last' has the type float64"),
    "last beyond": (chunks_data, put("last", 5, 60), "'last' is 60 at index 5, .* 0 to 59"),
    "start beyond": (chunks_data, put("starts", 2, 60), "'starts' is 60 at index 2"),
    "start before": (chunks_data, put("starts", 0, -1), "'starts' is -1 at index 0"),
    "goal row beyond": (
        lambda: chunks_data(np.zeros((T, 2), np.float32)),
        put("goal_rows", 1, 99),
        "'goal_rows' is 99 at index 1",
    ),
    "no goal rows": (
        lambda: chunks_data(np.zeros((T, 2), np.float32)),
        each("goal_rows", lambda x: x[:0]),
        "no row in 'goal_rows'",
    ),
}


@pytest.mark.parametrize("kind", ALONE)
def test_what_one_layout_has_alone_is_checked_too(kind):
    make, change, message = ALONE[kind]
    with pytest.raises(DataError, match=message):
        Resident(change(make()))


@pytest.mark.parametrize("make", [windows_data, chunks_data])
@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.astype(np.float64) if x.dtype == np.float32 else x.astype(np.int64),
        lambda x: x > 0 if set(np.unique(x)) == {0.0, 1.0} else x,
        lambda x: x.astype(int) if set(np.unique(x)) == {0.0, 1.0} else x,
        jnp.asarray,
        np.asfortranarray,
        lambda x: x.tolist() if x.ndim == 1 and len(x) else x,
    ],
)
def test_what_means_the_same_is_the_same_data(make, change):
    """float64, flags of bool and int, lists, arrays on the device: accepted, of one identity."""
    data = make()
    other = type(data)(*map(change, data))
    found = Resident(other)
    assert found.identity == Resident(data).identity
    for ours, theirs in zip(found.at(0), data, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype


@pytest.mark.parametrize("make", [windows_data, lambda: chunks_data(np.ones((T, 2), np.float32))])
def test_every_array_is_part_of_the_identity(make):
    """One changed entry of any array, its shape, its type, or two entries that change places."""
    data = make()
    whole = identity(data)
    assert list(whole) == list(data._fields)
    json.dumps(whole)
    for name in data._fields:
        values = np.asarray(getattr(data, name))
        one = values.copy()
        one.flat[-1] = 1 - one.flat[-1]
        variants = [one, values[::-1], values[None], values.astype(np.float16), values[:-1]]
        for other in variants[: 5 if len(np.unique(values)) > 1 else 1]:
            found = identity(data._replace(**{name: other}))
            assert {key for key in whole if found[key] != whole[key]} == {name}


def agent(method="qc_fql", **changes):
    return agents.make(method, 3, 2, horizon=3, hidden=(8, 8), **changes)


MISFITS = {
    "wide obs": (
        lambda d: d._replace(obs=np.ones((T, 4)), next_obs=np.ones((T, 4))),
        "obs_dim = 3",
    ),
    "wide action": (each("action", lambda x: x[:, :1]), "action_dim = 2"),
    "too short": (lambda d: Dataset(*(x[:2] for x in d)), "2 transitions hold no window of 3"),
    "of chunks": (
        lambda _: chunks_data(),
        "cannot draw batches from this ChunkDataset .*no attribute",
    ),
    "a dictionary": (lambda d: d._asdict(), "cannot draw batches from this dict"),
}


@pytest.mark.parametrize("kind", MISFITS)
def test_data_that_do_not_fit_the_agent(kind):
    change, message = MISFITS[kind]
    with pytest.raises(ConfigError, match=message):
        train.fit(agent(), change(windows_data()), 10, 8, every=10, progress=False)


def test_chunks_that_do_not_fit_the_agent():
    mac = agent("mac")
    check.fits(mac, chunks_data(), 8)
    with pytest.raises(ConfigError, match=r"cannot draw batches from this Dataset"):
        check.fits(mac, windows_data(), 8)
    with pytest.raises(ConfigError, match=r"'goal' has 2 columns.*goal_dim = 0"):
        check.fits(mac, chunks_data(np.ones((T, 2), np.float32)), 8)
    with pytest.raises(
        ConfigError, match=r"a chunk of 3 actions from row 57 .* beyond the 60 rows"
    ):
        check.fits(mac, chunks_data()._replace(starts=np.array([1, 57], np.int32)), 8)


# What files mean.


def equal(found: dict, wanted: dict):
    assert found.keys() == wanted.keys()
    for key, values in wanted.items():
        np.testing.assert_array_equal(found[key], values, err_msg=key)
        assert found[key].dtype == values.dtype


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    seed=st.integers(0, 9),
    cut=st.sampled_from(["timeouts", "truncations"]),
)
def test_layouts_saved_again_and_marks_of_time_limits_are_understood(
    tmp_path_factory, lengths, seed, cut
):
    """The regular reading, the compact reading, and ends divided between two keys: one meaning."""
    folder = tmp_path_factory.mktemp("layouts")
    arrays = trajectories(lengths, seed=seed)
    path = save(folder, arrays)
    regular, compact = load(path), load(path, compact=True)
    some = np.random.default_rng(seed).uniform(size=len(arrays["terminals"])) < 0.5
    split = lambda ends: {"terminals": ends & some[: len(ends)], cut: ends & ~some[: len(ends)]}
    again = {
        "regular": regular,
        "compact": compact,
        "divided": arrays | split(arrays["terminals"]),
        "both": arrays | {cut: arrays["terminals"]},
        "regular and divided": regular | split(regular["terminals"] > 0),
    }
    for name, saved in again.items():
        other = save(folder, saved, f"{name}.npz")
        equal(load(other), regular)
        found = load(other, compact=True)
        assert found.keys() == compact.keys()
        real = compact["valids"] > 0
        for key in compact:  # of a last state, the layout of transitions keeps the observation only
            kept = real | (key in ("observations", "terminals", "valids") or "regular" not in name)
            np.testing.assert_array_equal(found[key][kept], compact[key][kept], err_msg=key)
    assert load_lengths(other) == lengths


def load_lengths(path) -> list[int]:
    ends = np.flatnonzero(load(path)["terminals"])
    return np.diff(ends, prepend=-1).tolist()


def test_own_rewards_come_with_the_file_and_time_limits_are_no_success(tmp_path):
    arrays = trajectories([3, 4], {"observations": 2, "actions": 1})
    rewards = np.arange(9)
    ends = arrays.pop("terminals")
    marks = {"terminals": ends & (np.arange(9) < 5), "timeouts": ends & (np.arange(9) > 5)}
    found = load(save(tmp_path, arrays | marks | {"rewards": rewards}))
    np.testing.assert_array_equal(found["rewards"], [0, 1, 2, 4, 5, 6, 7])
    assert found["masks"].sum() == 7  # the row that terminates is a last state: it leads nowhere
    rows = load(save(tmp_path, arrays | marks | {"rewards": rewards}), compact=True)
    np.testing.assert_array_equal(np.flatnonzero(rows["masks"] == 0), [3])
    given = load(save(tmp_path, arrays | marks | {"rewards": rewards, "masks": rewards > 4}))
    np.testing.assert_array_equal(given["masks"], [0, 0, 0, 0, 1, 1, 1])
    assert "masks" not in load(save(tmp_path, arrays | {"terminals": ends, "rewards": rewards}))


STRANGE = {
    "valids elsewhere": ({"valids": lambda e: np.roll(~e, 1)}, "'valids' and 'terminals' disagree"),
    "valids of 2": ({"valids": lambda e: e * 2}, "'valids' is 2 at index 7, not 0 or 1"),
    "timeouts of 3": ({"timeouts": lambda e: e * 3}, "'timeouts' is 3 at index 7"),
    "timeouts in a column": ({"timeouts": lambda e: e[:, None]}, r"'timeouts' .* \(12, 1\)"),
    "masks of 0.5": ({"masks": lambda e: e * 0.5}, "'masks' is 0.5 at index 7"),
    "rewards of NaN": (
        {"rewards": lambda e: np.where(e, np.nan, 0)},
        "'rewards' is nan at index 7",
    ),
    "short rewards": ({"rewards": lambda e: np.zeros(3)}, "'rewards' has 3 rows, 'obs.* 12"),
    "states that follow none": (
        {"next_observations": lambda e: np.zeros((12, 28), np.float32)},
        "row 0 of 'next_observations' is not row 1 of 'observations'.*Mark each end",
    ),
    "narrow next_observations": (
        {"next_observations": lambda e: np.zeros((12, 2), np.float32)},
        r"'next_observations' has the shape \(12, 2\)",
    ),
    "both layouts": (
        {"next_observations": lambda e: np.zeros((12, 28), np.float32), "valids": lambda e: ~e},
        "leave one of them out",
    ),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_keys_that_cannot_be_meant_are_named(tmp_path, kind):
    changes, message = STRANGE[kind]
    arrays = trajectories([7, 3])
    arrays |= {key: change(arrays["terminals"]) for key, change in changes.items()}
    with pytest.raises(DataError, match=message):
        load(save(tmp_path, arrays))


@pytest.mark.parametrize("name", dataset.OTHER_NAMES)
def test_names_of_other_collections_are_answered_with_ours(tmp_path, name):
    arrays = trajectories([3], {"observations": 2, "actions": 1})
    path = save(tmp_path, arrays | {name: arrays["terminals"]})
    with pytest.raises(DataError, match=f"'{name}'.* under the name '{dataset.OTHER_NAMES[name]}'"):
        load(path)


@pytest.mark.parametrize("masks", [True, False])
def test_rewards_of_the_file_are_used_where_nothing_else_scores_it(tmp_path, one_env, masks):
    arrays = trajectories([9], {"observations": 28, "actions": 5})
    arrays |= {"rewards": np.arange(10.0)} | ({"masks": np.arange(10) != 4} if masks else {})
    path = save(tmp_path, arrays)
    if not masks:
        with pytest.raises(DataError, match="rewards of its own, but no 'masks'"):
            load_task(TASK, path=path)
        return
    data = load_task(TASK, path=path)
    np.testing.assert_array_equal(data.reward, np.arange(9))
    np.testing.assert_array_equal(data.mask, np.arange(9) != 4)
    found = load_chunks(TASK, path, 3)
    np.testing.assert_array_equal(found.reward, np.arange(10))
    with pytest.raises(DataError, match="'actions' has 2 columns"):
        load_task(TASK, path=save(tmp_path, arrays | {"actions": arrays["actions"][:, :2]}))


@pytest.mark.parametrize("key", ["rewards", "masks"])
def test_rewards_beside_the_simulators_state_are_not_used_and_that_is_said(tmp_path, one_env, key):
    arrays = trajectories([9])
    plain = load_task(TASK, path=save(tmp_path, arrays))
    path = save(tmp_path, arrays | {key: np.ones(10)})
    with pytest.warns(UserWarning, match=f"{key} of its own, which are not used: .*qpos"):
        found = load_task(TASK, path=path)
    np.testing.assert_array_equal(found.reward, plain.reward)


def test_data_check_says_what_the_keys_mean(tmp_path, one_env, capsys):
    arrays = trajectories([9, 4])
    arrays |= {"timeouts": arrays["terminals"], "rewards": np.ones(15), "weather": np.zeros(3)}
    path = save(tmp_path, arrays)
    cli.check(path)
    out = capsys.readouterr().out
    assert f"{path}: 13 transitions\n" in out
    assert "'timeouts' marks trajectories that a time limit ended" in out
    assert "'rewards' is the file's own" in out
    assert "not read: 'weather'" in out
    cli.check(save(tmp_path, trajectories([3])))
    assert len(capsys.readouterr().out.splitlines()) == 1
    env = tasks.make_env(tasks.get(TASK))
    with pytest.warns(UserWarning, match="not used"):
        cli.check(save(tmp_path, solved(arrays, env, [2])), TASK)
    assert "13 transitions, 1 in solved states" in capsys.readouterr().out


def test_reading_makes_no_second_copy_of_the_arrays(tmp_path):
    """Peak of Python's own count of memory, for a file of 23 MB and a result of 31 MB."""
    import tracemalloc

    path = tmp_path / "data.npz"
    np.savez(path, **trajectories([1000] * 80))
    tracemalloc.start()
    arrays = load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * sum(values.nbytes for values in arrays.values())


def test_jax_arrays_stay_where_they_are():
    data = jax.tree.map(jnp.asarray, windows_data())
    assert all(a is b for a, b in zip(check.dataset(data), data, strict=True))
