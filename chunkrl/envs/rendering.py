"""Rendering without a screen."""

import ctypes
import os
import sys

from chunkrl.errors import ConfigError


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
