"""Replay against brute force: a list of transitions and Python's own loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkrl.data import windows
from chunkrl.data.replay import Buffer
from chunkrl.types import Dataset, Halves, Replay, Source

LOGS, BLOCK = 7, 3


def transitions(first, count):
    """Rows that carry their own number; every fourth ends a trajectory, every sixth is solved."""
    number = np.arange(first, first + count, dtype=np.float32)
    wide = np.stack([number, -number], axis=1)
    end, solved = number % 4 == 3, number % 6 == 5
    return Dataset(wide, wide / 1000, number, 1.0 - solved, 1.0 * end, wide + 0.5)


def logs(count=LOGS):
    return Dataset(*(np.asarray(x, np.float32) for x in transitions(0, count)))


def filled(sizes, capacity, halves=False):
    """A buffer to which blocks of these sizes were added, and all rows in their order."""
    buffer, added = Buffer(jax.device_put(logs()), capacity, BLOCK, halves), 0
    for size in sizes:
        buffer.add(transitions(LOGS + added, size))
        added += size
    kept = [*range(LOGS), *range(LOGS + max(0, added - capacity), LOGS + added)]
    return buffer, kept


def brute(kept, start, length):
    """One window by the definition, of the rows numbered `kept`."""
    rows, returns, alive, mask, out = kept[start : start + length], 0.0, 1.0, 1.0, []
    assert len(rows) == length
    for k, row in enumerate(rows):
        returns += 0.9**k * row
        mask *= row % 6 != 5
        out.append((returns, mask, alive))
        alive *= not (row % 4 == 3 or row == LOGS - 1)  # the logs end, whatever they say
    return rows, np.array(out)


def same_window(batch, i, kept, start, length):
    rows, expected = brute(kept, start, length)
    np.testing.assert_array_equal(batch.obs[i], [rows[0], -rows[0]])
    np.testing.assert_allclose(batch.action[i, :, 0], np.array(rows) / 1000, rtol=1e-6)
    np.testing.assert_array_equal(batch.next_obs[i], [rows[-1] + 0.5, -rows[-1] + 0.5])
    found = np.stack([batch.returns[i], batch.mask[i], batch.valid[i]], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


grown = st.lists(st.integers(1, BLOCK), max_size=14)


@settings(max_examples=40, deadline=None)
@given(grown, st.integers(1, 9), st.integers(1, 5))
def test_every_window_is_one_of_consecutive_transitions(sizes, capacity, length):
    """None crosses the place where the ring is written, at whatever fill; reachable are all."""
    buffer, kept = filled(sizes, capacity)
    data = buffer.at(0)
    count = len(kept) - length + 1
    assert int(windows.size(data)) == len(kept)
    assert int(windows.starts(data, length)) == count
    batch = windows.take(data, jnp.arange(count), length, 0.9)
    for start in range(count):
        same_window(batch, start, kept, start, length)


@settings(max_examples=15, deadline=None)
@given(grown, st.integers(3, 9), st.integers(1, 3), st.integers(0, 99))
def test_the_newest_rows_begin_windows_once_enough_follow_them(sizes, capacity, length, seed):
    """Drawn starts are uniform over {0, ..., size - h}: the last h - 1 rows are never first."""
    buffer, kept = filled(sizes, capacity)
    batch = windows.sample(jax.random.key(seed), buffer.at(0), 3000, length, 0.9)
    first, ended = np.asarray(batch.obs[:, 0]), np.asarray(batch.next_obs[:, 0]) - 0.5
    assert set(first.tolist()) == set(map(float, kept[: len(kept) - length + 1]))
    assert ended.max() == kept[-1]  # the newest transition is in a window at once, as its end
    share = (first < LOGS).mean()
    assert share == pytest.approx(min(1, LOGS / (len(kept) - length + 1)), abs=0.06)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, BLOCK), min_size=3, max_size=14), st.integers(4, 9))
def test_half_of_a_batch_is_new(sizes, capacity):
    buffer, kept = filled(sizes, capacity, halves=True)
    assert isinstance(buffer.at(0), Halves)
    batch = windows.sample(jax.random.key(0), buffer.at(0), 1001, 2, 0.9)
    logged = np.asarray(batch.obs[:, 0]) < LOGS
    assert logged.tolist() == [True] * 501 + [False] * 500
    assert set(batch.obs[:501, 0].tolist()) == set(map(float, range(LOGS - 1)))
    new = [float(row) for row in kept[LOGS:]]
    assert set(batch.obs[501:, 0].tolist()) == set(new[:-1])


@settings(max_examples=20, deadline=None)
@given(grown, st.integers(1, 9), st.integers(0, BLOCK))
def test_a_block_may_be_written_before_the_updates_that_do_not_know_of_it(sizes, capacity, hidden):
    """As if the last rows were not there yet, also where they took the place of older ones."""
    buffer, _ = filled(sizes, capacity)
    hidden = min(hidden, buffer.written)
    before, kept = filled_to(buffer.written - hidden, capacity)
    data = buffer.at(0)
    data = data._replace(new=data.new._replace(written=data.new.written - hidden))
    for name in Dataset._fields:
        rows = jnp.arange(len(kept))
        np.testing.assert_array_equal(
            windows.pick(data, name, rows), windows.pick(before.at(0), name, rows)
        )


def filled_to(count, capacity):
    return filled([1] * count, capacity)


@pytest.mark.parametrize("count", [0, 2, 4, 5, 6, 13])
def test_a_buffer_made_anew_of_what_was_added_is_the_same(count):
    """Before, at and after the ring is full: bit for bit, slot by slot where slots are drawn."""
    buffer, _ = filled_to(count, 4)
    added = Dataset(*(np.asarray(x, np.float32) for x in transitions(LOGS, count)))
    again = Buffer(jax.device_put(logs()), 4, BLOCK, added=added)
    for one in (buffer, again):
        one.add(transitions(LOGS + count, 2))
    assert again.written == buffer.written == count + 2
    assert again.identity == buffer.identity
    assert isinstance(again, Source)
    assert isinstance(again.at(0), Replay)


def test_growing_compiles_nothing_anew():
    traces = []

    @jax.jit
    def draw(data):
        traces.append(1)
        return windows.sample(jax.random.key(0), data, 4, 2, 0.9)

    buffer = Buffer(jax.device_put(logs()), 5, BLOCK)
    for i in range(9):
        draw(buffer.at(i))
        buffer.add(transitions(LOGS + i, 1 + i % BLOCK))
    assert traces == [1]
