"""Notebook 08's committed results: the grid of its sliders and the trained networks."""

import itertools

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from scipy import stats

from chunkrl import plots
from chunkrl.course import explorers
from chunkrl.course.explorers import EXPLORERS, one_network
from chunkrl.course.worlds import loops
from chunkrl.errors import DataError
from chunkrl.results import chunk_grid, lock_network, prefix_grid
from chunkrl.statistics import bootstrap, mean_and_error
from chunkrl.tabular import chunk_length
from chunkrl.tabular.chunks import chunked, logged, prefixes
from chunkrl.tabular.mdp import backup, optimal
from chunkrl.tabular.propagation import noisy
from chunkrl.tabular.selection import best_of_n
from chunkrl.tabular.worlds import lock, right_actions


class TestGrid:
    def test_it_has_the_form_of_its_recipe(self) -> None:
        grid = chunk_grid.load()
        axes = (len(chunk_grid.CELLS), len(chunk_grid.SLIPS))
        noisy = (*axes, len(chunk_grid.CHOICES), chunk_grid.LONGEST, len(chunk_grid.SIGMAS))
        assert grid.open_loop.shape == (*axes, chunk_grid.LONGEST)
        assert grid.missing.shape == noisy[:-1]
        assert all(part.shape == noisy for part in grid[2:])
        assert all(np.isfinite(part).all() and part.dtype == np.float16 for part in grid)
        assert chunk_grid.FILE.stat().st_size <= 150_000

    @pytest.mark.parametrize("choice", chunk_grid.CHOICES)
    def test_it_is_what_the_recipe_gives(self, choice: str) -> None:
        grid, k = chunk_grid.load(), chunk_grid.CHOICES.index(choice)
        for h in (1, 3):
            fresh = chunk_grid.cell(8, 0.1, choice, h, sigmas=(0.4, 1.0))
            stored = [
                [grid.open_loop[0, 2, h - 1], grid.missing[0, 2, k, h - 1]]
                + [part[0, 2, k, h - 1, at] for part in grid[2:]]
                for at in (4, 10)
            ]
            np.testing.assert_allclose(np.array(stored, float), fresh, rtol=2e-3, atol=2e-3)

    def test_what_must_hold_everywhere(self) -> None:
        grid = chunk_grid.Grid(*(part.astype(float) for part in chunk_grid.load()))
        floor = grid.open_loop[:, :, None] + grid.missing
        assert (grid.regret - floor[..., None] >= -0.02 * (1 + floor[..., None])).all()
        np.testing.assert_allclose(grid.regret[..., 0], floor, rtol=2e-3, atol=2e-3)
        assert np.abs(grid.bootstrap[..., 0]).max() < 1e-3  # without noise no claim is wrong
        np.testing.assert_allclose(grid.open_loop[:, 0], 0, atol=1e-6)
        np.testing.assert_allclose(grid.open_loop[..., 0], 0, atol=1e-6)
        for h, k in ((4, 2), (6, 2), (6, 3), (8, 4)):
            assert (grid.open_loop[..., h - 1] >= grid.open_loop[..., k - 1] - 1e-3).all()
        assert ((grid.stuck >= 0) & (grid.stuck <= 1)).all()

    def test_a_missing_file_names_its_command(self, monkeypatch, tmp_path) -> None:
        monkeypatch.setattr(chunk_grid, "FILE", tmp_path / "none.npz")
        with pytest.raises(DataError, match=r"python -m chunkrl\.results\.chunk_grid"):
            chunk_grid.load.__wrapped__()

    def test_the_explorer_shows_what_the_page_describes(self) -> None:
        explorer = EXPLORERS["chunk_length"]
        numbers = explorer.numbers()
        assert explorer.predict_first.answer(numbers) == 3
        assert explorer.predict_first.answer(explorer.numbers(sigma=1.0)) == 4
        parts = numbers.open_loop + numbers.missing + numbers.picking
        np.testing.assert_allclose(parts, numbers.regret, rtol=2e-3)
        straight = explorer.numbers(slip=0.0, sigma=1.0).regret
        assert straight[7] <= straight[2:7].min() + 1
        stuck = explorer.numbers(sigma=1.0).stuck
        assert stuck[0] > 0.9 > 0.1 > stuck[3]
        assert "at h = 1 9" not in explorer.alt(sigma=1.0)  # two numbers that run together

    def test_no_mean_of_noisy_critics_passes_for_exact(self) -> None:
        """Of 200 critics of single actions at 0.3 none is caught, of 30 of 7 actions none loses."""
        for sigma in chunk_grid.SIGMAS[3:]:
            for slip, choice in itertools.product(chunk_grid.SLIPS, chunk_grid.CHOICES):
                found = EXPLORERS["chunk_length"].numbers(slip=slip, choice=choice, sigma=sigma)
                assert (found.regret_error > 0).all()

    def test_how_often_each_length_is_clearly_best(self) -> None:
        """What notebook 08 counts of 220 settings."""
        clear, near = np.zeros((2, 8), int)
        for slip, sigma, choice in itertools.product(
            chunk_grid.SLIPS, chunk_grid.SIGMAS, chunk_grid.CHOICES
        ):
            found = EXPLORERS["chunk_length"].numbers(slip=slip, sigma=sigma, choice=choice)
            low = found.regret - 2 * found.regret_error
            high, least = found.regret + 2 * found.regret_error, found.regret.argmin()
            clear[least] += high[least] < np.delete(low, least).min()
            near += low <= high[least]
        counts = [chunk_grid.best_lengths(*chunk_grid.settings(c)) for c in chunk_grid.CHOICES]
        np.testing.assert_array_equal(np.sum(counts, axis=0), [clear, near])
        assert clear.tolist() == [60, 36, 55, 2, 0, 0, 1, 0]
        assert near.tolist() == [70, 59, 97, 46, 30, 25, 35, 14]

    def test_single_actions_just_win_with_good_critics(self) -> None:
        """Slip 0.1, sigma 0.3, by as many critics as tell 1 from 2."""
        told = {}
        for h, seeds in ((1, range(4)), (2, range(1))):
            parts = [
                chunk_length.losses(chunk_length.critics(lock(24, 0.1), h, 10_000, seed=k), [0.3])
                for k in seeds
            ]
            told[h] = mean_and_error(np.concatenate([part.regret for (part,) in parts]))
        assert told[1][0] + 2 * told[1][1] < told[2][0] - 2 * told[2][1]
        assert [round(float(mean), 1) for mean, _ in told.values()] == [0.5, 0.6]

    def test_a_broken_bar_shows_the_shares_of_its_causes(self) -> None:
        """The coloured parts of each bar, added up, are the regret, or the height of the break."""
        numbers = EXPLORERS["chunk_length"].numbers(choice="2", sigma=1.0)
        seen = plots.Canvas(explorers.chunk_length.layout)
        seen.picture(lambda axes: explorers.chunk_length.draw(axes, numbers))
        drawn, most = np.zeros(8), explorers.chunk_length.TALLEST
        for each in (artist for axes in seen.figure.axes for artist in axes.collections):
            for path in each.get_paths() if isinstance(each, PolyCollection) else ():
                (left, low), (right, high) = path.vertices[:4].min(0), path.vertices[:4].max(0)
                drawn[round((left + right) / 2) - 1] += high - low
        thin = 2 * explorers.chunk_length.THIN
        np.testing.assert_allclose(drawn, np.minimum(numbers.regret, most), atol=thin)

    def test_the_gap_of_networks_is_least_at_the_best_length(self) -> None:
        """So it says why a length fails; no rule: in two settings h = 1 and 2 are near."""
        for setting in explorers.lock_network.SETTINGS:
            seen = EXPLORERS["lock_network"].numbers(setting=setting)
            gap, regret = ([x.mean() for x in each] for each in (seen.claimed, seen.regret))
            assert np.argmin(gap) == np.argmin(regret)

    def test_proposals_drawn_anew_free_single_actions(self) -> None:
        seen = explorers.chunk_length.proposals().alt
        assert "eight kept: 67.3, 20.3, 3.9, 4.2," in seen
        assert "eight anew: 11.4, 3.2, 3.7, 3.9," in seen

    def test_it_is_fresh_decisions_that_end_loops(self) -> None:
        """Kept both and fresh both are the grid's; one of the two alone lies between them."""
        world = lock(24, 0.1)
        found = loops.fresh_in(world, 1, 200, 1.0, 8)
        np.testing.assert_allclose(found.mean(-1), [[67.3, 18.7], [68.1, 11.4]], atol=0.05)
        for redrawn in (False, True):
            group = chunk_length.critics(world, 1, 200, candidates=8, redrawn=redrawn)
            (part,) = chunk_length.losses(group, [1.0])
            np.testing.assert_allclose(found[int(redrawn), int(redrawn)], part.regret, atol=1e-6)
        assert loops.caught(world, found).sum(-1).tolist() == [[176, 0], [178, 0]]


