"""What notebook 12 tells about trained agents: stored, read back, and counted by hand."""

import itertools
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from scipy.stats import binomtest, t, ttest_ind

from chunkrl import plots, tasks
from chunkrl.blocks.policies import OneStep
from chunkrl.course.exercises import EXERCISES, nb12
from chunkrl.course.explorers import EXPLORERS, robot_paths
from chunkrl.errors import DataError
from chunkrl.play.evaluate import environment_seed
from chunkrl.results import robot_equal_pull, robot_runs, robot_tuning
from chunkrl.statistics import difference, mean_interval

LOADS = (robot_runs.load_curves, robot_runs.load_paths, robot_runs.load_scene)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Storage of its own, with nothing in it."""
    monkeypatch.setattr(robot_runs, "CURVES", tmp_path / "runs.csv")
    monkeypatch.setattr(robot_runs, "PATHS", tmp_path / "paths.npz")
    monkeypatch.setattr(robot_runs, "SCENE", tmp_path / "scene.npz")
    for load in LOADS:
        load.cache_clear()
    yield
    for load in LOADS:
        load.cache_clear()


class Evaluator:
    """Plays episodes of 1, 2, ... times 10 steps along a line; `act` is the seed's number."""

    def __init__(self, task, workers, success_timing):
        assert success_timing == "pre"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, act, episodes, seed, trace):
        line = [
            np.arange(10 * (e % 20 + 1) + 1)[:, None] * [0.01, 0.0, 0.0] + [0, act, 0]
            for e in range(episodes)
        ]
        return SimpleNamespace(trace=tuple(line), success=np.arange(episodes) % 2 == act)


def test_runs_are_stored_and_read_back(elsewhere, tmp_path, monkeypatch) -> None:
    def load(folder):
        name, *more = folder.name  # "b1": the second seed of "b", in a folder of its own
        rate, seeds = {"a": 0.25, "b": 0.75}[name], [int(*more)] if more else [0, 1]
        rows = [
            {"step": step, "seed": seed, **({"success": rate, "episodes": 8} if step == 20 else {})}
            for step in (10, 20)
            for seed in seeds
        ]
        config = {"method": name, "seeds": seeds, "success_timing": "pre"}
        return SimpleNamespace(config=config, rows=rows, task="cube", act=lambda i: seeds[i])

    places = robot_runs.Scene(np.ones((20, 3)), np.zeros((20, 3)))
    monkeypatch.setattr(robot_runs, "scene", lambda task: places)
    monkeypatch.setattr("chunkrl.experiments.experiment.load", load)
    monkeypatch.setattr("chunkrl.play.evaluate.Evaluator", Evaluator)
    robot_runs.main((tmp_path / "a", tmp_path / "b0", tmp_path / "b1"))
    assert [tuple(row) for row in robot_runs.load_curves()] == [
        ("a", 0, 20, 8, 2),
        ("a", 1, 20, 8, 2),
        ("b", 0, 20, 8, 6),
        ("b", 1, 20, 8, 6),
    ]
    stored = robot_runs.load_paths()
    assert stored.methods.tolist() == ["a", "b"]
    for episode in range(robot_runs.EPISODES):
        points = 2 * (episode + 1) + 1  # every fifth of 10 (e + 1) + 1 positions
        expected = np.arange(points)[:, None] * [0.05, 0.0, 0.0] + [0.0, 1.0, 0.0]
        np.testing.assert_allclose(robot_runs.path(stored, 1, 1, episode), expected, atol=1e-9)
    assert stored.success[0, 1].sum() == robot_runs.EPISODES // 2
    assert (robot_runs.load_scene().cube == 1.0).all()


