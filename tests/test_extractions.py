"""Notebook 17: five laws of an action by other ways than the library's, and its plan of runs."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy.special import rel_entr

from chunkrl import agents
from chunkrl.course.builds import nb17
from chunkrl.course.explorers import EXPLORERS
from chunkrl.course.worlds import extractions as worlds
from chunkrl.course.worlds.extractions import WAYS_TO_ACT
from chunkrl.course.worlds.flow_picks import WAYS
from chunkrl.course.worlds.mixtures import log_density
from chunkrl.errors import ConfigError, DataError
from chunkrl.experiments import experiment
from chunkrl.results import extractions
from chunkrl.statistics import difference

KNOWN = worlds.world()
SCORES = worlds.critic(3, 2.0, 0.2)(KNOWN.action)
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("way", WAYS_TO_ACT)
def test_every_setting_is_a_law(way: str) -> None:
    for setting in WAYS_TO_ACT[way].settings:
        law = WAYS_TO_ACT[way].law(SCORES, setting)
        assert law.shape == SCORES.shape
        assert (law >= 0).all()
        np.testing.assert_allclose(law.sum(-1), 1.0)


@pytest.mark.parametrize(
    ("way", "setting"), [("best of N", 1), ("one step", 1e9), ("edit", 0.0), ("tilt", 0.0)]
)
def test_the_tightest_knob_is_the_data(way: str, setting: float) -> None:
    law = WAYS_TO_ACT[way].law(SCORES, setting)
    np.testing.assert_allclose(law, np.broadcast_to(KNOWN.probability, law.shape), atol=1e-12)


@pytest.mark.parametrize(("way", "setting"), [("one step", 0.0), ("edit", 2.0), ("tilt", 1e4)])
def test_without_a_leash_all_take_the_best_action(way: str, setting: float) -> None:
    law = WAYS_TO_ACT[way].law(SCORES, setting)
    assert law.argmax(-1).tolist() == SCORES.argmax(-1).tolist()
    np.testing.assert_allclose(law.max(-1), 1.0, atol=1e-6)


@pytest.mark.parametrize(("way", "setting"), [("one step", 3.0), ("edit", 4 / 15)])
def test_each_action_is_moved_to_the_best_that_its_leash_allows(way: str, setting: float) -> None:
    """All 961 x 961 pairs, where the library takes one coordinate after the other."""
    apart = KNOWN.action[:, None] - KNOWN.action
    if way == "edit":
        worth = np.where(np.abs(apart).max(-1) <= setting + 1e-9, SCORES[1], -np.inf)
    else:
        worth = SCORES[1] - setting * (apart**2).sum(-1)
    expected = np.bincount(worth.argmax(-1), KNOWN.probability, len(worth))
    found = WAYS_TO_ACT[way].law(SCORES[1], setting)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_best_of_n_as_drawn() -> None:
    drawn = RNG.choice(len(KNOWN.probability), (20_000, 8), p=KNOWN.probability)
    won = drawn[np.arange(len(drawn)), SCORES[0][drawn].argmax(-1)]
    law = WAYS_TO_ACT["best of N"].law(SCORES[0], 8)
    value = worlds.value(KNOWN.action)
    assert value[won].mean() == pytest.approx(law @ value, abs=4 * value[won].std() / 20_000**0.5)


@pytest.mark.parametrize("beta", [0.5, 3.0])
def test_no_law_as_near_to_the_data_obtains_more_than_the_tilt(beta: float) -> None:
    """Other laws at most as far in KL: laws of the other ways, mixed with the data."""
    score, data = SCORES[2], KNOWN.probability
    tilt = worlds.tilted(score, beta)
    far = rel_entr(tilt, data).sum()
    for way in ("best of N", "one step", "edit"):
        for setting in WAYS_TO_ACT[way].settings[1::3]:
            for share in (0.05, 0.3, 1.0):
                law = share * WAYS_TO_ACT[way].law(score, setting) + (1 - share) * data
                if rel_entr(law, data).sum() <= far:
                    assert law @ score <= tilt @ score + 1e-9


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.5])
def test_steering_takes_an_end_of_the_flow_from_noise_within_its_bounds(scale: float) -> None:
    law = WAYS_TO_ACT["steer the noise"].law(SCORES, scale)
    noise = KNOWN.latent[np.abs(KNOWN.latent).max(-1) <= scale + 1e-9]
    reached = {*KNOWN.end[np.abs(KNOWN.latent).max(-1) <= scale + 1e-9]}
    for row, score in zip(law, SCORES, strict=True):
        assert row.max() == 1.0
        assert score[row.argmax()] == max(score[i] for i in reached)
    if scale == 0.0:  # by symmetry the middle of the noise ends between the clouds
        assert len(noise) == 1
        assert KNOWN.action[law[0].argmax()][0] == pytest.approx(0.0, abs=1e-9)


def test_critics_err_where_data_are_rare() -> None:
    """In the mean of many critics: sigma u(a), near 0 at the modes, and sigma far from them."""
    action = np.array([[-0.6, 0.0], [0.6, 0.0], [0.0, 0.0], [0.0, 1.0]])
    error = worlds.critic(4_000, 2.0, 0.3)(action) - worlds.value(action)
    np.testing.assert_allclose(error.std(0), 2.0 * worlds.unknown(action), atol=0.08)
    np.testing.assert_allclose(error.std(0)[:2], 0.0, atol=0.25)
    assert error.std(0)[2] > 1.3
    assert error.std(0)[3] == pytest.approx(2.0, abs=0.08)
    dense = log_density(WAYS, KNOWN.action) >= KNOWN.rare
    assert KNOWN.probability[dense].sum() == pytest.approx(0.95, abs=0.005)


class TestExplorer:
    """What the notebook tells of `extraction`."""

    @pytest.mark.parametrize("way", WAYS_TO_ACT)
    def test_by_the_truth_nothing_is_claimed_that_is_not_there(self, way: str) -> None:
        found = EXPLORERS["extraction"].numbers(way=way, sigma=0.0)
        claim, truth, _ = found.found[way][..., 0].T
        np.testing.assert_allclose(claim, truth, atol=1e-6)
        np.testing.assert_allclose(found.honest[:, 0], truth, atol=1e-6)
        best = worlds.value(KNOWN.action).max()
        assert truth.max() <= best + 1e-9
        assert truth.max() > 0.94 * best

    @pytest.mark.parametrize(("sigma", "length"), [(2.0, 0.3), (2.0, 0.1), (3.0, 0.3)])
    def test_by_critics_that_err_choosing_obtains_more_than_moving(self, sigma, length) -> None:
        found = EXPLORERS["extraction"].numbers(sigma=sigma, length=length).found
        most = {way: curve[:, 1, 0].max() for way, curve in found.items()}
        for chosen, moved in itertools.product(
            ("best of N", "steer the noise"), ("one step", "edit")
        ):
            assert most[chosen] > most[moved] + 0.3
            assert most[chosen] > most["tilt"] > most[moved]
        for curve in found.values():
            assert curve[-1, 0, 0] > curve[-1, 1, 0] + 0.3  # the freest claims what is not there

    def test_ten_critics_that_disagree_where_they_err_make_the_ways_equal(self) -> None:
        """At their freest, by mean - rho std of ten; by the mean alone, or by one, they differ."""
        ten = worlds.critic(80, 2.0, 0.3)(KNOWN.action).reshape(8, 10, -1)
        apart = {}
        for name, score in (
            ("one", ten[:, 0]),
            ("mean", ten.mean(1)),
            ("doubt", ten.mean(1) - 0.5 * ten.std(1)),
        ):
            found = [
                worlds.obtained(way, score, about.settings[-1])
                for way, about in WAYS_TO_ACT.items()
            ]
            true = [x.true.mean() for x in found]
            apart[name] = max(true) - min(true)
            claimed = [x.claimed.mean() - x.true.mean() for x in found]
            assert (max(claimed) < 0) == (name == "doubt")
        assert apart["one"] > 0.4
        assert apart["mean"] > 0.2
        assert apart["doubt"] < 0.05

    def test_the_question_has_the_numbers_of_its_picture(self) -> None:
        numbers = EXPLORERS["extraction"].numbers()
        question = EXPLORERS["extraction"].predict_first.question
        assert f"claims {numbers.here.claimed:.2f} spreads" in question
        assert f"alpha = {numbers.setting:.2f}" in question


def test_a_policy_that_picks_and_climbs_meets_the_exact_curve() -> None:
    np.testing.assert_allclose(nb17.run(nb17.best_then_climb), nb17.EXACT, atol=0.12)
    slope, at = nb17.slope, np.array([[0.3, 0.4], [-0.5, 0.1]])
    for i, aside in enumerate(1e-3 * np.eye(2)):
        rise = (nb17.critic(at + aside) - nb17.critic(at - aside)) / 2e-3
        np.testing.assert_allclose(slope(at)[:, i], rise, rtol=1e-3)


class TestPlan:
    """The runs of the comparison."""

    @pytest.mark.parametrize("task", extractions.TASKS)
    def test_every_method_has_as_many_values_and_as_much_time(self, task: str) -> None:
        entries = extractions.tuned(task)
        assert {len(entry.values) for entry in entries} == {4}
        for entry in entries:
            assert entry.setting in agents.named(entry.method).parameters
            for seeds, seconds in extractions.SECONDS[task].items():
                for value, cost in zip(entry.values, entry.cost, strict=True):
                    updates = entry.updates(value, seconds)
                    assert updates % 500 == 0
                    assert updates * cost / 1000 == pytest.approx(seconds, abs=0.25 * cost + 1e-9)
                    cell = extractions.run(extractions.FILE.parent, task, entry, value, seeds)
                    assert cell.steps == updates
                    assert f"--updates {updates} " in " ".join(cell.words)
        assert not {*extractions.TUNING} & {*extractions.SEEDS}

    @pytest.mark.parametrize(
        ("plan", "size", "critics", "hidden"),
        [
            (extractions.ENTRIES, "coffee", 10, (64, 64)),
            (extractions.LARGER, "laptop", 2, (256, 256, 256)),
        ],
    )
    def test_the_critics_are_the_same(self, plan, size, critics, hidden) -> None:
        """As many, half of whose spread is taken off, of equal size, for chunks of five."""
        task = experiment.chosen_task(extractions.TASKS["rewards"], None)
        for entry in plan["rewards"]:
            words = extractions.run(
                extractions.FILE.parent, "rewards", entry, entry.values[0], extractions.SEEDS
            ).words
            given, settings = dict(itertools.pairwise(words)), {"hidden": hidden}
            for name, kind in (("num_critics", int), ("aggregate", float)):
                option = f"--{name.replace('_', '-')}"
                settings |= {name: kind(given[option])} if option in given else {}
            chosen = agents.named(entry.method)
            made, _ = experiment.make_agent(chosen, task, chosen.preset(size), settings)
            found = made.num_critics, made.aggregate, made.chunk, made.hidden
            assert found == (critics, 0.5, 5, hidden)

    def test_scores_are_stored_and_read_back(self, tmp_path, monkeypatch) -> None:
        """Made once, by the best of the values, whose time is noted however often it began."""
        monkeypatch.setattr(extractions, "FILE", tmp_path / "scores.csv")
        extractions.load.cache_clear()
        with pytest.raises(DataError, match=r"chunkrl\.results\.extractions FOLDER"):
            extractions.load()
        entry = extractions.Entry("qam", "beta", (1, 3), (10.0, 10.0))
        larger = extractions.Entry("qam", "beta", (2,), (10.0,))
        monkeypatch.setattr(extractions, "ENTRIES", {"rewards": (entry,)})
        monkeypatch.setattr(extractions, "ALSO", {"rewards": ()})
        monkeypatch.setattr(extractions, "LARGER", {"rewards": (larger,)})
        seconds = {extractions.TUNING: 30, extractions.SEEDS: 60}
        monkeypatch.setattr(extractions, "SECONDS", {"rewards": seconds})
        made = []

        class Cell(SimpleNamespace):
            def state(self):
                return ("done" if self.folder in made else "waiting", 0, "")

            def __call__(self):
                self.folder.mkdir()
                made.append(self.folder)

        rates = {"1-100": 0.25, "3-100": 0.5, "3-0-1-2": 0.75, "2-0-1-2-laptop": 1.0}

        def rows(folder):
            name = folder.name.removeprefix("rewards-qam-")
            seeds = map(int, name.removesuffix("-laptop").split("-")[1:])
            return [
                {"step": step, "seed": seed, "success": rates[name], "episodes": 20}
                for seed in seeds
                for step in (500, cells[folder].steps)
            ]

        real, cells = extractions.run, {}

        def run(*arguments):
            cell = real(*arguments)
            return cells.setdefault(cell.folder, Cell(folder=cell.folder, steps=cell.steps))

        monkeypatch.setattr(extractions, "run", run)
        monkeypatch.setattr("chunkrl.train.runs.read_rows", rows)
        extractions.main(tmp_path, ("rewards",))
        assert [place.name for place in made] == [
            "rewards-qam-1-100", "rewards-qam-3-100", "rewards-qam-3-0-1-2",
            "rewards-qam-2-0-1-2-laptop",
        ]  # fmt: skip
        extractions.main(tmp_path, (), tmp_path / "seeds.png")
        assert len(made) == 4
        with Image.open(tmp_path / "seeds.png") as drawn:
            assert drawn.size[0] > 400
        assert [row[1:2] + row[4:7] + row[8:] for row in extractions.load()] == [
            ("coffee", 1.0, 100, 3_000, 20, 5),
            ("coffee", 3.0, 0, 6_000, 20, 15),
            ("coffee", 3.0, 1, 6_000, 20, 15),
            ("coffee", 3.0, 2, 6_000, 20, 15),
            ("coffee", 3.0, 100, 3_000, 20, 10),
            *(("laptop", 2.0, seed, 36_000, 20, 20) for seed in (0, 1, 2)),
        ]
        np.testing.assert_array_equal(
            extractions.reported("rewards", extractions.LARGER)["qam"], [1.0] * 3
        )
        assert extractions.best("rewards", "qam") == 3.0
        np.testing.assert_array_equal(extractions.reported("rewards")["qam"], [0.75] * 3)
        equal = tuple(
            extractions.Score("rewards", "coffee", "qam", "beta", value, 100, 500, 1.0, 20, 0)
            for value in (0.3, 1.0, 2.5, 10.0)
        )
        assert extractions.usual("qam", "beta") == 3.0
        assert extractions.best("rewards", "qam", equal) == 2.5  # nobody succeeded
        with pytest.raises(ConfigError, match="there is no task 'goal'"):
            extractions.main(tmp_path, ("goal",))
        with pytest.raises(ConfigError, match="nothing of 'qc' was tuned"):
            extractions.best("rewards", "qc")
        extractions.load.cache_clear()


class TestStored:
    """What the comparison found, and what texts say of it."""

    def test_every_method_was_tuned_and_reported(self) -> None:
        scores = extractions.load()
        for task in extractions.TASKS:
            for entry in extractions.tuned(task):
                of = (task, "coffee", entry.method)
                own = [s for s in scores if (s.task, s.size, s.method) == of]
                tried = [s.value for s in own if s.seed in extractions.TUNING]
                assert sorted(tried) == sorted(entry.values)
                assert {s.seed: s.value for s in own if s.seed in extractions.SEEDS} == (
                    dict.fromkeys(extractions.SEEDS, extractions.best(task, entry.method))
                )
                for s in own:
                    seeds = (
                        extractions.TUNING if s.seed in extractions.TUNING else extractions.SEEDS
                    )
                    assert s.updates == entry.updates(s.value, extractions.SECONDS[task][seeds])
                    assert s.episodes == extractions.EPISODES[seeds]

    def test_the_differences_that_texts_call_clear(self) -> None:
        clear = {}
        for task in extractions.TASKS:
            rate = extractions.reported(task)
            clear[task] = {
                (a, b)
                for a, b in itertools.permutations(rate, 2)
                if difference(rate[a], rate[b])[1] > 0
            }
        assert clear["rewards"] == {("dsrl", "qc_fql"), ("dsrl", "qam"), ("fedit", "qam")}
        goals = ["dqc", "gciql", "sharsa", "gcsacbc_n", "mac"]
        above = {(a, b) for a in goals[:2] for b in goals if goals.index(a) < goals.index(b)}
        assert clear["goals"] == above
        assert len(above) == 7

    def test_with_larger_networks_the_clear_differences_keep_their_sign(self) -> None:
        clear = {}
        for task in extractions.TASKS:
            rate, small = extractions.reported(task, extractions.LARGER), extractions.reported(task)
            pairs = itertools.permutations(rate, 2)
            clear[task] = {(a, b) for a, b in pairs if difference(rate[a], rate[b])[1] > 0}
            assert all(small[a].mean() > small[b].mean() for a, b in clear[task])
        others = {("dsrl", other) for other in ("qc", "qc_fql", "fedit", "qam")}
        goals = {("dqc", other) for other in ("gciql", "sharsa", "gcsacbc_n", "mac")}
        goals |= {("sharsa", "gcsacbc_n")}
        assert clear == {"rewards": others | {("qc", "qam")}, "goals": goals}
        assert all(len(extractions.LARGER[task]) == 5 for task in extractions.TASKS)

    def test_for_whom_tuning_chose_nothing(self) -> None:
        assert {
            entry.method
            for task in extractions.TASKS
            for entry in extractions.tuned(task)
            if not any(extractions.tried(task, entry.method).values())
        } == {"qc_fql", "qam", "acsac", "gcsacbc_n"}

    def test_larger_networks_keep_the_knob_and_get_the_same_time(self) -> None:
        scores = extractions.load()
        for task, entries in extractions.LARGER.items():
            for entry in entries:
                assert entry.values == (extractions.best(task, entry.method),)
                of = (task, "laptop", entry.method)
                own = [s for s in scores if (s.task, s.size, s.method) == of]
                assert {s.seed for s in own} == {*extractions.SEEDS}
                made = entry.updates(entry.values[0], extractions.LONGER)
                assert {(s.value, s.updates) for s in own} == {(entry.values[0], made)}

    def test_the_explorer_compares_with_each(self) -> None:
        explorer = EXPLORERS["extraction_runs"]
        for task in extractions.TASKS:
            for base in range(1, 6):
                found = explorer.numbers(task=task, base=base)
                assert [*found.rate][base - 1] == found.base
                for method, (gap, low, high) in found.gap.items():
                    want = difference(found.rate[method], found.rate[found.base])
                    np.testing.assert_allclose((gap, low, high), want)
