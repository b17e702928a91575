"""Settings of every test: strict shapes, keys used once, quick compilation, reference vectors."""

import os
import tempfile
from pathlib import Path

# Notebook kernels inherit these: compile quickly, and compile each small operation only once.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
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

import jax  # noqa: E402  (after what it reads)
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
