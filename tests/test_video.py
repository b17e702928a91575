import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from chunkrl.errors import ConfigError
from chunkrl.play import video


def ramp(length, height=12, width=16, colour=(250, 10, 10)):
    brightness = np.linspace(0.2, 1, length)[:, None, None, None]
    return (np.ones((length, height, width, 3)) * colour * brightness).astype(np.uint8)


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


def test_html_holds_the_animation_and_a_text():
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
