"""The command line: `chunkrl data`, `train`, `evaluate`, `info`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from chunkrl.errors import ChunkRLError
from chunkrl.experiment import TASK

app = tyro.extras.SubcommandApp()
data_app = tyro.extras.SubcommandApp()
app.command(data_app, name="data", help="Generate, download and check datasets.")

Preset = Literal["smoke", "laptop", "paper"]


@app.command
def train(
    method: Positional[str],
    task: str = TASK,
    preset: Preset = "laptop",
    seeds: Annotated[tuple[int, ...], tyro.conf.arg(help="trained together")] = (0,),
    folder: Path | None = None,
    updates: int | None = None,
    transitions: int | None = None,
    batch_size: int | None = None,
    episodes: int | None = None,
    horizon: int | None = None,
    candidates: int | None = None,
    alpha: float | None = None,
    flow_steps: int | None = None,
    discount: float | None = None,
    lr: float | None = None,
    rollout: int | None = None,
    rollout_batch: int | None = None,
    lam: float | None = None,
    act_candidates: int | None = None,
    execute: int | None = None,
    sum_reward: bool | None = None,
    true_mask: bool | None = None,
    critic_on_data: bool | None = None,
    clone_value_goal: bool | None = None,
    step_discount: bool | None = None,
    success_timing: Literal["pre", "post"] | None = None,
    workers: int | None = None,
) -> None:
    """Train a method (qc, qc-fql, bfn, bfn-n, fql, fql-n, mac and its relatives) on OGBench.

    Makes the data where there are none, evaluates on the way, and writes metrics.csv, config.json
    and checkpoint.npz into the folder (default: runs/METHOD-TASK-PRESET).  The same command after
    an interruption goes on from the last checkpoint.  Options left out have the preset's value;
    those from `rollout` to `step-discount` are of the model-based methods (mac, mac-gau, mac-fql,
    mac-no-teacher, mve) alone.
    """
    from chunkrl import agents, experiment

    folder = folder or Path("runs") / f"{agents.canonical(method)}-{task}-{preset}"
    print(f"run folder: {folder}")
    result = experiment.run(
        method,
        task,
        preset,
        seeds,
        folder,
        success_timing,
        workers,
        size={
            "updates": updates,
            "transitions": transitions,
            "batch_size": batch_size,
            "episodes": episodes,
        },
        settings={
            "horizon": horizon,
            "candidates": candidates,
            "alpha": alpha,
            "flow_steps": flow_steps,
            "discount": discount,
            "lr": lr,
            "rollout": rollout,
            "rollout_batch": rollout_batch,
            "lam": lam,
            "act_candidates": act_candidates,
            "execute": execute,
            "sum_reward": sum_reward,
            "true_mask": true_mask,
            "critic_on_data": critic_on_data,
            "clone_value_goal": clone_value_goal,
            "step_discount": step_discount,
        },
    )
    for row in result.rows[-len(seeds) :]:
        print(
            f"seed {row['seed']}: success {row['success']:.0%} "
            f"[{row['success_low']:.0%}, {row['success_high']:.0%}] over {row['episodes']} "
            f"episodes after {row['step']} updates, {row['seconds']:.0f} s "
            f"(success timing: {result.config['success_timing']})"
        )


@app.command
def evaluate(
    folder: Positional[Path],
    episodes: int = 50,
    seed: int = 0,
    execute: int | None = None,
    success_timing: Literal["pre", "post"] | None = None,
    video: Path | None = None,
    workers: int | None = None,
) -> None:
    """Play episodes with the agents of a run folder; write evaluation.json there.

    Executes the first `execute` actions of each chunk (default: as the agent does).  `video` writes
    one episode of the first seed as an animated WebP.
    """
    import os

    from chunkrl import experiment, runs
    from chunkrl.evaluate import Evaluator
    from chunkrl.video import save

    loaded = experiment.load(folder)
    timing = success_timing or loaded.config["success_timing"]
    results = []
    with Evaluator(
        loaded.task,
        workers or os.cpu_count() or 1,
        success_timing=timing,
        execute=execute or loaded.agent.execute,
    ) as play:
        for i, trained in enumerate(loaded.config["seeds"]):
            record = int(video is not None and i == 0)
            result = play.run(loaded.act(i), episodes, seed, record=record)
            summary = runs.summary(result)
            results.append({"seed": trained, "success_timing": timing, **summary})
            print(
                f"seed {trained}: success {summary['success']:.0%} [{summary['success_low']:.0%}, "
                f"{summary['success_high']:.0%}], return {summary['return']:.1f}, "
                f"length {summary['length']:.0f} over {episodes} episodes"
            )
            if video is not None and record:
                save(result.frames[0], video)
                print(f"video: {video}")
    runs.write_json(folder / "evaluation.json", results)


@data_app.command
def make(
    dataset: Positional[str],
    transitions: int = 150_000,
    seed: int = 0,
    path: Path | None = None,
    workers: int | None = None,
) -> None:
    """Generate a dataset, such as cube-double-play, with OGBench's own scripted oracles.

    A run that was stopped goes on where it was.
    """
    from chunkrl import data

    print(data.generate(dataset, transitions, path, seed=seed, workers=workers))


@data_app.command
def download(dataset: Positional[str]) -> None:
    """Download an official OGBench dataset, such as cube-double-play-v0; resumes where it was."""
    from chunkrl import data

    print(data.download(dataset))


@data_app.command
def shards(folder: Positional[Path], task: str) -> None:
    """Convert a folder of npz files, such as a 100M set, for training that reads it in pieces.

    Prints the folder to train on with `chunkrl train mac --task TASK --shards FOLDER`.  A
    conversion that was stopped goes on where it was.
    """
    from chunkrl.data import shards

    print(shards.convert(folder, task))


@data_app.command
def check(path: Positional[Path], task: str | None = None) -> None:
    """Check a data file to the last byte and, with a task, that it belongs to that task."""
    from chunkrl import data

    if task:
        loaded = data.load_task(task, path=path)
        solved = int((loaded.mask == 0).sum())
        print(f"{path}: {len(loaded.obs)} transitions, {solved} in solved states of {task}")
    else:
        print(f"{path}: {len(data.load(path)['observations'])} transitions")


@app.command
def info() -> None:
    """Versions, devices, rendering and data, with a remedy for each thing missing."""
    from chunkrl import machine

    print(machine.report())


def main() -> None:
    try:
        app.cli(prog="chunkrl", description=__doc__)
    except ChunkRLError as error:
        sys.exit(f"chunkrl: {error}")
    except KeyboardInterrupt:
        sys.exit(
            "chunkrl: stopped; training and data go on where they were when the command is repeated"
        )
