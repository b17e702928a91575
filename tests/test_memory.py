"""Memory of the processes that run tests: bounded, printed, and a failure above the limit."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
from conftest import MOST, release

# Circles of arrays that only the collector finds, 2.2 GB in all.
WASTEFUL = """
import numpy as np
import pytest

@pytest.mark.parametrize("i", range(11))
def test_waste(i):
    circle = [np.ones(25_000_000)]
    circle.append(circle)
"""


def test_compiled_programs_are_forgotten() -> None:
    function = jax.jit(lambda x: x + 1)
    function(1.0)
    assert function._cache_size() == 1
    release()
    assert function._cache_size() == 0
    assert function(1.0) == 2.0


def test_a_process_stays_bounded_and_above_the_limit_the_run_fails(tmp_path) -> None:
    """Tests that pass and leave much behind, under a limit that is too low for them."""
    settings = Path(__file__).with_name("conftest.py").read_text()
    assert settings.count(str(MOST)) == 1
    (tmp_path / "conftest.py").write_text(settings.replace(str(MOST), "500"))
    (tmp_path / "test_waste.py").write_text(WASTEFUL)
    shutil.copy(Path(__file__).with_name("reduce_parity.py"), tmp_path)  # conftest imports it
    command = [sys.executable, "-m", "pytest", "-p", "no:nbval", "-n", "1", "--rootdir", "."]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "11 passed" in run.stdout, run.stdout + run.stderr
    found = re.search(
        r"peak memory of test process gw0: (\d+) MB in .*, more than the 500", run.stdout
    )
    assert found, run.stdout
    assert 500 < int(found[1]) < 2000
    assert run.returncode == 1