def test_the_stored_scene_is_the_environments() -> None:
    """Read again; the hand's stored paths begin where these episodes begin."""
    task = tasks.get("cube-single-play-singletask-task2-v0")
    found, kept = robot_runs.scene(task, 3), robot_runs.load_scene()
    np.testing.assert_allclose(found.cube, kept.cube[:3], atol=1e-6)
    np.testing.assert_allclose(found.goal, kept.goal[:3], atol=1e-6)
    assert len(kept.cube) == len(kept.goal) == robot_runs.EPISODES
    env = tasks.make_env(task)
    raw = env.unwrapped
    info = {name: np.array(value) for name, value in vars(raw)["task_infos"][1].items()}
    np.testing.assert_allclose(kept.goal, np.repeat(info["goal_xyzs"], 20, 0), atol=1e-6)
    assert np.abs(kept.cube - info["init_xyzs"]).max() < 0.02
    stored = robot_runs.load_paths()
    for episode in range(3):
        tasks.reset(env, environment_seed(0, episode))
        begin = robot_runs.path(stored, 0, 1, episode)[0]
        np.testing.assert_allclose(tasks.position(env), begin, atol=robot_runs.UNIT)
    for far, done in ((0.039, 1.0), (0.041, 0.0)):  # solved within REACH
        raw._data.joint("object_joint_0").qpos[:3] = kept.goal[2] + [far, 0.0, 0.0]
        assert raw._compute_successes() == [bool(done)]
    env.close()


def test_missing_files_name_the_command(elsewhere) -> None:
    for load in LOADS:
        with pytest.raises(DataError, match="robot_runs RUN_FOLDERS"):
            load()


def test_stored_runs_are_complete() -> None:
    """Every method has the same seeds and updates; nobody succeeds more often than they try."""
    rows = robot_runs.load_curves()
    methods = {row.method for row in rows}
    assert methods == {"fql", "fql_n", "qc_fql"} == set(robot_runs.load_paths().methods.tolist())
    cells = {(row.seed, row.step) for row in rows}
    assert len(rows) == len(methods) * len(cells) == len(set(rows))
    assert len({seed for seed, _ in cells}) >= 10
    assert all(0 <= row.successes <= row.episodes == 20 for row in rows)


def test_the_curves_show_the_seeds_that_are_chosen() -> None:
    """Counted round from the first; one seed has the interval of its episodes and no other."""
    rows = {(r.method, r.seed, r.step): r for r in robot_runs.load_curves()}
    numbers = EXPLORERS["robot_curves"].numbers(seeds=2, first=9)
    assert numbers.seeds == (9, 0)
    for method, rates in numbers.rate.items():
        mine = [rows[method, seed, numbers.updates] for seed in numbers.seeds]
        np.testing.assert_allclose(rates, [r.successes / r.episodes for r in mine])
        for row, (low, high) in zip(mine, numbers.luck[method], strict=True):
            exact = binomtest(row.successes, row.episodes).proportion_ci(0.95, method="wilson")
            np.testing.assert_allclose((low, high), exact)
    alone = EXPLORERS["robot_curves"].numbers(seeds=1, first=1)
    assert alone.seeds == (1,)
    assert all(np.ptp(gap) == 0 for gap in alone.gap.values())


def test_what_notebook_12_says_about_the_ranking() -> None:
    """Ten seeds settle both gaps at this size, in one evaluation and in the mean of three."""
    last = EXPLORERS["robot_curves"].numbers()
    np.testing.assert_allclose(100 * last.gap["fql"], [37.5, 27, 48], atol=0.5)
    np.testing.assert_allclose(100 * last.gap["fql_n"], [50.5, 43, 58], atol=0.5)
    means = EXPLORERS["robot_curves"].numbers(average="this and the two before")
    assert all(low > 0 for _, low, _ in means.gap.values())
    assert (means.begin, means.updates) == (30_000, 40_000)
    rates = [last.rate[m].mean() for m in ("qc_fql", "fql", "fql_n")]
    np.testing.assert_allclose(rates, [0.54, 0.165, 0.035])
    # Of all choices of three seeds of each, by Welch's formula written out.
    threes = [np.array(list(itertools.combinations(last.rate[m], 3))) for m in ("qc_fql", "fql")]
    ours, other = (x.var(1, ddof=1) / 3 for x in threes)
    both = ours[:, None] + other
    apart = threes[0].mean(1)[:, None] - threes[1].mean(1)
    some = both > 0  # where nothing scatters the interval is a point, and the gap is not zero
    freedom = (both**2 / ((ours[:, None] ** 2 + other**2) / 2 + ~some))[some]
    assert (apart[some] <= t.ppf(0.975, freedom) * both[some] ** 0.5).sum() == 1179
    assert apart.size == 14_400
    assert (apart > 0).all()


