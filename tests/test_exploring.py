"""Notebook 16: times to the first success by other ways, collected rows, stored runs."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from chunkrl.course.builds import nb16
from chunkrl.course.exercises.nb16 import wrong_collect
from chunkrl.course.explorers import EXPLORERS, online_curves, wandering
from chunkrl.course.worlds import wander
from chunkrl.course.worlds.collecting import Corridor, Held, collect
from chunkrl.errors import ConfigError, DataError
from chunkrl.measure import traces
from chunkrl.results import online_runs, online_scene
from chunkrl.tabular.chunks import chunk_table
from chunkrl.tabular.mdp import MDP, policy_value
from chunkrl.tabular.worlds import lock
from chunkrl.types import Dataset

ENDLESS = float("inf")


def by_chunks(transition, law, h: int) -> float:
    """Mean steps by a law of whole chunks [S, 2^h], each followed step by step."""
    length = len(transition) - 1
    through, steps = np.zeros((length, length)), np.zeros(length)
    for chance, chunk in zip(law[:-1].T, chunk_table(2, h), strict=True):
        now = np.diag(chance)
        for action in chunk:
            steps += now.sum(-1)
            now = now @ transition[:-1, action, :-1]
        through += now
    return float(np.linalg.solve(np.eye(length) - through, steps)[0])


@pytest.mark.parametrize("length", [1, 2, 8])
def test_dithering_takes_l_times_l_plus_one_whatever_slips(length: int) -> None:
    for slip in (0.0, 0.3, 0.5):
        world = wander.corridor(length, slip)
        for h in (1, 4):
            found = wander.expected_steps(world, wander.dithering(length + 1), h)
            assert found == pytest.approx(length * (length + 1))


def test_the_examples_by_hand() -> None:
    two, three, hand = wander.corridor(2), wander.corridor(3), wander.held
    assert wander.expected_steps(two, hand(3), 1) == pytest.approx(6)
    assert wander.expected_steps(two, hand(3), 2) == pytest.approx(4)
    assert wander.expected_steps(three, hand(4), 2) == pytest.approx(11)
    for h in (8, 9, 30, 64):  # half of the holds press against the wall
        assert wander.expected_steps(wander.corridor(8), hand(9), h) == pytest.approx(8 + h)


@pytest.mark.parametrize(("keep", "slip", "h"), [(1.0, 0.0, 3), (0.9, 0.2, 4), (0.3, 0.1, 5)])
def test_a_hand_types_the_chunks_of_its_law(keep: float, slip: float, h: int) -> None:
    """Each of the 2^h chunks with its probability, in both worlds."""
    table = chunk_table(2, h)
    switches = (np.diff(table, axis=1) != 0).sum(1)
    chance = 0.5 * keep ** (h - 1 - switches) * (1 - keep) ** switches
    assert chance.sum() == pytest.approx(1)
    law = np.tile(chance, (6, 1))
    for world in (wander.corridor(5, slip), lock(5, slip, secret=3).mdp.transition):
        found = wander.expected_steps(world, wander.held(6, keep), h)
        assert found == pytest.approx(by_chunks(world, law, h)) or np.isinf(found)


@pytest.mark.parametrize(("slip", "h"), [(0.0, 1), (0.2, 1), (0.2, 4)])
def test_chunks_of_the_logs_are_those_that_the_logs_hold(slip: float, h: int) -> None:
    """Against every logged way, one by one; with h = 1 it is the hand itself."""
    world = lock(4, slip, 0.7)
    transition, behaviour = world.mdp.transition, world.behaviour
    law = np.zeros((5, 2**h))
    for c, chunk in enumerate(chunk_table(2, h)):
        now = np.eye(5)
        for action in chunk:
            now = (now * behaviour[:, action]) @ transition[:, action]
        law[:, c] = now.sum(-1)
    found = wander.expected_steps(transition, wander.logged(transition, behaviour), h)
    assert found == pytest.approx(by_chunks(transition, law, h))
    if h == 1:
        undiscounted = MDP(transition, world.mdp.reward, 1 - 1e-10)
        assert found == pytest.approx(-policy_value(undiscounted, behaviour)[0], rel=1e-5)


def test_without_luck_logs_are_as_fast_in_chunks_as_one_by_one() -> None:
    world = lock(8, 0.0, 0.7)
    hand = wander.logged(world.mdp.transition, world.behaviour)
    times = [wander.expected_steps(world.mdp.transition, hand, h) for h in (1, 2, 5, 30)]
    assert times == pytest.approx([times[0]] * 4)


def test_what_can_never_arrive_is_endless() -> None:
    world = lock(8, 0.0)
    assert wander.expected_steps(world.mdp.transition, wander.held(9), 2) == ENDLESS
    assert wander.surviving(world.mdp.transition, wander.held(9), 2, 500)[-1] == 1.0
    assert wander.expected_steps(wander.corridor(3, 1.0), wander.held(4), 2) < ENDLESS


@pytest.mark.parametrize("world", [wandering.CORRIDOR, wandering.LOCK])
@pytest.mark.parametrize(("h", "slip"), [(5, 0.1), (8, 0.2)])
def test_three_ways_to_a_time_agree(world: str, h: int, slip: float) -> None:
    """Linear system, sum of survivors, walks."""
    transition, hands = wandering.setting(world, slip)
    for hand in hands.values():
        exact = wander.expected_steps(transition, hand, h)
        assert wander.surviving(transition, hand, h, 4_000).sum() == pytest.approx(exact, rel=1e-3)
        took = wander.walks(transition, hand, h, 1_000, 4_000, np.random.default_rng(1))
        assert abs(took.mean() - exact) < 5 * took.std() / np.sqrt(1_000)


def test_the_explorer_says_when_chunks_help_and_when_they_do_not() -> None:
    """What notebook 16 claims of its figure."""
    explorer = EXPLORERS["wandering"]
    dither, held, logs = explorer.numbers().steps[:, 7]
    assert (round(dither), round(held), round(logs)) == (72, 16, 25)
    level = explorer.numbers(slip=0.5).steps[2]
    np.testing.assert_allclose(level, 72.0)  # a step that goes anywhere keeps nothing
    slips = explorer.numbers(world=wandering.LOCK, slip=0.2)
    assert (np.diff(slips.steps[2]) > 0).all()
    never = explorer.numbers(world=wandering.LOCK).steps[1]
    assert (never[1::2] == wandering.NEVER).all()
    assert (never[::2] < 200).all()


def test_settings_that_are_none() -> None:
    with pytest.raises(ConfigError, match="slip"):
        wander.corridor(8, 1.5)
    with pytest.raises(ConfigError, match="h=0"):
        wander.expected_steps(wander.corridor(2), wander.dithering(3), 0)


class TestCollecting:
    def test_rows_are_one_walk_cut_at_the_ends(self) -> None:
        rows = np.array(collect(Corridor(4, 0.2, 9, seed=3), Held(3, seed=5), 500))
        obs, _, reward, mask, terminal, after = rows.T
        ends = terminal[:-1] == 1
        assert (obs[1:][ends] == 0).all()
        np.testing.assert_array_equal(obs[1:][~ends], after[:-1][~ends])
        np.testing.assert_array_equal(mask == 0, after == 4)
        np.testing.assert_array_equal(reward, np.where(after == 4, 0.0, -1.0))
        lengths = np.diff(np.flatnonzero(np.r_[1, terminal]))
        assert lengths.max() == 9
        assert (terminal >= 1 - mask).all()
        assert ((terminal == 1) & (mask == 1)).any()

    def test_a_chunk_is_played_to_its_end_or_that_of_the_episode(self) -> None:
        """Actions change only where a chunk of that episode is over."""
        rows = np.array(collect(Corridor(30, 0.0, 10, seed=0), Held(4, seed=1), 400))
        since = np.arange(400) % 10  # no episode is solved in 10 steps
        changes = np.flatnonzero(np.diff(rows[:, 1])) + 1
        assert set(since[changes] % 4) == {0}
        assert 0 in since[changes]

    @pytest.mark.parametrize("h", [1, 4, 16])
    def test_collected_numbers_are_the_exact_ones(self, h: int) -> None:
        at = nb16.LENGTHS.index(h)
        rows = collect(Corridor(nb16.CELLS, nb16.SLIP, nb16.LONGEST, 7), Held(h, 8), 40_000)
        np.testing.assert_allclose(nb16.told(np.array(rows)), nb16.EXACT[:, at], rtol=0.08)

    def test_each_mistake_shows_in_a_panel_of_its_own(self) -> None:
        off = {
            mistake: np.abs(nb16.run(wrong_collect(mistake)) / nb16.EXACT - 1)[:, 3:].min(1) > 0.25
            for mistake in ("queue", "every step", "mask", "terminal", "next")
        }
        assert off["queue"].tolist() == [False, False, False, True]
        assert off["mask"].tolist() == [False, True, False, False]
        assert off["next"].tolist() == [True, False, False, False]
        assert off["terminal"].tolist()[1:3] != off["mask"].tolist()[1:3] or off["terminal"][2]
        assert off["every step"][:2].all()


OGBENCH = (0.425, 0.0, 0.0)


def met(lengths, solved, length: int = 28):
    """Episodes of a hand that goes 1 cm a step along y, turning half-way in those not solved."""
    parts = []
    for n, done in zip(lengths, solved, strict=True):
        t = np.arange(n + 1)
        y = t if done else np.minimum(t, n - t)
        obs = np.zeros((n + 1, length), np.float32)
        obs[:, 13] = 0.01 * y / 0.1
        last = (np.arange(n) == n - 1).astype(np.float32)
        zero = np.zeros(n, np.float32)
        parts.append(
            Dataset(obs[:-1], np.zeros((n, 5), np.float32), zero, 1 - last * done, last, obs[1:])
        )
    return Dataset(*map(np.concatenate, zip(*parts, strict=True)))


def test_motion_is_that_of_whole_episodes_by_bin(monkeypatch) -> None:
    monkeypatch.setattr(online_runs, "BIN", 100)
    rows = met((40, 80, 20, 7), (True, False, True, True))
    found = {(m.begin, m.over): m for m in online_runs.motions("a", 3, rows)}
    assert {begin for begin, _ in found} == {0, 100}
    everything = found[0, online_runs.ALL]
    assert (everything.method, everything.seed, everything.episodes) == ("a", 3, 2)
    assert everything.way == pytest.approx(5.0, abs=1e-3)
    back = traces.direction(np.minimum(np.arange(81), 80 - np.arange(81))[:, None])
    assert everything.cosine == pytest.approx((1 + back) / 2, abs=1e-3)
    assert found[0, online_runs.SUCCESSFUL].episodes == 1
    assert found[0, online_runs.BEGINNINGS].cosine == pytest.approx(1.0, abs=1e-3)
    late = found[100, online_runs.ALL]  # 7 steps are less than two moves
    assert (late.episodes, late.cosine) == (1, pytest.approx(1.0, abs=1e-3))
    first, done, path = next(online_runs.episodes(rows))
    assert (first, done, len(path)) == (0, True, 41)
    np.testing.assert_allclose(path[0], OGBENCH)
    np.testing.assert_allclose(path[-1], [0.425, 0.4, 0.0], atol=1e-6)


def test_an_unfinished_episode_is_left_out_and_none_is_nan() -> None:
    rows = met((40,), (False,))
    rows.terminal[:] = 0
    assert all(m.episodes == 0 and np.isnan(m.way) for m in online_runs.motions("a", 0, rows))


def test_evaluations_count_what_was_collected_since_the_last() -> None:
    rows = [
        {"step": 10, "seed": 1, "success": 0.25, "episodes": 8},
        {"step": 15, "seed": 1, "online": 5, "collected": 2, "collected_success": 0.5},
        {"step": 15, "seed": 2, "online": 5, "collected": 7, "collected_success": 1.0},
        {"step": 18, "seed": 1, "online": 8, "collected": 0},
        {"step": 20, "seed": 1, "online": 10, "collected": 3, "collected_success": 1.0}
        | {"success": 0.5, "episodes": 8},
    ]
    assert [tuple(row) for row in online_runs.evaluations("a", rows)] == [
        ("a", 1, "offline", 10, 0, 8, 2, 0, 0),
        ("a", 1, "online", 20, 10, 8, 4, 5, 4),
    ]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Storage of its own, with nothing in it."""
    loads = online_runs.load_curves, online_runs.load_motion
    monkeypatch.setattr(online_runs, "CURVES", tmp_path / "runs.csv")
    monkeypatch.setattr(online_runs, "MOTION", tmp_path / "motion.csv")
    for load in loads:
        load.cache_clear()
    yield
    for load in loads:
        load.cache_clear()


