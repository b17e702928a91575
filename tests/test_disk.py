"""Paths as users write them, and files that are whole or not there."""

from pathlib import Path

import pytest

from chunkrl import disk
from chunkrl.errors import ConfigError


def test_a_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert disk.user_path("~/d.npz") == Path("/home/somebody/d.npz")
    assert disk.user_path(Path("~")) == Path("/home/somebody")
    assert disk.user_path("a/~/b~") == Path("a/~/b~")


@pytest.mark.parametrize("path", ["a\0b", "", None, 3, b"d.npz", "~nobody-of-this-name/d.npz"])
def test_what_names_no_file_is_refused_in_a_sentence(path):
    with pytest.raises(ConfigError, match="path"):
        disk.user_path(path)
