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

jax.config.update("jax_numpy_rank_promotion", "raise")  # [B] against [B, 1] is an error, not [B, B]
jax.config.update("jax_debug_key_reuse", True)  # a PRNG key is consumed once

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of published figures and reference vectors; a user's clone has none."""
    if not SHARED.is_dir():
        pytest.skip(f"no reference material at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def parity() -> Path:
    """The folder of numeric vectors made by the authors' code."""
    folder = Path(os.environ.get("CHUNKRL_PARITY", SHARED / "parity"))
    if not folder.is_dir():
        pytest.skip(f"no parity vectors at {folder}; point CHUNKRL_PARITY at them")
    return folder
