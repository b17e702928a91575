"""Notebook 08's committed results: the grid of its sliders and the trained networks."""

import numpy as np
import pytest

from chunkrl.course.explorers import EXPLORERS
from chunkrl.errors import DataError
from chunkrl.results import chunk_grid, lock_network
from chunkrl.tabular.chunks import chunked, logged
from chunkrl.tabular.mdp import backup, optimal
from chunkrl.tabular.selection import best_of_n
from chunkrl.tabular.worlds import lock


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
        assert explorer.predict_first.answer(numbers) == 4
        parts = numbers.open_loop + numbers.missing + numbers.picking
        np.testing.assert_allclose(parts, numbers.regret, rtol=2e-3)
        quiet = explorer.numbers(sigma=0.3)
        assert quiet.regret.argmin() == 0
        straight = explorer.numbers(slip=0.0).regret
        assert straight[7] <= straight[2:7].min() + 1
        assert numbers.stuck[0] > 0.9 > 0.1 > numbers.stuck[3]


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
        assert len(runs) == 4 * sum(lock_network.SETTINGS.values())
        for setting, count in lock_network.SETTINGS.items():
            for h in lock_network.LENGTHS:
                seeds = [r.seed for r in runs if (r.windows, r.candidates, r.h) == (*setting, h)]
                assert seeds == list(range(count))
        mdp = lock(24, 0.1).mdp
        best = optimal(mdp).value[0]
        for run in runs:
            loss = best - optimal(chunked(mdp, run.h)).value[0]
            assert loss - 2e-3 <= run.regret <= 100
        assert lock_network.FILE.stat().st_size < 20_000

    def test_a_damaged_file_names_its_command(self, monkeypatch, tmp_path) -> None:
        monkeypatch.setattr(lock_network, "FILE", tmp_path / "runs.csv")
        for content in (None, "windows,h\n1,2\n", ",".join(lock_network.Run._fields) + "\nx\n"):
            if content is not None:
                lock_network.FILE.write_text(content)
            with pytest.raises(DataError, match=r"python -m chunkrl\.results\.lock_network"):
                lock_network.load()
