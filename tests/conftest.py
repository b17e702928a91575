"""Settings of every test: strict shapes, keys used once, quick compilation, bounded memory."""

import ctypes
import gc
import os
import resource
import signal
import sys
import tempfile
from collections import Counter
from itertools import chain
from pathlib import Path

# Notebook kernels inherit these: compile quickly, and compile each small operation only once.
# Programs of fused loops take three times as long to compile, and no less to run at these sizes.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
)
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"chunkrl-xla-{os.getuid()}")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small solves: threads only get in the way
# Not the user's progress and data; a temporary folder that goes when the tests end.
FOLDERS = tempfile.TemporaryDirectory(prefix="chunkrl-tests-", ignore_cleanup_errors=True)
os.environ["CHUNKRL_HOME"] = str(Path(FOLDERS.name) / "home")
os.environ["CHUNKRL_DATA"] = str(Path(FOLDERS.name) / "data")

# What a shell starts in the background ignores Ctrl-C, and so would all processes of these tests.
signal.signal(signal.SIGINT, signal.default_int_handler)

import jax  # noqa: E402  (after what it reads)
import psutil  # noqa: E402
import pytest  # noqa: E402
from reduce_parity import LEFT_OUT  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")  # [B] against [B, 1] is an error, not [B, B]
jax.config.update("jax_debug_key_reuse", True)  # a PRNG key is consumed once

SHARED = Path(__file__).parents[2] / "shared"
BESIDE, SHIPPED = SHARED / "parity", Path(__file__).parent / "parity"
VECTORS = Path(os.environ.get("CHUNKRL_PARITY") or (BESIDE if BESIDE.is_dir() else SHIPPED))
VECTORS = VECTORS.expanduser().resolve()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of published figures and reference vectors; a user's clone has none."""
    if not SHARED.is_dir():
        pytest.skip(f"no reference material at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def parity_folder() -> Path:
    """The numeric vectors made by the authors' code: all of them, or the reduced set of a clone."""
    if named := os.environ.get("CHUNKRL_PARITY"):
        assert VECTORS.is_dir(), f"CHUNKRL_PARITY is {named}, which is no folder"
    return VECTORS


@pytest.fixture
def compiled_well(monkeypatch):
    """Of a training with so many updates that they repay a better compilation."""
    import jax

    from chunkrl.train import programs

    jax.jit(lambda: 0)()  # XLA reads XLA_FLAGS once, with the first program; then they are ours
    monkeypatch.setenv("XLA_FLAGS", "")  # now the package's own level counts
    built = programs.learning, programs._initial, programs._spread, programs._acting
    for program in built:  # each remembers the options that it was built with
        program.cache_clear()
    yield
    for program in built:
        program.cache_clear()


class Declared:
    """The folder of vectors, out of which a test may take the one file that it declares."""

    def __init__(self, folder: Path, name: str):
        self.folder, self.file, self.taken = folder, f"{name}.npz", False

    def __truediv__(self, file: str) -> Path:
        assert file == self.file, f"{file} is not the declared {self.file}"
        self.taken = True
        return self.folder / file


@pytest.fixture
def parity(parity_folder, name):
    """The folder of vectors for a test that is parametrised by `name`, a file of it.

    That list is what test_parity_files.py takes as read, so a test reads this file and no other.
    """
    left_out = parity_folder / LEFT_OUT
    if left_out.is_file() and name in left_out.read_text().split():
        pytest.skip(f"{name}: not in the reduced set; CHUNKRL_PARITY names a folder that has all")
    folder = Declared(parity_folder, name)
    yield folder
    assert folder.taken, f"{folder.file} is declared but not read"


# MB: beyond the first a process gives back what it can, if it has gained as much as the second
# since it last did; it never holds more than the third.  What it gives back is compiled again.
FULL, GROWTH, MOST = 1200, 250, 2500
BYTES = 1 if sys.platform == "darwin" else 1024  # what the system counts a peak in
FLOOR, HIGHEST = pytest.StashKey[int](), pytest.StashKey[tuple[int, str]]()
PEAKS = pytest.StashKey[dict[str, tuple[int, str]]]()  # of each process: MB, and in which test


def resident() -> int:
    """MB that this process holds."""
    return psutil.Process().memory_info().rss >> 20


def release() -> None:
    """Give back the memory of compiled programs, which JAX keeps, and of objects in circles."""
    jax.clear_caches()
    gc.collect()
    # The C library keeps most of what was freed until it is asked.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


# Begun first, so that no process is left with a long file when the others have nothing to do.
LONGEST = (
    "test_cli",
    "test_sweep",
    "test_probes",
    "test_online",
    "test_site",
    "test_explore",
    "test_browser",
    "test_train",
    "test_value_error_runs",
    "test_model_based",
    "test_parity_mac",
    "13_robot_values",
    "12_robot",
    "test_data_generate",
    "05_flows",
    "test_parity",
    "test_evaluate",
    "test_command",
    "test_agents",
    "06_why_chunks",
    "test_states",
)


def pytest_collection_modifyitems(items):
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


# Notebooks with loops of thousands of updates, which repay a better compilation.
LOOPS = ("05_flows", "06_why_chunks", "14_write_q_chunking")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """The kernel of a notebook starts with its first cell, and inherits how to compile."""
    with pytest.MonkeyPatch.context() as patch:
        if item.path.stem in LOOPS:
            patch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"].replace("level=0", "level=1"))
        return (yield)


def pytest_configure(config):
    config.stash[PEAKS] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """However many tests a process runs, it holds the programs of few."""
    stash = item.config.stash
    floor = stash.setdefault(FLOOR, resident())
    result = yield
    if resident() > max(FULL, floor + GROWTH):
        release()
        stash[FLOOR] = resident()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES >> 20
    if peak > stash.get(HIGHEST, (0, ""))[0]:
        stash[HIGHEST] = peak, item.nodeid
    return result


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """A process of pytest-xdist ended; one that crashed says nothing."""
    node.config.stash[PEAKS].update(getattr(node, "workeroutput", {}).get("peak", {}))


def pytest_sessionfinish(session):
    """Processes that ran tests hand in what they held at most; too much is a failure."""
    config = session.config
    name = os.environ.get("PYTEST_XDIST_WORKER", "main")
    peak = {name: config.stash.get(HIGHEST, (0, "no test"))}
    if hasattr(config, "workeroutput"):
        config.workeroutput["peak"] = peak
        return
    peaks = config.stash[PEAKS] or peak
    config.stash[PEAKS] = peaks
    if max(peaks.values())[0] > MOST and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    spent = Counter()  # s, of each file
    for report in chain.from_iterable(terminalreporter.stats.values()):
        if getattr(report, "duration", None) and getattr(report, "nodeid", None):
            spent[report.nodeid.split("::")[0]] += report.duration
    for file, seconds in spent.most_common(config.option.durations or 0):
        terminalreporter.write_line(f"{seconds:7.1f} s  {file}")
    for name, (peak, test) in sorted(config.stash[PEAKS].items()):
        verdict = "" if peak <= MOST else f", more than the {MOST} MB that are allowed"
        told = f"peak memory of test process {name}: {peak} MB in {test}{verdict}"
        terminalreporter.write_line(told)