def test_folders_are_stored_and_read_back(elsewhere, tmp_path, monkeypatch) -> None:
    """Two files of one run with two seeds; another one with a chunk length of its own."""
    for name in ("a", "b"):
        folder = tmp_path / name / "online"
        folder.mkdir(parents=True)
        whole = met((40, 20), (True, False))
        for part in (slice(0, 30), slice(30, 60)):
            arrays = {k: np.stack([x[part]] * 2) for k, x in whole._asdict().items()}
            np.savez(folder / f"{part.stop:09d}.npz", **arrays)

    def load(folder):
        config = {"method": "qc_fql", "seeds": [4, 5], "settings": {}}
        config["settings"] = {"horizon": 10} if folder.name == "b" else {}
        rows = [
            {"step": 60, "seed": s, "online": 60, "success": 1.0, "episodes": 2} for s in (4, 5)
        ]
        return SimpleNamespace(config=config, rows=rows)

    monkeypatch.setattr("chunkrl.experiments.experiment.load", load)
    online_runs.main((tmp_path / "b", tmp_path / "a"))
    assert {(row.method, row.seed) for row in online_runs.load_curves()} == {
        (name, seed) for name in ("qc_fql", "qc_fql_h10") for seed in (4, 5)
    }
    motion = online_runs.load_motion()
    assert {m.over: m.episodes for m in motion if m.seed == 4} == {
        online_runs.ALL: 2, online_runs.SUCCESSFUL: 1, online_runs.BEGINNINGS: 2,
    }  # fmt: skip
    with pytest.raises(ConfigError, match="train it with --online"):
        online_runs.collected(tmp_path)


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """Storage of its own for the second task."""
    monkeypatch.setattr(online_scene, "FILE", tmp_path / "scene.csv")
    online_scene.load.cache_clear()
    yield tmp_path / "scene.csv"
    online_scene.load.cache_clear()


