"""Training anew on what others collected: which rows are read, and that every run is told apart."""

import numpy as np
import pytest

from chunkrl import experiment
from chunkrl.errors import ConfigError, DataError
from chunkrl.results import exchanged_data, online_runs
from chunkrl.types import Dataset


def rows(count, value):
    flat = np.full(count, value, np.float32)
    ones = np.ones(count, np.float32)
    return Dataset(flat[:, None], flat[:, None], flat, ones, 0 * ones, flat[:, None])


def test_logs_come_first_and_a_cut_is_the_end_of_no_task() -> None:
    met = rows(9, 2.0)
    both = exchanged_data.joined(rows(4, 1.0), met, steps=5)
    assert both.reward.tolist() == [1.0] * 4 + [2.0] * 5
    assert both.terminal.tolist() == [0.0] * 8 + [1.0]
    assert both.mask.all()
    assert not met.terminal.any(), "what was met stays as it was"
    with pytest.raises(ConfigError, match="9 transitions were collected, not 10"):
        exchanged_data.joined(rows(4, 1.0), met, steps=10)


def test_a_method_learns_from_what_a_run_met(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(exchanged_data, "FILE", tmp_path / "exchanged.csv")
    monkeypatch.setattr(exchanged_data, "STEPS", 90)
    monkeypatch.setattr(exchanged_data, "LEARNERS", ("fql",))
    exchanged_data.load.cache_clear()
    with pytest.raises(DataError, match="exchanged_data WORK_FOLDER"):
        exchanged_data.load()
    folder = tmp_path / "met"
    sizes = {"updates": 100, "episodes": 1}
    experiment.run(
        "fql", preset="smoke", seeds=[3], folder=folder, workers=0, progress=False, online=100,
        size=sizes,
    )  # fmt: skip
    exchanged_data.main((tmp_path, folder), preset="smoke", updates=100)
    found = exchanged_data.load()
    assert {(t.method, t.collector, t.seed) for t in found} == {("fql", "fql", 3)}
    (met,) = online_runs.collected(folder)
    assert {t.met for t in found} == {int((met.mask[:90] == 0).sum())}
    exchanged_data.load.cache_clear()


def test_the_stored_trials_are_whole() -> None:
    """Every method, on whatever each collected, with the same seeds at the same steps."""
    trials = exchanged_data.load()
    seen = {(t.method, t.collector, t.seed, t.step) for t in trials}
    assert len(seen) == len(trials)
    per_pair = [
        {(t.seed, t.step) for t in trials if (t.method, t.collector) == pair}
        for pair in ((m, c) for m in exchanged_data.LEARNERS for c in exchanged_data.COLLECTORS)
    ]
    assert per_pair[0]
    assert all(pair == per_pair[0] for pair in per_pair)
    assert all(0 <= t.successes <= t.episodes for t in trials)


def test_the_picture_is_drawn_from_what_is_stored(tmp_path) -> None:
    trials = [t for t in exchanged_data.load() if (t.method, t.collector) == ("qc_fql", "fql")]
    end = max(t.step for t in trials)
    kept = [t for t in trials if t.step > end - 10_000 and t.seed == 0]  # every 5,000: two
    rate = sum(t.successes for t in kept) / sum(t.episodes for t in kept)
    assert len(kept) == 2
    assert exchanged_data.last_two("qc_fql", "fql")[0] == pytest.approx(rate)
    file = tmp_path / "pairs.png"
    exchanged_data.main(figure=file)
    assert file.read_bytes()[:4] == b"\x89PNG"
    for given in ((tmp_path,), (tmp_path, tmp_path)):
        with pytest.raises(ConfigError, match="alone"):
            exchanged_data.main(given, figure=file if len(given) > 1 else None)