def pull(alpha: float, dim: int) -> float:
    """By the library's gradient: the tie of a number to the flow, per critic's slope of 1 in it."""
    policy = OneStep(dim, alpha, hidden=(4,), steps=1)
    rng = np.random.default_rng(0)
    obs, noise = (rng.normal(size=(8, n)).astype(np.float32) for n in (3, dim))
    params = policy.init(jax.random.key(0), obs)

    def slope(weight: float) -> np.ndarray:
        """Of the last layer's bias: the sum over states of the chunk's."""
        q = lambda _, chunk: weight * chunk.sum(-1)
        loss = lambda head: policy.improve(params._replace(head=head), params, obs, q, noise)[0]
        (bias,) = (x for x in jax.tree.leaves(jax.grad(loss)(params.head)) if x.shape == (dim,))
        return np.asarray(bias)

    chunk = policy.head.apply(params.head, obs, noise)
    tied = slope(0.0) / (2 * (chunk - policy.flow.sample(params.flow, obs, noise)).mean(0))
    climbs = (slope(0.0) - slope(1.0)) / (abs(chunk) < 1).mean(0)  # no slope where it is clipped
    np.testing.assert_allclose(tied / climbs, (tied / climbs)[0], rtol=1e-3)
    return float((tied / climbs)[0])


def test_the_alpha_of_single_actions_that_pulls_as_chunks_do_lies_among_those_tried() -> None:
    """Notebook 12: alpha / D, by the library's gradient; and how often whom it tied succeeded."""
    action = tasks.spec(tasks.get("cube-single-play-singletask-task2-v0")).action_dim
    ours = robot_tuning.best("qc_fql")
    assert (ours, pull(ours, 5 * action)) == (300, pytest.approx(12, rel=1e-3))
    assert pull(60, action) == pytest.approx(12, rel=1e-3)
    rates = robot_tuning.rates()
    tried = {
        method: sorted({alpha for name, alpha, _ in rates if name == method})
        for method in ("fql", "fql_n", "qc_fql")
    }
    assert tried["fql"] == tried["fql_n"] == tried["qc_fql"] == [30, 100, 300, 1000]
    single = [rate for (name, *_), rate in rates.items() if name != "qc_fql"]
    assert (min(single), max(single)) == (0, pytest.approx(0.07, abs=0.005))
    chunks = [rates["qc_fql", ours, seed] for seed in (100, 101)]
    np.testing.assert_allclose(chunks, [0.22, 0.33], atol=0.005)


def test_what_notebook_12_says_of_the_same_pull() -> None:
    """FQL and FQL-n with alpha 60 beside the ten seeds, by Welch's interval as scipy has it."""
    trials = robot_equal_pull.load()
    steps = range(5_000, 40_001, 5_000)
    cells = itertools.product(("fql", "fql_n"), [60.0], range(3), steps, [20])
    assert [trial[:5] for trial in trials] == list(cells)
    last = EXPLORERS["robot_curves"].numbers().rate
    won = {m: [t.successes / 20 for t in trials if t.method == m] for m in ("fql", "fql_n")}
    pulled = {method: np.array(rates).reshape(3, 8)[:, -1] for method, rates in won.items()}
    for method, mean in (("fql", 0.4 / 3), ("fql_n", 0.05)):
        assert pulled[method].mean() == pytest.approx(mean)
        np.testing.assert_allclose(robot_equal_pull.rates(method), pulled[method])
        three = np.reshape(won[method], (3, 8))[:, 5:].mean(1)
        np.testing.assert_allclose(robot_equal_pull.rates(method, 3), three)
    for ours, other, said in (
        (last["qc_fql"], pulled["fql"], [40.7, 15, 66]),
        (last["qc_fql"], pulled["fql_n"], [49, 39, 59]),
        (pulled["fql"], pulled["fql_n"], [8.3, -19, 35]),
        (pulled["fql_n"], last["fql_n"], [1.5, -9, 12]),
    ):
        ends = ttest_ind(ours, other, equal_var=False).confidence_interval(0.95)
        np.testing.assert_allclose(
            100 * np.array([ours.mean() - other.mean(), *ends]), said, atol=0.5
        )
        gap, low, high = said
        told = f"{gap:+.1f} points [{low:+.0f}, {high:+.0f}]"
        assert sum(told in line for line in robot_equal_pull.lines(last)) == 1


