"""Drift of chunk models: harness on worlds with known answers, training, the stored rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunkrl.agents.dynamics import ChunkModel
from chunkrl.course.explorers import cube_drift, robot_values
from chunkrl.errors import ConfigError, DataError
from chunkrl.measure.drift import segments, squared_error, unroll
from chunkrl.results import model_drift as model_error
from chunkrl.results.model_drift import rows_of
from chunkrl.types import ChunkBatch


@pytest.fixture
def logs():
    """Two trajectories of a linear world; the last number of each row names its trajectory."""
    rng = np.random.default_rng(0)
    obs, action, ends = [], [], []
    for name, steps in ((0.0, 23), (1.0, 40)):
        state = rng.normal(size=2)
        for t in range(steps + 1):
            obs.append([*state, name])
            action.append(rng.uniform(-1, 1, 2))
            ends.append(t == steps)
            state = 0.9 * state + action[-1]
    return np.array(obs, np.float64), np.array(action), np.array(ends)


def truth(h: int):
    """The perfect model of h steps."""

    def predict(obs, chunk):
        for action in np.split(chunk, h, axis=1):
            obs = np.concatenate([0.9 * obs[:, :2] + action, obs[:, 2:]], axis=1)
        return obs

    return predict


def test_segments_are_of_one_trajectory_and_in_order(logs) -> None:
    obs, action, ends = logs
    pieces = segments(obs, action, ends, 10)
    assert pieces.obs.shape == (2 + 4, 11, 3)
    assert pieces.action.shape == (6, 10, 2)
    assert (pieces.obs[..., 2] == pieces.obs[:, :1, 2]).all()
    assert pieces.obs[:, 0, 2].tolist() == [0, 0, 1, 1, 1, 1]
    moved = 0.9 * pieces.obs[:, :-1, :2] + pieces.action
    np.testing.assert_allclose(pieces.obs[:, 1:, :2], moved)
    with pytest.raises(ConfigError, match="no trajectory has 41 steps"):
        segments(obs, action, ends, 41)


@pytest.mark.parametrize("chunk", [1, 2, 5, 10])
def test_a_perfect_model_has_no_error(logs, chunk: int) -> None:
    pieces = segments(*logs, 10)
    error = squared_error(unroll(truth(chunk), pieces, chunk), pieces, chunk)
    assert error.shape == (10 // chunk + 1, 3)
    np.testing.assert_allclose(error, 0.0, atol=1e-25)
    with pytest.raises(ConfigError, match="whole number of chunks of 3"):
        unroll(truth(3), pieces, 3)


def test_a_planted_error_comes_back(logs) -> None:
    """Each call adds 0.1 to the first number, which then shrinks by 0.9 a step."""
    pieces = segments(*logs, 10)

    def wrong(obs, chunk):
        return truth(5)(obs, chunk) + np.array([[0.1, 0.0, 0.0]])

    error = squared_error(unroll(wrong, pieces, 5), pieces, 5)
    np.testing.assert_allclose(error[:, 0], [0, 0.1**2, (0.1 + 0.1 * 0.9**5) ** 2], atol=1e-15)
    np.testing.assert_allclose(error[:, 1:], 0.0, atol=1e-25)


def test_open_loop_means_that_later_states_are_not_read(logs) -> None:
    pieces = segments(*logs, 10)
    blind = pieces._replace(obs=np.concatenate([pieces.obs[:, :1], np.nan * pieces.obs[:, 1:]], 1))
    np.testing.assert_array_equal(unroll(truth(2), blind, 2), unroll(truth(2), pieces, 2))


def test_rows_count_in_centimetres() -> None:
    """An error of 0.3, 0.4 in two numbers with scales 1 and 0.5, in units of 10 cm."""
    miss, scale = np.zeros((2, 28)), np.ones(28)
    miss[1, 12], miss[1, 20], scale[20] = 0.3**2, 0.4**2, 0.5
    still, moved = rows_of(miss, scale, 25, 3, 7)
    assert (still["step"], still["mse"], still["hand_cm"]) == (0, 0, 0)
    assert (moved["chunk"], moved["seed"], moved["step"]) == (25, 3, 25)
    assert moved["updates"] == 7
    assert moved["mse"] == pytest.approx((0.09 + 0.16) / 28)
    assert moved["hand_cm"] == pytest.approx(3.0)
    assert moved["cube_cm"] == pytest.approx(2.0)


def test_the_model_predicts_the_change_and_its_loss_is_the_mean_square() -> None:
    model = ChunkModel(3, 2, chunk=4, hidden=(8, 8))
    state = model.init(jax.random.key(0))
    obs, chunk = jnp.ones((5, 3)), jnp.ones((5, 8))
    silent = jax.tree.map(jnp.zeros_like, state.params)
    np.testing.assert_array_equal(model.predict(silent, obs, chunk), obs)
    zero = jnp.zeros(5)
    batch = ChunkBatch(obs, chunk, zero, zero, obs + jnp.arange(3.0)[None], obs, obs)
    assert model.loss(silent, batch)[0] == pytest.approx((0 + 1 + 4) / 3)


def write_data(folder, rng) -> None:
    """Files of the right form: a random walk that the actions push, seen through 28 sensors."""
    mix = rng.normal(size=(5, 28)).astype("f4")
    for name, count in (("", 30), ("-val", 6)):
        action = rng.uniform(-1, 1, (count, 121, 5)).astype("f4")
        push = np.pad(action[:, :-1].cumsum(1), ((0, 0), (1, 0), (0, 0)))
        obs = push @ mix
        terminals = np.zeros((count, 121), "f4")
        terminals[:, -1] = 1
        flat = {
            "observations": obs.reshape(-1, 28),
            "actions": action.reshape(-1, 5),
            "terminals": terminals.ravel(),
        }
        np.savez(folder / f"cube-single-play-v0{name}.npz", **flat)


def test_the_command_trains_measures_and_writes(tmp_path, monkeypatch) -> None:
    """A linear world is learned: after training the error is far below that of standing still."""
    monkeypatch.setenv("CHUNKRL_DATA", str(tmp_path))
    write_data(tmp_path, np.random.default_rng(0))
    out = tmp_path / "out.csv"
    model_error.main(
        out, transitions=None, chunk_lengths=(10,), seeds=(0, 1), updates=300, hidden=(64,), lr=0.01
    )
    rows = model_error.stored(300, out)
    assert cube_drift.chunks_of(rows) == [10]
    assert len(rows) == 101 + 2 * 11
    still, ten = cube_drift.curve(rows, 0), cube_drift.curve(rows, 10)
    assert still[10, 0] == ten[1, 0] == 10
    assert ten[1, 1] < 0.2 * still[10, 1]
    assert ten[-1, 0] == 100
    assert ten[-1, 2] > 0
    mine = cube_drift.of(rows)
    assert "steps per call: 10: " in mine.alt()
    assert "over 2 seeds" in mine.alt()
    assert mine.png() != cube_drift.CUBE_DRIFT.png()
    first = [row["mse"] for row in rows if row["step"] == 0]
    assert first == [0.0] * 3


def test_rows_after_other_numbers_of_updates_stay(tmp_path, monkeypatch) -> None:
    still = rows_of(np.zeros((1, 28)), np.ones(28), 0, 0)
    monkeypatch.setattr(model_error, "standing_still", lambda data: still)
    fake = lambda data, model, seeds, updates, size: rows_of(
        np.full((1, 28), float(len(seeds))), np.ones(28), model.chunk, 0, updates
    )
    monkeypatch.setattr(model_error, "measure", fake)
    logs = {"observations": np.zeros((2, 28)), "actions": np.zeros((2, 5))}
    monkeypatch.setattr(model_error, "read", lambda *_: model_error.Data(logs, logs, None))
    out = tmp_path / "out.csv"
    for updates, seeds in ((100, (0,)), (200, (0, 1)), (100, (0, 1, 2))):
        model_error.main(out, chunk_lengths=(5,), seeds=seeds, updates=updates)
    for updates, value in ((100, 3.0), (200, 2.0)):
        found = model_error.stored(updates, out)
        assert [(row["chunk"], row["mse"]) for row in found] == [(0, 0.0), (5, value)]
    foreign = tmp_path / "foreign.csv"
    foreign.write_text("chunk,mse\n5,1.0\n")
    with pytest.raises(DataError, match="no column 'updates'"):
        model_error.stored(path=foreign)


def test_seeds_by_hand() -> None:
    rows = [
        {"chunk": 5.0, "seed": s, "step": 5.0, "mse": m} for s, m in ((0, 1.0), (1, 2.0), (2, 6.0))
    ]
    assert cube_drift.curve(rows, 5).tolist() == [[5, 3, 1, 6]]  # step, mean, smallest, largest
    with pytest.raises(ConfigError, match="chunks of 7"):
        cube_drift.curve(rows, 7)


class TestStored:
    """The measurements that come with the package."""

    @pytest.mark.parametrize("updates", [3000, 10_000])
    def test_form(self, updates: int) -> None:
        rows = model_error.stored(updates)
        assert cube_drift.chunks_of(rows) == [1, 5, 10, 25]
        for chunk in (1, 5, 10, 25):
            mine = [row for row in rows if row["chunk"] == chunk]
            assert {row["seed"] for row in mine} == {0, 1, 2}
            assert len(mine) == 3 * (100 // chunk + 1)
            assert [row["step"] for row in mine[: 100 // chunk + 1]] == list(range(0, 101, chunk))
            assert all(row["mse"] == 0 for row in mine if row["step"] == 0)
            assert all(row["mse"] > 0 for row in mine if row["step"] > 0)

    def test_a_missing_file_names_its_command(self, tmp_path) -> None:
        with pytest.raises(DataError, match=r"python -m chunkrl\.results\.model_drift"):
            model_error.stored(path=tmp_path / "none.csv")

    @pytest.mark.parametrize("quantity", cube_drift.QUANTITIES)
    def test_the_picture_says_what_it_shows(self, quantity: str) -> None:
        alt = cube_drift.CUBE_DRIFT.alt(quantity=quantity)
        assert cube_drift.QUANTITIES[quantity] in alt
        assert "steps per call: 1:" in alt
        assert "over 3 seeds" in alt

    def test_an_amount_of_training_is_a_picture_of_its_own(self) -> None:
        few, many = (cube_drift.CUBE_DRIFT.numbers(updates=u) for u in ("3000", "20000"))
        assert set(few.curves) == {1, 5, 10, 25}
        assert set(many.curves) == {1, 10}
        assert many.series == {1: 0, 10: 2}  # the marks that these have in the other pictures
        assert few.last[1] > 100 * many.last[1]
        assert "one seed" in cube_drift.CUBE_DRIFT.alt(updates="20000")

    def test_what_notebook_10_says_of_training(self) -> None:
        """The chunk model is ahead at every size; its lead shrinks from hundreds to about three."""
        lead = []
        for updates in (3000, 10_000, 20_000):
            found = cube_drift.CUBE_DRIFT.numbers(quantity="cube_cm", updates=str(updates)).last
            lead.append(found[1] / found[10])
        later = robot_values.drifts(robot_values.record())
        assert robot_values.record().about["updates"] == 60_000
        lead.append(later[1].mean[-1] / later[10].mean[-1])
        assert (np.diff(lead) < 0).all()
        assert lead[0] > 250
        assert 2.5 < lead[-1] < 3.5
        assert later[1].low[-1] > later[10].high[-1]  # every seed
        for updates in (3000, 10_000):
            calls = cube_drift.CUBE_DRIFT.numbers(updates=str(updates))
            assert calls.curves[1][1, 1] < min(calls.curves[h][1, 1] for h in (5, 10, 25))
            off = np.sqrt(calls.last[1])  # standard deviations of the data
            assert round(float(off), 1) == {3000: 28.7, 10_000: 4.4}[updates]
