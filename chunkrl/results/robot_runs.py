"""The laptop runs of notebook 12: each seed's success, and where its hand went.

Made from the folders of finished runs, whose commands stand beside their numbers in
figures/laptop_methods.md: `python -m chunkrl.results.robot_runs runs/fql runs/fql_n runs/qc_fql`.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chunkrl import command
from chunkrl.envs.family import Task
from chunkrl.results import stored

COMMAND = "python -m chunkrl.results.robot_runs RUN_FOLDERS"
HERE = Path(__file__).parent / "data"
CURVES, PATHS, SCENE = (
    HERE / name for name in ("robot_runs.csv", "robot_paths.npz", "robot_scene.npz")
)
EPISODES, EVERY, STEPS = 20, 5, 200  # played for the paths; steps between stored points; at most
UNIT = 1e-4  # m, of the stored positions


class Evaluation(NamedTuple):
    """One seed's evaluation during training."""

    method: str
    seed: int
    step: int  # updates
    episodes: int
    successes: int


class Paths(NamedTuple):
    """Where the gripper was in the first episodes of every trained seed; the starts are shared."""

    methods: np.ndarray  # [M] str
    position: np.ndarray  # [M, S, E, 1 + STEPS / EVERY, 3] int16   every fifth position [UNIT]
    points: np.ndarray  # [M, S, E] int16   how many of them the episode has
    success: np.ndarray  # [M, S, E] bool


class Scene(NamedTuple):
    """Where the cube begins in those episodes, and where it is to go [m]."""

    cube: np.ndarray  # [E, 3]
    goal: np.ndarray  # [E, 3]


@cache
def load_curves() -> tuple[Evaluation, ...]:
    """Every stored evaluation.  Raises DataError."""

    def read(row: dict[str, str]) -> Evaluation:
        return Evaluation(row["method"], *(int(row[name]) for name in Evaluation._fields[1:]))

    return tuple(stored.rows(CURVES, read, COMMAND))


@cache
def load_paths() -> Paths:
    """The stored positions.  Raises DataError."""
    return Paths(**stored.arrays(PATHS, Paths._fields, COMMAND))


@cache
def load_scene() -> Scene:
    """The stored places of cube and goal.  Raises DataError."""
    return Scene(**stored.arrays(SCENE, Scene._fields, COMMAND))


def scene(task: Task, episodes: int = EPISODES) -> Scene:
    """Places of cube and goal as OGBench's environment has them, where `Evaluator` begins."""
    from chunkrl.envs.ogbench import tasks
    from chunkrl.play.evaluate import environment_seed

    env = tasks.make_env(task)
    places = []
    for episode in range(episodes):
        tasks.reset(env, environment_seed(0, episode))
        data = env.get_wrapper_attr("_data")
        (goal,) = data.mocap_pos
        places.append((data.joint("object_joint_0").qpos[:3].copy(), goal.copy()))
    env.close()
    return Scene(*np.array(places, np.float32).swapaxes(0, 1))


def path(paths: Paths, method: int, seed: int, episode: int) -> np.ndarray:
    """The stored points of one episode in metres.  -> [points, 3]"""
    at = method, seed, episode
    return paths.position[at][: paths.points[at]] * UNIT


def pack(traces: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Every fifth position of each episode, in UNIT, and how many.  E x [T, 3] -> [E, P, 3], [E]"""
    position = np.zeros((len(traces), 1 + STEPS // EVERY, 3), np.int16)
    points = np.zeros(len(traces), np.int16)
    for e, trace in enumerate(traces):
        kept = trace[::EVERY]
        position[e, : len(kept)], points[e] = np.round(kept / UNIT), len(kept)
    return position, points


def main(folders: tuple[Path, ...], /, workers: int = 2) -> None:
    """Read the evaluations of finished runs, play their agents, and store both in the package.

    A method's seeds may come from several folders.
    """
    from chunkrl.experiments import experiment
    from chunkrl.play.evaluate import Evaluator

    rows: list[Evaluation] = []
    played: dict[str, list] = {}  # method -> of each seed, its packed episodes and their success
    task = None
    for folder in folders:
        run = experiment.load(folder)
        name = run.config["method"]
        rows += [
            Evaluation(
                name,
                row["seed"],
                row["step"],
                row["episodes"],
                round(row["success"] * row["episodes"]),
            )
            for row in run.rows
            if "success" in row
        ]
        timing, task = run.config["success_timing"], run.task
        with Evaluator(run.task, workers, success_timing=timing) as play:
            results = [
                play.run(run.act(i), EPISODES, seed=0, trace=True)
                for i in range(len(run.config["seeds"]))
            ]
        played.setdefault(name, []).extend((*pack(list(r.trace)), r.success) for r in results)
        print(f"{folder}: {len(rows)} evaluations so far, {len(results)} seeds played", flush=True)
    parts = zip(*(zip(*seeds, strict=True) for seeds in played.values()), strict=True)
    paths = Paths(np.array([*played]), *(np.stack([np.stack(x) for x in part]) for part in parts))
    stored.save_arrays(PATHS, paths._asdict())
    if task is not None:
        stored.save_arrays(SCENE, scene(task)._asdict())
    stored.save_rows(CURVES, Evaluation._fields, rows)


if __name__ == "__main__":
    command.run(main, "python -m chunkrl.results.robot_runs")