def test_means_of_the_paths_over_the_episodes_that_count() -> None:
    """Distances and cosines one by one, over the first 9 points (40 steps) of each path."""
    stored = robot_runs.load_paths()
    method = stored.methods.tolist().index("fql")
    for over in ("all episodes", "successful ones only"):
        ways, cosines = [], []
        for episode in range(robot_runs.EPISODES):
            if over != "all episodes" and not stored.success[method, 2, episode]:
                continue
            path = robot_runs.path(stored, method, 2, episode)[:9]
            moves = [b - a for a, b in itertools.pairwise(path)]
            sizes = [np.sqrt((move**2).sum()) for move in moves]
            ways.append(np.mean(sizes))
            pairs = zip(itertools.pairwise(moves), itertools.pairwise(sizes), strict=True)
            cosines.append(np.mean([a @ b / x / y for (a, b), (x, y) in pairs]))
        numbers = EXPLORERS["robot_paths"].numbers(steps=40, over=over)
        assert numbers.stride["fql"][2] == pytest.approx(100 * np.mean(ways))
        assert numbers.cosine["fql"][2] == pytest.approx(np.mean(cosines))


def test_what_notebook_12_withdraws() -> None:
    """At equal success, from 40 steps on: no interval of the difference to FQL leaves zero out.

    Over all episodes the way differs much, since failed episodes hover.
    """
    paths = EXPLORERS["robot_paths"]
    way, cosine = paths.numbers(over="all episodes").gap[:, 0]
    np.testing.assert_allclose(way, [3.02, 2.53, 3.52], atol=0.005)
    assert cosine[1] < 0 < cosine[2]
    first = paths.numbers(steps=20, over="successful ones only").gap[0, 0]
    np.testing.assert_allclose(first, [0.39, 0.06, 0.73], atol=0.006)
    for steps in range(20, 201, 20):
        way, cosine = paths.numbers(steps=steps, over="successful ones only").gap[:, 0]
        assert cosine[1] < 0 < cosine[2]
        assert abs(cosine[0]) < 0.015
        assert steps == 20 or way[1] < 0 < way[2]
    stored = robot_runs.load_paths()
    won = dict(zip(stored.methods.tolist(), stored.success.sum((1, 2)).tolist(), strict=True))
    assert won == {"qc_fql": 115, "fql": 32, "fql_n": 1}
    way, cosine = paths.numbers(over="failed ones only").gap[:, 0]
    np.testing.assert_allclose(way, [1.70, 1.21, 2.18], atol=0.006)
    np.testing.assert_allclose(cosine, [-0.14, -0.24, -0.05], atol=0.005)


def test_the_gap_of_the_way_in_parts() -> None:
    """Each part changes one thing at the other method's values too, and counts half of both."""
    stored, found = robot_runs.load_paths(), {}
    for m, method in enumerate(stored.methods):
        pairs = list(np.ndindex(stored.success[m].shape))
        paths = [robot_runs.path(stored, m, *at) for at in pairs]
        way = 100 * np.array([np.linalg.norm(np.diff(p, axis=0), axis=1).mean() for p in paths])
        done = stored.success[m].ravel()
        found[str(method)] = done.mean(), way[done].mean(), way[~done].mean()
    total = lambda rate, won, lost: rate * won + (1 - rate) * lost
    ours, other = found["qc_fql"], found["fql"]
    fewer = [total(ours[0], *x[1:]) - total(other[0], *x[1:]) for x in (ours, other)]
    lost = [total(x[0], 0, ours[2]) - total(x[0], 0, other[2]) for x in (ours, other)]
    won = [total(x[0], ours[1], 0) - total(x[0], other[1], 0) for x in (ours, other)]
    parts, (low, high) = robot_paths.parts()
    np.testing.assert_allclose(parts[:3], [np.mean(x) for x in (fewer, lost, won)])
    assert parts[3] == pytest.approx(total(*ours) - total(*other)) == pytest.approx(parts[:3].sum())
    assert ((low < parts) & (parts < high)).all()
    np.testing.assert_allclose(parts[:3] / parts[3], [0.60, 0.35, 0.05], atol=0.005)
    share, (least, most) = robot_paths.failing_less()
    np.testing.assert_allclose(share, np.array(fewer) / parts[3])
    np.testing.assert_allclose(
        [share, least, most], [[0.52, 0.68], [0.43, 0.58], [0.60, 0.81]], atol=0.01
    )


