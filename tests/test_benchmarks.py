"""The speed table compares like with like: the same windows, operations counted in full."""

import csv
import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunkrl.data import chunks, windows

FOLDER = Path(__file__).parents[1] / "benchmarks"


def script(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def speed():
    return script("speed")


@pytest.fixture
def methods(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return script("methods")


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return script("gpu")


def test_the_usual_loop_draws_the_same_windows(speed):
    agent, _ = speed.agent_of("qc_fql", "smoke")
    data = speed.random_dataset(3000)
    host = speed.host_windows(np.random.default_rng(0), data, 1000, agent)
    start = np.random.default_rng(0).integers(0, 3000 - agent.backup + 1, 1000)
    device = windows.take(jax.device_put(data), jnp.asarray(start), agent.backup, agent.discount)
    assert not host.valid.all()
    for a, b in zip(host, device, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_matrix_products_are_counted_in_loops_and_batches(speed):
    a, b = jnp.ones((3, 4)), jnp.ones((5, 4, 4))

    def loop(a, b):
        return jax.lax.scan(lambda a, b: (jax.jit(jnp.matmul)(a, b), None), a, b)[0]

    assert speed.matmul_flops(loop, a, b) == 5 * 2 * 3 * 4 * 4
    batched = jax.vmap(jnp.matmul, (None, 0))
    assert speed.matmul_flops(batched, a, b) == 5 * 2 * 3 * 4 * 4


def test_the_count_of_an_update_grows_with_the_batch(speed):
    """Best-of-N on cube-double at smoke size by hand: forward costs 2, a gradient 6 per weight.

    Critics (2): weights 62 x 32 + 32 x 32 + 32; flow: 63 x 32 + 32 x 32 + 32 x 25.  Target: 4
    candidates x 4 Euler steps of the flow, 4 candidates of the critics, one of the target critics;
    what the 37 numbers of the state add to a first layer is the same for all candidates and counts
    once.  The gradient leaves out the first layer's inputs.
    """
    agent, _ = speed.agent_of("qc", "smoke")
    critic, flow = 62 * 32 + 32 * 32 + 32, 63 * 32 + 32 * 32 + 32 * 25
    state = 37 * 32
    flows, critics = 4 * (state + 4 * (flow - state)), 2 * (state + 4 * (critic - state))
    forward = 2 * (flows + critics + 2 * critic)
    gradient = 6 * (2 * critic + flow) - 2 * (2 * 62 * 32 + 63 * 32)
    assert speed.update_flops(agent, 10) == 10 * (forward + gradient)


def test_the_usual_loop_draws_the_same_chunks(gpu, speed):
    agent, _, data = gpu.problem("mac", "smoke")
    data = jax.device_get(data)
    host = gpu.host_chunks(np.random.default_rng(0), data, 1000, agent)
    rows = data.starts[np.random.default_rng(0).integers(0, len(data.starts), 1000)]
    device = chunks.take(jax.device_put(data), jnp.asarray(rows), agent.chunk, agent.discount)
    for a, b in zip(host, device, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_a_row_is_written_for_each_method_and_number_of_seeds(gpu, tmp_path, monkeypatch):
    """On this machine's processor, at smoke size; a second file ends where the time is over."""
    names = "device", "jax", "method", "size", "precision"
    path, options = tmp_path / "gpu.csv", ["--size", "smoke", "--repeats", "1", "--seeds", "1"]
    options += ["--methods", "fql", "--precisions", "tensorfloat32", "candidates"]
    monkeypatch.setattr("sys.argv", ["gpu.py", str(path), *options])
    gpu.main()
    with path.open() as file:
        rows = list(csv.DictReader(file))
    found = [(row["method"], row["precision"]) for row in rows]
    assert found == [("fql", "tensorfloat32")]  # it proposes nothing without gradients
    (row,) = ({k: float(v) for k, v in row.items() if k not in names} for row in rows)
    assert row["ratio"] == pytest.approx(row["updates_per_s"] / row["usual_updates_per_s"], abs=0.1)
    assert row["minutes_per_million"] == pytest.approx(1e6 / row["updates_per_s"] / 60, rel=0.01)
    monkeypatch.setattr("sys.argv", ["gpu.py", str(path), *options, "--seconds", "-1"])
    gpu.main()
    assert not path.read_text()


def test_products_of_a_compiled_program_are_counted_in_loops_and_batches(methods, speed):
    a, b = jnp.ones((6, 30, 40)), jnp.ones((6, 40, 40))

    def loop(a, b):
        inner = lambda a, _: (jnp.tanh(a @ b), None)
        outer = lambda a, _: (jax.lax.scan(inner, a, length=7)[0], None)
        return jnp.sum(jax.lax.scan(outer, a, length=5)[0][0].T @ b[0, :30])

    found = methods.products(jax.jit(loop).lower(a, b).compile().as_text())
    assert sum(found.values()) == 5 * 7 + 1
    assert sum(methods.flop(p) * n for p, n in found.items()) == speed.matmul_flops(loop, a, b)
    until = lambda a, b: jax.lax.while_loop(lambda a: a.sum() > 0, lambda a: a @ b, a)
    with pytest.raises(ValueError, match="unknown length"):
        methods.products(jax.jit(until).lower(a, b).compile().as_text())


@pytest.mark.parametrize("layers", [1, 3])
def test_kernels_are_those_of_the_loop_over_updates(methods, layers):
    """A product and a fusion for each layer, and the step that the loop counts."""

    def turn(x, _):
        for _ in range(layers):
            x = jnp.tanh(x @ x)
        return x, None

    loop = jax.jit(lambda x: jax.lax.scan(turn, x, length=5)[0])
    assert methods.kernels(loop.lower(jnp.ones((64, 64))).compile().as_text()) == 2 * layers + 1


def test_a_row_is_written_for_each_method_that_has_none(methods, tmp_path, monkeypatch):
    path, options = tmp_path / "methods.csv", ["--size", "smoke", "--turns", "1"]
    read = lambda: [*csv.DictReader(path.read_text().splitlines())]
    monkeypatch.setattr("os.sched_setaffinity", lambda *_: None)  # of this process
    for names in (["iql"], ["fql", "iql"]):
        before = read() if path.exists() else []
        monkeypatch.setattr("sys.argv", ["methods.py", str(path), *names, *options])
        methods.main()
        assert [row["method"] for row in read()] == ["iql", "fql"][: len(names)]
        assert read()[: len(before)] == before
    assert [*tmp_path.iterdir()] == [path]
    for row in read():
        update, products = float(row["update_ms"]), float(row["products_ms"])
        assert 0 < products < update
        assert float(row["percent"]) == pytest.approx(100 * products / update, rel=0.05)
        assert 0 < float(row["smoke_init_s"]) + float(row["smoke_first_s"]) < 20


@pytest.mark.filterwarnings("ignore:.*precision lowered")  # where OGBench makes an environment
def test_generation_is_compared_on_episodes_of_the_same_rows(tmp_path, monkeypatch):
    generation = script("generation")
    plan = generation.recipe("scene-play", states=21)
    ours = generation.oracles.episode(plan, "train", 0)
    episode = next(generation.theirs(plan))
    shapes = lambda rows: {name: (x.shape[1:], len(x)) for name, x in rows.items()}
    assert shapes(episode) == shapes(ours)
    path = tmp_path / "generation.csv"
    options = ["scene-play", "--states", "21", "--episodes", "1"]
    monkeypatch.setattr("sys.argv", ["generation.py", str(path), *options])
    generation.main()
    (row,) = csv.DictReader(path.read_text().splitlines())
    assert float(row["ratio"]) == pytest.approx(float(row["ours_s"]) / float(row["ogbench_s"]), 0.1)
