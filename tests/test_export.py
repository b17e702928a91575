"""An exported agent acts as it did, in NumPy and ONNX, where neither JAX nor chunkrl is."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy_envs

from chunkrl import agents, cli
from chunkrl.agents import methods
from chunkrl.data.normalise import Normaliser
from chunkrl.envs import family
from chunkrl.errors import ChunkRLError, ConfigError
from chunkrl.experiments import experiment, export
from chunkrl.experiments.experiment import Experiment
from chunkrl.experiments.player import Player
from chunkrl.types import Dataset

ROOT = Path(__file__).parents[1]
OBS, ACTION = 3, 2  # of the toy
SHIPPED = ("fql", "mac", "qc", "qc_fql")
FILES = {"agent.json", "agent.npz", "agent.onnx", "check.npz", "player.py"}
gymnasium.register("TakenAway-v0", toy_envs.Toy, max_episode_steps=7)

# Each method as it is, and what its acting may be set to.
OWN = ("sharsa", "double_sharsa", "dqc", "dqc_naive", "dqc_n", "dqc_one_step")
OWN += ("qam", "fedit", "dsrl", "acsac", "fmpc")
CASES = [(name, {}) for name in methods.ALL if name not in OWN] + [
    ("qc", {"fourier_dim": 4, "num_critics": 3, "aggregate": "min"}),
    ("bfn", {"num_critics": 3, "aggregate": 0.5}),
    ("qc", {"candidates": 1}),
    ("iql", {"std": "free"}),
    ("mac", {"num_critics": 3, "aggregate": 0.5, "value_loss": "logistic", "execute": 2}),
    ("mac_gau", {"value_loss": "logistic"}),
    ("mac_gau", {"act_candidates": 1}),
]


@pytest.fixture(autouse=True)
def onnx():
    """Both packages of the extra `export`, or the tests are skipped."""
    for name in ("onnx", "onnxruntime"):
        pytest.importorskip(name, reason=f"needs {name}: pip install 'chunkrl[export]'")


def untrained(name, seeds=(4, 7), **settings):
    """An experiment whose every parameter was drawn, which `export` gets in place of a folder."""
    _, goals = methods.named(name).parameters.get("goal_dim", (int, 0))  # by default
    settings |= {"obs_dim": OBS - goals, "action_dim": ACTION, "hidden": (16, 16), "flow_steps": 3}
    settings = {k: v for k, v in settings.items() if k in methods.named(name).parameters}
    agent, rng = agents.make(name, **settings), np.random.default_rng(0)
    keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
    drawn = lambda x: (0.3 * rng.standard_normal(x.shape)).astype(x.dtype)
    states = jax.tree.map(drawn, jax.eval_shape(jax.vmap(agent.init), keys))
    config = {"method": name, "task": "TakenAway-v0", "seeds": [*seeds], "settings": settings}
    normaliser = Normaliser(*rng.uniform(0.5, 2, (2, OBS)).astype(np.float32))
    return Experiment(family.get("TakenAway-v0"), agent, states, [], config, normaliser)


@pytest.fixture
def given(monkeypatch):
    """Makes `export` find this experiment in whatever folder."""
    return lambda run: monkeypatch.setattr(experiment, "load", lambda folder: run)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_every_method_acts_the_same(name, settings, given, tmp_path):
    given(untrained(name, **settings))
    done = export.export("anywhere", tmp_path / "out", seed=7)
    assert {file.name for file in done.folder.iterdir()} == FILES
    assert done.difference.keys() == {"agent.npz", "agent.onnx"}
    assert max(done.difference.values()) <= 1e-5
    assert int(done.compared.split()[0]) >= 10
    chunk = np.load(done.folder / "check.npz")["chunk"]
    assert np.ptp(chunk, axis=0).max() > 0.1  # it acts, on what it sees and draws
    assert (abs(chunk) < 1).any()


@pytest.mark.parametrize("name", OWN)
def test_who_acts_in_a_way_of_its_own_is_refused(name, given, tmp_path):
    given(untrained(name))
    with pytest.raises(ChunkRLError, match=f"{name} acts in a way of its own"):
        export.export("anywhere", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def expected(run, index, obs, noise):
    """What an agent does by the function of its noise that `act` calls.  -> [B, h, A]"""
    params = jax.tree.map(lambda x: x[index], run.states.params)
    seen, noise = run.normaliser.apply(obs), noise.swapaxes(0, 1)
    return np.asarray(jax.jit(run.agent.propose)(params, seen, noise)).reshape(
        len(obs), run.agent.chunk, -1
    )


# Written by a user who has the exported folder and two packages.
ALONE = """
import sys
import numpy as np, onnxruntime
for folder in sys.argv[1:]:
    sys.path.insert(0, folder)
    sys.modules.pop("player", None)
    from player import Player
    player = Player(folder)
    check = np.load(folder + "/check.npz")
    given = {name: check[name] for name in ("obs", "noise") if name in check}
    session = onnxruntime.InferenceSession(folder + "/agent.onnx")
    for rows in (slice(None), slice(0, 1), slice(1, 4)):
        inputs = {name: x[rows] for name, x in given.items()}
        chunks = player.act(*inputs.values()), *session.run(["chunk"], inputs)
        for chunk in chunks:
            assert chunk.shape == check["chunk"][rows].shape
            assert np.abs(chunk - check["chunk"][rows]).max() <= 1e-5
    chunk = player.act(check["obs"], player.noise(len(check["obs"]), np.random.default_rng(1)))
    assert chunk.dtype == np.float32 and np.abs(chunk).max() <= 1
