"""Rendering without a screen: MuJoCo is imported without OpenGL, which is opened to draw."""

import os
import sys
import warnings
from functools import cache
from importlib import import_module
from typing import Any
from unittest import mock

from chunkrl.errors import ConfigError

LIBRARIES = ("egl", "glfw", "osmesa")  # with which MuJoCo draws on Linux
OFF = ("disable", "disabled", "off", "false", "0")


def not_drawing() -> Any:
    """A context to import MuJoCo, or what imports it, without OpenGL on Linux.

    MuJoCo and dm_control open an OpenGL library when they are imported, and what is missing there
    (a driver, a device, a display) would stop work that draws nothing.
    """
    return mock.patch.dict(os.environ, {"MUJOCO_GL": "disable"} if sys.platform == "linux" else {})


def import_mujoco() -> Any:
    """The module `mujoco`, whatever OpenGL there is."""
    with not_drawing():
        import mujoco

    return mujoco


def drawing_mujoco() -> Any:
    """The module `mujoco` with OpenGL: that of MUJOCO_GL, or EGL where it is not set.

    Raises what the library raises, and ConfigError where MUJOCO_GL names none.
    """
    mujoco = import_mujoco()
    if sys.platform == "linux":
        chosen = os.environ.get("MUJOCO_GL", "").lower().strip() or "egl"
        if chosen not in LIBRARIES:
            what = "switches it off" if chosen in OFF else f"is none of {', '.join(LIBRARIES)}"
            raise ConfigError(f"MUJOCO_GL={chosen} {what}")
        places = ("mujoco.rendering.classic.gl_context", "mujoco.gl_context")
        for module in [sys.modules[name] for name in places if name in sys.modules]:
            if not hasattr(module, "GLContext"):  # another import of MuJoCo came before ours
                module.GLContext = import_module(f"mujoco.{chosen}").GLContext  # pyright: ignore
    return mujoco


def rendering_backend() -> str:
    """What pictures are made with, and what to install where that is a sketch."""
    error = rendering_error()
    if error is None:
        return f"MuJoCo with OpenGL (MUJOCO_GL={os.environ.get('MUJOCO_GL', 'not set')})"
    return (
        f"sketches seen from above, because OpenGL does not work ({error}): on Debian and Ubuntu"
        " `apt-get install libegl1 libgl1-mesa-dri`, then unset MUJOCO_GL or set it to egl"
    )


def warn_if_drawn() -> None:
    """Tell once that pictures will be sketches."""
    if rendering_error() is not None:
        warnings.warn(f"pictures are {rendering_backend()}", RuntimeWarning, stacklevel=3)


@cache
def rendering_error() -> str | None:
    """Why MuJoCo cannot draw here, found by drawing; None where it can."""
    try:
        mujoco = drawing_mujoco()
        with mujoco.Renderer(mujoco.MjModel.from_xml_string("<mujoco/>"), 8, 8) as renderer:
            renderer.render()
    except Exception as error:  # each platform's OpenGL fails in its own way
        return f"{type(error).__name__}: {error}"
    return None
