"""Statistics of several runs against their definitions, and the page that shows them."""

import itertools
import json
import re

import numpy as np
import pytest
import scipy.stats

from chunkrl import statistics
from chunkrl.errors import ConfigError, TrainingError
from chunkrl.experiments import evidence

SCORES = np.random.default_rng(3).integers(0, 21, (5, 4)) / 20
OTHERS = np.random.default_rng(4).integers(0, 21, (3, 4)) / 20


@pytest.mark.parametrize("shape", [(5, 4), (3, 1), (1, 1), (2, 3), (7, 5)])
def test_the_interquartile_mean_is_the_trimmed_one(shape) -> None:
    scores = np.random.default_rng(0).random((2, *shape))
    expected = [scipy.stats.trim_mean(x, 0.25, axis=None) for x in scores]
    np.testing.assert_allclose(statistics.iqm(scores), expected)


def test_improvement_is_mann_whitneys_share() -> None:
    """U / (n m) on each task; against oneself it is a half."""
    each = [
        scipy.stats.mannwhitneyu(x, y).statistic / (len(x) * len(y))
        for x, y in zip(SCORES.T, OTHERS.T, strict=True)
    ]
    np.testing.assert_allclose(statistics.improvement(SCORES, OTHERS), np.mean(each))
    assert statistics.improvement(SCORES, SCORES) == pytest.approx(0.5)


def test_a_profile_counts_runs_above_each_level() -> None:
    levels = np.array([0.0, 0.35, 1.0])
    counted = [sum(x > level for x in SCORES.flat) / SCORES.size for level in levels]
    np.testing.assert_allclose(statistics.profile(SCORES, levels), counted)
    assert statistics.profile(np.stack([SCORES, SCORES]), levels).shape == (2, 3)


def test_resampling_is_of_each_task_by_itself() -> None:
    """Against all resamples of two tasks of two runs; what does not vary has no width."""
    two = np.array([[0.0, 0.2], [1.0, 0.6]])
    alone = [np.mean(x) for x in itertools.product(two[:, 0], repeat=2)]
    other = [np.mean(x) for x in itertools.product(two[:, 1], repeat=2)]
    means = [(a + b) / 2 for a in alone for b in other]
    exact = np.percentile(means, (2.5, 97.5), method="inverted_cdf")
    found = statistics.stratified(lambda x: x.mean((-2, -1)), two, draws=20_000)
    np.testing.assert_allclose(found, exact, atol=1e-9)
    same = np.tile([0.1, 0.9], (4, 1))  # tasks differ, runs do not
    np.testing.assert_allclose(statistics.stratified(statistics.iqm, same), 0.5)
    assert np.isnan(statistics.stratified(statistics.iqm, SCORES[:1])).all()


def store(folder, method, task, seeds, success, **settings):
    folder.mkdir(parents=True)
    config = {"method": method, "task": task, "preset": "smoke", "seeds": seeds}
    (folder / "config.json").write_text(json.dumps(config | {"settings": settings}))
    lines = [f"{step},{s},{x}" for s, xs in zip(seeds, success, strict=True) for step, x in xs]
    (folder / "metrics.csv").write_text("\n".join(["step,seed,success", *lines]) + "\n")
    return folder


def test_the_best_of_k_settings_is_expected_as_counted(tmp_path) -> None:
    """Against drawing every subset; equals are picked alike."""
    rates = np.array([[0.2, 0.4, 0.9], [0.5, 0.5, 0.5], [0.5, 0.6, 0.4], [0.1, 0.0, 0.2]])
    folders = [
        store(tmp_path / str(i), "qc", "a", [0, 1, 2], [[(5, x)] for x in row], candidates=i)
        for i, row in enumerate(rates)
    ]
    expected = []
    for k in range(1, 5):
        found = []
        for out in range(3):
            others = np.delete(rates, out, axis=1).mean(1)
            for subset in itertools.combinations(range(4), k):
                best = [i for i in subset if np.isclose(others[i], max(others[list(subset)]))]
                found.append(np.mean([rates[i, out] for i in best]))
        expected.append(np.mean(found))
    np.testing.assert_allclose(evidence.tuned(evidence.gather(folders)), expected)


def test_runs_that_differ_in_seeds_alone_are_one_cell(tmp_path) -> None:
    """Settings tell methods apart on one task; between tasks they are the domain's own."""
    folders = [
        store(tmp_path / "0", "qc_fql", "a", [0, 1], [[(5, 0.0), (9, 0.5)], [(5, 1.0)]], alpha=1),
        store(tmp_path / "1", "qc_fql", "a", [2], [[(5, 0.5)]], alpha=1),
        store(tmp_path / "2", "qc_fql", "b", [0], [[(5, 0.5)]], alpha=3),
    ]
    first, _ = evidence.named(evidence.gather(folders))["QC-FQL"]
    assert first.steps == [5]
    assert first.scores.tolist() == [0.0, 1.0, 0.5]
    with pytest.raises(ConfigError, match=r"QC-FQL has not as many seeds .* 3 on a, 1 on b"):
        evidence.page(folders)
    folders.append(store(tmp_path / "3", "qc_fql", "a", [0], [[(5, 0.5)]], alpha=9))
    assert [*evidence.named(evidence.gather(folders))] == ["QC-FQL, alpha 1", "QC-FQL, alpha 9",
        "QC-FQL, alpha 3"]  # fmt: skip
    with pytest.raises(ConfigError, match="seed 0 of QC-FQL is there twice"):
        evidence.gather([*folders, store(tmp_path / "4", "qc_fql", "b", [0], [[(5, 1)]], alpha=3)])


def test_the_page_needs_nothing_and_holds_every_number(tmp_path) -> None:
    folders = [
        store(tmp_path / f"{m}_{t}", m, t, [0, 1], [[(5, i / 8 + j / 4)] for j in range(2)])
        for i, m in enumerate(("qc", "fql_n"))
        for t in ("a", "b")
    ]
    path = evidence.write(folders, tmp_path / "page.html")
    text = path.read_text()
    assert not re.findall(r"(?:src|href)=\"(?!data:)", text)
    for title in ("Scores", "Probability of improvement", "Performance profile", "a", "b"):
        assert f"<h2>{title}</h2>" in text
    assert text.count("<img alt=") == 3
    assert "<td>FQL-n</td><td>IQM</td><td>2</td><td>2</td><td>5</td><td>0.250</td>" in text


@pytest.mark.parametrize(
    ("rows", "words"),
    [([], "no evaluation yet"), ([[(5, "nan")]], "has no success rates")],
)
def test_runs_without_success_are_refused(tmp_path, rows, words) -> None:
    folder = store(tmp_path / "run", "qc", "a", [0], rows or [[]])
    with pytest.raises(TrainingError, match=words):
        evidence.page([folder])
    with pytest.raises(ConfigError, match="one or more runs"):
        evidence.page([])