foreign = [name for name in sys.modules if name.split(".")[0] in ("jax", "chunkrl", "flax", "onnx")]
assert not foreign, foreign
"""


def alone(*words, cwd):
    words = [sys.executable, *map(str, words)]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_shipped_agents_act_the_same_without_jax_and_without_chunkrl(tmp_path):
    for name in SHIPPED:
        done = export.export(name, tmp_path / name)
        assert done.compared.endswith(" of episodes")
        run, check = experiment.load(name), np.load(done.folder / "check.npz")
        found = expected(run, 0, check["obs"], check["noise"])
        np.testing.assert_allclose(found, check["chunk"], atol=1e-5)
    alone("-c", ALONE, *(tmp_path / name for name in SHIPPED), cwd=tmp_path)
    assert "largest difference: " in alone(tmp_path / "mac" / "player.py", cwd=tmp_path)


def test_runs_of_other_kinds_act_the_same_there(given, tmp_path, monkeypatch):
    rng, ones = np.random.default_rng(0), np.ones(50, np.float32)
    rows = rng.uniform(-1, 1, (50, OBS)).astype(np.float32)
    data = Dataset(rows, rows[:, :ACTION], -ones, ones, ones, rows)
    how = {"workers": 0, "progress": False, "size": {"updates": 100, "episodes": 1}}
    how |= {"settings": {"hidden": (16, 16)}, "source": data, "seeds": (4, 7)}
    experiment.run("bfn", "TakenAway-v0", "smoke", folder=tmp_path / "bfn", **how)
    monkeypatch.chdir(tmp_path)
    done = export.export("bfn", seed=7)
    assert done.folder == Path("exports", "bfn")
    run, check = experiment.load("bfn"), np.load(done.folder / "check.npz")
    for index, same in ((0, False), (1, True)):  # of the two seeds
        found = expected(run, index, check["obs"], check["noise"])
        assert (abs(found - check["chunk"]).max() <= 1e-5) == same
    for name in ("iql", "rebrac", "rlpd"):
        given(untrained(name))
        export.export("anywhere", Path("exports", name))
    folders = [Path("exports", name) for name in ("bfn", "iql", "rebrac", "rlpd")]
    alone("-c", ALONE, *folders, cwd=tmp_path)


def test_the_command_says_what_it_wrote_and_how_far_off(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["chunkrl", "export", "qc-fql", "--to", "exports/qc_fql"])
    cli.main()
    told = capsys.readouterr().out
    assert told.startswith("exports/qc_fql: qc_fql on cube-single-play-singletask-task2-v0, seed 0")
    assert "agent.onnx: differs from the agent by " in told
    about = json.loads((tmp_path / "exports" / "qc_fql" / "agent.json").read_text())
    assert (about["chunk"], about["action_dim"], about["execute"], about["seed"]) == (5, 5, 5, 0)
    assert about["noise"] == [about["candidates"], 25] == [1, 25]
    assert [layer["then"] for layer in about["policy"]["layers"]] == [[["gelu_tanh"]]] * 3 + [[]]
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (program,) = [block for block in blocks if "from player import" in block]
    given = f"import numpy as np\nobs = np.zeros((4, {about['obs_dim']}))\n"
    program = program.replace("exports/qc", "exports/qc_fql") + "print(chunk.shape)"
    code = f"import sys; sys.path.insert(0, 'exports/qc_fql')\n{given}{program}"
    assert alone("-c", code, cwd=tmp_path) == "(4, 5, 5)\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere"], "nowhere is not a run"),
        (["foreign"], "foreign is not a run"),
        (["broken"], "broken"),
        (["qc", "--seed", "3"], "seed = 3: the run has 100"),
        (["qc", "--seed", "-1"], "seed = -1: must be at least 0"),
        (["qc", "--to", "foreign"], "foreign is there already"),
        (["qc", "--to", "file/out"], "file"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_a_sentence(words, sentence, tmp_path, monkeypatch):
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "agent.json").write_text("{}")
    (tmp_path / "file").write_text("")
    (tmp_path / "broken").mkdir()
    for file in (experiment.SHIPPED / "fql").iterdir():
        (tmp_path / "broken" / file.name).write_bytes(
            file.read_bytes()[: -100 * (file.suffix == ".npz") or None]
        )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["chunkrl", "export", *words])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code.startswith("chunkrl: ")
    assert sentence in ended.value.code
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_package_that_is_not_there_is_named_and_can_be_done_without(
    package, given, tmp_path, monkeypatch
):
    given(untrained("qc"))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=r"pip install onnx onnxruntime, or .* --no-onnx"):
        export.export("anywhere", tmp_path / "out")
    assert not [*tmp_path.iterdir()]
    done = export.export("anywhere", tmp_path / "out", onnx=False)
    assert {file.name for file in done.folder.iterdir()} == FILES - {"agent.onnx"}
    assert done.difference.keys() == {"agent.npz"}


def test_a_policy_that_the_player_does_not_know_is_refused_by_its_method(given, tmp_path):
    run = untrained("qc")
    given(run._replace(agent=dataclasses.replace(run.agent, policy=object())))
    with pytest.raises(ConfigError, match="qc acts in a way of its own"):
        export.export("anywhere", tmp_path / "out")


def corrupt_bias(about, arrays):
    arrays["policy/Dense_0/bias"] = arrays["policy/Dense_0/bias"] + np.float32(1e-3)


def corrupt_nan(about, arrays):
    arrays["policy/Dense_0/bias"] = arrays["policy/Dense_0/bias"] * np.nan


def corrupt_critic(about, arrays):
    about["aggregate"] = -1e3  # mean + 1000 std: others are liked best


def corrupt_words(about, arrays):
    about["policy"]["layers"][0]["then"] = [["relu"]]


@pytest.mark.parametrize("corrupt", [corrupt_bias, corrupt_nan, corrupt_critic, corrupt_words])
def test_files_that_act_otherwise_are_refused_and_not_left(corrupt, given, tmp_path, monkeypatch):
    given(untrained("qc"))
    right = export.described

    def wrong(run, index):
        about, arrays = right(run, index)
        corrupt(about, arrays)
        return about, arrays

    monkeypatch.setattr(export, "described", wrong)
    with pytest.raises(ConfigError, match=r"agent.npz would differ from what the agent does"):
        export.export("anywhere", tmp_path / "out")
    assert not [*tmp_path.iterdir()]


def test_a_graph_that_acts_otherwise_is_refused(given, tmp_path, monkeypatch):
    given(untrained("fql"))
    monkeypatch.setitem(export.graph.UFUNCS, np.tanh, "Sigmoid")
    with pytest.raises(ConfigError, match=r"agent.onnx would differ"):
        export.export("anywhere", tmp_path / "out")


class Two:
    """A player of two proposals, the first of which is liked better by `gap`."""

    def __init__(self, gap):
        self.gap = gap

    def proposals(self, obs, noise):
        value = np.full((len(obs), 2, 1), -50.0, np.float32)
        value[:, 0] += self.gap
        return noise, value


@pytest.mark.parametrize(
    ("gap", "kept"), [((0, 1), 1), ((1e-5, 1), 1), ((0, 0), 0), ((0.1, 0.1), 2)]
)
def test_of_two_proposals_of_one_value_either_is_right(gap, kept):
    """Rows that differ count unless the critics cannot tell; with none left it is refused."""
    case = {"obs": np.ones((2, 3)), "noise": np.ones((2, 2, 4)), "chunk": np.zeros((2, 1, 4))}
    chunk = np.zeros((2, 1, 4))
    chunk[0] = 0.5
    files = {"agent.npz": lambda obs, noise: chunk if kept else chunk + 0.5}
    run = lambda: export.compared(case, Two(np.array(gap)[:, None]), files)
    if kept == 1:
        rows, largest = run()
        assert len(rows["obs"]) == 1
        assert largest == {"agent.npz": 0}
    else:
        with pytest.raises(ConfigError, match=f"in {kept} observations"):
            run()


def test_without_its_environment_observations_are_drawn(given, tmp_path, monkeypatch):
    given(untrained("mac"))

    def missing(*_):
        raise ConfigError("Gymnasium cannot make it")

    monkeypatch.setattr(export, "Evaluator", missing)
    done = export.export("anywhere", tmp_path / "out")
    assert done.compared == "80 observations drawn"
    obs = np.load(done.folder / "check.npz")["obs"]
    centre = untrained("mac").normaliser.centre
    np.testing.assert_allclose(obs.mean(axis=0), centre, atol=1)


def test_what_a_killed_export_left_is_swept(given, tmp_path):
    given(untrained("fql"))
    left = tmp_path / ".out.999999999.tmp"
    left.mkdir()
    (left / "agent.npz").write_bytes(b"half")
    export.export("anywhere", tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_a_disk_that_fills_up_leaves_nothing(given, tmp_path, monkeypatch):
    given(untrained("fql"))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export.shutil, "copyfile", full)
    with pytest.raises(ChunkRLError, match="No space left"):
        export.export("anywhere", tmp_path / "out")
    assert not [*tmp_path.iterdir()]


def test_the_copy_is_the_player_that_was_compared(given, tmp_path):
    given(untrained("qc"))
    done = export.export("anywhere", tmp_path / "out")
    assert (done.folder / "player.py").read_text() == export.Path(
        export.player.__file__
    ).read_text()
    arrays = np.load(done.folder / "agent.npz", allow_pickle=False)
    assert {arrays[name].dtype for name in arrays.files} == {np.dtype(np.float32)}
    assert Player(done.folder).noise(2, np.random.default_rng(0)).shape == (2, 32, 10)
