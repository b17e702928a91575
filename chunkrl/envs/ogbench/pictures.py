"""Pictures of OGBench's scenes: rendered by MuJoCo, or drawn from above without OpenGL."""

from typing import Any

import gymnasium
import numpy as np

from chunkrl.envs.rendering import drawing_mujoco, import_mujoco, rendering_error

SIZE = 240  # pixels, height and width
UNSET = (0.5, 0.5, 0.5, 1.0)  # a geom's own colour, which outranks its material's, in MuJoCo


class Camera:
    """Takes pictures of one of OGBench's environments."""

    def __init__(self, env: gymnasium.Env):
        self.env = env
        self.raw: Any = env.unwrapped
        self._renderer = None if rendering_error() else _renderer(self.raw.model)

    def frame(self) -> np.ndarray:
        """The current state.  -> [height, width, 3] uint8"""
        if self._renderer is None:
            return sketch(self.env)
        camera = "front" if hasattr(self.raw, "_pinch_site_id") else self.raw.custom_camera
        self._renderer.update_scene(self.raw.data, camera=camera)
        return self._renderer.render()


def _renderer(model: Any) -> Any:
    """Without shadows, reflections and multisampling: 5 to 7 times faster on a CPU."""
    mujoco = drawing_mujoco()
    model.vis.quality.offsamples = 0
    model.vis.global_.offwidth = model.vis.global_.offheight = SIZE
    renderer = mujoco.Renderer(model, SIZE, SIZE)
    renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
    renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
    return renderer


def sketch(env: gymnasium.Env) -> np.ndarray:
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
    mujoco = import_mujoco()
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
