"""Notebook 15: counted papers against brute force, picked alphas against luck, stored numbers."""

import itertools
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from chunkrl.course import differences
from chunkrl.course.builds import nb15
from chunkrl.course.explorers import EXPLORERS, rankings, tuning
from chunkrl.course.worlds import seeds as luck
from chunkrl.errors import ConfigError, DataError
from chunkrl.results import published, robot_equal_pull, robot_runs, robot_tuning
from chunkrl.tabular.mdp import optimal
from chunkrl.tabular.worlds import lock

A, B = [26, 22, 45, 26], [18, 29, 15, 26]


def brute(a, b, draws) -> float:
    """Every paper one by one, by its means."""
    ours, theirs = ([np.mean(x) for x in draws(scores)] for scores in (a, b))
    papers = [np.sign(y - x) for x in ours for y in theirs]
    return float(np.mean([(sign + 1) / 2 for sign in papers]))


@pytest.mark.parametrize("seeds", [1, 2, 3, 4])
def test_flips_are_those_of_a_list_of_all_papers(seeds: int) -> None:
    subsets = lambda x: itertools.combinations(x, seeds)
    anew = lambda x: itertools.product(x, repeat=seeds)
    assert luck.flip_probability(A, B, seeds) == pytest.approx(brute(A, B, subsets))
    assert luck.flip_anew(A, B, seeds) == pytest.approx(brute(A, B, anew))


def test_the_example_by_hand_and_its_ends() -> None:
    a, b = nb15.TABLES[nb15.EXAMPLE]
    assert luck.flip_probability(a, b, 1) == pytest.approx(2 / 9)
    assert luck.flip_probability(a, b, 2) == pytest.approx(0.5 / 9)
    assert luck.flip_probability(a, b, 3) == 0.0  # all seeds: the ranking itself
    assert luck.flip_anew(a, a, 7) == pytest.approx(0.5)
    gap, law = luck.gaps(A, B, 20)
    assert law.sum() == pytest.approx(1.0)
    assert (gap * law).sum() == pytest.approx(20 * (np.mean(A) - np.mean(B)))
    spread = (gap**2 * law).sum() - (gap * law).sum() ** 2
    assert spread == pytest.approx(20 * (np.var(A) + np.var(B)))


@pytest.mark.parametrize(
    ("rates", "episodes"), [((0.6, 0.2), 1), ((0.1, 0.5, 0.5, 0.7), 3), ((0.0, 0.0, 1.0), 2)]
)
def test_picks_are_those_of_all_outcomes(rates, episodes: int) -> None:
    """Each outcome of every episode, one by one."""
    found = np.zeros(len(rates))
    for won in itertools.product(range(2), repeat=episodes * len(rates)):
        table = np.reshape(won, (len(rates), episodes))
        chance = np.prod(np.where(table, np.c_[list(rates)], 1 - np.c_[list(rates)]))
        best = table.sum(1) == table.sum(1).max()
        found += chance * best / best.sum()
    np.testing.assert_allclose(luck.picked(rates, episodes), found, atol=1e-12)


def test_picks_without_and_with_many_episodes() -> None:
    np.testing.assert_allclose(luck.picked((0.1, 0.9, 0.5), 0), np.full(3, 1 / 3))
    assert luck.picked((0.1, 0.9, 0.5), 50)[1] > 0.999
    assert luck.picked((0.6, 0.2), 1) @ (0.6, 0.2) == pytest.approx(0.48)  # the notebook's example


def test_the_explorer_counts_our_runs() -> None:
    """Successes of the last evaluation, by method and seed, out of the stored file."""
    rows = robot_runs.load_curves()
    last = max(row.step for row in rows)
    for pair, methods in rankings.PAIRS.items():
        scores = [
            [row.successes for row in rows if (row.method, row.step) == (method, last)]
            for method in methods
        ]
        ahead, behind = sorted(scores, key=sum, reverse=True)
        found = EXPLORERS["rankings"].numbers(pair=pair, seeds=2)
        assert found.anew[1] == pytest.approx(
            brute(ahead, behind, lambda x: itertools.product(x, repeat=2))
        )
        assert len(found.subsets) == len(ahead)
        share = found.law[found.gap < 0].sum() + 0.5 * found.law[found.gap == 0].sum()
        assert share == pytest.approx(found.anew[1])


def test_tuning_is_paid_once_and_scored_elsewhere() -> None:
    """By lot both scores are the mean; what was tried never loses by more episodes."""
    for method, rates in tuning.RATES.items():
        tried, trained = (tuning.expected(method, s) for s in (tuning.TRIED, tuning.TRAINED))
        assert tried[0] == pytest.approx(rates.mean())
        assert trained[0] == pytest.approx(rates.mean())
        assert (np.diff(tried) > -1e-9).all()
        assert tried[-1] <= rates.max(0).mean() + 1e-9
        chance = np.array([luck.picked(column, 5) for column in rates.T])
        other = rates.T[::-1] if rates.shape[1] == 2 else None
        if other is not None:
            assert trained[5] == pytest.approx((chance * other).sum(1).mean())


