"""Seeds spread over devices and processes: the same bits as on one, whoever goes on with them."""

import json
import os
import socket
import subprocess
import sys
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
import test_train
from test_train import O, keys, same

from chunkrl.errors import ConfigError
from chunkrl.train import hosts, programs, runs

SEEDS = range(5)  # on 4 devices: two each on three of them, one of which has one for nobody


def evaluate(act, seed):
    """A return that every digit of a seed's actions is in."""
    chunks = np.asarray(act(jnp.zeros((2, O)), keys(seed, 1)), float)
    return SimpleNamespace(
        success=np.ones(2), interval=(0, 1), success_rate=1.0, goal_success={},
        episode_return=chunks.sum((1, 2)), length=np.ones(2),
    )  # fmt: skip


def fit(updates, folder=None, seeds=SEEDS):
    return test_train.fit(updates, folder, seeds=seeds, evaluate=evaluate, evaluate_every=10)


CHILD = f"""
import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})
import conftest, jax, json
from chunkrl.train import hosts, programs
arguments = json.loads(sys.argv[1])
if arguments["processes"] > 1:
    hosts.join()
assert (jax.process_count(), jax.local_device_count()) == tuple(arguments.values())[:2]
import test_devices
for updates, folder in arguments["runs"]:
    states, rows = test_devices.fit(updates, folder, arguments["seeds"])
    print(len(rows), len(jax.tree.leaves(states)[0]))
"""


def start(devices, seeds, *runs, processes=1, **environment):
    """A process that has so many devices and makes these runs: (updates, folder)."""
    told = {"processes": processes, "devices": devices, "runs": runs, "seeds": [*seeds]}
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(told, default=str)], text=True,
        env={**os.environ, "XLA_FLAGS": flags, **environment}, stdout=subprocess.PIPE,
    )  # fmt: skip


def timeless(folder):
    rows = runs.read_rows(folder)
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def test_four_devices_give_the_bits_of_one_and_each_goes_on_with_the_others_run(tmp_path):
    whole, _ = fit(20, tmp_path / "one")
    fit(10, tmp_path / "begun by one")
    child = start(4, SEEDS, (20, tmp_path / "begun by one"), (10, tmp_path / "begun by four"))
    assert child.communicate()[0].split() == ["20", "5", "10", "5"]
    states, _ = fit(20, tmp_path / "begun by four")
    same(states, whole)
    for name in ("begun by one", "begun by four"):
        assert timeless(tmp_path / name) == timeless(tmp_path / "one")
    one, four = (np.load(tmp_path / name / runs.CHECKPOINT) for name in ("one", "begun by one"))
    for leaf in set(one.files) - {"description"}:
        np.testing.assert_array_equal(one[leaf], four[leaf])


def test_two_processes_are_one_run_and_one_goes_on_with_it(tmp_path):
    """As Slurm starts them; each with two devices for its three seeds."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    slurm = {"SLURM_JOB_ID": "1", "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2",
             "SLURM_LOCALID": "0", "JAX_COORDINATOR_PORT": port}  # fmt: skip
    work = (10, tmp_path / "two")
    pair = [start(2, range(6), work, processes=2, SLURM_PROCID=str(i), **slurm) for i in range(2)]
    for child in pair:
        assert child.communicate(timeout=300)[0].split()[-2:] == ["12", "6"]  # Gloo talks, too
    whole, _ = fit(20, tmp_path / "one", range(6))
    assert timeless(tmp_path / "two") == timeless(tmp_path / "one")[:12]
    states, _ = fit(20, tmp_path / "two", range(6))
    same(states, whole)
    assert timeless(tmp_path / "two") == timeless(tmp_path / "one")


ROWS = f"""
import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})
import conftest, jax, numpy as np
from chunkrl.train import programs
kind = type(jax.numpy.zeros(1))
index, programs.act = kind.__getitem__, lambda agent, state: state.tolist()
states = programs.spread(np.arange(12).reshape(6, 2), programs.places(6))
def alone(array, key):
    assert len(array.devices()) == 1
    return index(array, key)
kind.__getitem__ = alone
print(*(programs.policy(None, states, i)() for i in (0, 3, -1)), sep="")
try:
    programs.policy(None, states, 6)
except IndexError:
    print("none")
"""


def test_a_seed_is_taken_where_it_is():
    """Of what is spread nothing is computed together: other processes may not take part."""
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2"
    told = subprocess.run(
        [sys.executable, "-c", ROWS], text=True, env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True, check=True,
    )  # fmt: skip
    assert told.stdout.split("\n")[:2] == ["[0, 1][6, 7][10, 11]", "none"]


@pytest.mark.parametrize(
    ("seeds", "devices", "used"), [(1, 4, 1), (3, 4, 3), (5, 4, 3), (6, 4, 3), (8, 4, 4), (9, 2, 2)]
)
def test_no_more_devices_than_are_of_use(seeds, devices, used, monkeypatch):
    monkeypatch.setattr(programs.jax, "local_devices", lambda: [object()] * devices)
    monkeypatch.setattr(programs, "Mesh", lambda devices, name: devices)
    monkeypatch.setattr(programs, "NamedSharding", lambda mesh, spec: len(mesh))
    assert (programs.places(seeds) or 1) == used


def test_processes_whose_shares_would_differ_are_refused(monkeypatch):
    monkeypatch.setattr(hosts.jax, "process_count", lambda: 2)
    with pytest.raises(ConfigError, match="5 seeds cannot be shared by 2 processes"):
        fit(5)


def test_who_stands_alone_is_told_how_several_begin(monkeypatch):
    monkeypatch.setattr(hosts.jax.distributed, "initialize", _nobody)
    with pytest.raises(ConfigError, match=r"finds no other processes .*srun"):
        hosts.join()


def _nobody():
    raise ValueError("coordinator_address should be defined.")
