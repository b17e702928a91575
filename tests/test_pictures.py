"""Pictures of OGBench's scenes, with OpenGL and without."""

import os
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest

from chunkrl.envs import rendering
from chunkrl.envs.ogbench import pictures, tasks


@pytest.fixture(scope="module")
def env():
    env = tasks.make_env(tasks.get("cube-single-play-singletask-task2-v0"))
    tasks.reset(env, 0)
    return env


@pytest.fixture
def no_opengl(monkeypatch):
    for module in (rendering, pictures):
        monkeypatch.setattr(module, "rendering_error", lambda: "no OpenGL")


def test_a_rendered_picture_shows_the_cube(env):
    if "sketch" in rendering.rendering_backend():
        pytest.skip(rendering.rendering_backend())
    frame = pictures.Camera(env).frame()
    assert frame.shape == (pictures.SIZE, pictures.SIZE, 3)
    assert frame.dtype == np.uint8
    red, green, blue = frame.astype(int).transpose(2, 0, 1)
    assert ((red > 120) & (green < 100) & (blue < 110)).sum() > 20


def reds(picture):
    """Where a sketch shows the cube (and, paler, its target): rows and columns of its pixels."""
    red, green, blue = picture.astype(int).transpose(2, 0, 1)
    return np.argwhere((red > 230) & (green < 80) & (blue < 100))


def test_a_sketch_shows_the_cube_where_it_is(env, no_opengl):
    data = env.unwrapped._data
    qpos = data.qpos.copy()
    centres = []
    for y in (-0.1, 0.1):
        data.joint("object_joint_0").qpos[:2] = (0.4, y)
        rendering.import_mujoco().mj_kinematics(env.unwrapped.model, data)
        centres.append(reds(pictures.Camera(env).frame()).mean(axis=0))
    data.qpos[:] = qpos
    rendering.import_mujoco().mj_kinematics(env.unwrapped.model, data)
    # 0.9 m across: the workspace's 0.7 m and 0.1 m on either side; y runs to the right.
    np.testing.assert_allclose(centres[1] - centres[0], [0, 0.2 * pictures.SIZE / 0.9], atol=1.5)


def test_a_sketch_of_a_maze_shows_walls_body_and_goal():
    env = tasks.make_env(tasks.get("pointmaze-medium-navigate-singletask-v0"))
    tasks.reset(env, 0)
    picture = pictures.sketch(env).reshape(-1, 3)
    assert (picture == 255).all(axis=1).mean() > 0.3  # 36 of the 64 cells are walls
    assert len(np.unique(picture, axis=0)) >= 5  # floor, walls, edges, body, goal


def test_without_opengl_everything_works_with_one_warning():
    script = """
import warnings
from chunkrl.envs import rendering
from chunkrl.envs.ogbench import pictures, tasks
print(rendering.rendering_backend())
env = tasks.make_env(tasks.get("pointmaze-medium-navigate-singletask-v0"))
tasks.reset(env, 0)
with warnings.catch_warnings(record=True) as caught:
    for _ in range(3):
        rendering.warn_if_drawn()
print(len(caught), pictures.Camera(env).frame().shape)
"""
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "MUJOCO_GL": "disable"},
        capture_output=True,
        text=True,
        check=True,
    )
    backend, count = result.stdout.strip().split("\n")
    assert re.search("sketches.*apt-get install libegl1", backend)
    assert count == f"1 ({pictures.SIZE}, {pictures.SIZE}, 3)"


def test_the_warning_says_what_to_do(no_opengl):
    with pytest.warns(RuntimeWarning, match="seen from above.*apt-get install"):
        rendering.warn_if_drawn()


def test_no_warning_where_opengl_works(monkeypatch):
    monkeypatch.setattr(rendering, "rendering_error", lambda: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rendering.warn_if_drawn()
    assert "MuJoCo with OpenGL" in rendering.rendering_backend()


NO_DRIVER = {"__EGL_VENDOR_LIBRARY_FILENAMES": "/nonexistent", "MUJOCO_GL": ""}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere MuJoCo finds OpenGL by itself")
@pytest.mark.parametrize(
    ("surroundings", "cause"),
    [
        (NO_DRIVER, "EGL"),
        (NO_DRIVER | {"MUJOCO_GL": "egl"}, "EGL"),
        ({"MUJOCO_GL": "nonsense"}, "MUJOCO_GL=nonsense is none of egl"),
        ({"MUJOCO_GL": "off"}, "MUJOCO_GL=off switches it off"),
    ],
)
def test_what_draws_nothing_needs_no_opengl(surroundings, cause):
    """Neither a driver nor a MUJOCO_GL that works; nothing is set that later work would read."""
    script = """
import os
before = dict(os.environ)
from chunkrl.envs.ogbench import tasks
env = tasks.make_env(tasks.get("cube-single-play-singletask-task2-v0"))
tasks.reset(env, 0)
env.step(env.action_space.sample())
assert dict(os.environ) == before
from chunkrl.envs.rendering import rendering_error
print(rendering_error())
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ, **surroundings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert cause in result.stdout
