"""Rendering without a screen."""

import ctypes
import os
import sys
import warnings
from functools import cache
from typing import Any

from chunkrl.errors import ConfigError

FIX = (
    "on Debian and Ubuntu `apt-get install libegl1 libgl1-mesa-dri`, then unset MUJOCO_GL or set "
    "it to egl"
)


def choose_gl() -> None:
    """Let MuJoCo render without a screen on Linux; to be called before MuJoCo is imported.

    Keeps a MUJOCO_GL that is already set, and raises ConfigError where MuJoCo cannot be imported
    under it.  Where EGL is missing, `import mujoco` itself would fail under MUJOCO_GL=egl, so
    rendering is switched off instead.
    """
    if sys.platform != "linux":
        return
    if chosen := os.environ.get("MUJOCO_GL"):
        try:
            import mujoco  # noqa: F401
        except Exception as error:  # each library fails in its own way
            raise ConfigError(
                f"MuJoCo cannot be imported under MUJOCO_GL={chosen} ({error}): unset it, or "
                "install what it names"
            ) from error
        return
    try:
        ctypes.CDLL("libEGL.so.1")
        os.environ["MUJOCO_GL"] = "egl"
    except OSError:
        os.environ["MUJOCO_GL"] = "disable"


def rendering_backend() -> str:
    """What pictures are made with, and what to install where that is a sketch."""
    error = rendering_error()
    if error is None:
        return f"MuJoCo with OpenGL (MUJOCO_GL={os.environ.get('MUJOCO_GL', 'not set')})"
    return f"sketches seen from above, because OpenGL does not work ({error}); to fix it: {FIX}"


def warn_if_drawn() -> None:
    """Tell once that pictures will be sketches."""
    if rendering_error() is not None:
        warnings.warn(f"pictures are {rendering_backend()}", RuntimeWarning, stacklevel=3)


@cache
def rendering_error() -> str | None:
    try:
        mujoco = import_mujoco()
        with mujoco.Renderer(mujoco.MjModel.from_xml_string("<mujoco/>"), 8, 8) as renderer:
            renderer.render()
    except Exception as error:  # each platform's OpenGL fails in its own way
        return f"{type(error).__name__}: {error}"
    return None


def import_mujoco() -> Any:
    choose_gl()
    import mujoco

    return mujoco