def test_runs_of_the_second_task_are_stored_by_their_last_evaluation(scene, monkeypatch) -> None:
    """Of those on logs alone the last counts; a run of another task is refused."""

    def load(folder):
        told = {"episodes": 4}
        rows = [{"step": 10, "seed": seed, "success": 0.25 * seed, **told} for seed in (0, 1)] + [
            {"step": 20, "seed": seed, "success": 0.5, **told} for seed in (0, 1)
        ]
        rows += [{"step": 15_020, "online": 15_000, "seed": 1, "success": 1.0, **told}]
        task = online_scene.TASK if folder.name == "scene" else "cube"
        return SimpleNamespace(config={"method": "qc_fql", "task": task}, rows=rows)

    with pytest.raises(DataError, match="online_scene RUN_FOLDERS"):
        online_scene.load()
    monkeypatch.setattr("chunkrl.experiments.experiment.load", load)
    with pytest.raises(ConfigError, match="is of cube"):
        online_scene.main((Path("cube"),))
    online_scene.main((Path("scene"),))
    assert {m: r.tolist() for m, r in online_scene.rates(0).items()} == {"qc_fql": [0.5, 0.5]}
    assert {m: r.tolist() for m, r in online_scene.rates(15_000).items()} == {"qc_fql": [1.0]}
    for given in ((), (Path("scene"),)):
        with pytest.raises(ConfigError, match="alone"):
            online_scene.main(given, figure=scene if given else None)


