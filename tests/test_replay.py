"""Replay against brute force: a list of transitions and Python's own loops."""

import jax
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chunkrl.data import chunks, goals, windows
from chunkrl.data.replay import Buffer
from chunkrl.types import Dataset, GoalChunks, Halves, Replay, Source, Windows

LOGS, BLOCK = 7, 3
STATES, TRAJECTORY = 12, 6  # of logs of chunks


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
    return fill(Buffer(jax.device_put(logs()), Windows(1, halves), capacity, BLOCK), sizes)


def chunked(sizes, capacity, length=2):
    """The same for chunks, with goals; what it shows is twice what it is given.

    What a state counts as when it is a goal is its own number.
    """
    rows, number = transitions(0, STATES), np.arange(STATES)
    last = chunks.final_rows(number % TRAJECTORY == TRAJECTORY - 1)
    given = [np.float32(x) for x in (2 * rows.obs, *rows[1:4])]
    data = chunks.dataset(*given, last, length, 2 * given[2][:, None])
    sizes_of, twice = (GoalChunks(length), capacity, BLOCK), lambda x: 2 * x
    return fill(Buffer(jax.device_put(data), *sizes_of, normalise=twice), sizes)


def fill(buffer, sizes):
    first, added = len(buffer.at(0).logs.obs), sum(sizes)
    for size in sizes:
        buffer.add(more(buffer, first + buffer.written, size))
    most = int(buffer.at(0).new.most)
    return buffer, [*range(first), *range(first + max(0, added - most), first + added)]


def more(buffer, first, count):
    """Transitions as an environment shows them: [s], or [s, g, what s counts as]."""
    rows = transitions(first, count)
    if isinstance(buffer.at(0).new.rows, Dataset):
        return rows
    wide = lambda obs, reached: np.hstack([obs, np.full((count, 1), 77.0), reached[:, None]])
    rows = rows._replace(obs=wide(rows.obs, rows.reward), next_obs=wide(rows.next_obs, rows.reward))
    return Dataset(*(np.asarray(x, np.float32) for x in rows))


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
few = st.sampled_from([3, 8])  # capacities: each is compiled
draw_windows = jax.jit(windows.sample, static_argnums=(2, 3, 4))
draw_chunks = jax.jit(chunks.sample, static_argnums=(2, 3, 4))
draw_goals = jax.jit(goals.sample, static_argnums=(2, 3, 4, 5, 6), static_argnames="negative")
take = jax.jit(windows.take, static_argnums=(2, 3))
pick = jax.jit(windows.pick, static_argnums=1)
MOST = LOGS + 9  # rows of any buffer here; as many indices serve all, the last of them again


def indices(count):
    return np.minimum(np.arange(MOST), count - 1)


@settings(max_examples=25, deadline=None)
@given(grown, st.integers(1, 9), st.integers(1, 5))
def test_every_window_is_one_of_consecutive_transitions(sizes, capacity, length):
    """None crosses the place where the ring is written, at whatever fill; reachable are all."""
    buffer, kept = filled(sizes, capacity)
    data = buffer.at(0)
    count = len(kept) - length + 1
    assert int(windows.size(data)) == len(kept)
    assert int(windows.starts(data, length)) == count
    batch = take(data, indices(count), length, 0.9)
    for start in range(count):
        same_window(batch, start, kept, start, length)


@settings(max_examples=15, deadline=None)
@given(grown, st.integers(3, 9), st.integers(1, 3), st.integers(0, 99))
def test_the_newest_rows_begin_windows_once_enough_follow_them(sizes, capacity, length, seed):
    """Drawn starts are uniform over {0, ..., size - h}: the last h - 1 rows are never first."""
    buffer, kept = filled(sizes, capacity)
    batch = draw_windows(jax.random.key(seed), buffer.at(0), 3000, length, 0.9)
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
    batch = draw_windows(jax.random.key(0), buffer.at(0), 1001, 2, 0.9)
    logged = np.asarray(batch.obs[:, 0]) < LOGS
    assert logged.tolist() == [True] * 501 + [False] * 500
    assert set(batch.obs[:501, 0].tolist()) == set(map(float, range(LOGS - 1)))
    new = [float(row) for row in kept[LOGS:]]
    assert set(batch.obs[501:, 0].tolist()) == set(new[:-1])


def chunks_of(kept, length):
    """First rows of chunks: of logs two states before the end, of others to their end."""
    old = [row for row in range(STATES) if row % TRAJECTORY + length < TRAJECTORY - 2]
    new = kept[STATES:]
    whole = [new[i : i + length] for i in range(len(new) - length + 1)]
    return old + [rows[0] for rows in whole if not any(row % 4 == 3 for row in rows[:-1])]


