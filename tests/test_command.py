"""How commands end: Ctrl-C is never swallowed."""

import gc
import signal
import time

import pytest

from chunkrl.command import sentences


class Deaf:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def collect(phase, _):
    if phase == "start":
        gc.callbacks.remove(collect)
        signal.raise_signal(signal.SIGINT)


def work(where):
    if where == "finaliser":
        Deaf()
    else:
        gc.callbacks.append(collect)
        gc.collect()
    time.sleep(5)


@pytest.mark.parametrize("where", ["finaliser", "collection"])
def test_ctrl_c_in_code_whose_errors_python_ignores_ends_all_the_same(where):
    with pytest.raises(SystemExit, match="stopped; training and data go on"), sentences("work"):
        work(where)


def test_other_ignored_errors_are_shown_as_before(capsys):
    class Broken:
        def __del__(self):
            raise ValueError("broken finaliser")

    import sys

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", lambda what: print(what.exc_value))
        with sentences("work"):
            Broken()
    assert capsys.readouterr().out == "broken finaliser\n"
