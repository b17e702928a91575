"""Pictures of episodes: rendered by MuJoCo, or drawn from above where there is no OpenGL."""

import base64
import io
import os
import warnings
from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chunkrl.envs.rendering import choose_gl
from chunkrl.errors import ConfigError

if TYPE_CHECKING:
    import gymnasium

SIZE = 240  # pixels, height and width
EVERY = 2  # a picture of every second state: an environment step lasts 0.05 s in manipulation tasks
FPS = 10  # hence real time
UNSET = (0.5, 0.5, 0.5, 1.0)  # a geom's own colour, which outranks its material's, in MuJoCo
FIX = (
    "on Debian and Ubuntu `apt-get install libegl1 libgl1-mesa-dri`, then unset MUJOCO_GL or set "
    "it to egl"
)


def rendering_backend() -> str:
    """What pictures are made with, and what to install where that is a sketch."""
    error = _rendering_error()
    if error is None:
        return f"MuJoCo with OpenGL (MUJOCO_GL={os.environ.get('MUJOCO_GL', 'not set')})"
    return f"sketches seen from above, because OpenGL does not work ({error}); to fix it: {FIX}"


def warn_if_drawn() -> None:
    """Tell once that pictures will be sketches."""
    if _rendering_error() is not None:
        warnings.warn(f"pictures are {rendering_backend()}", RuntimeWarning, stacklevel=3)


@cache
def _rendering_error() -> str | None:
    try:
        mujoco = _mujoco()
        with mujoco.Renderer(mujoco.MjModel.from_xml_string("<mujoco/>"), 8, 8) as renderer:
            renderer.render()
    except Exception as error:  # each platform's OpenGL fails in its own way
        return f"{type(error).__name__}: {error}"
    return None


def _mujoco() -> Any:
    choose_gl()
    import mujoco

    return mujoco


class Recorder:
    """Takes pictures of one environment."""

    def __init__(self, env: "gymnasium.Env"):
        self.env = env
        self.raw: Any = env.unwrapped
        self._renderer = None if _rendering_error() else _renderer(self.raw.model)

    def due(self, step: int) -> bool:
        return step % EVERY == 0

    def frame(self) -> np.ndarray:
        """The current state.  -> [height, width, 3] uint8"""
        if self._renderer is None:
            return sketch(self.env)
        camera = "front" if hasattr(self.raw, "_pinch_site_id") else self.raw.custom_camera
        self._renderer.update_scene(self.raw.data, camera=camera)
        return self._renderer.render()


def _renderer(model: Any) -> Any:
    """Without shadows, reflections and multisampling: 5 to 7 times faster on a CPU."""
    mujoco = _mujoco()
    model.vis.quality.offsamples = 0
    model.vis.global_.offwidth = model.vis.global_.offheight = SIZE
    renderer = mujoco.Renderer(model, SIZE, SIZE)
    renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
    renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
    return renderer


def sketch(env: "gymnasium.Env") -> np.ndarray:
    """The scene from above: the bounding box of each object, and the gripper.  -> [size, size, 3]

    Manipulation is seen with the robot's base at the top, mazes with x to the right and y up.
    """
    from PIL import Image, ImageDraw

    raw: Any = env.unwrapped
    arm = hasattr(raw, "_pinch_site_id")
    low, high = _bounds(raw, arm)
    scale = SIZE / (high - low).max()

    def pixel(points: np.ndarray) -> np.ndarray:
        offset = (points[..., :2] - (low + high) / 2) * scale
        return SIZE / 2 + (offset[..., ::-1] if arm else offset * [1, -1])

    image = Image.new("RGB", (SIZE, SIZE), "lightgray")
    draw = ImageDraw.Draw(image, "RGBA")
    for geom in _visible(raw.model, raw.data):
        fill, outline = _colour(raw.model, geom)
        for face in _faces(raw.model, raw.data, geom):
            draw.polygon([tuple(p) for p in pixel(face)], fill=fill, outline=outline)
    if arm:
        fingers = [raw.data.body(f"ur5e/robotiq/{side}_pad").xpos for side in ("left", "right")]
        draw.line([tuple(pixel(p)) for p in fingers], fill=(0, 0, 0, 160), width=2)
        for finger in fingers:
            x, y = pixel(finger)
            draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=(0, 0, 0, 255))
    return np.asarray(image)


