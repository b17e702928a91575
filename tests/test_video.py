import base64
import io
import os
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from chunkrl.envs.ogbench import tasks
from chunkrl.errors import ConfigError
from chunkrl.play import video


@pytest.fixture(scope="module")
def env():
    env = tasks.make_env(tasks.get("cube-single-play-singletask-task2-v0"))
    tasks.reset(env, 0)
    return env


@pytest.fixture
def no_opengl(monkeypatch):
    monkeypatch.setattr(video, "_rendering_error", lambda: "no OpenGL")


def ramp(length, height=12, width=16, colour=(250, 10, 10)):
    brightness = np.linspace(0.2, 1, length)[:, None, None, None]
    return (np.ones((length, height, width, 3)) * colour * brightness).astype(np.uint8)


def test_a_rendered_picture_shows_the_cube(env):
    if "sketch" in video.rendering_backend():
        pytest.skip(video.rendering_backend())
    frame = video.Recorder(env).frame()
    assert frame.shape == (video.SIZE, video.SIZE, 3)
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
        video._mujoco().mj_kinematics(env.unwrapped.model, data)
        centres.append(reds(video.Recorder(env).frame()).mean(axis=0))
    data.qpos[:] = qpos
    video._mujoco().mj_kinematics(env.unwrapped.model, data)
    # 0.9 m across: the workspace's 0.7 m and 0.1 m on either side; y runs to the right.
    np.testing.assert_allclose(centres[1] - centres[0], [0, 0.2 * video.SIZE / 0.9], atol=1.5)


def test_a_sketch_of_a_maze_shows_walls_body_and_goal():
    env = tasks.make_env(tasks.get("pointmaze-medium-navigate-singletask-v0"))
    tasks.reset(env, 0)
    picture = video.sketch(env).reshape(-1, 3)
    assert (picture == 255).all(axis=1).mean() > 0.3  # 36 of the 64 cells are walls
    assert len(np.unique(picture, axis=0)) >= 5  # floor, walls, edges, body, goal


def test_recording_takes_every_second_state(env, no_opengl):
    recorder = video.Recorder(env)
    assert [step for step in range(6) if recorder.due(step)] == [0, 2, 4]


def test_without_opengl_everything_works_with_one_warning():
    script = """
import warnings
from chunkrl.envs.ogbench import tasks
from chunkrl.play import video
print(video.rendering_backend())
env = tasks.make_env(tasks.get("pointmaze-medium-navigate-singletask-v0"))
tasks.reset(env, 0)
with warnings.catch_warnings(record=True) as caught:
    for _ in range(3):
        video.warn_if_drawn()
print(len(caught), video.Recorder(env).frame().shape)
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
    assert count == f"1 ({video.SIZE}, {video.SIZE}, 3)"


def test_the_warning_says_what_to_do(no_opengl):
    with pytest.warns(RuntimeWarning, match="seen from above.*apt-get install"):
        video.warn_if_drawn()


def test_no_warning_where_opengl_works(monkeypatch):
    monkeypatch.setattr(video, "_rendering_error", lambda: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        video.warn_if_drawn()
    assert "MuJoCo with OpenGL" in video.rendering_backend()


@pytest.mark.parametrize("name", ["clip.mp4", "clip"])
def test_a_name_that_promises_another_format_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match=f"let {name} end in .webp"):
        video.save(ramp(2), tmp_path / name)
    assert not any(tmp_path.iterdir())


def test_a_saved_animation_has_all_frames_and_their_duration(tmp_path):
    path = video.save(ramp(6), tmp_path / "new" / "clip.webp", fps=20)
    assert [file.name for file in path.parent.iterdir()] == ["clip.webp"]  # nothing half-written
    with Image.open(path) as image:
        assert (image.format, image.n_frames, image.size) == ("WEBP", 6, (16, 12))
        means = []
        for k in range(6):
            image.seek(k)
            means.append(np.asarray(image.convert("RGB"))[..., 0].mean())
        assert image.info["duration"] == 50  # ms
    np.testing.assert_allclose(means, np.linspace(50, 250, 6), atol=8)  # WebP is lossy


def test_html_holds_the_animation_and_a_text(env):
    element = video.html(ramp(3), alt='Cube "in" <place>')
    match = re.fullmatch(r'<img src="data:image/webp;base64,([^"]+)" alt="([^"]+)">', element)
    assert match
    assert match[2] == "Cube &quot;in&quot; &lt;place&gt;"
    with Image.open(io.BytesIO(base64.b64decode(match[1]))) as image:
        assert image.n_frames == 3


def test_side_by_side_waits_for_the_longer_clip():
    clip = video.side_by_side([ramp(3), ramp(5, colour=(10, 10, 250))], ["a", "b"])
    assert clip.shape == (5, 12 + 20, 32, 3)
    np.testing.assert_array_equal(clip[2:, 20:, :16], np.stack([ramp(3)[-1]] * 3))
    np.testing.assert_array_equal(clip[:, 20:, 16:], ramp(5, colour=(10, 10, 250)))
    assert (clip[0, :20, :16] < 128).any()  # the label
    with pytest.raises(ValueError, match="zip"):
        video.side_by_side([ramp(3)], ["a", "b"])
