"""Worlds so small that their best values are known: what every method must learn, or cannot.

All have one number of observation and one of action, which the logs draw near -1 or near 1:

* `bandit`: one state; an action above 0.5 pays 1, others -1.  Best 1; the mean of the logs: -1.
* `joint`: one state; of each two actions the second pays -a_0 a_1.  Best 1, by chunks.  Actions
  chosen one by one are drawn alike and independently, for nothing tells the second that it is: they
  are paid -E[a]^2 <= 0, whatever was learned.  In the logs E[pay | a_0] = E[pay | a_1] = 0.
* `credit`: two states; an action above 0.25 leads to the good one, others to the bad one, and a
  state pays +1 or -1 only when it is left: the pay of an action comes after it.  Best 1; always
  acting with the mean of the logs leads to -1.

Methods of goals see the sign of the last pay beside the state, as a goal that was reached, 1, or
not; in `joint` every action is paid, with the one before it.  They start where nothing is reached,
are told to reach 1, and are paid once: for the first action (`bandit`), the second (`joint`), what
the first leads to (`credit`).  Chosen one by one, actions of `joint` are then paid at most 1/8.

A method must reach the share ENOUGH of what is best, or stay below it.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunkrl import train
from chunkrl.agents import methods
from chunkrl.data import chunks
from chunkrl.types import Dataset, GoalChunks, Halves, Prefix, Windows

H, EPISODES = 2, 256
# Of `credit` a chunk of two earns half without any value of the state that it leads to.
ENOUGH = {"bandit": 0.5, "joint": 0.5, "credit": 0.6}
BAR = {"bandit": 0.5, "credit": 0.25}  # between the logs' actions, so that it is no part of them
SETTINGS = {
    "horizon": H,
    "policy_chunk": 1,
    "execute": H,
    "candidates": 16,
    "act_candidates": 16,
    "alpha": 0.03,
    "flow_steps": 3,
    "hidden": (32, 32),
    "tau": 0.05,
    "discount": 0.5,
    "rollout": 1,
    "rollout_batch": 32,
    "edit_scale": 2.0,
    "latent_scale": 2.0,
}

# They pay for chance as well, by a temperature that falls with the learning rate, and clone less.
ENTROPIC = {"target_entropy": -3.0, "alpha": 0.003, "lr": 2e-2}

# The values of goals lie close to each other: they are reached by chance, in one row of many; if
# ends of trajectories counted as goals, they would drown the others in trajectories so short.
TOLD = {"alpha": 0.01, "beta": 30.0, "lr": 1e-2, "false_ends": False, "flow_steps": 10}

# A coarse path of a flow is tilted coarsely.
TILTED = {"beta": 10.0, "flow_steps": 10}

# What it climbs must have seen other chunks than its own, or it stays where it began: with seeds 1
# and 2 it failed four of six probes without this, and one with it (`credit`, seed 2).
EXPLORED = {"critic_on_data": True}

# A single Euler step is learned to some error: the best of fewer samples is closer to the mean.
FEW = {"candidates": 4, "act_candidates": 4}

# With batches of 32, seed 1 or 2 failed a probe of most of these; with 64, none but `mac_fql`.
LARGE = {"mac", "mac_gau", "mac_fql", "mac_no_teacher", "fmpc"}

# Its critic reads every chunk token by token: most of the time it would run, not be compiled.
LONG = {"acsac"}

ALL = {"bandit", "joint", "credit"}
CHUNKED, SINGLE = ALL, ALL - {"joint"}
# One Euler step from noise ends at the mean of the logs, E[a | s], whichever noise: no choice.
PASSES = {
    "qc": CHUNKED,
    "acsac": CHUNKED,
    "qc_fql": CHUNKED,
    "bfn": SINGLE,
    "bfn_n": SINGLE,
    "fql": SINGLE,
    "fql_n": SINGLE,
    "mac": CHUNKED,
    "mac_gau": CHUNKED,
    "mac_fql": CHUNKED,
    "mac_no_teacher": set(),
    "mve": SINGLE,
    "iql": SINGLE,
    "iql_ddpgbc": SINGLE,
    "gciql": SINGLE,
    "gciql_awr": SINGLE,
    "gcsacbc": SINGLE,
    "gcsacbc_n": SINGLE,
    "sharsa": {"credit"},  # two steps ahead, nothing tells what an action is paid at once
    "double_sharsa": SINGLE,
    "dqc": SINGLE,
    "dqc_naive": CHUNKED,
    "dqc_n": SINGLE,
    "dqc_one_step": SINGLE,
    "ifql": SINGLE,
    "ifql_n": SINGLE,
    "qc_ifql": CHUNKED,
    "rebrac": SINGLE,
    "rlpd": SINGLE,
    "rlpd_ac": CHUNKED,
    "qc_rlpd": CHUNKED,
    "qam": CHUNKED,
    "fedit": CHUNKED,  # by edits that lead from any action to any other
    "dsrl": CHUNKED,
    "mopo": SINGLE,
    "mobile": SINGLE,
    "leq": SINGLE,
    "fmpc": SINGLE,
}


def follow(probe, state, action):
    """The pay of the last of the actions, and the next states.  [B], [B, t] -> [B], [B]"""
    last = action[:, -1]
    good = np.where(last > BAR.get(probe, 0), 1.0, -1.0)
    if probe != "joint":
        return (state, good) if probe == "credit" else (good, state)
    second = action.shape[1] % 2 == 0
    return (-action[:, -2] * last if second else np.zeros_like(last)), state


def start(probe, r, count):
    return r.choice([-1.0, 1.0], count) if probe == "credit" else np.ones(count)


def logs(probe, reads):
    """Random actions in episodes of H, or of as many more as MAC needs to draw the first chunk."""
    r = np.random.default_rng(0)
    windows = isinstance(reads, Windows)
    length = H if windows else H + 2
    state = start(probe, r, EPISODES)
    action = r.choice([-1, 1], (EPISODES, length)) * r.uniform(0.8, 1, (EPISODES, length))
    states, pays = [state], []
    for t in range(length):
        pay, state = follow(probe, states[-1], action[:, : t + 1])
        states.append(state)
        pays.append(pay)
    states, pays = np.stack(states, axis=1), np.stack(pays, axis=1)
    if windows:
        end = np.broadcast_to(np.arange(length) == length - 1, pays.shape)
        arrays = (states[:, :-1], action, pays, np.ones_like(pays), end, states[:, 1:])
        obs, action, *scalars, following = (x.reshape(-1) for x in arrays)
        fields = (obs[:, None], action[:, None], *scalars, following[:, None])
        return Dataset(*(np.float32(x) for x in fields))
    idle = np.zeros((EPISODES, 1))
    rows = (states, np.hstack([action, idle]), np.hstack([pays, idle]), np.ones_like(states))
    obs, action, pay, mask = (np.float32(x.reshape(-1)) for x in rows)
    ends = np.arange(length + 1) == length
    last = chunks.final_rows(np.tile(ends, EPISODES))
    return chunks.dataset(obs[:, None], action[:, None], pay, mask, last, H)


def goal_logs(probe, reads, length=8):
    """Random actions; a state is told by the sign of the last pay, which is its goal too."""
    r = np.random.default_rng(0)
    action = r.choice([-1, 1], (EPISODES, length + 2)) * r.uniform(0.8, 1, (EPISODES, length + 2))
    state, goal = start(probe, r, EPISODES), r.choice([-1.0, 1.0], EPISODES)
    states, goals = [state], [goal]
    for t in range(length):
        pay, state = follow(probe, states[-1], action[:, t : t + 2])
        states.append(state)
        goals.append(np.sign(pay))
    state, action, goal = (
        np.float32(np.reshape(x, (-1, 1)))
        for x in (np.stack(states, axis=1), action[:, 1:], np.stack(goals, axis=1))
    )
    last, none = chunks.final_rows(np.tile(np.arange(length + 1) == length, EPISODES)), 0 * state
    obs = np.hstack([state, goal])
    return chunks.dataset(obs, action, none[:, 0], none[:, 0], last, reads.length, goal)


def paid(probe, agent, states):
    """The mean pay of a policy over four actions (of `joint` over pairs; of `credit` after one)."""
    act = train.policy(agent, states)
    state, action, pays = (
        start(probe, np.random.default_rng(1), EPISODES),
        np.zeros((EPISODES, 0)),
        [],
    )
    left, queue = np.zeros(EPISODES, int), np.zeros((EPISODES, agent.execute))
    for t in range(4):
        if (over := left == 0).any():
            keys = jax.random.split(jax.random.fold_in(jax.random.key(2), t), EPISODES)
            chunk, length = act(jnp.float32(state)[:, None], keys), np.full(EPISODES, agent.execute)
            if isinstance(chunk, Prefix):
                chunk, length = chunk.chunk, np.asarray(chunk.length)
            queue[over], left[over] = np.asarray(chunk)[over, : agent.execute, 0], length[over]
        action, queue = np.hstack([action, queue[:, :1]]), np.roll(queue, -1, axis=1)
        pay, state = follow(probe, state, action)
        pays.append(pay)
        left -= 1
    pays = {"bandit": pays, "joint": pays[1::2], "credit": [*pays[1:], state]}[probe]
    return float(np.mean(pays))


def reached(probe, agent, states):
    """The mean pay, once, of a policy that is told to reach 1."""
    act, one = train.policy(agent, states), np.ones(EPISODES)
    action = np.random.default_rng(1).choice([-0.9, 0.9], (EPISODES, 1))
    state, pays = -one if probe == "credit" else one, [-one]
    for t in range(0, 2, agent.execute):
        keys = jax.random.split(jax.random.fold_in(jax.random.key(2), t), EPISODES)
        seen = np.stack([state, np.sign(pays[-1]), one], axis=1)
        chunk = np.asarray(act(jnp.float32(seen), keys))[:, : agent.execute, 0]
        for i in range(agent.execute):
            action = np.hstack([action[:, -1:], chunk[:, i : i + 1]])
            pay, state = follow(probe, state, action)
            pays.append(pay)
    return float(np.mean(pays[1 if probe == "bandit" else 2]))


def test_every_method_has_its_probes():
    assert PASSES.keys() == methods.ALL.keys()


def test_the_best_values_are_as_told():
    """By enumeration of actions, of chunks, and of all policies over three actions in one state."""
    grid = np.linspace(-1, 1, 5)
    one, two = np.meshgrid(grid, grid)
    pairs = np.stack([one.ravel(), two.ravel()], axis=1)
    pay, _ = follow("joint", np.zeros(len(pairs)), pairs)
    assert pay.max() == 1
    assert (
        abs(pay.reshape(5, 5).mean(axis=0)).max() == abs(pay.reshape(5, 5).mean(axis=1)).max() == 0
    )
    policies = np.random.default_rng(0).dirichlet(np.full(5, 0.3), 1000)
    assert np.einsum("pi,ij,pj->p", policies, pay.reshape(5, 5), policies).max() <= 1e-12
    # Of goals: mean actions after a pay of -1 and of 1, which tells nothing of the last action.
    after = np.linspace(-1, 1, 9)
    assert max(-(u * (u + w) / 2) for u in after for w in after) == 1 / 8
    for probe, what in [("bandit", 0), ("credit", 1)]:
        outcome = follow(probe, np.zeros(3), np.array([[-0.8], [0.0], [0.8]]))[what]
        assert outcome.tolist() == [-1, -1, 1]


@pytest.mark.parametrize("name", methods.ALL)
def test_methods_learn_what_they_can_and_nothing_else(name, request):
    if name in LONG:
        request.getfixturevalue("compiled_well")
    method = methods.ALL[name]
    rate = 3e-3 if "alpha" in method.parameters else 1e-2  # those that climb the critic go astray
    settings = {**SETTINGS, "lr": rate}
    settings |= ENTROPIC if "target_entropy" in method.parameters else {}
    told = isinstance(method(1, 1).reads, GoalChunks)
    settings |= TOLD if told else {}
    settings |= {"qam": TILTED, "mac_fql": EXPLORED, "mac_no_teacher": FEW}.get(name, {})
    agent = method(1 + told, 1, **{k: v for k, v in settings.items() if k in method.parameters})
    scores, batch = {}, 64 if name in LARGE else 32
    for probe in sorted(ALL):
        recorded = goal_logs if told else logs
        data = recorded(probe, agent.reads)
        data = Halves(data, data) if getattr(agent.reads, "halves", False) else data
        states, _ = train.fit(agent, data, 500, batch, every=500, progress=False)
        scores[probe] = (reached if told else paid)(probe, agent, states)
    passed = {probe for probe, score in scores.items() if score > ENOUGH[probe]}
    assert passed == PASSES[name], scores