class TestPrefixes:
    def test_it_is_what_the_recipe_gives(self) -> None:
        grid = prefix_grid.load()
        for slip, kind, h in ((0, 0, 1), (2, 1, 3), (4, 1, 2)):
            fresh = prefix_grid.cell(
                prefix_grid.SLIPS[slip], prefix_grid.KINDS[kind], h, sigmas=(0.3, 0.5)
            )
            stored = [[part[slip, kind, h - 1, at] for part in grid] for at in (3, 5)]
            np.testing.assert_allclose(stored, fresh, rtol=1e-4, atol=1e-4)
        shape = (len(prefix_grid.SLIPS), 2, prefix_grid.LONGEST, len(prefix_grid.SIGMAS))
        assert all(part.shape == shape and np.isfinite(part).all() for part in grid)

    def test_what_must_hold_everywhere(self) -> None:
        """A perfect critic that may look loses nothing, and claims what is true."""
        grid = prefix_grid.load()
        np.testing.assert_allclose(grid.regret[:, 1, :, 0], 0, atol=1e-6)
        np.testing.assert_allclose(grid.claim[..., 0], 0, atol=1e-4)
        np.testing.assert_array_equal(grid.regret[:, 0, 0], grid.regret[:, 1, 0])  # h = 1
        h = np.arange(1, prefix_grid.LONGEST + 1)[None, :, None]
        np.testing.assert_allclose(grid.length[:, 0], h + 0 * grid.length[:, 0], rtol=1e-6)
        assert (grid.length[:, 1] <= h + 1e-6).all()
        assert (grid.regret > -1e-6).all()

    def test_steps_between_looks_are_those_of_walks(self) -> None:
        """Discounted means, by walking: of one noisy critic of prefixes up to 3."""
        world = lock(prefix_grid.CELLS, 0.2)
        mdp, rng = prefixes(world.mdp, 3), np.random.default_rng(0)
        noise = rng.standard_normal((prefix_grid.SEEDS, *mdp.reward.shape))
        noise[:, -1] = 0
        choice = noisy(mdp, 0.2 * noise).choice
        sizes, gamma, means = np.repeat([1, 2, 3], [2, 4, 8]), world.mdp.discount, []
        for policy in choice:
            state, looks, acted, at = np.zeros(200, int), np.zeros(200), np.zeros(200), np.ones(200)
            while (at * (state < prefix_grid.CELLS)).max() > 1e-3:
                alive, size = state < prefix_grid.CELLS, sizes[policy[state]]
                looks, acted = looks + alive * at, acted + alive * at * size
                law = mdp.transition[state, policy[state]].cumsum(axis=1)
                state = (law / law[:, -1:] < rng.random((200, 1))).sum(axis=1)
                at = at * gamma**size
            means.append(acted.sum() / looks.sum())
        stored = prefix_grid.cell(0.2, "chosen", 3, sigmas=(0.2,))[0, -1]
        assert abs(np.mean(means) - stored) < 0.01

    def test_the_explorer_shows_what_the_page_describes(self) -> None:
        explorer = EXPLORERS["any_length"]
        at = lambda **setting: (found := explorer.numbers(**setting)).regret[
            :, prefix_grid.SIGMAS.index(found.sigma)
        ]
        one, fixed, free = at()
        assert f"exactly 3 lose {fixed:.1f}" in explorer.predict_first.question
        assert f"single actions {one:.1f}." in explorer.predict_first.question
        assert fixed < 1 < 8 < free < one
        one, fixed, free = at(sigma=0.3)
        assert one < free < fixed
        assert "plus or minus" in explorer.alt()