def test_the_bars_begin_and_end_at_the_means_over_all_episodes() -> None:
    """What notebook 12 prints beside them: 2.35 and 5.38 cm."""
    way = dict(zip(robot_paths.NAMES, robot_paths.by_seed(41, robot_paths.ALL)[0], strict=True))
    means = [way[name].mean() for name in robot_paths.PAIR]
    assert [round(x, 2) for x in means] == [2.35, 5.38]
    assert means[1] - means[0] == pytest.approx(robot_paths.parts()[0][3])
    assert "2.35 cm apart, QC-FQL's 5.38" in robot_paths.split_picture().alt


def test_what_more_episodes_leave_of_an_interval() -> None:
    """12.q2: scatter, luck and interval of FQL's ten seeds; and the fold's numbers behind it."""
    rate = EXPLORERS["robot_curves"].numbers().rate["fql"]
    assert 100 * rate.std(ddof=1) == pytest.approx(nb12.SCATTER, abs=0.005)
    luck = 100 * np.sqrt(rate.mean() * (1 - rate.mean()) / 20)
    assert luck == pytest.approx(nb12.LUCK, abs=0.005)
    printed = 20 * luck**2 / ((7 / 2.10) ** 2 * 5 - (100 * rate.std(ddof=1)) ** 2 + luck**2)
    assert EXERCISES["12.q2"].judge(printed)[0]
    _, low, high = difference(rate, rate)
    assert 50 * (high - low) == pytest.approx(nb12.reach(20), abs=0.1)
    assert nb12.reach(nb12.episodes_for(7.0)) == pytest.approx(7.0)
    assert (nb12.OWN, nb12.reach(1e9)) == (
        pytest.approx(6.5, abs=0.05),
        pytest.approx(6.1, abs=0.05),
    )
    seeds = np.array([14, 15])  # episodes without end
    few = t.ppf(0.975, 2 * seeds - 2) * nb12.OWN * (2 / seeds) ** 0.5
    assert few[0] > 5 > few[1]
    ours = EXPLORERS["robot_curves"].numbers().rate["qc_fql"]
    assert ours.std(ddof=1) < np.sqrt(ours.mean() * (1 - ours.mean()) / 20)  # 10.7 and 11.1


def test_equal_means_over_episodes_may_hide_a_hand_that_goes_further() -> None:
    """12.q3: a hundred episodes of each, counted out; with fewer successes it is a paradox."""
    more = EXERCISES["12.q3"].kind.right
    assert more == pytest.approx(0.7)
    a = np.repeat([7.0, 3.5], [60, 40]).mean()
    c = [np.repeat([7.0 + more, 3.5 + more], [wins, 100 - wins]).mean() for wins in (39, 40, 41)]
    assert c[0] < a < c[2]
    assert c[1] == pytest.approx(a) == pytest.approx(nb12.LEVEL)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_with_exact_values_targets_are_the_values_where_windows_begin(n: int) -> None:
    """12.bug: with the goal at the end of the log, and inside a window where the log goes on."""
    reward, mask = -np.ones(8), np.append(np.ones(7), 0.0)
    exact = -(1 - 0.9 ** np.arange(8, -1, -1)) / 0.1
    found = nb12.window_targets(reward, mask, exact, n, 0.9)
    np.testing.assert_allclose(found, exact[: 9 - n])
    wrong = nb12.one_discount(reward, mask, exact, n, 0.9)
    assert (n in (1, 8)) == np.allclose(wrong, found)  # of one window that ends at the goal, too


@pytest.mark.parametrize(("targets", "says"), [("one_discount", -490.1), ("window_targets", -100)])
def test_a_bootstrap_discounted_once_converges_to_another_value(targets: str, says: float) -> None:
    """12.bug: a log of -1 without end, whose states stand for one another."""
    value = np.zeros(6)
    for _ in range(4000):
        value[:] = getattr(nb12, targets)(-np.ones(5), np.ones(5), value, 5, 0.99)[0]
    assert value[0] == pytest.approx(says, abs=0.01)
    assert (EXERCISES["12.bug"].kind.right == pytest.approx(says, abs=0.01)) == (says < -400)