def _bounds(raw: Any, arm: bool) -> tuple[np.ndarray, np.ndarray]:
    """The part of the x-y plane to draw."""
    if arm:
        low, high = raw._workspace_bounds[:, :2]
        return low - 0.1, high + 0.1
    corners = [_faces(raw.model, raw.data, g) for g in _visible(raw.model, raw.data)]
    corners = np.concatenate(corners).reshape(-1, 3)[:, :2]
    return corners.min(0), corners.max(0)


def _visible(model: Any, data: Any) -> list[int]:
    """Geoms that MuJoCo shows by default, without floor and robot arm; the lowest first."""
    mujoco = _mujoco()
    shown = [
        geom
        for geom in range(model.ngeom)
        if model.geom_group[geom] < 3
        and model.geom_type[geom] != mujoco.mjtGeom.mjGEOM_PLANE
        and not model.body(model.geom_bodyid[geom]).name.startswith("ur5e")
    ]
    return sorted(shown, key=lambda geom: data.geom_xpos[geom, 2])


def _faces(model: Any, data: Any, geom: int) -> np.ndarray:
    """The six faces of a geom's bounding box in the world.  -> [6, 4, 3]"""
    centre, half = model.geom_aabb[geom].reshape(2, 3)
    square = np.array([[1, 1, 1], [1, 1, -1], [1, -1, -1], [1, -1, 1]])
    corners = [np.roll(side * square, axis, axis=1) for axis in range(3) for side in (1, -1)]
    rotation = data.geom_xmat[geom].reshape(3, 3)
    return (centre + half * np.array(corners)) @ rotation.T + data.geom_xpos[geom]


def _colour(model: Any, geom: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Fill and outline; what MuJoCo shows as transparent (targets) keeps a firm outline."""
    rgba, material = model.geom_rgba[geom], model.geom_matid[geom]
    if material >= 0 and np.allclose(rgba, UNSET):
        rgba = model.mat_rgba[material]
    red, green, blue, alpha = (int(255 * value) for value in rgba)
    return (red, green, blue, alpha), (red // 2, green // 2, blue // 2, 255 if alpha else 0)


def side_by_side(clips: Sequence[np.ndarray], labels: Sequence[str]) -> np.ndarray:
    """Clips [T_i, H, W, 3] as one, with labels above; short ones wait in their last picture."""
    from PIL import Image, ImageDraw

    length, band = max(len(clip) for clip in clips), 20
    panels = []
    for clip, label in zip(clips, labels, strict=True):
        title = Image.new("RGB", (clip.shape[2], band), "white")
        ImageDraw.Draw(title).text((6, 4), label, fill="black")
        index = np.minimum(np.arange(length), len(clip) - 1)
        titles = np.broadcast_to(np.asarray(title), (length, *np.asarray(title).shape))
        panels.append(np.concatenate([titles, clip[index]], axis=1))
    return np.concatenate(panels, axis=2)


def webp(frames: np.ndarray, fps: float = FPS) -> bytes:
    """An animation that loops.  [T, H, W, 3] uint8 -> the contents of a WebP file"""
    from PIL import Image

    images: list[Image.Image] = [Image.fromarray(frame) for frame in frames]
    buffer = io.BytesIO()
    images[0].save(
        buffer,
        "WEBP",
        save_all=True,
        append_images=images[1:],
        duration=round(1000 / fps),
        loop=0,
        quality=70,
    )
    return buffer.getvalue()


def webp_path(path: str | os.PathLike) -> Path:
    """`path`, if a file of that name is taken for what it will be.  Raises ConfigError."""
    path = Path(path)
    if path.suffix.lower() != ".webp":
        raise ConfigError(f"videos are animated WebP files: let {path.name} end in .webp")
    return path


def save(frames: np.ndarray, path: str | os.PathLike, fps: float = FPS) -> Path:
    """Write an animated WebP; a file at `path` is replaced only by a complete one."""
    path = webp_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    unfinished.write_bytes(webp(frames, fps))
    os.replace(unfinished, path)
    return path


def html(frames: np.ndarray, alt: str = "An episode", fps: float = FPS) -> str:
    """An <img> element that holds the animation itself: it survives in a saved notebook."""
    data = base64.b64encode(webp(frames, fps)).decode()
    return f'<img src="data:image/webp;base64,{data}" alt="{escape(alt, quote=True)}">'