class TestNetworks:
    def test_windows_are_what_the_lock_does_with_their_chunks(self) -> None:
        data = lock_network.collect(2, 40_000, 1)
        truth = chunked(lock(24, 0.1).mdp, 2)
        cell, chunk = data.cell[0], data.chunk[0]
        expected = backup(truth, np.arange(25.0)) - truth.reward  # gamma^2 E[next cell]
        miss = 0.99**2 * data.next_cell[0] - expected[cell, chunk]
        assert abs(miss.mean()) < 5 * miss.std() / np.sqrt(miss.size)
        np.testing.assert_allclose(
            np.bincount(chunk[cell == 3], minlength=4) / (cell == 3).sum(),
            logged(lock(24, 0.1).mdp, lock(24, 0.1).behaviour, 2).frequency[3],
            atol=0.05,
        )
        late = data.reward[0][cell < 22]
        np.testing.assert_allclose(late, -1.99)

    def test_windows_of_a_seed_do_not_depend_on_how_many_seeds_there_are(self) -> None:
        few, many = (lock_network.collect(4, 50, seeds) for seeds in (2, 5))
        for a, b in zip(few, many, strict=True):
            np.testing.assert_array_equal(a, b[:2])
        assert (many.cell[3] != many.cell[4]).any()

    def test_the_judge_finds_nothing_wrong_with_the_truth(self) -> None:
        world = lock(24, 0.1)
        best = optimal(chunked(world.mdp, 3))
        (found,) = lock_network.judge(best.q[None, :24], 3, 0)
        loss = optimal(world.mdp).value[0] - best.value[0]
        np.testing.assert_allclose(found, [loss, 0, 0, 0], atol=1e-9)
        (shifted,) = lock_network.judge(best.q[None, :24] + 1.0, 3, 0)
        assert shifted[0] == pytest.approx(loss)  # the same chunks
        assert shifted[1] == pytest.approx(1.0)  # claimed too high by one
        assert 0 < shifted[2] < 1  # each backup errs by about 1 - gamma^3, the last by 1

    def test_the_best_of_n_of_the_network_is_that_of_the_table(self) -> None:
        rng = np.random.default_rng(0)
        q, frequency = rng.standard_normal((5, 8)), rng.dirichlet(np.ones(8), 5)
        found = lock_network.best_value(q.astype(np.float32), frequency.astype(np.float32), 8)
        expected = (best_of_n(frequency, q, 8) * q).sum(-1)
        np.testing.assert_allclose(np.asarray(found), expected, atol=1e-5)
        everything = lock_network.best_value(q.astype(np.float32), None, 0)
        np.testing.assert_allclose(np.asarray(everything), q.max(-1), atol=1e-6)

    def test_a_short_training_learns(self, monkeypatch) -> None:
        """Untrained networks err by about the size of the values."""
        errors = []
        for steps in (20, 1000):
            monkeypatch.setattr(lock_network, "STEPS", steps)
            lock_network.train.clear_cache()
            errors.append([run.error_logged for run in lock_network.runs(1, 500, 0, seeds=2)])
        lock_network.train.clear_cache()
        assert max(errors[1]) < min(errors[0]) / 2
        assert errors[1][0] != errors[1][1]  # each has data and weights of its own

    def test_the_committed_runs(self) -> None:
        runs = lock_network.load()
        expected = [
            (windows + complete * 24 * 2**h, candidates, h, seed)
            for h, windows, candidates, count, complete in lock_network.plan()
            for seed in range(count)
        ]
        assert [run[:4] for run in runs] == expected
        assert len(set(expected)) == len(expected)
        for presses in lock_network.PRESSES:
            for h in lock_network.LENGTHS:
                assert presses - h < h * (presses // h) <= presses
                assert len(lock_network.grouped()[presses // h, 8, h].regret) >= lock_network.FEWER
        mdp = lock(24, 0.1).mdp
        best = optimal(mdp).value[0]
        for run in runs:
            loss = best - optimal(chunked(mdp, run.h)).value[0]
            assert loss - 1e-2 <= run.regret <= 100
        assert lock_network.FILE.stat().st_size < 45_000
        assert min(lock_network.SETTINGS.values()) >= 64

    def test_the_left_arm_is_in_the_tail(self) -> None:
        """What notebook 08 says of 300 windows: means differ, medians do not; few are very bad."""
        regret = {
            h: np.array([r.regret for r in lock_network.load() if r[:3] == (300, 8, h)])
            for h in lock_network.LENGTHS
        }
        both = np.stack([regret[1], regret[2]])
        low, high = bootstrap(both, lambda x, axis: np.diff(-x.mean(axis))[0])
        assert 0 < low < high
        low, high = bootstrap(both, lambda x, axis: np.diff(-np.median(x, axis))[0])
        assert low < 0 < high
        assert [(x > 20).sum() for x in regret.values()] == [10, 0, 0, 0, 0]
        medians = [np.median(x) for x in regret.values()]
        assert medians[1] < medians[2] < medians[3] < medians[4]
        # Of eight networks one may say whatever one likes.
        rng = np.random.default_rng(0)
        eights = [
            rng.choice(regret[1], 8).mean() - rng.choice(regret[2], 8).mean() for _ in range(500)
        ]
        assert (np.array(eights) < 0).mean() > 0.1
        assert max(eights) > 20

    def test_the_left_arm_is_not_what_the_table_says(self) -> None:
        """Given each network's own error: too little at h = 1; of all entries, too much at 2."""
        found, told = lock_network.grouped(), {}
        for h in (1, 2):
            group = chunk_length.critics(lock(24, 0.1), h, 40, candidates=8, redrawn=True)
            for name in ("error_logged", "error_all"):
                parts = chunk_length.losses(group, getattr(found[300, 8, h], name))
                told[h, name] = np.mean([part.regret.mean() for part in parts])
        seen = {h: found[300, 8, h].regret.mean() for h in (1, 2)}
        assert told[1, "error_logged"] < seen[1] / 4
        assert told[2, "error_logged"] < seen[2] / 3
        assert told[2, "error_all"] > 1.8 * seen[2]
        rank = stats.spearmanr(found[300, 8, 1].error_logged, found[300, 8, 1].regret).statistic
        assert 0.6 < rank < 0.75

    def test_larger_errors_and_no_left_arm_are_what_the_table_says_of_equal_presses(self) -> None:
        """Notebook 08: with 0.31 at every h, and told each error; the networks lose a bit more."""
        setting, found = "2,400 presses, N = 8", lock_network.grouped()
        seen = [found[2400 // h, 8, h].regret.mean() for h in lock_network.LENGTHS]
        alike, told = (explorers.lock_network.table_regret(setting, x) for x in (0.31, None))
        np.testing.assert_allclose(alike, [0.01, 0.59, 1.94, 2.96, 5.25], atol=0.005)
        np.testing.assert_allclose(told, [0.01, 0.68, 4.16, 6.13, 11.44], atol=0.005)
        assert told[-1] - alike[-1] > 2 * (seen[-1] - told[-1])
        for means in (alike, told, seen):
            assert (np.diff(means) > 0).all()
        error = [found[2400 // h, 8, h].error_logged.mean() for h in lock_network.LENGTHS]
        assert np.round(error, 2).tolist() == [0.31, 0.53, 1.05, 1.43, 2.80]
        others = chunk_length.critics(lock(24, 0.1), 8, 40, candidates=8, redrawn=True, seed=1)
        (part,) = chunk_length.losses(others, [error[-1]])
        assert part.regret.mean() == pytest.approx(told[-1], abs=2 * 0.42 + 0.1)

    def test_the_title_says_a_u_in_the_median_only_where_one_is(self) -> None:
        """Of 300 windows each the median of h = 2 is the lowest, by a hair."""
        found = {}
        for setting in explorers.lock_network.SETTINGS:
            numbers = explorers.lock_network.compute(setting)
            middle = np.array([np.median(x) for x in numbers.regret])
            entry = np.array([x.mean() for x in numbers.entry])
            found[setting] = explorers.lock_network._title(middle, entry)
        assert found.pop("300 windows, N = 8").startswith(
            "Lowest median 4.3 at h = 2 (4.5 at h = 1)"
        )
        assert all(title.startswith("No U in the median: ") for title in found.values())
        first = "0.0 at h = 1, 14.2 at h = 8; entry error 0.3 to 2.8"
        assert found["2,400 presses, N = 8"].endswith(first)

    def test_free_to_choose_the_order_is_reversed(self) -> None:
        found = lock_network.grouped()
        means = [found[3000, 0, h].regret.mean() for h in lock_network.LENGTHS]
        assert means == sorted(means)
        for h in (5, 8):
            assert loops.caught(lock(24, 0.1), found[3000, 0, h].regret).all()
        assert not loops.caught(lock(24, 0.1), found[3000, 8, 8].regret).any()
        lines = explorers.lock_network.summary("3,000 windows, all chunks").splitlines()
        assert len(lines) == 2 + len(lock_network.LENGTHS)  # two lines of names
        assert lines[-1].split()[-3:] == ["64", "1.91", "4.85"]

    def test_entry_errors_at_equal_windows_and_at_equal_steps(self) -> None:
        error = {}
        for run in lock_network.load():
            error.setdefault(run[:3], []).append(run.error_logged)
        mean = {key: np.mean(each) for key, each in error.items()}
        for windows, candidates in lock_network.SETTINGS:
            assert 4.5 < mean[windows, candidates, 8] / mean[windows, candidates, 1] < 6
        assert 8.5 < mean[300, 8, 8] / mean[2400, 8, 1] < 9.5

    def test_at_equal_presses_there_is_no_left_arm(self) -> None:
        """Longer chunks lose more; of few presses single actions have the tail, not the median."""
        found = lock_network.grouped()
        for presses in lock_network.PRESSES:
            regret = [found[presses // h, 8, h].regret for h in lock_network.LENGTHS]
            medians = [np.median(x) for x in regret]
            assert medians == sorted(medians)
            means = [x.mean() for x in regret[presses == 300 :]]
            assert means == sorted(means)
        ends = [bootstrap(found[key].regret, np.mean) for key in ((300, 8, 1), (150, 8, 2))]
        assert ends[0][0] < ends[1][0] < ends[1][1] < ends[0][1]
        windows = [found[3000, 8, h].regret.mean() for h in lock_network.LENGTHS]
        np.testing.assert_allclose(windows, [0.2, 0.7, 2.4, 4.0, 8.0], atol=0.05)

    def test_with_every_button_logged_single_actions_do_not_fail(self) -> None:
        """The same windows, and one more of each cell and button."""
        few, full = (lock_network.collect(1, 50, 2, complete) for complete in (False, True))
        for a, b in zip(few, full, strict=True):
            np.testing.assert_array_equal(a, b[:, :50])
        pairs = np.sort(2 * full.cell[:, 50:] + full.chunk[:, 50:])
        np.testing.assert_array_equal(pairs, [np.arange(48)] * 2)
        drawn = lock_network.collect(1, 50, 2, drawn=48)
        for a, b in zip(few, drawn, strict=True):
            np.testing.assert_array_equal(a, b[:, :50])
        assert drawn.cell.shape == (2, 98)
        found = lock_network.grouped()
        assert found[300, 8, 1].regret.mean() > 12
        assert len(explorers.lock_network.controls()[1]) == 64
        complete = found[lock_network.COMPLETE].regret
        assert complete.mean() < 0.3
        assert complete.max() < 20
        scarce, drawn, none = explorers.lock_network.failing()
        np.testing.assert_array_equal(scarce, np.arange(55, 65))
        assert sorted(set(drawn) & set(scarce)) == [59, 60, 62, 63, 64]
        assert sorted(set(drawn) - set(scarce)) == [33, 46, 48, 50, 54]
        assert len(none) == 0
        seen = explorers.lock_network.control()
        assert "lose 12.9 in the mean, 10 of them more than 20, the worst 74.7" in seen.alt
        assert "lose 10.8 in the mean, 10 of them more than 20, the worst 73.5" in seen.alt
        assert "lose 0.2 in the mean, 0 of them more than 20, the worst 7.4" in seen.alt

    def test_the_figure_of_codes_counts_where_each_loses_least(self, monkeypatch) -> None:
        """Two codes whose least stands at 3, one at 8, the first of them ours."""
        regret = np.full((3, 8), 9.0)
        regret[[0, 1, 2], [2, 2, 7]] = 4.0
        regret[:, 4] = 5.0, 6.0, 7.0
        monkeypatch.setattr(explorers.chunk_length.codes, "regrets", lambda *_: regret[None])
        told = explorers.chunk_length.by_code().alt
        assert "Least at h = 3 on 2, h = 8 on 1." in told
        assert "At h = 5 from 5.0 to 7.0; on this notebook's code 5.0." in told

    def test_the_stored_single_networks_are_those_of_the_runs(self) -> None:
        single = lock_network.load_single()
        regret = [x[0] for x in lock_network.judge(single.q, 1, 8)]
        np.testing.assert_allclose(regret, lock_network.grouped()[300, 8, 1].regret, atol=0.01)
        assert (single.logged.sum((1, 2)) == 300).all()
        worst = one_network.compute()
        assert (worst.seed, worst.claimed.max() > 30 > 0 > worst.best.max()) == (20, True)
        assert (worst.lead < 0).sum() == 15
        assert ((worst.lead < 0) & (worst.wrong == 0)).sum() == 7

    def test_chunks_of_five_are_an_insurance(self) -> None:
        """What notebook 08 says of h = 5: never best, and others insure for less."""
        grid, clear, tied = chunk_grid.load(), 0, {}
        for at, choice in enumerate(chunk_grid.CHOICES):
            mean = np.swapaxes(grid.regret[2, :, at].astype(float), 1, 2)  # [slips, sigmas, h]
            off = np.swapaxes(2 * grid.regret_error[2, :, at].astype(float), 1, 2)
            low, five = mean - off, (mean + off)[..., 4]
            clear += (five < np.delete(low, 4, -1).min(-1)).sum()
            best = mean.argmin(-1)[..., None]
            end = np.take_along_axis(mean + off, best, -1)[..., 0]
            tied[choice] = (low[..., 4] <= end).sum()
        assert (clear, tied) == (0, {"2": 11, "8": 8, "8 redrawn": 0, "all chunks": 11})
        for choice in ("all chunks", "8 redrawn"):
            at = chunk_grid.CHOICES.index(choice)
            assert grid.stuck[2, :, at, 4].max() == 0
            regret = grid.regret[2, :, at].astype(float)  # [slips, h, sigmas]
            beyond = regret - regret.min(1, keepdims=True)
            assert (regret.argmin(1) != 4).all()
            assert 6 < beyond[:, 4].max() < 7
            assert beyond.max((0, 2)).argmin() + 1 == {"all chunks": 3, "8 redrawn": 2}[choice]

    def test_a_damaged_file_names_its_command(self, monkeypatch, tmp_path) -> None:
        monkeypatch.setattr(lock_network, "FILE", tmp_path / "runs.csv")
        for content in (None, "windows,h\n1,2\n", ",".join(lock_network.Run._fields) + "\nx\n"):
            if content is not None:
                lock_network.FILE.write_text(content)
            with pytest.raises(DataError, match=r"python -m chunkrl\.results\.lock_network"):
                lock_network.load()


class TestLoops:
    """A loop of two cells pays where it promises more than finishing costs."""

    def test_the_rule_says_who_never_opens_the_lock(self) -> None:
        world = lock(24, 0.1)
        group = chunk_length.critics(world, 1, 400)
        for sigma in (0.5, 0.7, 1.0):
            (found,) = chunk_length.losses(group, [sigma])
            caught = loops.caught(world, found.regret)
            said = loops.paying(world, sigma * group.noise)
            assert (said == caught).mean() > 0.93
            assert abs(said.mean() - caught.mean()) < 0.03
            too_late = (sigma * group.noise).max((1, 2)) > 2  # of single entries: another rule
            assert (too_late == caught).mean() < 0.9

    def test_at_two_the_rule_names_all_who_are_caught_and_many_whom_slips_free(self) -> None:
        """By other critics than the page's, whose counts are these."""
        seen = loops.count(lock(24, 0.1), 2, 0.7, 200)
        assert (seen.caught, seen.hits, seen.alarms) == (15, 15, 43)
        seen = loops.count(lock(24), 2, 0.7, 200)
        assert (seen.caught, seen.hits, seen.alarms) == (48, 48, 3)
        for slip, freed in ((0.1, True), (0.0, False)):
            world = lock(24, slip)
            group = chunk_length.critics(world, 2, 200, seed=7)
            (found,) = chunk_length.losses(group, [1.0])
            caught = loops.caught(world, found.regret)
            said = loops.paying(world, group.noise)
            assert (said & caught).sum() > 0.95 * caught.sum()
            assert ((said & ~caught).sum() > 0.3 * said.sum()) == freed

    def test_at_the_shortest_chunks_being_caught_is_all_that_is_lost(self) -> None:
        world = lock(24, 0.1)
        for h, share in ((1, 0.999), (2, 0.75)):
            (found,) = chunk_length.losses(chunk_length.critics(world, h, 400), [1.0])
            lost = found.regret * loops.caught(world, found.regret)
            assert share < lost.sum() / found.regret.sum() < share + 0.1

    def test_from_three_on_the_bootstrapping_error_is_flat(self) -> None:
        """The bound falls with h; the noise does not."""
        found = EXPLORERS["chunk_length"].numbers().bootstrap
        assert found[0] > 60
        assert found[2:].max() - found[2:].min() < 0.7

    def test_the_threshold_by_hand(self) -> None:
        """Discount 0.9, two cells, no slip: finishing is worth -1.9 and -1."""
        np.testing.assert_allclose(loops.threshold(lock(2, discount=0.9)), [1.62, 1.8])

    @pytest.mark.parametrize(("h", "least"), [(1, 1.53), (2, 3.02), (3, 4.49), (4, 5.89)])
    def test_a_raised_entry_is_taken_for_ever_beyond_the_threshold(
        self, h: int, least: float
    ) -> None:
        """Wrong buttons alone stay in the first cell: a loop of one entry, which counts twice."""
        world, found = lock(24, 0.1), loops.threshold(lock(24, 0.1), h)[0]
        assert found == pytest.approx(least, abs=0.005)
        typed = chunked(world.mdp, h)
        (stays, *_) = np.flatnonzero(typed.transition[0, :, 0] == 1)
        for factor in (0.99, 1.01):
            raised = typed.reward.copy()
            raised[0, stays] += factor * found / 2
            looks_best = optimal(typed._replace(reward=raised)).choice[0]
            assert (looks_best == stays) == (factor > 1)

    @pytest.mark.parametrize(
        ("h", "sigma", "caught"),
        [(1, 0.7, 141), (1, 1.0, 194), (2, 0.7, 15), (2, 1.0, 91), (3, 0.7, 0), (3, 1.0, 6),
         (4, 0.7, 0), (4, 1.0, 0)],
    )  # fmt: skip
    def test_how_many_are_caught(self, h: int, sigma: float, caught: int) -> None:
        """The page's counts, and the sliders' regret of the same critics."""
        seen = loops.count(lock(24, 0.1), h, sigma, chunk_grid.SEEDS[h])
        assert seen.caught == caught
        stored = EXPLORERS["chunk_length"].numbers(sigma=sigma)
        assert seen.regret == pytest.approx(stored.regret[h - 1], rel=1e-3)  # float16
        assert 0 <= seen.cost <= seen.regret + 1e-9

    @pytest.mark.parametrize(("h", "cells"), [(1, [0]), (2, [*range(24)]), (3, [0, 1])])
    def test_where_one_chunk_leads_back_to_its_cell(self, h: int, cells: list[int]) -> None:
        """By walking; the rule names a critic whose errors praise such a chunk, and no other."""
        right, typed = right_actions(24), [*itertools.product((0, 1), repeat=h)]

        def end(cell: int, chunk) -> int:
            for button in chunk:
                if cell < 24:
                    cell = cell + 1 if button == right[cell] else max(cell - 1, 0)
            return cell

        back = [cell for cell in range(24) if any(end(cell, chunk) == cell for chunk in typed)]
        assert back == cells
        for cell in range(24):
            noise = np.full((2, 25, 2**h), -99.0)
            leads = np.array([end(cell, chunk) == cell for chunk in typed])
            noise[0, cell, leads], noise[1, cell, ~leads] = 99.0, 99.0
            assert loops.paying(lock(24, 0.1), noise).tolist() == [cell in cells, False]

    def test_one_loop_is_found_where_it_is(self) -> None:
        world = lock(4)
        noise = np.zeros((5, 5, 2))
        right = right_actions(4)
        noise[1, 2, right[2]] = noise[1, 3, 1 - right[3]] = 1.0  # 2 -> 3 -> 2
        noise[2, 0, 1 - right[0]] = 1.0  # at the start alone
        noise[3, 2, right[2]] = noise[3, 1, 1 - right[1]] = 1.0  # do not lead back and forth
        noise[4, 4] = 9.0  # the end
        assert loops.paying(world, noise).tolist() == [False, True, True, False, False]
