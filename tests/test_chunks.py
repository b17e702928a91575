"""The chunk samplers against a brute-force reading of their definition and the authors' data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import Vectors
from test_parity import close

from chunkrl.agents.rewards import LearnedReward
from chunkrl.data import chunks
from chunkrl.errors import ConfigError


def rewarded(parity):
    """The authors' toy data in compact layout; its terminals are 1 on the last two rows."""
    v = Vectors(parity / "data_mac.npz")
    field = lambda name: jnp.asarray(v[f"dataset.{name}"], jnp.float32)
    last = chunks.final_rows(v["dataset.valids"] == 0)
    ones = jnp.ones(len(last))
    arrays = (field("observations"), field("actions"), field("rewards"), ones, last)
    return v, chunks.dataset(*arrays, chunk=v.meta["horizon"])


@pytest.mark.parametrize("name", ["data_mac"])
def test_chunks_with_rewards_are_the_authors(parity):
    """Every legal start of the reference: indices exactly, the mean discounted reward, masks 1."""
    v, data = rewarded(parity)
    np.testing.assert_array_equal(data.starts, v["ac.valid_start_index"])
    batch = chunks.take(data, jnp.asarray(data.starts), v.meta["horizon"], v.meta["discount"])
    np.testing.assert_array_equal(batch.obs, v["ac.batch.observations"])
    np.testing.assert_array_equal(batch.chunk, v["ac.batch.actions"])
    np.testing.assert_array_equal(batch.next_obs, v["ac.batch.next_observations"])
    np.testing.assert_array_equal(batch.mask, v["ac.batch.masks"])
    mean = batch.reward / LearnedReward().parts(v.meta["horizon"])
    close(mean, v["ac.batch.rewards"], 2e-7)
    assert batch.value_goal.shape == (len(data.starts), 0)


LENGTHS, H = (9, 6, 12), 4  # states per trajectory


def toy():
    ends = np.zeros(sum(LENGTHS), bool)
    ends[np.cumsum(LENGTHS) - 1] = True
    r, rows = np.random.default_rng(0), len(ends)
    mask = np.ones(rows)
    mask[3] = mask[20] = 0
    arrays = (
        np.arange(rows)[:, None] * np.ones(2),
        r.normal(size=(rows, 3)),
        r.normal(size=rows),
        mask,
    )
    arrays = (np.asarray(x, np.float32) for x in arrays)
    return chunks.dataset(*arrays, chunks.final_rows(ends), H)


def test_chunks_stay_in_their_trajectory_and_stop_two_states_before_its_end():
    data, expect, first = toy(), [], 0
    for states in LENGTHS:
        expect += [first + i for i in range(states) if i + H <= states - 3]
        np.testing.assert_array_equal(data.last[first : first + states], first + states - 2)
        first += states
    np.testing.assert_array_equal(data.starts, expect)


@pytest.mark.parametrize("sum_reward", [False, True])
@pytest.mark.parametrize("true_mask", [False, True])
def test_every_chunk_follows_the_definition(sum_reward, true_mask):
    """Of the data the sum and the least mask; a learned reward is their mean, and mask 1."""
    data = toy()
    reward = LearnedReward(sum_reward, true_mask)
    drawn = reward.draw(jax.random.key(0), data, 90, H, 0.9)
    assert set(np.asarray(drawn.obs[:, 0], int)) == set(data.starts)
    taken = chunks.take(data, drawn.obs[:, 0].astype(int), H, 0.9)
    for row, i in enumerate(np.asarray(drawn.obs[:, 0], int)):
        np.testing.assert_array_equal(drawn.chunk[row], data.action[i : i + H].ravel())
        assert drawn.next_obs[row, 0] == i + H
        total = sum(0.9**k * data.reward[i + k] for k in range(H))
        np.testing.assert_allclose(taken.reward[row], total, rtol=1e-5)
        np.testing.assert_allclose(drawn.reward[row], total / (1 if sum_reward else H), rtol=1e-5)
        solved = any(data.mask[i + k] == 0 for k in range(H))
        assert taken.mask[row] == 1 - solved
        assert drawn.mask[row] == (0 if solved and true_mask else 1)


def test_starts_are_drawn_uniformly():
    """10,000 draws over 9 starts: chi-square, 8 degrees of freedom, 26.1 at the 0.1% level."""
    data = toy()
    batch = chunks.sample(jax.random.key(0), data, 10_000, H, 0.9)
    rows, counts = np.unique(np.asarray(batch.obs[:, 0], int), return_counts=True)
    np.testing.assert_array_equal(rows, data.starts)
    expected = 10_000 / len(data.starts)
    assert ((counts - expected) ** 2 / expected).sum() < 26.1


def test_data_without_a_chunk_are_refused():
    data = toy()._replace(starts=np.zeros(0, np.int32))
    with pytest.raises(ConfigError, match="hold no chunk"):
        chunks.sample(jax.random.key(0), data, 2, H, 0.9)