def test_the_table_of_outcomes_gives_the_means_and_the_part_by_hand() -> None:
    """share * won + (1 - share) * lost, and 0.415 (6.76 - 2.38) = 1.82."""
    found = {name: robot_paths.outcomes(name) for name in robot_paths.NAMES}
    for name, mean in (("qc_fql", 5.38), ("fql", 2.35), ("fql_n", 1.98)):
        share, won, lost = found[name]
        assert share * won + (1 - share) * lost == pytest.approx(mean, abs=0.005)
    (a, won, lost), (b, other_won, other_lost) = found["qc_fql"], found["fql"]
    assert (a, b) == (0.575, 0.16)
    assert (won + other_won) / 2 == pytest.approx(6.76, abs=0.005)
    assert (lost + other_lost) / 2 == pytest.approx(2.38, abs=0.006)
    fewer = (a - b) * (won + other_won - lost - other_lost) / 2
    assert fewer == pytest.approx(robot_paths.parts()[0][0]) == pytest.approx(1.82, abs=0.005)


def test_success_and_failure_stand_side_by_side() -> None:
    stored = robot_runs.load_paths()
    pair = [stored.methods.tolist().index(method) for method in robot_paths.PAIR]
    assert stored.success[pair, 0, robot_paths.FIRST].all()
    assert not stored.success[pair, 0, robot_paths.typical_failure()].any()
    seen = robot_paths.endings_picture().alt
    assert "QC-FQL minus FQL +0.37 [-0.06, +0.79]" in seen
    assert "QC-FQL minus FQL +1.70 [+1.21, +2.18]" in seen
    assert robot_paths.typical_failure() == 10
    way = [
        100 * np.linalg.norm(np.diff(robot_runs.path(stored, m, 0, 10), axis=0), axis=1).mean()
        for m in pair
    ]  # FQL, QC-FQL; over all failures 1.55 and 3.25
    np.testing.assert_allclose(way, [1.59, 3.31], atol=0.006)


def test_a_seed_that_never_succeeds_is_left_out(monkeypatch) -> None:
    success = robot_paths.STORED.success.copy()
    success[robot_paths.NAMES.index("qc_fql"), 1] = False
    monkeypatch.setattr(robot_paths, "STORED", robot_paths.STORED._replace(success=success))
    robot_paths.by_seed.cache_clear()
    numbers = robot_paths.compute(0, 1, 200, robot_paths.SUCCESSFUL)
    assert len(numbers.stride["qc_fql"]) == 9
    assert np.isfinite(numbers.gap).all()
    assert robot_paths.ROBOT_PATHS.describe(numbers)
    plots.still(robot_paths.layout, lambda axes: robot_paths.draw(axes, numbers))
    robot_paths.by_seed.cache_clear()


def test_the_headline_of_the_paths_is_about_the_episode_that_is_drawn() -> None:
    stored = robot_runs.load_paths()
    for setting in EXPLORERS["robot_paths"].random(10, seed=3):
        numbers = EXPLORERS["robot_paths"].numbers(**setting)
        for method, at in numbers.arrived.items():
            where = stored.methods.tolist().index(method), setting["seed"], setting["episode"]
            length = 5 * (stored.points[where] - 1)
            done = stored.success[where] and length <= setting["steps"]
            assert at == (length / 20 if done else -1)


def test_intervals_by_the_books_formulas() -> None:
    """Welch's as scipy has it, Student's written out; three numbers each, as from three seeds."""
    a, b = np.array([0.86, 0.94, 0.90]), np.array([0.52, 0.44, 0.90])
    low, high = ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose(difference(a, b), [a.mean() - b.mean(), low, high])
    low, high = ttest_ind(a[:2], b, equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose(difference(a[:2], b)[1:], [low, high])
    np.testing.assert_allclose(difference(a, b), [0.28, -0.3097, 0.8697], atol=1e-4)
    half = 4.302653 * b.std(ddof=1) / 3**0.5
    np.testing.assert_allclose(mean_interval(b), [b.mean() - half, b.mean() + half], rtol=1e-5)
    assert difference(np.ones(2), np.zeros(3)) == (1.0, 1.0, 1.0)


def test_the_interval_of_a_difference_covers_it_as_often_as_it_says() -> None:
    rng, covered = np.random.default_rng(0), 0
    for _ in range(1_000):
        _, low, high = difference(rng.normal(1.0, 3.0, 3), rng.normal(0.0, 1.0, 3))
        covered += low < 1.0 < high
    assert 0.92 < covered / 1_000 < 0.985