@settings(max_examples=25, deadline=None)
@given(grown, few, st.integers(1, 3), st.integers(0, 99))
def test_every_chunk_is_of_one_episode_and_all_are_drawn_alike(sizes, capacity, length, seed):
    buffer, kept = chunked(sizes, capacity, length)
    batch = draw_chunks(jax.random.key(seed), buffer.at(0), 3000, length, 0.9)
    first, counts = np.unique(batch.obs[:, 0] / 2, return_counts=True)
    assert first.tolist() == chunks_of(kept, length)
    np.testing.assert_allclose(counts / 3000, 1 / len(first), atol=0.05)
    rows = np.asarray(batch.obs[:, :1] / 2 + np.arange(length)[None])
    np.testing.assert_allclose(batch.chunk[:, ::2] * 1000, rows, rtol=1e-6)
    np.testing.assert_allclose(batch.reward, rows @ 0.9 ** np.arange(length), rtol=1e-5)
    np.testing.assert_array_equal(batch.mask, (rows % 6 != 5).all(axis=1))
    last, old = rows[:, -1], rows[:, 0] < STATES
    led = np.where(old, [last + 1, -last - 1], [last + 0.5, 0.5 - last])
    np.testing.assert_array_equal(batch.next_obs / 2, led.T)


@settings(max_examples=25, deadline=None)
@given(grown, few, st.integers(1, 3), st.integers(0, 99))
def test_goals_are_later_states_of_the_episode_so_far_or_any(sizes, capacity, length, seed):
    """Of logs none is the last state; of what was added all have an action, and may be."""
    buffer, kept = chunked(sizes, capacity, length)
    mixtures = goals.GoalMixture(0, 1, 0), goals.GoalMixture(0, 0, 1)
    drawn = jax.random.key(seed), buffer.at(0), 6000, length, 0.9
    batch = draw_goals(*drawn, *mixtures, negative=False)
    first, later, anywhere = (
        np.asarray(x[:, 0] / 2).astype(int) for x in (batch.obs, batch.value_goal, batch.actor_goal)
    )
    expected = set()
    for row in chunks_of(kept, length):
        last = row // TRAJECTORY * TRAJECTORY + TRAJECTORY - 2
        if row >= STATES:
            last = min(row // 4 * 4 + 3, kept[-1])
        expected |= {(row, goal) for goal in range(min(row + 1, last), last + 1)}
    assert {*zip(first.tolist(), later.tolist(), strict=True)} == expected
    listed = [row for row in kept if row >= STATES or row % TRAJECTORY < TRAJECTORY - 1]
    found, counts = np.unique(anywhere, return_counts=True)
    assert found.tolist() == listed
    np.testing.assert_allclose(counts / 6000, 1 / len(listed), atol=0.04)
    reached = (first <= later) & (later < first + length)
    np.testing.assert_array_equal(batch.reward, reached)
    np.testing.assert_array_equal(batch.mask, ~reached)


@settings(max_examples=20, deadline=None)
@example([BLOCK] * 6, 8, BLOCK, 1)  # the count before the oldest is still there
@given(grown, few, st.integers(0, BLOCK), st.integers(1, 2))
def test_chunks_do_not_know_of_a_block_either(sizes, capacity, hidden, length):
    buffer, _ = chunked(sizes, capacity, length)
    hidden = min(hidden, buffer.written)
    before, _ = chunked([1] * (buffer.written - hidden), capacity, length)
    data = buffer.at(0)
    data = data._replace(new=data.new._replace(written=data.new.written - hidden))
    draw = lambda data: draw_goals(jax.random.key(0), data, 64, length, 0.9)
    jax.tree.map(np.testing.assert_array_equal, draw(data), draw(before.at(0)))


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
        rows = indices(len(kept))
        np.testing.assert_array_equal(pick(data, name, rows), pick(before.at(0), name, rows))


def filled_to(count, capacity):
    return filled([1] * count, capacity)


@pytest.mark.parametrize("filled", [filled, chunked])
@pytest.mark.parametrize("count", [0, 2, 4, 5, 6, 13])
def test_a_buffer_made_anew_of_what_was_added_is_the_same(filled, count):
    """Before, at and after the ring is full: bit for bit, slot by slot where slots are drawn."""
    buffer, kept = filled([1] * count, 4)
    added = more(buffer, kept[-1] + 1 - count, count)
    again = Buffer(buffer.at(0).logs, buffer._reads, 4, BLOCK, added, buffer._normalise)
    for one in (buffer, again):
        one.add(more(buffer, kept[-1] + 1, 2))
    assert again.written == buffer.written == count + 2
    assert again.identity == buffer.identity
    assert isinstance(again, Source)
    assert isinstance(again.at(0), Replay)


@pytest.mark.parametrize(
    ("filled", "sample"),
    [(filled, windows.sample), (chunked, chunks.sample), (chunked, goals.sample)],
)
def test_growing_compiles_nothing_anew(filled, sample):
    traces = []

    @jax.jit
    def draw(data):
        traces.append(1)
        return sample(jax.random.key(0), data, 4, 2, 0.9)

    buffer, _ = filled([], 5)
    for i in range(9):
        draw(buffer.at(i))
        buffer.add(more(buffer, LOGS + i, 1 + i % BLOCK))
    assert traces == [1]