def test_the_tuning_runs_are_complete_and_held_out() -> None:
    trials = robot_tuning.load()
    methods = {row.method for row in robot_runs.load_curves()}
    assert {trial.method for trial in trials} == methods
    cells = {(t.alpha, t.seed, t.step) for t in trials}
    assert len(trials) == len(methods) * len(cells) == len(set(trials))
    assert not {t.seed for t in trials} & {row.seed for row in robot_runs.load_curves()}
    assert all(0 <= t.successes <= t.episodes for t in trials)
    last = sorted({t.step for t in trials})[-3:]
    assert last == [10_000, 15_000, 20_000]
    for method in methods:
        won = {
            alpha: sum(
                t.successes
                for t in trials
                if (t.method, t.alpha) == (method, alpha) and t.step in last
            )
            for alpha in tuning.ALPHAS
        }
        assert robot_tuning.best(method) == next(a for a in won if won[a] == max(won.values()))
    with pytest.raises(ConfigError, match="no alpha of 'mac'"):
        robot_tuning.best("mac")


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Storage of their own."""
    for module in (published, robot_tuning, robot_equal_pull):
        monkeypatch.setattr(module, "FILE", tmp_path / f"{module.__name__}.csv")
        module.load.cache_clear()
    yield
    for module in (published, robot_tuning, robot_equal_pull):
        module.load.cache_clear()


def test_missing_files_name_the_command(elsewhere) -> None:
    with pytest.raises(DataError, match=r"chunkrl\.results\.published FOLDER"):
        published.load()
    with pytest.raises(DataError, match=r"chunkrl\.results\.robot_tuning RUN_FOLDERS"):
        robot_tuning.load()
    with pytest.raises(DataError, match=r"chunkrl\.results\.robot_equal_pull RUN_FOLDERS"):
        robot_equal_pull.load()


def test_tuning_runs_are_stored_and_read_back(elsewhere, tmp_path, monkeypatch) -> None:
    def load(folder):
        rows = [{"step": 5, "seed": 100}, {"step": 5, "seed": 100, "success": 0.25, "episodes": 8}]
        settings = {} if folder.name == "none" else {"alpha": int(folder.name)}
        return SimpleNamespace(config={"method": "fql", "settings": settings}, rows=rows)

    monkeypatch.setattr("chunkrl.experiments.experiment.load", load)
    robot_tuning.main((tmp_path / "300", tmp_path / "30"))
    assert [tuple(row) for row in robot_tuning.load()] == [
        ("fql", 30.0, 100, 5, 8, 2),
        ("fql", 300.0, 100, 5, 8, 2),
    ]
    robot_equal_pull.main((tmp_path / "60",))
    assert [tuple(row) for row in robot_equal_pull.load()] == [("fql", 60.0, 100, 5, 8, 2)]
    assert robot_equal_pull.rates("fql") == [0.25]
    with pytest.raises(ConfigError, match="without --alpha"):
        robot_tuning.main((tmp_path / "none",))


def test_published_files_are_reduced(elsewhere, tmp_path) -> None:
    """A percent is a percent, whatever unit a file has; what the course does not show is left."""
    files = {
        "ogbench_agg.csv": "domain_or_task,method,step_millions,mean,ci_low,ci_high\n"
        "scene,QC-FQL,0.3,0.5,0.4,0.6\nscene,QC-FQL,0.0,0,0,0\nscene,RLPD,0.3,0.5,0.4,0.6\n"
        "scene,RLPD,2.0,0.943,0.9,1\n",
        "qc_paper_table1.csv": "domain_or_task,method,column,percent\nscene,FQL,offline,58\n",
        "qam_domains.csv": "domain_or_task,method,training_thousands,mean,ci_low,ci_high\n"
        "scene-play,FQL,100,12.5,10,15\nscene-play,FQL,150,9,9,9\nall,FQL,100,9,9,9\n"
        "scene-play,QAM,100,9,9,9\n",
        "fql_paper_offline.csv": "domain_or_task,method,mean\ncube-single,FQL,0.96\nscene,FQL,1\n",
        "mac_reward_1m.csv": "domain,method,success_percent,plus_minus\n"
        "cube-single-play,MAC,99,2\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    published.main(tmp_path)
    assert [tuple(row)[:5] for row in published.load()] == [
        ("QC", "scene", "QC-FQL", 300, 50.0),
        ("QC", "scene", "RLPD", 2000, 94.3),
        ("QC table 1", "scene", "FQL", 1000, 58.0),
        ("QAM", "scene", "FQL", 100, 12.5),
        ("FQL", "cube-single", "FQL", 1000, 96.0),
        ("MAC", "cube-single", "MAC", 1000, 99.0),
    ]
    assert published.load()[-1][5:] == (97.0, 101.0)
    assert np.isnan(published.load()[2].low)
    (tmp_path / "qam_domains.csv").write_text("domain_or_task\nscene\n")
    with pytest.raises(DataError, match=r"qam_domains.csv has no column"):
        published.reduced(tmp_path)
    with pytest.raises(DataError, match="comes with it"):
        published.reduced(tmp_path / "nowhere")


def test_the_stored_published_numbers_are_those_of_the_folder(shared: Path) -> None:
    """Skipped in a clone, which has no such folder."""
    np.testing.assert_equal(
        [tuple(row) for row in published.reduced(shared / "published")],
        [tuple(row) for row in published.load()],
    )


def test_published_intervals_hold_their_means() -> None:
    rows = [row for row in published.load() if row.source in ("QC", "QAM")]
    assert all(row.low - 1e-6 <= row.percent <= row.high + 1e-6 for row in rows)
    assert {row.source for row in published.load()} == set(published.SOURCES)
    for number in EXPLORERS["two_papers"].numbers().first:
        assert number.shape == (3,)


def test_what_the_text_says_about_two_papers() -> None:
    two, means = EXPLORERS["two_papers"], {}
    for method in ("QC-FQL", "QC-IFQL"):
        for thousands in (1000, 1500):
            found = two.numbers(method=method, thousands=thousands)
            gaps = found.second[:, 0] - found.first[:, 0]
            means[method, thousands] = gaps.mean()
            assert np.diff(found.curves[:, thousands // 100 - 1]) == pytest.approx(gaps.mean())
    assert means["QC-FQL", 1500] == pytest.approx(2.4, abs=0.05)
    assert means["QC-IFQL", 1500] == pytest.approx(8.8, abs=0.05)
    assert abs(means["QC-IFQL", 1000]) < 0.5
    found = two.numbers(method="QC-IFQL", thousands=1500)
    gaps = found.second[:, 0] - found.first[:, 0]
    assert gaps[-1] == pytest.approx(42, abs=0.5)
    assert gaps[-1] > 0.9 * gaps.sum()
    assert found.apart.tolist() == [False, False, False, False, True]
    quoted = {}
    for row in published.load():
        if row.domain == "cube-single" and row.method != "MAC":
            quoted.setdefault(row.method, set()).add(row.percent)
    assert all(len(values) == 1 for values in quoted.values())


def test_the_offline_column_is_the_evaluation_before_the_last() -> None:
    shown = differences.offline_column()
    assert shown.cells == shown.at_900 == 66
    assert shown.at_1000 == 28
    assert shown.largest == pytest.approx(7.5, abs=0.05)  # ReBRAC on puzzle-3x3: 55, not 62


def test_the_measured_effects_are_those_that_are_stored_elsewhere() -> None:
    page = (Path(__file__).parents[1] / "figures" / "laptop_methods.md").read_text()
    whole = re.search(r"(\d+)% \[[^]]*\], (\d+)% \[[^]]*\] and (\d+)% \[", page)
    assert whole is not None
    assert tuple(map(int, whole.groups())) == differences.EXECUTED[10]
    one = re.search(r"\*\*MAC\*\*: (\d+)% \[[^]]*\], (\d+)% \[[^]]*\], (\d+)% \[", page)
    assert one is not None
    assert tuple(map(int, one.groups())) == differences.EXECUTED[1]
    right, wrong = differences.undiscounted()
    mdp = lock(differences.LENGTH, discount=differences.DISCOUNT).mdp
    assert optimal(mdp).value.min() == pytest.approx(right)
    steps = differences.LENGTH - np.arange(differences.LENGTH)
    value = np.zeros(differences.LENGTH + 1)  # by steps to the goal, backed up one by one
    for left in steps[::-1]:
        taken = min(left, differences.N)
        value[left] = -sum(0.99**i for i in range(taken)) + value[left - taken]
    assert value[-1] == pytest.approx(wrong)


def test_a_difference_is_measured_or_says_that_it_is_not() -> None:
    table = differences.table()
    assert any(row.measured for row in table)
    assert any(not row.measured for row in table)
    assert all(all(row) for row in table)
    assert repr(table).count("\n") == len(table) - 1
    assert table._repr_html_().count("<tr>") == len(table) + 1


def test_whoever_reports_the_seeds_that_chose_reports_too_much() -> None:
    """Four alphas of equal worth: the bug of 15.bug is worth 8 points, its repair none."""
    from chunkrl.course.exercises.nb15 import fresh_score

    tables = np.random.default_rng(0).binomial(20, 0.5, (1000, 2, 4, 2)) / 20
    bad = np.mean([tried.mean(1).max() for tried, _ in tables])
    good = np.mean([fresh_score(*table) for table in tables])
    assert bad == pytest.approx(0.58, abs=0.01)
    assert good == pytest.approx(0.5, abs=0.01)
