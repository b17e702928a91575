"""Pictures of OGBench's scenes: rendered by MuJoCo, or drawn from above without OpenGL."""

from typing import Any

import gymnasium
import numpy as np

from chunkrl.envs.rendering import drawing_mujoco, import_mujoco, rendering_error

SIZE = 240  # pixels, height and width
LIGHT = 0.45, 0.6  # from everywhere, and from the camera: transparent goals are seen
UNSET = (0.5, 0.5, 0.5, 1.0)  # a geom's own colour, which outranks its material's, in MuJoCo


class Camera:
    """Takes pictures of one of OGBench's environments."""

    def __init__(self, env: gymnasium.Env):
        self.env = env
        self.raw: Any = env.unwrapped
        self._renderer: Any = None
        if rendering_error() is None:  # 5 to 7 times faster on a CPU without multisampling, ...
            mujoco, model = drawing_mujoco(), self.raw.model
            model.vis.quality.offsamples = 0
            model.vis.global_.offwidth = model.vis.global_.offheight = SIZE
            model.vis.headlight.ambient[:], model.vis.headlight.diffuse[:] = LIGHT
            self._renderer = mujoco.Renderer(model, SIZE, SIZE)
            for effect in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
                self._renderer.scene.flags[effect] = 0  # ... shadows and reflections
            self._view = self._table() if hasattr(self.raw, "_pinch_site_id") else None

    def frame(self) -> np.ndarray:
        """The current state.  -> [height, width, 3] uint8"""
        if self._renderer is None:
            return sketch(self.env)
        self._renderer.update_scene(self.raw.data, camera=self._view or self.raw.custom_camera)
        return self._renderer.render()

    def _table(self) -> Any:
        """A camera near the robot's table, so that hand, objects and goals are large and apart."""
        mujoco = drawing_mujoco()
        camera, bounds = mujoco.MjvCamera(), self.raw._workspace_bounds
        camera.type = mujoco.mjtCamera.mjCAMERA_FREE
        camera.lookat[:] = *bounds[:, :2].mean(0), 0.12
        camera.distance, camera.azimuth, camera.elevation = 0.85, 150, -33
        return camera


def sketch(env: gymnasium.Env) -> np.ndarray:
    """The scene from above: the bounding box of each object, and the gripper.  -> [size, size, 3]

    Manipulation is seen with the robot's base at the top, mazes with x to the right and y up.
    """
    from PIL import Image, ImageDraw

    raw: Any = env.unwrapped
    model, data, arm = raw.model, raw.data, hasattr(raw, "_pinch_site_id")
    plane = import_mujoco().mjtGeom.mjGEOM_PLANE
    shown = [  # by MuJoCo itself, but for floor and robot arm
        geom
        for geom in range(model.ngeom)
        if model.geom_group[geom] < 3
        and model.geom_type[geom] != plane
        and not model.body(model.geom_bodyid[geom]).name.startswith("ur5e")
    ]
    shown.sort(key=lambda geom: data.geom_xpos[geom, 2])
    faces = [_faces(model, data, geom) for geom in shown]
    if arm:
        low, high = raw._workspace_bounds[:, :2] + [[-0.1], [0.1]]
    else:
        corners = np.concatenate(faces).reshape(-1, 3)[:, :2]
        low, high = corners.min(0), corners.max(0)
    scale = SIZE / (high - low).max()

    def pixel(points: np.ndarray) -> np.ndarray:
        offset = (points[..., :2] - (low + high) / 2) * scale
        return SIZE / 2 + (offset[..., ::-1] if arm else offset * [1, -1])

    image = Image.new("RGB", (SIZE, SIZE), "lightgray")
    draw = ImageDraw.Draw(image, "RGBA")
    for geom, sides in zip(shown, faces, strict=True):
        rgba, material = model.geom_rgba[geom], model.geom_matid[geom]
        if material >= 0 and np.allclose(rgba, UNSET):
            rgba = model.mat_rgba[material]
        red, green, blue, alpha = (int(255 * value) for value in rgba)
        firm = red // 2, green // 2, blue // 2, 255 if alpha else 0  # also of transparent targets
        for face in sides:
            draw.polygon([*map(tuple, pixel(face))], (red, green, blue, alpha), firm)
    if arm:
        fingers = [raw.data.body(f"ur5e/robotiq/{side}_pad").xpos for side in ("left", "right")]
        draw.line([tuple(pixel(p)) for p in fingers], fill=(0, 0, 0, 160), width=2)
        for x, y in map(pixel, fingers):
            draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=(0, 0, 0, 255))
    return np.asarray(image)


def _faces(model: Any, data: Any, geom: int) -> np.ndarray:
    """The six faces of a geom's bounding box in the world.  -> [6, 4, 3]"""
    centre, half = model.geom_aabb[geom].reshape(2, 3)
    square = np.array([[1, 1, 1], [1, 1, -1], [1, -1, -1], [1, -1, 1]])
    corners = [np.roll(side * square, axis, axis=1) for axis in range(3) for side in (1, -1)]
    rotation = data.geom_xmat[geom].reshape(3, 3)
    return (centre + half * np.array(corners)) @ rotation.T + data.geom_xpos[geom]
