"""OGBench's cube scene as its physics reads it, without what is only seen."""

import itertools
from typing import Any
from xml.etree import ElementTree

import numpy as np

from chunkrl.envs import family
from chunkrl.envs.family import Task
from chunkrl.envs.ogbench import tasks

JITTER = 0.01  # m, about which a task's cube is moved; what OGBench writes into its code is here
NEAR = 0.04  # m, from its goal, where the cube is there
MIDDLE = [0.425, 0.0, 0.0]  # m, of what is seen


def described(task: Task) -> dict[str, Any]:
    """What world.js reads: the scene, and the numbers of OGBench's own environment of `task`."""
    env = tasks.make_env(task)
    family.reset(env, 0)
    raw: Any = env.unwrapped
    model, ik = raw.model, raw._ik
    joint = model.joint("object_joint_0")
    (start,), (goal,) = (raw.cur_task_info[key] for key in ("init_xyzs", "goal_xyzs"))
    found = {
        "xml": xml(raw),
        "chain": chain(ik._model, "attachment_site")
        | {"damping": ik._damping[0, 0], "largest": ik._max_angle_change}
        | {"iterations": 20, "threshold": 1e-4},
        "mount": {"pos": raw._T_pa.translation(), "quat": raw._T_pa.rotation().wxyz},
        "arm": {
            "qpos": model.jnt_qposadr[raw._arm_joint_ids],
            "dofs": model.jnt_dofadr[raw._arm_joint_ids],
            "motors": raw._arm_actuator_ids,
        },
        "gripper": {
            "site": raw._pinch_site_id,
            "body": model.body("ur5e/robotiq/base_mount").id,
            "pad": model.body("ur5e/robotiq/right_pad").id,
            "qpos": raw._gripper_opening_joint_id,
            "motor": raw._gripper_actuator_ids[0],
        },
        "cube": {"qpos": joint.qposadr[0], "dof": joint.dofadr[0], "body": joint.bodyid[0]},
        "home": raw._home_qpos, "hand": raw._arm_sampling_bounds, "range": raw.action_high,
        "workspace": raw._workspace_bounds, "substeps": raw._n_steps, "start": start, "goal": goal,
        "steps": family.named(task.family).spec(task).max_episode_steps,
        "jitter": JITTER, "near": NEAR, "middle": MIDDLE,
    }  # fmt: skip
    env.close()
    return found


def chain(model: Any, site: str) -> dict[str, Any]:
    """The links from the base to a site, each with a hinge at its origin or none."""
    at, links = model.site(site), []
    body = int(at.bodyid[0])
    while body:
        joint = model.body_jntadr[body]
        axis = None if joint < 0 else model.jnt_axis[joint]
        links.insert(0, {"pos": model.body_pos[body], "quat": model.body_quat[body], "axis": axis})
        body = int(model.body_parentid[body])
    return {"links": links, "site": {"pos": at.pos, "quat": at.quat}}


def xml(raw: Any) -> str:
    """The scene of one of OGBench's manipulation environments as one MJCF file.

    It moves as the environment's own model does: meshes that collide are kept as the convex hulls
    that MuJoCo collides with, and those that are only seen are left out.  Those have mass, so each
    body's is written out; so is what OGBench sets after compiling: gains of motors and the time
    step.
    """
    from ogbench.manipspace import mjcf_utils

    model, root = raw.model, ElementTree.fromstring(mjcf_utils.to_string(raw.mjcf_model))
    elements = lambda tag: list(root.iter(tag))
    for body, tag in itertools.product(elements("body"), ("geom", "inertial")):
        for old in body.findall(tag):
            if tag == "inertial" or old.get("class", "").endswith("/visual"):
                body.remove(old)
    for body in elements("body"):
        at = model.body(body.get("name")).id
        if model.body_mass[at]:
            inertial = {"mass": model.body_mass[at], "pos": model.body_ipos[at]}
            inertial |= {"quat": model.body_iquat[at], "diaginertia": model.body_inertia[at]}
            ElementTree.SubElement(body, "inertial", {k: _text(x) for k, x in inertial.items()})
    used = {geom.get("mesh") for geom in elements("geom")}
    for assets in elements("asset"):
        for asset in list(assets):
            assets.remove(asset)
            if asset.tag == "mesh" and (name := asset.get("name", "")) in used:
                vertices = {"vertex": _text(hull(model, name)), "scale": "1 1 1"}
                ElementTree.SubElement(assets, "mesh", {"name": name, **vertices})
    for geom in elements("geom"):
        geom.attrib.pop("material", None)
    for motor in root.iterfind("actuator/*"):
        at = model.actuator(motor.get("name")).id
        motor.set("gainprm", _text(model.actuator_gainprm[at]))
        motor.set("biasprm", _text(model.actuator_biasprm[at]))
    for option in elements("option"):
        option.set("timestep", _text(model.opt.timestep))
    return ElementTree.tostring(root, encoding="unicode")


def hull(model: Any, name: str) -> np.ndarray:
    """The corners of a mesh's convex hull, in the frame of its file.  -> [V, 3]"""
    from scipy.spatial.transform import Rotation

    mesh = model.mesh(name).id
    graph = model.mesh_graph[model.mesh_graphadr[mesh] :]  # V, faces, V addresses, V vertices, ...
    corners = graph[2 + graph[0] : 2 + 2 * graph[0]] + model.mesh_vertadr[mesh]
    turn = Rotation.from_quat(model.mesh_quat[mesh], scalar_first=True)
    return turn.apply(model.mesh_vert[corners].astype(float)) + model.mesh_pos[mesh]


def _text(numbers: Any) -> str:
    return " ".join(map(repr, np.ravel(numbers).tolist()))