def test_missing_files_name_the_command(elsewhere) -> None:
    for load in (online_runs.load_curves, online_runs.load_motion):
        with pytest.raises(DataError, match="online_runs RUN_FOLDERS"):
            load()


def test_the_stored_runs_are_whole() -> None:
    """Nobody succeeds more often than they try; every run has all its bins."""
    curves, motion = online_runs.load_curves(), online_runs.load_motion()
    runs = {(row.method, row.seed) for row in curves}
    assert {"qc_fql", "fql"} <= {method for method, _ in runs}
    assert len(runs) * len({(m.begin, m.over) for m in motion}) == len(motion) == len(set(motion))
    for row in curves:
        assert 0 <= row.successes <= row.episodes

        assert 0 <= row.collected_successes <= row.collected
        assert (row.phase == online_runs.OFFLINE) == (row.online == 0)
    for row in motion:
        assert np.isfinite(row.way) == (row.episodes > 0)
        assert not row.way > 30.0
        assert not abs(row.cosine) > 1.0


def test_the_explorer_shows_what_is_stored() -> None:
    rows = [r for r in online_runs.load_curves() if r.method == "qc_fql" and r.online == 5_000]
    numbers = EXPLORERS["online_curves"].numbers()
    np.testing.assert_allclose(numbers.rate["qc_fql"], [r.successes / r.episodes for r in rows])
    gap = numbers.way["qc_fql"].mean() - numbers.way["fql"].mean()
    assert numbers.gap[0, 0] == pytest.approx(gap)
    assert 0 in numbers.at["qc_fql"]
    assert set(online_curves.SHOWN) <= set(online_curves.KNOWN)


def test_the_picture_of_lengths_is_drawn_from_what_is_stored(tmp_path) -> None:
    assert all(len(rates) for rates in online_runs.by_length().values())
    file = tmp_path / "lengths.png"
    online_runs.main(figure=file)
    assert file.read_bytes()[:4] == b"\x89PNG"
    for given in ((), (tmp_path,)):
        with pytest.raises(ConfigError, match="alone"):
            online_runs.main(given, figure=file if given else None)
