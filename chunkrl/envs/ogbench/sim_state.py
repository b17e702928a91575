"""States of the simulator: read them from a dataset, and put an environment into one of them."""

from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from chunkrl.envs.rendering import import_mujoco
from chunkrl.errors import ConfigError, DataError


class SimState(NamedTuple):
    """What MuJoCo and OGBench need to go on from a state."""

    qpos: np.ndarray  # [nq]
    qvel: np.ndarray  # [nv]
    buttons: np.ndarray | None = None  # [buttons], in scenes and puzzles


class Logged(NamedTuple):
    """Rows of a dataset, each with the simulator's state and what was done next."""

    row: np.ndarray  # [S]  of the regular reading, as in `load`
    obs: np.ndarray  # [S, O]
    action: np.ndarray  # [S, n, A]  a_t ... a_{t+n-1}
    next_obs: np.ndarray  # [S, n, O]  s_{t+1} ... s_{t+n}
    state: tuple[SimState, ...]  # [S]


def draw(path: str | Path, count: int, length: int, seed: int = 0) -> Logged:
    """`count` states of the file `path`, each from another trajectory, drawn uniformly.

    At least `length` transitions of the trajectory follow each state.  One state a trajectory makes
    them independent of each other, which standard errors over states rely on.  Raises ConfigError
    for more states than long enough trajectories.
    """
    from chunkrl.data.dataset import load  # needs JAX, which processes that simulate never load

    data = load(path)
    if "qpos" not in data or "qvel" not in data:
        raise DataError(f"{path} has no qpos and qvel: the simulator cannot be reset to its states")
    ends = np.flatnonzero(data["terminals"]) + 1
    begins = np.concatenate([[0], ends[:-1]])
    long = np.flatnonzero(ends - begins >= length)
    if not 1 <= count <= len(long):
        raise ConfigError(
            f"{count} states wanted, one a trajectory; {path} has {len(long)} trajectories of "
            f"{length} transitions or more"
        )
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(long, count, replace=False))
    rows = np.array([rng.integers(begins[i], ends[i] - length + 1) for i in chosen])
    window = rows[:, None] + np.arange(length)
    qpos, qvel = (data[name][rows].astype(np.float64) for name in ("qpos", "qvel"))
    buttons = data["button_states"][rows] if "button_states" in data else [None] * count
    action, following = data["actions"][window], data["next_observations"][window]
    states = tuple(map(SimState, qpos, qvel, buttons))
    return Logged(rows, data["observations"][rows], action, following, states)


def put(raw: Any, state: SimState) -> np.ndarray:
    """Put OGBench's own environment into `state`.  -> obs [O]

    A step of MuJoCo ends by moving the joints, q_{t+dt} = q_t + dt v_{t+dt}, and in cube tasks what
    OGBench observes and steers by afterwards, the pose of the gripper, still belongs to q_t.  So
    the joints are first put back to q_t, for positions and forces to be computed there, and then
    moved on.  All that is observed is then as it was logged (to 1e-5), but for the force between
    the fingers: it also depends on the last command, which is no part of the state.  Logged actions
    lead through the logged observations, the force included (to 1e-3 after 20 steps).
    """
    if not hasattr(raw, "_pinch_site_id"):
        raise ConfigError("only manipulation tasks of OGBench can be put into a logged state")
    engine: Any = import_mujoco()  # its stubs lack some functions
    model, data = raw._model, raw._data
    before = state.qpos.copy()
    engine.mj_integratePos(model, before, state.qvel, -model.opt.timestep)
    opening = 255 * np.clip(state.qpos[raw._gripper_opening_joint_id] / 0.8, 0, 1)
    data.ctrl[raw._arm_actuator_ids] = state.qpos[raw._arm_joint_ids]  # hold still
    data.ctrl[raw._gripper_actuator_ids] = opening
    data.qacc_warmstart[:] = 0  # of the episode before
    raw.set_state(before, state.qvel, *([] if state.buttons is None else [state.buttons]))
    engine.mj_rnePostConstraint(model, data)
    data.qpos[:] = state.qpos
    raw.pre_step()  # as the reset does: no button changes, success is that of this state
    raw.post_step()
    return raw.compute_observation()


def position(env: gymnasium.Env) -> np.ndarray:
    """Where the robot is: its gripper, or its body in a maze, in metres.  -> [3] or [2]"""
    raw: Any = env.unwrapped
    if hasattr(raw, "_pinch_site_id"):
        return raw._data.site_xpos[raw._pinch_site_id].copy()
    return np.array(raw.get_xy())
