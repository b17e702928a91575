"""Two small extracts of an OGBench dataset, for the notebooks that ask what real logs look like.

Made by `python -m chunkrl.results.real_data` from the file of `chunkrl data make cube-single-play`.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from chunkrl import command
from chunkrl.errors import DataError
from chunkrl.results import stored

COMMAND = "python -m chunkrl.results.real_data"
TASK, TRANSITIONS = "cube-single-play-singletask-task2-v0", 150_000
HERE = Path(__file__).parent / "data"

# OGBench's observation: joint positions and velocities (6 each), then the end effector, ..., then
# the cube; positions in units of 0.1 m around the middle of the table (spec of ManipSpace).
EFFECTOR, CUBE = slice(12, 15), slice(19, 22)
UNIT, MIDDLE = 0.1, (0.425, 0.0, 0.0)

CELL = 0.02  # m
CORNER = (0.24, -0.36, 0.0)  # m; the lower end of the box that the end effector moves in
SHAPE = (19, 36, 18)  # cells along x (away from the robot), y and z
SHOWN, EVERY = 2, 5  # trajectories stored as paths, and the steps between stored points


class Coverage(NamedTuple):
    """Where the end effector was, and which way each action sent it."""

    counts: np.ndarray  # [19, 36, 18, 8] uint16   samples per cell and direction of motion
    paths: np.ndarray  # [2, 200, 3] float32   two trajectories, every fifth position [m]


class Journeys(NamedTuple):
    """How far the cube was from the place where task 2 wants it, and when it was there."""

    distance: np.ndarray  # [150, 1000] uint8   cm, rounded down
    solved: np.ndarray  # [150, 1000] bool


def coverage(obs: np.ndarray, action: np.ndarray, length: int) -> Coverage:
    """Samples per 2 cm cell and octant of the commanded motion.  [T, O], [T, A] -> Coverage

    Octant 4 [dx > 0] + 2 [dy > 0] + [dz > 0]: the first three numbers of an action move the hand.
    """
    position = metres(obs[:, EFFECTOR])
    index = np.floor((position - CORNER) / CELL).astype(int)
    if (index < 0).any() or (index >= SHAPE).any():
        raise DataError(f"the end effector leaves the box at {CORNER} m of {SHAPE} cells")
    octant = (action[:, :3] > 0) @ [4, 2, 1]
    counts = np.zeros((*SHAPE, 8), np.uint16)
    np.add.at(counts, (*index.T, octant), 1)
    paths = position.reshape(-1, length, 3)[:SHOWN, ::EVERY]
    return Coverage(counts, paths.astype(np.float32))


def journeys(obs: np.ndarray, mask: np.ndarray, goal: np.ndarray, length: int) -> Journeys:
    """Distance of the cube from `goal` and success (mask 0), by trajectory.  -> Journeys"""
    away = np.linalg.norm(metres(obs[:, CUBE]) - goal, axis=-1)
    return Journeys(
        np.floor(100 * away).astype(np.uint8).reshape(-1, length),
        (mask == 0).reshape(-1, length),
    )


def load_coverage() -> Coverage:
    return Coverage(**stored.arrays(HERE / "cube_paths.npz", Coverage._fields, COMMAND))


def load_journeys() -> Journeys:
    return Journeys(**stored.arrays(HERE / "cube_journeys.npz", Journeys._fields, COMMAND))


def metres(scaled: np.ndarray) -> np.ndarray:
    """Positions as OGBench's observation has them, in metres."""
    return scaled.astype(np.float64) * UNIT + MIDDLE


def main() -> None:
    """Write both extracts beside this file; needs the generated dataset."""
    from chunkrl.envs.ogbench import tasks
    from chunkrl.envs.ogbench.relabel import load_task

    task = tasks.get(TASK)
    logs = load_task(task, transitions=TRANSITIONS)
    obs, action, mask = (np.asarray(x) for x in (logs.obs, logs.action, logs.mask))
    length = int(np.flatnonzero(logs.terminal)[0]) + 1
    environment = tasks.make_env(task).unwrapped
    environment.reset()
    goal = environment.cur_task_info["goal_xyzs"][0]  # pyright: ignore[reportAttributeAccessIssue]
    paths, logged = coverage(obs, action, length), journeys(obs, mask, goal, length)
    stored.save_arrays(HERE / "cube_paths.npz", paths._asdict())
    stored.save_arrays(HERE / "cube_journeys.npz", logged._asdict())


if __name__ == "__main__":
    command.run(main, "python -m chunkrl.results.real_data")
