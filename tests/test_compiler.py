"""Compiler options: those that XLA knows, on a CPU, and Eigen for many rows alone."""

import jax
import jax.numpy as jnp
import pytest

from chunkrl.train import compiler

on_cpu = pytest.mark.skipif(jax.default_backend() != "cpu", reason="only a CPU has options")


def test_an_option_that_does_not_exist_is_left_out(monkeypatch):
    monkeypatch.setattr(compiler, "OPTIONS", {"xla_cpu_there_is_no_such_option": 1})
    assert compiler.options(1) == {}


@on_cpu
def test_many_rows_are_multiplied_by_eigen():
    """A program with the options for many rows calls no YNNPACK, and computes the same."""
    if not compiler.known(*next(iter(compiler.EIGEN.items()))):
        pytest.skip("this version of XLA has no such choice")
    x = jax.random.normal(jax.random.key(0), (64, 64))
    few, many = (
        jax.jit(jnp.matmul, compiler_options=compiler.options(rows)).lower(x, x).compile()
        for rows in (compiler.MANY_ROWS - 1, compiler.MANY_ROWS)
    )
    assert "ynn" not in many.as_text()
    assert jnp.allclose(few(x, x), many(x, x), atol=1e-5)


@on_cpu
def test_known_options_are_accepted_together():
    function = jax.jit(lambda x: 2 * x, compiler_options=compiler.options(compiler.MANY_ROWS))
    assert function(3.0) == 6.0


def test_other_devices_get_none(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert compiler.options(compiler.MANY_ROWS) == {}


@on_cpu
def test_what_runs_shortly_is_compiled_quickly(monkeypatch):
    """By fewer passes of LLVM, for which XLA is told twice: at its flags, and for the program."""
    monkeypatch.setenv("XLA_FLAGS", "")
    usual, quick = compiler.options(1), compiler.options(1, quick=True)
    assert quick[compiler.LEVEL] < usual[compiler.LEVEL]
    assert quick.keys() >= usual.keys()
    monkeypatch.setenv("XLA_FLAGS", f"--{compiler.LEVEL}=2")
    assert compiler.options(1, quick=True) == {
        k: v for k, v in quick.items() if k != compiler.LEVEL
    }
